/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_write.c - strings, names, flags, dates and response lines.
 *
 * Spec: RFC 3501 §4.3 (strings), §5.1.3 (names), §7 (responses). */
#include "wire/imap_write.h"

#include "base/codec.h"
#include "wire/imap_private.h"

/* More escapes than this are harder to read than a literal. */
#define ESCAPES_MAX 4
/* Longer strings are literals: nobody should have to scan them for quotes. */
#define QUOTED_BYTES_MAX 4096

static bool is_quotable(struct str s)
{
	size_t escapes = 0;
	if (s.n > QUOTED_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char b = (unsigned char)s.p[i];
		if (b == '\0' || b == '\r' || b == '\n' || b > 0x7e)
			return false;
		if (b == '"' || b == '\\')
			escapes++;
	}
	return escapes <= ESCAPES_MAX;
}

static void put_quoted(struct buf *out, struct str s)
{
	buf_put_byte(out, '"');
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '"' && s.p[i] != '\\')
			continue;
		buf_put(out, str_slice(s, from, i));
		buf_put_byte(out, '\\');
		from = i;
	}
	buf_put(out, str_slice(s, from, s.n));
	buf_put_byte(out, '"');
}

void imap_put_string(struct buf *out, struct str s)
{
	if (is_quotable(s))
		put_quoted(out, s);
	else
		imap_put_literal(out, s);
}

void imap_put_nstring(struct buf *out, struct str s)
{
	if (s.p == NULL)
		buf_put(out, STR("NIL"));
	else
		imap_put_string(out, s);
}

void imap_put_astring(struct buf *out, struct str s)
{
	bool is_atom = s.n > 0 && s.n <= QUOTED_BYTES_MAX && !str_eq_ci(s, STR("NIL"));
	for (size_t i = 0; i < s.n && is_atom; i++)
		is_atom = imap_is_astring_char(s.p[i]);
	if (is_atom)
		buf_put(out, s);
	else
		imap_put_string(out, s);
}

void imap_put_literal_start(struct buf *out, uint64_t size)
{
	buf_put_byte(out, '{');
	buf_put_u64_dec(out, size);
	buf_put(out, STR("}\r\n"));
}

void imap_put_literal(struct buf *out, struct str s)
{
	imap_put_literal_start(out, s.n);
	size_t from = out->n;
	buf_put(out, s);
	char *nul;
	while ((nul = out->n > from ? memchr(out->p + from, '\0', out->n - from) : NULL) != NULL) {
		*nul = (char)0x80;
		from = (size_t)(nul - out->p) + 1;
	}
}

void imap_put_mailbox(struct buf *out, struct str utf8)
{
	AUTO_BUF(name, 0);
	mutf7_encode(&name, utf8);
	imap_put_astring(out, buf_str(&name));
}

void imap_put_separator(struct buf *out, char separator)
{
	struct str s = { &separator, separator ? 1 : 0 };
	if (s.n == 0)
		buf_put(out, STR("NIL"));
	else
		put_quoted(out, s);
}

static void put_flags(struct buf *out, const struct imap_flags *flags)
{
	imap_word_put_all(out, imap_system_flags, flags->system);
	for (size_t i = 0; i < flags->keyword_count; i++) {
		if (flags->system != 0 || i > 0)
			buf_put_byte(out, ' ');
		buf_put(out, flags->keywords[i]);
	}
}

void imap_put_flag_list(struct buf *out, const struct imap_flags *flags)
{
	buf_put_byte(out, '(');
	put_flags(out, flags);
	buf_put_byte(out, ')');
}

void imap_put_permanent_flags(struct buf *out, const struct imap_flags *flags, bool may_create)
{
	buf_put_byte(out, '(');
	put_flags(out, flags);
	if (may_create)
		buf_put(out, flags->system || flags->keyword_count ? STR(" \\*") : STR("\\*"));
	buf_put_byte(out, ')');
}

void imap_put_special_use(struct buf *out, uint32_t special_use)
{
	imap_word_put_all(out, imap_special_uses, special_use);
}

void imap_put_date_time(struct buf *out, int64_t wall_us, int zone_minutes)
{
	static const int32_t day_first = -719528, day_last = 2932896; /* years 0000 to 9999 */
	int64_t seconds = wall_us / US_PER_SEC - (wall_us % US_PER_SEC < 0 ? 1 : 0);
	seconds += (int64_t)zone_minutes * 60;
	int64_t days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0);
	int second = (int)(seconds - days * 86400);
	int year, month, day;
	days = MIN(MAX(days, day_first), day_last);
	imap_date_from_day((int32_t)days, &year, &month, &day);
	int zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
	buf_putf(out, "\"%02d-%s-%04d %02d:%02d:%02d %c%02d%02d\"", day,
		imap_month_names[month - 1], year, second / 3600, second / 60 % 60, second % 60,
		zone_minutes < 0 ? '-' : '+', zone / 60, zone % 60);
}

/* Text of a response: one line, whatever it holds. */
static void put_line_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		char b = text.p[i];
		buf_put_byte(out, b == '\r' || b == '\n' || b == '\0' ? ' ' : b);
	}
	buf_put(out, STR("\r\n"));
}

void imap_put_tagged(
	struct buf *out, struct str tag, const char *status, struct str code, struct str text)
{
	buf_put(out, tag);
	buf_put_byte(out, ' ');
	buf_put(out, str_from(status));
	buf_put_byte(out, ' ');
	if (code.n > 0) {
		buf_put_byte(out, '[');
		buf_put(out, code);
		buf_put(out, STR("] "));
	}
	put_line_text(out, text);
}

void imap_put_untagged(struct buf *out, const char *status, struct str code, struct str text)
{
	imap_put_tagged(out, STR("*"), status, code, text);
}

void imap_put_continue(struct buf *out, struct str text)
{
	buf_put(out, STR("+ "));
	put_line_text(out, text);
}

void imap_put_number_line(struct buf *out, uint32_t number, const char *what)
{
	buf_put(out, STR("* "));
	buf_put_u64_dec(out, number);
	buf_put_byte(out, ' ');
	put_line_text(out, str_from(what));
}
