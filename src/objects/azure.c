/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure.c - objects as block blobs of one container of an Azure storage account.
 *
 * A key is the name of a blob, behind the prefix of fs_azure_url. Overwriting is refused by the service
 * (If-None-Match: *). What authorizes a request is chosen by fs_azure_auth_type. A status that says that the
 * account or container is missing or closed to us is never "no such object": mail would look lost.
 *
 * Bodies carry Content-MD5 both ways: the service refuses what was damaged on the way up, we refuse what is
 * damaged on the way down.
 *
 * Deletes are single requests, in parallel (objects_delete_many): 1,000 take Azurite 2 s, in batches of 256 6 s, and the
 * service bills both alike.
 *
 * Spec: sheet storage §9.4; Azure Storage REST, version AZURE_VERSION. */
#include "objects/azure_private.h"

#include "event/event.h"
#include "objects/azure_text.h"
#include "objects/xml.h"

#define SAS_LIFE_US      (INT64_C(3600) * US_PER_SEC)
#define LISTING_BYTES    XML_DOCUMENT_MAX
#define ERROR_BYTES      ((size_t)64 << 10)
#define REQUEST_ID_BYTES 256

/* ---- failures ---- */

static enum err code_element(struct op *op, struct str path, struct str text, void *arg)
{
	struct str *code = arg;
	if (str_eq(path, STR("Error/Code")) && text.n <= 128)
		*code = str_dup(op->arena, text);
	return ERR_NONE;
}

struct str azure_error_code(struct op *op, const struct http_answer *answer)
{
	struct str code = http_answer_header(answer, STR("x-ms-error-code"));
	if (code.n || answer->body.n == 0)
		return code;
	if (xml_read(op, answer->body, code_element, &code) != ERR_NONE)
		op_forgive(op);
	return code;
}

/* The class of a status with the service's own word, which is what counts. */
static enum err failure_class(const struct http_answer *answer, struct str code)
{
	static const struct {
		const char *code;
		enum err class;
	} codes[] = {
		{ "BlobNotFound", ERR_NOT_FOUND },
		{ "CannotVerifyCopySource", ERR_NOT_FOUND },
		{ "BlobAlreadyExists", ERR_EXISTS },
		{ "ConditionNotMet", ERR_EXISTS },
		{ "TargetConditionNotMet", ERR_EXISTS },
	};
	bool is_client_error = answer->status >= 400 && answer->status < 500;
	for (size_t i = 0; is_client_error && i < ARRAY_COUNT(codes); i++)
		if (str_eq(code, str_from(codes[i].code)))
			return answer->status == 403 ? ERR_UNAVAILABLE : codes[i].class;
	/* HEAD of old servers: no word, but an answer of the service and not of something before it. */
	if (answer->status == 404 && code.n == 0 &&
		http_answer_header(answer, STR("x-ms-request-id")).n)
		return ERR_NOT_FOUND;
	return ERR_UNAVAILABLE;
}

static const char *failure_advice(unsigned status, struct str code)
{
	if (str_eq(code, STR("ContainerNotFound")))
		return ": the container must be made before";
	if (status == 401 || status == 403)
		return ": check the credentials, the role of the client and the clock";
	return "";
}

enum err azure_fail(struct op *op, const struct azure_ask *ask, const struct http_answer *answer)
{
	struct str code = azure_error_code(op, answer);
	return op_fail(op, failure_class(answer, code),
		"%s %.*s: status %u %.*s after %u attempts (request %.*s)%s", ask->what,
		STRF(ask->key), answer->status, STRF(code), answer->attempts,
		STRF(http_answer_header(answer, STR("x-ms-request-id"))),
		failure_advice(answer->status, code));
}

/* ---- what authorizes ---- */

struct shared_signer {
	const struct azure *azure;
	size_t body_bytes;
};

static enum err sign_shared(
	struct op *op, const struct http_request *request, struct http_headers *add, void *arg)
{
	const struct shared_signer *signer = arg;
	const struct azure_settings *s = &signer->azure->settings;
	struct str authorization;
	http_headers_add(op, add, STR("x-ms-date"), remote_date(op->arena, now_wall_us()));
	TRY(azure_shared_key(
		op, s->account, s->account_key, request, add, signer->body_bytes, &authorization));
	http_headers_add(op, add, STR("Authorization"), authorization);
	return ERR_NONE;
}

static struct str blob_name(struct op *op, const struct azure *a, struct str key)
{
	return str_printf(op->arena, "%.*s%.*s", STRF(a->settings.prefix), STRF(key));
}

/* Adds the query that a SAS is, with `mark` before it. WAITS. */
static enum err put_sas(struct op *op, struct azure *a, struct str key, struct str permissions,
	char mark, struct buf *url)
{
	const struct azure_settings *s = &a->settings;
	const struct azure_delegation *delegation;
	switch (s->auth) {
	case AZURE_AUTH_SHARED_KEY:
		return ERR_NONE;
	case AZURE_AUTH_SAS:
		buf_put_byte(url, mark);
		buf_put(url, s->sas_token);
		return ERR_NONE;
	case AZURE_AUTH_USER_SAS:
		break;
	}
	TRY(azure_keys_get(op, &a->keys, &delegation));
	int64_t expiry = MIN(now_wall_us() + SAS_LIFE_US, delegation->expiry_wall_us);
	const struct azure_sas sas = {
		.account = s->account,
		.container = s->container,
		.blob = key.n ? blob_name(op, a, key) : STR(""),
		.permissions = permissions,
		.expiry = remote_iso_time(op->arena, expiry),
		.is_https_only = str_starts(s->endpoint, STR("https:")),
	};
	buf_put_byte(url, mark);
	azure_sas_put(url, delegation, &sas);
	return ERR_NONE;
}

static void put_url(struct op *op, const struct azure *a, struct str key, struct buf *url)
{
	buf_putf(url, "%.*s/%.*s", STRF(a->settings.endpoint), STRF(a->settings.container));
	if (key.n == 0)
		return;
	buf_put_byte(url, '/');
	http_percent_encode(url, blob_name(op, a, key), STR("/"));
}

enum err azure_source_url(struct op *op, struct azure *a, struct str key, struct buf *out)
{
	put_url(op, a, key, out);
	return put_sas(op, a, key, STR("r"), '?', out);
}

/* ---- a request ---- */

static void add_fixed_headers(
	struct op *op, const struct azure_ask *ask, struct http_headers *headers)
{
	struct str session;
	for (size_t i = 0; i < ask->header_count; i++)
		http_headers_add(op, headers, ask->headers[i].name, ask->headers[i].value);
	http_headers_add(op, headers, STR("x-ms-version"), STR(AZURE_VERSION));
	if (!event_get_str(op->event, "session", &session))
		return;
	/* A client may have chosen it, and the service signs what it reads. */
	AUTO_BUF(id, 0);
	http_percent_encode(&id, session, STR("!#$&'()*+,/:;<=>?@[]^`{|}"));
	if (id.n && id.n <= REQUEST_ID_BYTES)
		http_headers_add(op, headers, STR("x-ms-client-request-id"), buf_str(&id));
}

/* *out_fetch: of the user-delegation key that was used. */
static enum err request_once(struct op *op, struct azure *a, const struct azure_ask *ask,
	uint64_t *out_fetch, struct http_answer *answer)
{
	struct http_headers headers = { 0 };
	struct shared_signer signer = { a, objects_parts_bytes(ask->parts, ask->part_count) };
	AUTO_BUF(url, 0);
	put_url(op, a, ask->key, &url);
	if (ask->query.n)
		buf_putf(&url, "?%.*s", STRF(ask->query));
	TRY(put_sas(op, a, ask->key, ask->permissions, ask->query.n ? '&' : '?', &url));
	*out_fetch = a->keys.fetches;
	add_fixed_headers(op, ask, &headers);
	bool is_shared = a->settings.auth == AZURE_AUTH_SHARED_KEY;
	return remote_request(op, a->http,
		&(struct http_request){ .method = ask->method,
			.url = buf_str(&url),
			.headers = headers.items,
			.header_count = headers.count,
			.parts = ask->parts,
			.part_count = ask->part_count,
			.answer_max = ask->answer_max,
			.is_repeatable = ask->is_repeatable,
			.sign = is_shared ? sign_shared : NULL,
			.sign_arg = &signer,
			.kind = remote_kind_name(remote_kind(ask->key)) },
		answer);
}

/* Something that answers everything with a page of its own must be neither a mail nor the proof that one was
 * stored. */
static enum err check_origin(
	struct op *op, const struct azure_ask *ask, const struct http_answer *answer)
{
	bool is_theirs = http_answer_header(answer, STR("x-ms-request-id")).n > 0;
	if (is_theirs || (answer->status / 100 != 2 && answer->status != 416))
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE,
		"%s %.*s: status %u, but the answer is not one of Azure's: see fs_azure_url",
		ask->what, STRF(ask->key), answer->status);
}

enum err azure_request(
	struct op *op, struct azure *a, const struct azure_ask *ask, struct http_answer *answer)
{
	bool may_renew = a->settings.auth == AZURE_AUTH_USER_SAS;
	for (;;) {
		uint64_t fetch;
		TRY(request_once(op, a, ask, &fetch, answer));
		if (answer->status != 401 && answer->status != 403)
			return check_origin(op, ask, answer);
		/* A key can be revoked before its end. */
		if (!may_renew || !azure_keys_refuse(&a->keys, fetch))
			return azure_fail(op, ask, answer);
		may_renew = false;
	}
}

/* ---- reading ---- */

/* WAITS. Is `body` what `digest` (base64) was made of? Nothing to compare with is right too. */
static enum err check_digest(struct op *op, struct str key, struct str body, struct str digest)
{
	struct str found;
	if (digest.n == 0)
		return ERR_NONE;
	TRY(azure_digest(op, &body, 1, &found));
	if (str_eq(found, digest))
		return ERR_NONE;
	return op_fail(op, ERR_CORRUPT, "azure GET %.*s: %zu bytes differ from their MD5",
		STRF(key), body.n);
}

/* The digest of the whole blob, if the answer holds the whole blob. */
static struct str whole_digest(struct op *op, const struct http_answer *answer)
{
	if (answer->status == 200)
		return http_answer_header(answer, STR("Content-MD5"));
	struct str range = http_answer_header(answer, STR("Content-Range"));
	struct str whole =
		str_printf(op->arena, "bytes 0-%zu/%zu", answer->body.n - 1, answer->body.n);
	if (answer->status != 206 || !str_eq(range, whole))
		return STR_NONE;
	return http_answer_header(answer, STR("x-ms-blob-content-md5"));
}

enum err azure_head(struct op *op, struct azure *a, struct str key, struct http_answer *answer)
{
	const struct azure_ask ask = {
		.what = "azure HEAD",
		.method = STR("HEAD"),
		.key = key,
		.permissions = STR("r"),
		.is_repeatable = true,
	};
	TRY(azure_request(op, a, &ask, answer));
	return answer->status == 200 ? ERR_NONE : azure_fail(op, &ask, answer);
}

static enum err azure_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct http_answer answer;
	TRY(azure_head(op, azure_of(o), key, &answer));
	return remote_info_read(op, &answer, out);
}

static enum err azure_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	struct http_answer answer;
	TRY(azure_head(op, azure_of(o), key, &answer));
	remote_meta_read(op, &answer, STR("x-ms-meta-"), '_', out, out_count);
	return ERR_NONE;
}

/* ERR_CORRUPT: the body is not what was stored. */
static enum err get_checked(
	struct op *op, struct azure *a, const struct azure_ask *ask, struct http_answer *answer)
{
	TRY(azure_request(op, a, ask, answer));
	if (answer->status != 200 && answer->status != 206 && answer->status != 416)
		return azure_fail(op, ask, answer);
	return check_digest(op, ask->key, answer->body, whole_digest(op, answer));
}

static enum err azure_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct azure *a = azure_of(o);
	struct http_headers headers = { 0 };
	struct http_answer answer;
	if (!remote_range_add(op, &headers, offset, length)) {
		TRY(azure_head(op, a, key, &answer));
		*out = STR("");
		return ERR_NONE;
	}
	const struct azure_ask ask = {
		.what = "azure GET",
		.method = STR("GET"),
		.key = key,
		.permissions = STR("r"),
		.headers = headers.items,
		.header_count = headers.count,
		.answer_max = length,
		.is_repeatable = true,
	};
	enum err e = get_checked(op, a, &ask, &answer);
	if (e == ERR_CORRUPT) { /* on the way, perhaps */
		op_forgive(op);
		e = get_checked(op, a, &ask, &answer);
	}
	if (e != ERR_NONE)
		return e;
	return op_within(op, remote_range_read(op, &answer, offset, length, out), "azure GET %.*s",
		STRF(key));
}

/* ---- deleting ---- */

static enum err azure_remove(struct op *op, struct objects *o, struct str key)
{
	struct http_answer answer;
	const struct azure_ask ask = {
		.what = "azure DELETE",
		.method = STR("DELETE"),
		.key = key,
		.permissions = STR("d"),
		.answer_max = ERROR_BYTES,
		.is_repeatable = true,
	};
	TRY(azure_request(op, azure_of(o), &ask, &answer));
	if (answer.status / 100 == 2)
		return ERR_NONE;
	enum err e = azure_fail(op, &ask, &answer);
	if (e != ERR_NOT_FOUND || !answer.maybe_repeated)
		return e;
	op_forgive(op); /* an earlier attempt of ours removed it */
	return ERR_NONE;
}

/* ---- listing ---- */

struct listing {
	struct op *caller; /* what fn gets: it may keep things in its arena */
	struct azure *azure;
	struct str prefix; /* of blobs' names */
	objects_iter_fn *fn;
	void *arg;
	struct buf marker;
};

static enum err list_page(struct op *op, struct listing *l)
{
	struct http_answer answer;
	struct azure_page page;
	AUTO_BUF(query, 0);
	buf_put(&query, STR("restype=container&comp=list&prefix="));
	http_percent_encode(&query, l->prefix, STR(""));
	if (l->marker.n) {
		buf_put(&query, STR("&marker="));
		http_percent_encode(&query, buf_str(&l->marker), STR(""));
	}
	const struct azure_ask ask = {
		.what = "azure listing of",
		.method = STR("GET"),
		.query = buf_str(&query),
		.permissions = STR("l"),
		.answer_max = LISTING_BYTES,
		.is_repeatable = true,
	};
	TRY(azure_request(op, l->azure, &ask, &answer));
	if (answer.status != 200)
		return azure_fail(op, &ask, &answer);
	TRY(azure_page_read(op, answer.body, &page));
	for (size_t i = 0; i < page.count; i++) {
		struct str key = page.blobs[i].name;
		if (!str_skip(&key, l->azure->settings.prefix) || !objects_key_is_valid(key))
			continue;
		enum err e = l->fn(l->caller, key, &page.blobs[i].info, l->arg);
		op->failure = l->caller->failure;
		if (e != ERR_NONE)
			return e;
	}
	if (page.next_marker.n && str_eq(page.next_marker, buf_str(&l->marker)))
		return op_fail(op, ERR_CORRUPT, "a listing does not get on");
	buf_clear(&l->marker);
	buf_put(&l->marker, page.next_marker);
	return ERR_NONE;
}

/* Each page in an arena of its own: an account may hold millions. */
static enum err azure_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	struct azure *a = azure_of(o);
	struct listing l = {
		.caller = op, .azure = a, .prefix = blob_name(op, a, prefix), .fn = fn, .arg = arg
	};
	enum err e;
	do {
		AUTO_ARENA(arena, 0);
		struct op page_op = *op;
		page_op.arena = &arena;
		e = list_page(&page_op, &l);
		op->failure = page_op.failure;
	} while (e == ERR_NONE && l.marker.n);
	buf_done(&l.marker);
	return e;
}

/* ---- opening ---- */

static void azure_close(struct objects *o)
{
	struct azure *a = azure_of(o);
	azure_keys_done(&a->keys);
	http_client_close(a->http);
	arena_done(&a->arena);
	mem_free(a);
}

/* The settings outlive the op: texts are copied. */
static void settings_keep(struct azure *a, const struct azure_settings *s)
{
	a->settings = *s;
	struct str *const texts[] = { &a->settings.endpoint, &a->settings.account,
		&a->settings.container, &a->settings.prefix, &a->settings.account_key,
		&a->settings.sas_token, &a->settings.login_url, &a->settings.tenant,
		&a->settings.client_id, &a->settings.client_secret };
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		*texts[i] = str_dup(&a->arena, *texts[i]);
	a->settings.http = (struct http_settings){ 0 }; /* the client has its own copy */
}

static enum err azure_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)inner;
	struct azure_settings settings = { 0 };
	struct http_client *http;
	TRY(scope ? azure_settings_read(op, scope, &settings)
		  : azure_settings_parse(op, argument, &settings));
	TRY(http_client_open_with(op, &settings.http, "azure", &http));
	struct azure *a = MEM_NEW(struct azure);
	a->base.driver = &objects_azure;
	a->http = http;
	arena_init(&a->arena, 0);
	settings_keep(a, &settings);
	enum err e = azure_keys_open(op, &a->keys, &a->settings, &settings.http);
	if (e != ERR_NONE) {
		http_client_close(http);
		arena_done(&a->arena);
		mem_free(a);
		return e;
	}
	*out = &a->base;
	return ERR_NONE;
}

const struct objects_driver objects_azure = {
	.name = "azure",
	.is_remote = true,
	.open = azure_open,
	.close = azure_close,
	.put = azure_put,
	.get = azure_get,
	.remove = azure_remove,
	.stat = azure_stat,
	.iter = azure_iter,
	.copy = azure_copy,
	.metadata = azure_metadata,
};
