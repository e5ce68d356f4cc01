/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that do not count by themselves: those of a batch wait for its commit row, whichever comes first; those
 * of a batch that was voided never count. What became of the batches of a day is kept, also in files and
 * bases: a void may come when their mails were told, and a commit row when it is too late. */
#include "store/index/index_private.h"

#include <stdlib.h>

#define BATCHES_MAX  1024
#define BATCH_AGE_MS (UINT64_C(86400) * 1000)

static struct str id_key(const struct row_id *id)
{
	return (struct str){ (const char *)id->bytes, sizeof(id->bytes) };
}

static struct str name_key(const struct catalog_name *name)
{
	return (struct str){ (const char *)name->bytes, sizeof(name->bytes) };
}

/* ---- rows that wait ---- */

static int row_by_name(const void *a, const void *b)
{
	const struct catalog_row *m = a, *n = b;
	return name_cmp(m->name, n->name);
}

static struct waiting *waiting_of(struct index *x, const struct row_id *batch)
{
	struct waiting *w = map_get(&x->waiting, id_key(batch));
	if (!w) {
		w = MEM_NEW(struct waiting);
		w->batch = *batch;
		(void)map_set(&x->waiting, id_key(&w->batch), w);
	}
	return w;
}

void batches_wait(struct index *x, const struct catalog_row *row, const struct row_id *batch)
{
	if (map_get(&x->waiting_names, name_key(&row->name)))
		return;
	struct waiting *w = batch ? waiting_of(x, batch) : &x->placeless;
	struct waiting_row *kept = mem_new(sizeof(*kept) + row->value.n);
	kept->next = NULL;
	kept->row = *row;
	kept->row.value = (struct str){ kept->value, row->value.n };
	if (row->value.n > 0)
		memcpy(kept->value, row->value.p, row->value.n);
	if (w->last)
		w->last->next = kept;
	else
		w->first = kept;
	w->last = kept;
	w->count++;
	(void)map_set(&x->waiting_names, name_key(&kept->row.name), kept);
}

struct catalog_row *index_waiting(const struct index *x, struct arena *arena, size_t *out_count)
{
	struct map_entry e;
	size_t at = 0, count = 0;
	struct catalog_row *rows =
		ARENA_NEW_ARRAY(arena, struct catalog_row, MAX(x->waiting_names.count, 1));
	while (map_next(&x->waiting_names, &at, &e))
		rows[count++] = ((const struct waiting_row *)e.value)->row;
	if (count > 1)
		qsort(rows, count, sizeof(*rows), row_by_name);
	*out_count = count;
	return rows;
}

struct catalog_row *index_waiting_of(
	const struct index *x, const struct row_id *batch, struct arena *arena, size_t *out_count)
{
	const struct waiting *w = map_get(&x->waiting, id_key(batch));
	struct catalog_row *rows = ARENA_NEW_ARRAY(arena, struct catalog_row, w ? w->count + 1 : 1);
	size_t count = 0;
	for (const struct waiting_row *r = w ? w->first : NULL; r; r = r->next)
		rows[count++] = r->row;
	*out_count = count;
	return rows;
}

bool batches_resolve(const struct index *x, struct row_append *a)
{
	const struct snapshot_batch *b = index_batch(x, &a->batch);
	if (!b || a->uid > b->count)
		return false;
	a->uid += b->uid - 1;
	a->modseq = b->modseq;
	return true;
}

/* Folds them again: what still has to wait does. */
static void waiting_retry(struct index *x, struct waiting *w)
{
	struct waiting_row *row = w->first, *next;
	w->first = w->last = NULL;
	w->count = 0;
	for (; row; row = next) {
		next = row->next;
		(void)map_remove(&x->waiting_names, name_key(&row->row.name));
		/* It was decoded when it came; a UID beyond all cannot be given. */
		(void)(fold_append(x, &row->row) == ERR_NONE);
		mem_free(row);
	}
}

void batches_retry_placeless(struct index *x)
{
	waiting_retry(x, &x->placeless);
}

/* ---- batches ---- */

const struct snapshot_batch *index_batch(const struct index *x, const struct row_id *id)
{
	return map_get(&x->batches, id_key(id));
}

void batches_take(struct index *x, const struct snapshot_batch *b)
{
	bool is_possible = b->count == 0 || (b->uid > 0 && b->count <= UINT32_MAX - b->uid);
	if (!is_possible || index_batch(x, &b->id))
		return;
	struct snapshot_batch *kept = MEM_NEW(struct snapshot_batch);
	*kept = *b;
	(void)map_set(&x->batches, id_key(&kept->id), kept);
}

void batches_commit(struct index *x, struct catalog_name name, const struct row_op_value *v)
{
	/* Also if it does not count: what was given is not given again. */
	index_raise(x, (uint32_t)MIN(v->uid + (uint64_t)v->count, UINT32_MAX), v->modseq);
	if (tombstone_has(x, name) || index_batch(x, &v->batch))
		return;
	batches_take(x, &(struct snapshot_batch){
				.id = v->batch,
				.name = name,
				.modseq = v->modseq,
				.uid = v->uid,
				.count = (uint32_t)v->count,
			});
	struct waiting *w = map_get(&x->waiting, id_key(&v->batch));
	if (w)
		waiting_retry(x, w);
}

struct snapshot_batch *batches_find_row(const struct index *x, struct catalog_name name)
{
	struct map_entry e;
	size_t at = 0;
	while (map_next(&x->batches, &at, &e)) {
		struct snapshot_batch *b = e.value;
		if (b->count > 0 && name_cmp(b->name, name) == 0)
			return b;
	}
	return NULL;
}

bool batches_has_mail(const struct snapshot_batch *b, struct catalog_name row, uint32_t origin)
{
	return name_writer(row) == name_writer(b->name) && name_cmp(row, b->name) < 0 &&
	       origin >= b->uid && origin - b->uid < b->count;
}

size_t batches_mails(
	const struct index *x, const struct snapshot_batch *b, uint32_t **out_positions)
{
	uint32_t end = (uint32_t)MIN(b->uid + (uint64_t)b->count, UINT32_MAX), at;
	size_t count = 0, cap = 0;
	uint32_t *found = NULL;
	for (at = index_seek(x, b->uid); at < index_count(x); at++) {
		if (index_hot(x, at)->uid >= end)
			break;
		if (index_is_ghost(index_hot(x, at)) ||
			!batches_has_mail(b, index_cold(x, at)->name, index_origin(x, at)))
			continue;
		if (count == cap) {
			cap = MAX(2 * cap, 16);
			found = mem_resize(found, cap * sizeof(*found));
		}
		found[count++] = at;
	}
	for (size_t i = 0; i < x->moved_count; i++) {
		const struct snapshot_moved *m = &x->moved[i];
		if ((m->uid >= b->uid && m->uid < end) ||
			!batches_has_mail(b, m->name, m->origin) ||
			!index_find_name(x, m->origin, m->name, &at))
			continue;
		found = mem_resize(found, (count + 1) * sizeof(*found));
		cap = count + 1;
		found[count++] = at;
	}
	*out_positions = found;
	return count;
}

void batches_end(struct index *x, struct snapshot_batch *b)
{
	uint32_t *positions;
	size_t count = batches_mails(x, b, &positions);
	for (size_t i = 0; i < count; i++) {
		struct catalog_name name = index_cold(x, positions[i])->name;
		tombstone_add(x, name, 0, 0);
		/* Who was told of them is told of that by merge rows. */
		record_end(x, positions[i], index_hot(x, positions[i])->modseq);
		moved_burn(x, name);
	}
	mem_free(positions);
	b->count = 0;
}

void batches_void_id(struct index *x, const struct row_id *batch, struct catalog_name by)
{
	struct snapshot_batch *b = map_get(&x->batches, id_key(batch));
	if (!b)
		batches_take(x, &(struct snapshot_batch){ .id = *batch, .name = by });
	else if (b->count > 0)
		batches_end(x, b);
}

static int by_name(const void *a, const void *b)
{
	const struct snapshot_batch *m = a, *n = b;
	return name_cmp(m->name, n->name);
}

struct snapshot_batch *batches_list(const struct index *x, struct arena *arena, size_t *out_count)
{
	struct map_entry e;
	size_t at = 0, count = 0;
	struct snapshot_batch *list =
		ARENA_NEW_ARRAY(arena, struct snapshot_batch, MAX(x->batches.count, 1));
	while (map_next(&x->batches, &at, &e))
		list[count++] = *(const struct snapshot_batch *)e.value;
	if (count > 1)
		qsort(list, count, sizeof(*list), by_name);
	*out_count = count;
	return list;
}

/* ---- the end ---- */

/* Those that are older than a day go, and of too many the oldest. */
static void batches_trim(struct index *x)
{
	AUTO_ARENA(arena, 0);
	size_t count;
	const struct snapshot_batch *list = batches_list(x, &arena, &count);
	uint64_t now_ms = name_ms(x->cover);
	for (size_t i = 0; i < count; i++) {
		if (count - i <= BATCHES_MAX && name_ms(list[i].name) + BATCH_AGE_MS > now_ms)
			break;
		mem_free(map_remove(&x->batches, id_key(&list[i].id)));
	}
}

void index_end_batches(struct index *x)
{
	struct map_entry e;
	for (size_t at = 0; map_next(&x->waiting_names, &at, &e);)
		mem_free(e.value);
	map_done(&x->waiting_names);
	for (size_t at = 0; map_next(&x->waiting, &at, &e);)
		mem_free(e.value);
	map_done(&x->waiting);
	x->placeless = (struct waiting){ 0 };
	if (x->batches.count > 0)
		batches_trim(x);
}

void batches_free(struct index *x)
{
	struct map_entry e;
	size_t at = 0;
	index_end_batches(x);
	while (map_next(&x->batches, &at, &e))
		mem_free(e.value);
	map_done(&x->batches);
}
