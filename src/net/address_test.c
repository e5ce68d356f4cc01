/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: addresses and networks as text and as sockaddr. */
#include "base/test.h"
#include "net/address.h"

#include <netinet/in.h>

static void assert_round_trip(const char *text, bool with_port, const char *expected)
{
	struct address a;
	AUTO_BUF(out, 0);
	assert_true(address_parse(str_from(text), &a));
	address_put(&out, &a, with_port);
	assert_str(buf_str(&out), str_from(expected));
}

static void addresses_read_and_print(void **state)
{
	(void)state;
	assert_round_trip("127.0.0.1", false, "127.0.0.1");
	assert_round_trip("10.0.0.1:143", true, "10.0.0.1:143");
	assert_round_trip("10.0.0.1:143", false, "10.0.0.1");
	assert_round_trip("::1", false, "::1");
	assert_round_trip("[::1]", true, "[::1]:0");
	assert_round_trip("[2001:db8::0:1]:65535", true, "[2001:db8::1]:65535");
	assert_round_trip("::ffff:192.0.2.1", false, "192.0.2.1");
}

static void nonsense_is_no_address(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ":", "1.2.3", "1.2.3.4:", "1.2.3.4:65536",
		"1.2.3.4:-1", "1.2.3.4:1:2", "[::1", "[::1]x", "[::1]:", "[1.2.3.4]:1", "localhost",
		"::1:99999", "1.2.3.4 ", "01.2.3.4", "fe80::1%eth0",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000" };
	struct address a;
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_false(address_parse(str_from(bad[i]), &a));
	assert_false(address_parse((struct str){ "1.2.3.4\0", 8 }, &a));
	assert_false(address_parse(STR_NONE, &a));
}

static bool is_in(const char *net, const char *ip)
{
	struct network n;
	struct address a;
	assert_true(network_parse(str_from(net), &n));
	assert_true(address_parse(str_from(ip), &a));
	return network_has(&n, &a);
}

static void networks_contain_by_prefix(void **state)
{
	(void)state;
	assert_true(is_in("10.0.0.0/8", "10.255.1.2"));
	assert_false(is_in("10.0.0.0/8", "11.0.0.0"));
	assert_true(is_in("192.0.2.128/25", "192.0.2.200"));
	assert_false(is_in("192.0.2.128/25", "192.0.2.127"));
	assert_true(is_in("192.0.2.1", "192.0.2.1"));
	assert_false(is_in("192.0.2.1", "192.0.2.2"));
	assert_true(is_in("0.0.0.0/0", "8.8.8.8"));
	assert_false(is_in("0.0.0.0/0", "::1"));
	assert_true(is_in("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(is_in("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(is_in("10.0.0.0/8", "::ffff:10.1.1.1"));
	struct network n;
	assert_false(network_parse(STR("10.0.0.0/33"), &n));
	assert_false(network_parse(STR("10.0.0.0/"), &n));
	assert_false(network_parse(STR("::/129"), &n));
	assert_false(network_parse(STR("::ffff:10.0.0.0/104"), &n));
	assert_false(network_parse(STR("10.0.0.1:25/8"), &n));
}

static void loopback_is_known(void **state)
{
	(void)state;
	struct address a, b;
	assert_true(address_parse(STR("127.3.2.1"), &a) && address_is_loopback(&a));
	assert_true(address_parse(STR("[::1]:5"), &a) && address_is_loopback(&a));
	assert_true(address_parse(STR("::1"), &b) && address_equal_ip(&a, &b));
	assert_true(address_parse(STR("192.0.2.1"), &a) && !address_is_loopback(&a));
	assert_false(address_equal_ip(&a, &b));
}

static void sockaddr_there_and_back(void **state)
{
	(void)state;
	static const char *const texts[] = { "192.0.2.7:25", "[2001:db8::7]:993" };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct address a, b;
		struct sockaddr_storage sa;
		assert_true(address_parse(str_from(texts[i]), &a));
		socklen_t len = address_to_sockaddr(&a, &sa);
		address_from_sockaddr((struct sockaddr *)&sa, len, &b);
		assert_memory_equal(&a, &b, sizeof a);
	}
	struct address none;
	struct sockaddr unix_sa = { .sa_family = AF_UNIX };
	address_from_sockaddr(&unix_sa, sizeof unix_sa, &none);
	assert_int_equal(none.family, 0);
	struct sockaddr_storage sa;
	assert_int_equal(address_to_sockaddr(&none, &sa), 0);
	AUTO_BUF(out, 0);
	address_put(&out, &none, true);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_read_and_print),
		cmocka_unit_test(nonsense_is_no_address),
		cmocka_unit_test(networks_contain_by_prefix),
		cmocka_unit_test(loopback_is_known),
		cmocka_unit_test(sockaddr_there_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
