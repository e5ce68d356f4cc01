/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/test.h"

static void mem_is_zero_and_never_null(void **state)
{
	(void)state;
	uint64_t *numbers = mem_new_array(100, sizeof(*numbers));
	void *nothing = mem_new(0);

	assert_int_equal(numbers[99], 0);
	assert_non_null(nothing);
	numbers = mem_resize(numbers, sizeof(*numbers));
	assert_int_equal(numbers[0], 0);
	mem_free(numbers);
	mem_free(nothing);
	mem_free(NULL);
	assert_aborts((void)mem_new_array(SIZE_MAX / 2, 3));
}

static void mem_equal_looks_at_every_byte(void **state)
{
	(void)state;
	assert_true(mem_equal_const_time("secret", "secret", 6));
	assert_false(mem_equal_const_time("secret", "secreT", 6));
	assert_false(mem_equal_const_time("secret", "Secret", 6));
	assert_true(mem_equal_const_time("a", "b", 0));
}

static void mem_wipe_leaves_zeros(void **state)
{
	(void)state;
	char password[] = "geheim";

	mem_wipe(password, sizeof(password));
	for (size_t i = 0; i < sizeof(password); i++)
		assert_int_equal(password[i], 0);
}

static void overflow_is_noticed(void **state)
{
	(void)state;
	size_t sum;
	uint32_t product;

	assert_false(add_overflows((size_t)1, (size_t)2, &sum));
	assert_int_equal(sum, 3);
	assert_true(add_overflows(SIZE_MAX, (size_t)1, &sum));
	assert_true(mul_overflows(70000U, 70000U, &product));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mem_is_zero_and_never_null),
		cmocka_unit_test(mem_equal_looks_at_every_byte),
		cmocka_unit_test(mem_wipe_leaves_zeros),
		cmocka_unit_test(overflow_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
