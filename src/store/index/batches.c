/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that do not count by themselves: those of a batch wait for its commit row, whichever comes first; those
 * of a batch that was voided never count. */
#include "store/index/index_private.h"

static struct str id_key(const struct row_id *id)
{
	return (struct str){ (const char *)id->bytes, sizeof(id->bytes) };
}

/* ---- rows that wait ---- */

void batches_wait(struct index *x, const struct catalog_row *row)
{
	for (size_t i = x->waiting_count; i > 0; i--)
		if (name_cmp(x->waiting[i - 1].name, row->name) == 0)
			return;
	if (x->waiting_count == x->waiting_cap) {
		x->waiting_cap = MAX(2 * x->waiting_cap, 16);
		x->waiting = mem_resize(x->waiting, x->waiting_cap * sizeof(*x->waiting));
	}
	struct catalog_row *kept = &x->waiting[x->waiting_count++];
	*kept = *row;
	kept->value = (struct str){ str_new_z(row->value), row->value.n };
}

static void waiting_free(struct catalog_row *row)
{
	mem_free((void *)(uintptr_t)row->value.p);
}

const struct catalog_row *index_waiting(const struct index *x, size_t *out_count)
{
	*out_count = x->waiting_count;
	return x->waiting;
}

bool batches_resolve(const struct index *x, struct row_append *a)
{
	const struct commit *c = map_get(&x->commits, id_key(&a->batch));
	if (!c || a->uid > c->count)
		return false;
	a->uid += c->uid - 1;
	a->modseq = c->modseq;
	return true;
}

/* Folds them again: what still has to wait does. */
void batches_retry(struct index *x)
{
	size_t count = x->waiting_count;
	struct catalog_row *rows = x->waiting;
	x->waiting = NULL;
	x->waiting_count = x->waiting_cap = 0;
	for (size_t i = 0; i < count; i++) {
		/* It was decoded when it came; a UID beyond all cannot be given. */
		(void)(fold_append(x, &rows[i]) == ERR_NONE);
		waiting_free(&rows[i]);
	}
	mem_free(rows);
}

/* ---- commits ---- */

bool index_is_void(const struct index *x, const struct row_id *batch)
{
	for (size_t i = 0; i < x->void_count; i++)
		if (memcmp(&x->void_batches[i], batch, sizeof(*batch)) == 0)
			return true;
	return false;
}

void batches_void_id(struct index *x, const struct row_id *batch)
{
	struct commit *c = map_remove(&x->commits, id_key(batch));
	if (c)
		fold_void_uids(x, c->uid, c->uid + c->count - 1);
	mem_free(c);
	if (index_is_void(x, batch))
		return;
	x->void_batches =
		mem_resize(x->void_batches, (x->void_count + 1) * sizeof(*x->void_batches));
	x->void_batches[x->void_count++] = *batch;
}

enum err batches_commit(struct index *x, struct catalog_name name, const struct row_op_value *v)
{
	/* Also if it does not count: what was given is not given again. */
	index_raise(x, (uint32_t)MIN(v->uid + (uint64_t)v->count, UINT32_MAX), v->modseq);
	if (tombstone_has(x, name) || map_get(&x->commits, id_key(&v->batch)) ||
		index_is_void(x, &v->batch))
		return ERR_NONE;
	struct commit *c = MEM_NEW(struct commit);
	*c = (struct commit){ v->batch, name, v->uid, (uint32_t)v->count, v->modseq };
	(void)map_set(&x->commits, id_key(&c->batch), c);
	batches_retry(x);
	return ERR_NONE;
}

struct catalog_name batches_name(const struct index *x, struct catalog_name row, uint32_t uid)
{
	struct map_entry e;
	size_t at = 0;
	while (map_next(&x->commits, &at, &e)) {
		const struct commit *c = e.value;
		if (name_writer(c->name) == name_writer(row) && uid >= c->uid &&
			uid - c->uid < c->count && name_cmp(c->name, row) > 0)
			return c->name;
	}
	return row;
}

bool batches_void(
	struct index *x, struct catalog_name name, uint32_t *out_first, uint32_t *out_last)
{
	struct map_entry e;
	size_t at = 0;
	while (map_next(&x->commits, &at, &e)) {
		struct commit *c = e.value;
		if (name_cmp(c->name, name) != 0)
			continue;
		*out_first = c->uid;
		*out_last = c->uid + c->count - 1;
		(void)map_remove(&x->commits, e.key);
		mem_free(c);
		return true;
	}
	return false;
}

void index_end_batches(struct index *x)
{
	struct map_entry e;
	size_t at = 0;
	for (size_t i = 0; i < x->waiting_count; i++)
		waiting_free(&x->waiting[i]);
	mem_free(x->waiting);
	x->waiting = NULL;
	x->waiting_count = x->waiting_cap = 0;
	while (map_next(&x->commits, &at, &e))
		mem_free(e.value);
	map_done(&x->commits);
	map_init(&x->commits);
}
