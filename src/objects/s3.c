/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3.c - objects in a bucket of an S3 server, AWS's or another one's.
 *
 * Cost:      one request for put, get, delete and stat; ceil(n / 1000) for a multi-delete; a body above
 *            fs_s3_multipart_size its parts and two more.
 * Overwrite: put says If-None-Match: *; a server that does not know it is found out at the first put, and
 *            from then on existing keys are overwritten (keys are unique).
 * Integrity: on its way up a body is protected by the signature's hash, or by TLS with a CRC that AWS and
 *            others check; with old signatures by Content-MD5. Our own CRC-32C stays beside the object as metadata, so that any read of a
 *            whole object is checked, whatever the server's ETag means.
 * Answers:   NOT_FOUND needs the server's word for it (NoSuchKey): a missing bucket, a proxy's 404 page or
 *            wrong keys are ERR_UNAVAILABLE, because lost mail looks different from a wrong setting.
 * Spec:      sheet storage §9.1, §9.2, §9.7. */
#include "base/codec.h"
#include "base/file.h"
#include "base/number.h"
#include "objects/s3_private.h"

/* ---- life ---- */

static void s3_free(struct s3_store *s)
{
	http_client_close(s->http);
	aws_source_close(s->keys);
	mem_wipe(&s->day, sizeof(s->day));
	arena_done(&s->arena);
	mem_free(s);
}

static void s3_close(struct objects *o)
{
	s3_free(s3_store(o));
}

/* What AWS's support asks for stands in the events of requests. */
static void log_request_ids(struct op *op, struct http_settings *http)
{
	static const char *const ids[] = { "x-amz-request-id", "x-amz-id-2" };
	struct str *names =
		ARENA_NEW_ARRAY(op->arena, struct str, http->log_header_count + ARRAY_COUNT(ids));
	size_t n = http->log_header_count;
	if (n)
		memcpy(names, http->log_headers, n * sizeof(*names));
	for (size_t i = 0; i < ARRAY_COUNT(ids); i++)
		names[n++] = str_from(ids[i]);
	http->log_headers = names;
	http->log_header_count = n;
}

static enum err store_fill(struct op *op, struct s3_store *s, struct s3_settings *settings)
{
	if (s->base.driver == &objects_aws_s3)
		log_request_ids(op, &settings->keys.http);
	settings->keys.http.redirects_max = 0; /* a signature holds for one place */
	TRY(s3_place_parse(op, &s->arena, settings, &s->place));
	TRY(aws_source_open(op, &settings->keys, &s->keys));
	s->bulk_delete_limit = settings->bulk_delete_limit;
	s->multipart_bytes = settings->multipart_bytes;
	s->refuses_overwrite = settings->refuses_overwrite;
	s->hashes_payload = settings->hashing == S3_HASH_ALWAYS ||
			    (settings->hashing == S3_HASH_AUTO && !s->place.is_tls);
	return http_client_open_with(op, &settings->keys.http, s->base.driver->name, &s->http);
}

static enum err store_new(struct op *op, const struct objects_driver *driver,
	struct s3_settings *settings, struct objects **out)
{
	struct s3_store *s = MEM_NEW(struct s3_store);
	arena_init(&s->arena, 0);
	s->base.driver = driver;
	enum err e = store_fill(op, s, settings);
	if (e != ERR_NONE) {
		s3_free(s);
		return e;
	}
	*out = &s->base;
	return ERR_NONE;
}

/* From the configuration, or from a stack's text. */
static enum err store_open(struct op *op, const struct objects_driver *driver,
	const struct config_scope *scope, struct str text, struct objects **out)
{
	struct s3_settings settings;
	AUTO_BUF(ca, 0);
	if (scope) {
		TRY(s3_settings_of(op, scope, driver, &settings));
		return store_new(op, driver, &settings, out);
	}
	TRY(s3_settings_parse(op, text, &settings));
	if (settings.ca_file.n)
		TRY(file_read(op, str_dup_z(op->arena, settings.ca_file), 1 << 20, &ca));
	settings.keys.http.ca_pem = buf_str(&ca);
	return store_new(op, driver, &settings, out);
}

static enum err s3_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)inner;
	return store_open(op, &objects_s3, scope, argument, out);
}

static enum err aws_s3_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)inner;
	return store_open(op, &objects_aws_s3, scope, argument, out);
}

/* ---- what is said of an object ---- */

uint32_t s3_crc(const struct str *parts, size_t part_count)
{
	uint32_t crc = 0;
	for (size_t i = 0; i < part_count; i++)
		crc = hash_crc32c(crc, parts[i]);
	return crc;
}

void s3_call_describe(
	struct op *op, struct s3_call *call, const struct object_put *put, uint32_t crc)
{
	struct http_headers meta = { 0 };
	remote_meta_add(op, &meta, STR(S3_META_PREFIX), '-', put);
	s3_call_header(call, STR("content-type"), STR("application/octet-stream"));
	s3_call_header(call, STR(S3_META_CRC), str_printf(op->arena, "%08x", crc));
	for (size_t i = 0; i < meta.count; i++)
		s3_call_header(call, meta.items[i].name, meta.items[i].value);
}

/* The checksum beside an object; false: somebody else wrote it. */
static bool crc_of(const struct http_answer *answer, uint32_t *out)
{
	uint64_t crc;
	struct str text = http_answer_header(answer, STR(S3_META_CRC));
	if (text.n != 8 || !number_parse_hex_u64(text, &crc))
		return false;
	*out = (uint32_t)crc;
	return true;
}

enum err s3_head(struct op *op, struct s3_store *s, struct str key, struct http_answer *out)
{
	struct s3_call call = { .method = STR("HEAD"), .key = key, .is_repeatable = true };
	TRY(s3_call(op, s, &call, out));
	if (out->status == 200)
		return ERR_NONE;
	if (out->status != 404)
		return s3_refusal(op, s, &call, out);
	/* Answers to HEAD have no body that tells a missing object from a missing bucket. */
	struct s3_call get = { .method = STR("GET"), .key = key, .is_repeatable = true };
	s3_call_header(&get, STR("range"), STR("bytes=0-0"));
	struct http_answer told;
	TRY(s3_call(op, s, &get, &told));
	if (told.status < 300 || told.status == 416) /* it came just now */
		return op_fail(op, ERR_NOT_FOUND, "object %.*s did not exist", STRF(key));
	return s3_refusal(op, s, &get, &told);
}

enum err s3_compare(struct op *op, struct s3_store *s, struct str key, uint64_t size, uint32_t crc)
{
	struct http_answer answer;
	struct object_info info;
	uint32_t theirs;
	TRY(s3_head(op, s, key, &answer));
	TRY(remote_info_read(op, &answer, &info));
	if (info.size_bytes == size && crc_of(&answer, &theirs) && theirs == crc)
		return ERR_NONE;
	return op_fail(op, ERR_EXISTS, "object %.*s exists", STRF(key));
}

/* ---- put ---- */

/* The CRC in the form that servers check. */
static struct str checksum(struct op *op, uint32_t crc)
{
	const char bytes[4] = { (char)(crc >> 24), (char)(crc >> 16), (char)(crc >> 8), (char)crc };
	AUTO_BUF(text, 0);
	base64_encode(&text, (struct str){ bytes, 4 });
	return buf_dup(op->arena, &text);
}

/* One request. *out_unknown: the server refused it for its condition. */
static enum err put_once(struct op *op, struct s3_store *s, const struct object_put *put,
	uint64_t size, uint32_t crc, bool *out_unknown)
{
	struct http_answer answer;
	struct s3_call call = {
		.method = STR("PUT"),
		.key = put->key,
		.parts = put->parts,
		.part_count = put->part_count,
		.is_repeatable = true,
		.retries_conflict = s->refuses_overwrite,
	};
	s3_call_describe(op, &call, put, crc);
	if (s->place.region.n == 0)
		s3_call_header(
			&call, STR("content-md5"), s3_content_md5(op, put->parts, put->part_count));
	else if (!s->hashes_payload)
		s3_call_header(&call, STR("x-amz-checksum-crc32c"), checksum(op, crc));
	if (s->refuses_overwrite)
		s3_call_header(&call, STR("if-none-match"), STR("*"));
	TRY(s3_call(op, s, &call, &answer));
	*out_unknown = answer.status == 501 && s->refuses_overwrite;
	if (*out_unknown || answer.status / 100 == 2)
		return ERR_NONE;
	if (answer.status == 412 && answer.maybe_repeated)
		return s3_compare(op, s, put->key, size, crc);
	if (answer.status == 412)
		return op_fail(op, ERR_EXISTS, "object %.*s exists", STRF(put->key));
	return s3_refusal(op, s, &call, &answer);
}

static enum err s3_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct s3_store *s = s3_store(o);
	uint64_t size = objects_parts_bytes(put->parts, put->part_count);
	uint32_t crc = s3_crc(put->parts, put->part_count);
	bool is_unknown = false;
	if (s->multipart_bytes > 0 && size > s->multipart_bytes)
		return s3_upload(op, s, put, size, crc);
	TRY(put_once(op, s, put, size, crc, &is_unknown));
	if (!is_unknown)
		return ERR_NONE;
	s->refuses_overwrite = false;
	return put_once(op, s, put, size, crc, &is_unknown);
}

/* ---- get ---- */

/* Where an answer holds the whole object: is it what was stored? ERR_CORRUPT: no. */
static enum err check_content(struct op *op, struct str key, const struct http_answer *answer)
{
	uint64_t from, to, total;
	uint32_t crc;
	bool is_whole = answer->status == 200 ||
			(remote_range_of(answer, &from, &to, &total) && answer->body.n == total);
	if (!is_whole || !crc_of(answer, &crc) || crc == s3_crc(&answer->body, 1))
		return ERR_NONE;
	return op_fail(op, ERR_CORRUPT,
		"object %.*s: %zu bytes came with another checksum than they were stored with",
		STRF(key), answer->body.n);
}

static enum err get_once(struct op *op, struct s3_store *s, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct http_answer answer;
	struct http_headers range = { 0 };
	struct s3_call call = { .method = STR("GET"), .key = key, .is_repeatable = true };
	/* A server that ignores the range sends more than was asked for. */
	call.answer_max = offset > 0 ? S3_BODY_MAX : MIN(length, S3_BODY_MAX);
	(void)remote_range_add(op, &range, offset, length);
	if (range.count)
		s3_call_header(&call, STR("range"), range.items[0].value);
	TRY(s3_call(op, s, &call, &answer));
	if (answer.status != 200 && answer.status != 206 && answer.status != 416)
		return s3_refusal(op, s, &call, &answer);
	TRY(check_content(op, key, &answer));
	return op_within(
		op, remote_range_read(op, &answer, offset, length, out), "S3 GET %.*s", STRF(key));
}

static enum err s3_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct s3_store *s = s3_store(o);
	/* Nothing is asked for, or nothing can be there: but the object must be. */
	if (offset > INT64_MAX || length == 0) {
		struct http_answer answer;
		*out = STR("");
		return s3_head(op, s, key, &answer);
	}
	enum err e = get_once(op, s, key, offset, length, out);
	if (e != ERR_CORRUPT)
		return e;
	/* What changed on its way comes right the second time. */
	op_forgive(op);
	return get_once(op, s, key, offset, length, out);
}

/* ---- stat, metadata ---- */

static enum err s3_stat(struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct http_answer answer;
	TRY(s3_head(op, s3_store(o), key, &answer));
	return remote_info_read(op, &answer, out);
}

static enum err s3_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	struct http_answer answer;
	TRY(s3_head(op, s3_store(o), key, &answer));
	remote_meta_read(op, &answer, STR(S3_META_PREFIX), '-', out, out_count);
	return ERR_NONE;
}

#define S3_FUNCTIONS                                                                               \
	.is_remote = true, .close = s3_close, .put = s3_put, .get = s3_get, .remove = s3_remove,   \
	.stat = s3_stat, .iter = s3_iter, .copy = s3_copy, .remove_many = s3_remove_many,          \
	.metadata = s3_metadata

const struct objects_driver objects_s3 = { .name = "s3", .open = s3_open, S3_FUNCTIONS };
const struct objects_driver objects_aws_s3 = {
	.name = "aws-s3", .open = aws_s3_open, S3_FUNCTIONS
};
