/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: fan-out with groups, mutexes. */
#include "task/test.h"

/* ---- groups ---- */

struct job {
	int64_t us;
	enum err fails_with;
	enum err result; /* of its sleep */
	bool has_ended;
};

static enum err work(struct op *op, void *arg)
{
	struct job *j = arg;
	j->result = task_sleep(op, j->us);
	j->has_ended = true;
	if (j->result != ERR_NONE)
		return j->result;
	if (j->fails_with != ERR_NONE)
		return op_fail(op, j->fails_with, "job of %d us failed", (int)j->us);
	return ERR_NONE;
}

static enum err run_group(struct op *op, struct job *jobs, size_t count)
{
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < count; i++)
		task_group_start(g, "work", work, &jobs[i]);
	enum err e = task_group_finish(op, g);
	for (size_t i = 0; i < count; i++)
		assert_true(jobs[i].has_ended);
	return e;
}

static void group_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	struct job fine[] = { { .us = 300 }, { .us = 100 }, { .us = 200 } };
	int64_t start = now_us();
	(void)arg;
	assert_ok(run_group(&op, fine, ARRAY_COUNT(fine)));
	assert_int_equal(now_us() - start, 300); /* at the same time, not one by one */
	assert_ok(task_group_finish(&op, task_group_new(&op)));

	struct job one_fails[] = { { .us = 300 }, { .us = 100, .fails_with = ERR_DENIED },
		{ .us = 200, .fails_with = ERR_CORRUPT } };
	start = now_us();
	assert_err(run_group(&op, one_fails, ARRAY_COUNT(one_fails)), ERR_DENIED);
	assert_string_equal(op.failure.text, "job of 100 us failed");
	assert_int_equal(now_us() - start, 100);
	assert_err(one_fails[0].result, ERR_CANCELLED);
	assert_err(one_fails[2].result, ERR_CANCELLED);

	op = test_op(150);
	struct job too_late[] = { { .us = 300 }, { .us = 100 } };
	assert_err(run_group(&op, too_late, ARRAY_COUNT(too_late)), ERR_TIMEOUT);
	assert_err(too_late[1].result, ERR_NONE);
}

static void a_group_waits_for_all_and_the_first_error_cancels(void **state)
{
	(void)state;
	test_in_virtual_task(group_task, NULL);
}

static void late_member_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	struct job fails = { .us = 10, .fails_with = ERR_LIMIT }, late = { .us = 10 };
	(void)arg;
	struct task_group *g = task_group_new(&op);
	task_group_start(g, "work", work, &fails);
	assert_ok(task_sleep(&op, 100));
	task_group_start(g, "work", work, &late);
	assert_err(task_group_finish(&op, g), ERR_LIMIT);
	assert_err(late.result, ERR_CANCELLED);
}

static void a_member_after_the_error_is_cancelled_at_once(void **state)
{
	(void)state;
	test_in_virtual_task(late_member_task, NULL);
}

static enum err stubborn(struct op *op, void *arg)
{
	struct job *j = arg;
	task_shield();
	j->result = task_sleep(op, j->us);
	task_unshield();
	j->has_ended = true;
	return j->result;
}

struct parent {
	struct job jobs[2];
	enum err result;
};

static void parent_main(void *arg)
{
	struct parent *p = arg;
	struct op op = test_op(TIME_NEVER);
	struct task_group *g = task_group_new(&op);
	task_group_start(g, "work", work, &p->jobs[0]);
	task_group_start(g, "stubborn", stubborn, &p->jobs[1]);
	p->result = task_group_finish(&op, g);
	assert_true(p->jobs[0].has_ended && p->jobs[1].has_ended);
}

static void cancelled_parent_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	struct parent p = { .jobs = { { .us = 1000 }, { .us = 1000 } } };
	(void)arg;
	struct task_handle t = task_start("parent", parent_main, &p);
	assert_ok(task_sleep(&op, 10));
	task_cancel(t);
	assert_ok(task_sleep(&op, 10));
	assert_true(task_is_alive(t)); /* it waits for the stubborn one */
	assert_err(p.jobs[0].result, ERR_CANCELLED);
	assert_ok(task_sleep(&op, 2000));
	assert_false(task_is_alive(t));
	assert_err(p.result, ERR_CANCELLED);
	assert_err(p.jobs[1].result, ERR_NONE);
}

static void a_cancelled_parent_cancels_and_still_waits(void **state)
{
	(void)state;
	test_in_virtual_task(cancelled_parent_task, NULL);
}

/* ---- mutex ---- */

static int order[16];
static int order_count;

struct locker {
	struct task_mutex *mutex;
	int number;
	int64_t deadline_us;
	enum err result;
};

static void lock_and_hold(void *arg)
{
	struct locker *l = arg;
	struct op op = test_op(l->deadline_us);
	l->result = task_mutex_lock(&op, l->mutex);
	if (l->result != ERR_NONE)
		return;
	order[order_count++] = l->number;
	struct op patient = test_op(TIME_NEVER);
	(void)!task_sleep(&patient, 100);
	task_mutex_unlock(l->mutex);
}

static void mutex_task(void *arg)
{
	struct task_mutex m = { 0 };
	struct op op = test_op(TIME_NEVER);
	struct locker l[6];
	struct task_handle t[6];
	(void)arg;
	for (int i = 0; i < 6; i++) {
		l[i] = (struct locker){ .mutex = &m, .number = i, .deadline_us = TIME_NEVER };
		if (i == 2)
			l[i].deadline_us = 150; /* gives up while 1 holds it */
		t[i] = task_start("locker", lock_and_hold, &l[i]);
	}
	assert_ok(task_sleep(&op, 50));
	task_cancel(t[3]);
	/* Unlock hands it on: whoever asks at that very moment is behind those who waited. */
	assert_ok(task_sleep(&op, 49));
	assert_ok(task_mutex_lock(&op, &m));
	order[order_count++] = 99;
	task_mutex_unlock(&m);
	const int expected[] = { 0, 1, 4, 5, 99 };
	assert_int_equal(order_count, 5);
	assert_memory_equal(order, expected, sizeof expected);
	assert_err(l[2].result, ERR_TIMEOUT);
	assert_err(l[3].result, ERR_CANCELLED);
	assert_null(m.owner.task);
}

static void a_mutex_is_first_come_first_served(void **state)
{
	(void)state;
	test_in_virtual_task(mutex_task, NULL);
}

static void unlock_a_foreign_one(void *arg)
{
	struct task_mutex m = { 0 };
	(void)arg;
	task_mutex_unlock(&m);
}

static void unlocking_a_foreign_mutex_aborts(void **state)
{
	(void)state;
	assert_aborts(test_in_task(unlock_a_foreign_one, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_waits_for_all_and_the_first_error_cancels),
		cmocka_unit_test(a_member_after_the_error_is_cancelled_at_once),
		cmocka_unit_test(a_cancelled_parent_cancels_and_still_waits),
		cmocka_unit_test(a_mutex_is_first_come_first_served),
		cmocka_unit_test(unlocking_a_foreign_mutex_aborts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
