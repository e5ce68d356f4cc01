/* SPDX-License-Identifier: Apache-2.0 */
/* A program with bugs inside tasks, on purpose: do the tools still see them?
 *
 * usage: bugs KIND. Each bug happens after a switch, below a few frames of a task that shares the
 * loop with others. "none" does everything that is right about tasks, so that a tool that complains
 * there complains about the task library. "suspended" waits for a debugger. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"
#include "task/task.h"

/* Keeps the compiler from seeing through it. */
#define HIDE(v) __asm__ volatile("" : "+r"(v) : : "memory")

static struct op op_for(int64_t us)
{
	struct op op;
	op_init(&op, NULL, NULL, us == TIME_NEVER ? TIME_NEVER : now_us() + us);
	return op;
}

static void sleep_us(int64_t us)
{
	struct op op = op_for(TIME_NEVER);
	(void)!task_sleep(&op, us); /* only passes time */
}

/* ---- bugs ---- */

/* Volatile, so that a frame really escapes into it. */
static char *volatile stale_frame;

/* Not a tail call, nor made into one: its caller's frame shall be seen. */
__attribute__((noinline)) static int read_freed(char *p)
{
	HIDE(p);
	return p[3];
}

static void bug_use_after_free(void)
{
	char *p = mem_new(10);
	sleep_us(100);
	mem_free(p);
	HIDE(p);
	printf("%d\n", read_freed(p));
}

static void bug_stack_buffer(void)
{
	char text[16] = "";
	volatile size_t i = 16;
	sleep_us(100);
	char *p = text;
	HIDE(p);
	p[i] = 1;
	printf("%d\n", p[i]);
}

__attribute__((noinline)) static char *return_local(void)
{
	char text[64] = "gone";
	stale_frame = text;
	sleep_us(100);
	return stale_frame;
}

static void bug_use_after_return(void)
{
	char *p = return_local();
	printf("%d\n", read_freed(p));
}

static void keep_frame(void *arg)
{
	char text[64] = "gone with the task";
	(void)arg;
	stale_frame = text;
	sleep_us(10);
}

static void bug_stale_stack(void)
{
	struct task_handle t = task_start("keeps-frame", keep_frame, NULL);
	while (task_is_alive(t))
		sleep_us(100);
	printf("%d\n", read_freed(stale_frame));
}

static void bug_uninitialised(void)
{
	char *p = malloc(10); /* mem_new() would zero it */
	sleep_us(100);
	HIDE(p);
	if (read_freed(p) == 7)
		printf("seven\n");
	free(p);
}

static void bug_leak(void)
{
	char *p = mem_new(777);
	sleep_us(100);
	HIDE(p);
}

__attribute__((noinline)) static int deeper(int n)
{
	volatile char frame[4096];
	frame[0] = (char)n;
	return n == INT32_MAX ? 0 : deeper(n + 1) + frame[0];
}

static void bug_stack_overflow(void)
{
	sleep_us(100);
	printf("%d\n", deeper(0));
}

static void bug_undefined(void)
{
	int v = INT32_MAX;
	sleep_us(100);
	HIDE(v);
	v++;
	printf("%d\n", v);
}

/* A job that writes what its caller still owns: the rule of offload() broken. */
struct sharing_job {
	struct offload_job base;
	int *foreign;
};

static void write_foreign(struct offload_job *base)
{
	struct sharing_job *j = CONTAINER_OF(base, struct sharing_job, base);
	usleep(600 * 1000);
	++*j->foreign;
}

static void free_job(struct offload_job *base)
{
	mem_free(CONTAINER_OF(base, struct sharing_job, base));
}

static int shared_counter;

static void bug_race(void)
{
	struct sharing_job *j = MEM_NEW(struct sharing_job);
	j->base.run = write_foreign;
	j->base.release = free_job;
	j->foreign = &shared_counter;
	struct op op = op_for(300 * US_PER_MS);      /* by then it runs, also on a busy machine */
	(void)!offload(&op, OFFLOAD_DISK, &j->base); /* gives up; the job runs on */
	++shared_counter;
	sleep_us(600 * US_PER_MS);
}

/* ---- what is right ---- */

struct adding_job {
	struct offload_job base;
	uint64_t a, b, sum;
};

static void add(struct offload_job *base)
{
	struct adding_job *j = CONTAINER_OF(base, struct adding_job, base);
	j->sum = j->a + j->b;
}

static void free_adding_job(struct offload_job *base)
{
	mem_free(CONTAINER_OF(base, struct adding_job, base));
}

static enum err member(struct op *op, void *arg)
{
	uint64_t *sum = arg;
	for (uint64_t i = 0; i < 20; i++) {
		struct adding_job *j = MEM_NEW(struct adding_job);
		j->base.run = add;
		j->base.release = free_adding_job;
		j->a = *sum;
		j->b = i;
		TRY(offload(op, (enum offload_pool)(i % OFFLOAD_POOL_COUNT), &j->base));
		*sum = j->sum;
		free_adding_job(&j->base);
		TRY(task_sleep(op, 10));
		task_yield();
	}
	return ERR_NONE;
}

static void hold_memory_for_ever(void *arg)
{
	char *p = mem_new(555); /* only this stack knows it: no leak */
	(void)arg;
	sleep_us(INT64_MAX);
	mem_free(p);
}

static void no_bug(void)
{
	uint64_t sums[30] = { 0 }, total = 0;
	struct op op = op_for(60 * US_PER_SEC);
	struct task_group *g = task_group_new(&op);
	for (size_t i = 0; i < ARRAY_COUNT(sums); i++)
		task_group_start(g, "member", member, &sums[i]);
	enum err e = task_group_finish(&op, g);
	for (size_t i = 0; i < ARRAY_COUNT(sums); i++)
		total += sums[i];
	ASSERT(e == ERR_NONE && total == 190 * ARRAY_COUNT(sums));
	task_start("holder", hold_memory_for_ever, NULL);
	sleep_us(1000);
}

/* ---- for the debugger ---- */

__attribute__((noinline)) static void waits_in_sleep(void)
{
	sleep_us(INT64_MAX);
	__asm__ volatile(""); /* no tail call: the frame stays */
}

static void suspended_sleeper(void *arg)
{
	(void)arg;
	task_set_doing(STR("u1@example.test"), STR("sleeping deeply"));
	waits_in_sleep();
	__asm__ volatile("");
}

static struct task_mutex contended;

static void suspended_locker(void *arg)
{
	struct op op = op_for(TIME_NEVER);
	(void)arg;
	if (task_mutex_lock(&op, &contended) != ERR_NONE)
		return;
	sleep_us(INT64_MAX);
	task_mutex_unlock(&contended);
}

static void block_long(struct offload_job *base)
{
	(void)base;
	usleep(30 * 1000 * 1000);
}

static void suspended_offloader(void *arg)
{
	struct op op = op_for(TIME_NEVER);
	struct sharing_job *j = MEM_NEW(struct sharing_job);
	(void)arg;
	j->base.run = block_long;
	j->base.release = free_job;
	if (offload(&op, OFFLOAD_LIBRARY, &j->base) == ERR_NONE)
		free_job(&j->base);
}

static void show_suspended(void)
{
	task_start("sleeper", suspended_sleeper, NULL);
	task_start("locker-1", suspended_locker, NULL);
	task_start("locker-2", suspended_locker, NULL);
	task_start("offloader", suspended_offloader, NULL);
	sleep_us(50 * US_PER_MS);
	printf("ready\n");
	(void)fflush(stdout);
	sleep_us(120 * US_PER_SEC);
}

/* ---- choice ---- */

static const struct kind {
	const char *name;
	void (*run)(void);
} kinds[] = {
	{ "none", no_bug },
	{ "use-after-free", bug_use_after_free },
	{ "stack-buffer", bug_stack_buffer },
	{ "use-after-return", bug_use_after_return },
	{ "stale-stack", bug_stale_stack },
	{ "uninitialised", bug_uninitialised },
	{ "leak", bug_leak },
	{ "stack-overflow", bug_stack_overflow },
	{ "undefined", bug_undefined },
	{ "race", bug_race },
	{ "suspended", show_suspended },
};

static void neighbour(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		sleep_us(50);
}

static void buggy_task(void *arg)
{
	const struct kind *k = arg;
	k->run();
	loop_stop();
}

int main(int argc, char **argv)
{
	struct op op = op_for(TIME_NEVER);
	struct kind *chosen = NULL, copy;
	for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
		if (argc == 2 && strcmp(argv[1], kinds[i].name) == 0) {
			copy = kinds[i];
			chosen = &copy;
		}
	}
	if (!chosen || loop_open(&op, NULL) != ERR_NONE) {
		(void)fprintf(stderr, "usage: bugs KIND\n");
		return 2;
	}
	task_start("neighbour", neighbour, NULL);
	task_start("buggy", buggy_task, chosen);
	loop_run();
	/* Leaves with tasks suspended in the clean run: what they hold is no leak. */
	if (chosen->run != no_bug)
		loop_close();
	printf("end\n");
	return 0;
}
