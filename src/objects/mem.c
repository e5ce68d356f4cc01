/* SPDX-License-Identifier: Apache-2.0 */
/* objects/mem.c - an object store in memory, for tests and the simulation. It never waits, and its
 * content ends with its handle. */
#include "base/map.h"
#include "objects/objects_private.h"

struct mem_object {
	struct object_info info;
	struct arena arena; /* of the metadata */
	struct object_meta *meta;
	size_t meta_count, key_bytes;
	char bytes[]; /* key, then body */
};

struct mem_store {
	struct objects base; /* first */
	struct map objects;  /* owned: key -> struct mem_object */
};

static enum err mem_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)op;
	(void)scope;
	(void)argument;
	(void)inner;
	struct mem_store *store = MEM_NEW(struct mem_store);
	store->base.driver = &objects_mem;
	map_init(&store->objects);
	*out = &store->base;
	return ERR_NONE;
}

static struct mem_store *mem_store(struct objects *o)
{
	return CONTAINER_OF(o, struct mem_store, base);
}

static void mem_object_free(struct mem_object *object)
{
	arena_done(&object->arena);
	mem_free(object);
}

static void mem_close(struct objects *o)
{
	struct mem_store *store = mem_store(o);
	struct map_entry entry;
	for (size_t at = 0; map_next(&store->objects, &at, &entry);)
		mem_object_free(entry.value);
	map_done(&store->objects);
	mem_free(store);
}

static enum err mem_missing(struct op *op, struct str key)
{
	return op_fail(op, ERR_NOT_FOUND, "object %.*s does not exist", STRF(key));
}

static enum err mem_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct mem_store *store = mem_store(o);
	const struct str key = put->key;
	if (map_get(&store->objects, key))
		return op_fail(op, ERR_EXISTS, "object %.*s exists", STRF(key));
	size_t size = objects_parts_bytes(put->parts, put->part_count);
	struct mem_object *object = mem_new(sizeof(*object) + key.n + size);
	object->info = (struct object_info){ .size_bytes = size, .wall_us = now_wall_us() };
	object->key_bytes = key.n;
	arena_init(&object->arena, 0);
	object->meta = objects_meta_dup(&object->arena, put->meta, put->meta_count);
	object->meta_count = put->meta_count;
	memcpy(object->bytes, key.p, key.n);
	objects_parts_copy(object->bytes + key.n, put->parts, put->part_count);
	map_set(&store->objects, (struct str){ object->bytes, key.n }, object);
	return ERR_NONE;
}

static enum err mem_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	const struct mem_object *object = map_get(&mem_store(o)->objects, key);
	if (!object)
		return mem_missing(op, key);
	*out = objects_meta_dup(op->arena, object->meta, object->meta_count);
	*out_count = object->meta_count;
	return ERR_NONE;
}

static enum err mem_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	const struct mem_object *object = map_get(&mem_store(o)->objects, key);
	if (!object)
		return mem_missing(op, key);
	return objects_answer(op,
		objects_slice(
			object->bytes + object->key_bytes, object->info.size_bytes, offset, length),
		out);
}

static enum err mem_remove(struct op *op, struct objects *o, struct str key)
{
	struct mem_object *object = map_remove(&mem_store(o)->objects, key);
	if (!object)
		return mem_missing(op, key);
	mem_object_free(object);
	return ERR_NONE;
}

static enum err mem_stat(struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	const struct mem_object *object = map_get(&mem_store(o)->objects, key);
	if (!object)
		return mem_missing(op, key);
	*out = object->info;
	return ERR_NONE;
}

/* fn may wait and change the store: the keys are copied first. */
static enum err mem_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	struct mem_store *store = mem_store(o);
	struct str *keys = ARENA_NEW_ARRAY(op->arena, struct str, store->objects.count);
	size_t count = 0;
	struct map_entry entry;
	for (size_t at = 0; map_next(&store->objects, &at, &entry);)
		if (str_starts(entry.key, prefix))
			keys[count++] = str_dup(op->arena, entry.key);
	for (size_t i = 0; i < count; i++) {
		const struct mem_object *object = map_get(&store->objects, keys[i]);
		if (!object)
			continue;
		struct object_info info = object->info;
		TRY(fn(op, keys[i], &info, arg));
	}
	return ERR_NONE;
}

const struct objects_driver objects_mem = {
	.name = "mem",
	.open = mem_open,
	.close = mem_close,
	.put = mem_put,
	.get = mem_get,
	.remove = mem_remove,
	.stat = mem_stat,
	.iter = mem_iter,
	.metadata = mem_metadata,
};
