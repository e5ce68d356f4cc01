/* SPDX-License-Identifier: Apache-2.0 */
#include "service/imap/list_match.h"

#include "base/random.h"
#include "base/test.h"

static bool matches(struct str reference, struct str text, struct str name)
{
	AUTO_ARENA(arena, 0);
	struct list_pattern p = list_pattern_make(&arena, reference, text, '/');
	return list_pattern_matches(&p, name);
}

static void check(const char *pattern, const char *name, bool expected)
{
	bool got = matches(STR(""), str_from(pattern), str_from(name));
	if (got != expected)
		fail_msg("\"%s\" %s \"%s\"", pattern, got ? "matches" : "does not match", name);
}

static void percent_stops_at_the_separator(void **state)
{
	(void)state;
	check("%", "a", true);
	check("%", "a/b", false);
	check("%/%", "a/b", true);
	check("%/%", "a/b/c", false);
	check("a%", "abc", true);
	check("a%", "abc/d", false);
	check("%c", "abc", true);
	check("a%c", "ac", true);
	check("", "a", false);
	check("", "", true);
}

static void star_goes_over_everything(void **state)
{
	(void)state;
	check("*", "a/b/c", true);
	check("a*c", "a/b/c", true);
	check("a*c", "a/b/cd", false);
	check("*/c", "a/b/c", true);
	check("*b*", "a/b/c", true);
	check("*x*", "a/b/c", false);
	check("a", "a/b", false);
	check("a/b", "a", false);
}

static void neighbouring_wildcards_are_the_strongest_of_them(void **state)
{
	(void)state;
	check("%*", "a/b", true);
	check("*%", "a/b", true);
	check("%%", "ab", true);
	check("%%", "a/b", false);
	check("%*%/c", "a/b/c", true);
}

static void inbox_has_no_case(void **state)
{
	(void)state;
	check("inbox", "INBOX", true);
	check("InB%", "INBOX", true);
	check("inbox/A", "INBOX/A", true);
	check("inbox/a", "INBOX/A", false);
	check("inboxes", "INBOXES", false);
	check("drafts", "Drafts", false);
}

static void a_reference_stands_before_the_pattern(void **state)
{
	(void)state;
	assert_true(matches(STR("a/"), STR("%"), STR("a/b")));
	assert_false(matches(STR("a/"), STR("%"), STR("b")));
	assert_true(matches(STR("a"), STR("%"), STR("ab")));
	assert_true(matches(STR("a/"), STR("/b"), STR("b")));
	assert_true(matches(STR("/"), STR("*"), STR("b")));
}

/* The definition itself, without regard to cost. */
static bool naive(struct str p, struct str s)
{
	if (p.n == 0)
		return s.n == 0;
	char c = p.p[0];
	struct str rest = str_slice(p, 1, p.n);
	if (c != '*' && c != '%')
		return s.n > 0 && s.p[0] == c && naive(rest, str_slice(s, 1, s.n));
	if (naive(rest, s))
		return true;
	return s.n > 0 && (c == '*' || s.p[0] != '/') && naive(p, str_slice(s, 1, s.n));
}

static struct str random_text(char *out, size_t max, const char *alphabet)
{
	size_t n = random_below((uint32_t)max + 1), letters = strlen(alphabet);
	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[random_below((uint32_t)letters)];
	return (struct str){ out, n };
}

static void random_patterns_agree_with_the_definition(void **state)
{
	char pattern[10], name[12];
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct str p = random_text(pattern, sizeof(pattern), "ab/%*");
		struct str s = random_text(name, sizeof(name), "ab/");
		if (p.n > 0 && p.p[0] == '/')
			continue; /* absolute: another meaning */
		if (matches(STR(""), p, s) != naive(p, s))
			fail_msg("\"%.*s\" and \"%.*s\"", STRF(p), STRF(s));
	}
}

/* What takes for ever when every wildcard is tried at every place. */
static void hostile_patterns_cost_no_more_than_others(void **state)
{
	char pattern[1000], name[LIST_NAME_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : '*';
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = 'b';
	int64_t start_us = now_us();
	assert_false(matches(STR(""), (struct str){ pattern, sizeof(pattern) },
		(struct str){ name, sizeof(name) }));
	assert_true(now_us() - start_us < 5 * US_PER_SEC);
}

static void longer_names_than_allowed_match_nothing(void **state)
{
	char name[LIST_NAME_MAX + 1];
	(void)state;
	memset(name, 'a', sizeof(name));
	assert_false(matches(STR(""), STR("*"), (struct str){ name, sizeof(name) }));
	assert_true(matches(STR(""), STR("*"), (struct str){ name, sizeof(name) - 1 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percent_stops_at_the_separator),
		cmocka_unit_test(star_goes_over_everything),
		cmocka_unit_test(neighbouring_wildcards_are_the_strongest_of_them),
		cmocka_unit_test(inbox_has_no_case),
		cmocka_unit_test(a_reference_stands_before_the_pattern),
		cmocka_unit_test(random_patterns_agree_with_the_definition),
		cmocka_unit_test(hostile_patterns_cost_no_more_than_others),
		cmocka_unit_test(longer_names_than_allowed_match_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
