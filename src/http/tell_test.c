/* SPDX-License-Identifier: Apache-2.0 */
/* What operators read of requests: everything they need, and no secret. */
#include "http/test_server.h"

#include <stdlib.h>

#include "base/file.h"
#include "event/event.h"
#include "http/http.h"

static struct str log_of(struct arena *arena, const char *path)
{
	struct op op;
	AUTO_BUF(text, 0);
	op_init(&op, arena, NULL, TIME_NEVER);
	assert_ok(file_read(&op, path, 1u << 20, &text));
	return buf_dup(arena, &text);
}

static bool has(struct str text, const char *what)
{
	return str_find(text, str_from(what)) >= 0;
}

static void run_told(void *arg)
{
	static const struct act acts[] = {
		{ STR("HTTP/1.1 503 X\r\nX-Request-Id: first\r\nContent-Length: 0\r\n\r\n") },
		{ STR("HTTP/1.1 307 X\r\nLocation: /there?token=t0ken\r\nContent-Length: "
		      "0\r\n\r\n") },
		{ STR("HTTP/1.1 200 OK\r\nX-Request-Id: last\r\nX-Other: hidden\r\n"
		      "Content-Length: 5\r\n\r\nhello") },
	};
	const char *path = arg;
	const struct str logged[] = { STR("X-Request-Id") };
	AUTO_ARENA(arena, 0);
	struct op op;
	struct test_server server;
	struct http_client *c;
	struct http_answer a;
	struct str body = STR("body");
	op_init(&op, &arena, event_new(NULL, "test"), now_us() + 20 * US_PER_SEC);
	event_set_debug(op.event, true);
	assert_ok(event_log_open(&op, "json", str_from(path), EVENT_DEBUG, EVENT_FATAL));
	test_server_open(&server, NULL, acts, ARRAY_COUNT(acts));
	struct http_settings s = http_settings_default();
	s.slow_warning_us = 1;
	s.log_headers = logged;
	s.log_header_count = 1;
	assert_ok(http_client_open_with(&op, &s, "test", &c));
	const struct http_request request = {
		.method = STR("PUT"),
		.url = str_printf(&arena, "http://me:passw0rd@127.0.0.1:%u/a?prefix=b&sig=s3cret",
			server.port),
		.parts = &body,
		.part_count = 1,
		.answer_max = 9,
		.is_repeatable = true,
		.kind = STR("mail"),
	};
	assert_ok(http_request(&op, c, &request, &a));
	http_client_close(c);
	test_server_close(&server);
	event_unref(op.event);
	event_log_close();

	struct str log = log_of(&arena, path), line, last = STR_NONE;
	assert_false(has(log, "s3cret") || has(log, "passw0rd") || has(log, "t0ken") ||
		     has(log, "hidden"));
	unsigned count = 0;
	for (; str_cut(&log, '\n', &line); count++) {
		if (has(line, "http_request_retried"))
			assert_true(has(line, "/a?prefix=b&sig=...") && has(line, "first") &&
				    has(line, "\"status_code\":503"));
		if (has(line, "http_request_redirected"))
			assert_true(has(line, "/there?token=..."));
		if (has(line, "http_request_finished"))
			last = line;
	}
	assert_int_equal(count, 4); /* these, and the warning that it was slow */
	static const char *const facts[] = { "\"method\":\"PUT\"", "\"dest_host\":\"127.0.0.1\"",
		"\"dest_ip\":\"127.0.0.1\"", "\"attempts\":3", "\"redirects\":1",
		"\"status_code\":200", "\"http_hdr_x-request-id\":\"last\"",
		"\"file_type\":\"mail\"", "\"net_out_bytes\":12",
		"\"duration\":", "\"dest_port\":" };
	for (size_t i = 0; i < ARRAY_COUNT(facts); i++)
		if (!has(last, facts[i]))
			fail_msg("%s is not in %.*s", facts[i], STRF(last));
}

static void requests_are_told_without_secrets(void **state)
{
	char path[] = "/tmp/pombal-http-test-XXXXXX";
	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	test_in_task(run_told, path);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_told_without_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
