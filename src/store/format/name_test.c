/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/name.h"

#include "base/random.h"
#include "base/test.h"

#define NOW (INT64_C(1700000000) * US_PER_SEC)

static void names_grow_when_the_clock_stands_or_steps_back(void **state)
{
	(void)state;
	struct name_clock clock = { .writer = 7 };
	struct catalog_name last = name_mint(&clock, NOW);
	for (int i = 0; i < 200000; i++) {
		struct catalog_name next = name_mint(&clock, NOW - i * US_PER_MS);
		assert_true(name_cmp(next, last) > 0);
		last = next;
	}
	/* The counter overflowed three times: that many milliseconds were taken. */
	assert_int_equal(name_ms(last), NOW / US_PER_MS + 3);
	assert_int_equal(name_writer(last), 7);
}

static void a_new_millisecond_starts_the_counter_anew(void **state)
{
	(void)state;
	struct name_clock clock = { 0 };
	(void)name_mint(&clock, NOW);
	(void)name_mint(&clock, NOW);
	struct catalog_name n = name_mint(&clock, NOW + US_PER_MS);
	assert_int_equal(name_stamp(n) & 0xffff, 0);
}

static void an_observed_name_moves_the_clock(void **state)
{
	(void)state;
	struct name_clock here = { .writer = 1 }, before = { .writer = 2 };
	struct name_clock elsewhere = { .writer = UINT32_C(1) << 20 };
	struct catalog_name ahead = name_mint(&before, NOW + 86400 * US_PER_SEC);
	name_observe(&here, ahead, NOW);
	assert_true(name_cmp(name_mint(&here, NOW), ahead) > 0);
	struct catalog_name damaged = name_mint(&before, NOW + NAME_AHEAD_US + 2 * US_PER_MS);
	name_observe(&here, damaged, NOW);
	assert_true(name_cmp(name_mint(&here, NOW), damaged) < 0);

	/* Of another host it does so for ten seconds. */
	struct name_clock slow = { .writer = 3 };
	struct catalog_name foreign = name_mint(&elsewhere, NOW + 9 * US_PER_SEC);
	name_observe(&slow, foreign, NOW);
	assert_true(name_cmp(name_mint(&slow, NOW), foreign) > 0);
	foreign = name_mint(&elsewhere, NOW + 86400 * US_PER_SEC);
	name_observe(&slow, foreign, NOW);
	assert_int_equal(name_ms(name_mint(&slow, NOW)), (NOW + NAME_FOREIGN_US) / US_PER_MS);
}

static void a_writer_says_its_host(void **state)
{
	(void)state;
	uint32_t a = name_writer_new(STR("a")), again = name_writer_new(STR("a"));
	assert_int_not_equal(a, again);
	assert_true(name_may_share_host(a, again));
	assert_false(name_may_share_host(a, name_writer_new(STR("b"))));
}

static void a_name_is_stale_after_sixty_seconds(void **state)
{
	(void)state;
	struct name_clock clock = { 0 };
	struct catalog_name n = name_mint(&clock, NOW);
	assert_false(name_is_stale(n, NOW + NAME_STALE_US));
	assert_true(name_is_stale(n, NOW + NAME_STALE_US + US_PER_MS));
}

static void modseqs_follow_the_wall_but_never_fall(void **state)
{
	(void)state;
	uint64_t a = modseq_next(0, NOW);
	assert_int_equal(a, (uint64_t)(NOW / US_PER_MS - MODSEQ_EPOCH_MS) << 12);
	assert_int_equal(modseq_next(a, NOW), a + 1);
	assert_int_equal(modseq_next(a, NOW - 3600 * US_PER_SEC), a + 1);
	assert_int_equal(modseq_next(0, 0), 1);
	assert_int_equal(modseq_restart(a, NOW), a + (UINT64_C(60000) << 12));
	int64_t in_2089 = INT64_C(3755289600) * US_PER_SEC;
	assert_true(modseq_next(0, in_2089) < UINT64_C(1) << 53);
}

static void the_smallest_name_of_a_time_is_before_all_others_of_it(void **state)
{
	(void)state;
	struct name_clock clock = { 0 };
	struct catalog_name n = name_mint(&clock, NOW);
	assert_true(name_cmp(name_at_ms(NOW / US_PER_MS), n) < 0);
	assert_true(name_cmp(name_at_ms(NOW / US_PER_MS + 1), n) > 0);
	assert_true(name_is_none(name_at_ms(-5)));
}

int main(void)
{
	random_set_seed(1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_grow_when_the_clock_stands_or_steps_back),
		cmocka_unit_test(a_new_millisecond_starts_the_counter_anew),
		cmocka_unit_test(an_observed_name_moves_the_clock),
		cmocka_unit_test(a_writer_says_its_host),
		cmocka_unit_test(a_name_is_stale_after_sixty_seconds),
		cmocka_unit_test(modseqs_follow_the_wall_but_never_fall),
		cmocka_unit_test(the_smallest_name_of_a_time_is_before_all_others_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
