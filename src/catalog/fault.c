/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/fault.c - a wrapper that fails on purpose: the n-th request from now, before or after it
 * was carried out, once or from there on, and slows requests down.
 *
 * Of a catalog that is not atomic every group of a batch is a request, so that a batch may end between
 * any two. A write that failed "late" is kept and carried out when the test asks for it, as the hints of
 * Cassandra are hours later. */
#include "base/list.h"
#include "catalog/catalog_private.h"
#include "task/task.h"

struct fault_catalog {
	struct catalog base; /* first */
	struct catalog_fault_plan plan;
	int64_t requests; /* since the plan was set */
	struct list late; /* of struct late_write */
};

/* A group that failed and will be carried out. */
struct late_write {
	struct list link;
	struct arena arena; /* of all below */
	struct str user;
	struct catalog_change *changes;
	size_t count;
};

static struct fault_catalog *fault_catalog(struct catalog *c)
{
	ASSERT(c->driver == &catalog_fault);
	return CONTAINER_OF(c, struct fault_catalog, base);
}

static enum err fault_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct catalog *inner, struct catalog **out)
{
	(void)op;
	(void)scope;
	(void)argument;
	struct fault_catalog *fault = MEM_NEW(struct fault_catalog);
	fault->base.driver = &catalog_fault;
	fault->base.inner = inner;
	fault->base.shard_count = inner->shard_count;
	list_init(&fault->late);
	*out = &fault->base;
	return ERR_NONE;
}

static void late_free(struct late_write *late)
{
	list_remove(&late->link);
	arena_done(&late->arena);
	mem_free(late);
}

static void fault_close(struct op *op, struct catalog *c)
{
	catalog_close(op, c->inner);
	struct late_write *late, *tmp;
	LIST_FOR_EACH(late, tmp, &fault_catalog(c)->late, struct late_write, link)
	late_free(late);
	mem_free(fault_catalog(c));
}

void catalog_fault_set(struct catalog *c, const struct catalog_fault_plan *plan)
{
	struct fault_catalog *fault = fault_catalog(c);
	fault->plan = *plan;
	fault->requests = 0;
}

int64_t catalog_fault_requests(struct catalog *c)
{
	return fault_catalog(c)->requests;
}

/* WAITS for the plan's delay. *is_lost: carry it out, then hide the result. */
static enum err fault_begin(struct op *op, struct catalog *c, bool *is_lost)
{
	struct fault_catalog *fault = fault_catalog(c);
	const struct catalog_fault_plan plan = fault->plan;
	int64_t request = ++fault->requests;
	if (plan.delay_us > 0)
		TRY(task_sleep(op, plan.delay_us));
	bool fails = plan.fail_at > 0 &&
		     (request == plan.fail_at || (plan.fail_from_there && request > plan.fail_at));
	*is_lost = fails && plan.fail_after_doing;
	if (fails && !plan.fail_after_doing)
		return op_fail(op, ERR_UNAVAILABLE, "fault: request refused on purpose");
	return ERR_NONE;
}

/* What is read, too, unless the plan is for writes. */
static enum err fault_read_begin(struct op *op, struct catalog *c, bool *is_lost)
{
	*is_lost = false;
	return fault_catalog(c)->plan.spares_reads ? ERR_NONE : fault_begin(op, c, is_lost);
}

static enum err fault_end(struct op *op, bool is_lost, enum err e)
{
	return is_lost ? op_fail(op, ERR_UNAVAILABLE, "fault: answer dropped on purpose") : e;
}

/* ---- writing ---- */

static void late_keep(struct fault_catalog *fault, struct str user,
	const struct catalog_change *changes, size_t count)
{
	struct late_write *late = MEM_NEW(struct late_write);
	arena_init(&late->arena, 0);
	late->user = str_dup(&late->arena, user);
	late->changes = ARENA_NEW_ARRAY(&late->arena, struct catalog_change, count);
	late->count = count;
	for (size_t i = 0; i < count; i++) {
		struct catalog_change *change = &late->changes[i];
		*change = changes[i];
		change->row.value = str_dup(&late->arena, change->row.value);
		change->key = str_dup(&late->arena, change->key);
		change->value = str_dup(&late->arena, change->value);
		change->object = str_dup(&late->arena, change->object);
	}
	list_add_last(&fault->late, &late->link);
}

size_t catalog_fault_late(struct catalog *c)
{
	const struct fault_catalog *fault = fault_catalog(c);
	size_t count = 0;
	for (const struct list *at = fault->late.next; at != &fault->late; at = at->next)
		count++;
	return count;
}

enum err catalog_fault_replay(struct op *op, struct catalog *c)
{
	return catalog_fault_replay_first(op, c, SIZE_MAX);
}

enum err catalog_fault_replay_first(struct op *op, struct catalog *c, size_t most)
{
	struct fault_catalog *fault = fault_catalog(c);
	for (; most > 0 && !list_is_empty(&fault->late); most--) {
		struct late_write *late = LIST_FIRST(&fault->late, struct late_write, link);
		TRY(catalog_write(op, c->inner, late->user, late->changes, late->count));
		late_free(late);
	}
	return ERR_NONE;
}

static enum err fault_write_group(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count)
{
	bool is_lost;
	enum err e = fault_begin(op, c, &is_lost);
	if (e != ERR_NONE) {
		if (e == ERR_UNAVAILABLE && fault_catalog(c)->plan.fail_late)
			late_keep(fault_catalog(c), user, changes, count);
		return e;
	}
	return fault_end(op, is_lost, catalog_write(op, c->inner, user, changes, count));
}

static enum err fault_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	return catalog_write_groups(op, c, user, changes, count, durable, fault_write_group);
}

/* ---- reading ---- */

static enum err fault_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	bool is_lost;
	struct catalog_head *heads = NULL;
	size_t count = 0;
	TRY(fault_read_begin(op, c, &is_lost));
	TRY(fault_end(op, is_lost, catalog_read_heads(op, c->inner, user, &heads, &count)));
	*out = heads;
	*out_count = count;
	return ERR_NONE;
}

static enum err fault_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	bool is_lost;
	TRY(fault_read_begin(op, c, &is_lost));
	return fault_end(op, is_lost,
		catalog_read_tail(op, c->inner, user, mailbox, bucket, last_bucket, after, known,
			row_fn, arg));
}

static enum err fault_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	bool is_lost;
	uint32_t count = 0;
	TRY(fault_read_begin(op, c, &is_lost));
	TRY(fault_end(op, is_lost, catalog_count_reverse(op, c->inner, user, object, &count)));
	*out_count = count;
	return ERR_NONE;
}

static enum err fault_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	bool is_lost, has_row = false;
	TRY(fault_read_begin(op, c, &is_lost));
	TRY(fault_end(
		op, is_lost, catalog_has_row(op, c->inner, user, mailbox, bucket, name, &has_row)));
	*out = has_row;
	return ERR_NONE;
}

static enum err fault_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	bool is_lost;
	struct catalog_garbage *garbage = NULL;
	size_t count = 0;
	TRY(fault_read_begin(op, c, &is_lost));
	TRY(fault_end(op, is_lost,
		catalog_read_garbage(op, c->inner, shard, from, max, &garbage, &count)));
	*out = garbage;
	*out_count = count;
	return ERR_NONE;
}

static enum err fault_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	bool is_lost;
	TRY(fault_read_begin(op, c, &is_lost));
	return fault_end(op, is_lost, catalog_list_users(op, c->inner, shard, fn, arg));
}

static enum err fault_clock(struct op *op, struct catalog *c, int64_t *out_wall_us)
{
	bool is_lost;
	int64_t wall_us = 0;
	TRY(fault_read_begin(op, c, &is_lost));
	TRY(fault_end(op, is_lost, catalog_clock(op, c->inner, &wall_us)));
	*out_wall_us = wall_us + fault_catalog(c)->plan.clock_skew_us;
	return ERR_NONE;
}

const struct catalog_driver catalog_fault = {
	.name = "fault",
	.open = fault_open,
	.close = fault_close,
	.write = fault_write,
	.read_heads = fault_read_heads,
	.read_rows = fault_read_rows,
	.count_reverse = fault_count_reverse,
	.has_row = fault_has_row,
	.read_garbage = fault_read_garbage,
	.list_users = fault_list_users,
	.clock = fault_clock,
};
