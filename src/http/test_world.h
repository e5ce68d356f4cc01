/* SPDX-License-Identifier: Apache-2.0 */
/* http/test_world.h - a client and a server with a script. Included by *_test.c of this folder only. */
#pragma once

#include "http/http_private.h"
#include "http/test_server.h"

struct world {
	struct arena arena;
	struct op op;
	struct http_client *client;
	struct test_server server;
	struct str url;
};

/* Short waits between attempts; a breaker that stays out of the way. */
static inline struct http_settings quick(void)
{
	struct http_settings s = http_settings_default();
	s.connect_backoff_us = s.retry_us = US_PER_MS;
	s.retry_max_us = 5 * US_PER_MS;
	s.breaker_failures = 0;
	return s;
}

static inline void world_open(struct world *w, const struct http_settings *settings,
	const struct act *acts, size_t act_count)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 100 * US_PER_SEC);
	test_server_open(&w->server, NULL, acts, act_count);
	assert_ok(http_client_open_with(&w->op, settings, "test", &w->client));
	w->url = str_printf(&w->arena, "http://127.0.0.1:%u/path?sig=secret", w->server.port);
}

static inline void world_close(struct world *w)
{
	http_client_close(w->client);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

/* With other settings. */
static inline void client_again(struct world *w, const struct http_settings *settings)
{
	http_client_close(w->client);
	assert_ok(http_client_open_with(&w->op, settings, "test", &w->client));
}

static inline enum err ask(struct world *w, const char *method, struct http_answer *out)
{
	const struct http_request request = {
		.method = str_from(method),
		.url = w->url,
		.answer_max = 1u << 20,
		.is_repeatable = true,
	};
	*out = (struct http_answer){ 0 };
	return http_request(&w->op, w->client, &request, out);
}

static inline enum err put(
	struct world *w, struct str body, bool is_repeatable, struct http_answer *out)
{
	const struct http_request request = {
		.method = STR("PUT"),
		.url = w->url,
		.answer_max = 1u << 20,
		.parts = &body,
		.part_count = 1,
		.is_repeatable = is_repeatable,
	};
	*out = (struct http_answer){ 0 };
	return http_request(&w->op, w->client, &request, out);
}

#define SCRIPT(...)                                                                                \
	const struct act acts[] = { __VA_ARGS__ };                                                 \
	struct http_settings settings = quick();                                                   \
	struct http_answer a;                                                                      \
	struct world w;                                                                            \
	(void)arg, (void)sizeof(a);                                                                \
	world_open(&w, &settings, acts, ARRAY_COUNT(acts))

#define SAW(i, text)    assert_true(str_find(str_from(w.server.requests[i]), STR(text)) >= 0)
#define SAW_NO(i, text) assert_true(str_find(str_from(w.server.requests[i]), STR(text)) < 0)
