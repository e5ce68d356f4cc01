/* SPDX-License-Identifier: Apache-2.0 */
/* Several writers: which rows somebody told greater UIDs without having seen them (floors), and which UIDs
 * their mails have instead (moved). Both are facts of rows, so any order of them gives the same.
 *
 * A mail has the greatest UID that its append row and merge rows give it. What it had before is burned: a
 * ghost for the views that know it, and a tombstone for clients that come back. */
#include "store/index/index_private.h"

#include <stdlib.h>

#define FLOORS_MAX  1024
#define WRITERS_MAX 256
#define FLOOR_AGE   ((UINT64_C(86400) * 1000) << 16) /* as stamps: late rows are of the same day */

/* ---- who wrote ---- */

void index_note_seen(struct index *x, struct catalog_name name)
{
	size_t oldest = 0;
	for (size_t i = 0; i < x->writer_count; i++) {
		if (name_writer(x->writers[i]) == name_writer(name)) {
			if (name_cmp(name, x->writers[i]) > 0)
				x->writers[i] = name;
			return;
		}
		if (name_cmp(x->writers[i], x->writers[oldest]) < 0)
			oldest = i;
	}
	if (x->writer_count == WRITERS_MAX) {
		x->writers[oldest] = name;
		return;
	}
	x->writers = mem_resize(x->writers, (x->writer_count + 1) * sizeof(*x->writers));
	x->writers[x->writer_count++] = name;
}

void index_forget_seen(struct index *x)
{
	x->writer_count = 0;
}

struct catalog_name index_seen(const struct index *x, uint32_t writer)
{
	for (size_t i = 0; i < x->writer_count; i++)
		if (name_writer(x->writers[i]) == writer)
			return x->writers[i];
	return (struct catalog_name){ { 0 } };
}

const struct catalog_name *index_writers(const struct index *x, size_t *out_count)
{
	*out_count = x->writer_count;
	return x->writers;
}

/* ---- floors ---- */

static void floors_trim(struct index *x, uint64_t now_stamp)
{
	size_t kept = 0;
	for (size_t i = 0; i < x->floor_count; i++)
		if (x->floors[i].stamp + FLOOR_AGE > now_stamp)
			x->floors[kept++] = x->floors[i];
	x->floor_count = kept;
	if (kept < FLOORS_MAX)
		return;
	x->floor_count = kept / 2;
	memmove(x->floors, x->floors + (kept - x->floor_count),
		x->floor_count * sizeof(*x->floors));
}

static struct snapshot_floor *find_floor(
	const struct index *x, uint32_t uid, struct catalog_name seen)
{
	for (size_t i = 0; i < x->floor_count; i++)
		if (x->floors[i].uid == uid && name_cmp(x->floors[i].seen, seen) == 0)
			return &x->floors[i];
	return NULL;
}

bool merge_floor_is_new(
	const struct index *x, const struct row_op_value *v, struct catalog_name name)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(ROW_FLOOR, &marks, &mark)) {
		const struct snapshot_floor *known = find_floor(x, v->uid, mark.name);
		if (!known || known->stamp < name_stamp(name))
			return true;
	}
	return v->uid > MAX(x->top_floor, x->next_uid) || v->modseq > x->modseq;
}

void index_take_floor(struct index *x, const struct snapshot_floor *floor)
{
	struct snapshot_floor *known = find_floor(x, floor->uid, floor->seen);
	if (known) {
		known->stamp = MAX(known->stamp, floor->stamp);
		return;
	}
	if (x->floor_count >= FLOORS_MAX)
		floors_trim(x, floor->stamp);
	if (x->floor_count == x->floor_cap) {
		x->floor_cap = MAX(2 * x->floor_cap, 8);
		x->floors = mem_resize(x->floors, x->floor_cap * sizeof(*x->floors));
	}
	x->floors[x->floor_count++] = *floor;
}

void merge_fold_floor(struct index *x, const struct row_op_value *v, struct catalog_name name)
{
	struct str marks = v->marks;
	struct row_mark mark;
	index_raise(x, v->uid, v->modseq);
	if (v->uid > x->top_floor) {
		x->top_floor = v->uid;
		x->top_writer = name_writer(name);
	}
	while (row_mark_next(ROW_FLOOR, &marks, &mark))
		index_take_floor(
			x, &(struct snapshot_floor){
				   .seen = mark.name, .stamp = name_stamp(name), .uid = v->uid });
}

uint32_t index_floor(const struct index *x, uint32_t *out_writer)
{
	*out_writer = x->top_writer;
	return x->top_floor;
}

const struct snapshot_floor *index_floors(const struct index *x, size_t *out_count)
{
	*out_count = x->floor_count;
	return x->floors;
}

bool index_is_late(const struct index *x, struct catalog_name row, uint32_t uid)
{
	for (size_t i = 0; i < x->floor_count; i++) {
		const struct snapshot_floor *f = &x->floors[i];
		if (uid < f->uid && name_writer(f->seen) == name_writer(row) &&
			name_cmp(row, f->seen) > 0)
			return true;
	}
	return false;
}

bool index_is_covered(const struct index *x, struct catalog_name row)
{
	for (size_t i = 0; i < x->floor_count; i++)
		if (name_writer(x->floors[i].seen) == name_writer(row) &&
			name_cmp(row, x->floors[i].seen) <= 0)
			return true;
	return false;
}

/* ---- mails that moved ---- */

static size_t moved_place(const struct index *x, struct catalog_name name)
{
	size_t low = 0, high = x->moved_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (name_cmp(x->moved[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct snapshot_moved *moved_find(const struct index *x, struct catalog_name name)
{
	size_t at = moved_place(x, name);
	bool is_there = at < x->moved_count && name_cmp(x->moved[at].name, name) == 0;
	return is_there ? &x->moved[at] : NULL;
}

void index_take_moved(struct index *x, const struct snapshot_moved *moved)
{
	size_t at = moved_place(x, moved->name);
	if (at < x->moved_count && name_cmp(x->moved[at].name, moved->name) == 0) {
		x->moved[at] = *moved;
		return;
	}
	if (x->moved_count == x->moved_cap) {
		x->moved_cap = MAX(2 * x->moved_cap, 8);
		x->moved = mem_resize(x->moved, x->moved_cap * sizeof(*x->moved));
	}
	memmove(&x->moved[at + 1], &x->moved[at], (x->moved_count - at) * sizeof(*x->moved));
	x->moved[at] = *moved;
	x->moved_count++;
}

void moved_forget(struct index *x, struct catalog_name name)
{
	struct snapshot_moved *m = moved_find(x, name);
	if (!m)
		return;
	size_t at = (size_t)(m - x->moved);
	x->moved_count--;
	memmove(m, m + 1, (x->moved_count - at) * sizeof(*m));
}

const struct snapshot_moved *index_moved(const struct index *x, size_t *out_count)
{
	*out_count = x->moved_count;
	return x->moved;
}

bool index_find_name(
	const struct index *x, uint32_t uid, struct catalog_name name, uint32_t *out_position)
{
	const struct snapshot_moved *m = x->moved_count > 0 ? moved_find(x, name) : NULL;
	uint32_t position;
	if (!index_find(x, m ? m->uid : uid, &position) ||
		name_cmp(index_cold(x, position)->name, name) != 0)
		return false;
	*out_position = position;
	return true;
}

uint32_t index_origin(const struct index *x, uint32_t position)
{
	const struct snapshot_moved *m = moved_find(x, index_cold(x, position)->name);
	return m ? m->origin : index_hot(x, position)->uid;
}

bool index_knows(const struct index *x, struct catalog_name name, uint32_t uid_hint)
{
	uint32_t position;
	return tombstone_has(x, name) || index_find_name(x, uid_hint, name, &position);
}

/* ---- merge rows ---- */

/* The record goes to another UID, which nobody has; a ghost stays. */
static void record_move(struct index *x, uint32_t position, uint32_t uid, uint64_t modseq)
{
	struct snapshot_hot hot = *index_hot(x, position);
	struct snapshot_cold cold = *index_cold(x, position);
	uint32_t from = hot.uid, i;
	record_end(x, position, modseq);
	tombstone_add_burned(x, from, modseq);
	flags_move_stamps(x, from, uid);
	struct chunk *c = chunk_insert(x, index_seek(x, uid), &i);
	hot.uid = uid;
	cold.summary_offset = cold.summary_length = 0; /* it is kept under the UID */
	hot.modseq = MAX(hot.modseq, modseq);
	c->hot[i] = hot;
	c->cold[i] = cold;
	chunk_count_record(x, c, i, true);
	flags_adopt_orphans(x, c, i); /* of changes that name it by this UID */
}

static void record_raise(struct index *x, uint32_t position, uint64_t modseq)
{
	uint32_t i;
	struct chunk *c = chunk_at(x, position, &i);
	if (index_is_ghost(&c->hot[i]) || c->hot[i].modseq >= modseq)
		return;
	c->hot[i].modseq = modseq;
	events_add(&x->changes, modseq, c->hot[i].uid);
}

void moved_burn(struct index *x, struct catalog_name name)
{
	const struct snapshot_moved *m = x->moved_count > 0 ? moved_find(x, name) : NULL;
	if (!m)
		return;
	tombstone_add_burned(x, m->uid, m->modseq);
	tombstone_add_burned(x, m->origin, m->modseq);
}

/* What the merge rows say together of a mail, also for the case that its append row comes later. A mail that
 * was only told anew keeps its UID, which no merge row gave. */
static void moved_note(struct index *x, const struct row_mark *mark, struct catalog_name by)
{
	struct snapshot_moved *known = moved_find(x, mark->name), moved = { .name = mark->name,
		.by = by,
		.modseq = mark->modseq,
		.uid = mark->uid,
		.origin = mark->origin };
	if (moved.uid <= moved.origin) {
		moved.uid = moved.origin;
		moved.by = (struct catalog_name){ { 0 } };
	}
	if (!known) {
		index_take_moved(x, &moved);
		return;
	}
	known->modseq = MAX(known->modseq, mark->modseq);
	if (moved.uid > known->uid ||
		(moved.uid == known->uid && name_cmp(moved.by, known->by) < 0))
		known->by = moved.by;
	/* Who knows it at the lesser UID was not told of the greater one before. */
	uint32_t lesser = MIN(moved.uid, known->uid), greater = MAX(moved.uid, known->uid);
	known->uid = greater;
	if (lesser != greater && lesser != known->origin)
		tombstone_add_burned(x, lesser, known->modseq);
}

/* Its expunge may have named it by this UID, before the record was there. */
static void merge_gone(struct index *x, const struct row_mark *mark, struct catalog_name by)
{
	uint32_t position;
	if (index_find_name(x, mark->origin, mark->name, &position))
		record_end(x, position, mark->modseq);
	if (tombstone_uid(x, mark->name) > 0) {
		tombstone_join(x, mark);
		return;
	}
	moved_note(x, mark, by); /* a void, of what somebody had told */
	moved_burn(x, mark->name);
}

static void merge_mark(struct index *x, const struct row_mark *mark, struct catalog_name by)
{
	uint32_t position, other;
	index_raise(x, mark->uid + 1, mark->modseq);
	if (tombstone_has(x, mark->name)) {
		merge_gone(x, mark, by);
		return;
	}
	bool is_there = index_find_name(x, mark->origin, mark->name, &position);
	uint32_t uid = is_there ? index_hot(x, position)->uid : 0;
	if (mark->uid > uid && index_find(x, mark->uid, &other) &&
		name_cmp(index_cold(x, other)->name, mark->name) != 0)
		return; /* the UID is another mail's: no fresh one, so this row gives nothing */
	moved_note(x, mark, by);
	if (is_there && mark->uid > uid)
		record_move(x, position, mark->uid, mark->modseq);
	else if (is_there)
		record_raise(x, position, mark->modseq);
}

void merge_fold(struct index *x, const struct row_op_value *v, struct catalog_name by)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(ROW_MERGE, &marks, &mark))
		if (mark.uid > 0 && mark.uid < UINT32_MAX)
			merge_mark(x, &mark, by);
	batches_retry_placeless(x);
}

/* ---- what needs another UID ---- */

static int by_name(const void *a, const void *b)
{
	const struct row_mark *m = a, *n = b;
	return name_cmp(m->name, n->name);
}

struct late_marks {
	struct row_mark *items;
	size_t count, cap;
};

static void late_add(struct late_marks *l, const struct row_mark *mark)
{
	if (l->count == l->cap) {
		l->cap = MAX(2 * l->cap, 16);
		l->items = mem_resize(l->items, l->cap * sizeof(*l->items));
	}
	l->items[l->count++] = *mark;
}

/* Commit rows that somebody who set a floor had not seen: what they made count is late, though the rows of
 * the mails are not. */
static struct snapshot_batch *late_batches(
	const struct index *x, struct arena *arena, size_t *out_count)
{
	size_t count, kept = 0;
	struct snapshot_batch *list = batches_list(x, arena, &count);
	for (size_t i = 0; i < count; i++)
		if (list[i].count > 0 && index_is_late(x, list[i].name, list[i].uid))
			list[kept++] = list[i];
	*out_count = kept;
	return list;
}

static bool came_with(
	const struct snapshot_batch *late, size_t count, struct catalog_name row, uint32_t uid)
{
	for (size_t i = 0; i < count; i++)
		if (batches_has_mail(&late[i], row, uid))
			return true;
	return false;
}

static void late_records(const struct index *x, struct late_marks *l)
{
	AUTO_ARENA(arena, 0);
	size_t batches;
	const struct snapshot_batch *late = late_batches(x, &arena, &batches);
	for (size_t k = 0; k < x->chunk_count; k++) {
		const struct chunk *c = &x->chunks[k];
		for (uint32_t i = 0; i < c->count; i++) {
			struct catalog_name name = c->cold[i].name;
			uint32_t uid = c->hot[i].uid;
			if (index_is_ghost(&c->hot[i]))
				continue;
			const struct snapshot_moved *m =
				x->moved_count > 0 ? moved_find(x, name) : NULL;
			if (m && m->uid == m->origin)
				m = NULL; /* its UID is that of its append row */
			if (index_is_late(x, m ? m->by : name, uid) ||
				(!m && came_with(late, batches, name, uid)))
				late_add(l, &(struct row_mark){ .name = name,
						    .uid = uid,
						    .origin = m ? m->origin : uid });
		}
	}
}

size_t index_late(const struct index *x, struct row_mark **out)
{
	struct late_marks l = { 0 };
	if (x->floor_count > 0)
		late_records(x, &l);
	for (const struct waiting_row *w = x->placeless.first; w; w = w->next) {
		struct row_append a;
		if (row_append_decode(w->row.value, &a) == ERR_NONE && !a.has_batch)
			late_add(&l, &(struct row_mark){
					     .name = w->row.name, .uid = a.uid, .origin = a.uid });
	}
	if (l.count > 1)
		qsort(l.items, l.count, sizeof(*l.items), by_name);
	*out = l.items;
	return l.count;
}
