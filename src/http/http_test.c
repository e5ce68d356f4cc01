/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against a server that misbehaves. */
#include "http/test_world.h"

#include <stdlib.h>

static void run_methods(void *arg)
{
	SCRIPT({ REPLY_OK(5, "hello") }, { STR("HTTP/1.1 204 None\r\nX-Two: b \r\n\r\n") },
		{ REPLY_OK(3, "") }, { REPLY_OK(2, "ok") }, { REPLY_OK(0, "") });
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 200);
	assert_str(a.body, STR("hello"));
	assert_str(http_answer_header(&a, STR("content-length")), STR("5"));
	SAW(0, "GET /path?sig=secret HTTP/1.1\r\nHost: 127.0.0.1:");
	SAW(0, "User-Agent: Pombal\r\n");
	SAW_NO(0, "Accept:");
	assert_ok(ask(&w, "DELETE", &a));
	assert_int_equal(a.status, 204);
	assert_str(http_answer_header(&a, STR("x-two")), STR("b"));
	SAW(1, "DELETE /path");
	SAW_NO(1, "Content-Length");
	assert_ok(ask(&w, "HEAD", &a));
	assert_int_equal(a.body.n, 0);
	SAW(2, "HEAD /path");
	assert_ok(put(&w, STR("small"), true, &a));
	assert_str(a.body, STR("ok"));
	SAW(3, "PUT /path");
	SAW(3, "\r\nContent-Length: 5\r\n");
	SAW(3, "\r\n\r\nsmall");
	SAW_NO(3, "Content-Type");
	SAW_NO(3, "Expect");
	assert_ok(ask(&w, "POST", &a));
	SAW(4, "POST /path");
	SAW(4, "\r\nContent-Length: 0\r\n");
	/* All on one connection. */
	assert_int_equal(w.server.connection_count, 1);
	assert_int_equal(http_counters(w.client).connections, 1);
	assert_int_equal(http_counters(w.client).requests, 5);
	world_close(&w);
}

static void all_methods_on_one_connection(void **state)
{
	(void)state;
	test_in_task(run_methods, NULL);
}

static void fill(struct buf *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_put_byte(b, (char)('a' + i % 23));
}

static void run_bodies(void *arg)
{
	AUTO_BUF(big, 0);
	AUTO_BUF(twice, 0);
	AUTO_BUF(reply, 0);
	fill(&big, 1u << 20);
	buf_putf(&twice, "%.*s-%.*s", STRF(buf_str(&big)), STRF(buf_str(&big)));
	buf_putf(&reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", big.n);
	buf_put(&reply, buf_str(&big));
	SCRIPT({ REPLY_STATUS(201) }, { STR(""), .then = THEN_CLOSE }, { REPLY_STATUS(201) },
		{ buf_str(&reply) },
		{ STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n") },
		{ STR("HTTP/1.1 200 OK\r\n\r\nto the end"), .then = THEN_CLOSE });
	const struct str large[] = { buf_str(&big), STR(""), STR("-"), buf_str(&big), STR("") };
	const struct str small[] = { STR("ab"), STR(""), STR("c") };
	struct http_request request = { .method = STR("PUT"),
		.url = w.url,
		.parts = small,
		.part_count = ARRAY_COUNT(small),
		.is_repeatable = true };
	assert_ok(http_request(&w.op, w.client, &request, &a));
	SAW(0, "\r\n\r\nabc");
	/* On a connection that turns out to be over: from its beginning, on another. */
	request.parts = large;
	request.part_count = ARRAY_COUNT(large);
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_int_equal(a.attempts, 2);
	for (size_t i = 1; i <= 2; i++)
		assert_memory_equal(
			w.server.requests[i] + w.server.sizes[i] - twice.n, twice.p, twice.n);
	request = (struct http_request){ .method = STR("GET"), .url = w.url, .answer_max = big.n };
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_true(str_eq(a.body, buf_str(&big)));
	assert_ok(ask(&w, "GET", &a));
	assert_str(a.body, STR("hello world"));
	assert_ok(ask(&w, "GET", &a));
	assert_str(a.body, STR("to the end"));
	world_close(&w);
}

static void bodies_go_both_ways(void **state)
{
	(void)state;
	test_in_task(run_bodies, NULL);
}

/* ---- servers that misbehave ---- */

static void run_503(void *arg)
{
	SCRIPT({ REPLY_STATUS(503) }, { REPLY_STATUS(500) }, { REPLY_OK(2, "ok") },
		{ REPLY_STATUS(500) }, { REPLY_STATUS(423) }, { REPLY_OK(2, "ok") },
		{ REPLY_STATUS(503) });
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 200);
	assert_int_equal(a.attempts, 3);
	assert_true(a.maybe_repeated);
	/* Not to be repeated: the caller is told. */
	assert_ok(put(&w, STR("x"), false, &a));
	assert_int_equal(a.status, 500);
	assert_int_equal(a.attempts, 1);
	assert_false(a.maybe_repeated);
	const unsigned locked = 423;
	const struct http_request request = { .method = STR("PUT"),
		.url = w.url,
		.answer_max = 10,
		.also_retry = &locked,
		.also_retry_count = 1 };
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_int_equal(a.status, 200);
	assert_int_equal(a.attempts, 2);
	/* No time for the wait of 5 s: the last answer is told at once. */
	settings.retry_us = 50 * US_PER_MS;
	settings.retry_max_us = 10 * US_PER_SEC;
	client_again(&w, &settings);
	w.op.deadline_us = now_us() + 2 * US_PER_SEC;
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 503);
	assert_int_equal(a.attempts, 3);
	assert_true(now_us() < w.op.deadline_us);
	world_close(&w);
}

static void failures_of_the_server_are_tried_again(void **state)
{
	(void)state;
	test_in_task(run_503, NULL);
}

static void run_retry_after(void *arg)
{
	SCRIPT({ STR("HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n") },
		{ REPLY_OK(0, "") },
		{ STR("HTTP/1.1 503 Slow\r\nRetry-After: 99999\r\nContent-Length: 0\r\n\r\n") });
	int64_t start = now_us();
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 200);
	assert_true(now_us() - start >= US_PER_SEC);
	/* 30 s at most are waited, and not even those are left. */
	w.op.deadline_us = now_us() + 20 * US_PER_SEC;
	start = now_us();
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 503);
	assert_int_equal(a.attempts, 1);
	world_close(&w);
}

static void retry_after_is_honoured_within_bounds(void **state)
{
	(void)state;
	test_in_task(run_retry_after, NULL);
}

static void run_truncated(void *arg)
{
	SCRIPT({ STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), .then = THEN_CLOSE },
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"), .then = THEN_RESET },
		{ STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
			.then = THEN_CLOSE },
		{ REPLY_OK(5, "hello") },
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), .then = THEN_CLOSE });
	settings.attempts_max[HTTP_READ] = 4;
	client_again(&w, &settings);
	const struct http_request request = {
		.method = STR("GET"), .url = w.url, .answer_max = 10
	};
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_str(a.body, STR("hello"));
	assert_int_equal(a.attempts, 4);
	assert_err(http_request(&w.op, w.client, &request, &a), ERR_CORRUPT);
	assert_true(strstr(w.op.failure.text, "secret") == NULL);
	assert_true(strstr(w.op.failure.text, "/path?sig=...") != NULL);
	/* A write whose answer is cut off may have been carried out. */
	assert_err(put(&w, STR("x"), false, &a), ERR_TIMEOUT);
	world_close(&w);
}

static void answers_that_are_cut_off_are_noticed(void **state)
{
	(void)state;
	test_in_task(run_truncated, NULL);
}

static void run_silent(void *arg)
{
	SCRIPT({ STR(""), .then = THEN_HANG }, { STR("HTTP/1.1 200 OK\r\n"), .then = THEN_HANG });
	settings.timeout_us[HTTP_READ] = settings.timeout_us[HTTP_WRITE] = 500 * US_PER_MS;
	settings.attempts_max[HTTP_READ] = 2;
	client_again(&w, &settings);
	assert_err(ask(&w, "GET", &a), ERR_TIMEOUT);
	assert_int_equal(w.server.request_count, 2);
	assert_err(put(&w, STR("x"), false, &a), ERR_TIMEOUT);
	assert_int_equal(w.server.request_count, 3);
	/* The op's deadline ends it first. */
	settings.timeout_us[HTTP_READ] = 10 * US_PER_SEC;
	client_again(&w, &settings);
	w.op.deadline_us = now_us() + 500 * US_PER_MS;
	assert_err(ask(&w, "GET", &a), ERR_TIMEOUT);
	/* And so does the client's limit for everything. */
	settings.absolute_timeout_us = 500 * US_PER_MS;
	client_again(&w, &settings);
	w.op.deadline_us = now_us() + 10 * US_PER_SEC;
	int64_t start = now_us();
	assert_err(ask(&w, "GET", &a), ERR_TIMEOUT);
	assert_true(now_us() - start < 5 * US_PER_SEC);
	world_close(&w);
}

static void silent_servers_are_left_in_time(void **state)
{
	(void)state;
	test_in_task(run_silent, NULL);
}

static void run_slow(void *arg)
{
	SCRIPT({ REPLY_OK(20, "abcdefghijklmnopqrst"), .then = THEN_DRIP });
	settings.timeout_us[HTTP_READ] = US_PER_SEC;
	client_again(&w, &settings);
	assert_ok(ask(&w, "GET", &a)); /* takes longer than that, but is never silent so long */
	assert_str(a.body, STR("abcdefghijklmnopqrst"));
	assert_int_equal(a.attempts, 1);
	world_close(&w);
}

static void slow_bodies_that_move_are_waited_for(void **state)
{
	(void)state;
	test_in_task(run_slow, NULL);
}

static void run_broken(void *arg)
{
	SCRIPT({ STR(""), .then = THEN_RESET }, { STR("garbage\r\n\r\n"), .then = THEN_CLOSE },
		{ STR("HTTP/1.1 abc OK\r\n\r\n"), .then = THEN_CLOSE }, { REPLY_OK(2, "ok") },
		{ STR("HTTP/21 00.0 OK\r\n\r\n"), .then = THEN_CLOSE },
		{ STR("HTTP/2 1000 OK\r\n\r\n"), .then = THEN_CLOSE }, { REPLY_OK(2, "ok") },
		{ STR("nonsense\r\n"), .then = THEN_CLOSE });
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.attempts, 4);
	/* A status has three digits. */
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.attempts, 3);
	assert_err(ask(&w, "GET", &a), ERR_UNAVAILABLE);
	assert_err(put(&w, STR("x"), false, &a), ERR_TIMEOUT);
	world_close(&w);
}

static void broken_answers_are_no_answers(void **state)
{
	(void)state;
	test_in_task(run_broken, NULL);
}

static void run_early(void *arg)
{
	AUTO_BUF(big, 0);
	fill(&big, 12u << 20);
	SCRIPT({ REPLY_STATUS(403), .then = THEN_STALL, .ignores_body = true },
		{ REPLY_STATUS(503), .then = THEN_STALL, .ignores_body = true },
		{ REPLY_STATUS(201), .ignores_body = false });
	/* The server has heard enough: the rest is not sent, and its answer counts. */
	assert_ok(put(&w, buf_str(&big), false, &a));
	assert_int_equal(a.status, 403);
	assert_int_equal(a.attempts, 1);
	assert_ok(put(&w, buf_str(&big), false, &a));
	assert_int_equal(a.status, 201);
	assert_int_equal(a.attempts, 2);
	world_close(&w);
}

static void answers_before_the_body_has_left_count(void **state)
{
	(void)state;
	test_in_task(run_early, NULL);
}

static void run_large(void *arg)
{
	AUTO_BUF(line, 0);
	AUTO_BUF(lines, 0);
	buf_put(&line, STR("HTTP/1.1 200 OK\r\nX-Long: "));
	fill(&line, 1u << 20);
	buf_put(&line, STR("\r\n\r\n"));
	buf_put(&lines, STR("HTTP/1.1 200 OK\r\n"));
	for (int i = 0; i < 501; i++)
		buf_putf(&lines, "X-%d: x\r\n", i);
	buf_put(&lines, STR("\r\n"));
	SCRIPT({ buf_str(&line) }, { buf_str(&lines) },
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\nxx"),
			.then = THEN_HANG },
		{ STR("HTTP/1.1 200 OK\r\n\r\n"), .then = THEN_REPEAT },
		{ STR("HTTP/1.1 403 No\r\n\r\n"), .then = THEN_REPEAT },
		{ STR("HTTP/1.1 200 OK\r\nX: y\r\nX-Endless: "), .then = THEN_REPEAT });
	assert_err(ask(&w, "HEAD", &a), ERR_LIMIT);
	test_server_script(&w.server, acts + 1, ARRAY_COUNT(acts) - 1);
	assert_err(ask(&w, "GET", &a), ERR_LIMIT);
	assert_err(ask(&w, "GET", &a), ERR_LIMIT);
	assert_err(ask(&w, "GET", &a), ERR_LIMIT);
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(a.status, 403);
	assert_int_equal(a.body.n, HTTP_ERROR_BODY_MAX);
	assert_err(ask(&w, "GET", &a), ERR_LIMIT);
	world_close(&w);
}

static void answers_have_limits(void **state)
{
	(void)state;
	test_in_task(run_large, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_methods_on_one_connection),
		cmocka_unit_test(bodies_go_both_ways),
		cmocka_unit_test(failures_of_the_server_are_tried_again),
		cmocka_unit_test(retry_after_is_honoured_within_bounds),
		cmocka_unit_test(answers_that_are_cut_off_are_noticed),
		cmocka_unit_test(silent_servers_are_left_in_time),
		cmocka_unit_test(slow_bodies_that_move_are_waited_for),
		cmocka_unit_test(broken_answers_are_no_answers),
		cmocka_unit_test(answers_before_the_body_has_left_count),
		cmocka_unit_test(answers_have_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
