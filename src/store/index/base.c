/* SPDX-License-Identifier: Apache-2.0 */
/* The index as parts of a base and back. Living records are written, ghosts and what waits are not.
 * Tombstones older than CATALOG_FADING_US no longer keep anything from coming back; the newest of them
 * are kept for clients that ask what vanished. */
#include "store/index/index_private.h"

#include "base/number.h"
#include "store/format/name.h"

#define OLD_TOMBSTONES 10000
#define STAMP_UID(key) ((uint32_t)((key) >> 7))
#define STAMP_BIT(key) ((uint32_t)((key)&127))

bool index_is_waiting(const struct index *x)
{
	return x->orphans.count > 0 || x->waiting_names.count > 0;
}

/* How many tombstones, from the oldest on, are left out of a base. */
static size_t old_tombstones(const struct index *x)
{
	uint64_t now = modseq_next(0, (int64_t)name_ms(x->cover) * US_PER_MS);
	uint64_t span = (uint64_t)(CATALOG_FADING_US / US_PER_MS) << MODSEQ_COUNTER_BITS;
	uint64_t oldest = now > span ? now - span : 0;
	size_t old = 0;
	if (x->tombstone_count <= OLD_TOMBSTONES)
		return 0;
	while (old < x->tombstone_count - OLD_TOMBSTONES && x->tombstones[old].modseq < oldest)
		old++;
	return old;
}

void index_base_meta(const struct index *x, uint64_t stamp_floor, struct base_meta *out)
{
	size_t old = old_tombstones(x);
	out->next_uid = x->next_uid;
	out->recent_uid = x->recent_uid;
	out->modseq = x->modseq;
	out->stamp_floor = MAX(x->stamp_floor, stamp_floor);
	out->tombstone_floor = x->tombstone_floor;
	if (old > 0)
		out->tombstone_floor = MAX(x->tombstone_floor, x->tombstones[old - 1].modseq);
	out->cover = x->cover;
	out->messages = x->counters.messages;
}

/* ---- sections ---- */

static struct base_section section(
	struct arena *arena, enum base_type type, size_t items, const struct buf *bytes)
{
	return (struct base_section){ type, (uint32_t)items, buf_dup(arena, bytes) };
}

static struct base_section keywords_section(const struct index *x, struct arena *arena)
{
	AUTO_BUF(b, 0);
	for (size_t i = 0; i < x->keyword_count; i++)
		number_put_counted(&b, x->keywords[i]);
	return section(arena, BASE_KEYWORDS, x->keyword_count, &b);
}

static struct base_section holes_section(const struct index *x, struct arena *arena)
{
	AUTO_BUF(b, 0);
	for (size_t i = 0; i < x->hole_count; i++) {
		number_put_varint(&b, x->holes[i].first);
		number_put_varint(&b, x->holes[i].last);
	}
	return section(arena, BASE_HOLES, x->hole_count, &b);
}

static struct base_section stamps_section(
	const struct index *x, uint64_t floor, struct arena *arena)
{
	struct snapshot_stamp *items =
		ARENA_NEW_ARRAY(arena, struct snapshot_stamp, MAX(x->stamps.count, 1));
	struct map_u64_entry e;
	size_t at = 0, count = 0;
	AUTO_BUF(b, 0);
	while (map_u64_next(&x->stamps, &at, &e)) {
		uint64_t stamp = (uint64_t)(uintptr_t)e.value;
		if (stamp > floor)
			items[count++] = (struct snapshot_stamp){ stamp, STAMP_UID(e.key),
				STAMP_BIT(e.key) };
	}
	base_stamps_encode(&b, items, count);
	return section(arena, BASE_STAMPS, count, &b);
}

void index_base_sections(
	const struct index *x, uint64_t stamp_floor, struct arena *arena, struct base_section *out)
{
	size_t old = old_tombstones(x);
	AUTO_BUF(b, 0);
	if (x->tombstone_count > old)
		base_tombstones_encode(&b, x->tombstones + old, x->tombstone_count - old);
	out[0] = keywords_section(x, arena);
	out[1] = holes_section(x, arena);
	out[2] = section(arena, BASE_TOMBSTONES, x->tombstone_count - old, &b);
	out[3] = stamps_section(x, MAX(x->stamp_floor, stamp_floor), arena);
	out[4] = (struct base_section){ BASE_MOVED, (uint32_t)x->moved_count,
		str_dup(arena, (struct str){ (const char *)x->moved,
				       x->moved_count * sizeof(*x->moved) }) };
	out[5] = (struct base_section){ BASE_FLOORS, (uint32_t)x->floor_count,
		str_dup(arena, (struct str){ (const char *)x->floors,
				       x->floor_count * sizeof(*x->floors) }) };
	size_t batches;
	const struct snapshot_batch *kept = batches_list(x, arena, &batches);
	out[6] = (struct base_section){ BASE_BATCHES, (uint32_t)batches,
		(struct str){ (const char *)kept, batches * sizeof(*kept) } };
}

uint32_t index_copy_records(const struct index *x, uint32_t first_uid, uint32_t last_uid,
	uint32_t max, struct snapshot_hot *hot, struct snapshot_cold *cold)
{
	uint32_t at = index_seek(x, first_uid), total = index_count(x), count = 0;
	while (at < total && count < max) {
		uint32_t i;
		const struct chunk *c = chunk_at(x, at, &i);
		for (; i < c->count && count < max; i++, at++) {
			if (c->hot[i].uid > last_uid)
				return count;
			if (index_is_ghost(&c->hot[i]))
				continue;
			hot[count] = c->hot[i];
			cold[count++] = c->cold[i];
		}
	}
	return count;
}

/* ---- and back ---- */

void index_take_meta(struct index *x, const struct base_meta *meta)
{
	x->next_uid = meta->next_uid;
	x->recent_uid = meta->recent_uid;
	x->modseq = meta->modseq;
	x->changes_floor = meta->modseq;
	x->stamp_floor = meta->stamp_floor;
	x->tombstone_floor = meta->tombstone_floor;
	x->cover = meta->cover;
}

static enum err take_keywords(struct index *x, struct str rest)
{
	struct str name;
	while (rest.n > 0) {
		size_t before = x->keyword_count;
		/* A repeated name would shift the bits after it. */
		if (!snapshot_keyword_next(&rest, &name) || index_keyword_bit(x, name) < 0 ||
			x->keyword_count == before)
			return ERR_CORRUPT;
	}
	return ERR_NONE;
}

static enum err take_holes(struct index *x, struct str rest)
{
	uint64_t first, last;
	while (rest.n > 0) {
		if (!number_cut_varint(&rest, &first) || !number_cut_varint(&rest, &last))
			return ERR_CORRUPT;
		hole_add(x, first, last);
	}
	return ERR_NONE;
}

static enum err take_tombstones(struct index *x, const struct base_section *s)
{
	struct snapshot_tombstone *items = mem_new_array(MAX(s->items, 1), sizeof(*items));
	enum err e = base_tombstones_decode(s->bytes, items, s->items);
	for (uint32_t i = 0; i < s->items && e == ERR_NONE; i++)
		tombstone_add(x, items[i].name, items[i].uid, items[i].modseq);
	mem_free(items);
	return e;
}

static enum err take_stamps(struct index *x, const struct base_section *s)
{
	struct snapshot_stamp *items = mem_new_array(MAX(s->items, 1), sizeof(*items));
	enum err e = base_stamps_decode(s->bytes, items, s->items);
	for (uint32_t i = 0; i < s->items && e == ERR_NONE; i++)
		if (items[i].stamp > 0)
			(void)map_u64_set(&x->stamps, stamp_key(items[i].uid, items[i].bit),
				(void *)(uintptr_t)items[i].stamp);
	mem_free(items);
	return e;
}

static enum err take_moved(struct index *x, const struct base_section *s)
{
	struct snapshot_moved moved;
	if (s->bytes.n != (size_t)s->items * sizeof(moved))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < s->items; i++) {
		memcpy(&moved, s->bytes.p + i * sizeof(moved), sizeof(moved));
		index_take_moved(x, &moved);
	}
	return ERR_NONE;
}

static enum err take_floors(struct index *x, const struct base_section *s)
{
	struct snapshot_floor floor;
	if (s->bytes.n != (size_t)s->items * sizeof(floor))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < s->items; i++) {
		memcpy(&floor, s->bytes.p + i * sizeof(floor), sizeof(floor));
		index_take_floor(x, &floor);
	}
	return ERR_NONE;
}

static enum err take_batches(struct index *x, const struct base_section *s)
{
	struct snapshot_batch batch;
	if (s->bytes.n != (size_t)s->items * sizeof(batch))
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < s->items; i++) {
		memcpy(&batch, s->bytes.p + i * sizeof(batch), sizeof(batch));
		batches_take(x, &batch);
	}
	return ERR_NONE;
}

enum err index_take_section(struct index *x, const struct base_section *s)
{
	switch (s->type) {
	case BASE_KEYWORDS:
		return take_keywords(x, s->bytes);
	case BASE_HOLES:
		return take_holes(x, s->bytes);
	case BASE_TOMBSTONES:
		return take_tombstones(x, s);
	case BASE_STAMPS:
		return take_stamps(x, s);
	case BASE_MOVED:
		return take_moved(x, s);
	case BASE_FLOORS:
		return take_floors(x, s);
	case BASE_BATCHES:
		return take_batches(x, s);
	case BASE_META:
	case BASE_HOT:
	case BASE_COLD:
	case BASE_SEGMENTS:
	case BASE_SUMMARIES:
	case BASE_TEXTS:
	case BASE_TREE:
	case BASE_NAME:
		break; /* not of the index, or taken as records */
	}
	return ERR_NONE;
}

enum err index_take_records(struct index *x, const struct snapshot_hot *hot,
	const struct snapshot_cold *cold, uint32_t count)
{
	uint32_t total = index_count(x), last = total ? index_hot(x, total - 1)->uid : 0;
	for (uint32_t i = 0; i < count; i++) {
		if (hot[i].uid <= last || hot[i].uid >= x->next_uid)
			return ERR_CORRUPT;
		last = hot[i].uid;
	}
	for (uint32_t from = 0; from < count; from += INDEX_CHUNK)
		chunk_add_copies(
			x, hot + from, cold + from, MIN(count - from, (uint32_t)INDEX_CHUNK));
	return ERR_NONE;
}
