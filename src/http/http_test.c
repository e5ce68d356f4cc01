/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against a server that misbehaves. */
#include "http/test_server.h"

#include "http/http_private.h"

struct world {
	struct arena arena;
	struct op op;
	struct http_client *client;
	struct test_server server;
	struct str url;
};

/* Short waits; a breaker that stays out of the way. */
static struct http_settings quick(void)
{
	struct http_settings s = http_settings_default();
	for (unsigned i = 0; i < HTTP_CLASS_COUNT; i++)
		s.timeout_us[i] = US_PER_SEC;
	s.connect_backoff_us = US_PER_MS;
	s.breaker_failures = 0;
	return s;
}

static void world_open(struct world *w, const struct http_settings *settings,
	const struct act *acts, size_t act_count)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 20 * US_PER_SEC);
	test_server_open(&w->server, NULL, acts, act_count);
	assert_ok(http_client_open_with(&w->op, settings, "test", &w->client));
	w->url = str_printf(&w->arena, "http://127.0.0.1:%u/path?sig=secret", w->server.port);
}

static void world_close(struct world *w)
{
	http_client_close(w->client);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

static enum err ask(struct world *w, const char *method, struct http_answer *out)
{
	const struct http_request request = {
		.method = str_from(method), .url = w->url, .answer_max = 1u << 20,
		.is_repeatable = true,
	};
	*out = (struct http_answer){ 0 };
	return http_request(&w->op, w->client, &request, out);
}

static enum err put(struct world *w, struct str body, bool is_repeatable, struct http_answer *out)
{
	const struct http_request request = {
		.method = STR("PUT"), .url = w->url, .answer_max = 1u << 20, .parts = &body,
		.part_count = 1, .is_repeatable = is_repeatable,
	};
	*out = (struct http_answer){ 0 };
	return http_request(&w->op, w->client, &request, out);
}

#define SCRIPT(...)                                                                                \
	const struct act acts[] = { __VA_ARGS__ };                                                 \
	struct http_settings settings = quick();                                                   \
	struct http_answer a;                                                                      \
	struct world w;                                                                            \
	(void)arg;                                                                                 \
	world_open(&w, &settings, acts, ARRAY_COUNT(acts))

#define SAW(i, text) assert_true(str_find(str_from(w.server.requests[i]), STR(text)) >= 0)
#define SAW_NO(i, text) assert_true(str_find(str_from(w.server.requests[i]), STR(text)) < 0)

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
	AUTO_BUF(reply, 0);
	fill(&big, 3u << 20);
	buf_putf(&reply, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", big.n);
	buf_put(&reply, buf_str(&big));
	SCRIPT({ REPLY_STATUS(201) }, { REPLY_STATUS(201) }, { buf_str(&reply) },
		{ STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n") },
		{ STR("HTTP/1.1 200 OK\r\n\r\nto the end"), .then = THEN_CLOSE });
	const struct str parts[] = { buf_str(&big), STR(""), STR("-"), buf_str(&big), STR("") };
	const struct str few[] = { STR("ab"), STR(""), STR("c") };
	struct http_request request = { .method = STR("PUT"), .url = w.url, .parts = parts,
		.part_count = ARRAY_COUNT(parts), .answer_max = 3u << 20 };
	w.op.deadline_us = now_us() + 20 * US_PER_SEC;
	request.parts = few;
	request.part_count = ARRAY_COUNT(few);
	assert_ok(http_request(&w.op, w.client, &request, &a));
	SAW(0, "\r\n\r\nabc");
	(void)parts;
	assert_ok(put(&w, buf_str(&big), false, &a));
	assert_int_equal(a.status, 201);
	assert_true(w.server.sizes[1] > big.n);
	assert_memory_equal(w.server.requests[1] + w.server.sizes[1] - big.n, big.p, big.n);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_methods_on_one_connection),
		cmocka_unit_test(bodies_go_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
