/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, in the order of modseq: ghosts, flag changes, tombstones; and holes. */
#include "store/index/index_private.h"

#include <stdlib.h>

#include "base/hash.h"

#define SWEEP_FROM   16   /* so many ghosts are removed in one pass over all records */
#define CHANGES_KEPT 1024 /* without any view; then they are dropped in one go */

void events_push(struct index_events *e, uint64_t modseq, uint32_t uid)
{
	if (e->count == e->cap) {
		e->cap = MAX(e->cap * 2, 16);
		e->items = mem_resize(e->items, e->cap * sizeof(*e->items));
	}
	e->items[e->count++] = (struct index_event){ modseq, uid };
}

void events_add(struct index_events *e, uint64_t modseq, uint32_t uid)
{
	events_push(e, modseq, uid);
	size_t at = e->count - 1;
	while (at > 0 && e->items[at - 1].modseq > modseq)
		at--; /* only rows that come late are out of order */
	memmove(&e->items[at + 1], &e->items[at], (e->count - 1 - at) * sizeof(*e->items));
	e->items[at] = (struct index_event){ modseq, uid };
}

size_t index_events_after(const struct index_event *events, size_t count, uint64_t modseq)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (events[middle].modseq <= modseq)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void events_drop_front(struct index_events *e, size_t n)
{
	memmove(e->items, e->items + n, (e->count - n) * sizeof(*e->items));
	e->count -= n;
	if (e->count == 0 && e->cap > CHANGES_KEPT) {
		mem_free(e->items);
		*e = (struct index_events){ 0 };
	}
}

const struct index_event *index_ghosts(const struct index *x, size_t *out_count)
{
	*out_count = x->ghosts.count;
	return x->ghosts.items;
}

const struct index_event *index_changes(
	const struct index *x, size_t *out_count, uint64_t *out_floor)
{
	*out_count = x->changes.count;
	*out_floor = x->changes_floor;
	return x->changes.items;
}

bool index_forget(struct index *x, uint64_t told_expunges, uint64_t told_changes)
{
	size_t old = index_events_after(x->changes.items, x->changes.count, told_changes);
	if (old == x->changes.count ? old > 0 : old > CHANGES_KEPT) {
		x->changes_floor = MAX(x->changes_floor, x->changes.items[old - 1].modseq);
		events_drop_front(&x->changes, old);
	}
	size_t passed = index_events_after(x->ghosts.items, x->ghosts.count, told_expunges);
	bool is_sweep = passed > SWEEP_FROM;
	for (size_t i = 0; i < passed; i++) {
		uint32_t position, in_chunk;
		bool is_there = index_find(x, x->ghosts.items[i].uid, &position);
		ASSERT(is_there && index_is_ghost(index_hot(x, position)));
		if (!is_sweep) {
			chunk_remove(x, position);
			continue;
		}
		struct chunk *c = chunk_at(x, position, &in_chunk);
		c->hot[in_chunk].state |= STATE_PASSED;
	}
	if (is_sweep)
		chunk_sweep(x, STATE_PASSED);
	if (passed > 0)
		events_drop_front(&x->ghosts, passed);
	return passed > 0;
}

static uint64_t name_hash(struct catalog_name name)
{
	return hash_bytes((struct str){ (const char *)name.bytes, sizeof(name.bytes) });
}

/* One of a UID that was burned has no name. */
static uint64_t tombstone_key(const struct snapshot_tombstone *t)
{
	struct str uid = { (const char *)&t->uid, sizeof(t->uid) };
	return name_is_none(t->name) ? hash_bytes(uid) : name_hash(t->name);
}

bool tombstone_has(const struct index *x, struct catalog_name name)
{
	return x->gone.count > 0 && map_u64_get(&x->gone, name_hash(name)) != NULL;
}

bool index_is_gone(const struct index *x, struct catalog_name name)
{
	return tombstone_has(x, name);
}

static void tombstones_trim(struct index *x)
{
	size_t drop = x->tombstone_count / 4;
	for (size_t i = 0; i < drop; i++)
		(void)map_u64_remove(&x->gone, tombstone_key(&x->tombstones[i]));
	x->tombstone_floor = MAX(x->tombstone_floor, x->tombstones[drop - 1].modseq);
	x->tombstone_count -= drop;
	memmove(x->tombstones, x->tombstones + drop, x->tombstone_count * sizeof(*x->tombstones));
}

/* Keeps the order of modseq. */
static void tombstone_insert(struct index *x, const struct snapshot_tombstone *t)
{
	size_t at = x->tombstone_count;
	while (at > 0 && x->tombstones[at - 1].modseq > t->modseq)
		at--;
	memmove(&x->tombstones[at + 1], &x->tombstones[at],
		(x->tombstone_count - at) * sizeof(*x->tombstones));
	x->tombstones[at] = *t;
	x->tombstone_count++;
}

static void tombstone_put(struct index *x, const struct snapshot_tombstone *t)
{
	if (x->tombstone_count >= INDEX_TOMBSTONES_MAX)
		tombstones_trim(x);
	if (x->tombstone_count == x->tombstone_cap) {
		x->tombstone_cap = MAX(x->tombstone_cap * 2, 16);
		x->tombstones =
			mem_resize(x->tombstones, x->tombstone_cap * sizeof(*x->tombstones));
	}
	tombstone_insert(x, t);
	(void)map_u64_set(&x->gone, tombstone_key(t), x);
}

void tombstone_add(struct index *x, struct catalog_name name, uint32_t uid, uint64_t modseq)
{
	if (name_is_none(name))
		tombstone_add_burned(x, uid, modseq);
	else if (!tombstone_has(x, name))
		tombstone_put(x, &(struct snapshot_tombstone){ name, modseq, uid, 0 });
}

static void tombstone_raise_at(struct index *x, size_t at, uint64_t modseq)
{
	struct snapshot_tombstone t = x->tombstones[at];
	if (t.modseq >= modseq)
		return;
	t.modseq = modseq;
	memmove(&x->tombstones[at], &x->tombstones[at + 1],
		(x->tombstone_count - at - 1) * sizeof(*x->tombstones));
	x->tombstone_count--;
	tombstone_insert(x, &t);
}

void tombstone_add_burned(struct index *x, uint32_t uid, uint64_t modseq)
{
	struct snapshot_tombstone t = { .uid = uid, .modseq = modseq };
	if (uid == 0)
		return;
	if (!map_u64_get(&x->gone, tombstone_key(&t))) {
		tombstone_put(x, &t);
		return;
	}
	for (size_t i = x->tombstone_count; i > 0; i--) {
		if (x->tombstones[i - 1].uid != uid || !name_is_none(x->tombstones[i - 1].name))
			continue;
		tombstone_raise_at(x, i - 1, modseq);
		return;
	}
}

/* Its place, or that behind the last. */
static size_t tombstone_find(const struct index *x, struct catalog_name name)
{
	for (size_t i = x->tombstone_count; tombstone_has(x, name) && i > 0; i--)
		if (name_cmp(x->tombstones[i - 1].name, name) == 0)
			return i - 1;
	return x->tombstone_count;
}

uint64_t index_gone_modseq(const struct index *x, struct catalog_name name)
{
	size_t at = tombstone_find(x, name);
	return at < x->tombstone_count ? x->tombstones[at].modseq : 0;
}

uint32_t tombstone_uid(const struct index *x, struct catalog_name name)
{
	size_t at = tombstone_find(x, name);
	return at < x->tombstone_count ? x->tombstones[at].uid : 0;
}

void tombstone_join(struct index *x, const struct row_mark *mark)
{
	tombstone_add(x, mark->name, 0, 0);
	size_t at = tombstone_find(x, mark->name);
	if (at == x->tombstone_count)
		return;
	uint32_t known = x->tombstones[at].uid, uid = MAX(MAX(mark->uid, mark->origin), known);
	uint64_t modseq = MAX(x->tombstones[at].modseq, mark->modseq);
	const uint32_t others[] = { known, mark->uid, mark->origin };
	x->tombstones[at].uid = uid;
	tombstone_raise_at(x, at, modseq);
	for (size_t i = 0; i < ARRAY_COUNT(others); i++)
		if (others[i] != uid)
			tombstone_add_burned(x, others[i], modseq);
}

const struct snapshot_tombstone *index_tombstones(
	const struct index *x, size_t *out_count, uint64_t *out_floor)
{
	*out_count = x->tombstone_count;
	*out_floor = x->tombstone_floor;
	return x->tombstones;
}

bool hole_has(const struct index *x, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < x->hole_count; i++)
		if (x->holes[i].first == first && x->holes[i].last == last)
			return true;
	return false;
}

void hole_add(struct index *x, uint64_t first, uint64_t last)
{
	if (hole_has(x, first, last))
		return;
	x->holes = mem_resize(x->holes, (x->hole_count + 1) * sizeof(*x->holes));
	x->holes[x->hole_count++] = (struct snapshot_hole){ first, last };
}

uint64_t index_settle_modseq(const struct index *x, uint64_t modseq)
{
	for (size_t i = 0; i < x->hole_count; i++)
		if (modseq > x->holes[i].first && modseq < x->holes[i].last)
			return 0;
	return modseq;
}
