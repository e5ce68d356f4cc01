/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/test.h"

static void clock_virtual_time_moves_only_when_told(void **state)
{
	(void)state;
	clock_set_virtual(1000, 5 * US_PER_SEC);
	assert_int_equal(now_us(), 1000);
	clock_advance(2 * US_PER_MS);
	assert_int_equal(now_us(), 3000);
	assert_int_equal(now_wall_us(), 5 * US_PER_SEC + 2000);
	clock_step_wall(-US_PER_SEC); /* an operator sets the clock back */
	assert_int_equal(now_us(), 3000);
	assert_int_equal(now_wall_us(), 4 * US_PER_SEC + 2000);
	clock_set_real();
}

static void clock_real_time_is_the_kernels(void **state)
{
	(void)state;
	int64_t before = now_us();

	assert_true(now_us() >= before);
	assert_true(now_wall_us() > INT64_C(1700000000) * US_PER_SEC); /* after 2023 */
	assert_aborts(clock_advance(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_virtual_time_moves_only_when_told),
		cmocka_unit_test(clock_real_time_is_the_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
