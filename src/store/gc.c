/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting garbage: what an expunge, a void or the deletion of a mailbox left behind.
 *
 * A queue entry names an object and the append row that held it. The object goes when no reverse row
 * is left and that row is gone: row first, object later; a leak is allowed, a dangling row is not.
 * The entry of a deleted mailbox (STORE_PURGE_OBJECT) becomes one entry per mail, then its rows and
 * heads go. Nothing here needs the user to be open. */
#include "store/store_private.h"

#include "base/codec.h"

#define ENTRIES_AT_ONCE 256
#define PURGE_BATCH     500

struct collector {
	struct store *store;
	uint64_t deleted;
	struct op_failure failure; /* of an entry that was left; the last one */
};

static bool oid_parse(struct str text, struct row_id *out)
{
	AUTO_BUF(bytes, 0);
	if (text.n != STORE_OID_HEX || !hex_decode(&bytes, text))
		return false;
	memcpy(out->bytes, bytes.p, sizeof(out->bytes));
	return true;
}

static enum err entry_done(struct op *op, struct store *s, const struct catalog_garbage *g)
{
	struct catalog_change done = { .kind = CATALOG_DELETE_GARBAGE,
		.mailbox = g->mailbox,
		.row = { CATALOG_OP, g->bucket, g->row, STR_NONE },
		.object = g->object,
		.queued = g->name };
	return catalog_write(op, s->catalog, g->user, &done, 1);
}

static enum err collect_object(struct op *op, struct collector *c, const struct catalog_garbage *g)
{
	struct store *s = c->store;
	struct row_id oid;
	uint32_t references;
	bool has_row;
	if (!oid_parse(g->object, &oid))
		return op_fail(op, ERR_CORRUPT, "garbage entry names no object");
	TRY(catalog_count_reverse(op, s->catalog, g->user, g->object, &references));
	TRY(catalog_has_row(op, s->catalog, g->user, g->mailbox, g->bucket, g->row, &has_row));
	if (references == 0 && !has_row) {
		struct user named = { .store = s, .name = g->user };
		struct str key = store_object_key(op->arena, &named, oid);
		enum err e = objects_delete(op, s->objects, key);
		if (e != ERR_NONE && e != ERR_NOT_FOUND)
			return e;
		c->deleted += e == ERR_NONE;
	}
	return entry_done(op, s, g);
}

/* ---- a deleted mailbox ---- */

struct purge {
	struct store *store;
	const struct catalog_garbage *entry;
	struct catalog_change changes[PURGE_BATCH];
	size_t count;
	struct arena arena; /* of the changes that are gathered */
	struct catalog_name queued;
};

static enum err purge_write(struct op *op, struct purge *p)
{
	TRY(catalog_write(op, p->store->catalog, p->entry->user, p->changes, p->count));
	p->count = 0;
	arena_reset(&p->arena);
	return ERR_NONE;
}

static enum err purge_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct purge *p = arg;
	struct row_append a;
	if (row->kind != CATALOG_APPEND)
		return ERR_NONE;
	enum err e = row_append_decode(row->value, &a);
	if (e != ERR_NONE)
		return op_fail(op, e, "a row of a deleted mailbox cannot be read");
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)a.oid.bytes, sizeof(a.oid.bytes) });
	struct catalog_change change = { .mailbox = p->entry->mailbox,
		.row = { CATALOG_OP, row->bucket, row->name, STR_NONE },
		.object = buf_dup(&p->arena, &hex),
		.queued = p->queued };
	change.kind = CATALOG_PUT_GARBAGE;
	p->changes[p->count++] = change;
	change.kind = CATALOG_DELETE_REVERSE;
	p->changes[p->count++] = change;
	return p->count + 2 > PURGE_BATCH ? purge_write(op, p) : ERR_NONE;
}

static enum err purge_heads(struct op *op, struct purge *p)
{
	struct catalog_head *heads;
	size_t count;
	TRY(catalog_read_heads(op, p->store->catalog, p->entry->user, &heads, &count));
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&heads[i].mailbox, &p->entry->mailbox, sizeof(heads[i].mailbox)) != 0)
			continue;
		struct catalog_change change = { .kind = CATALOG_DELETE_HEAD,
			.mailbox = heads[i].mailbox,
			.key = heads[i].key };
		TRY(catalog_write(op, p->store->catalog, p->entry->user, &change, 1));
	}
	return ERR_NONE;
}

static enum err purge_all(struct op *op, struct purge *p)
{
	static const struct catalog_name all;
	TRY(catalog_read_rows(op, p->store->catalog, p->entry->user, p->entry->mailbox, 0,
		UINT32_MAX, all, purge_row, p));
	TRY(purge_write(op, p));
	struct catalog_change rows = { .kind = CATALOG_DELETE_MAILBOX,
		.mailbox = p->entry->mailbox };
	TRY(catalog_write(op, p->store->catalog, p->entry->user, &rows, 1));
	TRY(purge_heads(op, p));
	return entry_done(op, p->store, p->entry);
}

static enum err purge_mailbox(struct op *op, struct store *s, const struct catalog_garbage *g)
{
	struct purge *p = MEM_NEW(struct purge);
	p->store = s;
	p->entry = g;
	p->queued = store_name(s);
	arena_init(&p->arena, 0);
	enum err e = purge_all(op, p);
	arena_done(&p->arena);
	mem_free(p);
	return e;
}

/* ---- the queue ---- */

static enum err collect_entry(struct op *op, struct collector *c, const struct catalog_garbage *g)
{
	if (str_eq(g->object, STORE_PURGE_OBJECT))
		return purge_mailbox(op, c->store, g);
	return collect_object(op, c, g);
}

/* An entry that cannot be collected goes to the end of the queue, so that it does not keep the
 * others from their turn. */
static enum err leave_entry(
	struct op *op, struct collector *c, const struct catalog_garbage *g, enum err e)
{
	if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
		return e;
	c->failure = op->failure;
	op_forgive(op);
	struct catalog_change again = { .kind = CATALOG_PUT_GARBAGE,
		.mailbox = g->mailbox,
		.row = { CATALOG_OP, g->bucket, g->row, STR_NONE },
		.object = g->object,
		.queued = store_name(c->store) };
	struct catalog_change changes[] = { again, again };
	changes[1].kind = CATALOG_DELETE_GARBAGE;
	changes[1].queued = g->name;
	return catalog_write(op, c->store->catalog, g->user, changes, ARRAY_COUNT(changes));
}

/* *out_more: the shard's queue may have more that is old enough. */
static enum err collect_some(
	struct op *op, struct collector *c, uint32_t shard, uint64_t oldest_ms, bool *out_more)
{
	struct catalog_garbage *entries;
	size_t count, collected = 0;
	TRY(catalog_read_garbage(op, c->store->catalog, shard, ENTRIES_AT_ONCE, &entries, &count));
	*out_more = false;
	for (size_t i = 0; i < count; i++) {
		if (name_ms(entries[i].name) > oldest_ms)
			return ERR_NONE;
		if (c->store->is_closing)
			return op_fail(op, ERR_CANCELLED, "the store is closing");
		enum err e = collect_entry(op, c, &entries[i]);
		collected += e == ERR_NONE;
		if (e != ERR_NONE)
			TRY(leave_entry(op, c, &entries[i], e));
		task_breathe();
	}
	*out_more = count == ENTRIES_AT_ONCE && collected > 0;
	return ERR_NONE;
}

static enum err collect_all(struct op *op, struct collector *c, uint32_t shard, uint64_t oldest_ms)
{
	bool more = true;
	while (more) {
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = collect_some(op, c, shard, oldest_ms, &more);
		arena_rewind(op->arena, mark);
		if (e != ERR_NONE)
			return e;
	}
	if (c->failure.class == ERR_NONE)
		return ERR_NONE;
	return op_fail(op, c->failure.class, "%s", c->failure.text);
}

enum err store_collect_garbage(
	struct op *op, struct store *s, uint32_t shard, int64_t min_age_us, uint64_t *out_deleted)
{
	struct collector c = { .store = s };
	int64_t oldest_us = now_wall_us() - min_age_us;
	uint64_t oldest_ms = oldest_us > 0 ? (uint64_t)(oldest_us / US_PER_MS) : 0;
	if (s->is_closing)
		return op_fail(op, ERR_CANCELLED, "the store is closing");
	s->background++; /* store_close() waits for us */
	enum err e = collect_all(op, &c, shard, oldest_ms);
	*out_deleted = c.deleted;
	store_background_end(s);
	return e;
}
