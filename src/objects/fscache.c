/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache.c - a wrapper that keeps plain bodies on the local disk: what was read or written lately
 * costs no request. The directory is in fscache_dir.c.
 *
 * Hit:    read and checked inline while the kernel has it in memory, else in one offload job.
 * Miss:   of several who want an object one asks, the others take what it gets (flights). What is not
 *         larger than SMALL_MAX is fetched whole, whatever range was asked for; of larger ones ranges are
 *         passed on, and only whole reads are kept.
 * Put:    first the store below; then the body is kept beside, nobody waits for that. Until it is
 *         written it is served from memory (`adding`).
 * Broken: a cache that cannot be used is passed over, and says so once. */
#include "objects/fscache.h"
#include "base/hash.h"
#include "base/number.h"
#include "config/config.h"
#include "config/expand.h"
#include "event/event.h"
#include "objects/fscache_dir.h"
#include "objects/fscache_flight.h"
#include "objects/objects_private.h"

#define DIRS_MAX 64

static struct fscache *fscache_of(struct objects *o)
{
	ASSERT(o->driver == &objects_fscache);
	return CONTAINER_OF(o, struct fscache, base);
}

/* ---- where a user's objects are kept ---- */

/* Users' directories that are kept open: each holds descriptors. */
static void dirs_limit(struct fscache *c)
{
	struct map_entry entry;
	if (c->dirs.count < DIRS_MAX)
		return;
	for (size_t at = 0; map_next(&c->dirs, &at, &entry);)
		cache_dir_unref(entry.value);
	map_done(&c->dirs);
	map_init(&c->dirs);
}

/* NULL: it is passed over at present. */
static struct cache_dir *dir_open(struct op *op, struct fscache *c, struct str path)
{
	struct cache_dir *d;
	if (now_us() < c->retry_us)
		return NULL;
	enum err e = cache_dir_open(op, path, c->limit, &d);
	if (e != ERR_NONE) {
		fscache_broken(c, op);
		return NULL;
	}
	dirs_limit(c);
	map_set(&c->dirs, cache_dir_path(d), d);
	if (cache_dir_wants_count(d))
		fscache_count_start(d);
	return d;
}

/* Does a path lead to where its text says? */
static bool is_straight(struct str path)
{
	struct str rest = path, part;
	while (str_cut(&rest, '/', &part))
		if (str_eq(part, STR("..")))
			return false;
	return !str_eq(rest, STR(".."));
}

/* Referenced; NULL: what is kept under the key is passed over at present, and `op` may say why. */
static struct cache_dir *dir_of(struct op *op, struct fscache *c, struct str key)
{
	struct str path = c->path, rest = key, user;
	if (!c->is_one_path) {
		if (!str_cut(&rest, '/', &user))
			user = key;
		ssize_t at = str_find_byte(user, '@');
		struct str name = at < 0 ? user : str_slice(user, 0, (size_t)at);
		struct str domain = at < 0 ? STR("") : str_slice(user, (size_t)at + 1, user.n);
		const struct config_var items[] = { { STR("user"), user },
			{ STR("username"), name }, { STR("domain"), domain } };
		const struct config_vars vars = { .items = items, .count = ARRAY_COUNT(items) };
		if (config_expand(op, c->path, &vars, &path) != ERR_NONE) {
			fscache_broken(c, op);
			return NULL;
		}
		if (!is_straight(path))
			return NULL;
	}
	struct cache_dir *d = map_get(&c->dirs, path);
	if (!d)
		d = dir_open(op, c, path);
	if (d)
		cache_dir_ref(d);
	return d;
}

/* ---- get ---- */

static enum err cut(struct op *op, struct str body, uint64_t offset, size_t length, struct str *out)
{
	return objects_answer(op, objects_slice(body.p, body.n, offset, length), out);
}

/* WAITS. False: it is not in the cache. */
static bool find(struct op *op, struct fscache *c, struct cache_dir *d, struct str key,
	uint64_t offset, size_t length, struct str *out)
{
	struct cache_query q = { .key = key, .offset = offset, .length = length };
	const struct adding *a = fscache_adding_find(c, key);
	if (a && cut(op, a->body, offset, length, out) == ERR_NONE)
		return true;
	op_forgive(op); /* no room: the store will say so too */
	enum cache_found found = cache_dir_find_now(op, d, &q);
	if (found == CACHE_HIT)
		*out = q.body;
	else if (found == CACHE_UNKNOWN)
		found = fscache_find_offloaded(op, d, &q, out);
	if (found == CACHE_DAMAGED) {
		c->counters.damaged++;
		fscache_drop(op, d, &key, 1);
	}
	if (found == CACHE_HIT && q.wants_touch)
		fscache_touch_start(d, key);
	return found == CACHE_HIT;
}

/* Is an object known to be too large to be fetched whole for a range? Forgetting costs a request. */
static bool is_known_large(const struct fscache *c, struct str key)
{
	uint64_t hash = hash_bytes(key);
	return c->large[hash % ARRAY_COUNT(c->large)] == hash;
}

/* How many bytes from 0 on are asked of the store for a range; 0: the range alone. */
static size_t bytes_to_ask(const struct fscache *c, struct str key, uint64_t offset, size_t length)
{
	uint64_t end;
	if (add_overflows(offset, (uint64_t)length, &end))
		end = UINT64_MAX;
	if (offset == 0)
		return (size_t)MAX(MIN(end, (uint64_t)SIZE_MAX), FSCACHE_SMALL_MAX + 1);
	if (offset > FSCACHE_SMALL_MAX || is_known_large(c, key))
		return 0;
	return FSCACHE_SMALL_MAX + 1;
}

/* WAITS. Asks the store for the first `asked` bytes, keeps the object if that is all of it, and
 * serves the followers of the flight. */
static enum err lead(struct op *op, struct fscache *c, struct cache_dir *d, struct flight *f,
	size_t asked, struct str *out)
{
	struct str body = STR_NONE;
	enum err e = objects_get_range(op, c->base.inner, f->key, 0, asked, &body);
	bool is_whole = e == ERR_NONE && body.n < asked;
	if (is_whole && !f->is_doomed)
		fscache_add_start(c, d, f->key, &body, 1);
	if (e == ERR_NONE && !is_whole) {
		uint64_t hash = hash_bytes(f->key);
		c->large[hash % ARRAY_COUNT(c->large)] = hash;
	}
	fscache_flight_land(c, f, op, e, body, is_whole);
	*out = body;
	return e;
}

/* What a leader brought: false when this range has to be asked for alone. */
static bool serves(struct str body, bool is_whole, uint64_t offset, size_t length)
{
	return is_whole || (offset <= body.n && length <= body.n - offset);
}

static enum err get_through(struct op *op, struct fscache *c, struct cache_dir *d, struct str key,
	uint64_t offset, size_t length, struct str *out)
{
	struct objects *inner = c->base.inner;
	struct flight *f;
	for (;;) {
		uint64_t landings = c->landings;
		if (find(op, c, d, key, offset, length, out)) {
			c->counters.hits++;
			return ERR_NONE;
		}
		if (fscache_has_landed(c, key, landings))
			continue;
		f = map_get(&c->flights, key);
		if (!f || is_known_large(c, key))
			break;
		enum follow followed = fscache_flight_follow(op, f, offset, length, out);
		if (followed == FOLLOW_DONE)
			return ERR_NONE;
		if (followed == FOLLOW_FAILED)
			return op->failure.class;
	}
	c->counters.misses++;
	size_t asked = bytes_to_ask(c, key, offset, length);
	if (asked == 0 || f)
		return objects_get_range(op, inner, key, offset, length, out);
	struct str body = STR_NONE;
	TRY(lead(op, c, d, fscache_flight_new(c, key), asked, &body));
	if (!serves(body, body.n < asked, offset, length))
		return objects_get_range(op, inner, key, offset, length, out);
	*out = objects_slice(body.p, body.n, offset, length);
	return ERR_NONE;
}

static enum err fscache_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	struct fscache *c = fscache_of(o);
	struct cache_dir *d = dir_of(op, c, key);
	if (!d) {
		op_forgive(op);
		return objects_get_range(op, o->inner, key, offset, length, out);
	}
	enum err e = get_through(op, c, d, key, offset, length, out);
	cache_dir_unref(d);
	return e;
}

/* ---- the rest ---- */

static enum err fscache_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct fscache *c = fscache_of(o);
	TRY(objects_put(op, o->inner, put));
	struct cache_dir *d = dir_of(op, c, put->key);
	if (d) {
		fscache_add_start(c, d, put->key, put->parts, put->part_count);
		cache_dir_unref(d);
	} else {
		op_forgive(op);
	}
	return ERR_NONE;
}

/* WAITS. Nobody reads from the cache what is deleted, also what is on its way there, and also when it is not
 * certain that it was. What the store said stays in `op`. */
static void forget(const struct op *op, struct fscache *c, const struct str *keys, size_t count)
{
	struct op aside;
	op_init(&aside, op->arena, op->event, op->deadline_us);
	for (size_t i = 0; i < count; i++) {
		struct flight *f = map_get(&c->flights, keys[i]);
		if (f)
			f->is_doomed = true;
		struct cache_dir *d = dir_of(&aside, c, keys[i]);
		if (d) {
			fscache_forget(&aside, c, d, keys[i]);
			cache_dir_unref(d);
		} else {
			op_forgive(&aside);
		}
	}
}

static enum err fscache_remove(struct op *op, struct objects *o, struct str key)
{
	enum err e = objects_delete(op, o->inner, key);
	forget(op, fscache_of(o), &key, 1);
	return e;
}

static enum err fscache_remove_many(
	struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	enum err e = objects_delete_many(op, o->inner, keys, count);
	forget(op, fscache_of(o), keys, count);
	return e;
}

static enum err fscache_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	return objects_stat(op, o->inner, key, out);
}

static enum err fscache_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	return objects_iter(op, o->inner, prefix, fn, arg);
}

struct fscache_counters objects_fscache_counters(struct objects *o)
{
	while (o && o->driver != &objects_fscache)
		o = o->inner;
	return o ? fscache_of(o)->counters : (struct fscache_counters){ 0 };
}

/* ---- opening ---- */

/* "path,bytes": everything in one directory. */
static enum err argument_read(struct op *op, struct str argument, struct str *path, uint64_t *limit)
{
	struct str rest = argument;
	if (!str_cut(&rest, ',', path) || !number_parse_u64(rest, limit))
		return op_fail(
			op, ERR_INVALID, "fscache: \"%.*s\" is not PATH,BYTES", STRF(argument));
	return ERR_NONE;
}

static enum err fscache_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	struct str path;
	uint64_t limit;
	if (scope) {
		path = config_str(scope, SET_fs_fscache_path);
		limit = config_size(scope, SET_fs_fscache_size);
	} else {
		TRY(argument_read(op, argument, &path, &limit));
	}
	/* A cache of local files would only double them; without a size there is none. */
	if (scope && (limit == 0 || objects_is_local(inner))) {
		*out = inner;
		return ERR_NONE;
	}
	if (path.n == 0 || path.p[0] != '/' || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "fs_fscache_path: \"%.*s\" is no absolute path",
			STRF(path));
	TRY(op_within(op, config_expand_check(op, path), "fs_fscache_path"));
	struct fscache *c = fscache_new(path, limit);
	c->base.driver = &objects_fscache;
	c->base.inner = inner;
	c->is_one_path = config_expand_is_plain(path);
	*out = &c->base;
	return ERR_NONE;
}

static void fscache_close(struct objects *o)
{
	fscache_end(fscache_of(o));
}

static void fscache_prefetch(struct objects *o, const struct str *keys, size_t count)
{
	fscache_prefetch_start(fscache_of(o), keys, count);
}

const struct objects_driver objects_fscache = {
	.name = "fscache",
	.is_wrapper = true,
	.open = fscache_open,
	.close = fscache_close,
	.put = fscache_put,
	.get = fscache_get,
	.remove = fscache_remove,
	.stat = fscache_stat,
	.iter = fscache_iter,
	.remove_many = fscache_remove_many,
	.prefetch = fscache_prefetch,
};
