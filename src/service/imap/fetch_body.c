/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH of BODY[...], RFC822... and BINARY[...]: bytes of the mail, in bursts.
 *
 * Spec: RFC 3501 §6.4.5, §7.4.2; RFC 3516 §4.2 (BINARY); sheet protocols §4.13 */
#include "base/account.h"
#include "message/crlf.h"
#include "message/header.h"
#include "service/imap/fetch_private.h"

/* ---- which bytes ---- */

/* Section text for message_section_find(): "1.2.HEADER" without a list of fields. */
static struct str section_text(struct arena *a, const struct imap_section *section)
{
	AUTO_BUF(text, 0);
	for (size_t i = 0; i < section->part_count; i++) {
		if (i > 0)
			buf_put_byte(&text, '.');
		buf_put_u64_dec(&text, section->parts[i]);
	}
	struct str suffix = STR("");
	switch (section->kind) {
	case IMAP_SECTION_WHOLE:
		break;
	case IMAP_SECTION_HEADER:
	case IMAP_SECTION_HEADER_FIELDS:
	case IMAP_SECTION_HEADER_FIELDS_NOT:
		suffix = STR("HEADER");
		break;
	case IMAP_SECTION_TEXT:
		suffix = STR("TEXT");
		break;
	case IMAP_SECTION_MIME:
		suffix = STR("MIME");
		break;
	}
	if (suffix.n > 0 && text.n > 0)
		buf_put_byte(&text, '.');
	buf_put(&text, suffix);
	return buf_dup(a, &text);
}

static bool is_field_list(const struct imap_section *section)
{
	return section->kind == IMAP_SECTION_HEADER_FIELDS ||
	       section->kind == IMAP_SECTION_HEADER_FIELDS_NOT;
}

static bool is_binary(const struct imap_fetch_body *body)
{
	return body->name == IMAP_FETCH_NAME_BINARY || body->name == IMAP_FETCH_NAME_BINARY_SIZE;
}

/* HEADER.FIELDS of the mail itself with kept names alone needs no body. */
bool fetch_is_in_summary(const struct imap_section *section)
{
	if (section->kind != IMAP_SECTION_HEADER_FIELDS || section->part_count > 0)
		return false;
	for (size_t i = 0; i < section->field_count; i++) {
		if (!message_summary_keeps_field(section->fields[i]))
			return false;
	}
	return true;
}

static bool summary_has_fields(const struct fetch *f, const struct imap_section *section)
{
	return f->at.summary.has_fields && fetch_is_in_summary(section);
}

void fetch_forget_decoded(struct fetch *f)
{
	buf_done(&f->decoded);
	f->decoded_seq = 0;
}

/* WAITS. Into f->decoded, unless it is there. One part at a time, however many are asked for: they may
 * be as large as the mail. */
static enum err decode(struct fetch *f, uint32_t index)
{
	const struct message_part *part = &f->at.tree.parts[index];
	if (f->decoded_seq == f->at.mail.seq && f->decoded_part == index)
		return ERR_NONE;
	fetch_forget_decoded(f);
	task_breathe();
	if (message_part_decode(f->at.body, part, &f->decoded) != ERR_NONE)
		return op_fail(f->x->op, ERR_UNSUPPORTED, "unknown transfer encoding");
	f->decoded_seq = f->at.mail.seq;
	f->decoded_part = index;
	return ERR_NONE;
}

/* WAITS. Without transfer encoding; valid until the next call. A part that holds others, and the mail
 * itself, has none. */
static enum err binary_bytes(struct fetch *f, const struct imap_section *section, struct str *out)
{
	uint32_t index;
	struct str name = section_text(f->x->op->arena, section);
	*out = STR("");
	if (message_section_part(&f->at.tree, name, &index) != ERR_NONE)
		return ERR_NONE; /* no such part: empty */
	const struct message_part *part = &f->at.tree.parts[index];
	if (section->part_count == 0) {
		*out = f->at.body;
	} else if (part->kind != MESSAGE_LEAF) {
		*out = message_span_bytes(f->at.body, &part->body);
	} else {
		TRY(decode(f, index));
		*out = buf_str(&f->decoded);
	}
	return ERR_NONE;
}

/* WAITS. Its size, and whether there is a way to tell it: nothing may fail once the line begins. */
static enum err measure_binary(struct fetch *f, size_t item)
{
	const struct imap_fetch *what = f->what;
	struct op *op = f->x->op;
	struct str content;
	f->is_refused = account_admit(op, f->at.mail.size_physical) != ERR_NONE;
	if (f->is_refused)
		return ERR_UNAVAILABLE;
	if (!f->at.binary_sizes)
		f->at.binary_sizes = ARENA_NEW_ARRAY(op->arena, uint64_t, what->body_count);
	TRY(binary_bytes(f, &what->bodies[item].section, &content));
	f->at.binary_sizes[item] = content.n;
	return ERR_NONE;
}

enum err fetch_read_bodies(struct fetch *f)
{
	const struct imap_fetch *what = f->what;
	for (size_t i = 0; i < what->body_count; i++) {
		const struct imap_fetch_body *body = &what->bodies[i];
		TRY(fetch_need_summary(f));
		if (summary_has_fields(f, &body->section))
			continue;
		TRY(fetch_need_tree(f));
		TRY(fetch_need_body(f));
		if (is_binary(body))
			TRY(measure_binary(f, i));
	}
	return ERR_NONE;
}

/* ---- bursts ---- */

/* How much was put already of the item at hand; its announcement stands before that. */
static uint64_t already_put(const struct fetch *f, size_t item, bool is_resumed)
{
	return is_resumed && item == f->rest_item ? f->rest_offset : 0;
}

/* WAITS. Where it rests is noted in any case. */
static enum err check_burst(struct fetch *f, size_t item, uint64_t offset)
{
	enum err e = fetch_check_output(f);
	if (f->is_blocked) {
		f->rest_seq = f->at.mail.seq;
		f->rest_item = item;
		f->rest_offset = offset;
	}
	return e;
}

/* WAITS. Bytes as they are. */
static enum err put_bytes(struct fetch *f, size_t item, struct str content, uint64_t from)
{
	while (from < content.n) {
		size_t n = MIN(content.n - (size_t)from, (size_t)IMAP_BURST_BYTES);
		buf_put(f->x->out, str_slice(content, (size_t)from, (size_t)from + n));
		from += n;
		TRY(check_burst(f, item, from));
	}
	return ERR_NONE;
}

static struct str cut_partial(const struct imap_fetch_body *body, struct str content)
{
	if (!body->has_partial)
		return content;
	size_t from = MIN(body->offset, content.n);
	return str_slice(content, from, from + MIN(body->length, content.n - from));
}

/* ---- the kinds of items ---- */

/* What stands for a NUL, which no literal may hold (RFC 3501 §9). */
static void replace_nuls(struct buf *text)
{
	char *nul;
	while (text->n > 0 && (nul = memchr(text->p, '\0', text->n)) != NULL)
		*nul = (char)0x80;
}

/* Selected header fields as one CRLF text with the empty line; empty when there is no such part (sheet
 * §4.13). */
static void make_fields(struct fetch *f, const struct imap_section *section, struct buf *text)
{
	bool is_not = section->kind == IMAP_SECTION_HEADER_FIELDS_NOT;
	struct str header = f->at.summary.fields;
	if (!summary_has_fields(f, section)) {
		struct message_span span;
		struct str name = section_text(f->x->op->arena, section);
		if (message_section_find(&f->at.tree, name, &span) != ERR_NONE)
			return;
		header = message_span_bytes(f->at.body, &span);
	}
	message_header_subset(
		text, header, section->fields, section->field_count, is_not, f->x->op->arena);
	buf_put(text, STR("\r\n"));
	replace_nuls(text);
}

/* WAITS. */
static enum err put_fields(struct fetch *f, size_t item, bool is_resumed)
{
	const struct imap_fetch_body *body = &f->what->bodies[item];
	struct imap_counters *counters = &f->x->session->counters;
	uint64_t done = already_put(f, item, is_resumed);
	AUTO_BUF(text, 0);
	make_fields(f, &body->section, &text);
	struct str content = cut_partial(body, buf_str(&text));
	if (done == 0) {
		imap_put_literal_start(f->x->out, content.n);
		counters->headers++;
		counters->header_bytes += content.n;
	}
	return put_bytes(f, item, content, done);
}

/* WAITS. A range of the mail in CRLF form, straight from its bytes into the output. */
static enum err put_span(struct fetch *f, size_t item, bool is_resumed)
{
	const struct imap_fetch_body *body = &f->what->bodies[item];
	struct message_span span = { 0 };
	struct message_crlf reader;
	struct str name = section_text(f->x->op->arena, &body->section);
	uint64_t done = already_put(f, item, is_resumed);
	/* No such part: empty. */
	if (message_section_find(&f->at.tree, name, &span) != ERR_NONE)
		span = (struct message_span){ 0 };
	uint64_t from = 0, size = span.virtual_size;
	if (body->has_partial) {
		from = MIN(body->offset, size);
		size = MIN(body->length, size - from);
	}
	if (done == 0) {
		imap_put_literal_start(f->x->out, size);
		f->x->session->counters.bodies++;
		f->x->session->counters.body_bytes += size;
	}
	message_crlf_init(&reader, message_span_bytes(f->at.body, &span), span.virtual_size);
	reader.is_nul_replaced = true;
	message_crlf_skip(&reader, from + done);
	while (done < size) {
		size_t n = message_crlf_read(
			&reader, f->x->out, (size_t)MIN(size - done, IMAP_BURST_BYTES));
		ASSERT(n > 0);
		done += n;
		TRY(check_burst(f, item, done));
	}
	return ERR_NONE;
}

/* WAITS. NUL is allowed in a literal8 alone (RFC 3516 §4.2). */
static enum err put_binary(struct fetch *f, size_t item, bool is_resumed)
{
	const struct imap_fetch_body *body = &f->what->bodies[item];
	struct str content;
	uint64_t done = already_put(f, item, is_resumed);
	if (body->name == IMAP_FETCH_NAME_BINARY_SIZE) {
		buf_put_u64_dec(f->x->out, f->at.binary_sizes[item]);
		return ERR_NONE;
	}
	TRY(binary_bytes(f, &body->section, &content)); /* it was possible before */
	content = cut_partial(body, content);
	if (done == 0) {
		if (content.n > 0 && memchr(content.p, '\0', content.n) != NULL)
			buf_put_byte(f->x->out, '~');
		imap_put_literal_start(f->x->out, content.n);
		f->x->session->counters.bodies++;
		f->x->session->counters.body_bytes += content.n;
	}
	return put_bytes(f, item, content, done);
}

enum err fetch_put_bodies(struct fetch *f, bool is_resumed)
{
	for (size_t i = is_resumed ? f->rest_item : 0; i < f->what->body_count; i++) {
		const struct imap_fetch_body *body = &f->what->bodies[i];
		if (already_put(f, i, is_resumed) == 0) {
			fetch_put_space(f);
			imap_put_fetch_name(f->x->out, body);
			buf_put_byte(f->x->out, ' ');
		}
		if (is_binary(body))
			TRY(put_binary(f, i, is_resumed));
		else if (is_field_list(&body->section))
			TRY(put_fields(f, i, is_resumed));
		else
			TRY(put_span(f, i, is_resumed));
	}
	return ERR_NONE;
}
