/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_flight.c - see fscache_flight.h. */
#include "objects/fscache_flight.h"

#include "base/account.h"
#include "base/hash.h"
#include "event/event.h"

#define PREFETCH_US (30 * US_PER_SEC)

struct fscache *fscache_new(struct str path, uint64_t limit)
{
	struct fscache *c = MEM_NEW(struct fscache);
	c->path = (struct str){ str_new_z(path), path.n };
	c->limit = limit;
	c->refs = 1;
	map_init(&c->dirs);
	map_init(&c->flights);
	list_init(&c->adding);
	return c;
}

static void unref(struct fscache *c)
{
	if (--c->refs > 0)
		return;
	struct map_entry entry;
	for (size_t at = 0; map_next(&c->dirs, &at, &entry);)
		cache_dir_unref(entry.value);
	map_done(&c->dirs);
	ASSERT(c->flights.count == 0); /* calls end before their store does */
	map_done(&c->flights);
	mem_free((void *)(uintptr_t)c->path.p);
	mem_free(c);
}

/* The inner store is prefetching's too. */
static void close_inner(struct fscache *c)
{
	if (c->is_closed && c->prefetchers == 0 && c->base.inner) {
		struct objects *inner = c->base.inner;
		c->base.inner = NULL;
		objects_close(inner);
	}
}

void fscache_end(struct fscache *c)
{
	c->is_closed = true;
	while (c->wanted_count)
		mem_free((void *)(uintptr_t)c->wanted[--c->wanted_count].p);
	close_inner(c);
	unref(c);
}

void fscache_broken(struct fscache *c, struct op *op)
{
	c->retry_us = now_us() + FSCACHE_RETRY_US;
	if (!c->has_warned)
		event_send(op->event, EVENT_WARNING, "fscache_failed",
			"fs fscache is passed over until this is mended: %s", op->failure.text);
	c->has_warned = true;
	op_forgive(op);
}

/* ---- flights ---- */

struct flight *fscache_flight_new(struct fscache *c, struct str key)
{
	struct flight *f = MEM_NEW(struct flight);
	f->key = (struct str){ str_new_z(key), key.n };
	map_set(&c->flights, f->key, f);
	return f;
}

static void flight_free(struct flight *f)
{
	mem_free((void *)(uintptr_t)f->key.p);
	mem_free((void *)(uintptr_t)f->body.p);
	mem_free(f);
}

void fscache_flight_land(struct fscache *c, struct flight *f, const struct op *op, enum err result,
	struct str body, bool is_whole)
{
	(void)map_remove(&c->flights, f->key); /* it is f */
	if (is_whole && !f->is_doomed) {
		uint64_t hash = hash_bytes(f->key);
		size_t at = hash % ARRAY_COUNT(c->landed);
		c->landed[at].hash = hash;
		c->landed[at].landing = ++c->landings;
	}
	if (f->followers == 0) {
		flight_free(f);
		return;
	}
	f->has_landed = true;
	f->is_whole = is_whole;
	f->result = result;
	f->failure = op->failure;
	if (result == ERR_NONE && body.n) {
		char *copy = mem_resize(NULL, body.n);
		memcpy(copy, body.p, body.n);
		f->body = (struct str){ copy, body.n };
	}
	wait_queue_wake_all(&f->landing);
}

bool fscache_has_landed(const struct fscache *c, struct str key, uint64_t landings)
{
	uint64_t hash = hash_bytes(key);
	size_t at = hash % ARRAY_COUNT(c->landed);
	return c->landed[at].hash == hash && c->landed[at].landing > landings;
}

enum follow fscache_flight_follow(
	struct op *op, struct flight *f, uint64_t offset, size_t length, struct str *out)
{
	enum err e = ERR_NONE;
	enum follow how = FOLLOW_FAILED;
	f->followers++;
	while (e == ERR_NONE && !f->has_landed)
		e = wait_queue_wait(op, &f->landing);
	if (!f->has_landed) {
		f->followers--; /* the leader frees it */
		return FOLLOW_FAILED;
	}
	op_forgive(op); /* the deadline may have passed in the same moment */
	bool helps = f->is_whole || (offset <= f->body.n && length <= f->body.n - offset);
	if (f->result == ERR_TIMEOUT || f->result == ERR_CANCELLED ||
		(f->result == ERR_NONE && (!helps || f->is_doomed)))
		how = FOLLOW_AGAIN; /* its deadline was not ours */
	else if (f->result != ERR_NONE)
		(void)op_fail(op, f->result, "%s", f->failure.text);
	else if (objects_answer(op, objects_slice(f->body.p, f->body.n, offset, length), out) ==
		 ERR_NONE)
		how = FOLLOW_DONE;
	if (--f->followers == 0)
		flight_free(f);
	return how;
}

/* ---- jobs on a directory ---- */

enum dir_action { DIR_ADD, DIR_REMOVE, DIR_FIND, DIR_TOUCH, DIR_COUNT };

struct dir_job {
	struct offload_job job; /* first */
	struct cache_dir *dir;  /* referenced */
	enum dir_action action;
	struct op op; /* for failures alone */
	enum err result;
	struct fscache *cache; /* of background tasks: referenced */
	struct adding adding;  /* its texts are in bytes */
	struct cache_query query;
	enum cache_found found;
	char key[OBJECTS_KEY_MAX];
	char *bytes; /* owned */
};

static void dir_run(struct offload_job *job)
{
	struct dir_job *j = CONTAINER_OF(job, struct dir_job, job);
	struct cache_count count;
	switch (j->action) {
	case DIR_ADD:
		j->result = cache_dir_add(&j->op, j->dir, j->adding.key, j->adding.body);
		break;
	case DIR_REMOVE:
		cache_dir_remove(j->dir, j->query.key);
		break;
	case DIR_FIND:
		j->found = cache_dir_find(j->dir, &j->query);
		break;
	case DIR_TOUCH:
		cache_dir_touch(j->dir, j->query.key);
		break;
	case DIR_COUNT:
		j->result = cache_dir_count(&j->op, j->dir, 0, &count);
		break;
	}
}

static void dir_release(struct offload_job *job)
{
	struct dir_job *j = CONTAINER_OF(job, struct dir_job, job);
	cache_dir_unref(j->dir);
	mem_free(j->bytes);
	if (j->action == DIR_FIND)
		mem_free(j->query.bytes);
	mem_free(j);
}

static struct dir_job *dir_job_new(struct cache_dir *d, enum dir_action action, struct str key)
{
	struct dir_job *j = MEM_NEW(struct dir_job);
	ASSERT(key.n <= sizeof(j->key));
	j->job.run = dir_run;
	j->job.release = dir_release;
	j->dir = d;
	j->action = action;
	cache_dir_ref(d);
	op_init(&j->op, NULL, NULL, TIME_NEVER);
	if (key.n)
		memcpy(j->key, key.p, key.n);
	j->query.key = (struct str){ j->key, key.n };
	return j;
}

enum cache_found fscache_find_offloaded(
	struct op *op, struct cache_dir *d, struct cache_query *q, struct str *out)
{
	struct dir_job *j = dir_job_new(d, DIR_FIND, q->key);
	j->query.offset = q->offset;
	j->query.length = q->length;
	if (offload(op, OFFLOAD_DISK, &j->job) != ERR_NONE) {
		op_forgive(op); /* the store's answer will be the same */
		return CACHE_MISS;
	}
	enum cache_found found = j->found;
	q->wants_touch = j->query.wants_touch;
	if (found == CACHE_HIT && objects_answer(op, j->query.body, out) != ERR_NONE) {
		op_forgive(op);
		found = CACHE_MISS;
	}
	dir_release(&j->job);
	return found;
}

void fscache_drop(struct op *op, struct cache_dir *d, const struct str *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct dir_job *j = dir_job_new(d, DIR_REMOVE, keys[i]);
		if (offload(op, OFFLOAD_DISK, &j->job) == ERR_NONE)
			dir_release(&j->job);
		else
			op_forgive(op); /* it may still run; what stays is stale, not wrong */
	}
}

/* ---- adding ---- */

const struct adding *fscache_adding_find(const struct fscache *c, struct str key)
{
	struct adding *a, *next;
	LIST_FOR_EACH(a, next, &c->adding, struct adding, link)
	if (!a->is_doomed && !a->is_filling && str_eq(a->key, key))
		return a;
	return NULL;
}

/* Nobody waits: the loop's end or the disk alone ends it. */
static bool run_aside(struct dir_job *j)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	task_shield();
	bool has_run = offload(&op, OFFLOAD_DISK, &j->job) == ERR_NONE;
	task_unshield();
	return has_run;
}

static void add_task(void *arg)
{
	struct dir_job *j = arg;
	struct fscache *c = j->cache;
	struct cache_dir *d = j->dir;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	cache_dir_ref(d);
	bool has_run = run_aside(j);
	ASSERT(has_run); /* shielded, without deadline */
	if (j->result == ERR_NONE) {
		c->counters.added++;
		c->has_warned = false;
	} else if (j->result != ERR_EXISTS) {
		(void)op_fail(&op, j->result, "%s", j->op.failure.text);
		fscache_broken(c, &op);
	}
	if (j->adding.is_doomed)
		fscache_drop(&op, d, &j->adding.key, 1);
	list_remove(&j->adding.link);
	wait_queue_wake_all(&c->added);
	c->adding_bytes -= j->adding.body.n;
	dir_release(&j->job);
	cache_dir_unref(d);
	unref(c);
}

/* A body larger than all that may be pending goes alone: mails are read whole for each of their ranges, and large
 * ones are read in ranges. */
static bool may_pend(const struct fscache *c, size_t size)
{
	return (c->adding_bytes == 0 || size + c->adding_bytes <= FSCACHE_PENDING_MAX) &&
	       account_has_room(size);
}

void fscache_add_start(struct fscache *c, struct cache_dir *d, struct str key,
	const struct str *parts, size_t count)
{
	size_t size = objects_parts_bytes(parts, count);
	if (size > c->limit / 8 || !may_pend(c, size) || now_us() < c->retry_us ||
		fscache_adding_find(c, key)) {
		c->counters.skipped++;
		return;
	}
	struct dir_job *j = dir_job_new(d, DIR_ADD, key);
	j->bytes = mem_resize(NULL, size + 1);
	j->adding.key = j->query.key;
	j->adding.body = (struct str){ j->bytes, size };
	j->adding.is_filling = true;
	j->cache = c;
	c->refs++;
	c->adding_bytes += size;
	list_add_last(&c->adding, &j->adding.link);
	char *to = j->bytes;
	for (size_t i = 0; i < count; to += parts[i++].n)
		objects_bytes_copy(to, parts[i]);
	j->adding.is_filling = false;
	task_start("fscache add", add_task, j);
}

/* Dooms what is being added under the key; true if there is such. */
static bool doom(struct fscache *c, struct str key)
{
	struct adding *a, *next;
	bool has_some = false;
	LIST_FOR_EACH(a, next, &c->adding, struct adding, link)
	if (str_eq(a->key, key))
		has_some = a->is_doomed = true;
	return has_some;
}

void fscache_forget(struct op *op, struct fscache *c, struct cache_dir *d, struct str key)
{
	struct cache_query q = { .key = key };
	while (doom(c, key)) /* the task that adds takes it away again */
		if (wait_queue_wait(op, &c->added) != ERR_NONE) {
			op_forgive(op);
			return;
		}
	if (cache_dir_find_now(op, d, &q) != CACHE_MISS)
		fscache_drop(op, d, &key, 1);
}

/* ---- touching and counting ---- */

static void aside_task(void *arg)
{
	struct dir_job *j = arg;
	bool has_run = run_aside(j);
	ASSERT(has_run);
	dir_release(&j->job);
}

void fscache_touch_start(struct cache_dir *d, struct str key)
{
	task_start("fscache touch", aside_task, dir_job_new(d, DIR_TOUCH, key));
}

void fscache_count_start(struct cache_dir *d)
{
	task_start("fscache count", aside_task, dir_job_new(d, DIR_COUNT, STR_NONE));
}

/* ---- prefetching ---- */

static void prefetch_task(void *arg)
{
	struct fscache *c = arg;
	while (c->wanted_count && !c->is_closed) {
		AUTO_ARENA(arena, 4 * FSCACHE_SMALL_MAX);
		struct op op;
		struct str body, key = c->wanted[--c->wanted_count];
		op_init(&op, &arena, NULL, now_us() + PREFETCH_US);
		/* Reading brings it; that it failed shows when somebody needs it. */
		if (objects_get_range(&op, &c->base, key, 0, 1, &body) != ERR_NONE)
			op_forgive(&op);
		mem_free((void *)(uintptr_t)key.p);
	}
	c->prefetchers--;
	close_inner(c);
	unref(c);
}

void fscache_prefetch_start(struct fscache *c, const struct str *keys, size_t count)
{
	/* The last are taken first: they are the ones that were asked for last. */
	for (size_t i = count; i-- > 0 && c->wanted_count < FSCACHE_WANTED_MAX;)
		c->wanted[c->wanted_count++] = (struct str){ str_new_z(keys[i]), keys[i].n };
	while (c->prefetchers < MIN(c->wanted_count, FSCACHE_PREFETCHERS)) {
		c->prefetchers++;
		c->refs++;
		task_start("objects prefetch", prefetch_task, c);
	}
}
