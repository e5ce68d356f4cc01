/* SPDX-License-Identifier: Apache-2.0 */
/* The examples that AWS publishes for its signatures: "Authenticating Requests (AWS Signature Version 4)",
 * "Signing and Authenticating REST Requests" (version 2). */
#include "objects/s3_sign.h"

#include "base/test.h"

#include "objects/aws_keys.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct aws_keys example = {
	.access_key = { "AKIAIOSFODNN7EXAMPLE", 20 },
	.secret = { "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40 },
	.generation = 1,
};

/* Checks the end of the header's value, and that the day's key may be used again. */
static void check_v4(const struct s3_form *form, const char *names, const char *signature)
{
	struct s3_day_key day = { 0 };
	AUTO_ARENA(arena, 0);
	struct str want = str_printf(&arena,
		"AWS4-HMAC-SHA256 "
		"Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
		"SignedHeaders=%s,Signature=%s",
		names, signature);
	for (int i = 0; i < 2; i++) {
		AUTO_BUF(out, 0);
		s3_sign_v4(form, &example, STR("us-east-1"), STR("20130524T000000Z"), &day, &out);
		assert_str(buf_str(&out), want);
	}
}

#define HOST                                                                                       \
	{                                                                                          \
		STR("host"), STR("examplebucket.s3.amazonaws.com")                                 \
	}
#define DATE                                                                                       \
	{                                                                                          \
		STR("x-amz-date"), STR("20130524T000000Z")                                         \
	}

static void v4_of_a_range(void **state)
{
	(void)state;
	const struct http_header headers[] = { DATE, HOST, { STR("range"), STR("bytes=0-9") },
		{ STR("x-amz-content-sha256"), STR(EMPTY) } };
	const struct s3_form form = { .method = STR("GET"),
		.path = STR("/test.txt"),
		.query = STR(""),
		.headers = headers,
		.header_count = ARRAY_COUNT(headers),
		.payload = STR(EMPTY) };
	check_v4(&form, "host;range;x-amz-content-sha256;x-amz-date",
		"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void v4_of_a_body(void **state)
{
	(void)state;
	/* SHA-256 of "Welcome to Amazon S3." */
	const struct str payload =
		STR("44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
	const struct http_header headers[] = { { STR("date"),
						       STR("  Fri, 24  May 2013 00:00:00 GMT ") },
		HOST, DATE, { STR("x-amz-content-sha256"), payload },
		{ STR("x-amz-storage-class"), STR("REDUCED_REDUNDANCY") } };
	const struct s3_form form = { .method = STR("PUT"),
		.path = STR("/test%24file.text"),
		.query = STR(""),
		.headers = headers,
		.header_count = ARRAY_COUNT(headers),
		.payload = payload };
	check_v4(&form, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void v4_of_queries(void **state)
{
	(void)state;
	const struct http_header headers[] = { HOST, { STR("x-amz-content-sha256"), STR(EMPTY) },
		DATE };
	struct s3_form form = { .method = STR("GET"),
		.path = STR("/"),
		.query = STR("lifecycle="),
		.headers = headers,
		.header_count = ARRAY_COUNT(headers),
		.payload = STR(EMPTY) };
	const char *names = "host;x-amz-content-sha256;x-amz-date";
	check_v4(&form, names, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	form.query = STR("max-keys=2&prefix=J");
	check_v4(&form, names, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void the_key_of_the_day_follows_date_and_secret(void **state)
{
	(void)state;
	const struct s3_form form = {
		.method = STR("GET"), .path = STR("/"), .query = STR(""), .payload = STR(EMPTY)
	};
	struct aws_keys other = example;
	struct s3_day_key day = { 0 }, fresh = { 0 };
	AUTO_BUF(a, 0);
	AUTO_BUF(b, 0);
	other.secret = STR("another");
	other.generation = 2;
	s3_sign_v4(&form, &example, STR("r"), STR("20130524T000000Z"), &day, &a);
	buf_clear(&a);
	s3_sign_v4(&form, &other, STR("r"), STR("20130524T000000Z"), &day, &a);
	s3_sign_v4(&form, &other, STR("r"), STR("20130524T000000Z"), &fresh, &b);
	assert_str(buf_str(&a), buf_str(&b));
	fresh = (struct s3_day_key){ 0 };
	buf_clear(&a);
	buf_clear(&b);
	s3_sign_v4(&form, &other, STR("r"), STR("20130525T000000Z"), &day, &a);
	s3_sign_v4(&form, &other, STR("r"), STR("20130525T000000Z"), &fresh, &b);
	assert_str(buf_str(&a), buf_str(&b));
}

static void v2_examples(void **state)
{
	(void)state;
	const struct {
		struct s3_form form;
		struct http_header headers[2];
		const char *signature;
	} cases[] = {
		{ { .method = STR("GET"),
			  .path = STR("/photos/puppy.jpg"),
			  .query = STR(""),
			  .bucket = STR("johnsmith"),
			  .header_count = 1 },
			{ { STR("date"), STR("Tue, 27 Mar 2007 19:36:42 +0000") } },
			"bWq2s1WEIj+Ydj0vQ697zp+IXMU=" },
		{ { .method = STR("PUT"),
			  .path = STR("/photos/puppy.jpg"),
			  .query = STR(""),
			  .bucket = STR("johnsmith"),
			  .header_count = 2 },
			{ { STR("date"), STR("Tue, 27 Mar 2007 21:15:45 +0000") },
				{ STR("content-type"), STR("image/jpeg") } },
			"MyyxeRY7whkBe+bq8fHCL/2kKUg=" },
		{ { .method = STR("GET"),
			  .path = STR("/"),
			  .query = STR("marker=puppy&max-keys=50&prefix=photos"),
			  .bucket = STR("johnsmith"),
			  .header_count = 1 },
			{ { STR("date"), STR("Tue, 27 Mar 2007 19:42:41 +0000") } },
			"htDYFYduRNen8P9ZfE/s9SuKy0U=" },
		{ { .method = STR("GET"),
			  .path = STR("/"),
			  .query = STR("acl="),
			  .bucket = STR("johnsmith"),
			  .header_count = 1 },
			{ { STR("date"), STR("Tue, 27 Mar 2007 19:44:46 +0000") } },
			"c2WLPFtWHVgbEmeEG93a4cG37dM=" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO_BUF(out, 0);
		AUTO_ARENA(arena, 0);
		struct s3_form form = cases[i].form;
		form.headers = cases[i].headers;
		s3_sign_v2(&form, &example, &out);
		assert_str(buf_str(&out),
			str_printf(&arena, "AWS AKIAIOSFODNN7EXAMPLE:%s", cases[i].signature));
	}
}

static void stamps(void **state)
{
	(void)state;
	char stamp[S3_STAMP_BYTES];
	s3_stamp(INT64_C(1369353600000000), stamp);
	assert_string_equal(stamp, "20130524T000000Z");
	s3_stamp(INT64_C(1709251199999999), stamp);
	assert_string_equal(stamp, "20240229T235959Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(v4_of_a_range),
		cmocka_unit_test(v4_of_a_body),
		cmocka_unit_test(v4_of_queries),
		cmocka_unit_test(the_key_of_the_day_follows_date_and_secret),
		cmocka_unit_test(v2_examples),
		cmocka_unit_test(stamps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
