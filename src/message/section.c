/* SPDX-License-Identifier: Apache-2.0 */
/* message/section.c - IMAP section numbers to parts and bytes.
 *
 * The numbering (RFC 3501 §6.4.5): a mail whose body is a multipart lends its numbers to the children;
 * any other mail has one part, number 1, which is its own body. An embedded mail is numbered like a
 * mail, below the number of the part that holds it. */
#include "message/message.h"

#include "base/number.h"

struct str message_span_bytes(struct str mail, const struct message_span *span)
{
	size_t from = (size_t)MIN(span->offset, mail.n);
	size_t size = (size_t)MIN(span->size, mail.n - from);

	return (struct str){ mail.p ? mail.p + from : NULL, size };
}

uint64_t message_part_body_lines(const struct message_part *part)
{
	return part->body.lines + (part->is_last_line_open ? 1 : 0);
}

static bool child_find(
	const struct message_tree *tree, uint32_t parent, uint32_t number, uint32_t *out)
{
	if (number == 0 || number > tree->parts[parent].child_count)
		return false;
	uint32_t child = parent + 1;
	while (--number > 0)
		child = tree->parts[child].end;
	*out = child;
	return true;
}

/* One number down from *at; is_mail: *at stands for a mail, not for one of its parts. */
static bool number_follow(
	const struct message_tree *tree, uint32_t number, bool is_mail, uint32_t *at)
{
	enum message_kind kind = tree->parts[*at].kind;

	if (!is_mail && kind == MESSAGE_EMBEDDED) {
		*at += 1; /* the inner mail */
		kind = tree->parts[*at].kind;
		is_mail = true;
	}
	if (kind == MESSAGE_MULTIPART)
		return child_find(tree, *at, number, at);
	return is_mail && number == 1;
}

/* Takes the numbers off the front of *section. *is_zero: they ended with the old ".0". */
static enum err numbers_follow(
	const struct message_tree *tree, struct str *section, uint32_t *at, bool *is_zero)
{
	bool is_mail = true, is_there = true;
	uint32_t number;

	*at = 0;
	*is_zero = false;
	while (section->n > 0 && ascii_is_digit(*section->p)) {
		if (!number_cut_u32(section, &number) || *is_zero)
			return ERR_INVALID;
		if (number == 0)
			*is_zero = true;
		else if (is_there)
			is_there = number_follow(tree, number, is_mail, at);
		is_mail = false;
		if (section->n > 0 && (!str_skip(section, STR(".")) || section->n == 0))
			return ERR_INVALID;
	}
	return is_there ? ERR_NONE : ERR_NOT_FOUND;
}

enum err message_section_part(const struct message_tree *tree, struct str section, uint32_t *out)
{
	bool is_zero;
	uint32_t at;
	enum err e = numbers_follow(tree, &section, &at, &is_zero);

	if (section.n > 0 || is_zero)
		return ERR_INVALID;
	if (e == ERR_NONE)
		*out = at;
	return e;
}

enum err message_section_find(
	const struct message_tree *tree, struct str section, struct message_span *out)
{
	bool has_numbers = section.n > 0 && ascii_is_digit(*section.p);
	bool is_zero;
	uint32_t at;
	enum err e = numbers_follow(tree, &section, &at, &is_zero);

	if (e == ERR_INVALID || (is_zero && section.n > 0))
		return ERR_INVALID;
	bool is_mime = has_numbers && str_eq_ci(section, STR("MIME"));
	bool is_header = is_zero || str_eq_ci(section, STR("HEADER"));
	bool is_text = str_eq_ci(section, STR("TEXT"));
	if (section.n > 0 && !is_mime && !is_header && !is_text)
		return ERR_INVALID;
	TRY(e);
	/* HEADER and TEXT speak of a mail: the whole one, or the one embedded in a part. "0" too. */
	bool is_of_part = has_numbers && !(is_zero && at == 0);
	if ((is_header || is_text) && is_of_part) {
		if (tree->parts[at].kind != MESSAGE_EMBEDDED)
			return ERR_NOT_FOUND;
		at++;
	}
	if (!has_numbers && section.n == 0)
		*out = tree->whole;
	else
		*out = is_mime || is_header ? tree->parts[at].header : tree->parts[at].body;
	return ERR_NONE;
}
