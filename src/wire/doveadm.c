/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/doveadm.h"

#include "base/codec.h"
#include "base/number.h"

#define ESCAPE '\001'

static const struct {
	char plain, escaped;
} escapes[] = { { '\0', '0' }, { ESCAPE, '1' }, { '\t', 't' }, { '\r', 'r' }, { '\n', 'n' } };

void doveadm_put_field(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		size_t e = 0;
		while (e < ARRAY_COUNT(escapes) && escapes[e].plain != text.p[i])
			e++;
		if (e == ARRAY_COUNT(escapes)) {
			buf_put_byte(out, text.p[i]);
			continue;
		}
		buf_put_byte(out, ESCAPE);
		buf_put_byte(out, escapes[e].escaped);
	}
}

/* What is no escape stays as it is. */
static struct str unescape(struct arena *arena, struct str text)
{
	if (str_find_byte(text, ESCAPE) < 0)
		return text;
	char *p = arena_alloc(arena, text.n);
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		size_t e = ARRAY_COUNT(escapes);
		if (text.p[i] == ESCAPE && i + 1 < text.n)
			for (e = 0; e < ARRAY_COUNT(escapes); e++)
				if (escapes[e].escaped == text.p[i + 1])
					break;
		bool is_escape = e < ARRAY_COUNT(escapes);
		p[n++] = is_escape ? escapes[e].plain : text.p[i];
		i += is_escape;
	}
	return (struct str){ p, n };
}

bool doveadm_cut_field(struct arena *arena, struct str *rest, struct str *out)
{
	struct str field;
	if (!rest->p)
		return false;
	if (!str_cut(rest, '\t', &field)) {
		field = *rest;
		*rest = STR_NONE; /* an empty last field is a field, too */
	}
	*out = unescape(arena, field);
	return true;
}

void doveadm_put_plain(struct buf *out, struct str name, struct str password)
{
	AUTO_BUF(plain, 0);
	buf_put_byte(&plain, '\0');
	buf_put(&plain, name);
	buf_put_byte(&plain, '\0');
	buf_put(&plain, password);
	buf_put(out, STR("PLAIN\t"));
	base64_encode(out, buf_str(&plain));
	buf_put_byte(out, '\n');
	mem_wipe(plain.p, plain.n);
}

/* ---- a client's line ---- */

static enum err parse_version(struct op *op, struct str rest, struct doveadm_line *out)
{
	struct str major, minor;
	if (doveadm_cut_field(op->arena, &rest, &out->peer) &&
		doveadm_cut_field(op->arena, &rest, &major) &&
		doveadm_cut_field(op->arena, &rest, &minor) &&
		number_parse_u32(major, &out->major) && number_parse_u32(minor, &out->minor))
		return ERR_NONE;
	return op_fail(op, ERR_INVALID, "VERSION needs a name and two numbers");
}

static enum err parse_plain(struct op *op, struct str rest, struct doveadm_line *out)
{
	struct str authorize;
	struct buf bytes = { 0 };
	bool is_right = base64_decode(&bytes, rest);
	struct str plain = buf_dup(op->arena, &bytes);
	if (bytes.n > 0)
		mem_wipe(bytes.p, bytes.n);
	buf_done(&bytes);
	if (!is_right || !str_cut(&plain, '\0', &authorize) || !str_cut(&plain, '\0', &out->name))
		return op_fail(op, ERR_INVALID, "PLAIN without credentials");
	out->password = plain;
	return ERR_NONE;
}

static bool are_flags(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != 'D' && text.p[i] != 'v' && text.p[i] != 'x')
			return false;
	return true;
}

static enum err parse_command(
	struct op *op, struct str flags, struct str rest, struct doveadm_line *out)
{
	struct str extra;
	if (!are_flags(flags))
		return op_fail(op, ERR_INVALID, "neither a word of the protocol nor flags");
	if (str_find_byte(flags, 'x') >= 0 && !doveadm_cut_field(op->arena, &rest, &extra))
		return op_fail(op, ERR_INVALID, "the extra fields are missing");
	if (!doveadm_cut_field(op->arena, &rest, &out->user) ||
		!doveadm_cut_field(op->arena, &rest, &out->command))
		return op_fail(op, ERR_INVALID, "user or command are missing");
	while (rest.p) {
		if (out->arg_count == DOVEADM_ARGS_MAX)
			return op_fail(op, ERR_LIMIT, "more than %d arguments", DOVEADM_ARGS_MAX);
		struct str *arg = &out->args[out->arg_count++];
		(void)doveadm_cut_field(op->arena, &rest, arg); /* rest.p: there is one */
		if (str_has_nul(*arg))
			return op_fail(op, ERR_INVALID, "a zero byte in an argument");
	}
	if (str_has_nul(out->user) || str_has_nul(out->command))
		return op_fail(op, ERR_INVALID, "a zero byte in user or command");
	return ERR_NONE;
}

enum err doveadm_parse_line(struct op *op, struct str line, struct doveadm_line *out)
{
	static const struct {
		struct str word;
		enum doveadm_kind kind;
	} words[] = {
		{ { "VERSION", 7 }, DOVEADM_VERSION },
		{ { "STARTTLS", 8 }, DOVEADM_STARTTLS },
		{ { "PLAIN", 5 }, DOVEADM_PLAIN },
		{ { "OPTION", 6 }, DOVEADM_OPTION },
	};
	struct str rest = line, word = STR("");
	*out = (struct doveadm_line){ .kind = DOVEADM_COMMAND };
	if (line.n == 0)
		return op_fail(op, ERR_INVALID, "an empty line");
	(void)doveadm_cut_field(op->arena, &rest, &word); /* there is a first one */
	for (size_t i = 0; i < ARRAY_COUNT(words); i++)
		if (str_eq(word, words[i].word))
			out->kind = words[i].kind;
	switch (out->kind) {
	case DOVEADM_VERSION:
		return parse_version(op, rest, out);
	case DOVEADM_PLAIN:
		return parse_plain(op, rest, out);
	case DOVEADM_OPTION:
		if (doveadm_cut_field(op->arena, &rest, &out->option))
			return ERR_NONE;
		return op_fail(op, ERR_INVALID, "OPTION without a name");
	case DOVEADM_STARTTLS:
		return ERR_NONE;
	case DOVEADM_COMMAND:
		break;
	}
	return parse_command(op, word, rest, out);
}

/* ---- the end of a command ---- */

/* The first row of a class is the one that is written. */
static const struct {
	const char *code;
	enum err class;
} codes[] = {
	{ "NOTFOUND", ERR_NOT_FOUND },
	{ "NOUSER", ERR_NOT_FOUND },
	{ "NOPERM", ERR_DENIED },
	{ "TEMPFAIL", ERR_UNAVAILABLE },
	{ "TEMPFAIL", ERR_TIMEOUT },
	{ "TEMPFAIL", ERR_CONFLICT },
	{ "USAGE", ERR_INVALID },
	{ "DATAERR", ERR_CORRUPT },
	{ "CHANGED", ERR_EXISTS },
	{ "PROTOCOL", ERR_UNSUPPORTED },
	{ "EXPIRED", ERR_TIMEOUT },
};

void doveadm_put_status(struct buf *out, enum err e, struct str failure, bool is_worded)
{
	size_t i = 0;
	if (e == ERR_NONE) {
		buf_put(out, STR("\n+\n"));
		return;
	}
	while (i < ARRAY_COUNT(codes) && codes[i].class != e)
		i++;
	buf_putf(out, "\n-%s", i < ARRAY_COUNT(codes) ? codes[i].code : "");
	if (is_worded) {
		buf_putf(out, "\t%s\t", err_name(e));
		doveadm_put_field(out, failure);
	}
	buf_put_byte(out, '\n');
}

static enum err class_named(struct str name, enum err otherwise)
{
	for (int e = ERR_NOT_FOUND; e < ERR_COUNT; e++)
		if (str_eq(name, str_from(err_name((enum err)e))))
			return (enum err)e;
	return otherwise;
}

bool doveadm_parse_status(struct arena *arena, struct str line, enum err *out, struct str *out_text)
{
	struct str rest = line, code = STR(""), name;
	*out_text = STR("");
	*out = ERR_NONE;
	if (str_eq(line, STR("+")))
		return true;
	if (!str_skip(&rest, STR("-")))
		return false;
	(void)doveadm_cut_field(arena, &rest, &code); /* may be empty */
	*out = ERR_UNAVAILABLE;
	for (size_t i = ARRAY_COUNT(codes); i-- > 0;)
		if (str_eq(code, str_from(codes[i].code)))
			*out = codes[i].class;
	if (doveadm_cut_field(arena, &rest, &name)) {
		*out = class_named(name, *out);
		(void)doveadm_cut_field(arena, &rest, out_text); /* absent: no text */
	}
	return true;
}

bool doveadm_parse_stream(struct str line, uint64_t *out_bytes)
{
	return str_skip(&line, STR("stream\t")) && number_parse_u64(line, out_bytes);
}
