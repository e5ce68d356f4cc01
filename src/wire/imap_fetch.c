/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_fetch.c - the arguments of FETCH.
 *
 * Spec: RFC 3501 §6.4.5, §9; RFC 3516 (BINARY), 8474 (EMAILID); RFC 7162 §3.1.4 (MODSEQ, CHANGEDSINCE), §3.2.6.
 * To extend: an item without arguments is a row in imap_fetch_items; one with a section or the like gets a
 * case in cut_item(). */
#include "base/number.h"
#include "wire/imap_command.h"
#include "wire/imap_private.h"

const struct imap_word imap_fetch_items[] = {
	{ STR("UID"), IMAP_FETCH_UID },
	{ STR("FLAGS"), IMAP_FETCH_FLAGS },
	{ STR("INTERNALDATE"), IMAP_FETCH_INTERNALDATE },
	{ STR("RFC822.SIZE"), IMAP_FETCH_RFC822_SIZE },
	{ STR("MODSEQ"), IMAP_FETCH_MODSEQ },
	{ STR("ENVELOPE"), IMAP_FETCH_ENVELOPE },
	{ STR("BODY"), IMAP_FETCH_BODY },
	{ STR("BODYSTRUCTURE"), IMAP_FETCH_BODYSTRUCTURE },
	{ STR("EMAILID"), IMAP_FETCH_EMAILID },
	{ STR("THREADID"), IMAP_FETCH_THREADID },
	{ STR_NONE, 0 },
};

#define FAST (IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_RFC822_SIZE)

/* They stand alone, never in a list. */
static const struct imap_word macros[] = {
	{ STR("FAST"), FAST },
	{ STR("ALL"), FAST | IMAP_FETCH_ENVELOPE },
	{ STR("FULL"), FAST | IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY },
	{ STR_NONE, 0 },
};

static bool is_item_char(char b)
{
	return ascii_is_alpha(b) || ascii_is_digit(b) || b == '.' || b == '-';
}

/* Cuts up to the "[" that belongs to no atom here. */
static struct str cut_item_name(struct imap_cursor *c)
{
	size_t n = 0;
	while (n < c->rest.n && is_item_char(c->rest.p[n]))
		n++;
	return str_take(&c->rest, n);
}

static enum err cut_header_fields(struct imap_cursor *c, struct imap_section *section)
{
	TRY(imap_cut_space(c));
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		struct str field;
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(imap_cut_astring(c, &field));
		section->fields =
			imap_array_grow(c, section->fields, section->field_count, sizeof(field));
		if (!section->fields)
			return ERR_LIMIT;
		section->fields[section->field_count++] = field;
	}
	if (section->field_count == 0)
		return imap_cursor_fail(c, ERR_INVALID, "Empty list of header fields.");
	return ERR_NONE;
}

/* "1.2." in front of the section's text. Part number 0 is the old name of the header and is last. */
static enum err cut_parts(struct imap_cursor *c, struct imap_section *section, bool *out_may_text)
{
	*out_may_text = true;
	while (c->rest.n > 0 && ascii_is_digit(c->rest.p[0])) {
		uint32_t part;
		TRY(imap_cut_number(c, &part));
		*out_may_text = false;
		if (part == 0) {
			section->is_zero = true;
			section->kind = IMAP_SECTION_HEADER;
			return ERR_NONE;
		}
		if (section->part_count == IMAP_SECTION_DEPTH_MAX)
			return imap_cursor_fail(c, ERR_LIMIT, "Too deep section.");
		section->parts =
			imap_array_grow(c, section->parts, section->part_count, sizeof(part));
		if (!section->parts)
			return ERR_LIMIT;
		section->parts[section->part_count++] = part;
		if (!imap_skip(c, '.'))
			return ERR_NONE;
		*out_may_text = true;
	}
	return ERR_NONE;
}

enum err imap_cut_section(struct imap_cursor *c, struct imap_section *out)
{
	static const char bad[] = "Invalid BODY[] section.";
	struct imap_section s = { .kind = IMAP_SECTION_WHOLE };
	bool may_text;
	TRY(imap_cut_byte(c, '['));
	TRY(cut_parts(c, &s, &may_text));
	struct str text = cut_item_name(c);
	if (!may_text && text.n > 0)
		return imap_cursor_fail(c, ERR_INVALID, bad);
	if (may_text && text.n == 0 && s.part_count > 0)
		return imap_cursor_fail(c, ERR_INVALID, bad); /* "1." */
	if (str_eq_ci(text, STR("HEADER")))
		s.kind = IMAP_SECTION_HEADER;
	else if (str_eq_ci(text, STR("TEXT")))
		s.kind = IMAP_SECTION_TEXT;
	else if (str_eq_ci(text, STR("MIME")) && s.part_count > 0)
		s.kind = IMAP_SECTION_MIME;
	else if (str_eq_ci(text, STR("HEADER.FIELDS")))
		s.kind = IMAP_SECTION_HEADER_FIELDS;
	else if (str_eq_ci(text, STR("HEADER.FIELDS.NOT")))
		s.kind = IMAP_SECTION_HEADER_FIELDS_NOT;
	else if (text.n > 0)
		return imap_cursor_fail_word(c, ERR_INVALID, bad, text);
	if (s.kind == IMAP_SECTION_HEADER_FIELDS || s.kind == IMAP_SECTION_HEADER_FIELDS_NOT)
		TRY(cut_header_fields(c, &s));
	if (!imap_skip(c, ']'))
		return imap_cursor_fail(c, ERR_INVALID, bad);
	*out = s;
	return ERR_NONE;
}

/* "<offset.length>" */
static enum err cut_partial(struct imap_cursor *c, struct imap_fetch_body *body)
{
	if (!imap_skip(c, '<'))
		return ERR_NONE;
	TRY(imap_cut_number(c, &body->offset));
	TRY(imap_cut_byte(c, '.'));
	TRY(imap_cut_nz_number(c, &body->length));
	body->has_partial = true;
	return imap_cut_byte(c, '>');
}

static enum err fetch_add_body(
	struct imap_cursor *c, struct imap_fetch *fetch, struct imap_fetch_body body)
{
	if (fetch->body_count == IMAP_FETCH_BODIES_MAX)
		return imap_cursor_fail(c, ERR_LIMIT, "Too many FETCH items.");
	fetch->bodies = imap_array_grow(c, fetch->bodies, fetch->body_count, sizeof(body));
	if (!fetch->bodies)
		return ERR_LIMIT;
	fetch->bodies[fetch->body_count++] = body;
	return ERR_NONE;
}

/* "BINARY[1.2]<0.10>", "BINARY.PEEK[1]", "BINARY.SIZE[1]": parts alone (RFC 3516 §4.2). */
static enum err cut_binary(struct imap_cursor *c, struct imap_fetch *fetch, struct str name)
{
	struct imap_fetch_body body = { .name = IMAP_FETCH_NAME_BINARY };
	if (str_eq_ci(name, STR("BINARY.SIZE")))
		body.name = IMAP_FETCH_NAME_BINARY_SIZE;
	else if (!str_eq_ci(name, STR("BINARY")) && !str_eq_ci(name, STR("BINARY.PEEK")))
		return imap_cursor_fail_word(c, ERR_INVALID, "Unknown FETCH item", name);
	body.is_peek = !str_eq_ci(name, STR("BINARY"));
	TRY(imap_cut_section(c, &body.section));
	if (body.section.kind != IMAP_SECTION_WHOLE)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid BINARY[] section.");
	if (body.name == IMAP_FETCH_NAME_BINARY)
		TRY(cut_partial(c, &body));
	return fetch_add_body(c, fetch, body);
}

static enum err cut_item(struct imap_cursor *c, struct imap_fetch *fetch)
{
	struct imap_fetch_body body = { .name = IMAP_FETCH_NAME_BODY };
	struct str name = cut_item_name(c);
	uint32_t item = imap_word_find(imap_fetch_items, name);
	if (imap_is_next(c, '[')) {
		if (str_starts_ci(name, STR("BINARY")))
			return cut_binary(c, fetch, name);
		body.is_peek = str_eq_ci(name, STR("BODY.PEEK"));
		if (!body.is_peek && item != IMAP_FETCH_BODY)
			return imap_cursor_fail_word(c, ERR_INVALID, "Unknown FETCH item", name);
		TRY(imap_cut_section(c, &body.section));
		TRY(cut_partial(c, &body));
		return fetch_add_body(c, fetch, body);
	}
	if (item != 0) {
		fetch->items |= item;
		return ERR_NONE;
	}
	if (str_eq_ci(name, STR("RFC822"))) {
		body.name = IMAP_FETCH_NAME_RFC822;
	} else if (str_eq_ci(name, STR("RFC822.TEXT"))) {
		body.name = IMAP_FETCH_NAME_RFC822_TEXT;
		body.section.kind = IMAP_SECTION_TEXT;
	} else if (str_eq_ci(name, STR("RFC822.HEADER"))) {
		body.name = IMAP_FETCH_NAME_RFC822_HEADER;
		body.section.kind = IMAP_SECTION_HEADER;
		body.is_peek = true;
	} else {
		return imap_cursor_fail_word(c, ERR_INVALID, "Unknown FETCH item", name);
	}
	return fetch_add_body(c, fetch, body);
}

static enum err cut_items(struct imap_cursor *c, struct imap_fetch *fetch)
{
	if (!imap_skip(c, '(')) {
		struct str rest = c->rest;
		uint32_t macro = imap_word_find(macros, cut_item_name(c));
		if (macro != 0 && !imap_is_next(c, '[')) {
			fetch->items = macro;
			return ERR_NONE;
		}
		c->rest = rest;
		return cut_item(c, fetch);
	}
	if (imap_is_next(c, ')'))
		return imap_cursor_fail(c, ERR_INVALID, "FETCH list is empty.");
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			return ERR_NONE;
		TRY(cut_item(c, fetch));
	}
}

/* "(CHANGEDSINCE n VANISHED)", in any order */
static enum err cut_modifiers(struct imap_cursor *c, struct imap_fetch *fetch)
{
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		if (imap_skip_word(c, STR("VANISHED"))) {
			fetch->wants_vanished = true;
			continue;
		}
		if (!imap_skip_word(c, STR("CHANGEDSINCE")))
			return imap_cursor_fail(c, ERR_INVALID, "Unknown FETCH modifier.");
		TRY(imap_cut_space(c));
		TRY(imap_cut_number64(c, &fetch->changed_since));
		fetch->has_changed_since = true;
	}
	if (fetch->wants_vanished && !fetch->has_changed_since)
		return imap_cursor_fail(c, ERR_INVALID, "VANISHED needs CHANGEDSINCE.");
	return ERR_NONE;
}

enum err imap_parse_fetch(struct imap_cursor *c, struct imap_fetch *out)
{
	struct imap_fetch fetch = { .items = 0 };
	TRY(imap_cut_space(c));
	TRY(imap_cut_sequence_set(c, &fetch.set));
	TRY(imap_cut_space(c));
	TRY(cut_items(c, &fetch));
	if (imap_skip(c, ' '))
		TRY(cut_modifiers(c, &fetch));
	TRY(imap_cut_end(c));
	*out = fetch;
	return ERR_NONE;
}
