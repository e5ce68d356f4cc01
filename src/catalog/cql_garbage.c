/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_garbage.c - the garbage queue, so that reading it does not walk over what is done.
 *
 * A queue in Cassandra dies of its tombstones: whoever looks for the oldest entry walks over all that were
 * deleted before it. So the queue of a shard is cut into partitions of an hour (gc_queue), the hours that
 * have entries are listed (gc_hours), and inside an hour each read begins where the one before found the
 * first entry that was alive (a cursor, in memory). Every RECHECK_US an hour is read from its beginning
 * again, for entries that arrived late. An hour that is long past and empty leaves the list.
 *
 * Writers put the hour on the list with its first entry. They trust their memory of that for the present
 * hour alone; an hour leaves the list LEAVE_HOURS after it ended, and only entries of the list older than
 * that deletion: a late writer's is younger. */
#include "base/number.h"
#include "catalog/cql_private.h"

#define HOUR_MS     (INT64_C(3600) * 1000)
#define RECHECK_US  (30 * 60 * US_PER_SEC)
#define LEAVE_HOURS 25
#define LEAVE_US    (10 * 60 * US_PER_SEC)
#define KNOWN_HOURS 2

/* Where an hour's living entries begin. */
struct cursor {
	int32_t hour;
	bool is_set;
	bool is_done;     /* it was empty and is over */
	int64_t since_us; /* when it was read from its beginning */
	struct catalog_name queued;
	char *user; /* owned */
	char *object;
};

struct gc_shard {
	struct cursor *cursors; /* owned; by hour */
	size_t count;
	int32_t known[KNOWN_HOURS]; /* that this process has put on the list, latest first */
};

struct gc_shard *catalog_cql_gc_shards_new(uint32_t count)
{
	struct gc_shard *shards = mem_new_array(count, sizeof(*shards));
	for (uint32_t i = 0; i < count; i++)
		shards[i] = (struct gc_shard){ .known = { -1, -1 } };
	return shards;
}

static void cursor_clear(struct cursor *cursor)
{
	mem_free(cursor->user);
	mem_free(cursor->object);
	*cursor = (struct cursor){ .hour = cursor->hour };
}

static void cursors_free(struct cursor *cursors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cursor_clear(&cursors[i]);
	mem_free(cursors);
}

void catalog_cql_gc_shards_free(struct gc_shard *shards, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		cursors_free(shards[i].cursors, shards[i].count);
	mem_free(shards);
}

/* ---- hours ---- */

int32_t catalog_cql_gc_hour(const struct catalog_name *queued)
{
	return (int32_t)((int64_t)(get_be64(queued->bytes) >> 16) / HOUR_MS);
}

static int32_t hour_now(void)
{
	return (int32_t)(now_wall_us() / US_PER_MS / HOUR_MS);
}

bool catalog_cql_gc_hour_is_known(const struct catalog_cql *c, uint32_t shard, int32_t hour)
{
	const struct gc_shard *s = &c->queues[shard];
	if (hour < hour_now() - 1)
		return false;
	for (size_t i = 0; i < KNOWN_HOURS; i++) {
		if (s->known[i] == hour)
			return true;
	}
	return false;
}

void catalog_cql_gc_hour_learn(struct catalog_cql *c, uint32_t shard, int32_t hour)
{
	struct gc_shard *s = &c->queues[shard];
	if (catalog_cql_gc_hour_is_known(c, shard, hour) || hour < hour_now() - 1)
		return;
	s->known[1] = s->known[0];
	s->known[0] = hour;
}

struct hours {
	int32_t *items; /* in the arena */
	size_t count;
	size_t cap;
	struct arena *arena;
};

static enum err see_hour(struct op *op, const struct cql_row *row, void *arg)
{
	struct hours *hours = arg;
	int32_t hour;
	if (!cql_column_int(row, 0, &hour) || hour < 0)
		return op_fail(op, ERR_CORRUPT, "gc_hours: an hour is damaged");
	if (hours->count == hours->cap) {
		size_t cap = MAX(2 * hours->cap, 32);
		hours->items = arena_grow(hours->arena, hours->items,
			hours->cap * sizeof(*hours->items), cap * sizeof(*hours->items));
		hours->cap = cap;
	}
	hours->items[hours->count++] = hour;
	return ERR_NONE;
}

/* One cursor for each hour of the list: those that left it are forgotten. */
static void cursors_match(struct gc_shard *s, const struct hours *hours)
{
	struct cursor *cursors = mem_new_array(MAX(hours->count, 1), sizeof(*cursors));
	for (size_t i = 0; i < hours->count; i++) {
		cursors[i].hour = hours->items[i];
		for (size_t k = 0; k < s->count; k++) {
			if (s->cursors[k].hour != hours->items[i])
				continue;
			cursors[i] = s->cursors[k];
			s->cursors[k] = (struct cursor){ 0 };
		}
	}
	cursors_free(s->cursors, s->count);
	s->cursors = cursors;
	s->count = hours->count;
}

/* ---- entries ---- */

struct reading {
	struct catalog_cql *c;
	struct arena *arena; /* the op's */
	uint32_t shard;
	int32_t hour;
	size_t max;
	struct catalog_garbage *items;
	size_t count;
	size_t cap;
};

static enum err see_entry(struct op *op, const struct cql_row *row, void *arg)
{
	struct reading *r = arg;
	struct str queued = cql_column(row, 0), user = cql_column(row, 1),
		   object = cql_column(row, 2), value;
	struct catalog_place place = {
		.table = 'g', .user = user, .bucket = r->shard, .key = object
	};
	struct catalog_garbage entry = { 0 };
	(void)op;
	bool has_key = queued.n == CATALOG_NAME_BYTES && user.n > 0 && user.n <= CATALOG_USER_MAX &&
		       object.n > 0 && object.n <= CATALOG_OBJECT_MAX && !str_has_nul(user) &&
		       !str_has_nul(object);
	if (has_key)
		memcpy(place.name.bytes, queued.p, queued.n);
	entry.is_damaged = !has_key || !catalog_cql_unseal(&place, cql_column(row, 3), &value) ||
			   !catalog_garbage_decode(value, &entry);
	entry.name = place.name;
	entry.user = has_key ? str_dup(r->arena, user) : STR("");
	entry.object = has_key ? str_dup(r->arena, object) : STR("");
	if (r->count == r->cap) {
		size_t cap = MAX(2 * r->cap, 32);
		r->items = arena_grow(
			r->arena, r->items, r->cap * sizeof(*r->items), cap * sizeof(*r->items));
		r->cap = cap;
	}
	r->items[r->count++] = entry;
	return ERR_NONE;
}

static enum err read_partition(struct op *op, struct reading *r, const struct cursor *from)
{
	AUTO_ARENA(arena, 0);
	struct catalog_cql *c = r->c;
	const struct cql_value values[] = { cql_text(str_from(c->prefix)),
		cql_int(&arena, (int32_t)r->shard), cql_int(&arena, r->hour),
		catalog_cql_name(&from->queued),
		cql_text(from->is_set ? str_from(from->user) : STR("")),
		cql_text(from->is_set ? str_from(from->object) : STR("")),
		cql_int(&arena, (int32_t)(r->max - r->count)) };
	const struct cql_bound b =
		catalog_cql_bind(c, CATALOG_CQL_READ_GARBAGE, values, ARRAY_COUNT(values));
	return catalog_cql_failed(op, cql_query(op, c->client, &b, see_entry, r));
}

static void cursor_set(struct cursor *cursor, const struct catalog_garbage *entry)
{
	mem_free(cursor->user);
	mem_free(cursor->object);
	cursor->queued = entry->name;
	cursor->user = str_new_z(entry->user);
	cursor->object = str_new_z(entry->object);
	cursor->is_set = true;
}

static enum err hour_leave(struct op *op, struct reading *r, int64_t asked_us)
{
	AUTO_ARENA(arena, 0);
	const struct cql_value values[] = { cql_bigint(&arena, asked_us - LEAVE_US),
		cql_text(str_from(r->c->prefix)), cql_int(&arena, (int32_t)r->shard),
		cql_int(&arena, r->hour) };
	const struct cql_bound b =
		catalog_cql_bind(r->c, CATALOG_CQL_DELETE_HOUR, values, ARRAY_COUNT(values));
	return catalog_cql_failed(op, cql_execute(op, r->c->client, &b));
}

/* Others may change the shard's cursors during a wait, so they are found again after it. */
static struct cursor *cursor_find(struct reading *r)
{
	struct gc_shard *s = &r->c->queues[r->shard];
	for (size_t i = 0; i < s->count; i++) {
		if (s->cursors[i].hour == r->hour)
			return &s->cursors[i];
	}
	return NULL;
}

static enum err read_hour(struct op *op, struct reading *r)
{
	struct cursor *cursor = cursor_find(r), from = { 0 };
	int64_t asked_us = now_wall_us();
	const size_t before = r->count;
	if (cursor && now_us() >= cursor->since_us + RECHECK_US)
		cursor_clear(cursor);
	if (cursor && cursor->is_done)
		return ERR_NONE;
	if (cursor && cursor->is_set) {
		from = *cursor;
		from.user = str_dup_z(r->arena, str_from(cursor->user));
		from.object = str_dup_z(r->arena, str_from(cursor->object));
	}
	TRY(read_partition(op, r, &from));
	const int32_t age = hour_now() - r->hour;
	cursor = cursor_find(r);
	if (cursor && !from.is_set)
		cursor->since_us = now_us();
	if (r->count > before) {
		if (cursor)
			cursor_set(cursor, &r->items[before]);
	} else if (!from.is_set && age > LEAVE_HOURS) {
		if (cursor)
			cursor_clear(cursor);
		return hour_leave(op, r, asked_us);
	} else if (age > 1 && cursor) {
		cursor->is_done = true;
	}
	return ERR_NONE;
}

/* From that place on: the cursors, which know where the oldest are, have no part in it. */
static enum err read_hour_from(
	struct op *op, struct reading *r, const struct catalog_garbage *first)
{
	struct cursor from = { 0 };
	int32_t first_hour = catalog_cql_gc_hour(&first->name);
	if (r->hour < first_hour)
		return ERR_NONE;
	if (r->hour == first_hour)
		from = (struct cursor){ .is_set = true,
			.queued = first->name,
			.user = str_dup_z(r->arena, first->user),
			.object = str_dup_z(r->arena, first->object) };
	return read_partition(op, r, &from);
}

enum err catalog_cql_read_garbage(struct op *op, struct catalog *catalog, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct hours hours = { .arena = &arena };
	struct reading r = {
		.c = c, .arena = op->arena, .shard = shard, .max = MIN(max, INT32_MAX)
	};
	TRY(catalog_cql_ready(op, c));
	const struct cql_value values[] = { cql_text(str_from(c->prefix)),
		cql_int(&arena, (int32_t)shard) };
	const struct cql_bound b =
		catalog_cql_bind(c, CATALOG_CQL_READ_HOURS, values, ARRAY_COUNT(values));
	TRY(catalog_cql_failed(op, cql_query(op, c->client, &b, see_hour, &hours)));
	cursors_match(&c->queues[shard], &hours);
	for (size_t i = 0; i < hours.count && r.count < r.max; i++) {
		r.hour = hours.items[i];
		TRY(from ? read_hour_from(op, &r, from) : read_hour(op, &r));
	}
	*out = r.items;
	*out_count = r.count;
	return ERR_NONE;
}
