/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress.c - a wrapper that keeps bodies compressed: docs/formats/objects.md, "compress".
 *
 * 1. A stored object is one zstd frame, which says its size and has a checksum, or what another method
 *    (compress_methods.c) makes of the body.
 * 2. Reading looks at the first bytes, not at the settings: all methods and, where the settings allow
 *    them, plain objects may stand side by side. A plain body that would look compressed is compressed
 *    whatever the settings say, so that rule 2 never guesses wrong.
 * 3. Nothing stored makes us allocate more than COMPRESS_CONTENT_MAX, nor more than the op's arena holds.
 *
 * A range is cut from the whole body. Small bodies are done on the spot, big ones in OFFLOAD_CPU. */
#include "objects/compress_private.h"

#include <zstd.h>

#include "base/number.h"
#include "config/config.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define INLINE_MAX        ((size_t)64 * 1024) /* of content */
#define INLINE_STORED_MAX ((size_t)16 * 1024) /* of what does not say its content's size */
#define LEVEL_DEFAULT     3

struct compress_store {
	struct objects base; /* first */
	bool reads_plain;
	enum compress_method method; /* of new objects; NONE: plain */
	int level;
	ZSTD_CCtx *cctx; /* owned; for small bodies, on the loop's thread */
	ZSTD_DCtx *dctx;
};

static struct compress_store *compress_store(struct objects *o)
{
	return CONTAINER_OF(o, struct compress_store, base);
}

/* ---- big bodies: jobs that own what they touch ---- */

struct body_job {
	struct offload_job job; /* first */
	struct op op;           /* for failures alone */
	enum err result;
	enum compress_method method;
	int level; /* of writing */
	char *in;  /* owned */
	size_t in_size;
	struct buf out; /* owned */
};

static void write_run(struct offload_job *job)
{
	struct body_job *j = CONTAINER_OF(job, struct body_job, job);
	struct str in = { j->in, j->in_size };
	compress_write(j->method, j->level, &in, 1, &j->out);
}

static void read_run(struct offload_job *job)
{
	struct body_job *j = CONTAINER_OF(job, struct body_job, job);
	j->result = compress_read(&j->op, j->method, (struct str){ j->in, j->in_size },
		COMPRESS_CONTENT_MAX, &j->out);
}

static void body_job_release(struct offload_job *job)
{
	struct body_job *j = CONTAINER_OF(job, struct body_job, job);
	mem_free(j->in);
	buf_done(&j->out);
	mem_free(j);
}

/* WAITS now and then. */
static struct body_job *body_job_new(void (*run)(struct offload_job *job),
	enum compress_method method, const struct str *parts, size_t count, size_t size)
{
	struct body_job *j = MEM_NEW(struct body_job);
	j->job.run = run;
	j->job.release = body_job_release;
	j->method = method;
	op_init(&j->op, NULL, NULL, TIME_NEVER);
	buf_init(&j->out, 0);
	j->in = mem_resize(NULL, MAX(size, 1));
	j->in_size = size;
	char *to = j->in;
	for (size_t i = 0; i < count; to += parts[i++].n)
		objects_bytes_copy(to, parts[i]);
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
	char first[COMPRESS_FIRST_BYTES];
	size_t n = 0;
	for (size_t i = 0; i < put->part_count; i++)
		for (size_t k = 0; k < put->parts[i].n && n < sizeof(first); k++)
			first[n++] = put->parts[i].p[k];
	return compress_detect((struct str){ first, n }) != COMPRESS_NONE;
}

/* A small body on the spot: zstd with the store's own context. */
static enum err put_small(
	struct op *op, struct objects *o, const struct object_put *put, enum compress_method m)
{
	const struct compress_store *store = compress_store(o);
	const size_t size = objects_parts_bytes(put->parts, put->part_count);
	struct buf out;
	buf_init(&out, 0);
	if (m == COMPRESS_ZSTD) {
		char *room = buf_reserve(&out, compress_frame_room(size));
		buf_grew(&out, compress_frame_write(store->cctx, store->level, put->parts,
				       put->part_count, size, room));
	} else {
		compress_write(m, store->level, put->parts, put->part_count, &out);
	}
	enum err e = put_inner(op, o, put, buf_str(&out));
	buf_done(&out);
	return e;
}

static enum err compress_put(struct op *op, struct objects *o, const struct object_put *put)
{
	const struct compress_store *store = compress_store(o);
	const size_t size = objects_parts_bytes(put->parts, put->part_count);
	enum compress_method m = store->method;
	if (size > COMPRESS_CONTENT_MAX)
		return op_fail(op, ERR_LIMIT, "object of %zu bytes, at most %zu are compressed",
			size, COMPRESS_CONTENT_MAX);
	if (m == COMPRESS_NONE && !looks_compressed(put))
		return objects_put(op, o->inner, put);
	if (m == COMPRESS_NONE)
		m = COMPRESS_ZSTD;
	if (size <= INLINE_MAX)
		return put_small(op, o, put, m);
	struct body_job *j = body_job_new(write_run, m, put->parts, put->part_count, size);
	j->level = store->level;
	TRY(offload(op, OFFLOAD_CPU, &j->job));
	mem_free(j->in); /* before the next copy is made */
	j->in = NULL;
	enum err e = put_inner(op, o, put, buf_str(&j->out));
	body_job_release(&j->job);
	return e;
}

/* A zstd frame of a small body, straight into op's arena. */
static enum err read_small_frame(struct op *op, const struct compress_store *store,
	struct str stored, size_t size, struct str *out)
{
	if (!arena_has_room(op->arena, size))
		return op_fail(op, ERR_LIMIT, "no room for %zu bytes", size);
	char *bytes = arena_alloc(op->arena, MAX(size, 1));
	TRY(compress_frame_read(op, store->dctx, stored, bytes, size));
	*out = (struct str){ bytes, size };
	return ERR_NONE;
}

/* Small bodies of methods that do not say the size: *is_done is false when it is no small one. */
static enum err try_small(struct op *op, enum compress_method m, struct str stored, uint64_t offset,
	size_t length, struct str *out, bool *is_done)
{
	struct buf content;
	buf_init(&content, 0);
	enum err e = compress_read(op, m, stored, INLINE_MAX, &content);
	*is_done = e != ERR_LIMIT;
	if (e == ERR_LIMIT)
		op_forgive(op);
	else if (e == ERR_NONE)
		e = objects_answer(op, objects_slice(content.p, content.n, offset, length), out);
	buf_done(&content);
	return *is_done ? e : ERR_NONE;
}

static enum err read_compressed(struct op *op, struct objects *o, enum compress_method m,
	struct str stored, uint64_t offset, size_t length, struct str *out)
{
	size_t size = SIZE_MAX;
	if (m == COMPRESS_ZSTD)
		TRY(compress_frame_size(op, stored, &size));
	if (size <= INLINE_MAX) {
		struct str body = STR_NONE;
		TRY(read_small_frame(op, compress_store(o), stored, size, &body));
		*out = objects_slice(body.p, body.n, offset, length);
		return ERR_NONE;
	}
	if (m != COMPRESS_ZSTD && stored.n <= INLINE_STORED_MAX) {
		bool is_done;
		enum err e = try_small(op, m, stored, offset, length, out, &is_done);
		if (is_done)
			return e;
	}
	struct body_job *j = body_job_new(read_run, m, &stored, 1, stored.n);
	TRY(offload(op, OFFLOAD_CPU, &j->job));
	enum err e = j->result;
	mem_free(j->in); /* before the next copy is made */
	j->in = NULL;
	if (e != ERR_NONE)
		(void)op_fail(op, e, "%s", j->op.failure.text);
	else
		e = objects_answer_large(
			op, objects_slice(j->out.p, j->out.n, offset, length), out);
	body_job_release(&j->job);
	return e;
}

static enum err compress_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	const struct compress_store *store = compress_store(o);
	struct str stored;
	TRY(objects_get(op, o->inner, key, ZSTD_COMPRESSBOUND(COMPRESS_CONTENT_MAX), &stored));
	enum compress_method m = compress_detect(stored);
	if (m != COMPRESS_NONE)
		return op_within(op, read_compressed(op, o, m, stored, offset, length, out),
			"object %.*s", STRF(key));
	if (!store->reads_plain && store->method != COMPRESS_NONE)
		return op_fail(op, ERR_CORRUPT, "object %.*s is not compressed", STRF(key));
	*out = objects_slice(stored.p, stored.n, offset, length);
	return ERR_NONE;
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

/* The size of the content is in a frame's first bytes: one more request. Other methods tell it only
 * when all is read. */
static enum err compress_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct object_info info;
	struct str first;
	TRY(objects_stat(op, o->inner, key, &info));
	TRY(objects_get_range(op, o->inner, key, 0, COMPRESS_FIRST_BYTES, &first));
	enum compress_method m = compress_detect(first);
	if (m == COMPRESS_ZSTD) {
		size_t size;
		TRY(op_within(op, compress_frame_size(op, first, &size), "object %.*s", STRF(key)));
		info.size_bytes = size;
	} else if (m != COMPRESS_NONE) {
		struct str body;
		TRY(compress_get(op, o, key, 0, SIZE_MAX, &body));
		info.size_bytes = body.n;
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

/* ---- opening ---- */

static const struct {
	const char *name;
	enum compress_method method;
	enum config_setting level; /* SET_COUNT: it has none */
	int default_level, level_max;
} methods[] = {
	{ "none", COMPRESS_NONE, SET_COUNT, 0, 0 },
	{ "zstd", COMPRESS_ZSTD, SET_compress_zstd_level, LEVEL_DEFAULT, 22 },
	{ "lz4", COMPRESS_LZ4, SET_COUNT, 0, 0 },
	{ "gz", COMPRESS_GZ, SET_compress_gz_level, 6, 9 },
	{ "bz2", COMPRESS_BZ2, SET_compress_bz2_block_size_100k, 9, 9 },
};

/* The row of a method; ERR_UNSUPPORTED: there is none of that name. */
static enum err method_find(struct op *op, struct str name, size_t *out)
{
	for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
		if (str_eq(name, str_from(methods[i].name))) {
			*out = i;
			return ERR_NONE;
		}
	}
	return op_fail(op, ERR_UNSUPPORTED,
		"fs_compress_write_method = %.*s: zstd, lz4, gz, bz2 and none are there (deflate "
		"has no beginning that a reader could tell)",
		STRF(name));
}

/* "METHOD", "METHOD,<level>"; ",plain" behind it allows reading what is not compressed. */
static enum err argument_read(struct op *op, struct str argument, struct compress_store *store)
{
	struct str rest = argument, word;
	size_t row = 1; /* zstd */
	for (bool is_first = true; rest.n; is_first = false) {
		uint32_t level;
		if (!str_cut(&rest, ',', &word)) {
			word = rest;
			rest = STR_NONE;
		}
		if (is_first) {
			TRY(method_find(op, word, &row));
			store->level = methods[row].default_level;
		} else if (str_eq(word, STR("plain"))) {
			store->reads_plain = true;
		} else if (number_parse_u32(word, &level) && level >= 1 &&
			   level <= (uint32_t)methods[row].level_max) {
			store->level = (int)level;
		} else {
			return op_fail(
				op, ERR_INVALID, "compress: unknown option \"%.*s\"", STRF(word));
		}
	}
	store->method = methods[row].method;
	return ERR_NONE;
}

static enum err scope_read(
	struct op *op, const struct config_scope *scope, struct compress_store *store)
{
	size_t row;
	TRY(method_find(op, config_str(scope, SET_fs_compress_write_method), &row));
	store->method = methods[row].method;
	store->reads_plain = config_bool(scope, SET_fs_compress_read_plain_fallback);
	if (methods[row].level == SET_COUNT)
		return ERR_NONE;
	uint64_t level = config_u64(scope, methods[row].level);
	if (level < 1 || level > (uint64_t)methods[row].level_max)
		return op_fail(op, ERR_INVALID,
			"level of %s = %" PRIu64 ": between 1 and %d are possible",
			methods[row].name, level, methods[row].level_max);
	store->level = (int)level;
	return ERR_NONE;
}

static enum err compress_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	struct compress_store settings = { .method = COMPRESS_ZSTD, .level = LEVEL_DEFAULT };
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
