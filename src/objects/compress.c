/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress.c - a wrapper that keeps bodies as zstd frames: docs/formats/objects.md.
 *
 * 1. A stored object is one zstd frame that states its content size and carries a checksum.
 * 2. Reading looks at the first bytes, not at the settings: compressed and, where the settings allow
 *    them, plain objects may stand side by side. A plain body that would look like a frame is
 *    compressed whatever the settings say, so that rule 2 never guesses wrong.
 * 3. No frame makes us allocate more than COMPRESS_CONTENT_MAX, nor more than the op's arena holds.
 *
 * A range is cut from the whole body. Small bodies are done on the spot, big ones in OFFLOAD_CPU. */
#include "objects/compress_private.h"

#include <zstd.h>

#include "base/number.h"
#include "config/config.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define INLINE_MAX    ((size_t)64 * 1024)
#define LEVEL_DEFAULT 3
#define HEADER_MAX    18 /* ZSTD_FRAMEHEADERSIZE_MAX, which is not in the stable interface */
#define ZSTD_MAGIC    0xFD2FB528u

struct compress_store {
	struct objects base; /* first */
	bool writes_plain;
	bool reads_plain;
	int level;
	ZSTD_CCtx *cctx; /* owned; for small bodies, on the loop's thread */
	ZSTD_DCtx *dctx;
};

static struct compress_store *compress_store(struct objects *o)
{
	return CONTAINER_OF(o, struct compress_store, base);
}

/* ---- frames ---- */

bool compress_is_frame(struct str stored)
{
	return stored.n >= 4 && get_le32(stored.p) == ZSTD_MAGIC;
}

enum err compress_frame_size(struct op *op, struct str stored, size_t *out)
{
	unsigned long long size = ZSTD_getFrameContentSize(stored.p, stored.n);
	if (size == ZSTD_CONTENTSIZE_ERROR)
		return op_fail(op, ERR_CORRUPT, "compressed object has a broken frame header");
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		return op_fail(op, ERR_CORRUPT, "compressed object does not say its size");
	if (size > COMPRESS_CONTENT_MAX)
		return op_fail(op, ERR_LIMIT,
			"compressed object of %llu bytes, at most %zu are read", size,
			COMPRESS_CONTENT_MAX);
	*out = (size_t)size;
	return ERR_NONE;
}

/* `bytes` has room for compress_frame_size() bytes. */
static enum err frame_read(
	struct op *op, ZSTD_DCtx *dctx, struct str stored, char *bytes, size_t size)
{
	size_t frame = ZSTD_findFrameCompressedSize(stored.p, stored.n);
	if (ZSTD_isError(frame) || frame != stored.n)
		return op_fail(op, ERR_CORRUPT, "compressed object is cut short or has a tail");
	size_t got = ZSTD_decompressDCtx(dctx, bytes, size, stored.p, stored.n);
	if (ZSTD_isError(got))
		return op_fail(op, ERR_CORRUPT, "compressed object: %s", ZSTD_getErrorName(got));
	if (got != size)
		return op_fail(op, ERR_CORRUPT, "compressed object holds %zu bytes instead of %zu",
			got, size);
	return ERR_NONE;
}

enum err compress_frame_read(struct op *op, struct str stored, char *bytes, size_t size)
{
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	ASSERT(dctx);
	enum err e = frame_read(op, dctx, stored, bytes, size);
	ZSTD_freeDCtx(dctx);
	return e;
}

/* One frame of all parts; returns its size. `out` has room for ZSTD_compressBound(size) bytes. */
static size_t frame_write(
	ZSTD_CCtx *cctx, int level, const struct str *parts, size_t count, size_t size, char *out)
{
	ZSTD_outBuffer to = { out, ZSTD_compressBound(size), 0 };
	size_t r = ZSTD_CCtx_reset(cctx, ZSTD_reset_session_and_parameters);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setPledgedSrcSize(cctx, size);
	ASSERT(!ZSTD_isError(r));
	for (size_t i = 0; i + 1 < count; i++) {
		ZSTD_inBuffer from = { parts[i].p, parts[i].n, 0 };
		while (from.pos < from.size) {
			r = ZSTD_compressStream2(cctx, &to, &from, ZSTD_e_continue);
			ASSERT(!ZSTD_isError(r));
		}
	}
	ZSTD_inBuffer last = { count ? parts[count - 1].p : NULL, count ? parts[count - 1].n : 0,
		0 };
	r = ZSTD_compressStream2(cctx, &to, &last, ZSTD_e_end);
	ASSERT(r == 0); /* there is room, so it is done in one call */
	return to.pos;
}

/* ---- big bodies: jobs that own what they touch ---- */

struct frame_job {
	struct offload_job job; /* first */
	struct op op;           /* for failures alone */
	enum err result;
	int level; /* of writing */
	char *in;  /* owned */
	size_t in_size;
	char *out; /* owned */
	size_t out_size;
};

static void write_run(struct offload_job *job)
{
	struct frame_job *j = CONTAINER_OF(job, struct frame_job, job);
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ASSERT(cctx);
	struct str in = { j->in, j->in_size };
	j->out = mem_resize(NULL, ZSTD_compressBound(j->in_size));
	j->out_size = frame_write(cctx, j->level, &in, 1, in.n, j->out);
	ZSTD_freeCCtx(cctx);
}

static void read_run(struct offload_job *job)
{
	struct frame_job *j = CONTAINER_OF(job, struct frame_job, job);
	j->out = mem_resize(NULL, j->out_size);
	j->result =
		compress_frame_read(&j->op, (struct str){ j->in, j->in_size }, j->out, j->out_size);
}

static void frame_job_release(struct offload_job *job)
{
	struct frame_job *j = CONTAINER_OF(job, struct frame_job, job);
	mem_free(j->in);
	mem_free(j->out);
	mem_free(j);
}

static struct frame_job *frame_job_new(
	void (*run)(struct offload_job *job), const struct str *parts, size_t count, size_t size)
{
	struct frame_job *j = MEM_NEW(struct frame_job);
	j->job.run = run;
	j->job.release = frame_job_release;
	op_init(&j->op, NULL, NULL, TIME_NEVER);
	j->in = mem_resize(NULL, MAX(size, 1));
	j->in_size = size;
	objects_parts_copy(j->in, parts, count);
	return j;
}

/* ---- the driver ---- */

/* Passes an object on with one part as its body. */
static enum err put_inner(
	struct op *op, struct objects *o, const struct object_put *put, struct str body)
{
	struct object_put inner = *put;
	inner.parts = &body;
	inner.part_count = 1;
	return objects_put(op, o->inner, &inner);
}

static bool looks_compressed(const struct object_put *put)
{
	char first[4];
	size_t n = 0;
	for (size_t i = 0; i < put->part_count && n < sizeof(first); i++)
		for (size_t k = 0; k < put->parts[i].n && n < sizeof(first); k++)
			first[n++] = put->parts[i].p[k];
	return compress_is_frame((struct str){ first, n });
}

static enum err compress_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct compress_store *store = compress_store(o);
	const size_t size = objects_parts_bytes(put->parts, put->part_count);
	if (size > COMPRESS_CONTENT_MAX)
		return op_fail(op, ERR_LIMIT, "object of %zu bytes, at most %zu are compressed",
			size, COMPRESS_CONTENT_MAX);
	if (store->writes_plain && !looks_compressed(put))
		return objects_put(op, o->inner, put);
	if (size > INLINE_MAX) {
		struct frame_job *j = frame_job_new(write_run, put->parts, put->part_count, size);
		j->level = store->level;
		TRY(offload(op, OFFLOAD_CPU, &j->job));
		enum err e = put_inner(op, o, put, (struct str){ j->out, j->out_size });
		frame_job_release(&j->job);
		return e;
	}
	char *out = mem_resize(NULL, ZSTD_compressBound(size));
	struct str frame = { out,
		frame_write(store->cctx, store->level, put->parts, put->part_count, size, out) };
	enum err e = put_inner(op, o, put, frame);
	mem_free(out);
	return e;
}

static enum err read_big(struct op *op, struct str stored, size_t size, uint64_t offset,
	size_t length, struct str *out)
{
	struct frame_job *j = frame_job_new(read_run, &stored, 1, stored.n);
	j->out_size = size;
	TRY(offload(op, OFFLOAD_CPU, &j->job));
	enum err e = j->result;
	if (e != ERR_NONE)
		(void)op_fail(op, e, "%s", j->op.failure.text);
	else
		e = objects_answer(op, objects_slice(j->out, size, offset, length), out);
	frame_job_release(&j->job);
	return e;
}

static enum err compress_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct compress_store *store = compress_store(o);
	struct str stored;
	TRY(objects_get(op, o->inner, key, ZSTD_COMPRESSBOUND(COMPRESS_CONTENT_MAX), &stored));
	if (!compress_is_frame(stored)) {
		if (!store->reads_plain && !store->writes_plain)
			return op_fail(op, ERR_CORRUPT, "object %.*s is not compressed", STRF(key));
		*out = objects_slice(stored.p, stored.n, offset, length);
		return ERR_NONE;
	}
	size_t size;
	enum err e = compress_frame_size(op, stored, &size);
	if (e == ERR_NONE && size > INLINE_MAX) {
		e = read_big(op, stored, size, offset, length, out);
	} else if (e == ERR_NONE && !arena_has_room(op->arena, size)) {
		e = op_fail(op, ERR_LIMIT, "no room for %zu bytes", size);
	} else if (e == ERR_NONE) {
		char *bytes = arena_alloc(op->arena, size);
		e = frame_read(op, store->dctx, stored, bytes, size);
		if (e == ERR_NONE)
			*out = objects_slice(bytes, size, offset, length);
	}
	return op_within(op, e, "object %.*s", STRF(key));
}

static enum err compress_remove(struct op *op, struct objects *o, struct str key)
{
	return objects_delete(op, o->inner, key);
}

static enum err compress_remove_many(
	struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	return objects_delete_many(op, o->inner, keys, count);
}

/* The size of the content is in the first bytes: one more request. */
static enum err compress_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct object_info info;
	struct str first;
	TRY(objects_stat(op, o->inner, key, &info));
	TRY(objects_get_range(op, o->inner, key, 0, HEADER_MAX, &first));
	if (compress_is_frame(first)) {
		size_t size;
		TRY(op_within(op, compress_frame_size(op, first, &size), "object %.*s", STRF(key)));
		info.size_bytes = size;
	}
	*out = info;
	return ERR_NONE;
}

/* Sizes are those that are stored: an audit does not open every object. */
static enum err compress_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	return objects_iter(op, o->inner, prefix, fn, arg);
}

/* "zstd", "zstd,<level>", "off"; ",plain" behind it allows reading what is not compressed. */
static enum err argument_read(struct op *op, struct str argument, struct compress_store *store)
{
	struct str rest = argument, word;
	bool is_first = true;
	while (rest.n) {
		uint32_t level;
		if (!str_cut(&rest, ',', &word)) {
			word = rest;
			rest = STR_NONE;
		}
		if (is_first && (str_eq(word, STR("off")) || str_eq(word, STR("zstd"))))
			store->writes_plain = str_eq(word, STR("off"));
		else if (!is_first && str_eq(word, STR("plain")))
			store->reads_plain = true;
		else if (!is_first && number_parse_u32(word, &level) && level >= 1 &&
			 level <= (uint32_t)ZSTD_maxCLevel())
			store->level = (int)level;
		else
			return op_fail(
				op, ERR_INVALID, "compress: unknown option \"%.*s\"", STRF(word));
		is_first = false;
	}
	return ERR_NONE;
}

static enum err scope_read(
	struct op *op, const struct config_scope *scope, struct compress_store *store)
{
	struct str method = config_str(scope, SET_fs_compress_write_method);
	uint64_t level = config_u64(scope, SET_compress_zstd_level);
	store->writes_plain = str_eq(method, STR("none"));
	store->reads_plain = config_bool(scope, SET_fs_compress_read_plain_fallback);
	if (!store->writes_plain && !str_eq(method, STR("zstd")))
		return op_fail(op, ERR_UNSUPPORTED,
			"fs_compress_write_method = %.*s: only zstd and none are there",
			STRF(method));
	if (level < 1 || level > (uint64_t)ZSTD_maxCLevel())
		return op_fail(op, ERR_INVALID,
			"compress_zstd_level = %" PRIu64 ": between 1 and %d are possible", level,
			ZSTD_maxCLevel());
	store->level = (int)level;
	return ERR_NONE;
}

static enum err compress_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	struct compress_store settings = { .level = LEVEL_DEFAULT };
	if (scope)
		TRY(scope_read(op, scope, &settings));
	else
		TRY(argument_read(op, argument, &settings));
	struct compress_store *store = MEM_NEW(struct compress_store);
	*store = settings;
	store->base.driver = &objects_compress;
	store->base.inner = inner;
	store->cctx = ZSTD_createCCtx();
	store->dctx = ZSTD_createDCtx();
	ASSERT(store->cctx && store->dctx);
	*out = &store->base;
	return ERR_NONE;
}

static void compress_close(struct objects *o)
{
	struct compress_store *store = compress_store(o);
	objects_close(o->inner);
	ZSTD_freeCCtx(store->cctx);
	ZSTD_freeDCtx(store->dctx);
	mem_free(store);
}

const struct objects_driver objects_compress = {
	.name = "compress",
	.is_wrapper = true,
	.open = compress_open,
	.close = compress_close,
	.put = compress_put,
	.get = compress_get,
	.remove = compress_remove,
	.stat = compress_stat,
	.iter = compress_iter,
	.remove_many = compress_remove_many,
};
