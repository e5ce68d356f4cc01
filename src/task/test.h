/* SPDX-License-Identifier: Apache-2.0 */
/* task/test.h - a test that waits: runs it as a task of a fresh loop. Included by *_test.c only.
 *
 * A failed assertion leaves the loop by longjmp(): the rest of that test program is then void. */
#pragma once

#include "base/test.h"
#include "task/task.h"

struct test_task {
	task_fn *fn;
	void *arg;
	bool has_ended;
};

static inline void test_task_main(void *arg)
{
	struct test_task *t = arg;
	t->fn(t->arg);
	t->has_ended = true;
	loop_stop();
}

/* Runs fn(arg) to its end; `settings` may be NULL. */
static inline void test_in_loop(const struct loop_settings *settings, task_fn *fn, void *arg)
{
	struct op op;
	struct test_task t = { .fn = fn, .arg = arg };
	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_ok(loop_open(&op, settings));
	task_start("test", test_task_main, &t);
	loop_run();
	assert_true(t.has_ended);
	loop_close();
}

static inline void test_in_task(task_fn *fn, void *arg)
{
	test_in_loop(NULL, fn, arg);
}

/* In virtual time: sleeps cost nothing and the same happens in each run. */
static inline void test_in_virtual_task(task_fn *fn, void *arg)
{
	test_in_loop(&(struct loop_settings){ .is_virtual = true }, fn, arg);
}

/* An op without arena and event, due `us` from now. */
static inline struct op test_op(int64_t us)
{
	struct op op;
	op_init(&op, NULL, NULL, us == TIME_NEVER ? TIME_NEVER : now_us() + us);
	return op;
}
