/* SPDX-License-Identifier: Apache-2.0 */
/* message/lex.c - blanks, comments, quoted strings, tokens and atoms. Nesting is a counter. */
#include "message/lex_private.h"

bool lex_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool lex_is_atom(char c)
{
	switch (c) {
	case '(':
	case ')':
	case '<':
	case '>':
	case '[':
	case ']':
	case ':':
	case ';':
	case '@':
	case '\\':
	case ',':
	case '"':
		return false;
	}
	return !lex_is_blank(c);
}

static bool lex_is_token(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* *rest begins with '('. An unfinished comment runs to the end. */
static void lex_comment_skip(struct str *rest, struct buf *comment)
{
	size_t depth = 0, i = 0;

	if (comment)
		buf_clear(comment);
	while (i < rest->n) {
		char c = rest->p[i++];
		bool is_text = true;
		if (c == '\\' && i < rest->n) {
			c = rest->p[i++];
		} else if (c == '(') {
			is_text = depth++ > 0;
		} else if (c == ')') {
			if (--depth == 0)
				break;
		} else if (c == '\r' || c == '\n') {
			is_text = false;
		}
		if (is_text && comment)
			buf_put_byte(comment, c);
	}
	(void)str_take(rest, i);
}

bool lex_cfws_skip(struct str *rest, struct buf *comment)
{
	const char *start = rest->p;

	while (rest->n > 0) {
		if (lex_is_blank(*rest->p))
			(void)str_take(rest, 1);
		else if (*rest->p == '(')
			lex_comment_skip(rest, comment);
		else
			break;
	}
	return rest->p != start;
}

void lex_quoted_cut(struct str *rest, struct buf *out)
{
	size_t i = 1;

	while (i < rest->n) {
		char c = rest->p[i++];
		if (c == '"')
			break;
		if (c == '\r' || c == '\n')
			continue;
		if (c == '\\' && i < rest->n)
			c = rest->p[i++];
		buf_put_byte(out, c);
	}
	(void)str_take(rest, i);
}

struct str lex_token_cut(struct str *rest)
{
	size_t i = 0;

	while (i < rest->n && lex_is_token(rest->p[i]))
		i++;
	return str_take(rest, i);
}
