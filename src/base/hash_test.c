/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/hash_private.h"
#include "base/random.h"
#include "base/test.h"

static void crc32c_known_answers(void **state)
{
	(void)state;
	char zeros[32] = { 0 };
	char ones[32];

	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(hash_crc32c(0, STR("123456789")), 0xe3069283);
	assert_int_equal(hash_crc32c(0, (struct str){ zeros, 32 }), 0x8a9136aa); /* RFC 3720 B.4 */
	assert_int_equal(hash_crc32c(0, (struct str){ ones, 32 }), 0x62a8ab43);
	assert_int_equal(hash_crc32c(0, STR_NONE), 0);
}

static void crc32c_is_the_same_in_hardware_in_a_table_and_in_parts(void **state)
{
	(void)state;
	char bytes[257];

	random_set_seed(4);
	random_bytes(bytes, sizeof(bytes));
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct str s = { bytes, n };
		uint32_t whole = hash_crc32c(0, s);
		size_t cut = random_below(n + 1);
		assert_int_equal(whole, hash_crc32c_table(0, s));
		uint32_t parts = hash_crc32c(0, str_slice(s, 0, cut));
		assert_int_equal(whole, hash_crc32c(parts, str_slice(s, cut, n)));
	}
}

static void stable_hash_never_changes(void **state)
{
	(void)state;
	assert_true(hash_stable(STR("")) == UINT64_C(0xcbf29ce484222325));
	assert_true(hash_stable(STR("a")) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(hash_stable(STR("foobar")) == UINT64_C(0x85944171f73967e8));
}

/* The first answers of a table that was made with an independent implementation (Rust's core). */
static void siphash13_known_answers(void **state)
{
	(void)state;
	static const uint64_t expected[] = { UINT64_C(0xabac0158050fc4dc),
		UINT64_C(0xc9f49bf37d57ca93), UINT64_C(0x82cb9b024dc7d44d),
		UINT64_C(0x8bf80ab8e7ddf7fb), UINT64_C(0xcf75576088d38328),
		UINT64_C(0xdef9d52f49533b67), UINT64_C(0xc50d2b50c59f22a7),
		UINT64_C(0xd3927d989bb11140) };
	char bytes[8];

	for (size_t n = 0; n < ARRAY_COUNT(expected); n++) {
		bytes[n] = (char)n;
		uint64_t got = hash_siphash13(UINT64_C(0x0706050403020100),
			UINT64_C(0x0f0e0d0c0b0a0908), (struct str){ bytes, n });
		assert_true(got == expected[n]);
	}
}

static void table_hashes_stay_the_same_within_a_process(void **state)
{
	(void)state;
	assert_true(hash_bytes(STR("INBOX")) == hash_bytes(STR("INBOX")));
	assert_true(hash_bytes(STR("INBOX")) != hash_bytes(STR("INBOy")));
	assert_true(hash_u64(1) == hash_u64(1));
	assert_true(hash_u64(1) != hash_u64(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_known_answers),
		cmocka_unit_test(crc32c_is_the_same_in_hardware_in_a_table_and_in_parts),
		cmocka_unit_test(stable_hash_never_changes),
		cmocka_unit_test(siphash13_known_answers),
		cmocka_unit_test(table_hashes_stay_the_same_within_a_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
