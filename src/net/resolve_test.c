/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: names and addresses of hosts; no server of names is asked. */
#include "net/resolve.h"
#include "task/test.h"

#define PORT 4711

static void resolving(void *arg)
{
	(void)arg;
	struct address found[2];
	size_t count = 0;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, now_us() + 10 * US_PER_SEC);
	assert_int_equal(resolve_host(&op, STR("::1"), PORT, found, 2, &count), ERR_NONE);
	assert_int_equal(count, 1);
	assert_true(address_is_loopback(&found[0]) && found[0].family == AF_INET6);
	assert_int_equal(found[0].port, PORT);
	assert_int_equal(resolve_host(&op, STR("localhost"), PORT, found, 1, &count), ERR_NONE);
	assert_int_equal(count, 1);
	assert_true(address_is_loopback(&found[0]) && found[0].port == PORT);
	assert_int_equal(
		resolve_host(&op, STR("not a name"), PORT, found, 2, &count), ERR_UNAVAILABLE);
}

static void hosts_become_addresses(void **state)
{
	(void)state;
	test_in_task(resolving, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hosts_become_addresses) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
