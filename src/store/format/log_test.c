/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/log.h"

#include "base/codec.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/test.h"

#define SERIAL 0xfeed

static void build(struct buf *out)
{
	struct log_record records[] = {
		{ .type = LOG_ROW, .row = { CATALOG_APPEND, 4, { { 1 } }, STR("an append row") } },
		{ .type = LOG_PENDING, .value = STR("flags") },
		{ .type = LOG_JOURNALLED, .number = 1 },
		{ .type = LOG_RECENT, .number = 300 },
		{ .type = LOG_SUMMARY, .uid = 5, .offset = UINT64_C(1) << 40, .length = 900 },
		{ .type = LOG_WRITER, .number = 0xfedcba98 },
		{ .type = LOG_SEEN, .number = UINT64_C(1700000000000) },
		{ .type = LOG_CLEAN,
			.uid = 6,
			.number = 1234567,
			.cover = { { 7 } },
			.writer = 0xfedcba98 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(records); i++)
		log_record_encode(out, SERIAL, &records[i]);
}

static void records_come_back_in_order(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	build(&b);
	struct str rest = buf_str(&b);
	struct log_record r;
	assert_true(log_record_cut(&rest, SERIAL, &r));
	assert_int_equal(r.row.bucket, 4);
	assert_str(r.row.value, STR("an append row"));
	assert_true(log_record_cut(&rest, SERIAL, &r));
	assert_str(r.value, STR("flags"));
	assert_true(log_record_cut(&rest, SERIAL, &r) && r.type == LOG_JOURNALLED);
	assert_true(log_record_cut(&rest, SERIAL, &r) && r.number == 300);
	assert_true(log_record_cut(&rest, SERIAL, &r));
	assert_true(r.uid == 5 && r.offset == UINT64_C(1) << 40 && r.length == 900);
	assert_true(log_record_cut(&rest, SERIAL, &r) && r.number == 0xfedcba98);
	assert_true(log_record_cut(&rest, SERIAL, &r) && r.type == LOG_SEEN);
	assert_true(log_record_cut(&rest, SERIAL, &r));
	assert_true(r.uid == 6 && r.number == 1234567 && r.cover.bytes[0] == 7);
	assert_int_equal(r.writer, 0xfedcba98);
	assert_int_equal(rest.n, 0);
	assert_false(log_record_cut(&rest, SERIAL, &r));
}

/* A mark of an older program has no writer; that is the only way to say that he is not known. */
static void a_clean_mark_without_a_writer_has_one_encoding(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	struct log_record r = { .type = LOG_CLEAN, .uid = 6, .number = 7 }, got = { 0 };
	log_record_encode(&b, SERIAL, &r);
	struct str rest = buf_str(&b);
	assert_true(log_record_cut(&rest, SERIAL, &got));
	assert_true(got.uid == 6 && got.number == 7 && got.writer == 0);
	AUTO_BUF(zero, 0);
	buf_put(&zero, buf_str(&b));
	buf_put_byte(&zero, 0);
	put_le32(zero.p, get_le32(b.p) + 1);
	put_le32(zero.p + 4, hash_crc32c(SERIAL, (struct str){ zero.p + 8, zero.n - 8 }));
	rest = buf_str(&zero);
	assert_false(log_record_cut(&rest, SERIAL, &got));
}

/* Wherever it is cut or damaged, what is read is a prefix of what was written. */
static void a_torn_or_damaged_tail_ends_the_log(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	build(&b);
	for (size_t n = 0; n <= b.n; n++) {
		struct str whole = buf_str(&b), torn = { b.p, n };
		struct log_record r, wanted;
		while (log_record_cut(&torn, SERIAL, &r)) {
			assert_true(log_record_cut(&whole, SERIAL, &wanted));
			assert_int_equal(r.type, wanted.type);
		}
		if (n == b.n)
			break;
		b.p[n] ^= 1;
		size_t left = b.n;
		for (torn = buf_str(&b); log_record_cut(&torn, SERIAL, &r); left = torn.n)
			;
		assert_true(b.n - left <= n);
		b.p[n] ^= 1;
	}
	struct str other = buf_str(&b);
	struct log_record r;
	assert_false(log_record_cut(&other, SERIAL + 1, &r));
}

static void the_header_names_mailbox_boot_and_serial(void **state)
{
	(void)state;
	struct log_header h = { { { 9 } }, { 8 }, 7, { { 6 } } }, got;
	AUTO_BUF(b, 0);
	log_header_encode(&b, &h);
	struct str rest = buf_str(&b);
	assert_ok(log_header_cut(&rest, &got));
	assert_int_equal(rest.n, 0);
	assert_int_equal(got.serial, 7);
	assert_int_equal(got.base.bytes[0], 6);
	assert_memory_equal(&got.mailbox, &h.mailbox, sizeof(h.mailbox));
	for (size_t n = 0; n < b.n; n++) {
		rest = (struct str){ b.p, n };
		assert_err(log_header_cut(&rest, &got), ERR_CORRUPT);
	}
	b.p[30] ^= 1;
	rest = buf_str(&b);
	assert_err(log_header_cut(&rest, &got), ERR_CORRUPT);
}

static void a_record_is_golden(void **state)
{
	(void)state;
	AUTO_BUF(b, 0);
	log_record_encode(&b, 1, &(struct log_record){ .type = LOG_RECENT, .number = 300 });
	AUTO_BUF(hex, 0);
	hex_encode(&hex, buf_str(&b));
	assert_str(buf_str(&hex), STR("03000000765e16ed04ac02"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_back_in_order),
		cmocka_unit_test(a_clean_mark_without_a_writer_has_one_encoding),
		cmocka_unit_test(a_torn_or_damaged_tail_ends_the_log),
		cmocka_unit_test(the_header_names_mailbox_boot_and_serial),
		cmocka_unit_test(a_record_is_golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
