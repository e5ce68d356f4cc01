/* SPDX-License-Identifier: Apache-2.0 */
#include "message/words.h"

#include "base/unicode.h"
#include "message/charset.h"
#include "message/test_kit.h"

static void check(struct str in, struct str want, int line)
{
	AUTO_BUF(out, 0);

	message_words_decode(&out, in);
	kit_assert_str(buf_str(&out), want, __FILE__, line);
}
#define assert_decoded(in, want) check(STR(in), STR(want), __LINE__)

static void plain_text_passes(void **state)
{
	(void)state;
	assert_decoded("Hello = world", "Hello = world");
	assert_decoded("a\r\n b\tc", "a b c");
	assert_decoded("\x1b[1mred", "[1mred");
	assert_decoded("h\xc3\xa4", "h\xc3\xa4");
	assert_decoded("h\xe4", "h\xef\xbf\xbd");
	assert_decoded("", "");
}

static void examples_of_rfc_2047(void **state)
{
	(void)state;
	assert_decoded("=?ISO-8859-1?Q?a?=", "a");
	assert_decoded("=?ISO-8859-1?Q?a?= b", "a b");
	assert_decoded("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab");
	assert_decoded("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab");
	assert_decoded("=?ISO-8859-1?Q?a_b?=", "a b");
	assert_decoded("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore");
	assert_decoded("=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard");
	assert_decoded("=?utf-8?B?w6Q=?=", "\xc3\xa4");
	assert_decoded("x=?utf-8?q?y?=z", "xyz");
}

static void torn_characters_are_joined(void **state)
{
	(void)state;
	assert_decoded("=?utf-8?Q?=C3?= =?UTF-8?B?pA==?=", "\xc3\xa4");
	assert_decoded("=?utf-8?Q?=C3?= x", "\xef\xbf\xbd x");
}

static void malformed_words_stay(void **state)
{
	(void)state;
	assert_decoded("=?utf-8?q?open", "=?utf-8?q?open");
	assert_decoded("=?utf-8?x?a?=", "=?utf-8?x?a?=");
	assert_decoded("=??q?a?=", "=??q?a?=");
	assert_decoded("=?utf-8?q?a\r\n b?=", "=?utf-8?q?a b?=");
	assert_decoded("=?utf-8 ?q?a?=", "=?utf-8 ?q?a?=");
	assert_decoded("=?utf-8?q?a? =", "=?utf-8?q?a? =");
	assert_decoded("=?", "=?");
	assert_decoded("=?utf-8?q?=ZZ=4?=", "=ZZ=4");
}

/* What mailers write, though RFC 2047 says otherwise. */
static void broken_words_are_understood(void **state)
{
	(void)state;
	assert_decoded("=?utf-8?q?a b=C3=A4?= c", "a b\xc3\xa4 c");
	assert_decoded("=?utf-8?b?w6Q =?=", "\xc3\xa4");
	assert_decoded("=?utf-8?B?w6Q?=", "\xc3\xa4");
	assert_decoded("=?utf-8?B?w6Q=?==?utf-8?B?w6Q=?=", "\xc3\xa4\xc3\xa4");
	assert_decoded("\"=?utf-8?Q?a?=\" <a@b>", "\"a\" <a@b>");
	assert_decoded("=?UTF-8?Q?=E4?=", "\xef\xbf\xbd");
	assert_decoded("=?utf-8?Q?=c3=a4?=", "\xc3\xa4");
	assert_decoded("a\0b =?utf-8?Q?=00c?=", "ab c");
	assert_decoded("=?utf-8?Q?"
		       "?=x",
		"x");
	assert_decoded("=?x-unknown?B?4eLj?=", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_decoded("=?windows-1252?Q?=80?=", "\xe2\x82\xac");
}

/* Malformed text is copied in runs: what is valid stays, each bad byte becomes one U+FFFD. */
static void malformed_utf8_is_replaced(void **state)
{
	(void)state;
	static const struct {
		struct str in, want;
	} cases[] = {
		{ STR("\xff"), STR("\xef\xbf\xbd") },
		{ STR("abcdefgh\xffijklmnopq\xc3\xa4"),
			STR("abcdefgh\xef\xbf\xbdijklmnopq\xc3\xa4") },
		{ STR("\xc3(\xe2\x82"), STR("\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd") },
		{ STR("\xed\xa0\x80"), STR("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") },
		{ STR("\xf0\x9f\x98\x80\xfe"), STR("\xf0\x9f\x98\x80\xef\xbf\xbd") },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO_BUF(out, 0);
		assert_true(charset_to_utf8(STR("utf-8"), cases[i].in, &out));
		kit_assert_str(buf_str(&out), cases[i].want, __FILE__, __LINE__);
	}
	/* Longer than a round, cut at every limit: never more, never half a character. */
	AUTO_BUF(in, 0);
	for (int i = 0; i < 3000; i++)
		buf_put(&in, STR("ab\xc3\xa4\xff"));
	for (size_t limit = 1; limit < 9000; limit += 611) {
		struct buf out;
		buf_init(&out, limit);
		assert_true(charset_to_utf8(STR("utf-8"), buf_str(&in), &out));
		assert_in_range(out.n, limit < 4 ? 0 : limit - 4, limit);
		assert_true(utf8_is_valid(buf_str(&out)));
		buf_done(&out);
	}
	AUTO_BUF(out, 0);
	assert_true(charset_to_utf8(STR("utf-8"), buf_str(&in), &out));
	assert_int_equal(out.n, 3000 * 7);
}

static void unknown_charsets_show_their_ascii(void **state)
{
	(void)state;
	assert_decoded("=?../../etc/x?q?a=E4?=", "a\xef\xbf\xbd");
	assert_decoded("=?no-such?q?abc?=", "abc");
}

static void other_charsets(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);

	assert_decoded("=?iso-2022-jp?B?GyRCJCIbKEI=?=", "\xe3\x81\x82");
	assert_decoded("=?koi8-r?Q?=C1?=", "\xd0\xb0");
	assert_decoded("=?gb18030?B?lDn8Ng==?=", "\xf0\x9f\x98\x80");
	assert_false(charset_to_utf8(STR("x,version=1"), STR("a"), &out));
	assert_int_equal(out.n, 0);
}

static void output_respects_its_limit(void **state)
{
	(void)state;
	struct buf out;
	AUTO_BUF(in, 0);

	for (int i = 0; i < 1000; i++)
		buf_put(&in, STR("=?iso-8859-1?q?=E4=E4=E4=E4?= "));
	buf_init(&out, 100);
	message_words_decode(&out, buf_str(&in));
	assert_in_range(out.n, 90, 100);
	buf_done(&out);
}

/* 200,000 words that change the charset each time: only the budget's worth is converted. */
static void charset_bomb_is_bounded(void **state)
{
	(void)state;
	AUTO_BUF(in, 0);
	AUTO_BUF(out, 0);

	for (int i = 0; i < 100000; i++)
		buf_put(&in, STR("=?koi8-r?q?a?= =?big5?q?b?= "));
	message_words_decode(&out, buf_str(&in));
	struct str text = buf_str(&out);
	assert_true(str_starts(text, STR("abab")));
	assert_int_equal(str_find(text, STR(" =?")), MESSAGE_WORDS_CHARSETS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_text_passes),
		cmocka_unit_test(examples_of_rfc_2047),
		cmocka_unit_test(torn_characters_are_joined),
		cmocka_unit_test(malformed_words_stay),
		cmocka_unit_test(broken_words_are_understood),
		cmocka_unit_test(malformed_utf8_is_replaced),
		cmocka_unit_test(unknown_charsets_show_their_ascii),
		cmocka_unit_test(other_charsets),
		cmocka_unit_test(output_respects_its_limit),
		cmocka_unit_test(charset_bomb_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
