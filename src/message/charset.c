/* SPDX-License-Identifier: Apache-2.0 */
/* message/charset.c - charset conversion by ICU, with short cuts for the everyday ones.
 *
 * Trap: ICU looks for unknown names as files; so a name is asked for only if ICU's own alias table,
 * which is linked in, knows it, and it never contains a "/" or ICU's option comma. */
#include "message/charset.h"

#include <unicode/ucnv.h>

#include "base/unicode.h"

#define CHARSET_NAME_MAX 60
#define UNITS_PER_ROUND  512
#define UTF8_PER_UNIT    3

static bool is_utf8_like(struct str name)
{
	return name.n == 0 || str_eq_ci(name, STR("utf-8")) || str_eq_ci(name, STR("us-ascii")) ||
	       str_eq_ci(name, STR("utf8")) || str_eq_ci(name, STR("ascii"));
}

static UConverter *converter_open(struct str name)
{
	char z[CHARSET_NAME_MAX + 1];
	UErrorCode status = U_ZERO_ERROR;

	if (name.n > CHARSET_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (!ascii_is_alpha(c) && !ascii_is_digit(c) &&
			(c == '\0' || !strchr("-_.:+()", c)))
			return NULL;
		z[i] = c;
	}
	z[name.n] = '\0';
	if (ucnv_countAliases(z, &status) == 0 || U_FAILURE(status))
		return NULL;
	UConverter *converter = ucnv_open(z, &status);
	return U_FAILURE(status) ? NULL : converter;
}

/* Writes a character that is no half of a pair; returns its length. */
static size_t unit_write(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	size_t n = 0;
	if (c < 0x10000) {
		to[n++] = (char)(0xe0 | c >> 12);
	} else {
		to[n++] = (char)(0xf0 | c >> 18);
		to[n++] = (char)(0x80 | (c >> 12 & 0x3f));
	}
	to[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	to[n++] = (char)(0x80 | (c & 0x3f));
	return n;
}

/* Writes UTF-16 as UTF-8. *high is a first half of a pair, left over from the last round. */
static void units_put(struct buf *out, const UChar *units, const UChar *end, uint32_t *high)
{
	char text[UTF8_PER_UNIT * (UNITS_PER_ROUND + 1)];
	size_t n = 0, room = buf_room(out);

	for (; units < end && room - n >= 2 * UTF8_PER_UNIT; units++) {
		uint32_t unit = *units;
		bool is_low = unit >= 0xdc00 && unit < 0xe000;
		if (*high && is_low) {
			n += unit_write(
				text + n, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
			*high = 0;
			continue;
		}
		if (*high)
			n += unit_write(text + n, 0xfffd);
		*high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
		if (!*high)
			n += unit_write(text + n, is_low ? 0xfffd : unit);
	}
	buf_put(out, (struct str){ text, n });
}

static void convert(UConverter *converter, struct str in, struct buf *out)
{
	UChar units[UNITS_PER_ROUND];
	const char *from = in.p, *from_end = in.p + in.n;
	uint32_t high = 0;
	UErrorCode status;

	do {
		UChar *to = units;
		status = U_ZERO_ERROR;
		ucnv_toUnicode(converter, &to, units + UNITS_PER_ROUND, &from, from_end, NULL, true,
			&status);
		units_put(out, units, to, &high);
	} while (status == U_BUFFER_OVERFLOW_ERROR && buf_room(out) >= 2 * UTF8_PER_UNIT);
	if (high && buf_room(out) >= UTF8_PER_UNIT)
		utf8_put(out, 0xfffd);
}

#define COPY_BYTES_PER_ROUND 4096
#define REPLACEMENT          "\xef\xbf\xbd"

/* Copies ASCII, eight bytes at a time where there are as many; returns how much. */
static size_t ascii_copy(struct str *in, char *to, size_t room)
{
	size_t n = 0, most = MIN(in->n, room);

	for (; most - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
		uint64_t eight;
		memcpy(&eight, in->p + n, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
		memcpy(to + n, &eight, sizeof(eight));
	}
	for (; n < most && (uint8_t)in->p[n] < 0x80; n++)
		to[n] = in->p[n];
	(void)str_take(in, n); /* what was copied */
	return n;
}

/* Copies one sequence, or puts a replacement for one malformed byte; returns what was written. */
static size_t sequence_copy(struct str *in, char *to)
{
	const char *start = in->p;
	uint32_t code;

	if (!utf8_cut(in, &code)) {
		(void)str_take(in, 1); /* the malformed byte */
		memcpy(to, REPLACEMENT, UTF8_PER_UNIT);
		return UTF8_PER_UNIT;
	}
	size_t n = (size_t)(in->p - start);
	memcpy(to, start, n);
	return n;
}

/* Bytes that are not valid UTF-8 become U+FFFD. */
static void utf8_copy(struct str in, struct buf *out)
{
	if (in.n <= buf_room(out) && utf8_is_valid(in)) {
		buf_put(out, in);
		return;
	}
	while (in.n > 0 && buf_room(out) >= UTF8_PER_UNIT + 1) {
		size_t room = MIN(buf_room(out), (size_t)COPY_BYTES_PER_ROUND), n = 0;
		char *to = buf_reserve(out, room);
		while (in.n > 0 && room - n >= UTF8_PER_UNIT + 1) {
			n += ascii_copy(&in, to + n, room - n);
			if (in.n > 0 && room - n >= UTF8_PER_UNIT + 1)
				n += sequence_copy(&in, to + n);
		}
		buf_grew(out, n);
	}
}

bool charset_to_utf8(struct str charset, struct str in, struct buf *out)
{
	if (is_utf8_like(charset)) {
		utf8_copy(in, out);
		return true;
	}
	UConverter *converter = converter_open(charset);
	if (!converter)
		return false;
	if (in.n > 0)
		convert(converter, in, out);
	ucnv_close(converter);
	return true;
}
