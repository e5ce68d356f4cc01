/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/head.h"

#include "base/codec.h"
#include "base/test.h"

static void a_writer_head_comes_back(void **state)
{
	(void)state;
	struct head_writer head = {
		.is_open = true,
		.may_lose_flags = true,
		.next_uid = 12,
		.limit_uid = 1012,
		.recent_uid = 11,
		.modseq = 1000,
		.counters = { 10, 3, 1, 2, 123456 },
		.cover = { { 1, 2, 3 } },
		.host = 300,
	};
	AUTO_BUF(b, 0);
	head_writer_encode(&b, &head);
	struct head_writer got;
	assert_ok(head_writer_decode(buf_str(&b), &got));
	assert_true(got.is_open && got.may_lose_flags);
	assert_int_equal(got.next_uid, 12);
	assert_int_equal(got.limit_uid, 1012);
	assert_true(got.host == 300);
	assert_int_equal(got.recent_uid, 11);
	assert_int_equal(got.counters.unseen, 3);
	assert_int_equal(got.counters.bytes_virtual, 123456);
	assert_memory_equal(&got.cover, &head.cover, sizeof(got.cover));
	for (size_t n = 0; n < b.n; n++)
		assert_err(head_writer_decode((struct str){ b.p, n }, &got), ERR_CORRUPT);
	AUTO_BUF(hex, 0);
	hex_encode(&hex, buf_str(&b));
	assert_str(buf_str(&hex),
		STR("01030cf4070be8070a030102c0c40701020300000000000000000000000000ac02"));
	assert_err(head_writer_decode(STR("\x03"), &got), ERR_UNSUPPORTED);
}

static void a_writer_head_says_how_long_rows_may_be_late(void **state)
{
	(void)state;
	struct head_writer head = { .next_uid = 12, .late_ms = 1700000000000 }, got;
	AUTO_BUF(b, 0);
	head_writer_encode(&b, &head);
	assert_ok(head_writer_decode(buf_str(&b), &got));
	assert_int_equal(got.late_ms, 1700000000000);
	assert_int_equal(got.next_uid, 12);
	for (size_t n = 0; n < b.n; n++)
		assert_err(head_writer_decode((struct str){ b.p, n }, &got), ERR_CORRUPT);
	/* Without it the bytes are those of version 1, which know no such thing. */
	head.late_ms = 0;
	buf_clear(&b);
	head_writer_encode(&b, &head);
	assert_int_equal(b.p[0], 1);
	buf_put_byte(&b, 1);
	assert_err(head_writer_decode(buf_str(&b), &got), ERR_CORRUPT);
}

static void the_key_names_the_writer(void **state)
{
	(void)state;
	char key[HEAD_OPEN_SIZE];
	uint32_t writer = 0;
	assert_str(head_writer_key(0x00ab12cd, key), STR("open/00ab12cd"));
	assert_true(head_is_writer_key(STR("open/00ab12cd"), &writer));
	assert_int_equal(writer, 0x00ab12cd);
	assert_false(head_is_writer_key(STR("open/00ab12c"), &writer));
	assert_false(head_is_writer_key(STR("root"), &writer));
}

static void the_root_lists_mailboxes_and_subscriptions(void **state)
{
	(void)state;
	struct head_root root = {
		.generation = 1, .last_uid_validity = 9, .mailbox_count = 2, .subscription_count = 1
	};
	struct head_mailbox boxes[] = {
		{ .name = STR("INBOX"), .special_use = STR(""), .uid_validity = 8, .stamp = 5 },
		{ .name = STR("a/b"),
			.special_use = STR("\\Sent"),
			.uid_validity = 9,
			.is_removed = true },
	};
	struct head_subscription sub = { .name = STR("INBOX"), .stamp = 3, .is_on = true };
	AUTO_BUF(b, 0);
	head_root_encode(&b, &root);
	head_root_encode_mailbox(&b, &boxes[0]);
	head_root_encode_mailbox(&b, &boxes[1]);
	head_root_encode_subscription(&b, &sub);
	struct head_root got;
	assert_ok(head_root_decode(buf_str(&b), &got));
	assert_int_equal(got.mailbox_count, 2);
	struct head_mailbox m;
	assert_true(head_root_next_mailbox(&got.rest, &m));
	assert_str(m.name, STR("INBOX"));
	assert_true(head_root_next_mailbox(&got.rest, &m));
	assert_true(m.is_removed);
	assert_str(m.special_use, STR("\\Sent"));
	struct head_subscription s;
	assert_true(head_root_next_subscription(&got.rest, &s));
	assert_true(s.is_on);
	for (size_t n = 0; n < b.n; n++)
		assert_err(head_root_decode((struct str){ b.p, n }, &got), ERR_CORRUPT);
}

static void a_root_may_name_an_object(void **state)
{
	(void)state;
	struct head_root got, root = { .generation = 1,
		.last_uid_validity = 9,
		.mailbox_count = 20000,
		.subscription_count = 3,
		.form = HEAD_ROOT_OBJECT,
		.plain_bytes = 1000000,
		.object = { { 1, 2, 3 } },
		.bytes = 400000,
		.hash = UINT64_MAX - 1 };
	AUTO_BUF(b, 0);
	head_root_encode(&b, &root);
	assert_int_equal(b.p[0], HEAD_ROOT_FORM);
	assert_ok(head_root_decode(buf_str(&b), &got));
	assert_int_equal(got.mailbox_count, 20000);
	assert_memory_equal(&got.object, &root.object, sizeof(root.object));
	assert_true(got.bytes == root.bytes && got.hash == root.hash);
	for (size_t n = 0; n < b.n; n++)
		assert_err(head_root_decode((struct str){ b.p, n }, &got), ERR_CORRUPT);
	buf_put_byte(&b, 0);
	assert_err(head_root_decode(buf_str(&b), &got), ERR_CORRUPT);
	assert_err(head_root_take_lists(&root, STR("x")), ERR_CORRUPT);
}

static void a_bucket_head_is_a_number(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	uint32_t bucket;
	head_bucket_encode(&b, 70000);
	assert_ok(head_bucket_decode(buf_str(&b), &bucket));
	assert_int_equal(bucket, 70000);
	assert_err(head_bucket_decode(STR(""), &bucket), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_writer_head_comes_back),
		cmocka_unit_test(a_writer_head_says_how_long_rows_may_be_late),
		cmocka_unit_test(the_key_names_the_writer),
		cmocka_unit_test(the_root_lists_mailboxes_and_subscriptions),
		cmocka_unit_test(a_root_may_name_an_object),
		cmocka_unit_test(a_bucket_head_is_a_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
