/* SPDX-License-Identifier: Apache-2.0 */
#include "message/header.h"

#include "message/test_kit.h"

static void fields_are_cut_one_by_one(void **state)
{
	(void)state;
	struct str rest = STR("A: 1\r\nB : two\r\n\tfold \nno colon\nE:\n\nbody\n");
	struct message_field f;

	assert_true(message_field_next(&rest, &f));
	assert_str(f.name, STR("A"));
	assert_str(f.value, STR("1"));
	assert_str(f.whole, STR("A: 1\r\n"));
	assert_true(message_field_next(&rest, &f));
	assert_str(f.name, STR("B"));
	assert_str(f.value, STR("two\r\n\tfold"));
	assert_true(message_field_next(&rest, &f));
	assert_str(f.name, STR(""));
	assert_str(f.value, STR("no colon"));
	assert_true(message_field_next(&rest, &f));
	assert_str(f.name, STR("E"));
	assert_non_null(f.value.p);
	assert_int_equal(f.value.n, 0);
	assert_false(message_field_next(&rest, &f));
	assert_str(rest, STR("body\n"));
}

static void nul_and_high_bytes_stay(void **state)
{
	(void)state;
	struct str rest = STR("S: a\0b\xff");
	struct message_field f;

	assert_true(message_field_next(&rest, &f));
	assert_str(f.value, STR("a\0b\xff"));
	assert_false(message_field_next(&rest, &f));
}

static void too_long_names_are_passed_over(void **state)
{
	(void)state;
	struct message_field f;
	AUTO_BUF(header, 0);

	for (int i = 0; i < MESSAGE_FIELD_NAME_MAX + 1; i++)
		buf_put_byte(&header, 'x');
	buf_put(&header, STR(": 1\nNext: 2\n"));
	struct str rest = buf_str(&header);
	assert_true(message_field_next(&rest, &f));
	assert_str(f.name, STR("Next"));
}

static void unfolding_removes_line_ends_alone(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);

	assert_str(message_field_unfold(&a, STR("a\r\n b\n\tc")), STR("a b\tc"));
	struct str plain = STR("plain");
	assert_ptr_equal(message_field_unfold(&a, plain).p, plain.p);
}

static void find_takes_the_first(void **state)
{
	(void)state;
	struct message_field f;
	struct str header = STR("To: a\nSUBJECT: 1\nSubject: 2\n\nSubject: 3\n");

	assert_true(message_field_find(header, STR("subject"), &f));
	assert_str(f.value, STR("1"));
	assert_false(message_field_find(header, STR("Cc"), &f));
}

static void subset_keeps_order_and_normalises_lines(void **state)
{
	(void)state;
	struct str header = STR("From: a\nTo: b,\n c\r\nX: 1\nto: d\n\n");
	struct str names[] = { STR("TO"), STR("from") };
	AUTO_ARENA(a, 0);
	AUTO_BUF(out, 0);

	message_header_subset(&out, header, names, 2, false, &a);
	assert_str(buf_str(&out), STR("From: a\r\nTo: b,\r\n c\r\nto: d\r\n"));
	buf_clear(&out);
	message_header_subset(&out, header, names, 2, true, &a);
	assert_str(buf_str(&out), STR("X: 1\r\n"));
	buf_clear(&out);
	message_header_subset(&out, STR("A: unfinished"), NULL, 0, true, &a);
	assert_str(buf_str(&out), STR("A: unfinished\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_cut_one_by_one),
		cmocka_unit_test(nul_and_high_bytes_stay),
		cmocka_unit_test(too_long_names_are_passed_over),
		cmocka_unit_test(unfolding_removes_line_ends_alone),
		cmocka_unit_test(find_takes_the_first),
		cmocka_unit_test(subset_keeps_order_and_normalises_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
