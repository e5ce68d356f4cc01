/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/catalog.c - what every driver has in common: checking limits, counting, dispatching. */
#include "catalog/catalog.h"

#include "base/hash.h"
#include "catalog/catalog_private.h"

static bool text_is_allowed(struct str text, size_t max_bytes)
{
	return text.n > 0 && text.n <= max_bytes && !str_has_nul(text);
}

static enum err user_check(struct op *op, struct str user)
{
	if (!text_is_allowed(user, CATALOG_USER_MAX))
		return op_fail(op, ERR_INVALID,
			"user name of %zu bytes is empty, too long or has NUL", user.n);
	return ERR_NONE;
}

static enum err value_check(struct op *op, struct str value)
{
	if (value.n > CATALOG_VALUE_MAX)
		return op_fail(op, ERR_LIMIT, "catalog value of %zu bytes, at most %zu are kept",
			value.n, CATALOG_VALUE_MAX);
	return ERR_NONE;
}

static enum err row_check(struct op *op, const struct catalog_row *row)
{
	if (row->kind != CATALOG_APPEND && row->kind != CATALOG_OP)
		return op_fail(op, ERR_INVALID, "no kind of row: %d", (int)row->kind);
	return value_check(op, row->value);
}

static enum err change_check(struct op *op, const struct catalog_change *change)
{
	bool is_allowed = true;
	switch (change->kind) {
	case CATALOG_PUT_ROW:
	case CATALOG_DELETE_ROW:
		return row_check(op, &change->row);
	case CATALOG_PUT_HEAD:
	case CATALOG_DELETE_HEAD:
		TRY(value_check(op, change->value));
		is_allowed = text_is_allowed(change->key, CATALOG_KEY_MAX);
		break;
	case CATALOG_PUT_REVERSE:
	case CATALOG_DELETE_REVERSE:
	case CATALOG_PUT_GARBAGE:
	case CATALOG_DELETE_GARBAGE:
		is_allowed = text_is_allowed(change->object, CATALOG_OBJECT_MAX);
		break;
	case CATALOG_DELETE_OPS:
	case CATALOG_DELETE_MAILBOX:
		break;
	}
	if (!is_allowed)
		return op_fail(op, ERR_INVALID, "key or object is empty, too long or has NUL");
	return ERR_NONE;
}

static enum err counted(struct catalog *c, enum err e)
{
	c->counters.failures += e != ERR_NONE;
	if (e == ERR_NONE)
		c->failing_since_wall_us = 0;
	else if (c->failing_since_wall_us == 0 && (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT))
		c->failing_since_wall_us = now_wall_us();
	return e;
}

/* ---- groups ---- */

enum partition { PARTITION_ROWS, PARTITION_HEADS, PARTITION_REVERSE, PARTITION_ALONE };

static enum partition change_partition(const struct catalog_change *change)
{
	switch (change->kind) {
	case CATALOG_PUT_ROW:
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_OPS:
		return PARTITION_ROWS;
	case CATALOG_PUT_HEAD:
	case CATALOG_DELETE_HEAD:
		return PARTITION_HEADS;
	case CATALOG_PUT_REVERSE:
	case CATALOG_DELETE_REVERSE:
		return PARTITION_REVERSE;
	case CATALOG_PUT_GARBAGE:
	case CATALOG_DELETE_GARBAGE:
	case CATALOG_DELETE_MAILBOX:
		break;
	}
	return PARTITION_ALONE;
}

uint32_t catalog_object_part(struct str object)
{
	uint8_t first = object.n ? (uint8_t)object.p[0] : 0;
	uint32_t digit = first >= 'a' && first <= 'f' ? first - 'a' + 10u : first;
	return digit % CATALOG_PARTS;
}

static bool share_partition(const struct catalog_change *a, const struct catalog_change *b)
{
	enum partition partition = change_partition(a);
	if (partition != change_partition(b))
		return false;
	switch (partition) {
	case PARTITION_ROWS:
		return memcmp(&a->mailbox, &b->mailbox, sizeof(a->mailbox)) == 0 &&
		       a->row.bucket == b->row.bucket;
	case PARTITION_HEADS:
		return true;
	case PARTITION_REVERSE:
		return catalog_object_part(a->object) == catalog_object_part(b->object);
	case PARTITION_ALONE:
		break;
	}
	return false;
}

/* What a change weighs in a group, roughly. */
static size_t change_bytes(const struct catalog_change *change)
{
	return 64 + change->row.value.n + change->key.n + change->value.n + change->object.n;
}

size_t catalog_group_end(const struct catalog_change *changes, size_t count, size_t from)
{
	size_t bytes = change_bytes(&changes[from]), at = from + 1;
	while (at < count && at - from < CATALOG_GROUP_COUNT && !changes[at].begins_group &&
		share_partition(&changes[from], &changes[at])) {
		bytes += change_bytes(&changes[at]);
		if (bytes > CATALOG_GROUP_MAX)
			break;
		at++;
	}
	return at;
}

bool catalog_is_atomic(const struct catalog *c)
{
	while (c->inner)
		c = c->inner;
	return c->driver->is_atomic;
}

enum err catalog_check_time(struct op *op)
{
	return now_us() < op->deadline_us
		       ? ERR_NONE
		       : op_fail(op, ERR_TIMEOUT, "the time was over before all was sent");
}

enum err catalog_write_groups(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable,
	catalog_write_fn *write_fn)
{
	if (catalog_is_atomic(c))
		return write_fn(op, c, user, changes, count);
	while (*durable < count) {
		size_t to = catalog_group_end(changes, count, *durable);
		TRY(catalog_check_time(op));
		TRY(write_fn(op, c, user, changes + *durable, to - *durable));
		*durable = to;
	}
	return ERR_NONE;
}

/* ---- dispatching ---- */

enum err catalog_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count)
{
	size_t durable = 0;
	return catalog_write_rest(op, c, user, changes, count, &durable);
}

enum err catalog_write_rest(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	size_t before = *durable;
	TRY(user_check(op, user));
	for (size_t i = 0; i < count; i++)
		TRY(change_check(op, &changes[i]));
	c->counters.writes++;
	if (before == count)
		return ERR_NONE;
	enum err e = counted(c, c->driver->write(op, c, user, changes, count, durable));
	if (e == ERR_NONE)
		*durable = count;
	c->counters.rows_written += *durable - before;
	return e;
}

enum err catalog_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	TRY(user_check(op, user));
	c->counters.reads++;
	enum err e = counted(c, c->driver->read_heads(op, c, user, out, out_count));
	if (e == ERR_NONE)
		c->counters.rows_read += *out_count;
	return e;
}

/* Counts on the way to the caller's function. */
struct row_counter {
	struct catalog *catalog;
	catalog_row_fn *fn;
	void *arg;
	bool has_failed; /* fn, not the catalog */
};

static enum err row_count(struct op *op, const struct catalog_row *row, void *arg)
{
	struct row_counter *counter = arg;
	counter->catalog->counters.rows_read++;
	enum err e = counter->fn(op, row, counter->arg);
	counter->has_failed = e != ERR_NONE;
	return e;
}

enum err catalog_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, catalog_row_fn *row_fn, void *arg)
{
	static const struct catalog_name none;
	return catalog_read_tail(
		op, c, user, mailbox, bucket, last_bucket, after, none, row_fn, arg);
}

enum err catalog_read_tail(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg)
{
	TRY(user_check(op, user));
	c->counters.reads++;
	struct row_counter counter = { .catalog = c, .fn = row_fn, .arg = arg };
	enum err e = c->driver->read_rows(
		op, c, user, mailbox, bucket, last_bucket, after, known, row_count, &counter);
	return counter.has_failed ? e : counted(c, e);
}

enum err catalog_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	TRY(user_check(op, user));
	c->counters.reads++;
	return counted(c, c->driver->count_reverse(op, c, user, object, out_count));
}

enum err catalog_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	TRY(user_check(op, user));
	c->counters.reads++;
	return counted(c, c->driver->has_row(op, c, user, mailbox, bucket, name, out));
}

static enum err find_each(struct op *op, struct catalog *c, struct str user,
	const struct catalog_garbage *entries, size_t count, bool *is_used)
{
	for (size_t i = 0; i < count; i++) {
		const struct catalog_garbage *g = &entries[i];
		uint32_t references;
		TRY(catalog_count_reverse(op, c, user, g->object, &references));
		is_used[i] = references > 0;
		if (!is_used[i])
			TRY(catalog_has_row(
				op, c, user, g->mailbox, g->bucket, g->row, &is_used[i]));
	}
	return ERR_NONE;
}

enum err catalog_find_used(struct op *op, struct catalog *c, struct str user,
	const struct catalog_garbage *entries, size_t count, bool *out_is_used)
{
	TRY(user_check(op, user));
	bool *is_used = ARENA_NEW_ARRAY(op->arena, bool, MAX(count, 1));
	if (c->driver->find_used) {
		c->counters.reads++;
		TRY(counted(c, c->driver->find_used(op, c, user, entries, count, is_used)));
	} else {
		TRY(find_each(op, c, user, entries, count, is_used));
	}
	memcpy(out_is_used, is_used, count * sizeof(*is_used));
	return ERR_NONE;
}

static enum err shard_check(struct op *op, const struct catalog *c, uint32_t shard)
{
	if (shard >= c->shard_count)
		return op_fail(op, ERR_INVALID, "there is no shard %" PRIu32 " of %" PRIu32, shard,
			c->shard_count);
	return ERR_NONE;
}

enum err catalog_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	TRY(shard_check(op, c, shard));
	c->counters.reads++;
	enum err e = counted(c, c->driver->read_garbage(op, c, shard, from, max, out, out_count));
	if (e == ERR_NONE)
		c->counters.rows_read += *out_count;
	return e;
}

enum err catalog_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	TRY(shard_check(op, c, shard));
	c->counters.reads++;
	return c->driver->list_users(op, c, shard, fn, arg);
}

enum err catalog_clock(struct op *op, struct catalog *c, int64_t *out_wall_us)
{
	if (!c->driver->clock) {
		*out_wall_us = now_wall_us();
		return ERR_NONE;
	}
	c->counters.reads++;
	return counted(c, c->driver->clock(op, c, out_wall_us));
}

void catalog_close(struct op *op, struct catalog *c)
{
	if (c)
		c->driver->close(op, c);
}

uint32_t catalog_shard_count(const struct catalog *c)
{
	return c->shard_count;
}

uint32_t catalog_user_shard(const struct catalog *c, struct str user)
{
	return (uint32_t)(hash_stable(user) % c->shard_count);
}

/* Commits are counted where they happen: in the innermost driver. */
struct catalog_counters catalog_counters(const struct catalog *c)
{
	while (c->inner)
		c = c->inner;
	return c->counters;
}
