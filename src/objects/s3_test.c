/* SPDX-License-Identifier: Apache-2.0 */
/* Single objects of the S3 driver against a server that answers by script: what real servers rarely do. What
 * they do usually is in contract_test.c. */
#include "objects/s3_private.h"

#include "base/test.h"

#include "objects/s3_test_private.h"

static enum err put(struct world *w, const char *key, const char *body)
{
	const struct str part = str_from(body);
	const struct object_meta meta = { STR("guid"), STR("f00 %") };
	return objects_put(
		&w->op, w->store, &(struct object_put){ str_from(key), &part, 1, &meta, 1 });
}

static enum err get(struct world *w, const char *key, struct str *out)
{
	return objects_get(&w->op, w->store, str_from(key), SIZE_MAX, out);
}

/* ---- puts ---- */

static void puts_say_what_they_want(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "200 OK", "", "");
	script(&w);
	assert_ok(put(&w, "u/mails/a b", "hello"));
	assert_true(sent(&w, 0, "PUT /bucket/at/u/mails/a%20b HTTP/1.1\r\n"));
	assert_true(sent(&w, 0, "\r\nif-none-match: *\r\n"));
	assert_true(sent(&w, 0, "\r\nx-amz-meta-dovecot-guid: f00 %25\r\n"));
	assert_true(sent(&w, 0, "\r\n" HELLO_CRC));
	assert_true(sent(&w, 0,
		"\r\nx-amz-content-sha256: "
		"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\r\n"));
	assert_true(sent(&w, 0, "/us-east-1/s3/aws4_request,SignedHeaders=content-type;host;"));
	assert_false(sent(&w, 0, "secret"));
	world_close(&w);
}

static void a_refused_put_may_have_been_our_own(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	script(&w);
	assert_err(put(&w, "k", "hello"), ERR_EXISTS);
	assert_int_equal(w.server.request_count, 1);

	then(&w, "500 Oops", "", ERROR("InternalError"));
	then(&w, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	w.acts[w.act_count++].reply =
		STR("HTTP/1.1 200 OK\r\n" HELLO_CRC "Content-Length: 5\r\n\r\n");
	script(&w);
	assert_ok(put(&w, "k", "hello"));
	assert_true(sent(&w, 2, "HEAD /bucket/at/k "));

	then(&w, "500 Oops", "", ERROR("InternalError"));
	then(&w, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	w.acts[w.act_count++].reply =
		STR("HTTP/1.1 200 OK\r\n" HELLO_CRC "Content-Length: 5\r\n\r\n");
	script(&w);
	assert_err(put(&w, "k", "other"), ERR_EXISTS);
	world_close(&w);
}

/* For who delivers a mail "not found" is the user: the sender would get it back. */
static void a_put_never_finds_something_missing(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "500 Oops", "", ERROR("InternalError"));
	then(&w, "412 Precondition Failed", "", ERROR("PreconditionFailed"));
	w.acts[w.act_count++].reply = STR("HTTP/1.1 404 Not Found\r\n\r\n");
	then(&w, "404 Not Found", "", ERROR("NoSuchKey"));
	script(&w);
	assert_err(put(&w, "k", "hello"), ERR_UNAVAILABLE);
	then(&w, "404 Not Found", "", ERROR("NoSuchKey"));
	script(&w);
	assert_err(put(&w, "k", "hello"), ERR_UNAVAILABLE);
	world_close(&w);
}

/* Something between us and the store that answers everything with a page of its own. */
static void what_answers_like_a_web_server_is_no_store(void *arg)
{
	struct world w;
	struct str body;
	struct object_info info;
	(void)arg;
	world_open(&w, "");
	w.acts[w.act_count++].reply = STR("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
					  "Content-Length: 5\r\n\r\nlogin");
	script(&w);
	assert_failure(&w, put(&w, "k", "hello"), ERR_UNAVAILABLE, "see fs_s3_url");
	assert_failure(&w, get(&w, "k", &body), ERR_UNAVAILABLE, "see fs_s3_url");
	w.acts[w.act_count++].reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	script(&w);
	assert_failure(&w, objects_stat(&w.op, w.store, STR("k"), &info), ERR_UNAVAILABLE,
		"see fs_s3_url");
	world_close(&w);
}

static void a_server_that_cannot_refuse_is_found_out(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "501 Not Implemented", "", ERROR("NotImplemented"));
	then(&w, "200 OK", "", "");
	script(&w);
	assert_ok(put(&w, "k", "hello"));
	assert_ok(put(&w, "l", "hello"));
	assert_int_equal(w.server.request_count, 3);
	assert_true(sent(&w, 0, "if-none-match"));
	assert_false(sent(&w, 1, "if-none-match"));
	assert_false(sent(&w, 2, "if-none-match"));
	world_close(&w);
}

static void a_body_that_changed_on_its_way_is_sent_again(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "400 Bad Request", "", ERROR("XAmzContentSHA256Mismatch"));
	then(&w, "200 OK", "", "");
	script(&w);
	assert_ok(put(&w, "k", "hello"));
	then(&w, "400 Bad Request", "", ERROR("XAmzContentSHA256Mismatch"));
	script(&w);
	assert_failure(&w, put(&w, "k", "hello"), ERR_UNAVAILABLE, "changed on its way");
	assert_int_equal(w.server.request_count, 4);
	world_close(&w);
}

/* ---- gets ---- */

static void wrong_bytes_are_asked_for_again(void *arg)
{
	struct world w;
	struct str body = STR_NONE;
	(void)arg;
	world_open(&w, "");
	then(&w, "200 OK", HELLO_CRC, "hellx");
	then(&w, "200 OK", HELLO_CRC, "hello");
	script(&w);
	assert_ok(get(&w, "k", &body));
	assert_str(body, STR("hello"));
	then(&w, "200 OK", HELLO_CRC, "hellx");
	script(&w);
	assert_failure(&w, get(&w, "k", &body), ERR_CORRUPT, "checksum");
	assert_int_equal(w.server.request_count, 2);
	/* A range that is the whole object is checked too. */
	then(&w, "206 Partial Content", HELLO_CRC "Content-Range: bytes 0-4/5\r\n", "hellx");
	script(&w);
	assert_failure(&w, objects_get_range(&w.op, w.store, STR("k"), 0, 100, &body), ERR_CORRUPT,
		"checksum");
	/* Somebody else's object has no checksum of ours. */
	then(&w, "200 OK", "", "hellx");
	script(&w);
	assert_ok(get(&w, "k", &body));
	world_close(&w);
}

static void a_body_cut_short_is_no_damage(void *arg)
{
	struct world w;
	struct str body;
	(void)arg;
	world_open(&w, "");
	w.acts[w.act_count++] =
		(struct act){ .reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
			.then = THEN_CLOSE };
	then(&w, "200 OK", "", "hello");
	script(&w);
	assert_ok(get(&w, "k", &body));
	assert_str(body, STR("hello"));
	world_close(&w);
}

static void ranges_are_those_asked_for(void *arg)
{
	static const char *const bad[] = { "", "Content-Range: bytes 1-5/9\r\n",
		"Content-Range: bytes 2-9/20\r\n", "Content-Range: bytes 2-6/6\r\n",
		"Content-Range: bytes 6-2/9\r\n", "Content-Range: bytes 2-6/*\r\n",
		"Content-Range: lines 2-6/9\r\n",
		"Content-Range: bytes 99999999999999999999-6/9\r\n" };
	struct world w;
	struct str body = STR_NONE;
	(void)arg;
	world_open(&w, "");
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		then(&w, "206 Partial Content", bad[i], "hello");
		script(&w);
		assert_failure(&w, objects_get_range(&w.op, w.store, STR("k"), 2, 5, &body),
			ERR_UNAVAILABLE, "another range");
	}
	/* Less than was asked for, and not the object's end. */
	then(&w, "206 Partial Content", "Content-Range: bytes 2-6/9\r\n", "hello");
	script(&w);
	assert_failure(&w, objects_get_range(&w.op, w.store, STR("k"), 2, 6, &body),
		ERR_UNAVAILABLE, "another range");
	then(&w, "206 Partial Content", "Content-Range: bytes 2-6/9\r\n", "hello");
	then(&w, "200 OK", "", "..hello..");
	then(&w, "416 Range Not Satisfiable", "", ERROR("InvalidRange"));
	script(&w);
	for (int i = 0; i < 2; i++) { /* the second answer is from a server without ranges */
		assert_ok(objects_get_range(&w.op, w.store, STR("k"), 2, 5, &body));
		assert_str(body, STR("hello"));
	}
	assert_true(sent(&w, 0, "\r\nrange: bytes=2-6\r\n"));
	assert_ok(objects_get_range(&w.op, w.store, STR("k"), 20, 5, &body));
	assert_int_equal(body.n, 0);
	world_close(&w);
}

static void only_the_servers_word_makes_an_object_missing(void *arg)
{
	struct world w;
	struct str body;
	struct object_info info;
	(void)arg;
	world_open(&w, "");
	then(&w, "404 Not Found", "", ERROR("NoSuchKey"));
	then(&w, "404 Not Found", "", ERROR("NoSuchBucket"));
	then(&w, "404 Not Found", "", "<html>no</html>");
	then(&w, "404 Not Found", "", "");
	script(&w);
	assert_failure(&w, get(&w, "k", &body), ERR_NOT_FOUND, "k does not exist");
	assert_failure(&w, get(&w, "k", &body), ERR_UNAVAILABLE, "create the bucket");
	assert_failure(&w, get(&w, "k", &body), ERR_UNAVAILABLE, "see fs_s3_url");
	assert_failure(&w, get(&w, "k", &body), ERR_UNAVAILABLE, "see fs_s3_url");
	/* Answers to HEAD have no body: one more request asks which it is. */
	w.acts[w.act_count++].reply = STR("HTTP/1.1 404 Not Found\r\n\r\n");
	then(&w, "404 Not Found", "", ERROR("NoSuchBucket"));
	w.acts[w.act_count++].reply = STR("HTTP/1.1 404 Not Found\r\n\r\n");
	then(&w, "404 Not Found", "", ERROR("NoSuchKey"));
	script(&w);
	assert_failure(&w, objects_stat(&w.op, w.store, STR("k"), &info), ERR_UNAVAILABLE,
		"create the bucket");
	assert_err(objects_stat(&w.op, w.store, STR("k"), &info), ERR_NOT_FOUND);
	world_close(&w);
}

static void refusals_say_what_to_do(void *arg)
{
	static const struct {
		const char *status, *body, *words;
	} cases[] = {
		{ "403 Forbidden", ERROR("SignatureDoesNotMatch"),
			"S3 GET k in bucket bucket: 403 SignatureDoesNotMatch: fs_s3_secret" },
		{ "403 Forbidden", ERROR("InvalidAccessKeyId"), "fs_s3_access_key" },
		{ "403 Forbidden", ERROR("AccessDenied"), "s3:GetObject" },
		{ "403 Forbidden", "", "403: the keys may not do this" },
		{ "400 Bad Request",
			"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-1</Region></"
			"Error>",
			"its region is eu-1" },
		{ "400 Bad Request", ERROR("SomethingNew"), "400 SomethingNew" },
	};
	struct world w;
	struct str body;
	(void)arg;
	world_open(&w, "");
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		then(&w, cases[i].status, "", cases[i].body);
		script(&w);
		assert_failure(&w, get(&w, "k", &body), ERR_UNAVAILABLE, cases[i].words);
	}
	world_close(&w);
}

static void a_wrong_clock_costs_one_request(void *arg)
{
	struct world w;
	struct str body;
	(void)arg;
	world_open(&w, "");
	then(&w, "403 Forbidden", "Date: Fri, 24 May 2013 00:00:00 GMT\r\n",
		ERROR("RequestTimeTooSkewed"));
	then(&w, "200 OK", "", "hello");
	script(&w);
	assert_ok(get(&w, "k", &body));
	assert_ok(get(&w, "k", &body));
	assert_int_equal(w.server.request_count, 3);
	assert_false(sent(&w, 0, "\r\nx-amz-date: 20130524T0"));
	assert_true(sent(&w, 1, "\r\nx-amz-date: 20130524T0"));
	assert_true(sent(&w, 2, "\r\nx-amz-date: 20130524T0"));
	world_close(&w);
}

IN_TASK(puts_say_what_they_want)
IN_TASK(a_refused_put_may_have_been_our_own)
IN_TASK(a_put_never_finds_something_missing)
IN_TASK(what_answers_like_a_web_server_is_no_store)
IN_TASK(a_server_that_cannot_refuse_is_found_out)
IN_TASK(a_body_that_changed_on_its_way_is_sent_again)
IN_TASK(wrong_bytes_are_asked_for_again)
IN_TASK(a_body_cut_short_is_no_damage)
IN_TASK(ranges_are_those_asked_for)
IN_TASK(only_the_servers_word_makes_an_object_missing)
IN_TASK(refusals_say_what_to_do)
IN_TASK(a_wrong_clock_costs_one_request)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_say_what_they_want_),
		cmocka_unit_test(a_refused_put_may_have_been_our_own_),
		cmocka_unit_test(a_put_never_finds_something_missing_),
		cmocka_unit_test(what_answers_like_a_web_server_is_no_store_),
		cmocka_unit_test(a_server_that_cannot_refuse_is_found_out_),
		cmocka_unit_test(a_body_that_changed_on_its_way_is_sent_again_),
		cmocka_unit_test(wrong_bytes_are_asked_for_again_),
		cmocka_unit_test(a_body_cut_short_is_no_damage_),
		cmocka_unit_test(ranges_are_those_asked_for_),
		cmocka_unit_test(only_the_servers_word_makes_an_object_missing_),
		cmocka_unit_test(refusals_say_what_to_do_),
		cmocka_unit_test(a_wrong_clock_costs_one_request_),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
