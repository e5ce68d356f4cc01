/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: order, waiting, cancellation, deadlines, groups, mutexes, limits. */
#include "base/test.h"
#include "task/task.h"

static int64_t seen[64];
static size_t seen_count;

static void see(int64_t v)
{
	assert_true(seen_count < ARRAY_COUNT(seen));
	seen[seen_count++] = v;
}

static void two_steps(void *arg)
{
	intptr_t n = (intptr_t)arg;
	see(n);
	task_yield();
	see(n + 10);
}

static void ready_tasks_run_in_order(void **state)
{
	(void)state;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_int_equal(loop_open(&op, &(struct loop_settings){ .is_virtual = true }), ERR_NONE);
	for (intptr_t i = 1; i <= 3; i++)
		task_start("two-steps", two_steps, (void *)i);
	loop_run();
	loop_close();
	const int64_t expected[] = { 1, 2, 3, 11, 12, 13 };
	assert_int_equal(seen_count, 6);
	assert_memory_equal(seen, expected, sizeof expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ready_tasks_run_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
