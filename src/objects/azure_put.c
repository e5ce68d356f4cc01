/* SPDX-License-Identifier: Apache-2.0 */
/* objects/azure_put.c - what makes blobs: one PUT, blocks of a large body, copies.
 *
 * A blob appears whole or not at all: blocks count only when the list of them is put, and that is the request
 * which refuses to overwrite. Blocks of an upload that ended early vanish by themselves after a week.
 *
 * An attempt whose answer was lost may have made the blob. Then the next attempt is refused, and the blob is ours
 * if it has our length and digest. */
#include "objects/azure_private.h"

#include "base/codec.h"
#include "base/number.h"
#include "base/random.h"

#define BLOCKS_PARALLEL  4
#define BLOCK_ID_BYTES   12 /* one length for all blocks of a blob, ever: the service insists */
#define ERROR_BYTES      ((size_t)64 << 10)
#define COPY_WAIT_US     (50 * US_PER_MS)
#define COPY_WAIT_MAX_US US_PER_SEC

/* Is what stands under `key` what we wanted to put? WAITS. */
static enum err is_ours(
	struct op *op, struct azure *a, struct str key, size_t bytes, struct str digest, bool *out)
{
	struct http_answer answer;
	struct object_info info;
	TRY(azure_head(op, a, key, &answer));
	TRY(remote_info_read(op, &answer, &info));
	*out = info.size_bytes == bytes &&
	       str_eq(http_answer_header(&answer, STR("Content-MD5")), digest);
	return ERR_NONE;
}

/* The request that makes the blob, and what its refusal means. */
static enum err make(struct op *op, struct azure *a, const struct azure_ask *ask, size_t bytes,
	struct str digest)
{
	struct http_answer answer;
	TRY(azure_request(op, a, ask, &answer));
	if (answer.status == 201)
		return ERR_NONE;
	enum err e = azure_fail(op, ask, &answer);
	if (e ==
		ERR_NOT_FOUND) /* nothing that a PUT asks for can be missing, but what it goes into */
		return op_fail(
			op, ERR_UNAVAILABLE, "%s %.*s: status 404", ask->what, STRF(ask->key));
	if (e != ERR_EXISTS || !answer.maybe_repeated)
		return e;
	struct op_failure refused = op->failure;
	bool is_done = false;
	TRY(is_ours(op, a, ask->key, bytes, digest, &is_done));
	if (!is_done) {
		op->failure = refused;
		return ERR_EXISTS;
	}
	op_forgive(op);
	return ERR_NONE;
}

static enum err put_whole(
	struct op *op, struct azure *a, const struct object_put *put, size_t bytes)
{
	struct http_headers headers = { 0 };
	struct str digest;
	TRY(azure_digest(op, put->parts, put->part_count, &digest));
	http_headers_add(op, &headers, STR("x-ms-blob-type"), STR("BlockBlob"));
	http_headers_add(op, &headers, STR("Content-Type"), STR("application/octet-stream"));
	http_headers_add(op, &headers, STR("Content-MD5"), digest);
	http_headers_add(op, &headers, STR("If-None-Match"), STR("*"));
	remote_meta_add(op, &headers, STR("x-ms-meta-"), '_', put);
	return make(op, a,
		&(struct azure_ask){ .what = "azure PUT",
			.method = STR("PUT"),
			.key = put->key,
			.permissions = STR("cw"),
			.headers = headers.items,
			.header_count = headers.count,
			.parts = put->parts,
			.part_count = put->part_count,
			.answer_max = ERROR_BYTES,
			.is_repeatable = true },
		bytes, digest);
}

/* ---- blocks ---- */

struct upload {
	struct azure *azure;
	const struct object_put *put;
	size_t bytes, count, next;
	uint64_t nonce; /* keeps the blocks of two uploads of one key apart */
};

static struct str block_id(struct op *op, const struct upload *u, size_t number)
{
	uint8_t raw[BLOCK_ID_BYTES];
	AUTO_BUF(text, 0);
	put_be64(raw, u->nonce);
	put_le32(raw + 8, (uint32_t)number);
	base64_encode(&text, (struct str){ (const char *)raw, sizeof(raw) });
	return buf_dup(op->arena, &text);
}

/* The parts of bytes from .. to-1 of the body; returns how many. */
static size_t cut_parts(const struct object_put *put, size_t from, size_t to, struct str *out)
{
	size_t at = 0, count = 0;
	for (size_t i = 0; i < put->part_count && at < to; at += put->parts[i++].n) {
		size_t first = from > at ? from - at : 0;
		struct str piece = str_slice(put->parts[i], first, to - at);
		if (first < put->parts[i].n && piece.n)
			out[count++] = piece;
	}
	return count;
}

static enum err put_block(struct op *op, struct upload *u, size_t number)
{
	size_t block = u->azure->settings.block_bytes, from = number * block;
	struct str *parts = ARENA_NEW_ARRAY(op->arena, struct str, u->put->part_count);
	size_t count = cut_parts(u->put, from, MIN(from + block, u->bytes), parts);
	struct http_headers headers = { 0 };
	struct http_answer answer;
	struct str digest;
	TRY(azure_digest(op, parts, count, &digest));
	AUTO_BUF(query, 0);
	buf_put(&query, STR("comp=block&blockid="));
	http_percent_encode(&query, block_id(op, u, number), STR(""));
	http_headers_add(op, &headers, STR("Content-Type"), STR("application/octet-stream"));
	http_headers_add(op, &headers, STR("Content-MD5"), digest);
	const struct azure_ask ask = {
		.what = "azure PUT of a block of",
		.method = STR("PUT"),
		.key = u->put->key,
		.query = buf_str(&query),
		.permissions = STR("cw"),
		.headers = headers.items,
		.header_count = headers.count,
		.parts = parts,
		.part_count = count,
		.answer_max = ERROR_BYTES,
		.is_repeatable = true,
	};
	TRY(azure_request(op, u->azure, &ask, &answer));
	if (answer.status == 201)
		return ERR_NONE;
	enum err e = azure_fail(op, &ask, &answer);
	if (e == ERR_NOT_FOUND || e == ERR_EXISTS)
		return op_fail(op, ERR_UNAVAILABLE, "%s %.*s: status %u", ask.what, STRF(ask.key),
			answer.status);
	return e;
}

static enum err put_blocks(struct op *op, void *arg)
{
	struct upload *u = arg;
	while (u->next < u->count)
		TRY(put_block(op, u, u->next++));
	return ERR_NONE;
}

static enum err put_list(struct op *op, struct upload *u)
{
	struct http_headers headers = { 0 };
	struct str digest, list_digest;
	TRY(azure_digest(op, u->put->parts, u->put->part_count, &digest));
	AUTO_BUF(list, 0);
	buf_put(&list, STR("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>"));
	for (size_t i = 0; i < u->count; i++)
		buf_putf(&list, "<Latest>%.*s</Latest>", STRF(block_id(op, u, i)));
	buf_put(&list, STR("</BlockList>"));
	struct str body = buf_str(&list);
	TRY(azure_digest(op, &body, 1, &list_digest));
	http_headers_add(op, &headers, STR("Content-Type"), STR("application/xml"));
	http_headers_add(op, &headers, STR("Content-MD5"), list_digest);
	http_headers_add(
		op, &headers, STR("x-ms-blob-content-type"), STR("application/octet-stream"));
	http_headers_add(op, &headers, STR("x-ms-blob-content-md5"), digest);
	http_headers_add(op, &headers, STR("If-None-Match"), STR("*"));
	remote_meta_add(op, &headers, STR("x-ms-meta-"), '_', u->put);
	return make(op, u->azure,
		&(struct azure_ask){ .what = "azure PUT of the blocks of",
			.method = STR("PUT"),
			.key = u->put->key,
			.query = STR("comp=blocklist"),
			.permissions = STR("cw"),
			.headers = headers.items,
			.header_count = headers.count,
			.parts = &body,
			.part_count = 1,
			.answer_max = ERROR_BYTES,
			.is_repeatable = true },
		u->bytes, digest);
}

enum err azure_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct azure *a = azure_of(o);
	size_t bytes = objects_parts_bytes(put->parts, put->part_count);
	for (size_t i = 0; i < put->key.n; i++)
		if ((unsigned char)put->key.p[i] < ' ' || put->key.p[i] == 0x7f)
			return op_fail(
				op, ERR_INVALID, "azure names no blob with control characters");
	size_t block = a->settings.block_bytes;
	if (bytes <= block)
		return put_whole(op, a, put, bytes);
	struct upload u = { .azure = a, .put = put, .bytes = bytes };
	u.count = bytes / block + (bytes % block != 0);
	u.nonce = random_u64();
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(u.count, BLOCKS_PARALLEL); i++)
		task_group_start(g, "azure block", put_blocks, &u);
	TRY(task_group_finish(op, g));
	return put_list(op, &u);
}

/* ---- copies ---- */

/* WAITS until the service has copied: within an account that is nearly always at once. */
static enum err wait_copied(struct op *op, struct azure *a, struct str key, struct str status)
{
	struct http_answer answer;
	int64_t pause = COPY_WAIT_US;
	while (str_eq(status, STR("pending"))) {
		TRY(task_sleep(op, pause));
		pause = MIN(pause * 2, COPY_WAIT_MAX_US);
		TRY(azure_head(op, a, key, &answer));
		status = http_answer_header(&answer, STR("x-ms-copy-status"));
	}
	if (status.n && !str_eq(status, STR("success")))
		return op_fail(op, ERR_UNAVAILABLE, "azure copy to %.*s has %.*s", STRF(key),
			STRF(status));
	return ERR_NONE;
}

/* Was the copy made by an attempt of ours whose answer was lost? WAITS. */
static enum err is_copied(struct op *op, struct azure *a, struct str from, struct str to, bool *out)
{
	struct http_answer answer;
	struct object_info info;
	TRY(azure_head(op, a, from, &answer));
	TRY(remote_info_read(op, &answer, &info));
	return is_ours(
		op, a, to, info.size_bytes, http_answer_header(&answer, STR("Content-MD5")), out);
}

enum err azure_copy(struct op *op, struct objects *o, struct str from, struct str to)
{
	struct azure *a = azure_of(o);
	struct http_headers headers = { 0 };
	struct http_answer answer;
	AUTO_BUF(source, 0);
	TRY(azure_source_url(op, a, from, &source));
	http_headers_add(op, &headers, STR("x-ms-copy-source"), buf_str(&source));
	http_headers_add(op, &headers, STR("If-None-Match"), STR("*"));
	const struct azure_ask ask = {
		.what = "azure copy to",
		.method = STR("PUT"),
		.key = to,
		.permissions = STR("cw"),
		.headers = headers.items,
		.header_count = headers.count,
		.answer_max = ERROR_BYTES,
		.is_repeatable = true,
	};
	TRY(azure_request(op, a, &ask, &answer));
	if (answer.status / 100 == 2)
		return wait_copied(op, a, to, http_answer_header(&answer, STR("x-ms-copy-status")));
	enum err e = azure_fail(op, &ask, &answer);
	if (e != ERR_EXISTS || !answer.maybe_repeated)
		return e;
	struct op_failure refused = op->failure;
	bool is_done = false;
	TRY(is_copied(op, a, from, to, &is_done));
	if (!is_done) {
		op->failure = refused;
		return ERR_EXISTS;
	}
	op_forgive(op);
	return ERR_NONE;
}
