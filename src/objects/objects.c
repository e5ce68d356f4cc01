/* SPDX-License-Identifier: Apache-2.0 */
/* objects/objects.c - what every level has in common: checking keys, counting, dispatching to the
 * driver, and the calls that are made of others (copy, get_many, delete_many).
 *
 * Wrappers call these functions on their inner store, so that each level counts its own requests. */
#include "objects/objects.h"

#include "objects/objects_private.h"
#include "task/task.h"

#define GET_PARALLEL    16
#define DELETE_PARALLEL 8

/* Drivers that keep temporary files beside the objects name them so. */
static bool component_is_allowed(struct str c)
{
	if (c.n == 0 || c.n > OBJECTS_COMPONENT_MAX)
		return false;
	if (str_eq(c, STR(".")) || str_eq(c, STR("..")))
		return false;
	return !str_starts(c, STR(OBJECTS_TMP_PREFIX));
}

bool objects_key_is_valid(struct str key)
{
	if (key.n == 0 || key.n > OBJECTS_KEY_MAX || str_has_nul(key) || !utf8_is_valid(key))
		return false;
	struct str rest = key, component;
	while (str_cut(&rest, '/', &component))
		if (!component_is_allowed(component))
			return false;
	return component_is_allowed(rest);
}

static enum err key_check(struct op *op, struct str key)
{
	if (objects_key_is_valid(key))
		return ERR_NONE;
	if (key.n == 0 || key.n > OBJECTS_KEY_MAX || str_has_nul(key) || !utf8_is_valid(key))
		return op_fail(op, ERR_INVALID,
			"object key of %zu bytes is empty, too long or no UTF-8", key.n);
	return op_fail(op, ERR_INVALID, "object key \"%.*s\" has a component that is not allowed",
		STRF(key));
}

static enum err counted(struct objects *o, enum err e)
{
	bool is_answered = e == ERR_NONE || e == ERR_NOT_FOUND || e == ERR_EXISTS;
	o->counters.failures += !is_answered;
	if (is_answered)
		o->failing_since_wall_us = 0;
	else if (o->failing_since_wall_us == 0 && (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT))
		o->failing_since_wall_us = now_wall_us();
	return e;
}

static enum err meta_check(struct op *op, const struct object_put *put)
{
	size_t bytes = 0;
	for (size_t i = 0; i < put->meta_count; i++)
		bytes += put->meta[i].name.n + put->meta[i].value.n;
	if (put->meta_count > OBJECTS_META_MAX || bytes > OBJECTS_META_BYTES)
		return op_fail(op, ERR_LIMIT,
			"object %.*s has %zu bytes of metadata, at most %d are kept",
			STRF(put->key), bytes, OBJECTS_META_BYTES);
	return ERR_NONE;
}

enum err objects_put(struct op *op, struct objects *o, const struct object_put *put)
{
	TRY(key_check(op, put->key));
	TRY(meta_check(op, put));
	o->counters.puts++;
	for (size_t i = 0; i < put->part_count; i++)
		o->counters.bytes_in += put->parts[i].n;
	enum err e = counted(o, o->driver->put(op, o, put));
	if (e != ERR_NOT_FOUND)
		return e;
	/* Something was missing that must be there: to callers it would look like a missing user. */
	const char *why = str_dup_z(op->arena, str_from(op->failure.text));
	return op_fail(op, ERR_UNAVAILABLE, "storing %.*s: %s", STRF(put->key), why);
}

static enum err get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	TRY(key_check(op, key));
	o->counters.gets++;
	struct str body;
	enum err e = counted(o, o->driver->get(op, o, key, offset, length, &body));
	if (e != ERR_NONE)
		return e;
	ASSERT(body.n <= length);
	o->counters.bytes_out += body.n;
	*out = body;
	return ERR_NONE;
}

enum err objects_get(
	struct op *op, struct objects *o, struct str key, size_t max_bytes, struct str *out)
{
	/* One byte more than is allowed tells a longer object from one that just fits. */
	size_t length = max_bytes == SIZE_MAX ? SIZE_MAX : max_bytes + 1;
	struct str body;
	TRY(get(op, o, key, 0, length, &body));
	if (body.n > max_bytes)
		return op_fail(op, ERR_LIMIT, "object %.*s is larger than %zu bytes", STRF(key),
			max_bytes);
	*out = body;
	return ERR_NONE;
}

enum err objects_get_range(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	return get(op, o, key, offset, length, out);
}

enum err objects_delete(struct op *op, struct objects *o, struct str key)
{
	TRY(key_check(op, key));
	o->counters.deletes++;
	return counted(o, o->driver->remove(op, o, key));
}

enum err objects_stat(struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	TRY(key_check(op, key));
	o->counters.stats++;
	return counted(o, o->driver->stat(op, o, key, out));
}

enum err objects_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	if (prefix.n > OBJECTS_KEY_MAX || str_has_nul(prefix))
		return op_fail(
			op, ERR_INVALID, "prefix of %zu bytes is no prefix of a key", prefix.n);
	return counted(o, o->driver->iter(op, o, prefix, fn, arg));
}

/* ---- copies and metadata ---- */

static enum err metadata(struct op *op, struct objects *o, struct str key, struct object_meta **out,
	size_t *out_count)
{
	while (!o->driver->metadata && o->inner)
		o = o->inner;
	if (!o->driver->metadata)
		return op_fail(op, ERR_UNSUPPORTED, "the object store \"%s\" keeps no metadata",
			o->driver->name);
	o->counters.stats++;
	return counted(o, o->driver->metadata(op, o, key, out, out_count));
}

enum err objects_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	TRY(key_check(op, key));
	return metadata(op, o, key, out, out_count);
}

enum err objects_copy_by_reading(struct op *op, struct objects *o, struct str from, struct str to)
{
	struct object_put put = { .key = to, .part_count = 1 };
	struct object_meta *meta = NULL;
	struct str body;
	TRY(get(op, o, from, 0, SIZE_MAX, &body));
	enum err e = metadata(op, o, from, &meta, &put.meta_count);
	if (e == ERR_UNSUPPORTED)
		op_forgive(op);
	else if (e != ERR_NONE)
		return e;
	put.parts = &body;
	put.meta = meta;
	return objects_put(op, o, &put);
}

enum err objects_copy(struct op *op, struct objects *o, struct str from, struct str to)
{
	TRY(key_check(op, from));
	TRY(key_check(op, to));
	while (!o->driver->copy && o->inner)
		o = o->inner;
	o->counters.copies++;
	if (!o->driver->copy)
		return objects_copy_by_reading(op, o, from, to);
	return counted(o, o->driver->copy(op, o, from, to));
}

/* ---- many at once: children take from a list until it is empty ---- */

struct read_list {
	struct objects *objects;
	struct object_read *reads;
	size_t count, next;
};

static enum err read_some(struct op *op, void *arg)
{
	struct read_list *list = arg;
	while (list->next < list->count) {
		struct object_read *r = &list->reads[list->next++];
		r->result = get(op, list->objects, r->key, r->offset, r->length, &r->body);
		if (r->result == ERR_TIMEOUT || r->result == ERR_CANCELLED)
			return r->result;
		op_forgive(op);
	}
	return ERR_NONE;
}

enum err objects_get_many(struct op *op, struct objects *o, struct object_read *reads, size_t count)
{
	struct read_list list = { .objects = o, .reads = reads, .count = count };
	for (size_t i = 0; i < count; i++) {
		reads[i].body = STR_NONE;
		reads[i].result = ERR_CANCELLED;
	}
	if (count <= 1)
		return read_some(op, &list);
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(count, GET_PARALLEL); i++)
		task_group_start(g, "objects get", read_some, &list);
	return task_group_finish(op, g);
}

bool objects_is_remote(const struct objects *o)
{
	while (o->inner)
		o = o->inner;
	return o->driver->is_remote;
}

void objects_prefetch(struct objects *o, const struct str *keys, size_t count)
{
	while (!o->driver->prefetch && o->inner)
		o = o->inner;
	if (o->driver->prefetch)
		o->driver->prefetch(o, keys, count);
}

struct delete_list {
	struct objects *objects;
	const struct str *keys;
	size_t count, next;
};

static enum err delete_some(struct op *op, void *arg)
{
	struct delete_list *list = arg;
	while (list->next < list->count) {
		enum err e = objects_delete(op, list->objects, list->keys[list->next++]);
		if (e == ERR_NOT_FOUND)
			op_forgive(op);
		else if (e != ERR_NONE)
			return e;
	}
	return ERR_NONE;
}

enum err objects_delete_many(struct op *op, struct objects *o, const struct str *keys, size_t count)
{
	if (o->driver->remove_many && count > 1) {
		for (size_t i = 0; i < count; i++)
			TRY(key_check(op, keys[i]));
		o->counters.deletes += count;
		return counted(o, o->driver->remove_many(op, o, keys, count));
	}
	struct delete_list list = { .objects = o, .keys = keys, .count = count };
	if (count <= 1)
		return delete_some(op, &list);
	struct task_group *g = task_group_new(op);
	for (size_t i = 0; i < MIN(count, DELETE_PARALLEL); i++)
		task_group_start(g, "objects delete", delete_some, &list);
	return task_group_finish(op, g);
}

void objects_close(struct objects *o)
{
	if (o)
		o->driver->close(o);
}

struct objects_counters objects_counters(const struct objects *o)
{
	while (o->inner)
		o = o->inner;
	return o->counters;
}
