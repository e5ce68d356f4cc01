/* SPDX-License-Identifier: Apache-2.0 */
#include "base/range_set.h"

#include "base/random.h"
#include "base/test.h"

static void check_print(const struct range_set *s, struct str expected)
{
	AUTO_BUF(b, 0);

	range_set_print(s, &b);
	assert_str(buf_str(&b), expected);
}

static void range_set_melts_neighbours(void **state)
{
	(void)state;
	struct range_set s;

	range_set_init(&s);
	check_print(&s, STR(""));
	range_set_add(&s, 1, 3);
	range_set_add(&s, 7, 7);
	range_set_add(&s, 9, 12);
	check_print(&s, STR("1:3,7,9:12"));
	range_set_add(&s, 8, 8);
	check_print(&s, STR("1:3,7:12"));
	range_set_remove(&s, 2, 8);
	check_print(&s, STR("1,9:12"));
	range_set_remove(&s, 10, 10);
	check_print(&s, STR("1,9,11:12"));
	assert_int_equal(range_set_size(&s), 4);
	range_set_done(&s);
}

static void range_set_knows_the_ends_of_the_numbers(void **state)
{
	(void)state;
	struct range_set s;
	uint32_t v = 1;
	struct range_set_iter it = { 0 };

	range_set_init(&s);
	range_set_add(&s, UINT32_MAX, UINT32_MAX);
	range_set_add(&s, 0, 0);
	assert_true(range_set_next(&s, &it, &v) && v == 0);
	assert_true(range_set_next(&s, &it, &v) && v == UINT32_MAX);
	assert_false(range_set_next(&s, &it, &v));
	range_set_add(&s, 0, UINT32_MAX);
	assert_true(range_set_size(&s) == UINT64_C(1) << 32);
	assert_int_equal(s.count, 1);
	range_set_remove(&s, 0, UINT32_MAX);
	assert_true(range_set_is_empty(&s));
	range_set_done(&s);
}

#define UNIVERSE 200

/* The slow truth: one boolean a number. */
struct model {
	bool has[UNIVERSE];
};

static void check_against_model(const struct range_set *s, const struct model *m)
{
	struct range_set_iter it = { 0 };
	uint32_t got;
	uint64_t size = 0;

	for (uint32_t v = 0; v < UNIVERSE; v++) {
		assert_int_equal(range_set_has(s, v), m->has[v]);
		if (!m->has[v])
			continue;
		assert_true(range_set_next(s, &it, &got));
		assert_int_equal(got, v);
		size++;
	}
	assert_false(range_set_next(s, &it, &got));
	assert_int_equal(range_set_size(s), size);
	for (size_t i = 0; i + 1 < s->count; i++) /* disjoint, sorted, not adjacent */
		assert_true((uint64_t)s->ranges[i].last + 1 < s->ranges[i + 1].first);
}

static void change_randomly(struct range_set *s, struct model *m)
{
	uint32_t first = (uint32_t)random_below(UNIVERSE);
	uint32_t last = first + (uint32_t)random_below(MIN(UNIVERSE - first, 20));
	bool is_add = random_below(2);

	if (is_add)
		range_set_add(s, first, last);
	else
		range_set_remove(s, first, last);
	for (uint32_t v = first; v <= last; v++)
		m->has[v] = is_add;
}

static void range_set_agrees_with_a_model(void **state)
{
	(void)state;
	struct range_set a, b;
	struct model ma = { 0 }, mb = { 0 };

	range_set_init(&a);
	range_set_init(&b);
	random_set_seed(10);
	for (int step = 0; step < 3000; step++) {
		change_randomly(&a, &ma);
		change_randomly(&b, &mb);
		if (step % 50 == 0) {
			bool is_union = random_below(2);
			if (is_union)
				range_set_add_set(&a, &b);
			else
				range_set_intersect(&a, &b);
			for (int v = 0; v < UNIVERSE; v++)
				ma.has[v] =
					is_union ? ma.has[v] || mb.has[v] : ma.has[v] && mb.has[v];
		}
		check_against_model(&a, &ma);
	}
	range_set_clear(&b);
	range_set_intersect(&a, &b);
	assert_true(range_set_is_empty(&a));
	range_set_done(&a);
	range_set_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_set_melts_neighbours),
		cmocka_unit_test(range_set_knows_the_ends_of_the_numbers),
		cmocka_unit_test(range_set_agrees_with_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
