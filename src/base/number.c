/* SPDX-License-Identifier: Apache-2.0 */
/* base/number.c - strict numbers: see number.h. */
#include "base/number.h"

#include "base/buf.h"
#include "base/mem.h"

#define VARINT_MAX_BYTES 10

/* The value of a digit in any base up to 16, or 16. */
static unsigned digit_value(char c)
{
	if (ascii_is_digit(c))
		return (unsigned)(c - '0');
	char lower = ascii_lower(c);
	return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a' + 10) : 16;
}

/* Takes digits of `base` off the front, as long as there are some. */
static bool cut_digits(struct str *rest, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < rest->n && digit_value(rest->p[n]) < base; n++) {
		if (mul_overflows(v, (uint64_t)base, &v) ||
			add_overflows(v, (uint64_t)digit_value(rest->p[n]), &v) || v > max)
			return false;
	}
	if (n == 0)
		return false;
	(void)str_take(rest, n); /* the digits */
	*out = v;
	return true;
}

static bool parse_whole(struct str s, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t v;

	if (!cut_digits(&s, base, max, &v) || s.n > 0)
		return false;
	*out = v;
	return true;
}

bool number_parse_u64(struct str s, uint64_t *out)
{
	return parse_whole(s, 10, UINT64_MAX, out);
}

bool number_parse_u32(struct str s, uint32_t *out)
{
	uint64_t v;

	if (!parse_whole(s, 10, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool number_parse_octal(struct str s, uint32_t *out)
{
	uint64_t v;

	if (!parse_whole(s, 8, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool number_parse_hex_u64(struct str s, uint64_t *out)
{
	return parse_whole(s, 16, UINT64_MAX, out);
}

bool number_cut_u64(struct str *rest, uint64_t *out)
{
	return cut_digits(rest, 10, UINT64_MAX, out);
}

bool number_cut_u32(struct str *rest, uint32_t *out)
{
	uint64_t v;

	if (!cut_digits(rest, 10, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

void number_put_varint(struct buf *b, uint64_t v)
{
	char bytes[VARINT_MAX_BYTES];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (char)(uint8_t)(v | 0x80);
	bytes[n++] = (char)(uint8_t)v;
	buf_put(b, (struct str){ bytes, n });
}

bool number_cut_varint(struct str *rest, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < rest->n && i < VARINT_MAX_BYTES; i++) {
		uint8_t byte = (uint8_t)rest->p[i];
		if (i == VARINT_MAX_BYTES - 1 && byte > 1)
			return false; /* above 64 bits */
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (byte == 0 && i > 0)
			return false;        /* not the shortest form */
		(void)str_take(rest, i + 1); /* the varint */
		*out = v;
		return true;
	}
	return false;
}

void number_put_counted(struct buf *b, struct str bytes)
{
	number_put_varint(b, bytes.n);
	buf_put(b, bytes);
}

bool number_cut_counted(struct str *rest, struct str *out)
{
	uint64_t n;
	struct str left = *rest;
	if (!number_cut_varint(&left, &n) || n > left.n)
		return false;
	*out = str_take(&left, (size_t)n);
	*rest = left;
	return true;
}
