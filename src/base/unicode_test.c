/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unicode.h"

#include "base/random.h"
#include "base/test.h"

static void utf8_refuses_what_rfc_3629_refuses(void **state)
{
	(void)state;
	const struct str bad[] = { STR("\x80"), STR("\xc0\x80"), STR("\xc1\xbf"), STR("\xc3"),
		STR("\xc3("), STR("\xe0\x9f\xbf"), STR("\xe2\x82"), STR("\xed\xa0\x80"),
		STR("\xed\xbf\xbf"), STR("\xf0\x8f\xbf\xbf"), STR("\xf4\x90\x80\x80"),
		STR("\xf5\x80\x80\x80"), STR("\xff"), STR("long ascii first \x80") };

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_false(utf8_is_valid(bad[i]));
	assert_true(utf8_is_valid(STR_NONE));
	assert_true(
		utf8_is_valid(STR("plain text of many bytes, and then \xc3\xa9, and more of it")));
	assert_true(utf8_is_valid(STR("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf")));
}

static void utf8_round_trip_of_every_code_point(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);

	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint32_t again = 0;
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		buf_clear(&b);
		utf8_put(&b, c);
		struct str rest = buf_str(&b);
		if (!utf8_cut(&rest, &again) || again != c || rest.n != 0)
			fail_msg("U+%04X does not come back", (unsigned)c);
	}
	assert_aborts(utf8_put(&b, 0xd800));
}

static void utf8_cut_leaves_malformed_bytes(void **state)
{
	(void)state;
	struct str rest = STR("a\xff");
	uint32_t c = 0;

	assert_true(utf8_cut(&rest, &c));
	assert_int_equal(c, 'a');
	assert_false(utf8_cut(&rest, &c));
	assert_int_equal(rest.n, 1);
	assert_int_equal(c, 'a');
}

static void utf8_sanitize_gives_valid_text(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);

	utf8_sanitize(&b, STR("a\xff\xc3\xa9\xe2\x82z"));
	assert_str(buf_str(&b), STR("a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz"));
	random_set_seed(11);
	for (int round = 0; round < 2000; round++) {
		char bytes[40];
		AUTO_BUF(clean, 0);
		AUTO_BUF(twice, 0);
		random_bytes(bytes, sizeof(bytes));
		struct str in = { bytes, random_below(sizeof(bytes)) };
		utf8_sanitize(&clean, in);
		assert_true(utf8_is_valid(buf_str(&clean)));
		if (utf8_is_valid(in))
			assert_str(buf_str(&clean), in);
		utf8_sanitize(&twice, buf_str(&clean));
		assert_str(buf_str(&twice), buf_str(&clean));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_refuses_what_rfc_3629_refuses),
		cmocka_unit_test(utf8_round_trip_of_every_code_point),
		cmocka_unit_test(utf8_cut_leaves_malformed_bytes),
		cmocka_unit_test(utf8_sanitize_gives_valid_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
