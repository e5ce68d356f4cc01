/* SPDX-License-Identifier: Apache-2.0 */
/* objects/crypt.c - a wrapper that keeps bodies encrypted: docs/formats/objects.md, "crypt".
 *
 * 1. With a public key new objects are encrypted for it; without any key all passes through as it is.
 * 2. Reading looks at the first bytes, not at the settings. A plain body that would look encrypted gets
 *    a header that says it is plain.
 * 3. An object is bound to the last component of its key: another user's name is fine, so a user can
 *    be renamed and objects be copied by the store; under another last component it does not open.
 * 4. A range costs the header and the chunks that it touches. What comes back was vouched for, and that
 *    nothing is behind it too: we always read one byte more than we need. */
#include "objects/crypt_settings.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define INLINE_MAX ((size_t)256 * 1024)   /* larger bodies are done in OFFLOAD_CPU */
#define NEAR_MAX   ((uint64_t)256 * 1024) /* ranges that begin here are read from 0: one request */

struct crypt_store {
	struct objects base; /* first */
	struct crypt_settings settings;
};

static struct crypt_store *crypt_store(struct objects *o)
{
	return CONTAINER_OF(o, struct crypt_store, base);
}

static struct str last_component(struct str key)
{
	ssize_t slash = str_find_last_byte(key, '/');
	return slash < 0 ? key : str_slice(key, (size_t)slash + 1, key.n);
}

/* ---- big bodies: jobs that own what they touch ---- */

struct chunk_job {
	struct offload_job job; /* first */
	struct crypt_span span;
	char *in;                     /* owned: sealed chunks, or content laid out to become some */
	char *out;                    /* owned; of opening */
	size_t in_size, content_size; /* SIZE_MAX: opening failed */
};

static void seal_run(struct offload_job *job)
{
	struct chunk_job *j = CONTAINER_OF(job, struct chunk_job, job);
	crypt_chunks_seal(&j->span, j->content_size, j->in);
}

static void open_run(struct offload_job *job)
{
	struct chunk_job *j = CONTAINER_OF(job, struct chunk_job, job);
	j->out = mem_resize(NULL, MAX(j->in_size, 1));
	j->content_size = crypt_chunks_open(&j->span, (struct str){ j->in, j->in_size }, j->out);
}

static void chunk_job_release(struct offload_job *job)
{
	struct chunk_job *j = CONTAINER_OF(job, struct chunk_job, job);
	mem_wipe(&j->span, sizeof(j->span));
	mem_free(j->in);
	mem_free(j->out);
	mem_free(j);
}

static struct chunk_job *chunk_job_new(
	const struct crypt_span *span, void (*run)(struct offload_job *job), size_t in_size)
{
	struct chunk_job *j = MEM_NEW(struct chunk_job);
	j->job.run = run;
	j->job.release = chunk_job_release;
	j->span = *span;
	j->in = mem_resize(NULL, MAX(in_size, 1));
	j->in_size = in_size;
	return j;
}

/* ---- put ---- */

static enum err put_parts(struct op *op, struct objects *o, const struct object_put *put,
	const struct str *parts, size_t count)
{
	struct object_put inner = *put;
	inner.parts = parts;
	inner.part_count = count;
	return objects_put(op, o->inner, &inner);
}

static enum err put_plain(struct op *op, struct objects *o, const struct object_put *put)
{
	char first[8], salt[CRYPT_SALT_BYTES] = { 0 };
	size_t n = 0;
	for (size_t i = 0; i < put->part_count; i++)
		for (size_t k = 0; k < put->parts[i].n && n < sizeof(first); k++)
			first[n++] = put->parts[i].p[k];
	if (!crypt_is_sealed((struct str){ first, n }))
		return objects_put(op, o->inner, put);
	struct buf header;
	buf_init(&header, 0);
	crypt_header_write(&header, &(struct crypt_header){ .algorithm = CRYPT_PLAIN,
					    .chunk_shift = CRYPT_CHUNK_SHIFT,
					    .salt = { salt, sizeof(salt) } });
	struct str *parts = ARENA_NEW_ARRAY(op->arena, struct str, put->part_count + 1);
	parts[0] = buf_str(&header);
	memcpy(parts + 1, put->parts, put->part_count * sizeof(parts[0]));
	enum err e = put_parts(op, o, put, parts, put->part_count + 1);
	buf_done(&header);
	return e;
}

/* What is a user's own words does not stand in clear beside what is sealed. */
static struct object_put without_private(struct op *op, const struct object_put *put)
{
	struct object_put kept = *put;
	struct object_meta *meta =
		ARENA_NEW_ARRAY(op->arena, struct object_meta, MAX(put->meta_count, 1));
	kept.meta = meta;
	kept.meta_count = 0;
	for (size_t i = 0; i < put->meta_count; i++)
		if (!put->meta[i].is_private)
			meta[kept.meta_count++] = put->meta[i];
	return kept;
}

/* WAITS now and then: a large body, which is one part, some chunks at a time. */
static void lay(const struct crypt_span *span, const struct str *parts, size_t count, char *out)
{
	const size_t chunk = (size_t)1 << span->chunk_shift,
		     step = MAX(INLINE_MAX / chunk, 1) * chunk;
	struct str rest = count == 1 ? parts[0] : STR_NONE;
	if (rest.n <= step) {
		crypt_chunks_lay(span, parts, count, out);
		return;
	}
	while (rest.n > 0) {
		struct str some = str_take(&rest, step);
		crypt_chunks_lay(span, &some, 1, out);
		out += some.n / chunk * (chunk + AEAD_TAG_BYTES);
		task_breathe();
	}
}

static enum err crypt_put(struct op *op, struct objects *o, const struct object_put *all)
{
	struct crypt_store *store = crypt_store(o);
	if (store->settings.algorithm == CRYPT_PLAIN)
		return put_plain(op, o, all);
	const struct object_put kept = without_private(op, all), *put = &kept;
	struct crypt_span span = { .has_last = true };
	struct buf header;
	size_t size = objects_parts_bytes(put->parts, put->part_count);
	buf_init(&header, 0);
	crypt_ring_lock(store->settings.ring, store->settings.algorithm, last_component(put->key),
		&header, &span);
	struct chunk_job *j =
		chunk_job_new(&span, seal_run, crypt_chunks_size(size, span.chunk_shift));
	mem_wipe(&span, sizeof(span));
	j->content_size = size;
	lay(&j->span, put->parts, put->part_count, j->in);
	enum err e = ERR_NONE;
	if (size > INLINE_MAX)
		e = offload(op, OFFLOAD_CPU, &j->job);
	else
		seal_run(&j->job);
	if (e == ERR_NONE) {
		const struct str parts[] = { buf_str(&header), { j->in, j->in_size } };
		e = put_parts(op, o, put, parts, ARRAY_COUNT(parts));
		chunk_job_release(&j->job);
	}
	buf_done(&header);
	return e;
}

/* ---- get ---- */

/* Opens whole chunks into op's arena. */
static enum err open_chunks(
	struct op *op, const struct crypt_span *span, struct str sealed, struct str *out)
{
	size_t size;
	if (!arena_has_room(op->arena, sealed.n))
		return op_fail(op, ERR_LIMIT, "no room for %zu bytes", sealed.n);
	char *bytes = arena_alloc(op->arena, MAX(sealed.n, 1));
	if (sealed.n > INLINE_MAX) {
		struct chunk_job *j = chunk_job_new(span, open_run, sealed.n);
		objects_bytes_copy(j->in, sealed);
		TRY(offload(op, OFFLOAD_CPU, &j->job));
		size = j->content_size;
		if (size != SIZE_MAX)
			objects_bytes_copy(bytes, (struct str){ j->out, size });
		chunk_job_release(&j->job);
	} else {
		size = crypt_chunks_open(span, sealed, bytes);
	}
	if (size == SIZE_MAX)
		return op_fail(op, ERR_CORRUPT, "it was changed, cut short or moved");
	*out = (struct str){ bytes, size };
	return ERR_NONE;
}

/* Where a range stands among the chunks. */
struct range {
	uint64_t offset;
	size_t length;
	uint64_t first, last; /* chunks it touches; it may end before the last */
};

static struct range range_of(const struct crypt_header *h, uint64_t offset, size_t length)
{
	uint64_t end;
	if (add_overflows(offset, (uint64_t)length, &end))
		end = UINT64_MAX;
	return (struct range){ offset, length, offset >> h->chunk_shift,
		end == offset ? offset >> h->chunk_shift : (end - 1) >> h->chunk_shift };
}

/* Bytes of `n` chunks; SIZE_MAX: as many as there are. */
static size_t chunks_bytes(const struct crypt_header *h, uint64_t n)
{
	const uint64_t chunk = (UINT64_C(1) << h->chunk_shift) + AEAD_TAG_BYTES;
	return n >= SIZE_MAX / 2 / chunk ? SIZE_MAX / 2 : (size_t)(n * chunk);
}

/* Opens what a range needs of `held`, the stored chunks from number `from` on. `is_end`: nothing is
 * stored behind them. The last chunk is opened also when the range begins behind the end: it says
 * that this is the end. */
static enum err open_range(struct op *op, struct crypt_span *span, const struct crypt_header *h,
	struct str held, uint64_t from, bool is_end, const struct range *r, struct str *out)
{
	const size_t chunk = chunks_bytes(h, 1);
	struct str body = STR_NONE;
	if (held.n == 0)
		return op_fail(op, ERR_CORRUPT, "it is cut short");
	uint64_t last_held = from + (held.n - 1) / chunk;
	uint64_t first = MIN(r->first, last_held), last = MIN(r->last, last_held);
	span->first = first;
	span->has_last = is_end && last == last_held;
	size_t begin = (size_t)(first - from) * chunk, end = (size_t)(last - from + 1) * chunk;
	TRY(open_chunks(op, span, str_slice(held, begin, end), &body));
	uint64_t base = first << h->chunk_shift;
	*out = objects_slice(body.p, body.n, r->offset - base, r->length);
	return ERR_NONE;
}

/* A range behind the object's end: its last chunk vouches for that. */
static enum err read_end(struct op *op, struct objects *o, struct str key, struct crypt_span *span,
	const struct crypt_header *h, const struct range *r, struct str *out)
{
	struct object_info info;
	uint64_t size;
	struct str held;
	TRY(objects_stat(op, o->inner, key, &info));
	TRY(crypt_content_size(op, h, info.size_bytes, &size));
	if (size > r->offset)
		return op_fail(op, ERR_CORRUPT, "its store gives less than it says");
	uint64_t from = size ? (size - 1) >> h->chunk_shift : 0;
	uint64_t at = h->bytes.n + from * chunks_bytes(h, 1);
	TRY(objects_get_range(op, o->inner, key, at, chunks_bytes(h, 1) + 1, &held));
	return open_range(op, span, h, held, from, true, r, out);
}

/* A range far behind the beginning: the header, then the chunks. */
static enum err read_far(struct op *op, struct objects *o, struct str key, struct crypt_span *span,
	const struct crypt_header *h, const struct range *r, struct str *out)
{
	struct str held;
	uint64_t at;
	size_t wanted = chunks_bytes(h, r->last - r->first + 1) + 1;
	if (r->first > (UINT64_MAX >> 1) / chunks_bytes(h, 1))
		return read_end(op, o, key, span, h, r, out);
	at = h->bytes.n + r->first * chunks_bytes(h, 1);
	TRY(objects_get_range(op, o->inner, key, at, wanted, &held));
	if (held.n == 0)
		return read_end(op, o, key, span, h, r, out);
	bool is_end = held.n < wanted;
	return open_range(op, span, h, str_slice(held, 0, wanted - 1), r->first, is_end, r, out);
}

/* A plain body behind a header that says so. */
static enum err read_escaped(struct op *op, struct objects *o, struct str key,
	const struct crypt_header *h, struct str front, uint64_t offset, size_t length,
	struct str *out)
{
	if (offset >= NEAR_MAX)
		return objects_get_range(
			op, o->inner, key, h->bytes.n + MIN(offset, UINT64_MAX >> 1), length, out);
	*out = objects_slice(front.p + h->bytes.n, front.n - h->bytes.n, offset, length);
	return ERR_NONE;
}

struct asked {
	size_t front; /* bytes that were asked for from 0 on */
	uint64_t offset;
	size_t length;
	bool may_be_plain;
};

/* `front` is what is stored from 0 on: asked->front bytes, or all. */
static enum err read_sealed(struct op *op, struct objects *o, struct str key, struct str front,
	const struct asked *asked, struct str *out)
{
	struct crypt_header h;
	struct crypt_span span = { 0 };
	TRY(crypt_header_read(op, front, &h));
	if (h.algorithm == CRYPT_PLAIN && !asked->may_be_plain)
		return op_fail(op, ERR_CORRUPT, "it is not encrypted");
	if (h.algorithm == CRYPT_PLAIN)
		return read_escaped(op, o, key, &h, front, asked->offset, asked->length, out);
	struct range r = range_of(&h, asked->offset, asked->length);
	enum err e = crypt_ring_unlock(
		op, crypt_store(o)->settings.ring, &h, last_component(key), &span);
	if (e == ERR_NONE && asked->offset < NEAR_MAX)
		e = open_range(op, &span, &h, str_slice(front, h.bytes.n, front.n), 0,
			front.n < asked->front, &r, out);
	else if (e == ERR_NONE)
		e = read_far(op, o, key, &span, &h, &r, out);
	mem_wipe(&span, sizeof(span));
	return e;
}

static enum err crypt_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	const struct crypt_store *store = crypt_store(o);
	/* A near range needs the header and the chunks from 0 on. */
	struct asked asked = { CRYPT_HEADER_MAX, offset, length,
		store->settings.reads_plain || store->settings.algorithm == CRYPT_PLAIN };
	if (offset < NEAR_MAX) {
		const struct crypt_header any = { .chunk_shift = CRYPT_CHUNK_SHIFT };
		struct range r = range_of(&any, offset, length);
		asked.front += chunks_bytes(&any, r.last + 1);
	}
	struct str front;
	TRY(objects_get_range(op, o->inner, key, 0, asked.front, &front));
	if (crypt_is_sealed(front)) {
		enum err e = read_sealed(op, o, key, front, &asked, out);
		return op_within(op, e, "object %.*s", STRF(key));
	}
	if (!asked.may_be_plain)
		return op_fail(op, ERR_CORRUPT, "object %.*s is not encrypted", STRF(key));
	if (offset >= NEAR_MAX)
		return objects_get_range(op, o->inner, key, offset, length, out);
	*out = objects_slice(front.p, front.n, offset, length);
	return ERR_NONE;
}

/* ---- the rest ---- */

static enum err crypt_remove(struct op *op, struct objects *o, struct str key)
{
	return objects_delete(op, o->inner, key);
}

static enum err crypt_remove_many(
	struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	return objects_delete_many(op, o->inner, keys, count);
}

/* The size of the content needs the header: one more request. */
static enum err crypt_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct object_info info;
	struct str front;
	struct crypt_header h;
	TRY(objects_stat(op, o->inner, key, &info));
	TRY(objects_get_range(op, o->inner, key, 0, CRYPT_HEADER_MAX, &front));
	if (crypt_is_sealed(front)) {
		enum err e = crypt_header_read(op, front, &h);
		if (e == ERR_NONE)
			e = crypt_content_size(op, &h, info.size_bytes, &info.size_bytes);
		TRY(op_within(op, e, "object %.*s", STRF(key)));
	}
	*out = info;
	return ERR_NONE;
}

/* Sizes are those that are stored: an audit does not open every object. */
static enum err crypt_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	return objects_iter(op, o->inner, prefix, fn, arg);
}

static enum err crypt_copy(struct op *op, struct objects *o, struct str from, struct str to)
{
	if (str_eq(last_component(from), last_component(to)))
		return objects_copy(op, o->inner, from, to);
	return objects_copy_by_reading(op, o, from, to);
}

/* ---- opening ---- */

static enum err crypt_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	struct crypt_settings settings;
	TRY(crypt_settings_read(op, scope, argument, &settings));
	struct crypt_store *store = MEM_NEW(struct crypt_store);
	store->base.driver = &objects_crypt;
	store->base.inner = inner;
	store->settings = settings;
	*out = &store->base;
	return ERR_NONE;
}

static void crypt_close(struct objects *o)
{
	struct crypt_store *store = crypt_store(o);
	objects_close(o->inner);
	crypt_ring_free(store->settings.ring);
	mem_free(store);
}

const struct objects_driver objects_crypt = {
	.name = "crypt",
	.is_wrapper = true,
	.open = crypt_open,
	.close = crypt_close,
	.put = crypt_put,
	.get = crypt_get,
	.remove = crypt_remove,
	.stat = crypt_stat,
	.iter = crypt_iter,
	.copy = crypt_copy,
	.remove_many = crypt_remove_many,
};
