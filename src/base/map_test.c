/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdio.h>

#include "base/random.h"
#include "base/test.h"

struct user {
	struct str name; /* the map's key lives in its value */
	int logins;
};

static void map_finds_what_was_set(void **state)
{
	(void)state;
	struct map m;
	struct user anna = { STR("anna"), 1 }, anna2 = { STR("anna"), 2 }, nobody = { STR(""), 3 };

	map_init(&m);
	assert_null(map_get(&m, STR("anna")));
	assert_null(map_set(&m, anna.name, &anna));
	assert_null(map_set(&m, nobody.name, &nobody));
	assert_ptr_equal(map_get(&m, STR("anna")), &anna);
	assert_ptr_equal(map_get(&m, STR_NONE), &nobody);
	assert_ptr_equal(map_set(&m, anna2.name, &anna2), &anna);
	assert_int_equal(m.count, 2);
	assert_ptr_equal(map_remove(&m, STR("anna")), &anna2);
	assert_null(map_remove(&m, STR("anna")));
	map_done(&m);
}

#define KEY_COUNT 300

/* Random sets and removals agree with an array that is the truth; a walk meets each entry once. */
static void map_agrees_with_an_array(void **state)
{
	(void)state;
	struct map m;
	struct map_u64 by_number;
	char keys[KEY_COUNT][8];
	int values[KEY_COUNT];
	bool is_in[KEY_COUNT] = { false };

	map_init(&m);
	map_u64_init(&by_number);
	random_set_seed(5);
	for (size_t i = 0; i < KEY_COUNT; i++)
		(void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
	for (int step = 0; step < 50000; step++) {
		size_t i = random_below(KEY_COUNT);
		struct str key = str_from(keys[i]);
		void *expected = is_in[i] ? &values[i] : NULL;
		assert_ptr_equal(map_get(&m, key), expected);
		assert_ptr_equal(map_u64_get(&by_number, i), expected);
		/* Long phases of growing and of shrinking. */
		bool is_growing = random_below(10) < (step / 5000 % 2 ? 3 : 7);
		if (is_growing) {
			assert_ptr_equal(map_set(&m, key, &values[i]), expected);
			assert_ptr_equal(map_u64_set(&by_number, i, &values[i]), expected);
		} else {
			assert_ptr_equal(map_remove(&m, key), expected);
			assert_ptr_equal(map_u64_remove(&by_number, i), expected);
		}
		is_in[i] = is_growing;
	}
	size_t at = 0, met = 0;
	struct map_entry entry;
	while (map_next(&m, &at, &entry)) {
		assert_true(is_in[(int *)entry.value - values]);
		met++;
	}
	assert_int_equal(met, m.count);
	struct map_u64_entry numbered;
	at = met = 0;
	while (map_u64_next(&by_number, &at, &numbered)) {
		assert_true(is_in[numbered.key]);
		met++;
	}
	assert_int_equal(met, by_number.count);
	assert_int_equal(m.count, by_number.count);
	map_done(&m);
	map_u64_done(&by_number);
}

static void map_of_numbers_takes_all_numbers(void **state)
{
	(void)state;
	struct map_u64 m;
	int a, b;

	map_u64_init(&m);
	assert_null(map_u64_set(&m, 0, &a));
	assert_null(map_u64_set(&m, UINT64_MAX, &b));
	assert_ptr_equal(map_u64_get(&m, 0), &a);
	assert_ptr_equal(map_u64_get(&m, UINT64_MAX), &b);
	assert_null(map_u64_get(&m, 1));
	map_u64_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_finds_what_was_set),
		cmocka_unit_test(map_agrees_with_an_array),
		cmocka_unit_test(map_of_numbers_takes_all_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
