/* SPDX-License-Identifier: Apache-2.0 */
/* The object store as one process reaches it. */
#include "objects/objects_private.h"
#include "sim.h"

struct link_objects {
	struct objects base; /* first; inner is the world's, borrowed */
	struct link *link;
};

static struct link *link_of(struct objects *o)
{
	return CONTAINER_OF(o, struct link_objects, base)->link;
}

static void keep_late_put(const struct object_put *put)
{
	struct late_work *work = late_new();
	struct str *body = ARENA_NEW(&work->arena, struct str);
	size_t bytes = objects_parts_bytes(put->parts, put->part_count);
	char *p = arena_alloc(&work->arena, MAX(bytes, 1));
	objects_parts_copy(p, put->parts, put->part_count);
	*body = (struct str){ p, bytes };
	work->put = (struct object_put){ .key = str_dup(&work->arena, put->key),
		.parts = body,
		.part_count = 1,
		.meta = objects_meta_dup(&work->arena, put->meta, put->meta_count),
		.meta_count = put->meta_count };
	late_add(work);
}

static enum err link_put(struct op *op, struct objects *o, const struct object_put *put)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(o), "put", &verdict));
	if (verdict == LINK_LATE || verdict == LINK_TWICE)
		keep_late_put(put);
	enum err e = verdict == LINK_LATE ? ERR_NONE : objects_put(op, o->inner, put);
	return link_end(op, link_of(o), verdict, e);
}

static enum err link_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	enum link_verdict verdict;
	struct str body = STR_NONE;
	TRY(link_begin(op, link_of(o), "get", &verdict));
	TRY(link_end(op, link_of(o), verdict,
		objects_get_range(op, o->inner, key, offset, length, &body)));
	*out = body;
	return ERR_NONE;
}

static enum err link_remove(struct op *op, struct objects *o, struct str key)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(o), "delete", &verdict));
	if (verdict == LINK_LATE || verdict == LINK_TWICE) {
		struct late_work *work = late_new();
		work->remove_key = str_dup(&work->arena, key);
		late_add(work);
	}
	enum err e = verdict == LINK_LATE ? ERR_NONE : objects_delete(op, o->inner, key);
	return link_end(op, link_of(o), verdict, e);
}

static enum err link_stat(struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	enum link_verdict verdict;
	struct object_info info = { 0 };
	TRY(link_begin(op, link_of(o), "stat", &verdict));
	TRY(link_end(op, link_of(o), verdict, objects_stat(op, o->inner, key, &info)));
	*out = info;
	return ERR_NONE;
}

static enum err link_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(o), "list objects", &verdict));
	return link_end(op, link_of(o), verdict, objects_iter(op, o->inner, prefix, fn, arg));
}

static void link_close(struct objects *o)
{
	mem_free(CONTAINER_OF(o, struct link_objects, base));
}

static const struct objects_driver driver = {
	.name = "link",
	.close = link_close,
	.is_wrapper = true,
	.put = link_put,
	.get = link_get,
	.remove = link_remove,
	.stat = link_stat,
	.iter = link_iter,
};

struct objects *link_objects_new(struct link *link)
{
	struct link_objects *o = MEM_NEW(struct link_objects);
	o->base.driver = &driver;
	o->base.inner = sim_world->objects;
	o->link = link;
	return &o->base;
}
