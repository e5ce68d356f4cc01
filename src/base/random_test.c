/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include "base/test.h"

/* Runs before a seed is set. */
static void random_differs_after_a_fork(void **state)
{
	(void)state;
	int fds[2];
	uint64_t childs;

	(void)random_u64(); /* something is read ahead now */
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		uint64_t v = random_u64();
		_exit(write(fds[1], &v, sizeof(v)) == sizeof(v) ? 0 : 1);
	}
	assert_int_equal(read(fds[0], &childs, sizeof(childs)), sizeof(childs));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(childs != random_u64());
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void random_fills_any_length(void **state)
{
	(void)state;
	static const size_t lengths[] = { 1, 7, 511, 512, 513, 5000 };

	for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
		AUTO_ARENA(a, 0);
		size_t n = lengths[i];
		unsigned char *bytes = arena_alloc(&a, n + 1);
		bool is_changed = false;
		for (int round = 0; round < 20 && !is_changed; round++) {
			random_bytes(bytes, n);
			is_changed = bytes[n - 1] != 0; /* up to the last byte ... */
		}
		assert_true(is_changed);
		assert_int_equal(bytes[n], 0); /* ... and not beyond */
	}
}

static void random_below_is_even(void **state)
{
	(void)state;
	int counts[7] = { 0 };

	random_set_seed(8);
	for (int i = 0; i < 70000; i++)
		counts[random_below(7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(counts[i], 9500, 10500);
	assert_int_equal(random_below(1), 0);
	uint64_t half = UINT64_C(1) << 63;
	assert_true(random_below(half + 1) <= half); /* the case that rejects nearly half */
}

static void random_seed_repeats_the_stream(void **state)
{
	(void)state;
	random_set_seed(9);
	uint64_t first = random_u64();
	uint64_t second = random_u64();

	assert_true(first != second);
	random_set_seed(9);
	assert_true(random_u64() == first);
	assert_true(random_u64() == second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_differs_after_a_fork),
		cmocka_unit_test(random_fills_any_length),
		cmocka_unit_test(random_below_is_even),
		cmocka_unit_test(random_seed_repeats_the_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
