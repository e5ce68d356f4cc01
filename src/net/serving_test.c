/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: bursts, parking, waking, and ends decided in every state. */
#include <sys/socket.h>

#include "net/net.h"
#include "net/serving.h"
#include "task/test.h"

static const struct serving_end silence = { "silence", "bye", NULL };

struct talker {
	struct serving serving;
	struct stream *stream, *client;
	struct op op;
	struct arena arena;
	int bursts, ends;
	const char *ended_why;
	bool waits;       /* in its burst, until cancelled */
	bool ends_inside; /* somebody decides its end just before the burst comes back */
	bool wakes_inside;
	bool is_last; /* nobody is left to close the streams */
};

static bool serve(struct arena *arena, void *owner)
{
	struct talker *t = owner;
	struct op op;
	bool got = true;
	op_init(&op, arena, NULL, now_us() + 10 * US_PER_SEC);
	t->bursts++;
	if (t->waits)
		assert_err(task_sleep(&op, US_PER_SEC * 5), ERR_CANCELLED);
	while (stream_read_ready(&op, t->stream, &got) == ERR_NONE && got)
		stream_consume(t->stream, stream_input(t->stream).n);
	if (t->wakes_inside)
		serving_wake(&t->serving);
	if (t->ends_inside)
		serving_end(&t->serving, &silence);
	t->wakes_inside = false;
	return true;
}

static void expired(void *owner)
{
	struct talker *t = owner;
	serving_end(&t->serving, &silence);
}

static void end(void *owner, const struct serving_end *why)
{
	struct talker *t = owner;
	t->ends++;
	t->ended_why = why->reason;
	buf_put(stream_output(t->stream), str_from(why->told));
	serving_say(&t->serving);
	serving_done(&t->serving);
	if (t->is_last) {
		stream_abandon(t->stream);
		stream_abandon(t->client);
	}
}

static const struct serving_kind kind = {
	.task_name = "talker",
	.arena_bytes_max = 65536,
	.serve = serve,
	.expired = expired,
	.end = end,
};

static void talker_open(struct talker *t)
{
	int fds[2];
	arena_init(&t->arena, 0);
	op_init(&t->op, &t->arena, NULL, now_us() + 10 * US_PER_SEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(stream_new(&t->op, fds[0], 1000, &t->stream));
	assert_ok(stream_new(&t->op, fds[1], 1000, &t->client));
	serving_init(&t->serving, &kind, t, &t->stream);
	serving_start(&t->serving);
	assert_true(serving_is_served(&t->serving));
}

static void talker_close(struct talker *t)
{
	stream_abandon(t->stream);
	stream_abandon(t->client);
	arena_done(&t->arena);
}

static void until(struct talker *t, const int *value, int wanted)
{
	for (int i = 0; i < 5000 && *value < wanted; i++)
		assert_ok(task_sleep(&t->op, US_PER_MS));
	assert_int_equal(*value, wanted);
}

static void expect_words(struct talker *t, const char *words)
{
	assert_ok(stream_read_more(&t->op, t->client));
	assert_str(stream_input(t->client), str_from(words));
}

static void input_task(void *arg)
{
	struct talker t = { 0 };
	(void)arg;
	talker_open(&t);
	until(&t, &t.bursts, 1);
	assert_false(serving_is_served(&t.serving));
	assert_ok(stream_write(&t.op, t.client, STR("hello")));
	assert_ok(stream_flush(&t.op, t.client));
	until(&t, &t.bursts, 2);
	serving_wake(&t.serving);
	until(&t, &t.bursts, 3);
	t.wakes_inside = true;
	serving_wake(&t.serving);
	until(&t, &t.bursts, 5);
	serving_end(&t.serving, &silence);
	assert_int_equal(t.ends, 1);
	expect_words(&t, "bye");
	talker_close(&t);
}

static void input_and_waking_serve_again(void **state)
{
	(void)state;
	test_in_task(input_task, NULL);
}

static void timer_task(void *arg)
{
	struct talker t = *(const struct talker *)arg;
	talker_open(&t);
	serving_expire_in(&t.serving, 20 * US_PER_MS);
	until(&t, &t.ends, 1);
	assert_string_equal(t.ended_why, "silence");
	expect_words(&t, "bye");
	talker_close(&t);
}

static void the_timer_ends_what_is_parked(void **state)
{
	struct talker t = { 0 };
	(void)state;
	test_in_task(timer_task, &t);
}

static void the_timer_ends_what_is_served(void **state)
{
	struct talker t = { .waits = true };
	(void)state;
	test_in_task(timer_task, &t);
}

static void an_end_decided_at_a_bursts_last_moment_comes(void **state)
{
	struct talker t = { .ends_inside = true, .wakes_inside = true };
	(void)state;
	test_in_task(timer_task, &t);
}

static void cancelled_task(void *arg)
{
	struct talker *t = arg;
	talker_open(t);
	until(t, &t->bursts, 1);
}

static void the_end_of_the_loop_is_an_end(void **state)
{
	struct talker t = { .waits = true, .is_last = true };
	(void)state;
	test_in_task(cancelled_task, &t);
	assert_int_equal(t.ends, 1);
	assert_string_equal(t.ended_why, "cancelled");
	arena_done(&t.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(input_and_waking_serve_again),
		cmocka_unit_test(the_timer_ends_what_is_parked),
		cmocka_unit_test(the_timer_ends_what_is_served),
		cmocka_unit_test(an_end_decided_at_a_bursts_last_moment_comes),
		cmocka_unit_test(the_end_of_the_loop_is_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
