/* SPDX-License-Identifier: Apache-2.0 */
/* Many keys, copies and uploads in parts against a server that answers by script. */
#include "objects/s3_private.h"

#include "base/test.h"

#include "objects/s3_test_private.h"

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

/* A refusal that names no key of ours must neither be taken for success nor delete what nobody named. */
static void refusals_of_unknown_keys_are_not_believed(void *arg)
{
	static const char *const bodies[] = {
		"<DeleteResult><Error><Key>at/other</Key><Code>InternalError</Code></Error>"
		"</DeleteResult>",
		"<DeleteResult><Error><Code>InternalError</Code></Error></DeleteResult>",
	};
	const struct str keys[] = { STR("a"), STR("b") };
	struct world w;
	(void)arg;
	world_open(&w, "");
	for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
		then(&w, "200 OK", "", bodies[i]);
		then(&w, "204 No Content", "", "");
		script(&w);
		assert_ok(objects_delete_many(&w.op, w.store, keys, 2));
		assert_int_equal(w.server.request_count, 3);
		assert_true(sent(&w, 1, "DELETE /bucket/at/a "));
		assert_true(sent(&w, 2, "DELETE /bucket/at/b "));
	}
	world_close(&w);
}

static enum err count_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	(void)op;
	(void)key;
	(void)info;
	(*(int *)arg)++;
	return ERR_NONE;
}

static void a_listing_that_turns_in_a_circle_ends(void *arg)
{
	struct world w;
	int count = 0;
	(void)arg;
	world_open(&w, "");
	then(&w, "200 OK", "",
		"<ListBucketResult><Contents><Key>at/k</Key><Size>1</Size></Contents><IsTruncated>"
		"true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
		"</ListBucketResult>");
	script(&w);
	assert_failure(&w, objects_iter(&w.op, w.store, STR(""), count_key, &count), ERR_CORRUPT,
		"does not get on");
	assert_int_equal(w.server.request_count, 2);
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

static void a_server_without_conditions_on_completions_is_found_out(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "?multipart_size=5242880");
	for (unsigned i = 0; i < 2; i++) {
		then(&w, "200 OK", "", BEGUN);
		then(&w, "200 OK", "ETag: \"e\"\r\n", "");
		then(&w, "200 OK", "ETag: \"e\"\r\n", "");
		if (i == 0)
			then(&w, "501 Not Implemented", "", ERROR("NotImplemented"));
		then(&w, "200 OK", "", "<CompleteMultipartUploadResult/>");
	}
	script(&w);
	assert_ok(put_big(&w));
	assert_int_equal(w.server.request_count, 5);
	assert_true(sent(&w, 3, "if-none-match: *"));
	assert_true(sent(&w, 4, "POST /bucket/at/big?uploadId=i%2Fd "));
	assert_false(sent(&w, 4, "if-none-match"));
	assert_ok(put_big(&w));
	assert_int_equal(w.server.request_count, 9);
	assert_false(sent(&w, 8, "if-none-match"));
	world_close(&w);
}

/* Something between us and the store answers for it. */
static void a_page_is_no_proof_of_a_delete(void *arg)
{
	struct world w;
	(void)arg;
	world_open(&w, "");
	w.acts[w.act_count++].reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n"
					  "Content-Type: text/html\r\n\r\n<p>Please login");
	then(&w, "200 OK", "", "");
	script(&w);
	assert_failure(&w, objects_delete(&w.op, w.store, STR("a")), ERR_UNAVAILABLE,
		"S3 DELETE a: 200, but the answer is not one of an S3 server");
	assert_ok(objects_delete(&w.op, w.store, STR("a")));
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

IN_TASK(keys_that_a_bulk_refused_are_deleted_again)
IN_TASK(refusals_of_unknown_keys_are_not_believed)
IN_TASK(a_listing_that_turns_in_a_circle_ends)
IN_TASK(a_server_without_bulk_deletes_is_found_out)
IN_TASK(a_copy_may_fail_with_status_200)
IN_TASK(big_bodies_go_in_parts)
IN_TASK(a_server_without_conditions_on_completions_is_found_out)
IN_TASK(a_page_is_no_proof_of_a_delete)
IN_TASK(failed_uploads_are_aborted)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_that_a_bulk_refused_are_deleted_again_),
		cmocka_unit_test(refusals_of_unknown_keys_are_not_believed_),
		cmocka_unit_test(a_listing_that_turns_in_a_circle_ends_),
		cmocka_unit_test(a_server_without_bulk_deletes_is_found_out_),
		cmocka_unit_test(a_copy_may_fail_with_status_200_),
		cmocka_unit_test(big_bodies_go_in_parts_),
		cmocka_unit_test(a_server_without_conditions_on_completions_is_found_out_),
		cmocka_unit_test(a_page_is_no_proof_of_a_delete_),
		cmocka_unit_test(failed_uploads_are_aborted_),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
