/* SPDX-License-Identifier: Apache-2.0 */
/* What stands beside a stored object, for recovery when the catalog is lost (sheet storage §9.7). It costs no
 * request, about 300 bytes of headers. Names of mailboxes and keywords are a user's own words: they are
 * marked private, so that they are left out where bodies are encrypted. */
#include "base/codec.h"
#include "base/number.h"
#include "store/store_private.h"

#define TEXT_MAX     255
#define KEYWORDS_MAX 512

static struct str hex(struct arena *a, const void *bytes, size_t n)
{
	AUTO_BUF(text, 0);
	hex_encode(&text, (struct str){ bytes, n });
	return buf_dup(a, &text);
}

static struct object_meta number(struct arena *a, const char *name, int64_t value)
{
	return (struct object_meta){ .name = str_from(name),
		.value = str_printf(a, "%" PRId64, value) };
}

size_t meta_of_mailbox(
	struct arena *a, const struct mailbox *m, const char *guid_key, struct object_meta *out)
{
	const struct user *u = m->user;
	const struct tree_node *node = tree_find_guid(&u->tree, m->guid);
	size_t n = 0;
	out[n++] = (struct object_meta){ .name = STR("username"),
		.value = str_dup(a, str_slice(u->name, 0, TEXT_MAX)) };
	out[n++] = (struct object_meta){ .name = str_from(guid_key),
		.value = hex(a, m->guid.bytes, sizeof(m->guid.bytes)) };
	if (node && node->name.n <= TEXT_MAX)
		out[n++] = (struct object_meta){
			.name = STR("mailbox"), .value = str_dup(a, node->name), .is_private = true
		};
	return n;
}

size_t meta_of_mail(struct arena *a, const struct mailbox *m, const struct row_append *row,
	struct object_meta *out)
{
	size_t n = meta_of_mailbox(a, m, "origbox", out);
	out[n++] = (struct object_meta){ .name = STR("guid"),
		.value = hex(a, row->guid.bytes, sizeof(row->guid.bytes)) };
	out[n++] = number(a, "size", (int64_t)row->size_physical);
	out[n++] = number(a, "received", row->received_wall_us / US_PER_SEC);
	out[n++] = number(a, "saved", row->saved_wall_us / US_PER_SEC);
	if (row->flags != 0)
		out[n++] = number(a, "flags", row->flags);
	AUTO_BUF(words, 0);
	for (size_t i = 0; i < row->keyword_count && words.n < KEYWORDS_MAX; i++)
		buf_putf(&words, "%s%.*s", i > 0 ? " " : "", STRF(row->keywords[i]));
	if (words.n > 0 && words.n <= KEYWORDS_MAX)
		out[n++] = (struct object_meta){
			.name = STR("keywords"), .value = buf_dup(a, &words), .is_private = true
		};
	ASSERT(n <= META_OF_MAIL_MAX);
	return n;
}

static bool id_parse(struct str text, void *out, size_t n)
{
	AUTO_BUF(bytes, 0);
	if (text.n != 2 * n || !hex_decode(&bytes, text))
		return false;
	memcpy(out, bytes.p, n);
	return true;
}

bool meta_id_parse(struct str text, struct row_id *out)
{
	return id_parse(text, out->bytes, sizeof(out->bytes));
}

static void take_seconds(struct str text, int64_t *out_us)
{
	uint64_t seconds;
	if (number_parse_u64(text, &seconds) && seconds < (uint64_t)(INT64_MAX / US_PER_SEC))
		*out_us = (int64_t)seconds * US_PER_SEC;
}

void meta_read_mail(const struct object_meta *meta, size_t count, struct meta_mail *out)
{
	*out = (struct meta_mail){ .mailbox_name = STR("") };
	for (size_t i = 0; i < count; i++) {
		struct str name = meta[i].name, value = meta[i].value, word;
		uint32_t flags;
		if (str_eq(name, STR("origbox")))
			out->has_mailbox =
				id_parse(value, out->mailbox.bytes, sizeof(out->mailbox.bytes));
		else if (str_eq(name, STR("mailbox")))
			out->mailbox_name = value;
		else if (str_eq(name, STR("guid")))
			out->has_guid = meta_id_parse(value, &out->guid);
		else if (str_eq(name, STR("received")))
			take_seconds(value, &out->received_wall_us);
		else if (str_eq(name, STR("saved")))
			take_seconds(value, &out->saved_wall_us);
		else if (str_eq(name, STR("flags")) && number_parse_u32(value, &flags))
			out->flags = flags & MAIL_STORABLE_FLAGS;
		else if (str_eq(name, STR("keywords")))
			while (out->keyword_count < ROW_KEYWORDS_MAX && str_cut_word(&value, &word))
				out->keywords[out->keyword_count++] = word;
	}
}
