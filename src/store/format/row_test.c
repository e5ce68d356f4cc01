/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/row.h"

#include "base/codec.h"
#include "base/test.h"

static struct row_id id(uint8_t fill)
{
	struct row_id r;
	memset(r.bytes, fill, sizeof(r.bytes));
	return r;
}

static struct row_mark mark(uint8_t fill, uint32_t uid)
{
	struct row_mark m = { .uid = uid, .bucket = 3, .oid = id(0x0d), .modseq = 77, .origin = 5 };
	memset(m.name.bytes, fill, sizeof(m.name.bytes));
	return m;
}

static void assert_golden(const struct buf *value, const char *hex)
{
	AUTO_BUF(text, 0);
	hex_encode(&text, buf_str(value));
	assert_str(buf_str(&text), str_from(hex));
}

/* Every shorter value is no row, and a longer one neither. */
static void assert_exact(const struct buf *value, bool is_op)
{
	struct row_append a;
	struct row_op_value v;
	for (size_t n = 0; n < value->n; n++) {
		struct str cut = { value->p, n };
		enum err e = is_op ? row_op_decode(cut, &v) : row_append_decode(cut, &a);
		/* Lists of groups and renames run to the end: whole entries may be missing. So may the summary. */
		if (is_op && e == ERR_NONE)
			assert_true(v.op == ROW_FLAGS || v.op == ROW_TREE_RENAME);
		else if (e == ERR_NONE)
			assert_int_equal(a.summary.n, 0);
		else
			assert_err(e, ERR_CORRUPT);
	}
	AUTO_BUF(longer, 0);
	buf_put(&longer, buf_str(value));
	buf_put_byte(&longer, 0);
	assert_err(is_op ? row_op_decode(buf_str(&longer), &v)
			 : row_append_decode(buf_str(&longer), &a),
		ERR_CORRUPT);
}

static void an_append_row_comes_back(void **state)
{
	(void)state;
	struct row_append row = {
		.uid = 300,
		.modseq = UINT64_C(0x1fffffffffffff),
		.oid = id(0xaa),
		.offset = 5,
		.length = 23000,
		.guid = id(0xbb),
		.flags = 8 | 2,
		.keywords = { STR("$Forwarded"), STR("x") },
		.keyword_count = 2,
		.received_wall_us = -1,
		.saved_wall_us = INT64_C(1700000000000000),
		.size_physical = 23000,
		.size_virtual = 23400,
		.summary = STR("sum"),
	};
	AUTO_BUF(value, 0);
	row_append_encode(&value, &row);
	struct row_append got;
	assert_ok(row_append_decode(buf_str(&value), &got));
	assert_int_equal(got.uid, 300);
	assert_int_equal(got.modseq, row.modseq);
	assert_memory_equal(&got.oid, &row.oid, sizeof(row.oid));
	assert_memory_equal(&got.guid, &row.guid, sizeof(row.guid));
	assert_int_equal(got.offset, 5);
	assert_int_equal(got.length, 23000);
	assert_int_equal(got.flags, 10);
	assert_int_equal(got.keyword_count, 2);
	assert_str(got.keywords[0], STR("$Forwarded"));
	assert_int_equal(got.received_wall_us, -1);
	assert_int_equal(got.saved_wall_us, row.saved_wall_us);
	assert_int_equal(got.size_virtual, 23400);
	assert_str(got.summary, STR("sum"));
	assert_false(got.has_batch);
	assert_exact(&value, false);
	assert_int_equal(row_append_fading(&row), 4);
	assert_ok(row_append_decode((struct str){ value.p, value.n - 4 }, &got));
	assert_int_equal(got.size_virtual, 23400);
	assert_int_equal(got.summary.n, 0);
	char long_summary[300] = { 0 };
	row.summary = (struct str){ long_summary, sizeof(long_summary) };
	assert_int_equal(row_append_fading(&row), 302);
	row.summary = STR_NONE;
	assert_int_equal(row_append_fading(&row), 0);
	assert_golden(&value, "0102ac02ffffffffffffff0faaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa05d8b301"
			      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0a020a24466f727761726465640178"
			      "018080f28183898506d8b301e8b6010373756d");
}

static void a_batch_row_waits_for_its_uid(void **state)
{
	(void)state;
	struct row_append row = { .uid = 3, .has_batch = true, .batch = id(1) };
	AUTO_BUF(value, 0);
	row_append_encode(&value, &row);
	struct row_append got;
	assert_ok(row_append_decode(buf_str(&value), &got));
	assert_true(got.has_batch);
	assert_int_equal(got.uid, 3); /* its place */
	row.modseq = 4;               /* both a batch and a modseq: nobody writes that */
	buf_clear(&value);
	row_append_encode(&value, &row);
	assert_err(row_append_decode(buf_str(&value), &got), ERR_CORRUPT);
}

static void a_newer_version_is_not_guessed(void **state)
{
	(void)state;
	struct row_append a;
	struct row_op_value v;
	assert_err(row_append_decode(STR("\x02whatever"), &a), ERR_UNSUPPORTED);
	assert_err(row_op_decode(STR("\x02whatever"), &v), ERR_UNSUPPORTED);
	assert_err(row_op_decode(STR("\x01\x63"), &v), ERR_CORRUPT);
	assert_err(row_op_decode(STR(""), &v), ERR_CORRUPT);
}

static void an_expunge_row_names_mails_with_bucket_and_object(void **state)
{
	(void)state;
	struct row_mark marks[] = { mark(1, 9), mark(2, 0) }, got;
	AUTO_BUF(value, 0);
	row_expunge_encode(&value, 1000, marks, 2);
	struct row_op_value v;
	assert_ok(row_op_decode(buf_str(&value), &v));
	assert_int_equal(v.op, ROW_EXPUNGE);
	assert_int_equal(v.modseq, 1000);
	assert_int_equal(v.count, 2);
	assert_true(row_mark_next(v.op, &v.marks, &got));
	assert_int_equal(got.uid, 9);
	assert_int_equal(got.bucket, 3);
	assert_memory_equal(&got.oid, &marks[0].oid, sizeof(got.oid));
	assert_true(row_mark_next(v.op, &v.marks, &got));
	assert_memory_equal(&got.name, &marks[1].name, sizeof(got.name));
	assert_false(row_mark_next(v.op, &v.marks, &got));
	assert_exact(&value, true);
	assert_golden(&value,
		"0101e807020101010101010101010101010101010109030d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d"
		"0202020202020202020202020202020200030d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d");
}

static void a_flags_row_keeps_groups_apart(void **state)
{
	(void)state;
	struct row_mark marks[] = { mark(1, 9), mark(2, 10) };
	struct str words[] = { STR("$Junk"), STR("work") };
	AUTO_BUF(value, 0);
	row_flags_encode_head(&value, words, 2);
	struct row_flags_group a = { .modseq = 5, .stamp = 6, .mask = 9, .value = 8, .count = 2 };
	struct row_flags_group b = {
		.modseq = 7, .stamp = 8, .keywords_mask = 3, .keywords_value = 2, .count = 1
	};
	row_flags_encode_group(&value, &a, marks);
	row_flags_encode_group(&value, &b, marks);
	struct row_op_value v;
	assert_ok(row_op_decode(buf_str(&value), &v));
	assert_int_equal(v.count, 2);
	assert_int_equal(v.keyword_count, 2);
	struct row_flags_group g;
	assert_true(row_flags_next(&v.groups, v.keyword_count, &g));
	assert_int_equal(g.value, 8);
	assert_int_equal(g.count, 2);
	assert_true(row_flags_next(&v.groups, v.keyword_count, &g));
	assert_int_equal(g.keywords_value, 2);
	assert_int_equal(g.stamp, 8);
	assert_false(row_flags_next(&v.groups, v.keyword_count, &g));
	assert_exact(&value, true);
	/* A keyword bit without a name. */
	a.keywords_mask = 4;
	row_flags_encode_group(&value, &a, marks);
	assert_err(row_op_decode(buf_str(&value), &v), ERR_CORRUPT);
}

static void the_small_ops_come_back(void **state)
{
	(void)state;
	struct row_op_value v;
	struct row_id batch = id(4), to = id(5);
	struct row_mark marks[] = { mark(1, 9) }, got;
	marks[0].bucket = 3;
	marks[0].oid = id(6);
	AUTO_BUF(b, 0);
	row_commit_encode(&b, &batch, 17, 99, 3);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_COMMIT && v.uid == 17 && v.modseq == 99 && v.count == 3);
	assert_exact(&b, true);
	buf_clear(&b);
	row_move_intent_encode(&b, &batch, &to, marks, 1);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_MOVE_INTENT && v.count == 1);
	assert_memory_equal(&v.mailbox, &to, sizeof(to));
	assert_true(row_mark_next(v.op, &v.marks, &got) && got.uid == 9 && got.bucket == 3);
	assert_memory_equal(&got.oid, &marks[0].oid, sizeof(got.oid));
	assert_exact(&b, true);
	buf_clear(&b);
	row_void_encode(&b, 98, marks, 1);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_VOID && v.modseq == 98);
	assert_true(row_mark_next(v.op, &v.marks, &got) && got.uid == 9);
	assert_exact(&b, true);
	buf_clear(&b);
	row_floor_encode(&b, 42, 4200, marks, 1);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_FLOOR && v.uid == 42 && v.modseq == 4200 && v.count == 1);
	assert_true(row_mark_next(v.op, &v.marks, &got));
	assert_memory_equal(&got.name, &marks[0].name, sizeof(got.name));
	assert_exact(&b, true);
	buf_clear(&b);
	row_void_batch_encode(&b, &marks[0].oid);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_VOID_BATCH);
	assert_memory_equal(&v.batch, &marks[0].oid, sizeof(v.batch));
	assert_exact(&b, true);
	buf_clear(&b);
	row_hole_encode(&b, 10, 20);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.op == ROW_HOLE && v.hole_first == 10 && v.hole_last == 20);
	assert_exact(&b, true);
	buf_clear(&b);
	row_merge_encode(&b, marks, 1);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(row_mark_next(v.op, &v.marks, &got) && got.modseq == 77 && got.origin == 5);
	assert_exact(&b, true);
}

static void tree_ops_come_back(void **state)
{
	(void)state;
	struct row_op_value v;
	struct row_id box = id(6);
	AUTO_BUF(b, 0);
	row_tree_create_encode(&b, &box, STR("Sent/2024"), STR("\\Sent"), 1700000000);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_str(v.name, STR("Sent/2024"));
	assert_str(v.special_use, STR("\\Sent"));
	assert_int_equal(v.uid_validity, 1700000000);
	assert_exact(&b, true);
	buf_clear(&b);
	struct row_rename renames[] = { { box, STR("a") }, { id(7), STR("a/b") } }, got;
	row_tree_rename_encode(&b, renames, 2);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_int_equal(v.count, 2);
	assert_true(row_rename_next(&v.renames, &got));
	assert_str(got.name, STR("a"));
	assert_exact(&b, true);
	buf_clear(&b);
	row_tree_remove_encode(&b, &box);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_memory_equal(&v.mailbox, &box, sizeof(box));
	assert_exact(&b, true);
	buf_clear(&b);
	row_tree_subscribe_encode(&b, STR("Lists"), true);
	assert_ok(row_op_decode(buf_str(&b), &v));
	assert_true(v.is_on);
	assert_exact(&b, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_append_row_comes_back),
		cmocka_unit_test(a_batch_row_waits_for_its_uid),
		cmocka_unit_test(a_newer_version_is_not_guessed),
		cmocka_unit_test(an_expunge_row_names_mails_with_bucket_and_object),
		cmocka_unit_test(a_flags_row_keeps_groups_apart),
		cmocka_unit_test(the_small_ops_come_back),
		cmocka_unit_test(tree_ops_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
