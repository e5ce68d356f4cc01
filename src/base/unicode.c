/* SPDX-License-Identifier: Apache-2.0 */
/* base/unicode.c - UTF-8: see unicode.h. Spec: RFC 3629 §4. */
#include "base/unicode.h"

#include <string.h>

#include "base/assert.h"

/* Length of the sequence at the front of `s`, which is not empty; 0 if it is malformed or cut. */
static size_t decode(struct str s, uint32_t *out)
{
	const uint8_t *b = (const uint8_t *)s.p;
	size_t n;
	uint32_t v;
	uint32_t smallest; /* below it the form is overlong */

	if (b[0] < 0x80) {
		*out = b[0];
		return 1;
	} else if ((b[0] & 0xe0) == 0xc0) {
		n = 2, v = b[0] & 0x1fU, smallest = 0x80;
	} else if ((b[0] & 0xf0) == 0xe0) {
		n = 3, v = b[0] & 0x0fU, smallest = 0x800;
	} else if ((b[0] & 0xf8) == 0xf0) {
		n = 4, v = b[0] & 0x07U, smallest = 0x10000;
	} else {
		return 0;
	}
	if (s.n < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (b[i] & 0x3fU);
	}
	if (v < smallest || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*out = v;
	return n;
}

bool utf8_cut(struct str *rest, uint32_t *out)
{
	size_t n = rest->n > 0 ? decode(*rest, out) : 0;

	if (n == 0)
		return false;
	(void)str_take(rest, n); /* the sequence */
	return true;
}

/* Takes ASCII off the front, eight bytes at a time: most text is nothing else. */
static void skip_ascii(struct str *rest)
{
	size_t n = 0;

	for (; rest->n - n >= sizeof(uint64_t); n += sizeof(uint64_t)) {
		uint64_t eight;
		memcpy(&eight, rest->p + n, sizeof(eight));
		if (eight & UINT64_C(0x8080808080808080))
			break;
	}
	while (n < rest->n && (uint8_t)rest->p[n] < 0x80)
		n++;
	(void)str_take(rest, n); /* all ASCII */
}

bool utf8_is_valid(struct str s)
{
	uint32_t code_point;

	for (;;) {
		skip_ascii(&s);
		if (s.n == 0)
			return true;
		if (!utf8_cut(&s, &code_point))
			return false;
	}
}

void utf8_put(struct buf *out, uint32_t v)
{
	ASSERT(v <= 0x10ffff && !(v >= 0xd800 && v <= 0xdfff));
	if (v < 0x80) {
		buf_put_byte(out, (char)v);
		return;
	}
	if (v < 0x800) {
		buf_put_byte(out, (char)(0xc0 | v >> 6));
	} else {
		if (v < 0x10000) {
			buf_put_byte(out, (char)(0xe0 | v >> 12));
		} else {
			buf_put_byte(out, (char)(0xf0 | v >> 18));
			buf_put_byte(out, (char)(0x80 | (v >> 12 & 0x3f)));
		}
		buf_put_byte(out, (char)(0x80 | (v >> 6 & 0x3f)));
	}
	buf_put_byte(out, (char)(0x80 | (v & 0x3f)));
}

void utf8_sanitize(struct buf *out, struct str in)
{
	while (in.n > 0) {
		struct str before = in;
		uint32_t code_point;
		skip_ascii(&in);
		while (in.n > 0 && (uint8_t)in.p[0] >= 0x80 && utf8_cut(&in, &code_point))
			;
		buf_put(out, str_slice(before, 0, before.n - in.n));
		if (in.n > 0 && (uint8_t)in.p[0] >= 0x80) {
			utf8_put(out, 0xfffd);
			(void)str_take(&in, 1); /* the malformed byte */
		}
	}
}
