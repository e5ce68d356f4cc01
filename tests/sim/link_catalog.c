/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog as one process reaches it. Of a catalog that is not atomic each group is a request. */
#include "catalog/catalog_private.h"
#include "sim.h"

struct link_catalog {
	struct catalog base; /* first; inner is the world's, borrowed */
	struct link *link;
};

static struct link *link_of(struct catalog *c)
{
	return CONTAINER_OF(c, struct link_catalog, base)->link;
}

static void keep_late(struct str user, const struct catalog_change *changes, size_t count)
{
	struct late_work *work = late_new();
	work->user = str_dup(&work->arena, user);
	work->changes = ARENA_NEW_ARRAY(&work->arena, struct catalog_change, count);
	work->count = count;
	for (size_t i = 0; i < count; i++) {
		struct catalog_change *change = &work->changes[i];
		*change = changes[i];
		change->row.value = str_dup(&work->arena, change->row.value);
		change->key = str_dup(&work->arena, change->key);
		change->value = str_dup(&work->arena, change->value);
		change->object = str_dup(&work->arena, change->object);
	}
	late_add(work);
}

static enum err write_group(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(c), "catalog write", &verdict));
	/* It stood still until it died, and what it had sent is too old by then. */
	if (link_of(c)->is_dead && late_is_beyond_tails(changes, count))
		return op_fail(op, ERR_UNAVAILABLE, "sim: the process died");
	/* A transaction ends with its connection. */
	bool is_late = verdict == LINK_LATE && sim_world->is_loose;
	if (is_late || (verdict == LINK_TWICE && sim_world->is_loose))
		keep_late(user, changes, count);
	enum err e =
		verdict == LINK_LATE ? ERR_NONE : catalog_write(op, c->inner, user, changes, count);
	return link_end(op, link_of(c), verdict, e);
}

static enum err link_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	for (size_t i = 0; i < count && !host_clock_is_right(); i++)
		if (changes[i].kind == CATALOG_PUT_ROW && !link_of(c)->is_dead)
			sim_fail("p%d writes a row while its clock is %" PRId64 " ms off",
				link_of(c)->process->number, sim_world->skew_us / US_PER_MS);
	return catalog_write_groups(op, c, user, changes, count, durable, write_group);
}

/* ---- reading: the answer is from one moment ---- */

static enum err link_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	enum link_verdict verdict;
	struct catalog_head *heads = NULL;
	size_t count = 0;
	TRY(link_begin(op, link_of(c), "read heads", &verdict));
	TRY(link_end(
		op, link_of(c), verdict, catalog_read_heads(op, c->inner, user, &heads, &count)));
	*out = heads;
	*out_count = count;
	return ERR_NONE;
}

static enum err link_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(c), "read rows", &verdict));
	enum err e = catalog_read_tail(
		op, c->inner, user, mailbox, bucket, last_bucket, after, known, row_fn, arg);
	return link_end(op, link_of(c), verdict, e);
}

static enum err link_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	enum link_verdict verdict;
	uint32_t count = 0;
	TRY(link_begin(op, link_of(c), "count reverse rows", &verdict));
	TRY(link_end(op, link_of(c), verdict,
		catalog_count_reverse(op, c->inner, user, object, &count)));
	*out_count = count;
	return ERR_NONE;
}

static enum err link_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	enum link_verdict verdict;
	bool has_row = false;
	TRY(link_begin(op, link_of(c), "look for a row", &verdict));
	TRY(link_end(op, link_of(c), verdict,
		catalog_has_row(op, c->inner, user, mailbox, bucket, name, &has_row)));
	*out = has_row;
	return ERR_NONE;
}

static enum err link_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	enum link_verdict verdict;
	struct catalog_garbage *garbage = NULL;
	size_t count = 0;
	TRY(link_begin(op, link_of(c), "read garbage", &verdict));
	TRY(link_end(op, link_of(c), verdict,
		catalog_read_garbage(op, c->inner, shard, from, max, &garbage, &count)));
	*out = garbage;
	*out_count = count;
	return ERR_NONE;
}

static enum err link_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(c), "list users", &verdict));
	return link_end(op, link_of(c), verdict, catalog_list_users(op, c->inner, shard, fn, arg));
}

static enum err link_clock(struct op *op, struct catalog *c, int64_t *out_wall_us)
{
	enum link_verdict verdict;
	TRY(link_begin(op, link_of(c), "clock", &verdict));
	int64_t wall_us = now_wall_us() - sim_world->skew_us;
	TRY(link_end(op, link_of(c), verdict, ERR_NONE));
	*out_wall_us = wall_us;
	return ERR_NONE;
}

static void link_close(struct op *op, struct catalog *c)
{
	(void)op;
	mem_free(CONTAINER_OF(c, struct link_catalog, base));
}

static const struct catalog_driver driver = {
	.name = "link",
	.close = link_close,
	.write = link_write,
	.read_heads = link_read_heads,
	.read_rows = link_read_rows,
	.count_reverse = link_count_reverse,
	.has_row = link_has_row,
	.read_garbage = link_read_garbage,
	.list_users = link_list_users,
	.clock = link_clock,
};

struct catalog *link_catalog_new(struct link *link)
{
	struct link_catalog *c = MEM_NEW(struct link_catalog);
	c->base.driver = &driver;
	c->base.inner = sim_world->catalog;
	c->base.shard_count = c->base.inner->shard_count;
	c->link = link;
	return &c->base;
}
