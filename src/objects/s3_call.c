/* SPDX-License-Identifier: Apache-2.0 */
/* objects/s3_call.c - one request to an S3 server: signed before every attempt, sent, and its refusals
 * turned into words for the operator.
 *
 * A wrong clock costs one request: the server's Date header says how far we are off, and every later
 * signature is made for its time. */
#include "base/codec.h"
#include "event/event.h"
#include "objects/s3_private.h"

#define TRIES_MAX    4                 /* of one call, after refusals that the next try can avoid */
#define SKEW_LEAST   (60 * US_PER_SEC) /* servers allow 15 minutes */
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void s3_call_header(struct s3_call *call, struct str name, struct str value)
{
	if (value.n == 0)
		return;
	ASSERT(call->header_count < S3_CALL_HEADERS_MAX);
	call->headers[call->header_count++] = (struct http_header){ name, value };
}

struct str s3_path(struct arena *arena, const struct s3_store *s, struct str key)
{
	AUTO_BUF(path, 0);
	buf_put(&path, s->place.root);
	if (key.n) {
		if (path.p[path.n - 1] != '/')
			buf_put_byte(&path, '/');
		http_percent_encode(&path, s->place.key_prefix, STR("/"));
		http_percent_encode(&path, key, STR("/"));
	}
	return buf_dup(arena, &path);
}

/* ---- signing ---- */

struct signing {
	struct s3_store *store;
	const struct s3_call *call;
	struct str path;     /* as it is sent */
	uint64_t generation; /* of the keys of the last signature */
};

static bool is_signed_header(struct str name)
{
	return str_starts(name, STR("x-amz-")) || str_starts(name, STR("content-"));
}

static void form_add(
	struct s3_form *form, struct http_header *room, struct str name, struct str value)
{
	ASSERT(form->header_count < S3_SIGN_HEADERS_MAX);
	room[form->header_count++] = (struct http_header){ name, value };
}

/* Adds a header to both: what is sent and what is signed. */
static void add_both(struct op *op, struct s3_form *form, struct http_header *room,
	struct http_headers *add, struct str name, struct str value)
{
	http_headers_add(op, add, name, value);
	form_add(form, room, name, value);
}

static void sign_v4(struct op *op, const struct signing *g, struct s3_form *form,
	struct http_header *room, const struct aws_keys *keys, struct http_headers *add)
{
	struct s3_store *s = g->store;
	char stamp[S3_STAMP_BYTES];
	s3_stamp(now_wall_us() + s->skew_us, stamp);
	form_add(form, room, STR("host"), s->place.authority);
	form->payload = g->call->payload;
	add_both(op, form, room, add, STR("x-amz-content-sha256"), form->payload);
	add_both(op, form, room, add, STR("x-amz-date"), str_from(stamp));
	if (keys->token.n)
		add_both(op, form, room, add, STR("x-amz-security-token"), keys->token);
	AUTO_BUF(authorization, 0);
	s3_sign_v4(form, keys, s->place.region, str_from(stamp), &s->day, &authorization);
	http_headers_add(op, add, STR("authorization"), buf_str(&authorization));
}

static void sign_v2(struct op *op, const struct signing *g, struct s3_form *form,
	struct http_header *room, const struct aws_keys *keys, struct http_headers *add)
{
	struct s3_store *s = g->store;
	struct str date = remote_date(op->arena, now_wall_us() + s->skew_us);
	if (!s->place.is_path_style)
		form->bucket = s->place.bucket;
	add_both(op, form, room, add, STR("date"), date);
	if (keys->token.n)
		add_both(op, form, room, add, STR("x-amz-security-token"), keys->token);
	AUTO_BUF(authorization, 0);
	s3_sign_v2(form, keys, &authorization);
	http_headers_add(op, add, STR("authorization"), buf_str(&authorization));
}

static enum err sign(
	struct op *op, const struct http_request *request, struct http_headers *add, void *arg)
{
	struct signing *g = arg;
	const struct s3_call *call = g->call;
	struct aws_keys keys;
	TRY(aws_source_keys(op, g->store->keys, &keys));
	g->generation = keys.generation;
	struct http_header room[S3_SIGN_HEADERS_MAX];
	struct s3_form form = { .method = call->method, .path = g->path, .headers = room };
	form.query = call->query;
	(void)request;
	for (size_t i = 0; i < call->header_count; i++)
		if (is_signed_header(call->headers[i].name))
			form_add(&form, room, call->headers[i].name, call->headers[i].value);
	if (g->store->place.region.n)
		sign_v4(op, g, &form, room, &keys, add);
	else
		sign_v2(op, g, &form, room, &keys, add);
	return ERR_NONE;
}

/* WAITS for a big body. Its hash, unless TLS protects it as well: hashing costs more than all else here. */
static void payload_fill(struct op *op, const struct s3_store *s, struct s3_call *call)
{
	if (call->payload.n || s->place.region.n == 0)
		return;
	if (call->part_count == 0) {
		call->payload = STR(EMPTY_SHA256);
	} else if (!s->hashes_payload) {
		call->payload = STR(S3_UNSIGNED_PAYLOAD);
	} else {
		call->payload = s3_payload_hash(op, call->parts, call->part_count);
	}
}

/* ---- refusals that another try can avoid ---- */

static bool clock_was_wrong(struct op *op, struct s3_store *s, const struct http_answer *answer)
{
	int64_t server_us = remote_date_read(http_answer_header(answer, STR("date")));
	if (answer->status != 403 || server_us == 0)
		return false;
	int64_t skew = server_us - now_wall_us();
	int64_t change = skew - s->skew_us;
	if (change > -SKEW_LEAST && change < SKEW_LEAST)
		return false;
	s->skew_us = skew;
	event_send(op->event, EVENT_WARNING, NULL,
		"S3 at %.*s: its clock and ours differ by %" PRId64
		" s; requests are signed for its time, but set this host's clock",
		STRF(s->place.origin), skew / US_PER_SEC);
	return true;
}

static bool is_one_of(struct str code, const char *const *codes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(code, str_from(codes[i])))
			return true;
	return false;
}

static bool is_worth_another_try(struct op *op, struct s3_store *s, const struct signing *g,
	const struct http_answer *answer)
{
	/* The body changed on its way, or stopped: the server kept nothing. */
	static const char *const broken[] = { "BadDigest", "XAmzContentSHA256Mismatch",
		"XAmzContentChecksumMismatch", "IncompleteBody", "RequestTimeout" };
	static const char *const ended[] = { "ExpiredToken", "TokenRefreshRequired", "InvalidToken",
		"InvalidAccessKeyId" };
	struct s3_error error;
	if (answer->status != 400 && answer->status != 403)
		return false;
	if (clock_was_wrong(op, s, answer))
		return true;
	if (!s3_error_read(op, answer->body, &error))
		return false;
	if (is_one_of(error.code, broken, ARRAY_COUNT(broken)))
		return true;
	if (!is_one_of(error.code, ended, ARRAY_COUNT(ended)))
		return false;
	return aws_source_refuse(s->keys, g->generation);
}

/* Something that answers everything with a page of its own must be neither a mail nor the proof that one was
 * stored or deleted: S3 answers a delete with 204. Answers of other kinds are looked at by those who read them. */
static enum err check_origin(
	struct op *op, const struct s3_call *call, const struct http_answer *answer)
{
	bool is_put = str_eq(call->method, STR("PUT"));
	bool is_delete = str_eq(call->method, STR("DELETE")) && answer->status != 204;
	bool is_read = str_eq(call->method, STR("GET")) || str_eq(call->method, STR("HEAD"));
	if ((answer->status / 100 != 2 && answer->status != 416) || call->key.n == 0 ||
		!(is_put || is_delete || is_read))
		return ERR_NONE;
	for (size_t i = 0; i < answer->header_count; i++)
		if (str_starts_ci(answer->headers[i].name, STR("x-amz-")) ||
			(is_put && str_eq_ci(answer->headers[i].name, STR("etag"))))
			return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE,
		"S3 %.*s %.*s: %u, but the answer is not one of an S3 server: see fs_s3_url",
		STRF(call->method), (int)MIN(call->key.n, 150u), call->key.p, answer->status);
}

enum err s3_call(struct op *op, struct s3_store *s, struct s3_call *call, struct http_answer *out)
{
	static const unsigned conflict[] = { 409 };
	struct signing g = { .store = s, .call = call, .path = s3_path(op->arena, s, call->key) };
	payload_fill(op, s, call);
	struct http_request request = {
		.method = call->method,
		.url = str_printf(op->arena, "%.*s%.*s%s%.*s", STRF(s->place.origin), STRF(g.path),
			call->query.n ? "?" : "", STRF(call->query)),
		.headers = call->headers,
		.header_count = call->header_count,
		.parts = call->parts,
		.part_count = call->part_count,
		.answer_max = call->answer_max ? call->answer_max : S3_ANSWER_MAX,
		.is_repeatable = call->is_repeatable,
		.also_retry = conflict,
		.also_retry_count = call->retries_conflict ? ARRAY_COUNT(conflict) : 0,
		.sign = sign,
		.sign_arg = &g,
		.kind = remote_kind_name(remote_kind(call->key)),
	};
	for (unsigned tries = 1;; tries++) {
		enum err e = remote_request(op, s->http, &request, out);
		if (e != ERR_NONE)
			return op_within(
				op, e, "S3 %.*s %.*s", STRF(call->method), STRF(call->key));
		if (tries == TRIES_MAX || !is_worth_another_try(op, s, &g, out))
			return check_origin(op, call, out);
	}
}

/* ---- refusals in words ---- */

static const struct {
	const char *code;
	const char *hint;
} hints[] = {
	{ "SignatureDoesNotMatch",
		"fs_s3_secret does not belong to fs_s3_access_key, or fs_s3_region is wrong" },
	{ "InvalidAccessKeyId", "the server does not know fs_s3_access_key" },
	{ "AccessDenied",
		"the keys may not do this: give them s3:GetObject, s3:PutObject, s3:DeleteObject "
		"and s3:ListBucket on the bucket" },
	{ "NoSuchBucket", "create the bucket, or correct fs_s3_bucket and fs_s3_url" },
	{ "AuthorizationHeaderMalformed", "set fs_s3_region to the bucket's region" },
	{ "InvalidRequest", "servers that refuse old signatures want fs_s3_region to be set" },
	{ "PermanentRedirect", "the bucket is elsewhere: correct fs_s3_url and fs_s3_region" },
	{ "TemporaryRedirect", "the bucket is elsewhere: correct fs_s3_url and fs_s3_region" },
	{ "IllegalLocationConstraintException", "set fs_s3_region to the bucket's region" },
	{ "RequestTimeTooSkewed", "set this host's clock" },
	{ "ExpiredToken", "the role's keys have ended and no new ones came" },
	{ "InvalidToken", "the role's keys are not taken: see fs_s3_auth_role" },
	{ "QuotaExceeded", "the store is full" },
	{ "XMinioStorageFull", "the store is full" },
	{ "EntityTooLarge", "the store takes no object of this size: see fs_s3_multipart_size" },
	{ "SlowDown", "the store is overloaded" },
	{ "BadDigest", "the body was changed on its way, several times" },
	{ "XAmzContentSHA256Mismatch", "the body was changed on its way, several times" },
	{ "InvalidBucketState", "the bucket does not take this request" },
	{ "InvalidObjectState", "the object is in an archive: no lifecycle rule may move mails" },
	{ "NotImplemented", "the server does not know this request" },
};

static const char *hint_of(struct str code)
{
	for (size_t i = 0; i < ARRAY_COUNT(hints); i++)
		if (str_eq(code, str_from(hints[i].code)))
			return hints[i].hint;
	return NULL;
}

static bool is_missing_object(struct str code)
{
	return str_eq(code, STR("NoSuchKey")) || str_eq(code, STR("NoSuchVersion"));
}

enum err s3_refusal_of(struct op *op, const struct s3_store *s, const struct s3_call *call,
	unsigned status, const struct s3_error *error)
{
	const char *hint = hint_of(error->code);
	if (is_missing_object(error->code))
		return op_fail(op, ERR_NOT_FOUND, "object %.*s does not exist", STRF(call->key));
	AUTO_BUF(text, 0);
	if (hint)
		buf_putf(&text, ": %s", hint);
	if (error->region.n)
		buf_putf(&text, "; its region is %.*s", (int)MIN(error->region.n, 40u),
			error->region.p);
	if (error->endpoint.n)
		buf_putf(&text, "; its endpoint is %.*s", (int)MIN(error->endpoint.n, 100u),
			error->endpoint.p);
	if (error->request_id.n)
		buf_putf(&text, " (request %.*s)", (int)MIN(error->request_id.n, 40u),
			error->request_id.p);
	return op_fail(op, ERR_UNAVAILABLE, "S3 %.*s %.*s in bucket %.*s: %u %.*s%.*s",
		STRF(call->method), (int)MIN(call->key.n, 150u), call->key.p, STRF(s->place.bucket),
		status, (int)MIN(error->code.n, 60u), error->code.p, STRF(buf_str(&text)));
}

enum err s3_refusal(struct op *op, const struct s3_store *s, const struct s3_call *call,
	const struct http_answer *answer)
{
	struct s3_error error;
	if (s3_error_read(op, answer->body, &error))
		return s3_refusal_of(op, s, call, answer->status, &error);
	const char *hint = "the answer is not one of an S3 server: see fs_s3_url";
	if (answer->status == 403)
		hint = "the keys may not do this, or are wrong";
	else if (answer->status == 429 || answer->status >= 500)
		hint = "the server is in trouble";
	return op_fail(op, ERR_UNAVAILABLE, "S3 %.*s %.*s in bucket %.*s: %u: %s",
		STRF(call->method), (int)MIN(call->key.n, 150u), call->key.p, STRF(s->place.bucket),
		answer->status, hint);
}
