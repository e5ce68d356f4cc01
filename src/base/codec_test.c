/* SPDX-License-Identifier: Apache-2.0 */
#include "base/codec.h"

#include "base/random.h"
#include "base/test.h"
#include "base/unicode.h"

struct pair {
	struct str plain;
	struct str coded;
};

#define PAIR(a, b)                                                                                 \
	{                                                                                          \
		{ a, sizeof(a) - 1 },                                                              \
		{                                                                                  \
			b, sizeof(b) - 1                                                           \
		}                                                                                  \
	}

typedef void encode_fn(struct buf *out, struct str in);
typedef bool decode_fn(struct buf *out, struct str in);

static void check_pairs(
	const struct pair *pairs, size_t count, encode_fn *encode, decode_fn *decode)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF(coded, 0);
		AUTO_BUF(plain, 0);
		encode(&coded, pairs[i].plain);
		assert_str(buf_str(&coded), pairs[i].coded);
		assert_true(decode(&plain, pairs[i].coded));
		assert_str(buf_str(&plain), pairs[i].plain);
	}
}

/* A refused text leaves the output alone. */
static void check_refused(const struct str *texts, size_t count, decode_fn *decode)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF(out, 0);
		buf_put(&out, STR("before"));
		if (decode(&out, texts[i]))
			fail_msg("\"%.*s\" was accepted", STRF(texts[i]));
		assert_str(buf_str(&out), STR("before"));
	}
}

/* What was encoded decodes to the same, for random bytes of all lengths. */
static void check_round_trip(encode_fn *encode, decode_fn *decode)
{
	char bytes[300];

	random_set_seed(2);
	for (size_t n = 0; n < sizeof(bytes); n++) {
		AUTO_BUF(coded, 0);
		AUTO_BUF(plain, 0);
		random_bytes(bytes, n);
		struct str in = { bytes, n };
		encode(&coded, in);
		assert_true(decode(&plain, buf_str(&coded)));
		assert_str(buf_str(&plain), in);
	}
}

static void base64_is_strict(void **state)
{
	(void)state;
	static const struct pair pairs[] = { PAIR("", ""), PAIR("f", "Zg=="), PAIR("fo", "Zm8="),
		PAIR("foo", "Zm9v"), PAIR("foobar", "Zm9vYmFy"),
		PAIR("\0user\0pass", "AHVzZXIAcGFzcw=="), PAIR("\xff\xef\xbe", "/+++") };
	const struct str bad[] = { STR("Zg"), STR("Zg="), STR("Zh=="), STR("Zm9="), STR("===="),
		STR("Z==="), STR("Zm 9v"), STR("Zm9v\n"), STR("Zg==Zg=="), STR("\xff\xff\xff\xff"),
		STR("=Zm8"), STR("A") };

	check_pairs(pairs, ARRAY_COUNT(pairs), base64_encode, base64_decode);
	check_refused(bad, ARRAY_COUNT(bad), base64_decode);
	check_round_trip(base64_encode, base64_decode);
}

static void base64_body_skips_foreign_bytes(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);

	base64_decode_body(&out, STR("Zm\r\n9v*Ym\xff"
				     "E=ignored"));
	assert_str(buf_str(&out), STR("fooba"));
	buf_clear(&out);
	base64_decode_body(&out, STR("Zm9vY")); /* cut off: six bits are no byte */
	assert_str(buf_str(&out), STR("foo"));
	buf_clear(&out);
	base64_decode_body(&out, STR(""));
	assert_int_equal(out.n, 0);
}

static void hex_reads_both_cases_and_writes_lower(void **state)
{
	(void)state;
	static const struct pair pairs[] = { PAIR("", ""), PAIR("\x00\xfe", "00fe") };
	const struct str bad[] = { STR("0"), STR("0g"), STR("0x10"), STR(" 0") };
	AUTO_BUF(out, 0);

	check_pairs(pairs, ARRAY_COUNT(pairs), hex_encode, hex_decode);
	check_refused(bad, ARRAY_COUNT(bad), hex_decode);
	check_round_trip(hex_encode, hex_decode);
	assert_true(hex_decode(&out, STR("Aa")));
	assert_str(buf_str(&out), STR("\xaa"));
}

static void quoted_printable_forgives(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
		PAIR("plain", "plain"),
		PAIR("caf\xc3\xa9", "caf=C3=a9"),
		PAIR("one line", "one =\r\nline"),
		PAIR("one line", "one =  \nline"),
		PAIR("kept\r\nends\n", "kept  \r\nends\t\n"),
		PAIR("1 = 1", "1 = 1"),
		PAIR("=XY=4", "=XY=4"),
		PAIR("end", "end="),
		PAIR("a b", "a=20b"),
		PAIR("trailing ", "trailing=20"),
		PAIR("", "="),
		PAIR("\r\n\r\n", "\r\n\r\n"),
	};

	for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
		AUTO_BUF(out, 0);
		quoted_printable_decode(&out, pairs[i].coded);
		assert_str(buf_str(&out), pairs[i].plain);
	}
}

static void xtext_is_strict(void **state)
{
	(void)state;
	static const struct pair pairs[] = { PAIR("", ""), PAIR("a+b=c d", "a+2Bb+3Dc+20d"),
		PAIR("joe@example.org", "joe@example.org"), PAIR("\xff", "+FF") };
	const struct str bad[] = { STR("a b"), STR("a=b"), STR("+"), STR("+2"), STR("+2b"),
		STR("\x7f") };

	check_pairs(pairs, ARRAY_COUNT(pairs), xtext_encode, xtext_decode);
	check_refused(bad, ARRAY_COUNT(bad), xtext_decode);
	check_round_trip(xtext_encode, xtext_decode);
}

static void mutf7_accepts_only_the_canonical_form(void **state)
{
	(void)state;
	static const struct pair pairs[] = {
		PAIR("INBOX", "INBOX"),
		PAIR("R&D", "R&-D"),
		PAIR("&&", "&-&-"),
		PAIR("Entw\xc3\xbcrfe", "Entw&APw-rfe"),
		PAIR("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
			"~peter/mail/&U,BTFw-/&ZeVnLIqe-"), /* RFC 3501 */
		PAIR("\xf0\x9f\x98\x80", "&2D3eAA-"),
		PAIR("", ""),
	};
	const struct str bad[] = {
		STR("Entw\xc3\xbcrfe"), /* not encoded */
		STR("&AGE-"),           /* "a" needs no encoding */
		STR("&APw"),            /* no end */
		STR("&APw-&APw-"),      /* two runs that should be one */
		STR("&U/BT-"),          /* "/" for "," */
		STR("&APx-"),           /* stray bits */
		STR("&2D0-"),           /* half a surrogate pair */
		STR("&3gDYPQ-"),        /* the halves swapped */
		STR("&APwA-"),          /* half a unit */
		STR("a\tb"),            /* control characters, plain and encoded */
		STR("&AAE-"),
		STR("&AIA-"),
		STR("&"),
	};

	check_pairs(pairs, ARRAY_COUNT(pairs), mutf7_encode, mutf7_decode);
	check_refused(bad, ARRAY_COUNT(bad), mutf7_decode);
}

static void mutf7_round_trip_of_random_text(void **state)
{
	(void)state;
	random_set_seed(3);
	for (int round = 0; round < 2000; round++) {
		AUTO_BUF(text, 0);
		AUTO_BUF(coded, 0);
		AUTO_BUF(again, 0);
		for (uint64_t n = random_below(12); n > 0; n--) {
			static const uint32_t tops[] = { 0x5f, 0x700, 0xd700, 0x10ff00 };
			uint32_t c = (uint32_t)random_below(tops[random_below(4)]) + 0xa0;
			c = random_below(2) ? (uint32_t)random_below(0x5f) + 0x20 : c;
			utf8_put(&text, c >= 0xd800 && c <= 0xdfff ? '&' : c);
		}
		mutf7_encode(&coded, buf_str(&text));
		assert_true(mutf7_decode(&again, buf_str(&coded)));
		assert_str(buf_str(&again), buf_str(&text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_is_strict),
		cmocka_unit_test(base64_body_skips_foreign_bytes),
		cmocka_unit_test(hex_reads_both_cases_and_writes_lower),
		cmocka_unit_test(quoted_printable_forgives),
		cmocka_unit_test(xtext_is_strict),
		cmocka_unit_test(mutf7_accepts_only_the_canonical_form),
		cmocka_unit_test(mutf7_round_trip_of_random_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
