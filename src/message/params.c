/* SPDX-License-Identifier: Apache-2.0 */
/* message/params.c - parameters in two steps: cut all pieces, then join those of one name.
 *
 * The second step compares pieces with each other; MESSAGE_PARAMS_MAX bounds it, whatever the header.
 * Traps: pieces may come in any order; a piece is escaped only if its own name ends with "*"; the
 *        charset stands in piece 0 (or in the unnumbered one) alone. */
#include "message/params.h"

#include "base/codec.h"
#include "base/number.h"
#include "message/charset.h"
#include "message/lex_private.h"

#define NO_INDEX  UINT32_MAX
#define INDEX_MAX 9999

struct piece {
	struct str name;
	struct str value;
	uint32_t index; /* NO_INDEX: not a continuation */
	bool is_escaped;
	bool is_done;
};

struct str message_token_cut(struct str *rest)
{
	(void)lex_cfws_skip(rest, NULL);
	return lex_token_cut(rest);
}

/* Splits the marks of RFC 2231 off the name: name, name*, name*3, name*3*. */
static void name_split(struct piece *piece)
{
	struct str rest = piece->name, base;

	piece->index = NO_INDEX;
	if (!str_cut(&rest, '*', &base))
		return;
	uint32_t index = NO_INDEX;
	bool has_index = rest.n > 0 && number_cut_u32(&rest, &index);
	bool has_star = has_index ? str_skip(&rest, STR("*")) : true;
	if (rest.n > 0 || base.n == 0 || (has_index && index > INDEX_MAX))
		return; /* not in the form of RFC 2231: an ordinary, if odd, name */
	piece->name = base;
	piece->index = has_index ? index : NO_INDEX;
	piece->is_escaped = has_star;
}

/* A value without quotes runs to the next ";", inner blanks included ("name=my file (1).pdf"), but
 * without a comment at its very end ("charset=us-ascii (plain)"). */
static struct str bare_value_cut(struct str *rest)
{
	const char *end = rest->n ? memchr(rest->p, ';', rest->n) : NULL;
	struct str value = str_trim(str_take(rest, end ? (size_t)(end - rest->p) : rest->n));
	ssize_t comment = str_find_byte(value, '(');

	if (comment > 0 && lex_is_blank(value.p[comment - 1]) && str_ends(value, STR(")")))
		value = str_trim_right(str_slice(value, 0, (size_t)comment));
	return value;
}

static void semicolon_find(struct str *rest)
{
	const char *at = rest->n ? memchr(rest->p, ';', rest->n) : NULL;

	(void)str_take(rest, at ? (size_t)(at - rest->p) : rest->n);
}

/* Cuts one `name = value` after a ";"; false if there is none before the next ";". */
static bool piece_cut(struct arena *arena, struct str *rest, struct piece *out)
{
	*out = (struct piece){ 0 };
	(void)lex_cfws_skip(rest, NULL);
	out->name = lex_token_cut(rest);
	(void)lex_cfws_skip(rest, NULL);
	bool is_piece = out->name.n > 0 && str_skip(rest, STR("="));
	if (is_piece) {
		(void)lex_cfws_skip(rest, NULL);
		if (rest->n > 0 && *rest->p == '"') {
			AUTO_BUF(text, 0);
			lex_quoted_cut(rest, &text);
			out->value = buf_dup(arena, &text);
		} else {
			out->value = bare_value_cut(rest);
		}
		name_split(out);
	}
	semicolon_find(rest);
	return is_piece;
}

static void percent_decode(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '%' && i + 2 < in.n && hex_decode(out, str_slice(in, i + 1, i + 3)))
			i += 2;
		else
			buf_put_byte(out, c);
	}
}

static struct piece *piece_next(struct piece *pieces, size_t count, struct str name, uint32_t index)
{
	for (size_t i = 0; i < count; i++)
		if (!pieces[i].is_done && pieces[i].index == index &&
			str_eq_ci(pieces[i].name, name))
			return &pieces[i];
	return NULL;
}

/* Joins the pieces that begin with `first` (index 0 or none). */
static struct str value_join(
	struct arena *arena, struct piece *pieces, size_t count, struct piece *first)
{
	struct str charset = STR_NONE, language, raw = first->value;
	AUTO_BUF(text, 0);
	AUTO_BUF(decoded, 0);

	if (!first->is_escaped && first->index == NO_INDEX)
		return first->value;
	if (first->is_escaped && str_cut(&raw, '\'', &charset))
		(void)str_cut(&raw, '\'', &language);
	bool is_any_escaped = first->is_escaped;
	for (struct piece *at = first; at;) {
		at->is_done = true;
		if (at->is_escaped)
			percent_decode(&text, at == first ? raw : at->value);
		else
			buf_put(&text, at->value);
		is_any_escaped |= at->is_escaped;
		at = at->index == NO_INDEX ? NULL
					   : piece_next(pieces, count, first->name, at->index + 1);
	}
	if (!is_any_escaped)
		return buf_dup(arena, &text);
	if (charset_to_utf8(charset, buf_str(&text), &decoded))
		return buf_dup(arena, &decoded);
	return first->index == NO_INDEX ? first->value : buf_dup(arena, &text);
}

static bool is_start(const struct piece *piece)
{
	return !piece->is_done && (piece->index == NO_INDEX || piece->index == 0);
}

/* How many pieces there can be: one after each ";". */
static size_t pieces_max(struct str raw)
{
	struct str ignored;
	size_t count = 0;

	while (count < MESSAGE_PARAMS_MAX && str_cut(&raw, ';', &ignored))
		count++;
	return count;
}

void message_params_parse(struct arena *arena, struct str raw, struct message_params *out)
{
	size_t most = pieces_max(raw), count = 0;
	struct piece *pieces = ARENA_NEW_ARRAY(arena, struct piece, most);
	struct str ignored;

	out->items = ARENA_NEW_ARRAY(arena, struct message_param, most);
	out->count = 0;
	semicolon_find(&raw);
	while (count < most && str_skip(&raw, STR(";")))
		if (piece_cut(arena, &raw, &pieces[count]))
			count++;
	for (size_t i = 0; i < count; i++) {
		struct piece *first = &pieces[i];
		if (!is_start(first) || message_params_find(out, first->name, &ignored))
			continue;
		out->items[out->count++] = (struct message_param){ .name = first->name,
			.value = value_join(arena, pieces, count, first) };
	}
}

bool message_params_find(const struct message_params *params, struct str name, struct str *out)
{
	for (size_t i = 0; i < params->count; i++) {
		if (str_eq_ci(params->items[i].name, name)) {
			*out = params->items[i].value;
			return true;
		}
	}
	return false;
}
