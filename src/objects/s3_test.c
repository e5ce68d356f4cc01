/* SPDX-License-Identifier: Apache-2.0 */
/* The S3 driver against a server that answers by script: what real servers rarely do. What they do usually
 * is in contract_test.c. */
#include "objects/s3_private.h"

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "config/config.h"
#include "http/test_server.h"

struct world {
	struct arena arena;
	struct op op;
	struct test_server server;
	struct objects *store;
	struct act acts[16];
	size_t act_count;
	const char *parameters;
};

/* Adds a reply to the script. */
static void then(struct world *w, const char *status, const char *headers, const char *body)
{
	ASSERT(w->act_count < ARRAY_COUNT(w->acts));
	w->acts[w->act_count++].reply =
		str_printf(&w->arena, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status,
			strlen(body), headers, body);
}

static void world_open(struct world *w, const char *parameters)
{
	*w = (struct world){ 0 };
	arena_init(&w->arena, 0);
	op_init(&w->op, &w->arena, NULL, now_us() + 60 * US_PER_SEC);
	test_server_open(&w->server, NULL, w->acts, 0);
	w->parameters = parameters;
}

/* What is to be answered from now on, to a store that has just been opened. */
static void script(struct world *w)
{
	objects_close(w->store);
	test_server_script(&w->server, w->acts, w->act_count);
	w->act_count = 0;
	assert_ok(objects_open_text(&w->op,
		str_printf(&w->arena, "s3(http://key:secret@127.0.0.1:%u/bucket/at%s)",
			w->server.port, w->parameters),
		&w->store));
}

static void world_close(struct world *w)
{
	objects_close(w->store);
	test_server_close(&w->server);
	arena_done(&w->arena);
}

static bool sent(const struct world *w, size_t request, const char *text)
{
	assert_true(request < w->server.request_count);
	return str_find_ci(str_from(w->server.requests[request]), str_from(text)) >= 0;
}

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

/* Checks class and a part of the operator's text. */
#define assert_failure(w, expr, class, words)                                                      \
	do {                                                                                       \
		assert_err(expr, class);                                                           \
		assert_non_null(strstr((w)->op.failure.text, words));                              \
		op_forgive(&(w)->op);                                                              \
	} while (0)

#define ERROR(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"
#define HELLO_CRC   "x-amz-meta-pombal-crc32c: 9a71bb4c\r\n" /* of "hello" */

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

/* ---- many ---- */

static void keys_that_a_bulk_refused_are_deleted_again(void *arg)
{
	const struct str keys[] = { STR("a"), STR("b&c"), STR("d\x01"), STR("e") };
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "200 OK", "",
		"<DeleteResult><Error><Key>at/b&amp;c</Key><Code>InternalError</Code></Error>"
		"<Error><Key>at/e</Key><Code>NoSuchKey</Code></Error></DeleteResult>");
	then(&w, "204 No Content", "", "");
	script(&w);
	assert_ok(objects_delete_many(&w.op, w.store, keys, ARRAY_COUNT(keys)));
	assert_int_equal(w.server.request_count, 3);
	assert_true(sent(&w, 0, "POST /bucket?delete= HTTP/1.1\r\n"));
	assert_true(sent(&w, 0, "<Object><Key>at/a</Key></Object><Object><Key>at/b&amp;c</Key>"));
	assert_true(sent(&w, 0, "\r\ncontent-md5: "));
	assert_true(sent(&w, 1, "DELETE /bucket/at/d%01 "));
	assert_true(sent(&w, 2, "DELETE /bucket/at/b%26c "));
	/* What stays refused is told. */
	then(&w, "200 OK", "",
		"<DeleteResult><Error><Key>at/a</Key><Code>AccessDenied</Code></Error></"
		"DeleteResult>");
	then(&w, "403 Forbidden", "", ERROR("AccessDenied"));
	script(&w);
	assert_failure(&w, objects_delete_many(&w.op, w.store, keys, 2), ERR_UNAVAILABLE,
		"S3 DELETE a in bucket bucket: 403 AccessDenied");
	world_close(&w);
}

static void a_server_without_bulk_deletes_is_found_out(void *arg)
{
	const struct str keys[] = { STR("a"), STR("b") };
	struct world w;
	(void)arg;
	world_open(&w, "");
	then(&w, "501 Not Implemented", "", ERROR("NotImplemented"));
	then(&w, "204 No Content", "", "");
	script(&w);
	assert_ok(objects_delete_many(&w.op, w.store, keys, 2));
	assert_ok(objects_delete_many(&w.op, w.store, keys, 2));
	assert_int_equal(w.server.request_count, 5);
	world_close(&w);
}

static void a_copy_may_fail_with_status_200(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	for (int i = 0; i < 2; i++) {
		w.acts[w.act_count++].reply = STR("HTTP/1.1 404 Not Found\r\n\r\n");
		then(&w, "404 Not Found", "", ERROR("NoSuchKey"));
		then(&w, "200 OK", "", i == 0 ? ERROR("InternalError") : "<CopyObjectResult/>");
	}
	script(&w);
	assert_failure(&w, objects_copy(&w.op, w.store, STR("a"), STR("b")), ERR_UNAVAILABLE,
		"200 InternalError");
	assert_ok(objects_copy(&w.op, w.store, STR("a"), STR("b")));
	assert_true(sent(&w, 2, "\r\nx-amz-copy-source: /bucket/at/a\r\n"));
	world_close(&w);
}

/* ---- uploads ---- */

#define BEGUN                                                                                      \
	"<InitiateMultipartUploadResult><UploadId>i/d</UploadId></InitiateMultipartUploadResult>"

static enum err put_big(struct world *w)
{
	size_t n = (5u << 20) + 3;
	const struct str parts[] = { { arena_alloc(&w->arena, n - 1), n - 1 }, STR("x"),
		STR("yz") };
	return objects_put(&w->op, w->store,
		&(struct object_put){ STR("big"), parts, ARRAY_COUNT(parts), NULL, 0 });
}

static void big_bodies_go_in_parts(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "?multipart_size=5242880");
	then(&w, "200 OK", "", BEGUN);
	then(&w, "200 OK", "ETag: \"e\"\r\n", "");
	then(&w, "200 OK", "ETag: \"e\"\r\n", "");
	then(&w, "200 OK", "", "<CompleteMultipartUploadResult/>");
	script(&w);
	assert_ok(put_big(&w));
	assert_int_equal(w.server.request_count, 4);
	assert_true(sent(&w, 0, "POST /bucket/at/big?uploads= "));
	assert_true(sent(&w, 1, "uploadId=i%2Fd "));
	assert_true(sent(&w, 3, "POST /bucket/at/big?uploadId=i%2Fd "));
	assert_true(sent(&w, 3, "if-none-match: *"));
	assert_true(
		sent(&w, 3, "<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag></Part>"));
	world_close(&w);
}

static void failed_uploads_are_aborted(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "?multipart_size=5242880");
	then(&w, "200 OK", "", BEGUN);
	then(&w, "200 OK", "ETag: \"e\"\r\n", "");
	then(&w, "200 OK", "ETag: \"e\"\r\n", "");
	then(&w, "200 OK", "", ERROR("InternalError"));
	then(&w, "204 No Content", "", "");
	script(&w);
	assert_failure(&w, put_big(&w), ERR_UNAVAILABLE, "200 InternalError");
	assert_int_equal(w.server.request_count, 5);
	assert_true(sent(&w, 4, "DELETE /bucket/at/big?uploadId=i%2Fd "));
	world_close(&w);
}

/* ---- a real server, where POMBAL_TEST_S3 says that there is one ---- */

/* The URL with another end, or another beginning of the secret. */
static struct objects *real_store(struct world *w, const char *url, const char *end)
{
	struct objects *store = NULL;
	struct str text = str_printf(&w->arena, "s3(%s%s)", url, end);
	assert_ok(objects_open_text(&w->op, text, &store));
	return store;
}

static struct str noise(struct world *w, size_t n)
{
	char *bytes = arena_alloc(&w->arena, n);
	random_bytes(bytes, n);
	return (struct str){ bytes, n };
}

static void real_multipart(struct world *w, const char *url)
{
	struct str body = STR_NONE, big = noise(w, (12u << 20) + 5);
	const struct object_meta meta = { STR("guid"), STR("f00") };
	const struct object_put put = { STR("big"), &big, 1, &meta, 1 };
	struct object_meta *found;
	size_t count;
	struct objects *store = real_store(w, url, "?multipart_size=5242880");
	assert_ok(objects_put(&w->op, store, &put));
	assert_ok(objects_get(&w->op, store, STR("big"), SIZE_MAX, &body));
	assert_true(str_eq(body, big));
	assert_ok(objects_get_range(&w->op, store, STR("big"), 5242870, 20, &body));
	assert_str(body, str_slice(big, 5242870, 5242890));
	assert_ok(objects_metadata(&w->op, store, STR("big"), &found, &count));
	assert_int_equal(count, 1);
	assert_str(found[0].value, STR("f00"));
	assert_err(objects_put(&w->op, store, &put), ERR_EXISTS);
	objects_close(store);
}

static enum err count_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	size_t *count = arg;
	(void)op;
	(void)key;
	(void)info;
	++*count;
	return ERR_NONE;
}

/* More than a page, more than a multi-delete. */
static void real_thousands(struct world *w, const char *url)
{
	enum { KEYS = 1100 };
	struct str *keys = ARENA_NEW_ARRAY(&w->arena, struct str, KEYS);
	size_t count = 0;
	struct objects *store = real_store(w, url, "/many");
	for (size_t i = 0; i < KEYS; i++) {
		keys[i] = str_printf(&w->arena, "u/mails/%zu <&\"'+ %%", i);
		assert_ok(objects_put(
			&w->op, store, &(struct object_put){ keys[i], keys, 1, NULL, 0 }));
	}
	assert_ok(objects_iter(&w->op, store, STR("u/"), count_key, &count));
	assert_int_equal(count, KEYS);
	assert_ok(objects_delete_many(&w->op, store, keys, KEYS));
	count = 0;
	assert_ok(objects_iter(&w->op, store, STR("u/"), count_key, &count));
	assert_int_equal(count, 0);
	objects_close(store);
}

static void real_refusals(struct world *w, const char *url)
{
	struct str body, at = str_from(url), user, bucket;
	/* "http://key:secret@host:port/bucket/..." */
	assert_true(str_skip(&at, STR("http://")) && str_cut(&at, '@', &user) &&
		    str_cut(&at, '/', &bucket));
	struct str other = str_printf(
		&w->arena, "http://%.*s@%.*s/no-such-bucket-here", STRF(user), STRF(bucket));
	struct objects *store = real_store(w, other.p, "");
	assert_failure(w, objects_get(&w->op, store, STR("k"), 9, &body), ERR_UNAVAILABLE,
		"NoSuchBucket: create the bucket");
	objects_close(store);
	other = str_printf(&w->arena, "http://%.*sx@%.*s/%.*s", STRF(user), STRF(bucket), STRF(at));
	store = real_store(w, other.p, "");
	assert_failure(w, objects_get(&w->op, store, STR("k"), 9, &body), ERR_UNAVAILABLE,
		"SignatureDoesNotMatch: fs_s3_secret");
	objects_close(store);
}

static void a_real_server(void *arg)
{
	struct world w = { 0 };
	arena_init(&w.arena, 0);
	op_init(&w.op, &w.arena, NULL, now_us() + 120 * US_PER_SEC);
	const char *url =
		str_printf(&w.arena, "%s/s3-test-%016" PRIx64, (const char *)arg, random_u64()).p;
	real_multipart(&w, url);
	real_thousands(&w, url);
	real_refusals(&w, url);
	arena_done(&w.arena);
}

static void a_real_server_(void **state)
{
	(void)state;
	char *url = getenv("POMBAL_TEST_S3");
	if (!url)
		skip();
	test_in_task(a_real_server, url);
}

/* ---- places ---- */

static void places(void **state)
{
	(void)state;
	static const struct {
		const char *url, *bucket;
		const char *origin, *root, *name, *prefix; /* origin NULL: refused */
	} cases[] = {
		{ "https://mails.s3.eu-1.amazonaws.com/", "", "https://mails.s3.eu-1.amazonaws.com",
			"/", "mails", "" },
		{ "https://mails.s3.eu-1.amazonaws.com/a%20b/c/", "",
			"https://mails.s3.eu-1.amazonaws.com", "/", "mails", "a b/c/" },
		{ "http://127.0.0.1:9000/x", "mails", "http://127.0.0.1:9000", "/mails", "mails",
			"x/" },
		{ "http://[::1]:9000", "mails", "http://[::1]:9000", "/mails", "mails", "" },
		{ "http://127.0.0.1:9000/x", "", NULL, "", "", "" },
		{ "http://[::1]:9000/x", "", NULL, "", "", "" },
		{ "http://localhost/x", "", NULL, "", "", "" },
		{ "http://a.example/x", "no/name", NULL, "", "", "" },
		{ "http://a.example/x?bucket=b", "b", NULL, "", "", "" },
		{ "http://a.example/../x", "b", NULL, "", "", "" },
		{ "http://a.example/%2e%2e/x", "b", NULL, "", "", "" },
		{ "ftp://a.example/", "b", NULL, "", "", "" },
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		AUTO_ARENA(arena, 0);
		struct op op;
		struct s3_place place;
		const struct s3_settings settings = { .url = str_from(cases[i].url),
			.bucket = str_from(cases[i].bucket) };
		op_init(&op, &arena, NULL, TIME_NEVER);
		enum err e = s3_place_parse(&op, &arena, &settings, &place);
		if (!cases[i].origin) {
			assert_err(e, ERR_INVALID);
			continue;
		}
		assert_ok(e);
		assert_str(place.origin, str_from(cases[i].origin));
		assert_str(place.root, str_from(cases[i].root));
		assert_str(place.bucket, str_from(cases[i].name));
		assert_str(place.key_prefix, str_from(cases[i].prefix));
	}
}

/* What the innermost fs block of obox says, as the driver's open sees it. */
static void check_configured(const char *text, const char *url, const char *region,
	const char *secret, int64_t timeout_us)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct config *cfg;
	struct config_problems problems;
	struct s3_settings got;
	struct objects *store;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct config_load_args args = { .text = str_printf(&arena,
						 "dovecot_config_version = 2.4.0\n"
						 "dovecot_storage_version = 2.4.0\n%s",
						 text) };
	assert_ok(config_load(&op, &args, &problems, &cfg));
	const struct config_scope *scope =
		config_block_get(config_scope(cfg, NULL), BLOCK_obox, STR_NONE);
	while (config_block_count(scope, BLOCK_fs) > 0)
		scope = config_block_at(scope, BLOCK_fs, 0);
	bool is_aws = config_is(scope, SET_fs_driver, STR("aws-s3"));
	assert_ok(s3_settings_of(&op, scope, is_aws ? &objects_aws_s3 : &objects_s3, &got));
	assert_str(got.url, str_from(url));
	assert_str(got.region, str_from(region));
	assert_str(got.keys.secret, str_from(secret));
	assert_int_equal(got.keys.http.timeout_us[HTTP_READ], timeout_us);
	const struct objects_driver *driver = is_aws ? &objects_aws_s3 : &objects_s3;
	assert_ok(driver->open(&op, scope, STR_NONE, NULL, &store));
	objects_close(store);
	config_unref(cfg);
}

static void configured(void *arg)
{
	(void)arg;
	check_configured("@fs_defaults = s3\n"
			 "fs_s3_url = https://k:s%2f@b.s3.example.com/pre\n",
		"https://k:s%2f@b.s3.example.com/pre", "", "s/", 10 * US_PER_SEC);
	check_configured("@fs_defaults = aws-s3\n"
			 "fs_s3_url = https://b.s3.eu-1.amazonaws.com\n"
			 "fs_s3_access_key = k\n"
			 "fs_aws_s3 {\n  fs_s3_region = eu-1\n}\n"
			 "fs_s3 {\n  fs_s3_secret = s\n  http_client_request_timeout = 3s\n}\n",
		"https://b.s3.eu-1.amazonaws.com", "eu-1", "s", 3 * US_PER_SEC);
	check_configured("obox {\n fs s3 {\n  url = http://127.0.0.1:9000/\n  bucket = b\n"
			 "  region = r\n  access_key = k\n  secret = s\n }\n}\n",
		"http://127.0.0.1:9000/", "r", "s", 10 * US_PER_SEC);
}

#define IN_TASK(fn)                                                                                \
	static void fn##_(void **state)                                                            \
	{                                                                                          \
		test_in_task(fn, *state);                                                          \
	}
IN_TASK(configured)
IN_TASK(puts_say_what_they_want)
IN_TASK(a_refused_put_may_have_been_our_own)
IN_TASK(a_server_that_cannot_refuse_is_found_out)
IN_TASK(a_body_that_changed_on_its_way_is_sent_again)
IN_TASK(wrong_bytes_are_asked_for_again)
IN_TASK(a_body_cut_short_is_no_damage)
IN_TASK(ranges_are_those_asked_for)
IN_TASK(only_the_servers_word_makes_an_object_missing)
IN_TASK(refusals_say_what_to_do)
IN_TASK(a_wrong_clock_costs_one_request)
IN_TASK(keys_that_a_bulk_refused_are_deleted_again)
IN_TASK(a_server_without_bulk_deletes_is_found_out)
IN_TASK(a_copy_may_fail_with_status_200)
IN_TASK(big_bodies_go_in_parts)
IN_TASK(failed_uploads_are_aborted)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_say_what_they_want_),
		cmocka_unit_test(a_refused_put_may_have_been_our_own_),
		cmocka_unit_test(a_server_that_cannot_refuse_is_found_out_),
		cmocka_unit_test(a_body_that_changed_on_its_way_is_sent_again_),
		cmocka_unit_test(wrong_bytes_are_asked_for_again_),
		cmocka_unit_test(a_body_cut_short_is_no_damage_),
		cmocka_unit_test(ranges_are_those_asked_for_),
		cmocka_unit_test(only_the_servers_word_makes_an_object_missing_),
		cmocka_unit_test(refusals_say_what_to_do_),
		cmocka_unit_test(a_wrong_clock_costs_one_request_),
		cmocka_unit_test(keys_that_a_bulk_refused_are_deleted_again_),
		cmocka_unit_test(a_server_without_bulk_deletes_is_found_out_),
		cmocka_unit_test(a_copy_may_fail_with_status_200_),
		cmocka_unit_test(big_bodies_go_in_parts_),
		cmocka_unit_test(failed_uploads_are_aborted_),
		cmocka_unit_test(a_real_server_),
		cmocka_unit_test(places),
		cmocka_unit_test(configured_),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
