/* SPDX-License-Identifier: Apache-2.0 */
/* One row at a time into the index. Rows are decoded as a whole before anything is changed. */
#include "store/index/index_private.h"

static void record_fill(struct index *x, struct chunk *c, uint32_t i, const struct catalog_row *row,
	const struct row_append *a)
{
	uint64_t keywords = 0;
	for (size_t k = 0; k < a->keyword_count; k++) {
		int bit = index_keyword_bit(x, a->keywords[k]);
		if (bit >= 0)
			keywords |= UINT64_C(1) << bit;
	}
	c->hot[i] = (struct snapshot_hot){
		.modseq = a->modseq,
		.keywords = keywords,
		.uid = a->uid,
		.flags = (uint8_t)a->flags,
	};
	c->cold[i] = (struct snapshot_cold){
		.name = row->name,
		.guid = a->guid,
		.oid = a->oid,
		.received_wall_us = a->received_wall_us,
		.saved_wall_us = a->saved_wall_us,
		.bucket = row->bucket,
		.offset = (uint32_t)a->offset,
		.length = (uint32_t)a->length,
		.size_physical = (uint32_t)a->size_physical,
		.size_virtual = (uint32_t)a->size_virtual,
	};
}

/* What merge rows gave the mail before its append row came. */
static void place_moved(struct index *x, struct catalog_name name, struct row_append *a)
{
	struct snapshot_moved *m = x->moved_count > 0 ? moved_find(x, name) : NULL;
	if (!m)
		return;
	a->modseq = MAX(a->modseq, m->modseq);
	m->origin = a->uid;
	if (m->uid <= a->uid) {
		m->uid = a->uid;
		m->by = (struct catalog_name){ { 0 } };
	}
	a->uid = m->uid;
}

enum err fold_append(struct index *x, const struct catalog_row *row)
{
	struct row_append a;
	TRY(row_append_decode(row->value, &a));
	if (a.has_batch && !batches_resolve(x, &a)) {
		if (!tombstone_has(x, row->name))
			batches_wait(x, row, &a.batch);
		return ERR_NONE;
	}
	if (a.uid == UINT32_MAX)
		return ERR_CORRUPT;
	index_raise(x, a.uid + 1, a.modseq);
	if (tombstone_has(x, row->name))
		return ERR_NONE;
	uint32_t first = a.uid;
	place_moved(x, row->name, &a);
	uint32_t position = index_seek(x, a.uid);
	bool is_taken = position < index_count(x) && index_hot(x, position)->uid == a.uid;
	if (is_taken) {
		/* One UID, two mails: the one that came later waits for another. */
		if (name_cmp(index_cold(x, position)->name, row->name) != 0)
			batches_wait(x, row, NULL);
		return ERR_NONE;
	}
	if (first != a.uid)
		tombstone_add_burned(x, first, a.modseq);
	uint32_t i;
	struct chunk *c = chunk_insert(x, position, &i);
	record_fill(x, c, i, row, &a);
	chunk_count_record(x, c, i, true);
	flags_adopt_orphans(x, c, i);
	return ERR_NONE;
}

void record_end(struct index *x, uint32_t position, uint64_t modseq)
{
	uint32_t i;
	struct chunk *c = chunk_at(x, position, &i);
	if (index_is_ghost(&c->hot[i]))
		return;
	chunk_count_record(x, c, i, false);
	c->hot[i].state |= STATE_GHOST;
	events_add(&x->ghosts, modseq, c->hot[i].uid);
}

/* The mail never was, and its modseq does not matter. What merge rows say of it stays: somebody may have
 * expunged it, too. */
static void fold_void_mark(struct index *x, const struct row_mark *mark)
{
	struct snapshot_batch *batch = batches_find_row(x, mark->name);
	tombstone_add(x, mark->name, 0, 0);
	moved_burn(x, mark->name);
	if (batch)
		batches_end(x, batch);
}

/* An expunged mail is known by its tombstone alone. */
static void fold_expunge_mark(struct index *x, const struct row_mark *mark, uint64_t modseq)
{
	const struct snapshot_moved *m = x->moved_count > 0 ? moved_find(x, mark->name) : NULL;
	struct row_mark told = { .name = mark->name, .uid = mark->uid, .modseq = modseq };
	tombstone_join(x, &told);
	if (m) {
		told.uid = m->uid;
		told.origin = m->origin;
		told.modseq = MAX(modseq, m->modseq);
		tombstone_join(x, &told);
	}
}

static void fold_gone(struct index *x, const struct row_op_value *v, uint64_t modseq)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t position;
		index_raise(x, mark.uid < UINT32_MAX ? mark.uid + 1 : mark.uid, modseq);
		bool is_there = index_find_name(x, mark.uid, mark.name, &position);
		if (v->op == ROW_VOID)
			fold_void_mark(x, &mark);
		else
			fold_expunge_mark(x, &mark, modseq);
		flags_drop_orphan(x, mark.name);
		/* Views may have been told of it since, by a merge row or with other flags. */
		if (is_there)
			record_end(x, position, MAX(modseq, index_hot(x, position)->modseq));
		if (v->op == ROW_EXPUNGE)
			moved_forget(x, mark.name);
	}
}

static enum err fold_op(struct index *x, const struct catalog_row *row)
{
	struct row_op_value v;
	TRY(row_op_decode(row->value, &v));
	switch (v.op) {
	case ROW_EXPUNGE:
		fold_gone(x, &v, v.modseq);
		return ERR_NONE;
	case ROW_VOID:
		/* Others may have told of its mails: that goes on above. Their own modseq does not matter. */
		index_raise(x, 0, v.modseq);
		fold_gone(x, &v, 0);
		return ERR_NONE;
	case ROW_FLAGS:
		flags_fold(x, &v);
		return ERR_NONE;
	case ROW_FLOOR:
		merge_fold_floor(x, &v, row->name);
		return ERR_NONE;
	case ROW_HOLE:
		hole_add(x, v.hole_first, v.hole_last);
		return ERR_NONE;
	case ROW_COMMIT:
		batches_commit(x, row->name, &v);
		return ERR_NONE;
	case ROW_MOVE_INTENT:
		return ERR_NONE;
	case ROW_MERGE:
		merge_fold(x, &v, row->name);
		return ERR_NONE;
	case ROW_VOID_BATCH:
		batches_void_id(x, &v.batch, row->name);
		return ERR_NONE;
	case ROW_TREE_CREATE:
	case ROW_TREE_RENAME:
	case ROW_TREE_REMOVE:
	case ROW_TREE_SUBSCRIBE:
		break;
	}
	return ERR_CORRUPT; /* a tree's op in a mailbox */
}

enum err index_fold(struct index *x, const struct catalog_row *row)
{
	TRY(row->kind == CATALOG_APPEND ? fold_append(x, row) : fold_op(x, row));
	index_note_seen(x, row->name);
	if (name_cmp(row->name, x->cover) > 0)
		x->cover = row->name;
	return ERR_NONE;
}

enum err index_fold_pending(struct index *x, struct str value)
{
	struct row_op_value v;
	TRY(row_op_decode(value, &v));
	if (v.op != ROW_FLAGS)
		return ERR_CORRUPT;
	flags_fold(x, &v);
	return ERR_NONE;
}
