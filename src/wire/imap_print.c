/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_print.c - parsed arguments back to bytes: names of FETCH items in responses, and whole
 * arguments for clients and for the tests, which parse what is printed. */
#include "wire/imap_private.h"
#include "wire/imap_write.h"

static void put_sequence_number(struct buf *out, uint32_t n)
{
	if (n == 0)
		buf_put_byte(out, '*');
	else
		buf_put_u64_dec(out, n);
}

void imap_put_sequence_set(struct buf *out, const struct imap_sequence_set *set)
{
	if (set->is_saved_result)
		buf_put_byte(out, '$');
	for (size_t i = 0; i < set->count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		put_sequence_number(out, set->ranges[i].first);
		if (set->ranges[i].first == set->ranges[i].last)
			continue;
		buf_put_byte(out, ':');
		put_sequence_number(out, set->ranges[i].last);
	}
}

static struct str section_word(enum imap_section_kind kind)
{
	switch (kind) {
	case IMAP_SECTION_WHOLE:
		return STR("");
	case IMAP_SECTION_HEADER:
		return STR("HEADER");
	case IMAP_SECTION_HEADER_FIELDS:
		return STR("HEADER.FIELDS");
	case IMAP_SECTION_HEADER_FIELDS_NOT:
		return STR("HEADER.FIELDS.NOT");
	case IMAP_SECTION_TEXT:
		return STR("TEXT");
	case IMAP_SECTION_MIME:
		return STR("MIME");
	}
	UNREACHABLE();
}

static void put_field_name(struct buf *out, struct str field)
{
	AUTO_BUF(upper, 0);
	for (size_t i = 0; i < field.n; i++)
		buf_put_byte(&upper, ascii_upper(field.p[i]));
	imap_put_astring(out, buf_str(&upper));
}

void imap_put_section(struct buf *out, const struct imap_section *section)
{
	struct str word = section->is_zero ? STR("0") : section_word(section->kind);
	for (size_t i = 0; i < section->part_count; i++) {
		if (i > 0)
			buf_put_byte(out, '.');
		buf_put_u64_dec(out, section->parts[i]);
	}
	if (section->part_count > 0 && word.n > 0)
		buf_put_byte(out, '.');
	buf_put(out, word);
	if (section->field_count == 0)
		return;
	for (size_t i = 0; i < section->field_count; i++) {
		buf_put(out, i == 0 ? STR(" (") : STR(" "));
		put_field_name(out, section->fields[i]);
	}
	buf_put_byte(out, ')');
}

static void put_fetch_body(struct buf *out, const struct imap_fetch_body *body, bool is_request)
{
	switch (body->name) {
	case IMAP_FETCH_NAME_RFC822:
		buf_put(out, STR("RFC822"));
		return;
	case IMAP_FETCH_NAME_RFC822_HEADER:
		buf_put(out, STR("RFC822.HEADER"));
		return;
	case IMAP_FETCH_NAME_RFC822_TEXT:
		buf_put(out, STR("RFC822.TEXT"));
		return;
	case IMAP_FETCH_NAME_BINARY:
		buf_put(out, is_request && body->is_peek ? STR("BINARY.PEEK[") : STR("BINARY["));
		break;
	case IMAP_FETCH_NAME_BINARY_SIZE:
		buf_put(out, STR("BINARY.SIZE["));
		break;
	case IMAP_FETCH_NAME_BODY:
		buf_put(out, is_request && body->is_peek ? STR("BODY.PEEK[") : STR("BODY["));
		break;
	}
	imap_put_section(out, &body->section);
	buf_put_byte(out, ']');
	if (!body->has_partial)
		return;
	buf_put_byte(out, '<');
	buf_put_u64_dec(out, body->offset);
	if (is_request) {
		buf_put_byte(out, '.');
		buf_put_u64_dec(out, body->length);
	}
	buf_put_byte(out, '>');
}

void imap_put_fetch_name(struct buf *out, const struct imap_fetch_body *body)
{
	put_fetch_body(out, body, false);
}

void imap_put_fetch_args(struct buf *out, const struct imap_fetch *fetch)
{
	imap_put_sequence_set(out, &fetch->set);
	buf_put(out, STR(" ("));
	imap_word_put_all(out, imap_fetch_items, fetch->items);
	for (size_t i = 0; i < fetch->body_count; i++) {
		if (i > 0 || fetch->items != 0)
			buf_put_byte(out, ' ');
		put_fetch_body(out, &fetch->bodies[i], true);
	}
	buf_put_byte(out, ')');
	if (fetch->has_changed_since)
		buf_putf(out, " (CHANGEDSINCE %" PRIu64 "%s)", fetch->changed_since,
			fetch->wants_vanished ? " VANISHED" : "");
}

/* d-Mon-yyyy */
static void put_date(struct buf *out, int32_t days)
{
	int year, month, day;
	imap_date_from_day(days, &year, &month, &day);
	buf_putf(out, "%d-%s-%04d", day, imap_month_names[month - 1], year);
}

static const struct imap_search_word *key_word(const struct imap_search_key *key)
{
	const struct imap_search_word *w = imap_search_words;
	for (; w->name.n > 0; w++) {
		bool is_field =
			w->arg == IMAP_SEARCH_ARG_FIELD_TEXT || str_eq(w->field, key->field);
		if (w->kind == key->kind && w->flags_set == key->flags_set &&
			w->flags_unset == key->flags_unset && is_field)
			return w;
	}
	UNREACHABLE();
}

static void put_leaf(struct buf *out, const struct imap_search_key *key)
{
	if (key->kind == IMAP_SEARCH_SEQUENCE) {
		imap_put_sequence_set(out, &key->set);
		return;
	}
	const struct imap_search_word *w = key_word(key);
	buf_put(out, w->name);
	if (w->arg != IMAP_SEARCH_ARG_NONE)
		buf_put_byte(out, ' ');
	switch (w->arg) {
	case IMAP_SEARCH_ARG_NONE:
		break;
	case IMAP_SEARCH_ARG_FIELD_TEXT:
		imap_put_astring(out, key->field);
		buf_put_byte(out, ' ');
		imap_put_astring(out, key->text);
		break;
	case IMAP_SEARCH_ARG_ATOM:
		buf_put(out, key->text);
		break;
	case IMAP_SEARCH_ARG_TEXT:
		imap_put_astring(out, key->text);
		break;
	case IMAP_SEARCH_ARG_DATE:
		put_date(out, key->day);
		break;
	case IMAP_SEARCH_ARG_NUMBER:
	case IMAP_SEARCH_ARG_SECONDS:
	case IMAP_SEARCH_ARG_MODSEQ:
		buf_put_u64_dec(out, key->number);
		break;
	case IMAP_SEARCH_ARG_SET:
		imap_put_sequence_set(out, &key->set);
		break;
	}
}

static uint32_t child_count(const struct imap_search *search, uint32_t at)
{
	uint32_t count = 0;
	for (uint32_t i = at + 1; i < search->keys[at].end; i = search->keys[i].end)
		count++;
	return count;
}

/* Prefix order is what the grammar wants; only parentheses need to know where they close. */
void imap_put_search_args(struct buf *out, const struct imap_search *search)
{
	uint32_t closes[IMAP_SEARCH_DEPTH_MAX];
	size_t depth = 0;
	const char *space = "";
	for (uint32_t i = 1; i < search->key_count; i++) {
		const struct imap_search_key *key = &search->keys[i];
		buf_put(out, str_from(space));
		space = " ";
		switch ((int)key->kind) {
		case IMAP_SEARCH_ALL_OF:
			ASSERT(depth < IMAP_SEARCH_DEPTH_MAX && key->end > i + 1);
			buf_put_byte(out, '(');
			space = "";
			closes[depth++] = key->end;
			break;
		case IMAP_SEARCH_NOT:
			buf_put(out, STR("NOT"));
			break;
		case IMAP_SEARCH_ANY_OF:
			for (uint32_t n = child_count(search, i); n > 1; n--)
				buf_put(out, n > 2 ? STR("OR ") : STR("OR"));
			break;
		default:
			put_leaf(out, key);
		}
		for (; depth > 0 && closes[depth - 1] == i + 1; depth--)
			buf_put_byte(out, ')');
	}
}
