/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks cost: prints one figure a line, "name value unit". usage: figures [ROUNDS] */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/number.h"
#include "task/task.h"

static uint64_t rounds = 1000 * 1000;
static struct wait_queue ping, pong;

static void report(const char *name, int64_t start_us, uint64_t count)
{
	printf("%s %.1f ns\n", name, (double)(now_us() - start_us) * 1000 / (double)count);
}

static void yielder(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < rounds; i++)
		task_yield();
}

static void wait_until_ended(struct task_handle t)
{
	while (task_is_alive(t))
		task_yield();
}

static void measure_switch(void)
{
	uint64_t switches = loop_stats().switches;
	int64_t start = now_us();
	struct task_handle t = task_start("yielder", yielder, NULL);
	wait_until_ended(t);
	/* One switch: loop to task and back. */
	report("switch", start, loop_stats().switches - switches);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void measure_start(void)
{
	int64_t start = now_us();
	for (uint64_t i = 0; i < rounds / 100; i++) {
		for (int k = 0; k < 100; k++)
			task_start("nothing", nothing, NULL);
		task_yield();
	}
	report("start_and_end", start, rounds);
}

static void ponger(void *arg)
{
	struct op op;
	(void)arg;
	op_init(&op, NULL, NULL, now_us() + 3600 * US_PER_SEC);
	while (wait_queue_wait(&op, &ping) == ERR_NONE)
		wait_queue_wake_one(&pong);
}

static void measure_wait(void)
{
	struct op op;
	op_init(&op, NULL, NULL, now_us() + 3600 * US_PER_SEC);
	struct task_handle t = task_start("ponger", ponger, NULL);
	task_yield();
	int64_t start = now_us();
	for (uint64_t i = 0; i < rounds; i++) {
		wait_queue_wake_one(&ping);
		ASSERT(wait_queue_wait(&op, &pong) == ERR_NONE);
	}
	report("wake_and_wait_with_deadline", start, rounds * 2);
	task_cancel(t);
	wait_until_ended(t);
}

struct empty_job {
	struct offload_job base;
};

static void run_nothing(struct offload_job *job)
{
	(void)job;
}

static void measure_offload(void)
{
	struct op op;
	struct empty_job job = { .base = { .run = run_nothing, .release = run_nothing } };
	op_init(&op, NULL, NULL, TIME_NEVER);
	int64_t start = now_us();
	for (uint64_t i = 0; i < rounds / 50; i++)
		ASSERT(offload(&op, OFFLOAD_DISK, &job.base) == ERR_NONE);
	report("offload", start, rounds / 50);
}

static void measure(void *arg)
{
	(void)arg;
	measure_start(); /* twice: the first one maps the stacks */
	measure_switch();
	measure_wait();
	measure_start();
	measure_offload();
	loop_stop();
}

int main(int argc, char **argv)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (argc > 1 && (!number_parse_u64(str_from(argv[1]), &rounds) || rounds < 1000))
		return 2;
	if (loop_open(&op, NULL) != ERR_NONE)
		return 1;
	task_start("measure", measure, NULL);
	loop_run();
	loop_close();
	return 0;
}
