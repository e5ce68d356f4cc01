/* SPDX-License-Identifier: Apache-2.0 */
/* base/mutf7.c - modified UTF-7 of mailbox names: see codec.h. Spec: RFC 3501 §5.1.3.
 *
 * Printable ASCII stands for itself, "&" is "&-", all else is "&" + UTF-16BE in base64 with "," for
 * "/" and without padding + "-". "Only the canonical form" is checked in the plainest way: what was
 * decoded is encoded again and must be what came in. */
#include <stdint.h>

#include "base/codec.h"
#include "base/unicode.h"

static bool is_direct(uint32_t code_point)
{
	return code_point >= 0x20 && code_point <= 0x7e;
}

static void put_utf16(struct buf *out, uint32_t unit)
{
	buf_put_byte(out, (char)(uint8_t)(unit >> 8));
	buf_put_byte(out, (char)(uint8_t)unit);
}

static void put_code_point_utf16(struct buf *out, uint32_t code_point)
{
	if (code_point < 0x10000) {
		put_utf16(out, code_point);
		return;
	}
	put_utf16(out, 0xd800 + ((code_point - 0x10000) >> 10));
	put_utf16(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
}

static void put_shifted(struct buf *out, struct str utf16)
{
	AUTO_BUF(digits, 0);

	base64_encode(&digits, utf16);
	buf_put_byte(out, '&');
	for (size_t i = 0; i < digits.n && digits.p[i] != '='; i++)
		buf_put_byte(out, digits.p[i] == '/' ? ',' : digits.p[i]);
	buf_put_byte(out, '-');
}

void mutf7_encode(struct buf *out, struct str utf8)
{
	AUTO_BUF(shifted, 0);

	while (utf8.n > 0) {
		uint32_t code_point;
		if (!utf8_cut(&utf8, &code_point)) {
			code_point = 0xfffd;
			(void)str_take(&utf8, 1); /* the malformed byte */
		}
		if (!is_direct(code_point)) {
			put_code_point_utf16(&shifted, code_point);
			continue;
		}
		if (shifted.n > 0)
			put_shifted(out, buf_str(&shifted));
		buf_clear(&shifted);
		buf_put(out, code_point == '&' ? STR("&-")
					       : (struct str){ &(char){ (char)code_point }, 1 });
	}
	if (shifted.n > 0)
		put_shifted(out, buf_str(&shifted));
}

/* Adds UTF-16BE bytes as UTF-8; false for lone surrogates and an odd length. */
static bool add_utf16(struct buf *out, struct str utf16)
{
	while (utf16.n >= 2) {
		struct str pair = str_take(&utf16, 2);
		uint32_t unit = (uint32_t)(uint8_t)pair.p[0] << 8 | (uint8_t)pair.p[1];
		if (unit >= 0xd800 && unit <= 0xdfff) {
			pair = str_take(&utf16, 2);
			if (unit >= 0xdc00 || pair.n < 2)
				return false;
			uint32_t low = (uint32_t)(uint8_t)pair.p[0] << 8 | (uint8_t)pair.p[1];
			if (low < 0xdc00 || low > 0xdfff)
				return false;
			unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
		}
		utf8_put(out, unit);
	}
	return utf16.n == 0;
}

/* Adds what "&...-" means; `digits` is what stands between. */
static bool add_shifted(struct buf *out, struct str digits)
{
	AUTO_BUF(padded, 0);
	AUTO_BUF(utf16, 0);

	if (digits.n == 0) {
		buf_put_byte(out, '&');
		return true;
	}
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] == '/')
			return false;
		buf_put_byte(&padded, digits.p[i] == ',' ? '/' : digits.p[i]);
	}
	while (padded.n % 4 != 0)
		buf_put_byte(&padded, '=');
	return base64_decode(&utf16, buf_str(&padded)) && add_utf16(out, buf_str(&utf16));
}

static bool has_control(struct str utf8)
{
	uint32_t code_point;

	while (utf8_cut(&utf8, &code_point))
		if (code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f))
			return true;
	return false;
}

static bool is_canonical(struct str in, struct str utf8)
{
	AUTO_BUF(again, 0);

	mutf7_encode(&again, utf8);
	return str_eq(buf_str(&again), in);
}

bool mutf7_decode(struct buf *out, struct str in)
{
	AUTO_BUF(utf8, 0);
	struct str rest = in;

	while (rest.n > 0) {
		struct str digits;
		ssize_t shift = str_find_byte(rest, '&');
		buf_put(&utf8, str_take(&rest, shift < 0 ? rest.n : (size_t)shift));
		if (rest.n == 0)
			break;
		(void)str_take(&rest, 1); /* the "&" */
		if (!str_cut(&rest, '-', &digits) || !add_shifted(&utf8, digits))
			return false;
	}
	if (!utf8_is_valid(buf_str(&utf8)) || has_control(buf_str(&utf8)) ||
		!is_canonical(in, buf_str(&utf8)))
		return false;
	buf_put(out, buf_str(&utf8));
	return true;
}
