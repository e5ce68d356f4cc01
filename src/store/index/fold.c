/* SPDX-License-Identifier: Apache-2.0 */
/* One row at a time into the index. Rows are decoded as a whole before anything is changed. */
#include "store/index/index_private.h"

static bool find_by_name(
	struct index *x, uint32_t uid_hint, struct catalog_name name, uint32_t *out_position)
{
	uint32_t position;
	if (!index_find(x, uid_hint, &position) ||
		name_cmp(index_cold(x, position)->name, name) != 0)
		return false;
	*out_position = position;
	return true;
}

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

enum err fold_append(struct index *x, const struct catalog_row *row)
{
	struct row_append a;
	TRY(row_append_decode(row->value, &a));
	if (a.has_batch && !batches_resolve(x, &a)) {
		if (!tombstone_has(x, row->name))
			batches_wait(x, row);
		return ERR_NONE;
	}
	if (a.uid == UINT32_MAX)
		return ERR_CORRUPT;
	uint32_t position = index_seek(x, a.uid);
	bool is_taken = position < index_count(x) && index_hot(x, position)->uid == a.uid;
	if (is_taken && name_cmp(index_cold(x, position)->name, row->name) != 0)
		return ERR_CORRUPT; /* one UID, two mails: only several writers could do that */
	index_raise(x, a.uid + 1, a.modseq);
	if (is_taken || tombstone_has(x, row->name))
		return ERR_NONE;
	uint32_t i;
	struct chunk *c = chunk_insert(x, position, &i);
	record_fill(x, c, i, row, &a);
	chunk_count_record(x, c, i, true);
	flags_adopt_orphans(x, c, i);
	return ERR_NONE;
}

static void record_end(struct index *x, uint32_t position, uint64_t modseq)
{
	uint32_t i;
	struct chunk *c = chunk_at(x, position, &i);
	if (index_is_ghost(&c->hot[i]))
		return;
	chunk_count_record(x, c, i, false);
	c->hot[i].state |= STATE_GHOST;
	events_add(&x->ghosts, modseq, c->hot[i].uid);
}

/* A batch that never was: its mails go with its commit row. */
static void fold_void_commit(struct index *x, struct catalog_name name)
{
	uint32_t first, last, position;
	if (!batches_void(x, name, &first, &last))
		return;
	for (uint32_t uid = first; uid <= last; uid++) {
		if (!index_find(x, uid, &position))
			continue;
		tombstone_add(x, index_cold(x, position)->name, 0, 0);
		record_end(x, position, 0);
	}
}

static void fold_gone(struct index *x, const struct row_op_value *v, uint64_t modseq)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t position;
		index_raise(x, mark.uid < UINT32_MAX ? mark.uid + 1 : mark.uid, modseq);
		tombstone_add(x, mark.name, v->op == ROW_VOID ? 0 : mark.uid, modseq);
		flags_drop_orphan(x, mark.name);
		if (v->op == ROW_VOID)
			fold_void_commit(x, mark.name);
		if (find_by_name(x, mark.uid, mark.name, &position))
			record_end(x, position, modseq);
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
		/* Its mails were never told: their modseq does not matter. */
		fold_gone(x, &v, 0);
		return ERR_NONE;
	case ROW_FLAGS:
		flags_fold(x, &v);
		return ERR_NONE;
	case ROW_FLOOR:
		index_raise(x, v.uid, v.modseq);
		return ERR_NONE;
	case ROW_HOLE:
		hole_add(x, v.hole_first, v.hole_last);
		return ERR_NONE;
	case ROW_COMMIT:
		return batches_commit(x, row->name, &v);
	case ROW_MOVE_INTENT:
		return ERR_NONE;
	case ROW_MERGE:
		return ERR_UNSUPPORTED;
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
	if (index_is_late(x, row->name))
		return ERR_NONE;
	TRY(row->kind == CATALOG_APPEND ? fold_append(x, row) : fold_op(x, row));
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
