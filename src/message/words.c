/* SPDX-License-Identifier: Apache-2.0 */
/* message/words.c - encoded words.
 *
 * Neighbouring words of one charset are joined as bytes first and converted together, so that a
 * character torn between two words survives (many mailers tear). */
#include "message/words.h"

#include "base/codec.h"
#include "base/unicode.h"
#include "message/charset.h"
#include "message/lex_private.h"

struct word {
	struct str charset;
	char encoding; /* 'b' or 'q' */
	struct str text;
};

struct decoder {
	struct buf *out;
	struct str charset; /* of the bytes in `pending` */
	struct buf pending;
	struct buf text; /* scratch */
	unsigned charsets_left;
};

/* Takes an encoded word off the front; false and untouched if there is none. Many mailers leave blanks in
 * the encoded text, against RFC 2047 §2: those are taken too. Looks no further than the third '?' (or a blank
 * before the second, or a line end), so that a bomb of "=?" stays linear. */
static bool word_cut(struct str *rest, struct word *out)
{
	struct str at = *rest, encoding;
	size_t n = 0, marks = 0;

	if (!str_skip(&at, STR("=?")))
		return false;
	while (n < at.n && marks < 3 && at.p[n] != '\r' && at.p[n] != '\n' &&
		(marks == 2 || !lex_is_blank(at.p[n])))
		marks += at.p[n++] == '?';
	if (marks < 3 || n >= at.n || at.p[n] != '=')
		return false;
	(void)str_cut(&at, '?', &out->charset);
	(void)str_cut(&at, '?', &encoding);
	(void)str_cut(&at, '?', &out->text);
	out->encoding = encoding.n == 1 ? ascii_lower(*encoding.p) : '\0';
	struct str language = out->charset;
	(void)str_cut(&language, '*', &out->charset);
	if (out->charset.n == 0 || (out->encoding != 'b' && out->encoding != 'q'))
		return false;
	(void)str_take(&at, 1);
	*rest = at;
	return true;
}

/* RFC 2047 §4.2: quoted-printable with "_" for a blank. Bad escapes stay. */
static void q_decode(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == '=' && i + 2 < in.n && hex_decode(out, str_slice(in, i + 1, i + 3)))
			i += 2;
		else
			buf_put_byte(out, c == '_' ? ' ' : c);
	}
}

/* Appends UTF-8 without control characters, as far as there is room. */
static void visible_put(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n && buf_room(out) > 0; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0xc0 && buf_room(out) < 4)
			return; /* no room for the whole character */
		if (c == '\t')
			buf_put_byte(out, ' ');
		else if (c >= ' ' && c != 0x7f)
			buf_put_byte(out, (char)c);
	}
}

/* Appends raw bytes of the header: valid UTF-8 or replaced. */
static void raw_put(struct decoder *d, struct str s)
{
	buf_clear(&d->text);
	(void)charset_to_utf8(STR_NONE, s, &d->text);
	visible_put(d->out, buf_str(&d->text));
}

static void pending_flush(struct decoder *d)
{
	if (d->pending.n == 0)
		return;
	buf_clear(&d->text);
	if (charset_to_utf8(d->charset, buf_str(&d->pending), &d->text))
		visible_put(d->out, buf_str(&d->text));
	else
		raw_put(d, buf_str(&d->pending));
	buf_clear(&d->pending);
}

static void word_put(struct decoder *d, const struct word *word)
{
	if (!str_eq_ci(d->charset, word->charset)) {
		pending_flush(d);
		d->charset = word->charset;
		d->charsets_left--;
	}
	if (word->encoding == 'b')
		base64_decode_body(&d->pending, word->text);
	else
		q_decode(&d->pending, word->text);
}

/* Takes ordinary text up to what may be an encoded word, at least one byte. */
static struct str text_cut(struct str *rest)
{
	size_t at = 1;

	while (at < rest->n) {
		const char *mark = memchr(rest->p + at, '=', rest->n - at);
		at = mark ? (size_t)(mark - rest->p) : rest->n;
		if (at + 1 >= rest->n || rest->p[at + 1] == '?')
			break;
		at++;
	}
	return str_take(rest, MIN(at, rest->n));
}

static struct str blanks_cut(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && lex_is_blank(rest->p[n]))
		n++;
	return str_take(rest, n);
}

void message_words_decode(struct buf *out, struct str value)
{
	struct decoder d = { .out = out, .charsets_left = MESSAGE_WORDS_CHARSETS_MAX };
	struct word word;
	bool is_after_word = false;

	if (value.n == 0 || !memchr(value.p, '=', value.n)) {
		raw_put(&d, value);
		buf_done(&d.text);
		return;
	}
	while (value.n > 0 && buf_room(out) > 0) {
		struct str blanks = is_after_word ? blanks_cut(&value) : STR_NONE;
		if (d.charsets_left > 0 && word_cut(&value, &word)) {
			word_put(&d, &word);
			is_after_word = true;
			continue;
		}
		pending_flush(&d);
		d.charset = STR_NONE;
		is_after_word = false;
		raw_put(&d, blanks);
		if (value.n > 0)
			raw_put(&d, text_cut(&value));
	}
	pending_flush(&d);
	buf_done(&d.pending);
	buf_done(&d.text);
}
