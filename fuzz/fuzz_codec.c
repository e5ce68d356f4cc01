/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_codec.c - decoders and number parsers of base: any bytes give a result or a refusal, a
 * refusal changes nothing, and what was accepted comes back when it is encoded again. */
#include "base/base.h"
#include "base/codec.h"
#include "base/number.h"
#include "base/unicode.h"

typedef bool decode_fn(struct buf *out, struct str in);
typedef void encode_fn(struct buf *out, struct str in);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `is_unique`: a value has one accepted text. */
static void check_decoder(decode_fn *decode, encode_fn *encode, struct str in, bool is_unique)
{
	AUTO_BUF(plain, 0);
	AUTO_BUF(coded, 0);
	AUTO_BUF(again, 0);

	buf_put_byte(&plain, '!'); /* what was there before stays */
	bool is_good = decode(&plain, in);
	ASSERT(plain.n >= 1 && plain.p[0] == '!');
	if (!is_good) {
		ASSERT(plain.n == 1);
		return;
	}
	struct str value = str_slice(buf_str(&plain), 1, plain.n);
	encode(&coded, value);
	ASSERT(!is_unique || str_eq(buf_str(&coded), in));
	ASSERT(decode(&again, buf_str(&coded)));
	ASSERT(str_eq(buf_str(&again), value));
}

/* What is encoded decodes to the same. */
static void check_encoder(decode_fn *decode, encode_fn *encode, struct str value)
{
	AUTO_BUF(coded, 0);
	AUTO_BUF(again, 0);

	encode(&coded, value);
	ASSERT(decode(&again, buf_str(&coded)));
	ASSERT(str_eq(buf_str(&again), value));
}

static void check_forgiving(struct str in)
{
	AUTO_BUF(out, 0);
	AUTO_BUF(strict, 0);

	base64_decode_body(&out, in);
	if (base64_decode(&strict, in))
		ASSERT(str_eq(buf_str(&out), buf_str(&strict)));
	buf_clear(&out);
	quoted_printable_decode(&out, in);
	ASSERT(out.n <= in.n);
	buf_clear(&out);
	utf8_sanitize(&out, in);
	ASSERT(utf8_is_valid(buf_str(&out)));
	ASSERT(!utf8_is_valid(in) || str_eq(buf_str(&out), in));
	buf_clear(&out);
	mutf7_encode(&out, in); /* takes malformed UTF-8 too */
}

static void check_numbers(struct str in)
{
	AUTO_BUF(out, 0);
	uint64_t v, whole;
	uint32_t small;
	struct str rest = in;

	if (number_cut_u64(&rest, &v)) {
		ASSERT(rest.n < in.n);
		ASSERT(number_parse_u64(str_slice(in, 0, in.n - rest.n), &whole) && whole == v);
	} else {
		ASSERT(rest.n == in.n);
	}
	if (number_parse_u32(in, &small))
		ASSERT(number_parse_u64(in, &whole) && whole == small);
	if (number_parse_octal(in, &small))
		ASSERT(number_parse_hex_u64(in, &whole) || in.n > 16);
	rest = in;
	if (number_cut_varint(&rest, &v)) {
		number_put_varint(&out, v);
		ASSERT(str_eq(buf_str(&out), str_slice(in, 0, in.n - rest.n)));
	} else {
		ASSERT(rest.n == in.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };

	check_decoder(base64_decode, base64_encode, in, true);
	check_decoder(hex_decode, hex_encode, in, false);     /* two cases */
	check_decoder(xtext_decode, xtext_encode, in, false); /* needless escapes */
	check_decoder(mutf7_decode, mutf7_encode, in, true);
	check_encoder(base64_decode, base64_encode, in);
	check_encoder(hex_decode, hex_encode, in);
	check_encoder(xtext_decode, xtext_encode, in);
	check_forgiving(in);
	check_numbers(in);
	return 0;
}
