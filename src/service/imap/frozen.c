/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a frozen session and back: total, bounded by the bytes given. */
#include "service/imap/frozen.h"

#include "base/number.h"

#define VERSION     1
#define RANGES_MAX  (1u << 20)
#define ADDRESS_MAX 64u
#define TEXT_MAX    1024u
#define INPUT_MAX   (4u << 20)
#define VIEW_MAX    (64u << 20)

static void put_text(struct buf *out, struct str text)
{
	number_put_varint(out, text.n);
	buf_put(out, text);
}

static void put_address(struct buf *out, const struct address *a)
{
	AUTO_BUF(text, 0);
	address_put(&text, a, true);
	put_text(out, buf_str(&text));
}

void imap_frozen_put(const struct imap_frozen *f, struct buf *out)
{
	buf_put_byte(out, VERSION);
	put_text(out, f->user);
	put_text(out, f->session_id);
	put_address(out, &f->local);
	put_address(out, &f->remote);
	put_text(out, f->idle_tag);
	put_text(out, f->view);
	put_text(out, f->input);
	number_put_varint(out, f->enabled);
	number_put_varint(out, (uint64_t)f->is_read_only | (uint64_t)f->has_untold_mails << 1);
	number_put_varint(out, f->bad_commands);
	number_put_varint(out, f->keywords_told);
	for (size_t i = 0; i < IMAP_FROZEN_NUMBERS; i++)
		number_put_varint(out, f->counters[i]);
	number_put_varint(out, f->saved_uids.count);
	for (size_t i = 0; i < f->saved_uids.count; i++) {
		number_put_varint(out, f->saved_uids.ranges[i].first);
		number_put_varint(out, f->saved_uids.ranges[i].last);
	}
	imap_frame_freeze(&f->frame, out);
}

/* ---- back ---- */

static bool cut_text(struct str *rest, size_t max, struct str *out)
{
	uint64_t n;
	if (!number_cut_varint(rest, &n) || n > max || n > rest->n)
		return false;
	*out = str_take(rest, (size_t)n);
	return true;
}

static bool cut_address(struct str *rest, struct address *out)
{
	struct str text;
	*out = (struct address){ 0 };
	return cut_text(rest, ADDRESS_MAX, &text) && (text.n == 0 || address_parse(text, out));
}

static bool cut_number(struct str *rest, uint64_t max, uint64_t *out)
{
	return number_cut_varint(rest, out) && *out <= max;
}

/* Ascending and apart, as a set keeps them. */
static bool cut_ranges(struct str *rest, struct range_set *out)
{
	uint64_t count, first, last, next = 1;
	if (!cut_number(rest, RANGES_MAX, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		if (!cut_number(rest, UINT32_MAX, &first) || !cut_number(rest, UINT32_MAX, &last) ||
			first < next || last < first)
			return false;
		range_set_add(out, (uint32_t)first, (uint32_t)last);
		next = last + 2;
	}
	return true;
}

static bool cut_texts(struct str *rest, struct imap_frozen *f)
{
	return cut_text(rest, TEXT_MAX, &f->user) && cut_text(rest, TEXT_MAX, &f->session_id) &&
	       cut_address(rest, &f->local) && cut_address(rest, &f->remote) &&
	       cut_text(rest, TEXT_MAX, &f->idle_tag) && cut_text(rest, VIEW_MAX, &f->view) &&
	       cut_text(rest, INPUT_MAX, &f->input);
}

static bool cut_numbers(struct str *rest, struct imap_frozen *f)
{
	uint64_t flags;
	if (!cut_number(rest, UINT8_MAX, &f->enabled) || !cut_number(rest, 3, &flags) ||
		!cut_number(rest, UINT8_MAX, &f->bad_commands) ||
		!cut_number(rest, UINT8_MAX, &f->keywords_told))
		return false;
	f->is_read_only = flags & 1;
	f->has_untold_mails = flags & 2;
	for (size_t i = 0; i < IMAP_FROZEN_NUMBERS; i++) {
		if (!number_cut_varint(rest, &f->counters[i]))
			return false;
	}
	return true;
}

bool imap_frozen_parse(struct str bytes, struct imap_frozen *out)
{
	struct imap_frozen f = { .enabled = 0 };
	range_set_init(&f.saved_uids);
	bool is_good = bytes.n > 0 && str_take(&bytes, 1).p[0] == VERSION &&
		       cut_texts(&bytes, &f) && cut_numbers(&bytes, &f) &&
		       cut_ranges(&bytes, &f.saved_uids) &&
		       imap_frame_thaw(&bytes, f.input.n, &f.frame) && bytes.n == 0;
	if (is_good)
		*out = f;
	else
		range_set_done(&f.saved_uids);
	return is_good;
}

void imap_frozen_done(struct imap_frozen *f)
{
	range_set_done(&f->saved_uids);
}
