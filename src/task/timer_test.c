/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: timers; virtual time; seeded order. */
#include "task/test.h"

/* ---- timers ---- */

enum { TIMERS = 500 };

struct alarm {
	struct timer timer;
	int64_t set_for;
	int64_t fired_at; /* 0: not */
	uint64_t fired_as;
};
static uint64_t alarms_fired;

static void ring(void *arg)
{
	struct alarm *a = arg;
	a->fired_at = now_us();
	a->fired_as = ++alarms_fired;
}

static void heap_task(void *arg)
{
	struct alarm *alarms = mem_new_array(TIMERS, sizeof *alarms);
	struct op op = test_op(TIME_NEVER);
	int64_t start = now_us();
	uint32_t chaos = 1;
	(void)arg;
	for (size_t i = 0; i < TIMERS; i++) {
		timer_init(&alarms[i].timer, ring, &alarms[i]);
		for (int k = 0; k < 3; k++) { /* set again and again: the last one counts */
			chaos = chaos * 1664525 + 1013904223;
			alarms[i].set_for = start + 1 + (chaos >> 8) % 200;
			timer_set(&alarms[i].timer, alarms[i].set_for);
		}
		if (i % 5 == 0) {
			timer_cancel(&alarms[i].timer);
			timer_cancel(&alarms[i].timer);
		}
	}
	assert_ok(task_sleep(&op, 1000));
	for (size_t i = 0; i < TIMERS; i++) {
		assert_int_equal(alarms[i].fired_at, i % 5 == 0 ? 0 : alarms[i].set_for);
		for (size_t k = 0; k < i; k++) { /* ties in the order of setting */
			if (alarms[i].fired_at && alarms[k].fired_at == alarms[i].fired_at)
				assert_true(alarms[k].fired_as < alarms[i].fired_as);
		}
	}
	assert_int_equal(alarms_fired, TIMERS / 5 * 4);
	timer_set(&alarms[0].timer, TIME_NEVER);
	assert_ok(task_sleep(&op, 1000));
	assert_int_equal(alarms[0].fired_at, 0);
	mem_free(alarms);
}

static void timers_fire_once_at_their_time(void **state)
{
	(void)state;
	test_in_virtual_task(heap_task, NULL);
}

static int again_count;

static void again(void *arg)
{
	again_count++;
	timer_set(arg, now_us());
}

static void again_task(void *arg)
{
	struct timer t;
	(void)arg;
	timer_init(&t, again, &t);
	timer_set(&t, now_us());
	for (int i = 0; i < 5; i++) {
		int before = again_count;
		while (again_count == before)
			task_yield(); /* the loop goes round, though it could fire for ever */
	}
	timer_cancel(&t);
}

static void a_timer_that_sets_itself_does_not_starve_the_loop(void **state)
{
	(void)state;
	test_in_virtual_task(again_task, NULL);
}

static void real_sleep_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	int64_t start = now_us();
	(void)arg;
	assert_ok(task_sleep(&op, 20 * US_PER_MS));
	assert_true(now_us() - start >= 20 * US_PER_MS);
}

static void real_time_sleeps_are_not_short(void **state)
{
	(void)state;
	test_in_task(real_sleep_task, NULL);
}

/* ---- virtual time ---- */

static void day_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	int64_t start = now_us(), start_wall = now_wall_us();
	(void)arg;
	for (int hour = 0; hour < 24; hour++)
		assert_ok(task_sleep(&op, 3600 * US_PER_SEC));
	assert_int_equal(now_us() - start, 86400 * US_PER_SEC);
	assert_int_equal(now_wall_us() - start_wall, 86400 * US_PER_SEC);
}

static void a_virtual_day_takes_no_time(void **state)
{
	(void)state;
	int64_t start = now_us();
	test_in_virtual_task(day_task, NULL);
	assert_true(now_us() - start < 10 * US_PER_SEC);
}

static void wait_for_nothing(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	assert_err(wait_queue_wait(&op, arg), ERR_CANCELLED);
}

static void virtual_time_ends_when_nothing_can_happen(void **state)
{
	(void)state;
	struct wait_queue q = { 0 };
	struct op op = test_op(TIME_NEVER);
	assert_ok(loop_open(&op, &(struct loop_settings){ .is_virtual = true }));
	task_start("waits", wait_for_nothing, &q);
	loop_run(); /* returns although nobody called loop_stop() */
	assert_int_equal(loop_stats().tasks_live, 1);
	loop_close();
}

/* ---- seeded order ---- */

struct trace {
	char text[4096];
	size_t n;
};

struct walker {
	struct trace *trace;
	char name;
};

static void add(struct trace *t, char c)
{
	assert_true(t->n < sizeof t->text);
	t->text[t->n++] = c;
}

static void run_nothing(struct offload_job *job)
{
	(void)job;
}

static void walk(void *arg)
{
	struct walker *w = arg;
	struct op op = test_op(TIME_NEVER);
	struct offload_job job = { .run = run_nothing, .release = run_nothing };
	for (int i = 0; i < 8; i++) {
		add(w->trace, w->name);
		task_yield();
		for (int k = 0; k < 10; k++)
			task_breathe();
	}
	assert_ok(offload(&op, OFFLOAD_DISK, &job));
	add(w->trace, w->name);
}

static void trace_task(void *arg)
{
	struct trace *t = arg;
	struct walker walkers[10];
	struct task_handle handles[10];
	struct op op = test_op(TIME_NEVER);
	for (int i = 0; i < 10; i++) {
		walkers[i] = (struct walker){ t, (char)('a' + i) };
		handles[i] = task_start("walk", walk, &walkers[i]);
	}
	for (int i = 0; i < 10; i++)
		while (task_is_alive(handles[i]))
			assert_ok(task_sleep(&op, 10));
}

static void take_trace(uint64_t seed, struct trace *t)
{
	*t = (struct trace){ 0 };
	test_in_loop(&(struct loop_settings){ .is_virtual = true, .seed = seed }, trace_task, t);
	assert_int_equal(t->n, 90);
}

static void the_same_seed_gives_the_same_run(void **state)
{
	(void)state;
	enum { SEEDS = 50 };
	static struct trace traces[SEEDS], again_trace;
	for (uint64_t i = 0; i < SEEDS; i++) {
		take_trace(i, &traces[i]);
		take_trace(i, &again_trace);
		assert_memory_equal(traces[i].text, again_trace.text, again_trace.n);
		for (uint64_t k = 0; k < i; k++)
			assert_memory_not_equal(traces[i].text, traces[k].text, traces[i].n);
	}
	assert_memory_equal(traces[0].text, "abcdefghijabcdefghij", 20); /* seed 0: no seed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers_fire_once_at_their_time),
		cmocka_unit_test(a_timer_that_sets_itself_does_not_starve_the_loop),
		cmocka_unit_test(real_time_sleeps_are_not_short),
		cmocka_unit_test(a_virtual_day_takes_no_time),
		cmocka_unit_test(virtual_time_ends_when_nothing_can_happen),
		cmocka_unit_test(the_same_seed_gives_the_same_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
