/* SPDX-License-Identifier: Apache-2.0 */
#include "objects/remote.h"

#include "base/test.h"

#include "objects/sproxyd_key.h"

static void kinds_follow_the_path(void **state)
{
	(void)state;
	assert_str(remote_kind_name(remote_kind(STR("u/mails/1"))), STR("mail"));
	assert_str(remote_kind_name(remote_kind(STR("u/idx/1/base"))), STR("index"));
	assert_str(remote_kind_name(remote_kind(STR("u/fts/1"))), STR("fts"));
	assert_str(remote_kind_name(remote_kind(STR("mails/1"))), STR(""));
}

static void metadata_comes_back(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	const struct object_meta meta[] = { { STR("mailbox-guid"), STR("12") },
		{ STR("username"), STR(" j\xc3\xbcr gen%@x\n") }, { STR("empty"), STR("") } };
	struct http_headers headers = { 0 };
	remote_meta_add(&op, &headers, STR("x-ms-meta-"), '_',
		&(struct object_put){ .meta = meta, .meta_count = ARRAY_COUNT(meta) });
	assert_int_equal(headers.count, 3);
	assert_str(headers.items[0].name, STR("x-ms-meta-mailbox_guid"));
	assert_str(headers.items[1].value, STR("%20j%C3%BCr gen%25@x%0A"));
	http_headers_add(&op, &headers, STR("X-MS-Meta-Foreign"), STR("100%"));
	http_headers_add(&op, &headers, STR("x-ms-meta-"), STR("no name"));
	http_headers_add(&op, &headers, STR("other"), STR("1"));
	const struct http_answer answer = { .headers = headers.items,
		.header_count = headers.count };
	struct object_meta *out;
	size_t count;
	remote_meta_read(&op, &answer, STR("x-ms-meta-"), '_', &out, &count);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < ARRAY_COUNT(meta); i++) {
		assert_str(out[i].name, meta[i].name);
		assert_str(out[i].value, meta[i].value);
	}
	assert_str(out[3].name, STR("foreign"));
	assert_str(out[3].value, STR("100%"));
}

static void times_are_read_and_written(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	int64_t at = INT64_C(784111777) * US_PER_SEC;
	assert_str(remote_date(&arena, at), STR("Sun, 06 Nov 1994 08:49:37 GMT"));
	assert_str(remote_iso_time(&arena, at), STR("1994-11-06T08:49:37Z"));
	assert_int_equal(remote_date_read(STR("Sun, 06 Nov 1994 08:49:37 GMT")), at);
	assert_int_equal(remote_iso_time_read(STR("1994-11-06T08:49:37Z")), at);
	assert_int_equal(remote_iso_time_read(STR("1994-11-06T08:49:37.999Z")), at);
	static const char *const bad[] = { "", "1994-11-06", "1994-11-06 08:49:37Z",
		"1994-11-06T08:49:37+01:00", "1994-00-06T08:49:37Z", "1994-11-06T08:49:37.Z",
		"1969-11-06T08:49:37Z", "+994-11-06T08:49:37Z" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_int_equal(remote_iso_time_read(str_from(bad[i])), 0);
	assert_int_equal(remote_date_read(STR("today")), 0);
}

static struct http_answer ranged(
	struct op *op, unsigned status, struct str content_range, struct str body)
{
	struct http_headers headers = { 0 };
	http_headers_add(op, &headers, STR("Content-Range"), content_range);
	return (struct http_answer){ .status = status,
		.headers = headers.items,
		.header_count = headers.count,
		.body = body };
}

static void ranges_are_what_was_asked_for(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct str out;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct http_headers headers = { 0 };
	assert_true(remote_range_add(&op, &headers, 0, SIZE_MAX));
	assert_int_equal(headers.count, 0);
	assert_true(remote_range_add(&op, &headers, 5, 3));
	assert_true(remote_range_add(&op, &headers, 5, SIZE_MAX));
	assert_str(headers.items[0].value, STR("bytes=5-7"));
	assert_str(headers.items[1].value, STR("bytes=5-"));
	assert_false(remote_range_add(&op, &headers, UINT64_MAX, 3));
	assert_false(remote_range_add(&op, &headers, 0, 0));

	struct http_answer a = ranged(&op, 206, STR("bytes 5-7/9"), STR("567"));
	assert_ok(remote_range_read(&op, &a, 5, 3, &out));
	assert_str(out, STR("567"));
	assert_err(remote_range_read(&op, &a, 4, 3, &out), ERR_UNAVAILABLE);
	assert_err(remote_range_read(&op, &a, 5, 2, &out), ERR_UNAVAILABLE);
	assert_err(remote_range_read(&op, &a, 5, 4, &out), ERR_UNAVAILABLE); /* not the end */
	a = ranged(&op, 206, STR("nonsense"), STR("567"));
	assert_err(remote_range_read(&op, &a, 5, 3, &out), ERR_UNAVAILABLE);
	a = ranged(&op, 206, STR("bytes 5-7/8"), STR("567"));
	assert_ok(remote_range_read(&op, &a, 5, 9, &out));
	assert_str(out, STR("567"));
	a = ranged(&op, 200, STR(""), STR("0123456789"));
	assert_ok(remote_range_read(&op, &a, 8, 5, &out));
	assert_str(out, STR("89"));
	a = ranged(&op, 416, STR(""), STR("<error/>"));
	assert_ok(remote_range_read(&op, &a, 50, 5, &out));
	assert_str(out, STR(""));
}

static void statuses_have_classes(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	static const struct {
		unsigned status;
		enum err class;
	} rows[] = { { 404, ERR_NOT_FOUND }, { 410, ERR_NOT_FOUND }, { 409, ERR_EXISTS },
		{ 412, ERR_EXISTS }, { 403, ERR_UNAVAILABLE }, { 400, ERR_UNAVAILABLE },
		{ 423, ERR_UNAVAILABLE }, { 503, ERR_UNAVAILABLE }, { 302, ERR_UNAVAILABLE } };
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct http_answer a = { .status = rows[i].status, .attempts = 2 };
		assert_err(remote_fail(&op, "x PUT", STR("k"), &a, STR("Code")), rows[i].class);
	}
	assert_string_equal(op.failure.text, "x PUT k: status 302 Code after 2 attempts");
	struct object_info info;
	struct http_answer none = { .status = 200 };
	assert_err(remote_info_read(&op, &none, &info), ERR_UNAVAILABLE);
}

static void ring_keys_have_the_documented_layout(void **state)
{
	(void)state;
	AUTO_BUF(out, 0);
	struct sproxyd_key key = sproxyd_key(STR("u1/mails/a"), 2);
	sproxyd_key_put(&out, &key);
	assert_str(buf_str(&out), STR("2FFDE56B92DF0C7ABDA99CA3B1FCCC8382010020"));
	buf_clear(&out);
	key = sproxyd_key(STR("u1/idx/x"), 1);
	sproxyd_key_put(&out, &key);
	assert_str(buf_str(&out), STR("05DFCC3414116C66568CB0E16DD9AA83510E0010"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_follow_the_path),
		cmocka_unit_test(metadata_comes_back),
		cmocka_unit_test(times_are_read_and_written),
		cmocka_unit_test(ranges_are_what_was_asked_for),
		cmocka_unit_test(statuses_have_classes),
		cmocka_unit_test(ring_keys_have_the_documented_layout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
