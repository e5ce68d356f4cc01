/* SPDX-License-Identifier: Apache-2.0 */
#include "service/imap/search_private.h"

#include "base/test.h"

static void assert_same(struct str a, struct str b)
{
	AUTO_BUF(left, 0);
	AUTO_BUF(right, 0);
	search_fold(&left, a);
	search_fold(&right, b);
	assert_str(buf_str(&left), buf_str(&right));
}

static bool is_found(struct str text, struct str needle)
{
	AUTO_BUF(left, 0);
	AUTO_BUF(right, 0);
	search_fold(&left, text);
	search_fold(&right, needle);
	return search_contains(buf_str(&left), buf_str(&right));
}

static void case_is_ignored_in_every_script(void **state)
{
	(void)state;
	assert_same(STR("Hello WORLD"), STR("hello world"));
	assert_same(STR("ÄÖÜ ÉÈ"), STR("äöü éè"));
	assert_same(STR("ПРИВЕТ"), STR("привет"));
	assert_same(STR("ΣΊΣΥΦΟΣ"), STR("σίσυφος"));
	assert_same(STR("Straße"), STR("STRASSE"));
}

static void composed_and_decomposed_are_the_same(void **state)
{
	(void)state;
	assert_same(STR("caf\xc3\xa9"), STR("cafe\xcc\x81"));
	assert_same(STR("ﬁne ＡＢＣ"), STR("fine abc"));
	assert_same(STR("한글"), STR("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"
				     "\xe1\x84\x80\xe1\x85\xb3\xe1\x86\xaf"));
}

static void a_needle_is_found_anywhere(void **state)
{
	(void)state;
	assert_true(is_found(STR("Grüße aus KÖLN am Rhein"), STR("köln")));
	assert_true(is_found(STR("x"), STR("")));
	assert_true(is_found(STR(""), STR("")));
	assert_false(is_found(STR(""), STR("x")));
	assert_false(is_found(STR("Köln"), STR("Bonn")));
	/* RFC 5051: comparing decomposed characters, the base letter is a substring. */
	assert_true(is_found(STR("caf\xc3\xa9"), STR("CAFE")));
}

/* Pieces are cut at any place: a long text folds as its characters do. */
static void long_text_folds_like_short_text(void **state)
{
	(void)state;
	for (size_t shift = 0; shift < 8; shift++) {
		AUTO_BUF(text, 0);
		AUTO_BUF(want, 0);
		AUTO_BUF(got, 0);
		for (size_t i = 0; i < shift; i++) {
			buf_put_byte(&text, 'A');
			buf_put_byte(&want, 'a');
		}
		for (size_t i = 0; i < 500; i++) {
			buf_put(&text, STR("Ж日😀"));
			buf_put(&want, STR("ж日😀"));
		}
		search_fold(&got, buf_str(&text));
		assert_str(buf_str(&got), buf_str(&want));
	}
}

static void what_expands_most_fits(void **state)
{
	(void)state;
	AUTO_BUF(text, 0);
	AUTO_BUF(got, 0);
	for (size_t i = 0; i < 200; i++)
		buf_put(&text, STR("\xef\xb7\xba")); /* U+FDFA: 18 characters */
	search_fold(&got, buf_str(&text));
	assert_int_equal(got.n, 200 * 33);
	buf_clear(&text);
	buf_clear(&got);
	for (size_t i = 0; i < 200; i++)
		buf_put(&text, STR("\xce\x90")); /* U+0390: three after decomposing */
	search_fold(&got, buf_str(&text));
	assert_int_equal(got.n, 200 * 6);
}

static void the_buffers_limit_cuts_the_text(void **state)
{
	(void)state;
	AUTO_BUF(got, 10);
	search_fold(&got, STR("ABCDEFGHIJKLMNOP"));
	assert_str(buf_str(&got), STR("abcdefghij"));
	search_fold(&got, STR("Ж"));
	assert_int_equal(got.n, 10);
}

static void any_bytes_are_taken(void **state)
{
	(void)state;
	AUTO_BUF(text, 0);
	AUTO_BUF(got, 0);
	for (int i = 0; i < 4096; i++)
		buf_put_byte(&text, (char)(i * 37 ^ i >> 5));
	for (size_t from = 0; from < 300; from++)
		search_fold(&got, str_slice(buf_str(&text), from, text.n));
	assert_true(got.n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(case_is_ignored_in_every_script),
		cmocka_unit_test(composed_and_decomposed_are_the_same),
		cmocka_unit_test(a_needle_is_found_anywhere),
		cmocka_unit_test(long_text_folds_like_short_text),
		cmocka_unit_test(what_expands_most_fits),
		cmocka_unit_test(the_buffers_limit_cuts_the_text),
		cmocka_unit_test(any_bytes_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
