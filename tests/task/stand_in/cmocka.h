/* SPDX-License-Identifier: Apache-2.0 */
/* What our unit tests use of cmocka, for targets that have no cmocka package (aarch64 under qemu).
 * A failed assertion ends the program. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                                        \
	{                                                                                          \
#f, f                                                                              \
	}
#define print_error(...) (void)fprintf(stderr, __VA_ARGS__)

static inline void stand_in_fail(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
	exit(1);
}

#define _fail(file, line) stand_in_fail("failed", file, line)
#define stand_in_check(c, what)                                                                    \
	do {                                                                                       \
		if (!(c))                                                                          \
			stand_in_fail(what, __FILE__, __LINE__);                                   \
	} while (0)
#define assert_true(c)                   stand_in_check(c, #c)
#define assert_false(c)                  stand_in_check(!(c), "not: " #c)
#define assert_null(p)                   stand_in_check((p) == NULL, #p " is not NULL")
#define assert_non_null(p)               stand_in_check((p) != NULL, #p " is NULL")
#define assert_int_equal(a, b)           stand_in_check((a) == (b), #a " != " #b)
#define assert_in_range(v, low, high)    stand_in_check((v) >= (low) && (v) <= (high), #v)
#define assert_string_equal(a, b)        stand_in_check(strcmp(a, b) == 0, #a " != " #b)
#define assert_memory_equal(a, b, n)     stand_in_check(memcmp(a, b, n) == 0, #a " != " #b)
#define assert_memory_not_equal(a, b, n) stand_in_check(memcmp(a, b, n) != 0, #a " == " #b)

static inline int stand_in_run(const struct CMUnitTest *tests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		void *state = NULL;
		tests[i].run(&state);
		printf("ok %s\n", tests[i].name);
	}
	return 0;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
	stand_in_run(tests, sizeof(tests) / sizeof((tests)[0]))
