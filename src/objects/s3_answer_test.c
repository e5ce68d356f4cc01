/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of S3 servers, good, odd and hostile. */
#include "objects/s3_answer.h"

#include "base/test.h"

#define OP(name)                                                                                   \
	AUTO_ARENA(arena_of_##name, 0);                                                            \
	struct op name;                                                                            \
	op_init(&name, &arena_of_##name, NULL, TIME_NEVER)

static void errors_are_told_apart_from_other_pages(void **state)
{
	(void)state;
	OP(op);
	struct s3_error error;
	assert_true(s3_error_read(&op,
		STR("<?xml version=\"1.0\"?>\n<Error><Code>PermanentRedirect</Code><Message>Use "
		    "another"
		    "</Message><Endpoint>b.s3-eu.example</Endpoint><Region>eu-1</Region>"
		    "<RequestId>4442587FB7D0A2F9</RequestId><HostId>x</HostId></Error>"),
		&error));
	assert_str(error.code, STR("PermanentRedirect"));
	assert_str(error.endpoint, STR("b.s3-eu.example"));
	assert_str(error.region, STR("eu-1"));
	assert_str(error.request_id, STR("4442587FB7D0A2F9"));
	assert_false(s3_error_read(&op, STR(""), &error));
	assert_false(s3_error_read(&op, STR("  \n"), &error));
	assert_false(s3_error_read(&op, STR("<html><body>404</body></html>"), &error));
	assert_false(s3_error_read(&op, STR("<html><br></html>"), &error));
	assert_false(s3_error_read(&op, STR("<Error></Error>"), &error));
	assert_false(s3_error_read(&op, STR("<A><Error><Code>x</Code></Error></A>"), &error));
	assert_int_equal(op.failure.class, ERR_NONE);
}

static void pages(void **state)
{
	(void)state;
	OP(op);
	struct s3_page page;
	assert_ok(s3_page_read(&op,
		STR("<ListBucketResult "
		    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
		    "<Prefix>u/</Prefix><IsTruncated>true</IsTruncated>"
		    "<NextContinuationToken>1ue+GcxLPRx</NextContinuationToken>"
		    "<Contents><Key>u/a%2Bb+c%C3%BC</Key><LastModified>2009-10-12T17:50:30.000Z"
		    "</LastModified><Size>434234</Size><Owner><ID>Key</ID></Owner></Contents>"
		    "<Contents><Key>u/b</Key><Size>0</Size></Contents></ListBucketResult>"),
		&page));
	assert_int_equal(page.count, 2);
	assert_str(page.items[0].key, STR("u/a+b c\xc3\xbc"));
	assert_int_equal(page.items[0].size_bytes, 434234);
	assert_int_equal(page.items[0].wall_us, INT64_C(1255369830) * US_PER_SEC);
	assert_int_equal(page.items[1].wall_us, 0);
	assert_true(page.is_truncated);
	assert_str(page.next, STR("1ue+GcxLPRx"));
	assert_ok(s3_page_read(&op, STR("<ListBucketResult/>"), &page));
	assert_int_equal(page.count, 0);
}

static void bad_pages(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "<a/>", "<ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>a%2</Key></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
		"<!DOCTYPE x [<!ENTITY a \"aaaa\">]><ListBucketResult>&a;</ListBucketResult>" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		OP(op);
		struct s3_page page;
		assert_err(s3_page_read(&op, str_from(bad[i]), &page), ERR_CORRUPT);
	}
}

static void a_page_has_a_limit(void **state)
{
	(void)state;
	OP(op);
	struct s3_page page;
	AUTO_BUF(text, 0);
	buf_put(&text, STR("<ListBucketResult>"));
	for (int i = 0; i < 10001; i++)
		buf_put(&text, STR("<Contents><Key>k</Key></Contents>"));
	buf_put(&text, STR("</ListBucketResult>"));
	assert_err(s3_page_read(&op, buf_str(&text), &page), ERR_CORRUPT);
}

static void refused_keys(void **state)
{
	(void)state;
	OP(op);
	struct s3_refused *items;
	size_t count;
	assert_ok(s3_refused_read(&op,
		STR("<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b &amp; c</Key>"
		    "<Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"),
		&items, &count));
	assert_int_equal(count, 1);
	assert_str(items[0].key, STR("b & c"));
	assert_str(items[0].code, STR("AccessDenied"));
	assert_ok(s3_refused_read(&op, STR("<DeleteResult></DeleteResult>"), &items, &count));
	assert_int_equal(count, 0);
	assert_err(s3_refused_read(&op, STR("<html/>"), &items, &count), ERR_CORRUPT);
	assert_err(s3_refused_read(&op, STR(""), &items, &count), ERR_CORRUPT);
	assert_err(s3_refused_read(&op,
			   STR("<Error><Code>InternalError</Code><Message>m</Message></Error>"),
			   &items, &count),
		ERR_UNAVAILABLE);
}

static void uploads_and_their_traps(void **state)
{
	(void)state;
	OP(op);
	struct str id;
	struct s3_error error;
	const struct str root = STR("CompleteMultipartUploadResult");
	assert_ok(s3_upload_id_read(&op,
		STR("<InitiateMultipartUploadResult><UploadId>VXBs+/=</UploadId>"
		    "</InitiateMultipartUploadResult>"),
		&id));
	assert_str(id, STR("VXBs+/="));
	assert_err(
		s3_upload_id_read(&op, STR("<InitiateMultipartUploadResult/>"), &id), ERR_CORRUPT);
	/* White space comes first while the server is at work. */
	assert_ok(s3_outcome_read(&op,
		STR("\n   <CompleteMultipartUploadResult><ETag>\"x\"</ETag>"
		    "</CompleteMultipartUploadResult>"),
		root, &error));
	assert_err(s3_outcome_read(
			   &op, STR("<Error><Code>InternalError</Code></Error>"), root, &error),
		ERR_UNAVAILABLE);
	assert_str(error.code, STR("InternalError"));
	assert_err(s3_outcome_read(&op, STR(""), root, &error), ERR_CORRUPT);
	assert_err(s3_outcome_read(&op, STR("<CopyObjectResult/>"), root, &error), ERR_CORRUPT);
	assert_int_equal(error.code.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_are_told_apart_from_other_pages),
		cmocka_unit_test(pages),
		cmocka_unit_test(bad_pages),
		cmocka_unit_test(a_page_has_a_limit),
		cmocka_unit_test(refused_keys),
		cmocka_unit_test(uploads_and_their_traps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
