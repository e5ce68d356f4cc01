/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting garbage: what an expunge, a void or the deletion of a mailbox left behind.
 *
 * A queue entry names an object and the append row that held it. The object goes when no reverse row
 * is left and that row is gone: row first, object later; a leak is allowed, a dangling row is not. Each row
 * that named it left an entry, which was in the queue before the row went: while one of them is younger than the
 * age at which objects go, the object stays, also for those who look at an older one only now.
 * The entry of a deleted mailbox (STORE_PURGE_OBJECT) becomes one entry per mail, then its rows and
 * heads go; mails that another writer saved there after the removal are moved to INBOX first
 * (rescue.c). Only that needs the user to be open. */
#include "store/store_private.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/map.h"
#include "event/event.h"

#define ENTRIES_AT_ONCE 1000 /* what S3 deletes at once */
#define PURGE_MAILS     1000
#define FAILURES_MAX    8 /* in a row: the store has trouble, and is left alone until the next round */

struct collector {
	struct store *store;
	uint32_t shard;
	uint64_t oldest_ms;                  /* entries queued later are young */
	uint64_t deleted, collected;         /* objects, entries */
	unsigned failures;                   /* in a row */
	struct op_failure failure;           /* of an entry that was left; the last one */
	const struct catalog_garbage **done; /* collected; they leave the queue at the end */
	size_t done_count;
	struct base_names base_names; /* of the last entry about a base; in op's arena */
};

static bool oid_parse(struct str text, struct row_id *out)
{
	AUTO_BUF(bytes, 0);
	if (text.n != STORE_OID_HEX || !hex_decode(&bytes, text))
		return false;
	memcpy(out->bytes, bytes.p, sizeof(out->bytes));
	return true;
}

static struct catalog_change entry_end(const struct catalog_garbage *g)
{
	return (struct catalog_change){ .kind = CATALOG_DELETE_GARBAGE,
		.mailbox = g->mailbox,
		.row = { CATALOG_OP, g->bucket, g->row, STR_NONE },
		.object = g->object,
		.queued = g->name };
}

/* WAITS. Collected entries leave the queue, those of a user in one batch. */
static enum err write_done(struct op *op, struct collector *c)
{
	struct catalog_change *gone =
		ARENA_NEW_ARRAY(op->arena, struct catalog_change, MAX(c->done_count, 1));
	for (size_t from = 0, to; from < c->done_count; from = to) {
		struct str user = c->done[from]->user;
		for (to = from; to < c->done_count && str_eq(c->done[to]->user, user); to++)
			gone[to] = entry_end(c->done[to]);
		TRY(store_write_changes(op, c->store, user, gone + from, to - from));
	}
	return ERR_NONE;
}

/* ---- a deleted mailbox ---- */

struct purge {
	struct store *store;
	bool has_late;   /* mails that came behind the removal: rescued before they go */
	bool takes_late; /* this walk is for those alone */
	const struct catalog_garbage *entry;
	/* First all garbage, then what kept the objects alive. */
	struct catalog_change garbage[PURGE_MAILS], references[PURGE_MAILS];
	size_t count;
	struct arena arena; /* of the changes that are gathered */
	struct catalog_name queued;
};

static int part_compare(const void *a, const void *b)
{
	const struct catalog_change *x = a, *y = b;
	return (int)catalog_object_part(x->object) - (int)catalog_object_part(y->object);
}

static enum err purge_write(struct op *op, struct purge *p)
{
	struct str user = p->entry->user;
	qsort(p->references, p->count, sizeof(p->references[0]), part_compare);
	TRY(store_write_changes(op, p->store, user, p->garbage, p->count));
	TRY(store_write_changes(op, p->store, user, p->references, p->count));
	p->count = 0;
	arena_reset(&p->arena);
	return ERR_NONE;
}

static enum err purge_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct purge *p = arg;
	struct row_append a;
	bool is_late = name_cmp(row->name, p->entry->row) > 0;
	if (row->kind != CATALOG_APPEND)
		return ERR_NONE;
	p->has_late = p->has_late || is_late;
	if (is_late != p->takes_late)
		return ERR_NONE;
	if (row_append_decode(row->value, &a) != ERR_NONE) {
		event_send(p->store->event, EVENT_WARNING, "store_garbage_damaged",
			"A row of a deleted mailbox of %.*s cannot be read: its object stays until "
			"doveadm obox audit",
			STRF(p->entry->user));
		return ERR_NONE;
	}
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)a.oid.bytes, sizeof(a.oid.bytes) });
	struct catalog_change change = { .kind = CATALOG_PUT_GARBAGE,
		.mailbox = p->entry->mailbox,
		.row = { CATALOG_OP, row->bucket, row->name, STR_NONE },
		.object = buf_dup(&p->arena, &hex),
		.queued = p->queued };
	p->garbage[p->count] = change;
	change.kind = CATALOG_DELETE_REVERSE;
	p->references[p->count++] = change;
	return p->count == PURGE_MAILS ? purge_write(op, p) : ERR_NONE;
}

/* WAITS. The mailbox's heads as deletions, and its last bucket. */
static enum err purge_read_heads(struct op *op, struct purge *p, struct catalog_change **out,
	size_t *out_count, uint32_t *out_bucket)
{
	struct catalog_head *heads;
	size_t count, n = 0;
	TRY(catalog_read_heads(op, p->store->catalog, p->entry->user, &heads, &count));
	struct catalog_change *gone =
		ARENA_NEW_ARRAY(op->arena, struct catalog_change, MAX(count, 1));
	*out_bucket = 0;
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&heads[i].mailbox, &p->entry->mailbox, sizeof(heads[i].mailbox)) != 0)
			continue;
		gone[n++] = (struct catalog_change){ .kind = CATALOG_DELETE_HEAD,
			.mailbox = heads[i].mailbox,
			.key = heads[i].key };
		if (str_eq(heads[i].key, HEAD_BUCKET) &&
			head_bucket_decode(heads[i].value, out_bucket) != ERR_NONE)
			return op_fail(op, ERR_CORRUPT, "a bucket head cannot be read");
	}
	*out = gone;
	*out_count = n;
	return ERR_NONE;
}

static enum err purge_walk(struct op *op, struct purge *p, uint32_t last_bucket)
{
	static const struct catalog_name all;
	const struct catalog_garbage *g = p->entry;
	for (uint32_t bucket = 0; bucket <= last_bucket; bucket++)
		TRY(catalog_read_rows(op, p->store->catalog, g->user, g->mailbox, bucket, bucket,
			all, purge_row, p));
	return purge_write(op, p);
}

static enum err purge_all(struct op *op, struct purge *p)
{
	const struct catalog_garbage *g = p->entry;
	struct catalog_change *heads = NULL;
	size_t head_count = 0;
	uint32_t last = 0;
	TRY(base_purge(op, p->store, g->user, g->mailbox));
	TRY(purge_read_heads(op, p, &heads, &head_count, &last));
	TRY(purge_walk(op, p, last + 1));
	if (p->has_late) {
		TRY(store_rescue_late(op, p->store, g, last + 1));
		p->takes_late = true;
		TRY(purge_walk(op, p, last + 1));
	}
	struct catalog_change rows = { .kind = CATALOG_DELETE_MAILBOX,
		.mailbox = g->mailbox,
		.row = { .kind = CATALOG_OP, .bucket = last + 1 } };
	TRY(store_write_changes(op, p->store, g->user, &rows, 1));
	return store_write_changes(op, p->store, g->user, heads, head_count);
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

/* An entry that cannot be collected goes to the end of the queue, so that it does not keep the
 * others from their turn; after some in a row the store is left alone. */
static enum err leave_entry(
	struct op *op, struct collector *c, const struct catalog_garbage *g, enum err e)
{
	if (e == ERR_TIMEOUT || e == ERR_CANCELLED || ++c->failures >= FAILURES_MAX)
		return e;
	c->failure = op->failure;
	op_forgive(op);
	struct catalog_change changes[] = { entry_end(g), entry_end(g) };
	changes[0].kind = CATALOG_PUT_GARBAGE;
	changes[0].queued = store_name(c->store);
	return store_write_changes(op, c->store, g->user, changes, ARRAY_COUNT(changes));
}

static void entry_collected(struct collector *c, const struct catalog_garbage *g)
{
	c->failures = 0;
	c->collected++;
	c->done[c->done_count++] = g;
}

/* WAITS. An entry that nobody can read leaves the queue; what it named is for the audit. */
static enum err set_aside(struct op *op, struct collector *c, const struct catalog_garbage *g)
{
	event_send(c->store->event, EVENT_WARNING, "store_garbage_damaged",
		"An entry of the garbage queue is damaged (user \"%.*s\", object \"%.*s\"): it is "
		"set aside, doveadm obox audit finds what it was about",
		STRF(g->user), STRF(g->object));
	if (g->user.n == 0)
		return ERR_NONE; /* its key is damaged too: it cannot be named */
	struct catalog_change gone = entry_end(g);
	return store_write_changes(op, c->store, g->user, &gone, 1);
}

struct dead {
	const struct catalog_garbage *entry;
	struct str key;
};

/* ---- young entries ---- */

static struct str object_of(struct arena *a, const struct catalog_garbage *g)
{
	return str_printf(a, "%.*s/%.*s", STRF(g->object), STRF(g->user));
}

static bool is_same_place(const struct catalog_garbage *a, const struct catalog_garbage *b)
{
	return name_cmp(a->name, b->name) == 0 && str_eq(a->user, b->user) &&
	       str_eq(a->object, b->object);
}

/* WAITS. Those of `dead` that young entries name, too: *out_young. Few requests: the entries of an hour. */
static enum err find_young(struct op *op, struct collector *c, const struct map *dead,
	struct arena *arena, struct map *out_young)
{
	struct catalog_garbage *some, at = {
		.name = name_at_ms((int64_t)c->oldest_ms + 1), .user = STR(""), .object = STR("")
	};
	size_t count = ENTRIES_AT_ONCE;
	while (count == ENTRIES_AT_ONCE) {
		struct arena_mark mark = arena_mark(op->arena);
		TRY(catalog_read_garbage(
			op, c->store->catalog, c->shard, &at, ENTRIES_AT_ONCE, &some, &count));
		for (size_t i = 0; i < count; i++) {
			struct str object = object_of(op->arena, &some[i]);
			if (map_get(dead, object))
				(void)map_set(out_young, str_dup(arena, object), c);
			task_breathe();
		}
		/* A damaged entry has no place of its own. */
		if (count == 0 || is_same_place(&at, &some[count - 1]))
			return ERR_NONE;
		at.name = some[count - 1].name;
		at.user = str_dup(arena, some[count - 1].user);
		at.object = str_dup(arena, some[count - 1].object);
		arena_rewind(op->arena, mark);
	}
	return ERR_NONE;
}

/* WAITS. What a young entry names, too, is left to that one. */
static enum err leave_to_young(
	struct op *op, struct collector *c, struct dead *dead, size_t *dead_count)
{
	AUTO_ARENA(arena, 0);
	struct map wanted, young;
	size_t kept = 0;
	if (*dead_count == 0)
		return ERR_NONE;
	map_init(&wanted);
	map_init(&young);
	for (size_t i = 0; i < *dead_count; i++)
		(void)map_set(&wanted, object_of(&arena, dead[i].entry), &dead[i]);
	enum err e = find_young(op, c, &wanted, &arena, &young);
	for (size_t i = 0; e == ERR_NONE && i < *dead_count; i++) {
		if (map_get(&young, object_of(&arena, dead[i].entry)))
			entry_collected(c, dead[i].entry);
		else
			dead[kept++] = dead[i];
	}
	*dead_count = kept;
	map_done(&wanted);
	map_done(&young);
	return e;
}

/* ---- deleting ---- */

/* WAITS. All at once; when that fails each by itself, to find out which cannot be deleted. */
static enum err delete_dead(
	struct op *op, struct collector *c, const struct dead *dead, size_t count)
{
	struct objects *o = c->store->objects;
	struct str *keys = ARENA_NEW_ARRAY(op->arena, struct str, MAX(count, 1));
	for (size_t i = 0; i < count; i++)
		keys[i] = dead[i].key;
	bool are_gone = count == 0 || objects_delete_many(op, o, keys, count) == ERR_NONE;
	if (!are_gone)
		op_forgive(op);
	for (size_t i = 0; i < count; i++) {
		enum err e = are_gone ? ERR_NONE : objects_delete(op, o, dead[i].key);
		if (e == ERR_NOT_FOUND) {
			op_forgive(op);
			e = ERR_NONE;
		}
		if (e != ERR_NONE) {
			TRY(leave_entry(op, c, dead[i].entry, e));
			continue;
		}
		c->deleted++;
		entry_collected(c, dead[i].entry);
		task_breathe();
	}
	return ERR_NONE;
}

static enum err store_is_open(struct op *op, const struct collector *c)
{
	return c->store->is_closing ? op_fail(op, ERR_CANCELLED, "the store is closing") : ERR_NONE;
}

static enum err look_at_mailbox(struct op *op, struct collector *c, const struct catalog_garbage *g)
{
	enum err e = purge_mailbox(op, c->store, g);
	if (e != ERR_NONE)
		return leave_entry(op, c, g, e);
	entry_collected(c, g);
	return ERR_NONE;
}

/* What nothing refers to is added to `dead`; the rest is done with, or was left. */
static enum err sort_out(struct op *op, struct collector *c, const struct catalog_garbage *g,
	bool is_used, struct dead *dead, size_t *dead_count)
{
	struct user named = { .store = c->store, .name = g->user };
	struct row_id oid;
	bool is_base = base_is_garbage(g->object, &oid);
	if (is_base) {
		enum err e = base_garbage_is_used(op, c->store, g, &oid, &c->base_names, &is_used);
		if (e != ERR_NONE)
			return leave_entry(op, c, g, e);
	} else if (!oid_parse(g->object, &oid))
		return leave_entry(
			op, c, g, op_fail(op, ERR_CORRUPT, "garbage entry names no object"));
	if (is_used)
		entry_collected(c, g);
	else
		dead[(*dead_count)++] = (struct dead){ g,
			is_base ? base_object_key(op->arena, &named, g->mailbox, oid)
				: store_object_key(op->arena, &named, oid) };
	return ERR_NONE;
}

/* WAITS. Entries of one user. All are asked for at once; when that fails each by itself. */
static enum err look_at_entries(struct op *op, struct collector *c,
	const struct catalog_garbage *entries, size_t count, struct dead *dead, size_t *dead_count)
{
	bool *are_used = ARENA_NEW_ARRAY(op->arena, bool, count);
	TRY(store_is_open(op, c));
	enum err e =
		catalog_find_used(op, c->store->catalog, entries->user, entries, count, are_used);
	if (e != ERR_NONE && count == 1)
		return leave_entry(op, c, entries, e);
	if (e != ERR_NONE)
		op_forgive(op);
	for (size_t i = 0; i < count; i++) {
		if (e == ERR_NONE)
			TRY(sort_out(op, c, &entries[i], are_used[i], dead, dead_count));
		else
			TRY(look_at_entries(op, c, &entries[i], 1, dead, dead_count));
		task_breathe();
	}
	return ERR_NONE;
}

static bool is_mailbox(const struct catalog_garbage *g)
{
	return str_eq(g->object, STORE_PURGE_OBJECT);
}

static enum err collect_entries(
	struct op *op, struct collector *c, const struct catalog_garbage *entries, size_t count)
{
	struct dead *dead = ARENA_NEW_ARRAY(op->arena, struct dead, MAX(count, 1));
	size_t dead_count = 0;
	for (size_t from = 0, to; from < count; from = to) {
		const struct catalog_garbage *g = &entries[from];
		to = from + 1;
		if (g->is_damaged) {
			TRY(set_aside(op, c, g));
			continue;
		}
		if (is_mailbox(g)) {
			TRY(store_is_open(op, c));
			TRY(look_at_mailbox(op, c, g));
			continue;
		}
		while (to < count && !is_mailbox(&entries[to]) && !entries[to].is_damaged &&
			str_eq(entries[to].user, g->user))
			to++;
		TRY(look_at_entries(op, c, g, to - from, dead, &dead_count));
	}
	TRY(leave_to_young(op, c, dead, &dead_count));
	return delete_dead(op, c, dead, dead_count);
}

/* *out_more: the shard's queue may have more that is old enough. */
static enum err collect_some(struct op *op, struct collector *c, bool *out_more)
{
	struct catalog_garbage *entries;
	uint64_t before = c->collected;
	size_t count, old = 0;
	TRY(catalog_read_garbage(
		op, c->store->catalog, c->shard, NULL, ENTRIES_AT_ONCE, &entries, &count));
	while (old < count && name_ms(entries[old].name) <= c->oldest_ms)
		old++;
	c->done = ARENA_NEW_ARRAY(op->arena, const struct catalog_garbage *, MAX(old, 1));
	c->done_count = 0;
	c->base_names = (struct base_names){ 0 };
	enum err e = collect_entries(op, c, entries, old);
	const struct op_failure why = op->failure;
	enum err ended = write_done(op, c); /* also when the rest has to wait */
	if (e != ERR_NONE)
		return op_fail(op, e, "%s", why.text);
	*out_more = old == ENTRIES_AT_ONCE && c->collected > before;
	return ended;
}

static enum err collect_all(struct op *op, struct collector *c)
{
	bool more = true;
	while (more) {
		struct arena_mark mark = arena_mark(op->arena);
		enum err e = collect_some(op, c, &more);
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
	int64_t oldest_us = now_wall_us() - min_age_us;
	struct collector c = { .store = s,
		.shard = shard,
		.oldest_ms = oldest_us > 0 ? (uint64_t)(oldest_us / US_PER_MS) : 0 };
	if (s->is_closing)
		return op_fail(op, ERR_CANCELLED, "the store is closing");
	s->background++;                       /* store_close() waits for us */
	enum err e = store_check_clock(op, s); /* one that is ahead would make all look old */
	if (e == ERR_NONE)
		e = collect_all(op, &c);
	*out_deleted = c.deleted;
	store_background_end(s);
	return e;
}
