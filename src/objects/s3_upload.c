/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_upload.c - bodies in parts, and copies made by the server.
 *
 * An upload is begun, its parts are sent some at a time, and it is completed, which makes the object
 * appear; whatever fails in between aborts it, since parts of forgotten uploads cost money. Completing and
 * copying may answer 200 and tell of a failure in the body. */
#include "objects/s3_private.h"
#include "objects/xml.h"
#include "task/task.h"

#define PARALLEL  4
#define PARTS_MAX 10000             /* S3's limit */
#define ABORT_US  (10 * US_PER_SEC) /* for cleaning up behind a caller whose time is over */

/* ---- parts ---- */

struct upload {
	struct s3_store *store;
	const struct object_put *put;
	struct str id; /* encoded */
	uint64_t size;
	uint64_t part_bytes;
	size_t count, next;
	struct str *etags; /* by part */
};

/* The runs of bytes offset .. offset+length-1 of a body. */
static const struct str *cut_out(struct op *op, const struct object_put *put, uint64_t offset,
	uint64_t length, size_t *out_count)
{
	struct str *runs = ARENA_NEW_ARRAY(op->arena, struct str, put->part_count);
	*out_count = 0;
	for (size_t i = 0; i < put->part_count && length > 0; i++) {
		struct str part = put->parts[i];
		if (offset >= part.n) {
			offset -= part.n;
			continue;
		}
		size_t n = (size_t)MIN(length, part.n - offset);
		runs[(*out_count)++] = (struct str){ part.p + offset, n };
		length -= n;
		offset = 0;
	}
	return runs;
}

static enum err part_send(struct op *op, struct upload *u, size_t part)
{
	struct s3_store *s = u->store;
	struct http_answer answer;
	uint64_t offset = part * u->part_bytes;
	struct s3_call call = {
		.method = STR("PUT"),
		.key = u->put->key,
		.query = str_printf(
			op->arena, "partNumber=%zu&uploadId=%.*s", part + 1, STRF(u->id)),
		.is_repeatable = true,
	};
	call.parts =
		cut_out(op, u->put, offset, MIN(u->part_bytes, u->size - offset), &call.part_count);
	if (!s->hashes_payload || s->place.region.n == 0)
		s3_call_header(
			&call, STR("content-md5"), s3_content_md5(op, call.parts, call.part_count));
	TRY(s3_call(op, s, &call, &answer));
	if (answer.status / 100 != 2)
		return s3_refusal(op, s, &call, &answer);
	u->etags[part] = http_answer_header(&answer, STR("etag"));
	if (u->etags[part].n == 0)
		return op_fail(op, ERR_UNAVAILABLE, "S3 took part %zu of %.*s without an ETag",
			part + 1, STRF(u->put->key));
	return ERR_NONE;
}

static enum err parts_send_some(struct op *op, void *arg)
{
	struct upload *u = arg;
	while (u->next < u->count)
		TRY(part_send(op, u, u->next++));
	return ERR_NONE;
}

static enum err parts_send(struct op *op, struct upload *u)
{
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(u->count, PARALLEL); i++)
		task_group_start(g, "s3 upload", parts_send_some, u);
	return task_group_finish(op, g);
}

/* ---- begin, complete, abort ---- */

static enum err upload_begin(struct op *op, struct upload *u, uint32_t crc)
{
	struct http_answer answer;
	struct str id;
	/* Begun twice, one of them is left to the bucket's rule for forgotten uploads. */
	struct s3_call call = { .method = STR("POST"),
		.key = u->put->key,
		.query = STR("uploads="),
		.is_repeatable = true };
	s3_call_describe(op, &call, u->put, crc);
	TRY(s3_call(op, u->store, &call, &answer));
	if (answer.status != 200)
		return s3_refusal(op, u->store, &call, &answer);
	TRY(s3_upload_id_read(op, answer.body, &id));
	AUTO_BUF(encoded, 0);
	http_percent_encode(&encoded, id, STR_NONE);
	u->id = buf_dup(op->arena, &encoded);
	return ERR_NONE;
}

static struct str complete_body(struct op *op, const struct upload *u)
{
	AUTO_BUF(body, 0);
	buf_put(&body, STR("<CompleteMultipartUpload "
			   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
	for (size_t i = 0; i < u->count; i++) {
		buf_putf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
		xml_put_text(&body, u->etags[i]);
		buf_put(&body, STR("</ETag></Part>"));
	}
	buf_put(&body, STR("</CompleteMultipartUpload>"));
	return buf_dup(op->arena, &body);
}

/* One request. *out_unknown: the server refused it for its condition; the parts are still there. */
static enum err complete_once(struct op *op, struct upload *u, uint32_t crc, bool *out_unknown)
{
	struct s3_store *s = u->store;
	struct http_answer answer;
	struct s3_error error;
	struct str body = complete_body(op, u);
	struct s3_call call = {
		.method = STR("POST"),
		.key = u->put->key,
		.query = str_printf(op->arena, "uploadId=%.*s", STRF(u->id)),
		.parts = &body,
		.part_count = 1,
		.is_repeatable = true,
	};
	s3_call_header(&call, STR("content-type"), STR("application/xml"));
	if (s->refuses_overwrite)
		s3_call_header(&call, STR("if-none-match"), STR("*"));
	TRY(s3_call(op, s, &call, &answer));
	*out_unknown = answer.status == 501 && s->refuses_overwrite;
	if (*out_unknown)
		return ERR_NONE;
	/* An earlier attempt may have completed it: then the upload is gone and the object is ours. */
	if (answer.maybe_repeated && (answer.status == 404 || answer.status == 412))
		return s3_compare(op, s, u->put->key, u->size, crc);
	if (answer.status == 412)
		return op_fail(op, ERR_EXISTS, "object %.*s exists", STRF(u->put->key));
	if (answer.status != 200)
		return s3_refusal(op, s, &call, &answer);
	enum err e = s3_outcome_read(op, answer.body, STR("CompleteMultipartUploadResult"), &error);
	if (e == ERR_NONE || error.code.n == 0)
		return op_within(op, e, "S3 multipart upload of %.*s", STRF(u->put->key));
	return s3_refusal_of(op, s, &call, answer.status, &error);
}

static enum err upload_complete(struct op *op, struct upload *u, uint32_t crc)
{
	bool is_unknown = false;
	TRY(complete_once(op, u, crc, &is_unknown));
	if (!is_unknown)
		return ERR_NONE;
	u->store->refuses_overwrite = false;
	return complete_once(op, u, crc, &is_unknown);
}

/* With time of its own, and without words: what counts is why the upload failed. */
static void upload_abort(struct op *op, const struct upload *u)
{
	struct op own;
	struct http_answer answer;
	op_init(&own, op->arena, op->event, now_us() + ABORT_US);
	struct s3_call call = {
		.method = STR("DELETE"),
		.key = u->put->key,
		.query = str_printf(op->arena, "uploadId=%.*s", STRF(u->id)),
		.is_repeatable = true,
	};
	task_shield();
	(void)s3_call(&own, u->store, &call, &answer);
	task_unshield();
}

enum err s3_upload(struct op *op, struct s3_store *s, const struct object_put *put, uint64_t size,
	uint32_t crc)
{
	struct upload u = {
		.store = s, .put = put, .size = size, .part_bytes = s->multipart_bytes
	};
	u.part_bytes = MAX(u.part_bytes, size / (PARTS_MAX - 1) + 1);
	u.count = (size_t)((size + u.part_bytes - 1) / u.part_bytes);
	u.etags = ARENA_NEW_ARRAY(op->arena, struct str, u.count);
	TRY(upload_begin(op, &u, crc));
	enum err e = parts_send(op, &u);
	if (e == ERR_NONE)
		e = upload_complete(op, &u, crc);
	/* After a completion that happened all the same, this finds nothing to abort. */
	if (e != ERR_NONE)
		upload_abort(op, &u);
	return e;
}

/* ---- copy ---- */

enum err s3_copy(struct op *op, struct objects *o, struct str from, struct str to)
{
	struct s3_store *s = s3_store(o);
	struct http_answer answer;
	struct s3_error error;
	/* Conditions on copies are known to few servers: a look first. */
	enum err e = s3_head(op, s, to, &answer);
	if (e == ERR_NONE)
		return op_fail(op, ERR_EXISTS, "object %.*s exists", STRF(to));
	if (e != ERR_NOT_FOUND)
		return e;
	op_forgive(op);
	AUTO_BUF(source, 0);
	buf_put_byte(&source, '/');
	buf_put(&source, s->place.bucket);
	buf_put_byte(&source, '/');
	http_percent_encode(&source, s->place.key_prefix, STR("/"));
	http_percent_encode(&source, from, STR("/"));
	struct s3_call call = { .method = STR("PUT"), .key = to, .is_repeatable = true };
	s3_call_header(&call, STR("x-amz-copy-source"), buf_str(&source));
	s3_call_header(&call, STR("x-amz-metadata-directive"), STR("COPY"));
	TRY(s3_call(op, s, &call, &answer));
	if (answer.status != 200) {
		call.key = from; /* what may be missing */
		return s3_refusal(op, s, &call, &answer);
	}
	e = s3_outcome_read(op, answer.body, STR("CopyObjectResult"), &error);
	if (e == ERR_NONE || error.code.n == 0)
		return op_within(op, e, "S3 copy to %.*s", STRF(to));
	return s3_refusal_of(op, s, &call, answer.status, &error);
}
