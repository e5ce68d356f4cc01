/* SPDX-License-Identifier: Apache-2.0 */
/* message/summary.c - the record of docs/formats/summary.md.
 *
 * Invariants of the decoder: (1) nothing is read beyond the given bytes; (2) a part lies inside its
 * parent and the mail, so offsets from a stored tree are as safe as those of the parser; (3) the depth
 * and number of parts are limited like the parser's. */
#include "message/summary.h"

#include <stdlib.h>

#include "base/number.h"
#include "message/date.h"
#include "message/header.h"
#include "message/imap_form.h"

enum { FLAG_SENT_DATE = 1, FLAG_NUL = 2, FLAG_FIELDS = 4, FLAGS_ALL = 7 };
enum { PART_KIND_MASK = 3, PART_ENCODING_SHIFT = 2, PART_TEXT = 16, PART_LINE_OPEN = 32 };

/* Sorted, lower case. To add a name: put it here; old summaries lack it, so also raise
 * MESSAGE_SUMMARY_VERSION. */
static const struct str kept_fields[] = {
	{ "auto-submitted", 14 },
	{ "bcc", 3 },
	{ "cc", 2 },
	{ "chat-version", 12 },
	{ "content-language", 16 },
	{ "content-transfer-encoding", 25 },
	{ "content-type", 12 },
	{ "date", 4 },
	{ "disposition-notification-to", 27 },
	{ "from", 4 },
	{ "importance", 10 },
	{ "in-reply-to", 11 },
	{ "list-id", 7 },
	{ "list-post", 9 },
	{ "list-unsubscribe", 16 },
	{ "message-id", 10 },
	{ "mime-version", 12 },
	{ "newsgroups", 10 },
	{ "priority", 8 },
	{ "references", 10 },
	{ "reply-to", 8 },
	{ "sender", 6 },
	{ "subject", 7 },
	{ "to", 2 },
	{ "user-agent", 10 },
	{ "x-mailer", 8 },
	{ "x-open-xchange-share-url", 24 },
	{ "x-priority", 10 },
	{ "x-uniform-type-identifier", 25 },
	{ "x-universally-unique-identifier", 31 },
};

static int field_compare(const void *a, const void *b)
{
	return str_cmp_ci(*(const struct str *)a, *(const struct str *)b);
}

bool message_summary_keeps_field(struct str name)
{
	return bsearch(&name, kept_fields, ARRAY_COUNT(kept_fields), sizeof(kept_fields[0]),
		       field_compare) != NULL;
}

static void column_put(struct buf *out, const struct buf *column)
{
	number_put_varint(out, column->n);
	buf_put(out, buf_str(column));
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void span_put(struct buf *out, const struct message_span *span)
{
	number_put_varint(out, span->size);
	number_put_varint(out, span->virtual_size - span->size);
	number_put_varint(out, span->lines);
}

static void part_put(struct buf *out, const struct message_tree *tree, uint32_t idx)
{
	const struct message_part *part = &tree->parts[idx];
	unsigned bits = (unsigned)part->kind | (unsigned)part->encoding << PART_ENCODING_SHIFT;

	bits |= part->is_text ? PART_TEXT : 0;
	bits |= part->is_last_line_open ? PART_LINE_OPEN : 0;
	buf_put_byte(out, (char)bits);
	if (idx > 0) {
		number_put_varint(out, idx - part->parent);
		number_put_varint(out, part->header.offset - tree->parts[part->parent].body.offset);
	}
	span_put(out, &part->header);
	span_put(out, &part->body);
}

static void parts_put(struct buf *out, const struct message_tree *tree)
{
	number_put_varint(out, tree->count);
	number_put_varint(out, tree->whole.lines);
	for (uint32_t i = 0; i < tree->count; i++)
		part_put(out, tree, i);
}

static bool sent_date_find(struct str header, struct message_date *out)
{
	struct message_field field;

	return message_field_find(header, STR("Date"), &field) &&
	       message_date_parse(field.value, out);
}

static void fields_collect(struct buf *out, struct str header)
{
	AUTO_ARENA(scratch, 0);

	/* More than that is not kept at all. */
	message_header_subset_until(out, header, kept_fields, ARRAY_COUNT(kept_fields), false,
		MESSAGE_SUMMARY_FIELDS_MAX, &scratch);
}

void message_summary_encode(struct buf *out, struct str mail, const struct message_tree *tree)
{
	struct str header = message_span_bytes(mail, &tree->parts[0].header);
	struct message_date date = { 0 };
	AUTO_BUF(fields, 0);
	AUTO_BUF(column, 0);

	bool has_date = sent_date_find(header, &date);
	fields_collect(&fields, header);
	bool has_fields = fields.n <= MESSAGE_SUMMARY_FIELDS_MAX;
	buf_put_byte(out, MESSAGE_SUMMARY_VERSION);
	buf_put_byte(out, (char)((has_date ? FLAG_SENT_DATE : 0) | (tree->has_nul ? FLAG_NUL : 0) |
				  (has_fields ? FLAG_FIELDS : 0)));
	number_put_varint(out, tree->whole.size);
	number_put_varint(out, tree->whole.virtual_size - tree->whole.size);
	number_put_varint(out, zigzag(date.wall_s));
	number_put_varint(out, zigzag(date.zone_min));
	message_envelope_put(&column, header);
	column_put(out, &column);
	buf_clear(&column);
	message_bodystructure_put(&column, mail, tree, true);
	column_put(out, &column);
	buf_clear(&column);
	message_bodystructure_put(&column, mail, tree, false);
	column_put(out, &column);
	buf_clear(&column);
	parts_put(&column, tree);
	column_put(out, &column);
	if (!has_fields)
		buf_clear(&fields);
	column_put(out, &fields);
	buf_clear(&column);
	message_preview_put(&column, mail, tree);
	column_put(out, &column);
}

static bool column_cut(struct str *rest, struct str *out)
{
	uint64_t n;

	if (!number_cut_varint(rest, &n) || n > rest->n)
		return false;
	*out = str_take(rest, (size_t)n);
	return true;
}

enum err message_summary_decode(struct str bytes, struct message_summary *out)
{
	struct message_summary s = { 0 };
	uint64_t bare, sent, zone;

	if (bytes.n < 2)
		return ERR_CORRUPT;
	struct str head = str_take(&bytes, 2);
	if (head.p[0] != MESSAGE_SUMMARY_VERSION)
		return ERR_UNSUPPORTED;
	unsigned flags = (unsigned char)head.p[1];
	bool is_valid = number_cut_varint(&bytes, &s.physical_size) &&
			number_cut_varint(&bytes, &bare) && number_cut_varint(&bytes, &sent) &&
			number_cut_varint(&bytes, &zone) && column_cut(&bytes, &s.envelope) &&
			column_cut(&bytes, &s.bodystructure) && column_cut(&bytes, &s.body) &&
			column_cut(&bytes, &s.parts) && column_cut(&bytes, &s.fields) &&
			column_cut(&bytes, &s.preview);
	if (!is_valid || bytes.n > 0 || flags > FLAGS_ALL || bare > s.physical_size ||
		s.physical_size > INT64_MAX || zone > INT16_MAX)
		return ERR_CORRUPT;
	s.virtual_size = s.physical_size + bare;
	s.has_sent_date = flags & FLAG_SENT_DATE;
	s.has_nul = flags & FLAG_NUL;
	s.has_fields = flags & FLAG_FIELDS;
	s.sent_wall_s = unzigzag(sent);
	s.sent_zone_min = (int)unzigzag(zone);
	*out = s;
	return ERR_NONE;
}

/* Reads sizes; false if the span does not lie in `room` bytes from its offset. */
static bool span_cut(struct str *rest, uint64_t room, struct message_span *span)
{
	uint64_t bare;

	if (!number_cut_varint(rest, &span->size) || !number_cut_varint(rest, &bare) ||
		!number_cut_varint(rest, &span->lines))
		return false;
	if (span->size > room || bare > span->lines || span->lines > span->size)
		return false;
	span->virtual_size = span->size + bare;
	return true;
}

/* Where part `idx` stands in the tree: its parent must still be open. */
static bool parent_cut(
	struct str *rest, struct message_tree *tree, uint32_t idx, struct message_part *part)
{
	uint64_t back, offset;

	if (!number_cut_varint(rest, &back) || !number_cut_varint(rest, &offset) || back == 0 ||
		back > idx)
		return false;
	part->parent = idx - (uint32_t)back;
	struct message_part *parent = &tree->parts[part->parent];
	if (offset > parent->body.size || parent->kind == MESSAGE_LEAF ||
		(parent->kind == MESSAGE_EMBEDDED && parent->child_count > 0) ||
		(parent->child_count > 0 && parent->end != idx) ||
		(parent->child_count == 0 && part->parent + 1 != idx))
		return false;
	part->depth = parent->depth + 1;
	part->header.offset = parent->body.offset + offset;
	parent->child_count++;
	return part->depth <= MESSAGE_DEPTH_MAX;
}

/* The new part ends, so far, all its ancestors. */
static void ends_raise(struct message_tree *tree, uint32_t idx)
{
	tree->parts[idx].end = idx + 1;
	for (uint32_t at = tree->parts[idx].parent; at != MESSAGE_NO_PART;
		at = tree->parts[at].parent)
		tree->parts[at].end = idx + 1;
}

static bool part_cut(struct str *rest, struct message_tree *tree, uint64_t mail_size, uint32_t idx)
{
	struct message_part *part = &tree->parts[idx];
	unsigned bits = rest->n > 0 ? (unsigned char)*rest->p : UINT8_MAX;

	(void)str_take(rest, 1);
	if (bits > (PART_LINE_OPEN | (PART_LINE_OPEN - 1)) ||
		(bits & PART_KIND_MASK) > MESSAGE_EMBEDDED)
		return false;
	part->kind = (enum message_kind)(bits & PART_KIND_MASK);
	part->encoding = (enum message_encoding)(bits >> PART_ENCODING_SHIFT & 3);
	part->is_text = bits & PART_TEXT;
	part->is_last_line_open = bits & PART_LINE_OPEN;
	part->parent = MESSAGE_NO_PART;
	if (idx > 0 && !parent_cut(rest, tree, idx, part))
		return false;
	uint64_t end = mail_size;
	if (idx > 0)
		end = tree->parts[part->parent].body.offset + tree->parts[part->parent].body.size;
	if (!span_cut(rest, end - part->header.offset, &part->header))
		return false;
	part->body.offset = part->header.offset + part->header.size;
	if (!span_cut(rest, end - part->body.offset, &part->body))
		return false;
	ends_raise(tree, idx);
	return true;
}

enum err message_summary_tree(
	struct arena *arena, const struct message_summary *summary, struct message_tree *out)
{
	struct str rest = summary->parts;
	struct message_tree tree = { .has_nul = summary->has_nul };
	uint64_t count;

	tree.whole.size = summary->physical_size;
	tree.whole.virtual_size = summary->virtual_size;
	if (!number_cut_varint(&rest, &count) || count == 0 || count > MESSAGE_PARTS_MAX ||
		count > rest.n || !number_cut_varint(&rest, &tree.whole.lines) ||
		tree.whole.lines > tree.whole.size)
		return ERR_CORRUPT;
	if (!arena_has_room(arena, count * sizeof(*tree.parts)))
		return ERR_LIMIT;
	tree.parts = ARENA_NEW_ARRAY(arena, struct message_part, count);
	for (; tree.count < count; tree.count++)
		if (!part_cut(&rest, &tree, summary->physical_size, tree.count))
			return ERR_CORRUPT;
	for (uint32_t i = 0; i < tree.count; i++)
		if (tree.parts[i].kind == MESSAGE_EMBEDDED && tree.parts[i].child_count == 0)
			return ERR_CORRUPT;
	if (rest.n > 0)
		return ERR_CORRUPT;
	*out = tree;
	return ERR_NONE;
}
