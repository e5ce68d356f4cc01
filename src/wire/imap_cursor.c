/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_cursor.c - the tokens of the IMAP grammar.
 *
 * Spec: RFC 3501 §9; bytes above 127 are refused in atoms and taken in quoted strings, as clients
 * send them in passwords. */
#include "wire/imap_cursor.h"

#include "base/number.h"
#include "base/unicode.h"
#include "wire/imap_frame.h"
#include "wire/imap_private.h"

void imap_cursor_init(struct imap_cursor *c, struct arena *arena, struct str text)
{
	if (str_ends(text, STR("\n")))
		text.n--;
	if (str_ends(text, STR("\r")))
		text.n--;
	*c = (struct imap_cursor){ .rest = text, .arena = arena };
}

enum err imap_cursor_fail(struct imap_cursor *c, enum err class, const char *text)
{
	if (!c->error)
		c->error = text;
	return class;
}

enum err imap_cursor_fail_word(
	struct imap_cursor *c, enum err class, const char *text, struct str word)
{
	enum { SHOWN_MAX = 80 };
	if (c->error)
		return class;
	AUTO_BUF(b, 0);
	buf_putf(&b, "%s: ", text);
	for (size_t i = 0; i < word.n && i < SHOWN_MAX; i++)
		buf_put_byte(&b, word.p[i] >= ' ' && word.p[i] < 0x7f ? word.p[i] : '?');
	buf_put_byte(&b, '\0');
	char *copy = imap_alloc(c, b.n);
	if (copy) {
		memcpy(copy, b.p, b.n);
		c->error = copy;
	}
	return class;
}

void *imap_alloc(struct imap_cursor *c, size_t bytes)
{
	if (!arena_has_room(c->arena, bytes)) {
		c->error = "Command needs too much memory.";
		return NULL;
	}
	return arena_alloc(c->arena, bytes);
}

void *imap_array_grow(struct imap_cursor *c, void *array, size_t count, size_t element_bytes)
{
	enum { CAP_MIN = 4 };
	bool is_power = (count & (count - 1)) == 0;
	if (count != 0 && (count < CAP_MIN || !is_power))
		return array;
	size_t cap = count == 0 ? CAP_MIN : 2 * count;
	if (!arena_has_room(c->arena, cap * element_bytes)) {
		c->error = "Command needs too much memory.";
		return NULL;
	}
	return arena_grow(c->arena, array, count * element_bytes, cap * element_bytes);
}

bool imap_is_atom_char(char b)
{
	return b > ' ' && b < 0x7f && !memchr("(){%*\"\\]", b, 8);
}

bool imap_is_astring_char(char b)
{
	return imap_is_atom_char(b) || b == ']';
}

bool imap_is_list_char(char b)
{
	return imap_is_astring_char(b) || b == '%' || b == '*';
}

bool imap_at_end(const struct imap_cursor *c)
{
	return c->rest.n == 0;
}

bool imap_is_next(const struct imap_cursor *c, char byte)
{
	return c->rest.n > 0 && c->rest.p[0] == byte;
}

bool imap_skip(struct imap_cursor *c, char byte)
{
	if (!imap_is_next(c, byte))
		return false;
	(void)str_take(&c->rest, 1);
	return true;
}

bool imap_skip_word(struct imap_cursor *c, struct str word)
{
	struct str rest = c->rest;
	if (!str_skip_ci(&rest, word) || (rest.n > 0 && imap_is_atom_char(rest.p[0])))
		return false;
	c->rest = rest;
	return true;
}

enum err imap_cut_end(struct imap_cursor *c)
{
	if (imap_at_end(c))
		return ERR_NONE;
	return imap_cursor_fail(c, ERR_INVALID, "Too many arguments.");
}

enum err imap_cut_space(struct imap_cursor *c)
{
	if (imap_skip(c, ' '))
		return ERR_NONE;
	return imap_cursor_fail(
		c, ERR_INVALID, imap_at_end(c) ? "Missing arguments." : "Missing space.");
}

enum err imap_cut_byte(struct imap_cursor *c, char byte)
{
	if (imap_skip(c, byte))
		return ERR_NONE;
	return imap_cursor_fail(c, ERR_INVALID,
		byte == '('   ? "Missing '('."
		: byte == ')' ? "Missing ')'."
			      : "Invalid arguments.");
}

/* The longest run of bytes of one class, at least one. */
static enum err cut_run(
	struct imap_cursor *c, bool (*is_in)(char), const char *missing, struct str *out)
{
	size_t n = 0;
	while (n < c->rest.n && is_in(c->rest.p[n]))
		n++;
	if (n == 0)
		return imap_cursor_fail(
			c, ERR_INVALID, imap_at_end(c) ? "Missing arguments." : missing);
	*out = str_take(&c->rest, n);
	return ERR_NONE;
}

static bool is_tag_char(char b)
{
	return imap_is_astring_char(b) && b != '+';
}

enum err imap_cut_tag(struct imap_cursor *c, struct str *out)
{
	return cut_run(c, is_tag_char, "Invalid tag.", out);
}

enum err imap_cut_atom(struct imap_cursor *c, struct str *out)
{
	return cut_run(c, imap_is_atom_char, "Invalid atom.", out);
}

/* Takes the escapes out of `raw`. RFC 3501 allows them before '"' and '\' alone; we let others pass,
 * as clients do escape other bytes. */
static enum err unescape(struct imap_cursor *c, struct str raw, struct str *out)
{
	char *p = imap_alloc(c, raw.n);
	if (!p)
		return ERR_LIMIT;
	size_t n = 0;
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] == '\\' && i + 1 < raw.n)
			i++;
		p[n++] = raw.p[i];
	}
	*out = (struct str){ p, n };
	return ERR_NONE;
}

static enum err cut_quoted(struct imap_cursor *c, struct str *out)
{
	struct str s = c->rest;
	size_t n = 1;
	bool has_escape = false;
	while (n < s.n && s.p[n] != '"') {
		if (s.p[n] == '\r' || s.p[n] == '\n' || s.p[n] == '\0')
			break;
		if (s.p[n] == '\\') {
			has_escape = true;
			n++;
		}
		n++;
	}
	if (n >= s.n || s.p[n] != '"')
		return imap_cursor_fail(c, ERR_INVALID, "Missing '\"'.");
	struct str raw = str_slice(s, 1, n);
	(void)str_take(&c->rest, n + 1);
	if (has_escape)
		return unescape(c, raw, out);
	*out = raw;
	return ERR_NONE;
}

/* "{n}" or "{n+}"; the line end after it is taken as well. At the end of the text there is none: the
 * literal itself is elsewhere. */
static enum err cut_announcement(struct imap_cursor *c, struct imap_literal *out)
{
	static const char bad[] = "Invalid literal.";
	struct imap_literal literal = { .is_sync = true };
	(void)imap_skip(c, '{');
	if (!number_cut_u32(&c->rest, &literal.size))
		return imap_cursor_fail(c, ERR_INVALID, bad);
	if (imap_skip(c, '+'))
		literal.is_sync = false;
	if (!imap_skip(c, '}'))
		return imap_cursor_fail(c, ERR_INVALID, bad);
	if (!imap_at_end(c)) {
		(void)imap_skip(c, '\r');
		if (!imap_skip(c, '\n'))
			return imap_cursor_fail(c, ERR_INVALID, bad);
	}
	*out = literal;
	return ERR_NONE;
}

static enum err cut_literal(struct imap_cursor *c, struct str *out)
{
	struct imap_literal literal;
	TRY(cut_announcement(c, &literal));
	if (literal.size > c->rest.n)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid literal.");
	struct str s = str_take(&c->rest, literal.size);
	if (str_has_nul(s))
		return imap_cursor_fail(c, ERR_INVALID, "NUL in literal.");
	*out = s;
	return ERR_NONE;
}

enum err imap_cut_literal_start(struct imap_cursor *c, struct imap_literal *out)
{
	struct imap_literal literal;
	bool is_binary = imap_skip(c, '~');
	if (!imap_is_next(c, '{'))
		return imap_cursor_fail(c, ERR_INVALID, "Missing literal.");
	TRY(cut_announcement(c, &literal));
	TRY(imap_cut_end(c));
	literal.is_binary = is_binary;
	literal.is_message = true;
	*out = literal;
	return ERR_NONE;
}

enum err imap_cut_string(struct imap_cursor *c, struct str *out)
{
	if (imap_is_next(c, '"'))
		return cut_quoted(c, out);
	if (imap_is_next(c, '{'))
		return cut_literal(c, out);
	return imap_cursor_fail(
		c, ERR_INVALID, imap_at_end(c) ? "Missing arguments." : "Missing string.");
}

enum err imap_cut_astring(struct imap_cursor *c, struct str *out)
{
	if (imap_is_next(c, '"') || imap_is_next(c, '{'))
		return imap_cut_string(c, out);
	return cut_run(c, imap_is_astring_char, "Invalid argument.", out);
}

enum err imap_cut_nstring(struct imap_cursor *c, struct str *out)
{
	if (!imap_skip_word(c, STR("NIL")))
		return imap_cut_string(c, out);
	*out = STR_NONE;
	return ERR_NONE;
}

enum err imap_cut_number(struct imap_cursor *c, uint32_t *out)
{
	if (number_cut_u32(&c->rest, out))
		return ERR_NONE;
	return imap_cursor_fail(
		c, ERR_INVALID, imap_at_end(c) ? "Missing arguments." : "Invalid number.");
}

enum err imap_cut_nz_number(struct imap_cursor *c, uint32_t *out)
{
	uint32_t number;
	TRY(imap_cut_number(c, &number));
	if (number == 0)
		return imap_cursor_fail(c, ERR_INVALID, "Number must not be zero.");
	*out = number;
	return ERR_NONE;
}

enum err imap_cut_number64(struct imap_cursor *c, uint64_t *out)
{
	uint64_t number;
	if (!number_cut_u64(&c->rest, &number) || number > INT64_MAX)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid number.");
	*out = number;
	return ERR_NONE;
}

enum err imap_cut_list_next(struct imap_cursor *c, bool is_first, bool *out_has_item)
{
	bool is_end = imap_skip(c, ')');
	if (!is_end && imap_at_end(c))
		return imap_cursor_fail(c, ERR_INVALID, "Missing ')'.");
	if (!is_end && !is_first)
		TRY(imap_cut_space(c));
	*out_has_item = !is_end;
	return ERR_NONE;
}

uint32_t imap_word_find(const struct imap_word *table, struct str name)
{
	for (; table->name.n > 0; table++)
		if (str_eq_ci(table->name, name))
			return table->bit;
	return 0;
}

void imap_word_put_all(struct buf *out, const struct imap_word *table, uint32_t bits)
{
	const char *space = "";
	for (; table->name.n > 0; table++) {
		if (!(bits & table->bit))
			continue;
		buf_put(out, str_from(space));
		buf_put(out, table->name);
		space = " ";
	}
}
