/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: stacks: guard page, reuse, depth, floating point state over switches. */
#include <fenv.h>
#include <stdio.h>

#include "task/test.h"

/* ---- guard page ---- */

__attribute__((noinline)) static int deeper(int n)
{
	volatile char frame[4096];
	frame[0] = (char)n;
	return n == INT32_MAX ? 0 : deeper(n + 1) + frame[0];
}

static void overflow(void *arg)
{
	(void)arg;
	printf("%d\n", deeper(0));
}

static void an_overflow_hits_the_guard_page(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit no_core = { 0, 0 };
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGSEGV, SIG_DFL); /* cmocka and sanitizers catch it otherwise */
		test_in_task(overflow, NULL);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

/* ---- pool and depth ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static void pool_task(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		task_start("nothing", nothing, NULL);
		task_yield();
	}
#ifndef POMBAL_TASK_THREADS
	assert_int_equal(loop_stats().stacks_mapped, 2); /* ours, and one for all of them */
	assert_int_equal(loop_stats().stacks_pooled, 1);
#endif
}

static void stacks_are_used_again(void **state)
{
	(void)state;
	test_in_task(pool_task, NULL);
}

__attribute__((noinline)) static unsigned use_stack(int levels)
{
	volatile unsigned char frame[8 * 1024];
	for (size_t i = 0; i < sizeof frame; i += 512)
		frame[i] = (unsigned char)levels;
	return frame[512] + (levels ? use_stack(levels - 1) : 0);
}

static void use_80_kib(void *arg)
{
	unsigned *sum = arg;
	*sum = use_stack(9);
}

static void depth_task(void *arg)
{
	unsigned sum = 0;
	(void)arg;
	task_start("nothing", nothing, NULL);
	task_yield();
	size_t before = loop_stats().stack_high_water_bytes;
	task_start("deep", use_80_kib, &sum);
	task_yield();
	assert_int_equal(sum, 45);
#if defined(POMBAL_DEBUG) && !defined(POMBAL_TASK_THREADS)
	assert_in_range(before, 4096, 64 * 1024);
	assert_in_range(loop_stats().stack_high_water_bytes, 80 * 1024, 200 * 1024);
#else
	assert_int_equal(before, 0); /* measured in debug builds only */
#endif
}

static void the_deepest_use_is_known(void **state)
{
	(void)state;
	test_in_task(depth_task, NULL);
}

/* ---- what a switch keeps ---- */

static void round_up(void *arg)
{
	bool *was_kept = arg;
	fesetround(FE_UPWARD);
	task_yield();
	*was_kept = fegetround() == FE_UPWARD;
}

__attribute__((noinline)) static double mix(double a, double b, double c, double d)
{
	task_yield();
	return a + b * 2 + c * 4 + d * 8;
}

static void floats_task(void *arg)
{
	bool was_kept = false;
	(void)arg;
	task_start("round-up", round_up, &was_kept);
	task_yield();
#ifndef POMBAL_TASK_THREADS
	assert_int_equal(fegetround(), FE_TONEAREST);
#endif
	assert_true(mix(1, 2, 3, 4) == 49);
	task_yield();
	assert_true(was_kept);
}

static void rounding_and_registers_survive(void **state)
{
	(void)state;
	test_in_task(floats_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overflow_hits_the_guard_page),
		cmocka_unit_test(stacks_are_used_again),
		cmocka_unit_test(the_deepest_use_is_known),
		cmocka_unit_test(rounding_and_registers_survive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
