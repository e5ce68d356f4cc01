/* SPDX-License-Identifier: Apache-2.0 */
#include "base/op.h"

#include <errno.h>

#include "base/test.h"

static void op_fail_records_class_text_and_place(void **state)
{
	(void)state;
	struct op op;

	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_err(op.failure.class, ERR_NONE);
	assert_err(op_fail(&op, ERR_LIMIT, "over quota: %d of %d", 5, 4), ERR_LIMIT);
	assert_string_equal(op.failure.text, "over quota: 5 of 4");
	assert_err(op.failure.class, ERR_LIMIT);
	assert_non_null(strstr(op.failure.file, "op_test.c"));
	assert_true(op.failure.line > 0);
}

static void op_fail_errno_maps_the_class(void **state)
{
	(void)state;
	struct op op;

	op_init(&op, NULL, NULL, TIME_NEVER);
	errno = ENOENT;
	assert_err(op_fail_errno(&op, "open %s", "/x"), ERR_NOT_FOUND);
	assert_string_equal(op.failure.text, "open /x: No such file or directory");
	assert_int_equal(errno, ENOENT);
	errno = EIO;
	assert_err(op_fail_errno(&op, "read"), ERR_UNAVAILABLE);
	errno = EDQUOT;
	assert_err(op_fail_errno(&op, "write"), ERR_LIMIT);
}

static enum err inner(struct op *op, bool is_good)
{
	return is_good ? ERR_NONE : op_fail(op, ERR_CORRUPT, "bad magic");
}

static enum err outer(struct op *op, bool is_good)
{
	TRY(op_within(op, inner(op, is_good), "loading %s", "index"));
	return ERR_NONE;
}

static void op_within_adds_context(void **state)
{
	(void)state;
	struct op op;

	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_ok(outer(&op, true));
	assert_string_equal(op.failure.text, "");
	assert_err(outer(&op, false), ERR_CORRUPT);
	assert_string_equal(op.failure.text, "loading index: bad magic");
	op_forgive(&op);
	assert_err(
		op_within(&op, ERR_INVALID, "parsing"), ERR_INVALID); /* came from a pure parser */
	assert_string_equal(op.failure.text, "parsing: invalid");
	assert_err(op.failure.class, ERR_INVALID);
}

static void op_text_may_contain_itself_and_is_cut(void **state)
{
	(void)state;
	struct op op;
	char expected[] = "123456789012345678901234567890";

	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_err(op_fail(&op, ERR_INVALID, "%s", expected), ERR_INVALID);
	assert_err(op_fail(&op, ERR_DENIED, "again: %s", op.failure.text), ERR_DENIED);
	assert_string_equal(op.failure.text, "again: 123456789012345678901234567890");
	for (int i = 0; i < 100; i++)
		assert_err(op_within(&op, ERR_DENIED, "%.100s", op.failure.text), ERR_DENIED);
	assert_int_equal(strlen(op.failure.text), OP_FAILURE_TEXT_MAX - 1);
	errno = EIO;
	assert_err(op_fail_errno(&op, "%s%s", op.failure.text, op.failure.text), ERR_UNAVAILABLE);
	assert_int_equal(strlen(op.failure.text), OP_FAILURE_TEXT_MAX - 1);
}

static void op_client_text_belongs_to_the_last_failure(void **state)
{
	(void)state;
	struct op op;

	op_init(&op, NULL, NULL, TIME_NEVER);
	assert_err(op_fail(&op, ERR_LIMIT, "quota root user: 10 > 9"), ERR_LIMIT);
	op_tell_client(&op, "Mailbox is %s", "full");
	assert_string_equal(op.failure.client_text, "Mailbox is full");
	assert_err(op_fail(&op, ERR_UNAVAILABLE, "disk died"), ERR_UNAVAILABLE);
	assert_string_equal(op.failure.client_text, "");
}

static void err_names_are_all_different(void **state)
{
	(void)state;
	for (int a = 0; a < ERR_COUNT; a++)
		for (int b = 0; b < a; b++)
			assert_string_not_equal(err_name((enum err)a), err_name((enum err)b));
	assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(op_fail_records_class_text_and_place),
		cmocka_unit_test(op_fail_errno_maps_the_class),
		cmocka_unit_test(op_within_adds_context),
		cmocka_unit_test(op_text_may_contain_itself_and_is_cut),
		cmocka_unit_test(op_client_text_belongs_to_the_last_failure),
		cmocka_unit_test(err_names_are_all_different),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
