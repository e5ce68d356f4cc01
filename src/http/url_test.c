/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: what is taken apart comes together again, and what is told holds no secret. */
#include "base/test.h"

#include "http/http_private.h"

static struct arena arena;
static struct op op;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

static void urls_are_taken_apart(void **state)
{
	struct http_url u;
	(void)state;
	assert_ok(http_url_parse(
		&op, STR("HTTPS://a%2Fb:p%40ss@S3.Example.COM:9000/bucket/x%20y?q=1&r"), &u));
	assert_true(u.is_tls && u.has_port);
	assert_str(u.host, STR("s3.example.com"));
	assert_str(u.user, STR("a/b"));
	assert_str(u.password, STR("p@ss"));
	assert_int_equal(u.port, 9000);
	assert_str(u.path, STR("/bucket/x%20y"));
	assert_str(u.query, STR("q=1&r"));
	assert_str(http_url_authority(&arena, &u), STR("s3.example.com:9000"));
	assert_string_equal(
		http_url_text(&arena, &u), "https://s3.example.com:9000/bucket/x%20y?q=1&r");
	assert_ok(http_url_parse(&op, STR("http://[::1]:80"), &u));
	assert_str(u.host, STR("::1"));
	assert_str(u.path, STR("/"));
	assert_true(u.user.p == NULL && u.query.p == NULL && !u.has_port);
	assert_str(http_url_authority(&arena, &u), STR("[::1]"));
	assert_ok(http_url_parse(&op, STR("http://h?x"), &u));
	assert_string_equal(http_url_text(&arena, &u), "http://h/?x");
	assert_ok(http_url_parse(&op, STR("https://h:443/"), &u));
	assert_str(http_url_authority(&arena, &u), STR("h"));
}

static void what_is_no_url_is_refused(void **state)
{
	static const char *const bad[] = { "", "ftp://h/", "http:/h", "http://", "http:///x",
		"http://h:0/", "http://h:65536/", "http://h:x/", "http://h/a b", "http://h/a\nb",
		"http://h/#f", "http://[::1/", "http://[::1]x/", "http://h\"/", "http://%41/",
		"http://a%zz@h/", "http://a%4@h/", "http://h/\xc3\xa9", "http://[h-x]/" };
	struct http_url u;
	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(http_url_parse(&op, str_from(bad[i]), &u), ERR_INVALID);
	char *longest = arena_alloc(&arena, HTTP_URL_MAX + 10);
	memset(longest, 'a', HTTP_URL_MAX + 10);
	memcpy(longest, "http://h/", 9);
	assert_err(http_url_parse(&op, (struct str){ longest, HTTP_URL_MAX + 1 }, &u), ERR_INVALID);
	assert_ok(http_url_parse(&op, (struct str){ longest, HTTP_URL_MAX }, &u));
}

static void targets_hide_secrets(void **state)
{
	struct http_url u;
	(void)state;
	assert_ok(http_url_parse(
		&op, STR("http://h/p?prefix=a&sig=abc&X-Amz-Signature=1&list-type=2&flag&=x"), &u));
	assert_str(http_url_target(&arena, &u),
		STR("/p?prefix=a&sig=...&X-Amz-Signature=...&list-type=2&flag&=..."));
}

static void bytes_are_percent_encoded(void **state)
{
	AUTO_BUF(b, 0);
	struct str back;
	(void)state;
	http_percent_encode(&b, STR("a/b c~\xff+"), STR("/"));
	assert_str(buf_str(&b), STR("a/b%20c~%FF%2B"));
	assert_ok(http_percent_decode(&op, buf_str(&b), &back));
	assert_str(back, STR("a/b c~\xff+"));
	assert_err(http_percent_decode(&op, STR("%f"), &back), ERR_INVALID);
	assert_err(http_percent_decode(&op, STR("%-1"), &back), ERR_INVALID);
}

static void redirects_are_followed_as_written(void **state)
{
	static const struct {
		const char *location, *url;
	} cases[] = {
		{ "http://x/y", "http://x/y" },
		{ "//x:8/y?z", "https://x:8/y?z" },
		{ "/y#f", "https://h/y" },
		{ "y", "https://h/a/y" },
		{ "?y=1", "https://h/a/b?y=1" },
	};
	struct http_url from, to;
	(void)state;
	assert_ok(http_url_parse(&op, STR("https://h/a/b?c"), &from));
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		assert_ok(http_url_follow(&op, &from, str_from(cases[i].location), &to));
		assert_string_equal(http_url_text(&arena, &to), cases[i].url);
	}
	assert_err(http_url_follow(&op, &from, STR("#f"), &to), ERR_INVALID);
	assert_err(http_url_follow(&op, &from, STR("http://"), &to), ERR_INVALID);
	assert_err(http_url_follow(&op, &from, STR("/a b"), &to), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(urls_are_taken_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_no_url_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(targets_hide_secrets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bytes_are_percent_encoded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			redirects_are_followed_as_written, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
