/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/arena_private.h"
#include "base/test.h"

static bool is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void arena_memory_is_zero_and_aligned(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	for (int round = 0; round < 3; round++) {
		for (size_t n = 0; n < 3000; n += 7) {
			char *p = arena_alloc(&a, n);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_true(is_zero(p, n));
			memset(p, 0xff, n); /* dirty: the next round must not see it */
		}
		arena_reset(&a);
	}
}

static void arena_rewind_gives_back_everything_after_the_mark(void **state)
{
	(void)state;
	AUTO_ARENA(a, 1 << 20);
	char *kept = arena_alloc(&a, 10);
	kept[9] = 'x';

	for (int round = 0; round < 1000; round++) { /* would be 10 MB without the rewind */
		struct arena_mark mark = arena_mark(&a);
		char *item = arena_alloc(&a, 10000);
		assert_true(is_zero(item, 10000));
		item[0] = 'y';
		arena_rewind(&a, mark);
	}
	assert_int_equal(a.used_bytes, 10);
	assert_int_equal(kept[9], 'x');
}

static void arena_rewind_works_on_an_arena_that_was_empty(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	struct arena_mark mark = arena_mark(&a);

	(void)ARENA_NEW_ARRAY(&a, uint64_t, 100000); /* only its accounting matters here */
	arena_rewind(&a, mark);
	assert_int_equal(a.used_bytes, 0);
}

static void arena_grow_keeps_content_and_zeroes_the_rest(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	size_t n = 0;
	char *p = NULL;

	for (size_t wanted = 1; wanted < 5000; wanted += wanted / 3 + 1) {
		p = arena_grow(&a, p, n, wanted);
		assert_true(is_zero(p + n, wanted - n));
		if (n > 0)
			assert_int_equal(p[n - 1], 'x');
		p[wanted - 1] = 'x';
		n = wanted;
		if (wanted % 2)
			(void)arena_alloc(&a, 1); /* in the way: the next step has to move */
	}
}

static void arena_limit_is_asked_first_or_aborts(void **state)
{
	(void)state;
	AUTO_ARENA(a, 100);

	(void)arena_alloc(&a, 60);
	assert_true(arena_has_room(&a, 40));
	assert_false(arena_has_room(&a, 41));
	assert_false(arena_has_room(&a, SIZE_MAX));
	assert_aborts((void)arena_alloc(&a, 41));
	assert_aborts((void)arena_alloc_array(&a, SIZE_MAX / 2, 3));
}

#ifdef HAVE_ASAN
static void arena_poisons_what_nobody_owns(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	struct arena_mark mark = arena_mark(&a);
	char *p = arena_alloc(&a, 20);

	assert_false(__asan_address_is_poisoned(p + 19));
	assert_true(__asan_address_is_poisoned(p + 32)); /* red zone */
	arena_rewind(&a, mark);
	assert_true(__asan_address_is_poisoned(p)); /* given back */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_memory_is_zero_and_aligned),
		cmocka_unit_test(arena_rewind_gives_back_everything_after_the_mark),
		cmocka_unit_test(arena_rewind_works_on_an_arena_that_was_empty),
		cmocka_unit_test(arena_grow_keeps_content_and_zeroes_the_rest),
		cmocka_unit_test(arena_limit_is_asked_first_or_aborts),
#ifdef HAVE_ASAN
		cmocka_unit_test(arena_poisons_what_nobody_owns),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
