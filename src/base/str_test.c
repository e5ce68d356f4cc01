/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/test.h"

static void str_compares_bytes(void **state)
{
	(void)state;
	assert_true(str_eq(STR(""), STR_NONE));
	assert_false(str_eq(STR("a"), STR("A")));
	assert_true(str_eq_ci(STR("Inbox"), STR("INBOX")));
	assert_false(str_eq_ci(STR("\xc3\xa4"), STR("\xc3\x84"))); /* ASCII only */
	assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
	assert_true(str_cmp(STR("b"), STR("abc")) > 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* unsigned */
	assert_int_equal(str_cmp_ci(STR("aBc"), STR("AbC")), 0);
	assert_true(str_cmp_ci(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp_ci(STR_NONE, STR("a")) < 0);
}

static void str_finds_what_is_there(void **state)
{
	(void)state;
	struct str s = STR("a.b.c");

	assert_int_equal(str_find(s, STR(".c")), 3);
	assert_int_equal(str_find(s, STR("x")), -1);
	assert_int_equal(str_find(s, STR("")), 0);
	assert_int_equal(str_find(STR_NONE, STR("x")), -1);
	assert_int_equal(str_find_ci(s, STR(".C")), 3);
	assert_int_equal(str_find_ci(STR("a"), STR("ab")), -1);
	assert_int_equal(str_find_byte(s, '.'), 1);
	assert_int_equal(str_find_last_byte(s, '.'), 3);
	assert_int_equal(str_find_byte(STR_NONE, '.'), -1);
	assert_true(str_starts(s, STR("a.")) && !str_starts(s, STR("a.b.c.d")));
	assert_true(str_starts_ci(s, STR("A.B")));
	assert_true(str_ends(s, STR(".c")) && !str_ends(s, STR("b")));
}

static void str_slice_is_clamped(void **state)
{
	(void)state;
	assert_str(str_slice(STR("hello"), 1, 3), STR("el"));
	assert_str(str_slice(STR("hello"), 3, 100), STR("lo"));
	assert_str(str_slice(STR("hello"), 7, 9), STR(""));
	assert_str(str_slice(STR("hello"), 3, 1), STR(""));
	assert_str(str_slice(STR_NONE, 0, 5), STR(""));
}

static void str_cut_takes_the_part_before_the_separator(void **state)
{
	(void)state;
	struct str rest = STR("user@host@x"), out;

	assert_true(str_cut(&rest, '@', &out));
	assert_str(out, STR("user"));
	assert_str(rest, STR("host@x"));
}

static void str_cut_leaves_rest_when_separator_is_missing(void **state)
{
	(void)state;
	struct str rest = STR("no-space"), out;

	assert_false(str_cut(&rest, ' ', &out));
	assert_str(rest, STR("no-space"));
}

static void str_cut_may_write_over_its_input(void **state)
{
	(void)state;
	struct str s = STR("first second");

	assert_true(str_cut(&s, ' ', &s)); /* out wins over rest */
	assert_str(s, STR("first"));
}

static void str_cut_line_knows_both_ends(void **state)
{
	(void)state;
	struct str rest = STR("one\r\ntwo\n\r\nlast"), line;

	assert_true(str_cut_line(&rest, &line));
	assert_str(line, STR("one"));
	assert_true(str_cut_line(&rest, &line));
	assert_str(line, STR("two"));
	assert_true(str_cut_line(&rest, &line));
	assert_str(line, STR(""));
	assert_false(str_cut_line(&rest, &line));
	assert_str(rest, STR("last"));
}

static void str_cut_word_skips_blanks(void **state)
{
	(void)state;
	struct str rest = STR(" \tMAIL  FROM "), word;

	assert_true(str_cut_word(&rest, &word));
	assert_str(word, STR("MAIL"));
	assert_true(str_cut_word(&rest, &word));
	assert_str(word, STR("FROM"));
	assert_false(str_cut_word(&rest, &word));
}

static void str_skip_and_take(void **state)
{
	(void)state;
	struct str rest = STR("Mail from:<a>");

	assert_false(str_skip(&rest, STR("MAIL")));
	assert_true(str_skip_ci(&rest, STR("MAIL FROM:")));
	assert_str(str_take(&rest, 1), STR("<"));
	assert_str(str_take(&rest, 99), STR("a>"));
	assert_str(str_take(&rest, 99), STR(""));
}

static void str_trims_blanks_and_line_ends(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \t a b\r\n")), STR("a b"));
	assert_str(str_trim_right(STR(" a ")), STR(" a"));
	assert_str(str_trim(STR(" \r\n")), STR(""));
	assert_str(str_trim(STR_NONE), STR(""));
}

static void str_copies(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	struct str s = STR("In\0box");

	assert_str(str_dup(&a, s), s);
	assert_str(str_dup(&a, STR_NONE), STR(""));
	assert_true(str_has_nul(s) && !str_has_nul(STR("Inbox")));
	assert_int_equal(str_dup_z(&a, s)[6], '\0');
	assert_str(str_lower(&a, STR("ÄBC")), STR("Äbc"));
	assert_str(str_printf(&a, "%.*s-%d", STRF(STR("uid")), 7), STR("uid-7"));
	char *heap = str_new_z(STR("own"));
	assert_str(str_from(heap), STR("own"));
	mem_free(heap);
	assert_null(str_from(NULL).p);
}

static void str_matches_knows_wildcards(void **state)
{
	(void)state;
	static const struct {
		struct str s, pattern;
		bool is_match;
	} cases[] = {
		{ STR(""), STR(""), true },
		{ STR(""), STR("*"), true },
		{ STR(""), STR("?"), false },
		{ STR("abc"), STR("abc"), true },
		{ STR("abc"), STR("ABC"), false },
		{ STR("abc"), STR("ab"), false },
		{ STR("abc"), STR("a?c"), true },
		{ STR("abc"), STR("*"), true },
		{ STR("abc"), STR("**c**"), true },
		{ STR("abc"), STR("a*b"), false },
		{ STR("abab"), STR("*ab"), true }, /* not the first "ab" */
		{ STR("ab.example.com"), STR("*.example.com"), true },
		{ STR("a*c"), STR("a?c"), true },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(str_matches(cases[i].s, cases[i].pattern), cases[i].is_match);
}

static void ascii_classes_cover_all_bytes(void **state)
{
	(void)state;
	int digits = 0, letters = 0, spaces = 0;

	for (int c = -128; c < 128; c++) {
		digits += ascii_is_digit((char)c);
		letters += ascii_is_alpha((char)c);
		spaces += ascii_is_space((char)c);
		bool has_case = ascii_lower((char)c) != ascii_upper((char)c);
		assert_int_equal(has_case, ascii_is_alpha((char)c));
	}
	assert_int_equal(digits, 10);
	assert_int_equal(letters, 52);
	assert_int_equal(spaces, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(str_compares_bytes),
		cmocka_unit_test(str_finds_what_is_there),
		cmocka_unit_test(str_slice_is_clamped),
		cmocka_unit_test(str_cut_takes_the_part_before_the_separator),
		cmocka_unit_test(str_cut_leaves_rest_when_separator_is_missing),
		cmocka_unit_test(str_cut_may_write_over_its_input),
		cmocka_unit_test(str_cut_line_knows_both_ends),
		cmocka_unit_test(str_cut_word_skips_blanks),
		cmocka_unit_test(str_skip_and_take),
		cmocka_unit_test(str_trims_blanks_and_line_ends),
		cmocka_unit_test(str_copies),
		cmocka_unit_test(str_matches_knows_wildcards),
		cmocka_unit_test(ascii_classes_cover_all_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
