/* SPDX-License-Identifier: Apache-2.0 */
/* base/codec.c - base64, hex, quoted-printable, percent-like escapes and modified UTF-7: see
 * codec.h.
 *
 * A strict decoder that says no leaves the output as it was. */
#include "base/codec.h"

#include <stdint.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/unicode.h"

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits_lower[] = "0123456789abcdef";
static const char hex_digits_upper[] = "0123456789ABCDEF";

#define NO_DIGIT 64U

/* 0..63, or NO_DIGIT. */
static unsigned base64_value(char c)
{
	/* Value + 1 of each ASCII character; 0: no digit. */
	static const uint8_t plus_one[128] = { ['A'] = 1,
		2,
		3,
		4,
		5,
		6,
		7,
		8,
		9,
		10,
		11,
		12,
		13,
		14,
		15,
		16,
		17,
		18,
		19,
		20,
		21,
		22,
		23,
		24,
		25,
		26,
		['a'] = 27,
		28,
		29,
		30,
		31,
		32,
		33,
		34,
		35,
		36,
		37,
		38,
		39,
		40,
		41,
		42,
		43,
		44,
		45,
		46,
		47,
		48,
		49,
		50,
		51,
		52,
		['0'] = 53,
		54,
		55,
		56,
		57,
		58,
		59,
		60,
		61,
		62,
		['+'] = 63,
		['/'] = 64 };
	uint8_t byte = (uint8_t)c;

	return byte < 128 && plus_one[byte] ? plus_one[byte] - 1U : NO_DIGIT;
}

/* Digits of 1 to 3 bytes at `b`, without padding; returns how many. */
static size_t base64_group(const uint8_t *b, size_t n, char *out)
{
	uint32_t bits =
		(uint32_t)b[0] << 16 | (n > 1 ? (uint32_t)b[1] << 8 : 0) | (n > 2 ? b[2] : 0U);

	for (size_t i = 0; i <= n; i++)
		out[i] = base64_digits[bits >> (18 - 6 * i) & 63];
	return n + 1;
}

void base64_encode(struct buf *out, struct str in)
{
	ASSERT(in.n <= SIZE_MAX / 2);
	size_t total = (in.n + 2) / 3 * 4;
	char *p = buf_reserve(out, total);
	const uint8_t *b = (const uint8_t *)in.p;

	for (size_t left = in.n; left > 0;) {
		size_t part = MIN(left, 3);
		size_t digits = base64_group(b, part, p);
		for (; digits < 4; digits++)
			p[digits] = '=';
		b += part;
		left -= part;
		p += 4;
	}
	buf_grew(out, total);
}

/* Decodes `n` digits (2 to 4) to n - 1 bytes; false if the unused bits are not zero. */
static bool base64_ungroup(const unsigned *digits, size_t n, char *out)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++)
		bits = bits << 6 | (i < n ? digits[i] : 0);
	for (size_t i = 0; i + 1 < n; i++)
		out[i] = (char)(uint8_t)(bits >> (16 - 8 * i));
	return n == 4 || (bits & (n == 3 ? 0xffU : 0xffffU)) == 0;
}

bool base64_decode(struct buf *out, struct str in)
{
	size_t before = out->n;
	size_t padding = 0;

	if (in.n % 4 != 0)
		return false;
	while (padding < 2 && in.n > 0 && in.p[in.n - 1] == '=') {
		in.n--;
		padding++;
	}
	while (in.n > 0) {
		struct str group = str_take(&in, 4);
		unsigned digits[4];
		char bytes[3];
		bool is_good = group.n >= 2;
		for (size_t i = 0; i < group.n; i++) {
			digits[i] = base64_value(group.p[i]);
			is_good = is_good && digits[i] != NO_DIGIT;
		}
		if (!is_good || !base64_ungroup(digits, group.n, bytes)) {
			buf_truncate(out, before);
			return false;
		}
		buf_put(out, (struct str){ bytes, group.n - 1 });
	}
	return true;
}

void base64_decode_body(struct buf *out, struct str in)
{
	char *p = buf_reserve(out, in.n / 4 * 3 + 3);
	size_t n = 0;
	unsigned digits[4];
	size_t digit_count = 0;

	for (size_t i = 0; i < in.n && in.p[i] != '='; i++) {
		unsigned v = base64_value(in.p[i]);
		if (v == NO_DIGIT)
			continue;
		digits[digit_count++] = v;
		if (digit_count == 4) {
			(void)base64_ungroup(digits, 4, p + n); /* four digits are always good */
			n += 3;
			digit_count = 0;
		}
	}
	if (digit_count >= 2) {
		(void)base64_ungroup(digits, digit_count, p + n); /* stray bits are forgiven here */
		n += digit_count - 1;
	}
	buf_grew(out, n);
}

/* 0..15, or -1. */
static int hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	char lower = ascii_lower(c);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The byte that two hex digits at `p` mean, or -1. */
static int hex_pair(const char *p)
{
	int high = hex_value(p[0]);
	int low = hex_value(p[1]);

	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void hex_encode(struct buf *out, struct str in)
{
	ASSERT(in.n <= SIZE_MAX / 4);
	char *p = buf_reserve(out, in.n * 2);

	for (size_t i = 0; i < in.n; i++) {
		uint8_t byte = (uint8_t)in.p[i];
		p[2 * i] = hex_digits_lower[byte >> 4];
		p[2 * i + 1] = hex_digits_lower[byte & 15];
	}
	buf_grew(out, in.n * 2);
}

bool hex_decode(struct buf *out, struct str in)
{
	size_t before = out->n;

	if (in.n % 2 != 0)
		return false;
	for (size_t i = 0; i < in.n; i += 2) {
		int byte = hex_pair(in.p + i);
		if (byte < 0) {
			buf_truncate(out, before);
			return false;
		}
		buf_put_byte(out, (char)byte);
	}
	return true;
}

/* One line, without its end. True if it ends in a soft break: the next line continues it. */
static bool quoted_printable_line(struct buf *out, struct str line)
{
	while (line.n > 0 && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
		line.n--; /* added on the way: RFC 2045 §6.7 rule 3 */
	bool is_soft = line.n > 0 && line.p[line.n - 1] == '=';
	if (is_soft)
		line.n--;
	while (line.n > 0) {
		ssize_t at = str_find_byte(line, '=');
		buf_put(out, str_take(&line, at < 0 ? line.n : (size_t)at));
		int byte = line.n >= 3 ? hex_pair(line.p + 1) : -1;
		if (byte >= 0) {
			buf_put_byte(out, (char)byte);
			(void)str_take(&line, 3); /* the escape */
		} else {
			buf_put(out, str_take(&line, 1)); /* a bad one stays */
		}
	}
	return is_soft;
}

void quoted_printable_decode(struct buf *out, struct str in)
{
	struct str rest = in;
	struct str line;

	while (str_cut_line(&rest, &line)) {
		if (quoted_printable_line(out, line))
			continue;
		const char *line_end = line.p + line.n;
		buf_put(out, *line_end == '\r' ? STR("\r\n") : STR("\n"));
	}
	(void)quoted_printable_line(
		out, rest); /* a soft break at the end of all continues nothing */
}

static bool is_xtext_literal(char c)
{
	return c >= '!' && c <= '~' && c != '+' && c != '=';
}

void xtext_encode(struct buf *out, struct str in)
{
	for (size_t i = 0; i < in.n; i++) {
		uint8_t byte = (uint8_t)in.p[i];
		if (is_xtext_literal(in.p[i])) {
			buf_put_byte(out, in.p[i]);
			continue;
		}
		buf_put_byte(out, '+');
		buf_put_byte(out, hex_digits_upper[byte >> 4]);
		buf_put_byte(out, hex_digits_upper[byte & 15]);
	}
}

static bool is_upper_hex(char c)
{
	return ascii_is_digit(c) || (c >= 'A' && c <= 'F');
}

bool xtext_decode(struct buf *out, struct str in)
{
	size_t before = out->n;

	while (in.n > 0) {
		struct str escape = str_slice(in, 0, 3);
		if (is_xtext_literal(in.p[0])) {
			buf_put(out, str_take(&in, 1));
		} else if (escape.n == 3 && escape.p[0] == '+' && is_upper_hex(escape.p[1]) &&
			   is_upper_hex(escape.p[2])) {
			buf_put_byte(out, (char)hex_pair(escape.p + 1));
			(void)str_take(&in, 3); /* the escape */
		} else {
			buf_truncate(out, before);
			return false;
		}
	}
	return true;
}
