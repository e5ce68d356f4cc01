/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: order of tasks, sleeping, queues, cancellation, shields, limits, handles. */
#include <stdio.h>
#include <time.h>

#include "task/test.h"

/* What happened, in order. */
static int64_t seen[256];
static size_t seen_count;

static void see(int64_t v)
{
	assert_true(seen_count < ARRAY_COUNT(seen));
	seen[seen_count++] = v;
}

static void assert_seen(const int64_t *expected, size_t count)
{
	assert_int_equal(seen_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(seen[i], expected[i]);
	seen_count = 0;
}

#define ASSERT_SEEN(...)                                                                           \
	assert_seen((const int64_t[]){ __VA_ARGS__ },                                              \
		sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t))

/* ---- order ---- */

static void see_twice(void *arg)
{
	intptr_t n = (intptr_t)arg;
	see(n);
	task_yield();
	see(n + 10);
}

static void fifo_task(void *arg)
{
	(void)arg;
	for (intptr_t i = 1; i <= 3; i++)
		task_start("see-twice", see_twice, (void *)i);
	task_yield();
	see(0);
	task_yield();
	ASSERT_SEEN(1, 2, 3, 0, 11, 12, 13);
}

static void ready_tasks_run_first_in_first_out(void **state)
{
	(void)state;
	test_in_virtual_task(fifo_task, NULL);
}

static void count_and_yield(void *arg)
{
	int *count = arg;
	for (int i = 0; i < 3; i++)
		task_yield();
	++*count;
}

static void many_task(void *arg)
{
	int count = 0;
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	for (int i = 0; i < 3000; i++)
		task_start("count", count_and_yield, &count);
	while (count < 3000)
		assert_ok(task_sleep(&op, 1));
	assert_true(loop_stats().stacks_mapped <= 3001);
	assert_int_equal(loop_stats().tasks_live, 1);
}

static void thousands_of_tasks_run(void **state)
{
	(void)state;
	test_in_virtual_task(many_task, NULL);
}

/* ---- limits ---- */

struct load {
	int now, most, ended;
};

static void weigh(void *arg)
{
	struct load *load = arg;
	struct op op = test_op(TIME_NEVER);
	load->now++;
	load->most = MAX(load->most, load->now);
	assert_ok(task_sleep(&op, 10));
	load->now--;
	load->ended++;
}

static enum err weigh_in_group(struct op *op, void *arg)
{
	(void)op;
	weigh(arg);
	return ERR_NONE;
}

static enum err fan_out(struct op *op, void *arg)
{
	struct task_group *g = task_group_new(op);
	for (int i = 0; i < 4; i++)
		task_group_start(g, "weigh", weigh_in_group, arg);
	return task_group_finish(op, g);
}

static void fan_out_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	assert_ok(fan_out(&op, arg));
}

static void limit_task(void *arg)
{
	struct load load = { 0 };
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	for (int i = 0; i < 100; i++)
		task_start("weigh", weigh, &load);
	assert_int_equal(loop_stats().tasks_queued, 93); /* 8 places, one is ours */
	while (load.ended < 100)
		assert_ok(task_sleep(&op, 1));
	assert_int_equal(load.most, 7);

	/* Members of groups take no place, or those who wait for them would wait for ever. */
	load = (struct load){ 0 };
	for (int i = 0; i < 20; i++)
		task_start("fan-out", fan_out_task, &load);
	while (load.ended < 80)
		assert_ok(task_sleep(&op, 1));
}

static void running_tasks_are_limited(void **state)
{
	(void)state;
	test_in_loop(
		&(struct loop_settings){ .is_virtual = true, .running_max = 8 }, limit_task, NULL);
}

/* ---- sleeping and deadlines ---- */

static void sleep_task(void *arg)
{
	struct op op = test_op(1000);
	int64_t start = now_us();
	(void)arg;
	assert_ok(task_sleep(&op, 300));
	assert_int_equal(now_us() - start, 300);
	assert_ok(task_sleep(&op, 700)); /* ends with the deadline: it has slept its time */
	assert_err(task_sleep(&op, 1), ERR_TIMEOUT);
	assert_non_null(strstr(op.failure.text, "deadline"));

	op = test_op(100);
	start = now_us();
	assert_err(task_sleep(&op, INT64_MAX), ERR_TIMEOUT);
	assert_int_equal(now_us() - start, 100);
}

static void sleeps_end_at_their_time_or_the_deadline(void **state)
{
	(void)state;
	test_in_virtual_task(sleep_task, NULL);
}

struct waiter {
	struct wait_queue *queue;
	int64_t deadline_us; /* from the start */
	int64_t number;
	enum err result;
};

static void wait_in_queue(void *arg)
{
	struct waiter *w = arg;
	struct op op = test_op(w->deadline_us);
	w->result = wait_queue_wait(&op, w->queue);
	see(w->number);
}

static void queue_task(void *arg)
{
	struct wait_queue q = { 0 };
	struct op op = test_op(TIME_NEVER);
	struct waiter w[4];
	(void)arg;
	for (size_t i = 0; i < ARRAY_COUNT(w); i++) {
		w[i] = (struct waiter){
			.queue = &q, .number = (int64_t)i, .deadline_us = TIME_NEVER
		};
		if (i == 1)
			w[i].deadline_us = 50;
		task_start("waiter", wait_in_queue, &w[i]);
	}
	wait_queue_wake_all(&(struct wait_queue){ 0 }); /* an untouched queue is empty */
	assert_ok(task_sleep(&op, 100));
	ASSERT_SEEN(1);
	assert_err(w[1].result, ERR_TIMEOUT);
	wait_queue_wake_one(&q);
	task_yield();
	ASSERT_SEEN(0);
	wait_queue_wake_all(&q);
	wait_queue_wake_all(&q);
	task_yield();
	ASSERT_SEEN(2, 3);
	assert_err(w[0].result, ERR_NONE);
	assert_err(w[3].result, ERR_NONE);
}

static void queues_wake_in_order_and_obey_deadlines(void **state)
{
	(void)state;
	test_in_virtual_task(queue_task, NULL);
}

/* ---- cancellation ---- */

static void cancel_task(void *arg)
{
	struct wait_queue q = { 0 };
	struct waiter w = { .queue = &q, .deadline_us = TIME_NEVER, .number = 7 };
	(void)arg;
	struct task_handle t = task_start("waiter", wait_in_queue, &w);
	task_yield();
	assert_true(task_is_alive(t));
	task_cancel(t);
	task_cancel(t);
	wait_queue_wake_one(&q); /* nobody is in it any more */
	task_yield();
	ASSERT_SEEN(7);
	assert_err(w.result, ERR_CANCELLED);
	assert_false(task_is_alive(t));
	task_cancel(t); /* a stale handle is harmless */

	/* Woken first, cancelled after: the wait has succeeded. */
	t = task_start("waiter", wait_in_queue, &w);
	task_yield();
	wait_queue_wake_one(&q);
	task_cancel(t);
	task_yield();
	ASSERT_SEEN(7);
	assert_err(w.result, ERR_NONE);

	/* Cancelled before it ever ran: it runs, and its first wait fails. */
	t = task_start("waiter", wait_in_queue, &w);
	task_cancel(t);
	task_yield();
	ASSERT_SEEN(7);
	assert_err(w.result, ERR_CANCELLED);
	task_cancel((struct task_handle){ 0 });
	assert_false(task_is_alive((struct task_handle){ 0 }));
}

static void cancellation_ends_waits(void **state)
{
	(void)state;
	test_in_virtual_task(cancel_task, NULL);
}

static void shielded(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	task_shield();
	task_shield();
	see(task_sleep(&op, 100) == ERR_NONE);
	task_unshield();
	see(task_is_cancelled());
	see(task_sleep(&op, 100) == ERR_NONE);
	task_unshield();
	see(task_is_cancelled());
	see(task_sleep(&op, 100) == ERR_CANCELLED);
	see(task_sleep(&op, 100) == ERR_CANCELLED); /* and so does each wait after it */
	see(now_us());
}

static void shield_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	int64_t start = now_us();
	(void)arg;
	struct task_handle t = task_start("shielded", shielded, NULL);
	assert_ok(task_sleep(&op, 50));
	task_cancel(t);
	while (task_is_alive(t))
		assert_ok(task_sleep(&op, 10));
	ASSERT_SEEN(1, 0, 1, 1, 1, 1, start + 200);
}

static void shields_hold_cancellation_off(void **state)
{
	(void)state;
	test_in_virtual_task(shield_task, NULL);
}

static void sleep_for_ever(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	see(task_sleep(&op, INT64_MAX));
}

static void leave_some_behind(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		task_start("sleeper", sleep_for_ever, NULL);
	task_yield();
	task_start("never-run", sleep_for_ever, NULL);
	assert_false(loop_is_stopping());
}

static void closing_cancels_what_is_left(void **state)
{
	(void)state;
	test_in_task(leave_some_behind, NULL);
	ASSERT_SEEN(ERR_CANCELLED, ERR_CANCELLED, ERR_CANCELLED, ERR_CANCELLED);
}

/* ---- breathing ---- */

static void busy(void *arg)
{
	bool *may_stop = arg;
	while (!*may_stop)
		task_breathe();
	see(1);
}

static void breathe_task(void *arg)
{
	bool may_stop = false;
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	struct task_handle t = task_start("busy", busy, &may_stop);
	for (int i = 0; i < 3; i++)
		assert_ok(task_sleep(&op, 1000));
	may_stop = true;
	while (task_is_alive(t))
		task_yield();
	ASSERT_SEEN(1);
}

static void a_busy_task_lets_others_breathe(void **state)
{
	(void)state;
	test_in_task(breathe_task, NULL);
}

/* ---- watchdog and crash slot ---- */

static char dog_text[200];

static size_t dog_frames;

static void note_dog(const struct watchdog_report *r)
{
	assert_true(r->ran_us >= 20 * US_PER_MS);
	assert_true(snprintf(dog_text, sizeof dog_text, "%s/%.*s/%.*s", r->task_name, STRF(r->user),
			    STRF(r->doing)) > 0);
	dog_frames = r->frame_count;
}

static void hog(void *arg)
{
	/* Of its own time: the machine may have others to run. */
	clock_t end = clock() + 60 * (CLOCKS_PER_SEC / 1000);
	(void)arg;
	task_set_doing(STR("u1"), STR("sorting"));
	while (clock() < end) {
	}
	task_yield();
}

static void dog_task(void *arg)
{
	struct crash_slot slot = { 0 };
	(void)arg;
	loop_set_watchdog(20 * US_PER_MS, note_dog);
	loop_set_crash_slot(&slot);
	struct task_handle t = task_start("hog", hog, NULL);
	assert_int_equal(slot.pid, getpid());
	task_yield();
	assert_string_equal(dog_text, "hog/u1/sorting");
	/* ThreadSanitizer holds signals back until the next system call; with a thread for each task
	 * the sampler sees the loop's alone. */
#if !defined(__SANITIZE_THREAD__) && !defined(POMBAL_TASK_THREADS)
	assert_true(dog_frames > 0); /* it computed for twice the limit */
#endif
	assert_string_equal(slot.user, ""); /* we did not name one: not blamed for his crash */
	task_set_doing(STR("u2"), STR("reading"));
	assert_string_equal(slot.user, "u2");
	assert_string_equal(slot.doing, "reading");
	while (task_is_alive(t))
		task_yield();
	assert_string_equal(slot.user, "u2");
	assert_int_equal(slot.generation % 2, 0);
	loop_set_crash_slot(NULL);
	loop_set_watchdog(0, NULL);
}

static void the_watchdog_reports_and_the_slot_knows(void **state)
{
	(void)state;
	test_in_task(dog_task, NULL);
}

static void wait_on_the_loop(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	(void)!task_sleep(&op, 1);
}

static void wait_in_callback(void *arg)
{
	struct timer t;
	struct op op = test_op(TIME_NEVER);
	(void)arg;
	timer_init(&t, wait_on_the_loop, NULL);
	timer_set(&t, now_us());
	(void)!task_sleep(&op, 1000);
}

static void waiting_in_a_callback_aborts(void **state)
{
	(void)state;
	assert_aborts(test_in_task(wait_in_callback, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_tasks_run_first_in_first_out),
		cmocka_unit_test(thousands_of_tasks_run),
		cmocka_unit_test(running_tasks_are_limited),
		cmocka_unit_test(sleeps_end_at_their_time_or_the_deadline),
		cmocka_unit_test(queues_wake_in_order_and_obey_deadlines),
		cmocka_unit_test(cancellation_ends_waits),
		cmocka_unit_test(shields_hold_cancellation_off),
		cmocka_unit_test(closing_cancels_what_is_left),
		cmocka_unit_test(a_busy_task_lets_others_breathe),
		cmocka_unit_test(the_watchdog_reports_and_the_slot_knows),
		cmocka_unit_test(waiting_in_a_callback_aborts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
