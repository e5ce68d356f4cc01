/* SPDX-License-Identifier: Apache-2.0 */
/* message/imap_string.c - strings of IMAP, and the budgeted writer on top of them.
 * Spec: RFC 3501 §4.3, §9 (quoted, literal, nstring). */
#include "message/form_private.h"
#include "message/header.h"
#include "message/imap_form.h"

#define ESCAPES_MAX 4 /* more of them: a literal is shorter to read and to parse */

static bool is_quotable(struct str s)
{
	unsigned escapes = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x80 || c == '\0' || c == '\r' || c == '\n')
			return false;
		escapes += c == '"' || c == '\\';
	}
	return escapes <= ESCAPES_MAX;
}

static void quoted_put(struct buf *out, struct str s)
{
	buf_put_byte(out, '"');
	if (!memchr(s.p, '"', s.n) && !memchr(s.p, '\\', s.n)) {
		buf_put(out, s);
	} else {
		for (size_t i = 0; i < s.n; i++) {
			if (s.p[i] == '"' || s.p[i] == '\\')
				buf_put_byte(out, '\\');
			buf_put_byte(out, s.p[i]);
		}
	}
	buf_put_byte(out, '"');
}

static void literal_put(struct buf *out, struct str s)
{
	buf_put_byte(out, '{');
	buf_put_u64_dec(out, s.n);
	buf_put(out, STR("}\r\n"));
	size_t start = out->n;
	buf_put(out, s);
	for (size_t i = start; i < out->n; i++)
		if (out->p[i] == '\0')
			out->p[i] = (char)0x80;
}

void message_imap_string_put(struct buf *out, struct str s)
{
	if (s.n == 0)
		buf_put(out, STR("\"\""));
	else if (is_quotable(s))
		quoted_put(out, s);
	else
		literal_put(out, s);
}

void message_imap_nstring_put(struct buf *out, struct str s)
{
	if (s.p)
		message_imap_string_put(out, s);
	else
		buf_put(out, STR("NIL"));
}

void form_init(struct form *form, struct buf *out, size_t text_max)
{
	form->out = out;
	form->text_left = text_max;
	arena_init(&form->scratch, 0);
}

void form_done(struct form *form)
{
	arena_done(&form->scratch);
}

void form_value_put(struct form *form, struct str raw)
{
	struct arena_mark mark = arena_mark(&form->scratch);
	struct str value = message_field_unfold(&form->scratch, raw);

	value.n = MIN(value.n, form->text_left);
	form->text_left -= value.n;
	message_imap_nstring_put(form->out, value);
	arena_rewind(&form->scratch, mark);
}

void form_filled_put(struct form *form, struct str raw)
{
	form_value_put(form, raw.n > 0 ? raw : STR_NONE);
}
