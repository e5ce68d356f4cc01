/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fault.c - a wrapper that fails on purpose: the n-th request from now, before or after it
 * was carried out, once or from there on, and slows requests down. A request is one put, get, copy,
 * delete, stat or question for metadata, and an iteration as a whole. */
#include "objects/objects_private.h"
#include "task/task.h"

struct fault_store {
	struct objects base; /* first */
	struct objects_fault_plan plan;
	int64_t requests; /* since the plan was set */
};

static struct fault_store *fault_store(struct objects *o)
{
	ASSERT(o->driver == &objects_fault);
	return CONTAINER_OF(o, struct fault_store, base);
}

static enum err fault_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)op;
	(void)scope;
	(void)argument;
	struct fault_store *store = MEM_NEW(struct fault_store);
	store->base.driver = &objects_fault;
	store->base.inner = inner;
	*out = &store->base;
	return ERR_NONE;
}

static void fault_close(struct objects *o)
{
	objects_close(o->inner);
	mem_free(fault_store(o));
}

void objects_fault_set(struct objects *o, const struct objects_fault_plan *plan)
{
	struct fault_store *store = fault_store(o);
	store->plan = *plan;
	store->requests = 0;
}

enum fault_verdict { FAULT_NONE, FAULT_BEFORE, FAULT_AFTER };

/* WAITS for the plan's delay. */
static enum err fault_begin(struct op *op, struct fault_store *store, enum fault_verdict *out)
{
	const struct objects_fault_plan plan = store->plan;
	int64_t request = ++store->requests;
	if (plan.delay_us > 0)
		TRY(task_sleep(op, plan.delay_us));
	bool fails = plan.fail_at > 0 &&
		     (request == plan.fail_at || (plan.fail_from_there && request > plan.fail_at));
	*out = !fails ? FAULT_NONE : plan.fail_after_doing ? FAULT_AFTER : FAULT_BEFORE;
	if (*out == FAULT_BEFORE)
		return op_fail(op, ERR_UNAVAILABLE, "fault: request refused on purpose");
	return ERR_NONE;
}

/* An uncertain request hides what became of it. */
static enum err fault_end(struct op *op, enum fault_verdict verdict, enum err e)
{
	if (verdict != FAULT_AFTER)
		return e;
	return op_fail(op, ERR_UNAVAILABLE, "fault: answer dropped on purpose");
}

static enum err fault_put(struct op *op, struct objects *o, const struct object_put *put)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	return fault_end(op, verdict, objects_put(op, o->inner, put));
}

static enum err fault_copy(struct op *op, struct objects *o, struct str from, struct str to)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	return fault_end(op, verdict, objects_copy(op, o->inner, from, to));
}

static enum err fault_metadata(struct op *op, struct objects *o, struct str key,
	struct object_meta **out, size_t *out_count)
{
	enum fault_verdict verdict;
	struct object_meta *meta = NULL;
	size_t count = 0;
	TRY(fault_begin(op, fault_store(o), &verdict));
	TRY(fault_end(op, verdict, objects_metadata(op, o->inner, key, &meta, &count)));
	*out = meta;
	*out_count = count;
	return ERR_NONE;
}

static enum err fault_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	struct str body = STR_NONE;
	TRY(fault_end(op, verdict, objects_get_range(op, o->inner, key, offset, length, &body)));
	*out = body;
	return ERR_NONE;
}

static enum err fault_remove(struct op *op, struct objects *o, struct str key)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	return fault_end(op, verdict, objects_delete(op, o->inner, key));
}

static enum err fault_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	struct object_info info = { 0 };
	TRY(fault_end(op, verdict, objects_stat(op, o->inner, key, &info)));
	*out = info;
	return ERR_NONE;
}

static enum err fault_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	enum fault_verdict verdict;
	TRY(fault_begin(op, fault_store(o), &verdict));
	return fault_end(op, verdict, objects_iter(op, o->inner, prefix, fn, arg));
}

const struct objects_driver objects_fault = {
	.name = "fault",
	.is_wrapper = true,
	.open = fault_open,
	.close = fault_close,
	.put = fault_put,
	.get = fault_get,
	.remove = fault_remove,
	.stat = fault_stat,
	.iter = fault_iter,
	.copy = fault_copy,
	.metadata = fault_metadata,
};
