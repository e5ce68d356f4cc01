/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made by hand: what we send byte by byte, what we read, and that damaged answers are refused. */
#include "cql/codec_private.h"

#include "base/test.h"

#define BYTES(lit) STR(lit)

static void headers_go_both_ways(void **state)
{
	struct cql_header h;
	AUTO_BUF(b, 0);
	(void)state;
	cql_header_put(&b, CQL_OP_EXECUTE, CQL_FRAME_COMPRESSED, 0x1234, 0x00010203);
	assert_str(buf_str(&b), BYTES("\x04\x01\x12\x34\x0a\x00\x01\x02\x03"));
	assert_false(cql_header_parse(BYTES("\x84\x00\x00\x01\x08\x00\x00\x00"), &h));
	assert_true(cql_header_parse(BYTES("\x84\x02\xff\xff\x0c\x80\x00\x00\x01"), &h));
	assert_true(h.is_answer);
	assert_int_equal(h.version, 4);
	assert_int_equal(h.flags, CQL_FRAME_TRACING);
	assert_int_equal(h.stream, CQL_STREAM_EVENT);
	assert_int_equal(h.opcode, CQL_OP_EVENT);
	assert_int_equal(h.body_bytes, 0x80000001);
	assert_true(cql_header_parse(BYTES("\x03\x00\x00\x01\x08\x00\x00\x00\x00"), &h));
	assert_false(h.is_answer);
	assert_int_equal(h.version, 3);
}

static void requests_are_those_of_the_specification(void **state)
{
	AUTO_BUF(b, 0);
	struct cql_value values[] = { cql_text(STR("ab")), cql_null(), cql_blob(STR("\1")) };
	struct cql_parameters p = { .consistency = CQL_AT_LOCAL_QUORUM,
		.values = values,
		.count = 3,
		.page_size = 100,
		.page_state = STR("st"),
		.stamp_us = 258,
		.wants_no_metadata = true };
	(void)state;
	cql_put_execute(&b, STR("id"), &p);
	assert_str(buf_str(&b),
		BYTES("\x00\x02id\x00\x06\x2f\x00\x03\x00\x00\x00\x02"
		      "ab\xff\xff\xff\xff\x00\x00\x00\x01\x01\x00\x00\x00\x64\x00\x00\x00\x02st"
		      "\x00\x00\x00\x00\x00\x00\x01\x02"));
	buf_clear(&b);
	p = (struct cql_parameters){ .consistency = CQL_AT_ONE, .stamp_us = INT64_MIN };
	cql_put_query(&b, STR("USE x"), &p);
	assert_str(buf_str(&b), BYTES("\x00\x00\x00\x05USE x\x00\x01\x00"));
	buf_clear(&b);
	cql_put_batch_begin(&b, false, 1);
	cql_put_batch_item(&b, STR("id"), values, 1);
	cql_put_batch_end(&b, CQL_AT_QUORUM, -1);
	assert_str(buf_str(&b), BYTES("\x01\x00\x01\x01\x00\x02id\x00\x01\x00\x00\x00\x02"
				      "ab\x00\x04\x20\xff\xff\xff\xff\xff\xff\xff\xff"));
	buf_clear(&b);
	cql_put_plain(&b, STR("me"), STR("pw"));
	assert_str(buf_str(&b), BYTES("\x00\x00\x00\x06\x00me\x00pw"));
	buf_clear(&b);
	cql_put_startup(&b, false);
	assert_str(buf_str(&b), BYTES("\x00\x02\x00\x0b"
				      "CQL_VERSION\x00\x05"
				      "3.0.0\x00\x0b"
				      "DRIVER_NAME\x00\x06Pombal"));
}

static void errors_have_their_details(void **state)
{
	struct cql_error e;
	(void)state;
	assert_true(cql_error_parse(BYTES("\x00\x00\x11\x00\x00\x02hi\x00\x06\x00\x00\x00\x01\x00"
					  "\x00\x00\x02\x00\x06SIMPLE"),
		&e));
	assert_int_equal(e.code, CQL_ERROR_WRITE_TIMEOUT);
	assert_str(e.message, STR("hi"));
	assert_true(e.consistency == CQL_AT_LOCAL_QUORUM && e.received == 1 && e.required == 2);
	assert_str(e.write_type, STR("SIMPLE"));
	assert_true(cql_error_parse(
		BYTES("\x00\x00\x10\x00\x00\x00\x00\x07\x00\x00\x00\x03\x00\x00\x00\x01"), &e));
	assert_true(e.code == CQL_ERROR_UNAVAILABLE && e.required == 3 && e.received == 1);
	assert_true(cql_error_parse(
		BYTES("\x00\x00\x13\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"
		      "\x02\x01"),
		&e));
	assert_true(e.code == CQL_ERROR_READ_FAILURE && e.failures == 2);
	assert_true(cql_error_parse(BYTES("\x00\x00\x25\x00\x00\x00\x00\x03xyz"), &e));
	assert_str(e.unprepared_id, STR("xyz"));
	assert_false(cql_error_parse(BYTES("\x00\x00\x25\x00\x00\x00\x00\x03xy"), &e));
	assert_false(cql_error_parse(BYTES("\x00\x00\x12\x00\x00\x00"), &e));
	assert_true(cql_error_parse(BYTES("\x00\x00\x77\x77\x00\x00"), &e));
	assert_string_equal(cql_error_name(e.code), "unknown");
	assert_string_equal(cql_error_name(CQL_ERROR_SERVER), "server_error");
}

static void rows_with_metadata_are_read(void **state)
{
	struct cql_rows rows;
	struct cql_value columns[2];
	/* flags 3: global table, more pages; 2 columns: map<text, list<udt>> and int */
	struct str body =
		BYTES("\x00\x00\x00\x03\x00\x00\x00\x02\x00\x00\x00\x02pg"
		      "\x00\x01k\x00\x01t"
		      "\x00\x01m\x00\x21\x00\x0d\x00\x20\x00\x30\x00\x01k\x00\x01u\x00\x02"
		      "\x00\x01"
		      "a\x00\x09\x00\x01"
		      "b\x00\x31\x00\x01\x00\x02"
		      "\x00\x01i\x00\x09"
		      "\x00\x00\x00\x02"
		      "\x00\x00\x00\x01x\xff\xff\xff\xff"
		      "\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x09");
	(void)state;
	assert_true(cql_rows_parse(body, &rows));
	assert_int_equal(rows.column_count, 2);
	assert_int_equal(rows.left, 2);
	assert_str(rows.page_state, STR("pg"));
	assert_true(cql_rows_next(&rows, columns));
	assert_str(columns[0].bytes, STR("x"));
	assert_true(columns[1].is_null);
	assert_true(cql_rows_next(&rows, columns));
	struct cql_row row = { columns, 2 };
	int32_t i = 0;
	int64_t n;
	assert_true(cql_column_int(&row, 1, &i) && i == 9);
	assert_false(cql_column_bigint(&row, 1, &n));
	assert_false(cql_column_is_null(&row, 0));
	assert_str(cql_column(&row, 0), STR(""));
	assert_true(cql_column_is_null(&row, 2));
	/* Whatever is missing at the end is noticed, by one or the other. */
	for (size_t cut = 0; cut < body.n; cut++) {
		bool is_whole = cql_rows_parse(str_slice(body, 0, cut), &rows);
		while (is_whole && rows.left > 0)
			is_whole = cql_rows_next(&rows, columns);
		assert_false(is_whole);
	}
}

static void hostile_counts_are_refused(void **state)
{
	struct cql_rows rows;
	struct cql_prepared p;
	(void)state;
	/* two thousand million rows in no bytes; a negative number of columns; too many of them */
	assert_false(
		cql_rows_parse(BYTES("\x00\x00\x00\x04\x00\x00\x00\x01\x7f\xff\xff\xff"), &rows));
	assert_false(
		cql_rows_parse(BYTES("\x00\x00\x00\x04\x00\x00\x00\x00\x7f\xff\xff\xff"), &rows));
	assert_false(
		cql_rows_parse(BYTES("\x00\x00\x00\x04\xff\xff\xff\xff\x00\x00\x00\x00"), &rows));
	assert_false(
		cql_rows_parse(BYTES("\x00\x00\x00\x04\x00\x10\x00\x00\x00\x00\x00\x00"), &rows));
	assert_true(cql_prepared_parse(
		BYTES("\x00\x01q\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00\x00"),
		&p));
	assert_true(p.value_count == 2 && p.key_count == 2 && p.key[0] == 1 && p.key[1] == 0);
	/* a key column that is no value; more key columns than values; no id */
	assert_false(cql_prepared_parse(
		BYTES("\x00\x01q\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01\x00\x02"), &p));
	assert_false(cql_prepared_parse(
		BYTES("\x00\x01q\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"), &p));
	assert_false(cql_prepared_parse(
		BYTES("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), &p));
	/* a type nested deeper than any of ours */
	AUTO_BUF(b, 0);
	buf_put(&b, BYTES("\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01k\x00\x01t\x00\x01m"));
	for (int i = 0; i < 1000; i++)
		cql_put_short(&b, 0x20);
	assert_false(cql_rows_parse(buf_str(&b), &rows));
}

static void events_are_read(void **state)
{
	struct cql_event e;
	(void)state;
	assert_true(cql_event_parse(BYTES("\x00\x0dSTATUS_CHANGE\x00\x02UP\x04\x7f\x00\x00\x02"
					  "\x00\x00\x23\x52"),
		&e));
	assert_true(e.kind == CQL_EVENT_STATUS && e.address.family == AF_INET &&
		    e.address.port == 9042 && e.address.ip[3] == 2);
	assert_true(cql_event_parse(BYTES("\x00\x0dSCHEMA_CHANGE\x00\x07"
					  "CREATED\x00\x05TABLE\x00\x05mails\x00\x01t"),
		&e));
	assert_true(e.kind == CQL_EVENT_SCHEMA);
	assert_str(e.keyspace, STR("mails"));
	assert_false(cql_event_parse(BYTES("\x00\x05OTHER\x00\x02UP"), &e));
	assert_false(cql_event_parse(
		BYTES("\x00\x0fTOPOLOGY_CHANGE\x00\x02UP\x05\x7f\x00\x00\x02\x00\x00\x23\x52"),
		&e));
}

static void extras_before_the_body_are_skipped(void **state)
{
	struct str warning,
		body = BYTES("0123456789abcdef\x00\x01\x00\x01w\x00\x01\x00\x01k\x00\x00"
			     "\x00\x01vrest");
	(void)state;
	assert_true(cql_body_skip_extras(
		&body, CQL_FRAME_TRACING | CQL_FRAME_WARNING | CQL_FRAME_PAYLOAD, &warning));
	assert_str(body, STR("rest"));
	assert_str(warning, STR("w"));
	body = BYTES("0123456789abcde");
	assert_false(cql_body_skip_extras(&body, CQL_FRAME_TRACING, &warning));
}

static void what_is_supported_is_found(void **state)
{
	struct str body = BYTES("\x00\x02\x00\x01x\x00\x01\x00\x03lz4\x00\x0b"
				"COMPRESSION\x00\x02\x00\x06snappy\x00\x03lz4");
	(void)state;
	assert_true(cql_supported_has(body, STR("COMPRESSION"), STR("lz4")));
	assert_false(cql_supported_has(body, STR("x"), STR("snappy")));
	assert_false(
		cql_supported_has(str_slice(body, 0, body.n - 1), STR("COMPRESSION"), STR("lz4")));
}

static void lz4_goes_both_ways_and_is_bounded(void **state)
{
	AUTO_BUF(plain, 0);
	AUTO_BUF(small, 0);
	AUTO_BUF(again, 0);
	(void)state;
	for (int i = 0; i < 5000; i++)
		buf_put(&plain, STR("mail "));
	assert_true(cql_lz4_compress(&small, buf_str(&plain)));
	assert_true(small.n < 1000);
	assert_true(cql_lz4_expand(&again, buf_str(&small), 25000));
	assert_str(buf_str(&again), buf_str(&plain));
	assert_false(cql_lz4_expand(&again, buf_str(&small), 24999));
	assert_false(cql_lz4_expand(&again, str_slice(buf_str(&small), 0, small.n - 1), 25000));
	assert_false(cql_lz4_expand(&again, BYTES("\xff\xff\xff\xff\x10"), 25000));
	/* what would gain nothing is left alone */
	buf_clear(&small);
	assert_false(cql_lz4_compress(&small, STR("0123456789abcdefghijklmnopqrst")));
	assert_int_equal(small.n, 0);
}

static void consistencies_have_names(void **state)
{
	enum cql_consistency c;
	(void)state;
	assert_true(cql_consistency_parse(STR("each-quorum"), &c) && c == CQL_AT_EACH_QUORUM);
	assert_false(cql_consistency_parse(STR("most"), &c));
	assert_string_equal(cql_consistency_name(CQL_AT_LOCAL_ONE), "local-one");
	assert_string_equal(cql_consistency_name((enum cql_consistency)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_go_both_ways),
		cmocka_unit_test(requests_are_those_of_the_specification),
		cmocka_unit_test(errors_have_their_details),
		cmocka_unit_test(rows_with_metadata_are_read),
		cmocka_unit_test(hostile_counts_are_refused),
		cmocka_unit_test(events_are_read),
		cmocka_unit_test(extras_before_the_body_are_skipped),
		cmocka_unit_test(what_is_supported_is_found),
		cmocka_unit_test(lz4_goes_both_ways_and_is_bounded),
		cmocka_unit_test(consistencies_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
