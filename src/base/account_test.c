/* SPDX-License-Identifier: Apache-2.0 */
#include "base/account.h"

#include "base/mem.h"
#include "base/test.h"

#define MIB ((size_t)1 << 20)

static void account_counts_the_heap(void **state)
{
	(void)state;
	uint64_t before = account_used();
	char *p = mem_new(3 * MIB);
	assert_in_range(account_used() - before, 3 * MIB, 3 * MIB + 65536);
	p = mem_resize(p, 5 * MIB);
	assert_in_range(account_used() - before, 5 * MIB, 5 * MIB + 65536);
	mem_free(p);
	assert_in_range(account_used(), 0, before);
}

static void account_counts_small_blocks_in_lumps(void **state)
{
	(void)state;
	void *blocks[1000];
	uint64_t before = account_used();
	for (size_t i = 0; i < ARRAY_COUNT(blocks); i++)
		blocks[i] = mem_new(1000);
	assert_in_range(account_used() - before, 1000000, 1200000);
	for (size_t i = 0; i < ARRAY_COUNT(blocks); i++)
		mem_free(blocks[i]);
	assert_in_range(account_used(), 0, before);
}

static void relieve(void *arg)
{
	account_give(*(size_t *)arg);
}

static void account_refuses_when_tight(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	size_t held = 90 * MIB;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_true(account_has_room(UINT64_MAX)); /* no limit */
	account_set_limit(100 * MIB);
	account_on_tight(relieve, &held);
	assert_ok(account_admit(&op, 50 * MIB));
	assert_err(account_admit(&op, 90 * MIB), ERR_UNAVAILABLE);
	assert_true(op.failure.client_text[0] != '\0');
	assert_false(account_relieve());
	account_take(held);
	assert_err(account_admit(&op, 0), ERR_UNAVAILABLE);
	assert_true(account_relieve());
	assert_ok(account_admit(&op, 50 * MIB));
	account_on_tight(NULL, NULL);
	account_set_limit(0);
}

static void account_gives_up_far_above_the_limit(void **state)
{
	(void)state;
	account_set_limit(100 * MIB);
	account_take(120 * MIB); /* a quarter above is not reached */
	assert_aborts(account_take(10 * MIB));
	account_give(120 * MIB);
	account_set_limit(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(account_counts_the_heap),
		cmocka_unit_test(account_counts_small_blocks_in_lumps),
		cmocka_unit_test(account_refuses_when_tight),
		cmocka_unit_test(account_gives_up_far_above_the_limit),
	};
	return cmocka_run_group_tests_name("base/account", tests, NULL, NULL);
}
