/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_write.c - batches as requests: a group (catalog_group_end()) is one statement or one
 * unlogged batch of one partition, which Cassandra applies as a whole.
 *
 *   changes ── runs, one after the other ──> requests of a run, side by side ──> durable
 *
 * A run is one group of rows or heads, or as many changes as follow each other of reverse rows, or of
 * garbage (RUN_CHANGES_MAX of them), or the buckets of one deleted mailbox. Nothing is read before it is
 * written. Memory: that of one run, however many changes there are. */
#include "base/buf.h"
#include "catalog/cql_private.h"

#define VALUES_MAX 8
/* Changes of one run: it is in memory as requests until all are answered. */
#define RUN_CHANGES_MAX 6400

struct request {
	struct cql_bound *items; /* in the writer's arena */
	size_t count;
	size_t cap;
	size_t bytes;
};

struct writer {
	struct catalog_cql *c;
	struct arena *arena;
	struct str user; /* as given */
	struct str key;  /* as in keys */
	uint32_t shard;
	struct arena_mark run;    /* where the present run's memory begins */
	struct request *requests; /* of the present run */
	size_t count;
	size_t cap;
};

/* ---- requests ---- */

static struct request *request_new(struct writer *w)
{
	if (w->count == w->cap) {
		size_t cap = MAX(2 * w->cap, 4);
		w->requests = arena_grow(w->arena, w->requests, w->cap * sizeof(*w->requests),
			cap * sizeof(*w->requests));
		w->cap = cap;
	}
	struct request *r = &w->requests[w->count++];
	*r = (struct request){ 0 };
	return r;
}

static void request_add(struct writer *w, struct request *r, enum catalog_cql_text text,
	const struct cql_value *values, size_t count)
{
	ASSERT(count <= VALUES_MAX);
	if (r->count == r->cap) {
		size_t cap = MAX(2 * r->cap, 2);
		r->items = arena_grow(
			w->arena, r->items, r->cap * sizeof(*r->items), cap * sizeof(*r->items));
		r->cap = cap;
	}
	struct cql_value *kept = ARENA_NEW_ARRAY(w->arena, struct cql_value, count);
	memcpy(kept, values, count * sizeof(*values));
	r->items[r->count++] = catalog_cql_bind(w->c, text, kept, count);
	for (size_t i = 0; i < count; i++)
		r->bytes += kept[i].bytes.n;
}

/* A deletion without a stamp of its own is put into the future by the setting: rows, references and
 * entries never come back under the same name. Heads do. */
static struct cql_value stamp(struct writer *w, const struct catalog_change *change)
{
	int64_t stamp_us = change->stamp_us;
	if (stamp_us == 0) {
		stamp_us = cql_stamp(w->c->client);
		if (change->kind == CATALOG_DELETE_ROW || change->kind == CATALOG_DELETE_REVERSE ||
			change->kind == CATALOG_DELETE_GARBAGE)
			stamp_us += w->c->delete_after_us;
	}
	return cql_bigint(w->arena, stamp_us);
}

static struct cql_value number(struct writer *w, uint32_t v)
{
	return cql_int(w->arena, (int32_t)v);
}

/* ---- rows and heads ---- */

static void put_row(struct writer *w, struct request *r, const struct catalog_change *change)
{
	const struct catalog_row *row = &change->row;
	struct catalog_place place = { .table = 'r',
		.user = w->key,
		.mailbox = change->mailbox,
		.bucket = row->bucket,
		.kind = (uint32_t)row->kind,
		.name = row->name };
	struct str value = row->value, fading = STR_NONE;
	/* Both cells go in one batch, whose size Cassandra limits. */
	if (row->fading_bytes > 0 && row->value.n < CATALOG_GROUP_MAX) {
		ASSERT(row->fading_bytes <= value.n);
		fading = str_slice(value, value.n - row->fading_bytes, value.n);
		value.n -= fading.n;
	}
	const struct cql_value values[] = { cql_text(w->key), catalog_cql_guid(&change->mailbox),
		number(w, row->bucket), number(w, (uint32_t)row->kind),
		catalog_cql_name(&row->name), catalog_cql_seal(w->arena, &place, value),
		stamp(w, change) };
	request_add(w, r, CATALOG_CQL_PUT_ROW, values, ARRAY_COUNT(values));
	if (fading.n == 0)
		return;
	place.table = 'f';
	const struct cql_value more[] = { values[6], catalog_cql_seal(w->arena, &place, fading),
		values[0], values[1], values[2], values[3], values[4] };
	request_add(w, r, CATALOG_CQL_PUT_FADING, more, ARRAY_COUNT(more));
}

/* One row, or all op rows of a bucket below a name. */
static void delete_row(struct writer *w, struct request *r, const struct catalog_change *change)
{
	const struct cql_value values[] = { stamp(w, change), cql_text(w->key),
		catalog_cql_guid(&change->mailbox), number(w, change->row.bucket),
		number(w, (uint32_t)change->row.kind), catalog_cql_name(&change->row.name) };
	request_add(w, r,
		change->kind == CATALOG_DELETE_OPS ? CATALOG_CQL_DELETE_OPS
						   : CATALOG_CQL_DELETE_ROW,
		values, ARRAY_COUNT(values));
}

static void put_head(struct writer *w, struct request *r, const struct catalog_change *change)
{
	const struct catalog_place place = {
		.table = 'h', .user = w->key, .mailbox = change->mailbox, .key = change->key
	};
	const struct cql_value values[] = { cql_text(w->key), catalog_cql_guid(&change->mailbox),
		cql_text(change->key), catalog_cql_seal(w->arena, &place, change->value),
		stamp(w, change) };
	request_add(w, r, CATALOG_CQL_PUT_HEAD, values, ARRAY_COUNT(values));
}

static void delete_head(struct writer *w, struct request *r, const struct catalog_change *change)
{
	const struct cql_value values[] = { stamp(w, change), cql_text(w->key),
		catalog_cql_guid(&change->mailbox), cql_text(change->key) };
	request_add(w, r, CATALOG_CQL_DELETE_HEAD, values, ARRAY_COUNT(values));
}

/* ---- what is put beside each other ---- */

static void reverse(struct writer *w, struct request *r, const struct catalog_change *change)
{
	const struct catalog_row *row = &change->row;
	const struct cql_value key[] = { cql_text(w->key),
		number(w, catalog_object_part(change->object)), cql_text(change->object),
		catalog_cql_guid(&change->mailbox), catalog_cql_name(&row->name) };
	if (change->kind == CATALOG_PUT_REVERSE) {
		const struct cql_value values[] = { key[0], key[1], key[2], key[3], key[4],
			number(w, row->bucket), stamp(w, change) };
		request_add(w, r, CATALOG_CQL_PUT_REVERSE, values, ARRAY_COUNT(values));
	} else {
		const struct cql_value values[] = { stamp(w, change), key[0], key[1], key[2],
			key[3], key[4] };
		request_add(w, r, CATALOG_CQL_DELETE_REVERSE, values, ARRAY_COUNT(values));
	}
}

static void put_garbage(struct writer *w, struct request *r, const struct catalog_change *change,
	const struct cql_value key[3])
{
	const struct catalog_garbage entry = {
		.mailbox = change->mailbox, .bucket = change->row.bucket, .row = change->row.name
	};
	const struct catalog_place place = { .table = 'g',
		.user = w->user,
		.bucket = w->shard,
		.name = change->queued,
		.key = change->object };
	char bytes[CATALOG_GARBAGE_BYTES];
	catalog_garbage_encode(bytes, &entry);
	const struct cql_value values[] = { key[0], key[1], key[2],
		catalog_cql_name(&change->queued), cql_text(w->user), cql_text(change->object),
		catalog_cql_seal(w->arena, &place, (struct str){ bytes, sizeof(bytes) }),
		stamp(w, change) };
	request_add(w, r, CATALOG_CQL_PUT_GARBAGE, values, ARRAY_COUNT(values));
}

/* The hour's entry in gc_hours is as young as this moment: it is deleted only when long past. */
static void announce_hour(struct writer *w, const struct cql_value key[3])
{
	const struct cql_value values[] = { key[0], key[1], key[2],
		cql_bigint(w->arena, cql_stamp(w->c->client)) };
	struct request *r = request_new(w);
	request_add(w, r, CATALOG_CQL_PUT_HOUR, values, ARRAY_COUNT(values));
}

static void garbage(struct writer *w, const struct catalog_change *changes, size_t count)
{
	int32_t hour = 0;
	bool is_announced = false;
	struct cql_value key[3] = { cql_text(str_from(w->c->prefix)), number(w, w->shard) };
	size_t at = 0; /* the request of this hour; pointers move */
	for (size_t i = 0; i < count; i++) {
		const struct catalog_change *change = &changes[i];
		int32_t own = catalog_cql_gc_hour(&change->queued);
		if (i == 0 || own != hour) {
			hour = own;
			key[2] = cql_int(w->arena, hour);
			is_announced = catalog_cql_gc_hour_is_known(w->c, w->shard, hour);
			at = w->count;
			(void)request_new(w);
		} else if (w->requests[at].count == CATALOG_GROUP_COUNT ||
			   w->requests[at].bytes > CATALOG_GROUP_MAX / 2) {
			at = w->count;
			(void)request_new(w);
		}
		if (change->kind == CATALOG_PUT_GARBAGE) {
			put_garbage(w, &w->requests[at], change, key);
			if (!is_announced)
				announce_hour(w, key);
			is_announced = true;
		} else {
			const struct cql_value values[] = { stamp(w, change), key[0], key[1],
				key[2], catalog_cql_name(&change->queued), cql_text(w->user),
				cql_text(change->object) };
			request_add(w, &w->requests[at], CATALOG_CQL_DELETE_GARBAGE, values,
				ARRAY_COUNT(values));
		}
	}
}

static void delete_mailbox(struct writer *w, const struct catalog_change *change)
{
	for (uint32_t bucket = 0; bucket <= change->row.bucket; bucket++) {
		const struct cql_value values[] = { stamp(w, change), cql_text(w->key),
			catalog_cql_guid(&change->mailbox), number(w, bucket) };
		struct request *r = request_new(w);
		request_add(w, r, CATALOG_CQL_DELETE_BUCKET, values, ARRAY_COUNT(values));
	}
}

/* ---- runs ---- */

static bool is_garbage(const struct catalog_change *change)
{
	return change->kind == CATALOG_PUT_GARBAGE || change->kind == CATALOG_DELETE_GARBAGE;
}

static bool is_reverse(const struct catalog_change *change)
{
	return change->kind == CATALOG_PUT_REVERSE || change->kind == CATALOG_DELETE_REVERSE;
}

static void add_group(struct writer *w, const struct catalog_change *changes, size_t count)
{
	struct request *r = request_new(w);
	for (size_t i = 0; i < count; i++) {
		switch (changes[i].kind) {
		case CATALOG_PUT_ROW:
			put_row(w, r, &changes[i]);
			break;
		case CATALOG_DELETE_ROW:
		case CATALOG_DELETE_OPS:
			delete_row(w, r, &changes[i]);
			break;
		case CATALOG_PUT_HEAD:
			put_head(w, r, &changes[i]);
			break;
		case CATALOG_DELETE_HEAD:
			delete_head(w, r, &changes[i]);
			break;
		case CATALOG_PUT_REVERSE:
		case CATALOG_DELETE_REVERSE:
			reverse(w, r, &changes[i]);
			break;
		case CATALOG_PUT_GARBAGE:
		case CATALOG_DELETE_GARBAGE:
		case CATALOG_DELETE_MAILBOX:
			UNREACHABLE(); /* runs of their own */
		}
	}
}

/* Fills the run that begins at `from`; where it ends. */
static size_t add_run(
	struct writer *w, const struct catalog_change *changes, size_t count, size_t from)
{
	size_t to = from, most = MIN(count, from + RUN_CHANGES_MAX);
	arena_rewind(w->arena, w->run);
	w->requests = NULL;
	w->count = w->cap = 0;
	if (changes[from].kind == CATALOG_DELETE_MAILBOX) {
		delete_mailbox(w, &changes[from]);
		return from + 1;
	}
	if (is_garbage(&changes[from])) {
		while (to < most && is_garbage(&changes[to]))
			to++;
		garbage(w, changes + from, to - from);
		return to;
	}
	do {
		size_t end = catalog_group_end(changes, count, to);
		add_group(w, changes + to, end - to);
		to = end;
	} while (is_reverse(&changes[from]) && to < most && is_reverse(&changes[to]));
	return to;
}

static enum err send(struct op *op, void *arg, size_t i)
{
	struct writer *w = arg;
	const struct request *r = &w->requests[i];
	TRY(catalog_check_time(op));
	w->c->base.counters.commits++;
	enum err e = r->count == 1 ? cql_execute(op, w->c->client, r->items)
				   : cql_batch(op, w->c->client, r->items, r->count, false);
	return catalog_cql_failed(op, e);
}

static void learn_hours(struct writer *w, const struct catalog_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (changes[i].kind == CATALOG_PUT_GARBAGE)
			catalog_cql_gc_hour_learn(
				w->c, w->shard, catalog_cql_gc_hour(&changes[i].queued));
	}
}

/* What is written is bound to this process's memory until the last answer came. */
enum err catalog_cql_write(struct op *op, struct catalog *catalog, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	struct catalog_cql *c = catalog_cql(catalog);
	AUTO_ARENA(arena, 0);
	struct writer w = {
		.c = c, .arena = &arena, .user = user, .shard = catalog_user_shard(catalog, user)
	};
	TRY(catalog_cql_ready(op, c));
	TRY(catalog_cql_user_key(op, c, &arena, user, &w.key));
	for (size_t i = 0; i < count; i++)
		TRY(catalog_cql_change_check(op, &changes[i]));
	w.run = arena_mark(&arena);
	while (*durable < count) {
		size_t from = *durable, to = add_run(&w, changes, count, from);
		TRY(catalog_cql_parallel(op, c, w.count, send, &w));
		learn_hours(&w, changes + from, to - from);
		*durable = to;
	}
	return ERR_NONE;
}
