/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that fail: left alone and taken back; and everything at once. */
#include "http/test_world.h"

#include "base/random.h"

/* May an attempt be made now, and how does it end? */
static void try_origin(struct http_client *c, struct http_origin *o, bool is_good)
{
	bool is_probe;
	int64_t wait_us;
	assert_true(http_origin_may_try(c, o, &is_probe, &wait_us));
	http_origin_report(c, o, 0, is_good, is_probe);
}

static void run_breaker_rules(void *arg)
{
	struct http_settings settings = quick();
	struct http_client *c;
	struct op op = test_op(TIME_NEVER);
	bool is_probe;
	int64_t wait_us;
	(void)arg;
	settings.breaker_failures = 3;
	settings.breaker_us = US_PER_SEC;
	settings.breaker_max_us = 3 * US_PER_SEC;
	assert_ok(http_client_open_with(&op, &settings, "test", &c));
	struct http_origin *o = http_origin_get(c, STR("http://one"));
	for (unsigned i = 0; i < 10; i++)
		try_origin(c, o, false); /* in one moment: one failure */
	assert_false(o->is_open);
	try_origin(c, o, true);
	assert_int_equal(o->failures, 0);
	for (unsigned i = 0; i < 3; i++) {
		try_origin(c, o, false);
		assert_ok(task_sleep(&op, US_PER_SEC / 2));
	}
	assert_true(o->is_open);
	assert_false(http_origin_may_try(c, o, &is_probe, &wait_us));
	assert_int_equal(wait_us, US_PER_SEC / 2);
	/* The time is over: one may, alone. */
	assert_ok(task_sleep(&op, wait_us));
	assert_true(http_origin_may_try(c, o, &is_probe, &wait_us) && is_probe);
	assert_false(http_origin_may_try(c, o, &is_probe, &wait_us));
	http_origin_report(c, o, 0, false, false); /* one from before: changes nothing */
	assert_true(o->is_probed);
	http_origin_report(c, o, 0, false, true);
	assert_false(http_origin_may_try(c, o, &is_probe, &wait_us));
	assert_int_equal(wait_us, 2 * US_PER_SEC); /* twice as long */
	assert_ok(task_sleep(&op, wait_us));
	try_origin(c, o, false);
	assert_false(http_origin_may_try(c, o, &is_probe, &wait_us));
	assert_int_equal(wait_us, 3 * US_PER_SEC); /* but not for ever */
	assert_ok(task_sleep(&op, wait_us));
	try_origin(c, o, true);
	assert_false(o->is_open);
	http_origin_put(o);
	http_client_close(c);
}

static void breakers_open_and_close(void **state)
{
	(void)state;
	test_in_virtual_task(run_breaker_rules, NULL);
}

/* One object that a server always fails for: others are still asked for. */
static void run_one_broken_target(void *arg)
{
	SCRIPT({ REPLY_STATUS(500) });
	settings.attempts_max[HTTP_READ] = 1;
	settings.breaker_failures = 2;
	settings.breaker_us = 20 * US_PER_MS;
	settings.breaker_max_us = US_PER_SEC;
	client_again(&w, &settings);
	for (int i = 0; i < 10; i++) {
		assert_ok(ask(&w, "GET", &a));
		assert_ok(task_sleep(&w.op, 10 * US_PER_MS));
	}
	assert_int_equal(http_counters(w.client).broken_off, 0);
	/* Another one too: it is the server. */
	w.url = str_printf(&w.arena, "http://127.0.0.1:%u/other", w.server.port);
	assert_ok(ask(&w, "GET", &a));
	assert_err(ask(&w, "GET", &a), ERR_UNAVAILABLE);
	world_close(&w);
}

static void one_broken_target_is_not_the_server(void **state)
{
	(void)state;
	test_in_task(run_one_broken_target, NULL);
}

static void run_breaker(void *arg)
{
	const struct act good[] = { { REPLY_OK(1, "1") } };
	SCRIPT({ REPLY_STATUS(500) });
	settings.attempts_max[HTTP_READ] = 1;
	settings.breaker_failures = 2;
	settings.breaker_us = settings.breaker_max_us = 300 * US_PER_MS;
	client_again(&w, &settings);
	for (unsigned i = 0; ask(&w, "GET", &a) == ERR_NONE; i++) {
		assert_int_equal(a.status, 500);
		w.url = str_printf(&w.arena, "http://127.0.0.1:%u/%u", w.server.port, i);
		assert_ok(task_sleep(&w.op, 50 * US_PER_MS));
	}
	assert_int_equal(w.op.failure.class, ERR_UNAVAILABLE);
	assert_true(strstr(w.op.failure.text, " ms") != NULL);
	test_server_script(&w.server, good, 1);
	while (ask(&w, "GET", &a) != ERR_NONE)
		assert_ok(task_sleep(&w.op, 50 * US_PER_MS));
	assert_int_equal(a.status, 200);
	assert_int_equal(w.server.request_count, 1); /* what was refused never got there */
	assert_true(http_counters(w.client).broken_off > 0);
	world_close(&w);
}

static void servers_that_keep_failing_are_left_alone(void **state)
{
	(void)state;
	test_in_task(run_breaker, NULL);
}

/* ---- everything at once ---- */

#define CHAOS_REQUESTS 20

struct walker {
	struct world *w;
	unsigned answers, failures;
	bool has_ended;
};

static void walk(void *arg)
{
	struct walker *k = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	for (unsigned i = 0; i < CHAOS_REQUESTS && !task_is_cancelled(); i++) {
		struct http_answer a;
		const char bytes[] = "some bytes of a body, on the stack of who waits";
		struct str parts[2] = { { bytes, sizeof bytes }, { NULL, 0 } };
		parts[1].n = random_below(100000);
		char *more = mem_new(parts[1].n);
		parts[1].p = more;
		arena_reset(&arena);
		op_init(&op, &arena, NULL, now_us() + (int64_t)random_below(200 * US_PER_MS));
		const struct http_request request = { .method = (i & 1) ? STR("PUT") : STR("GET"),
			.url = k->w->url,
			.parts = parts,
			.part_count = (i & 1) ? 2 : 0,
			.answer_max = 1000,
			.is_repeatable = random_below(2) == 0 };
		enum err e = http_request(&op, k->w->client, &request, &a);
		mem_free(more);
		k->answers += e == ERR_NONE;
		k->failures += e != ERR_NONE;
	}
	k->has_ended = true;
}

static void run_chaos(void *arg)
{
	struct walker walkers[12];
	struct task_handle tasks[ARRAY_COUNT(walkers)];
	unsigned answers = 0;
	SCRIPT({ REPLY_OK(5, "hello") }, { REPLY_STATUS(503) },
		{ REPLY_OK(1, "x"), .then = THEN_CLOSE }, { STR(""), .then = THEN_RESET },
		{ REPLY_OK(5, "hello"), .then = THEN_RESET },
		{ STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"), .then = THEN_CLOSE },
		{ REPLY_OK(5, "again") }, { STR(""), .then = THEN_HANG },
		{ REPLY_STATUS(201), .ignores_body = true, .then = THEN_RESET },
		{ STR("HTTP/1.1 200 OK\r\n\r\nendless "), .then = THEN_REPEAT },
		{ REPLY_OK(5, "drips"), .then = THEN_DRIP },
		{ STR("nonsense"), .then = THEN_CLOSE },
		{ REPLY_OK(5, "later"), .after_us = 30 * US_PER_MS }, { REPLY_STATUS(404) });
	settings.connections_max = 5;
	settings.timeout_us[HTTP_READ] = settings.timeout_us[HTTP_WRITE] = 50 * US_PER_MS;
	settings.breaker_failures = 4;
	settings.breaker_us = 5 * US_PER_MS;
	settings.breaker_max_us = 20 * US_PER_MS;
	client_again(&w, &settings);
	w.server.is_repeated = true;
	for (size_t i = 0; i < ARRAY_COUNT(walkers); i++) {
		walkers[i] = (struct walker){ .w = &w };
		tasks[i] = task_start("walker", walk, &walkers[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(walkers); i += 3) {
		assert_ok(task_sleep(&w.op, (int64_t)random_below(50 * US_PER_MS)));
		task_cancel(tasks[i]);
	}
	for (size_t i = 0; i < ARRAY_COUNT(walkers); i++) {
		while (!walkers[i].has_ended)
			assert_ok(task_sleep(&w.op, US_PER_MS));
		answers += walkers[i].answers;
	}
	assert_true(answers > 0);
	/* Nothing was lost on the way: everybody still gets an answer. */
	w.server.is_repeated = false;
	const struct act good[] = { { REPLY_OK(4, "good") } };
	test_server_script(&w.server, good, 1);
	assert_ok(task_sleep(&w.op, 30 * US_PER_MS));
	for (size_t i = 0; i < 20; i++) {
		assert_ok(ask(&w, "GET", &a));
		assert_str(a.body, STR("good"));
	}
	world_close(&w);
}

static void chaos_ends_well(void **state)
{
	(void)state;
	test_in_task(run_chaos, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(breakers_open_and_close),
		cmocka_unit_test(one_broken_target_is_not_the_server),
		cmocka_unit_test(servers_that_keep_failing_are_left_alone),
		cmocka_unit_test(chaos_ends_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
