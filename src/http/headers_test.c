/* SPDX-License-Identifier: Apache-2.0 */
/* What requests say of themselves: signatures made for each attempt, credentials that stay at home, users. */
#include "http/test_world.h"

#include <stdlib.h>

/* ---- signatures and redirects ---- */

static enum err sign(
	struct op *op, const struct http_request *request, struct http_headers *add, void *arg)
{
	unsigned *count = arg;
	struct str value = str_printf(op->arena, "%u for %.*s", ++*count, STRF(request->url));
	http_headers_add(op, add, STR("Authorization"), value);
	http_headers_add(op, add, STR("X-Empty"), STR(""));
	return ERR_NONE;
}

static void run_signed(void *arg)
{
	SCRIPT({ REPLY_STATUS(503) }, { REPLY_OK(1, "1") },
		{ STR("HTTP/1.1 307 There\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n") },
		{ REPLY_OK(1, "2") },
		{ STR("HTTP/1.1 307 There\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n") });
	unsigned count = 0;
	struct str body = STR("body");
	const struct http_header headers[] = { { STR("X-Own"), STR("mine") },
		{ STR("Content-Length"), STR("77") }, { STR("Host"), STR("elsewhere") } };
	struct http_request request = { .method = STR("PUT"),
		.url = w.url,
		.parts = &body,
		.part_count = 1,
		.answer_max = 100,
		.is_repeatable = true,
		.sign = sign,
		.sign_arg = &count,
		.headers = headers,
		.header_count = ARRAY_COUNT(headers) };
	assert_ok(http_request(&w.op, w.client, &request, &a));
	SAW(0, "Authorization: 1 for http://127.0.0.1:");
	SAW(0, "X-Own: mine\r\n");
	SAW(0, "X-Empty:\r\n");
	SAW(0, "Content-Length: 4\r\n");
	SAW_NO(0, "Content-Length: 77");
	SAW_NO(0, "elsewhere");
	SAW(1, "Authorization: 2 for http://127.0.0.1:");
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_str(a.body, STR("2"));
	assert_int_equal(a.attempts, 2);
	SAW(3, "PUT /there HTTP/1.1\r\n");
	SAW(3, "\r\n\r\nbody");
	SAW(3, "/there\r\n");
	/* More than two: the caller gets the last as it is. */
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_int_equal(a.status, 307);
	assert_int_equal(a.attempts, 3);
	const struct http_header bad = { STR("X-Bad"), STR("a\r\nb: c") };
	request.headers = &bad;
	request.header_count = 1;
	assert_err(http_request(&w.op, w.client, &request, &a), ERR_INVALID);
	world_close(&w);
}

static void each_attempt_is_signed(void **state)
{
	(void)state;
	test_in_task(run_signed, NULL);
}

static enum err sign_once(
	struct op *op, const struct http_request *request, struct http_headers *add, void *arg)
{
	unsigned *count = arg;
	(void)request;
	(void)add;
	return (*count)++ == 0 ? ERR_NONE : op_fail(op, ERR_UNAVAILABLE, "no keys");
}

static void run_unsigned(void *arg)
{
	SCRIPT({ STR(""), .then = THEN_CLOSE });
	unsigned count = 0;
	struct http_request request = { .method = STR("PUT"),
		.url = w.url,
		.is_repeatable = true,
		.sign = sign_once,
		.sign_arg = &count };
	assert_err(http_request(&w.op, w.client, &request, &a), ERR_TIMEOUT);
	assert_true(strstr(w.op.failure.text, "no keys; it was sent before") != NULL);
	assert_err(http_request(&w.op, w.client, &request, &a), ERR_UNAVAILABLE);
	assert_int_equal(w.server.request_count, 1);
	world_close(&w);
}

static void failing_to_sign_again_undoes_nothing(void **state)
{
	(void)state;
	test_in_task(run_unsigned, NULL);
}

static void run_elsewhere(void *arg)
{
	struct test_server other;
	const struct act other_acts[] = { { REPLY_OK(5, "other") } };
	SCRIPT({ STR("") });
	test_server_open(&other, NULL, other_acts, 1);
	struct str reply = str_printf(&w.arena,
		"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:%u/x\r\nContent-Length: "
		"0\r\n\r\n",
		other.port);
	const struct act there[] = { { reply } };
	test_server_script(&w.server, there, 1);
	unsigned count = 0;
	const struct http_header headers[] = { { STR("X-Token"), STR("mine") },
		{ STR("Range"), STR("bytes=0-4") } };
	struct http_request request = { .method = STR("GET"),
		.url = w.url,
		.answer_max = 100,
		.sign = sign,
		.sign_arg = &count,
		.headers = headers,
		.header_count = ARRAY_COUNT(headers) };
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_str(a.body, STR("other"));
	assert_int_equal(count, 1);
	struct str seen = str_from(other.requests[0]);
	assert_true(str_find(seen, STR("Range: bytes=0-4\r\n")) >= 0);
	assert_true(str_find(seen, STR("Authorization")) < 0);
	assert_true(str_find(seen, STR("X-Token")) < 0);
	/* A mail does not travel to where somebody else wants it. */
	request.method = STR("PUT");
	assert_ok(http_request(&w.op, w.client, &request, &a));
	assert_int_equal(a.status, 307);
	assert_int_equal(other.request_count, 1);
	http_client_close(w.client);
	w.client = NULL;
	test_server_close(&other);
	world_close(&w);
}

static void credentials_stay_at_home(void **state)
{
	(void)state;
	test_in_task(run_elsewhere, NULL);
}

static void run_added(void *arg)
{
	const struct http_header added = { STR("X-Added"), STR("for %{user}") };
	SCRIPT({ REPLY_OK(1, "1") });
	settings.add_headers = &added;
	settings.add_header_count = 1;
	settings.reason_max = 8;
	client_again(&w, &settings);
	w.op.event = event_new(NULL, "test");
	w.op.doing = STR("appending to INBOX");
	event_set_str(w.op.event, "user", STR("an\r\nna@example.com"));
	event_set_str(w.op.event, "session", STR("abc"));
	enum err e = ask(&w, "GET", &a);
	assert_err(e, ERR_UNAVAILABLE); /* this name cannot stand in the administrator's header */
	event_set_str(w.op.event, "user", STR("anna@example.com"));
	assert_ok(ask(&w, "GET", &a));
	SAW(0, "X-Added: for anna@example.com\r\n");
	SAW(0, "X-Dovecot-Username: anna@example.com\r\n");
	SAW(0, "X-Dovecot-Session-Id: abc\r\n");
	SAW(0, "X-Dovecot-Reason: appendin\r\n");
	event_unref(w.op.event);
	w.op.event = NULL;
	world_close(&w);
}

static void users_are_told_to_the_server(void **state)
{
	(void)state;
	test_in_task(run_added, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_attempt_is_signed),
		cmocka_unit_test(failing_to_sign_again_undoes_nothing),
		cmocka_unit_test(credentials_stay_at_home),
		cmocka_unit_test(users_are_told_to_the_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
