/* SPDX-License-Identifier: Apache-2.0 */
#include "base/number.h"

#include "base/random.h"
#include "base/test.h"

static void number_takes_digits_alone(void **state)
{
	(void)state;
	const struct str bad[] = { STR(""), STR("-1"), STR("+1"), STR(" 1"), STR("1 "), STR("0x1"),
		STR("1.0"), STR("18446744073709551616"), STR("99999999999999999999999") };
	uint64_t v = 7;
	uint32_t small = 7;

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_false(number_parse_u64(bad[i], &v));
	assert_int_equal(v, 7);
	assert_true(number_parse_u64(STR("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	assert_true(number_parse_u64(STR("007"), &v) && v == 7);
	assert_false(number_parse_u32(STR("4294967296"), &small));
	assert_true(number_parse_u32(STR("4294967295"), &small) && small == UINT32_MAX);
}

static void number_in_other_bases(void **state)
{
	(void)state;
	uint64_t v;
	uint32_t mode;

	assert_true(number_parse_octal(STR("0660"), &mode) && mode == 0660);
	assert_false(number_parse_octal(STR("0680"), &mode));
	assert_false(number_parse_octal(STR("77777777777"), &mode));
	assert_true(number_parse_hex_u64(STR("DeadBeef"), &v) && v == 0xdeadbeef);
	assert_true(number_parse_hex_u64(STR("ffffffffffffffff"), &v) && v == UINT64_MAX);
	assert_false(number_parse_hex_u64(STR("10000000000000000"), &v));
	assert_false(number_parse_hex_u64(STR("g"), &v));
}

static void number_cut_stops_at_the_first_other_byte(void **state)
{
	(void)state;
	struct str rest = STR("12:4294967296");
	uint32_t v = 0;

	assert_true(number_cut_u32(&rest, &v));
	assert_int_equal(v, 12);
	assert_str(rest, STR(":4294967296"));
	assert_false(number_cut_u32(&rest, &v));
	assert_true(str_skip(&rest, STR(":")));
	assert_false(number_cut_u32(&rest, &v)); /* does not fit: untouched */
	assert_str(rest, STR("4294967296"));
	assert_int_equal(v, 12);
}

/* A random number, small ones as likely as big ones. */
static uint64_t any_number(void)
{
	return random_u64() >> random_below(64);
}

static void number_text_round_trip(void **state)
{
	(void)state;
	random_set_seed(6);
	for (int i = 0; i < 2000; i++) {
		AUTO_BUF(b, 0);
		uint64_t v = any_number();
		uint64_t again;
		buf_put_u64_dec(&b, v);
		assert_true(number_parse_u64(buf_str(&b), &again) && again == v);
		buf_clear(&b);
		buf_putf(&b, "%" PRIx64, v);
		assert_true(number_parse_hex_u64(buf_str(&b), &again) && again == v);
	}
}

static void varint_round_trip(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	uint64_t numbers[500];

	random_set_seed(7);
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		numbers[i] = i == 0 ? UINT64_MAX : i == 1 ? 0 : any_number();
		number_put_varint(&b, numbers[i]);
	}
	struct str rest = buf_str(&b);
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		uint64_t v;
		assert_true(number_cut_varint(&rest, &v));
		assert_true(v == numbers[i]);
	}
	assert_int_equal(rest.n, 0);
}

static void varint_refuses_bad_forms(void **state)
{
	(void)state;
	const struct str bad[] = { STR(""), STR("\x80"), STR("\x80\x00"),
		STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
		STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00") };
	uint64_t v = 0;

	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct str rest = bad[i];
		assert_false(number_cut_varint(&rest, &v));
		assert_int_equal(rest.n, bad[i].n);
	}
}

static void number_bytes_have_a_fixed_order(void **state)
{
	(void)state;
	uint8_t b[9];

	put_le32(b + 1, 0x01020304); /* unaligned on purpose */
	assert_memory_equal(b + 1, "\x04\x03\x02\x01", 4);
	assert_int_equal(get_le32(b + 1), 0x01020304);
	put_le16(b, 0xfffe);
	assert_int_equal(get_le16(b), 0xfffe);
	put_le64(b, UINT64_C(0xf0f1f2f3f4f5f6f7));
	assert_true(get_le64(b) == UINT64_C(0xf0f1f2f3f4f5f6f7));
	put_be64(b, UINT64_C(0x0102030405060708));
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
	assert_true(get_be64(b) == UINT64_C(0x0102030405060708));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_takes_digits_alone),
		cmocka_unit_test(number_in_other_bases),
		cmocka_unit_test(number_cut_stops_at_the_first_other_byte),
		cmocka_unit_test(number_text_round_trip),
		cmocka_unit_test(varint_round_trip),
		cmocka_unit_test(varint_refuses_bad_forms),
		cmocka_unit_test(number_bytes_have_a_fixed_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
