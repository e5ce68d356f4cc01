/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that do not count by themselves: those of a batch wait for its commit row, whichever comes first;
 * those of a dead writer behind his fence never count. */
#include "store/index/index_private.h"

static struct str id_key(const struct row_id *id)
{
	return (struct str){ (const char *)id->bytes, sizeof(id->bytes) };
}

/* ---- fences ---- */

void index_fence(struct index *x, uint32_t writer, struct catalog_name last)
{
	for (size_t i = 0; i < x->fence_count; i++) {
		if (x->fences[i].writer != writer)
			continue;
		if (name_cmp(last, x->fences[i].last) < 0)
			x->fences[i].last = last;
		return;
	}
	x->fences = mem_resize(x->fences, (x->fence_count + 1) * sizeof(*x->fences));
	x->fences[x->fence_count++] = (struct fence){ writer, last };
}

bool index_is_late(const struct index *x, struct catalog_name name)
{
	for (size_t i = 0; i < x->fence_count; i++)
		if (x->fences[i].writer == name_writer(name))
			return name_cmp(name, x->fences[i].last) > 0;
	return false;
}

/* ---- rows that wait ---- */

void batches_wait(struct index *x, const struct catalog_row *row)
{
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

/* ---- commits ---- */

enum err batches_commit(struct index *x, struct catalog_name name, const struct row_op_value *v)
{
	if (tombstone_has(x, name) || map_get(&x->commits, id_key(&v->batch)))
		return ERR_NONE;
	struct commit *c = MEM_NEW(struct commit);
	*c = (struct commit){ v->batch, name, v->uid, (uint32_t)v->count, v->modseq };
	(void)map_set(&x->commits, id_key(&c->batch), c);
	index_raise(
		x, c->uid + c->count, 0); /* its modseq is that of its mails, if they are there */
	size_t count = x->waiting_count;
	struct catalog_row *rows = x->waiting;
	x->waiting = NULL;
	x->waiting_count = x->waiting_cap = 0;
	enum err e = ERR_NONE;
	for (size_t i = 0; i < count; i++) {
		enum err folded = fold_append(x, &rows[i]); /* or it waits again */
		e = e == ERR_NONE ? folded : e;
		waiting_free(&rows[i]);
	}
	mem_free(rows);
	return e;
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
