/* SPDX-License-Identifier: Apache-2.0 */
/* The index as a snapshot file and back. Living records are written, ghosts and orphans are not. */
#include "store/index/index_private.h"

#include "base/number.h"

struct save {
	struct snapshot_section *sections;
	size_t count, cap;
	struct arena arena;
};

static void save_section(struct save *s, enum snapshot_type type, size_t items, struct str bytes)
{
	if (s->count == s->cap) {
		size_t cap = MAX(s->cap * 2, 16);
		s->sections = arena_grow(&s->arena, s->sections, s->cap * sizeof(*s->sections),
			cap * sizeof(*s->sections));
		s->cap = cap;
	}
	s->sections[s->count++] = (struct snapshot_section){ type, (uint32_t)items, bytes };
}

static void save_meta(struct save *s, const struct index *x)
{
	AUTO_BUF(meta, 0);
	snapshot_meta_encode(&meta, &(struct snapshot_meta){
					    .next_uid = x->next_uid,
					    .recent_uid = x->recent_uid,
					    .modseq = x->modseq,
					    .stamp_floor = x->stamp_floor,
					    .tombstone_floor = x->tombstone_floor,
					    .cover = x->cover,
				    });
	save_section(s, SNAPSHOT_META, 1, buf_dup(&s->arena, &meta));
	AUTO_BUF(words, 0);
	for (size_t i = 0; i < x->keyword_count; i++) {
		number_put_varint(&words, x->keywords[i].n);
		buf_put(&words, x->keywords[i]);
	}
	save_section(s, SNAPSHOT_KEYWORDS, x->keyword_count, buf_dup(&s->arena, &words));
}

/* Drops stamps that are too old to matter, writes the others. */
static void save_stamps(struct save *s, struct index *x, uint64_t floor)
{
	x->stamp_floor = MAX(x->stamp_floor, floor);
	struct map_u64 kept;
	map_u64_init(&kept);
	struct snapshot_stamp *items =
		ARENA_NEW_ARRAY(&s->arena, struct snapshot_stamp, x->stamps.count);
	struct map_u64_entry e;
	size_t at = 0, count = 0;
	while (map_u64_next(&x->stamps, &at, &e)) {
		uint64_t stamp = (uint64_t)(uintptr_t)e.value;
		if (stamp <= x->stamp_floor)
			continue;
		(void)map_u64_set(&kept, e.key, e.value);
		items[count++] =
			(struct snapshot_stamp){ stamp, (uint32_t)(e.key >> 7), e.key & 127 };
	}
	map_u64_done(&x->stamps);
	x->stamps = kept;
	save_section(s, SNAPSHOT_STAMPS, count,
		(struct str){ (const char *)items, count * sizeof(*items) });
}

static void save_records(struct save *s, const struct index *x)
{
	for (size_t i = 0; i < x->chunk_count; i++) {
		const struct chunk *c = &x->chunks[i];
		struct snapshot_hot *hot = c->hot;
		struct snapshot_cold *cold = c->cold;
		uint32_t count = c->count;
		if (x->ghosts.count > 0) {
			hot = ARENA_NEW_ARRAY(&s->arena, struct snapshot_hot, c->count);
			cold = ARENA_NEW_ARRAY(&s->arena, struct snapshot_cold, c->count);
			count = 0;
			for (uint32_t k = 0; k < c->count; k++) {
				if (index_is_ghost(&c->hot[k]))
					continue;
				hot[count] = c->hot[k];
				cold[count++] = c->cold[k];
			}
		}
		if (count == 0)
			continue;
		save_section(s, SNAPSHOT_HOT, count,
			(struct str){ (const char *)hot, count * sizeof(*hot) });
		save_section(s, SNAPSHOT_COLD, count,
			(struct str){ (const char *)cold, count * sizeof(*cold) });
	}
}

void index_save(struct index *x, uint64_t stamp_floor, struct buf *out)
{
	struct save s = { 0 };
	arena_init(&s.arena, 0);
	save_stamps(&s, x, stamp_floor);
	save_meta(&s, x);
	save_section(&s, SNAPSHOT_HOLES, x->hole_count,
		(struct str){ (const char *)x->holes, x->hole_count * sizeof(*x->holes) });
	save_section(&s, SNAPSHOT_TOMBSTONES, x->tombstone_count,
		(struct str){
			(const char *)x->tombstones, x->tombstone_count * sizeof(*x->tombstones) });
	save_section(&s, SNAPSHOT_MOVED, x->moved_count,
		(struct str){ (const char *)x->moved, x->moved_count * sizeof(*x->moved) });
	save_section(&s, SNAPSHOT_FLOORS, x->floor_count,
		(struct str){ (const char *)x->floors, x->floor_count * sizeof(*x->floors) });
	size_t batches;
	struct snapshot_batch *kept = batches_list(x, &s.arena, &batches);
	save_section(&s, SNAPSHOT_BATCHES, batches,
		(struct str){ (const char *)kept, batches * sizeof(*kept) });
	save_records(&s, x);
	snapshot_encode(out, x->mailbox, s.sections, s.count);
	arena_done(&s.arena);
}

static enum err load_keywords(struct index *x, struct str rest)
{
	struct str name;
	while (snapshot_keyword_next(&rest, &name)) {
		size_t before = x->keyword_count;
		/* A repeated name would shift the bits after it. */
		if (index_keyword_bit(x, name) < 0 || x->keyword_count == before)
			return ERR_CORRUPT;
	}
	return rest.n == 0 ? ERR_NONE : ERR_CORRUPT;
}

static enum err load_meta(struct index *x, struct str bytes)
{
	struct snapshot_meta m;
	TRY(snapshot_meta_decode(bytes, &m));
	x->next_uid = m.next_uid;
	x->recent_uid = m.recent_uid;
	x->modseq = m.modseq;
	x->changes_floor = m.modseq;
	x->stamp_floor = m.stamp_floor;
	x->tombstone_floor = m.tombstone_floor;
	x->cover = m.cover;
	return ERR_NONE;
}

static void load_tombstones(struct index *x, struct snapshot_section s)
{
	for (uint32_t i = 0; i < s.items; i++) {
		struct snapshot_tombstone t;
		memcpy(&t, s.bytes.p + i * sizeof(t), sizeof(t));
		tombstone_add(x, t.name, t.uid, t.modseq);
	}
}

static void load_stamps(struct index *x, struct snapshot_section s)
{
	for (uint32_t i = 0; i < s.items; i++) {
		struct snapshot_stamp t;
		memcpy(&t, s.bytes.p + i * sizeof(t), sizeof(t));
		if (t.stamp > 0)
			(void)map_u64_set(&x->stamps, stamp_key(t.uid, t.bit & 127),
				(void *)(uintptr_t)t.stamp);
	}
}

static void load_moved(struct index *x, struct snapshot_section s)
{
	for (uint32_t i = 0; i < s.items; i++) {
		struct snapshot_moved moved;
		memcpy(&moved, s.bytes.p + i * sizeof(moved), sizeof(moved));
		index_take_moved(x, &moved);
	}
}

static void load_floors(struct index *x, struct snapshot_section s)
{
	for (uint32_t i = 0; i < s.items; i++) {
		struct snapshot_floor floor;
		memcpy(&floor, s.bytes.p + i * sizeof(floor), sizeof(floor));
		index_take_floor(x, &floor);
	}
}

static void load_batches(struct index *x, struct snapshot_section s)
{
	for (uint32_t i = 0; i < s.items; i++) {
		struct snapshot_batch batch;
		memcpy(&batch, s.bytes.p + i * sizeof(batch), sizeof(batch));
		batches_take(x, &batch);
	}
}

static enum err load_records(
	struct index *x, char *file, struct snapshot_section hot, struct snapshot_section cold)
{
	if (cold.type != SNAPSHOT_COLD || cold.items != hot.items || hot.items == 0 ||
		hot.items > INDEX_CHUNK)
		return ERR_CORRUPT;
	/* Alignment and sizes were checked by snapshot_parse(). */
	size_t hot_at = (size_t)(hot.bytes.p - file), cold_at = (size_t)(cold.bytes.p - file);
	struct snapshot_hot *h = (struct snapshot_hot *)(void *)(file + hot_at);
	struct snapshot_cold *c = (struct snapshot_cold *)(void *)(file + cold_at);
	uint32_t total = index_count(x), last = total ? index_hot(x, total - 1)->uid : 0;
	for (uint32_t i = 0; i < hot.items; i++) {
		if (h[i].uid <= last || h[i].state != 0)
			return ERR_CORRUPT;
		last = h[i].uid;
	}
	chunk_add_borrowed(x, h, c, hot.items);
	return last < x->next_uid ? ERR_NONE : ERR_CORRUPT;
}

static enum err load_section(struct index *x, char *file, struct str whole, size_t i, size_t count)
{
	struct snapshot_section s = snapshot_get(whole, i);
	switch (s.type) {
	case SNAPSHOT_META:
		return load_meta(x, s.bytes);
	case SNAPSHOT_KEYWORDS:
		return load_keywords(x, s.bytes);
	case SNAPSHOT_HOLES:
		for (uint32_t k = 0; k < s.items; k++)
			hole_add(x, get_le64(s.bytes.p + k * 16), get_le64(s.bytes.p + k * 16 + 8));
		return ERR_NONE;
	case SNAPSHOT_TOMBSTONES:
		load_tombstones(x, s);
		return ERR_NONE;
	case SNAPSHOT_STAMPS:
		load_stamps(x, s);
		return ERR_NONE;
	case SNAPSHOT_MOVED:
		load_moved(x, s);
		return ERR_NONE;
	case SNAPSHOT_FLOORS:
		load_floors(x, s);
		return ERR_NONE;
	case SNAPSHOT_BATCHES:
		load_batches(x, s);
		return ERR_NONE;
	case SNAPSHOT_HOT:
		if (i + 1 == count)
			return ERR_CORRUPT;
		return load_records(x, file, s, snapshot_get(whole, i + 1));
	case SNAPSHOT_COLD:
		break; /* read with the section before it */
	}
	return ERR_NONE;
}

enum err index_load(struct index *x, char *file, size_t bytes)
{
	ASSERT((uintptr_t)file % SNAPSHOT_ALIGN == 0 && index_count(x) == 0);
	struct str whole = { file, bytes };
	size_t count;
	TRY(snapshot_parse(whole, x->mailbox, &count));
	bool has_meta = false;
	for (size_t i = 0; i < count; i++) {
		has_meta = has_meta || snapshot_get(whole, i).type == SNAPSHOT_META;
		if (!has_meta && snapshot_get(whole, i).type == SNAPSHOT_HOT)
			return ERR_CORRUPT;
		TRY(load_section(x, file, whole, i, count));
	}
	return has_meta ? ERR_NONE : ERR_CORRUPT;
}
