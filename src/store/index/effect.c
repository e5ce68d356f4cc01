/* SPDX-License-Identifier: Apache-2.0 */
/* What folding an op row would change: what a live mailbox has to tell of a row that comes late. */
#include "store/index/index_private.h"

static void tell_mail(
	const struct index *x, uint32_t position, uint64_t modseq, index_mail_fn *fn, void *arg)
{
	if (fn)
		fn(arg, &(struct row_mark){ .name = index_cold(x, position)->name,
				.uid = index_hot(x, position)->uid,
				.modseq = modseq,
				.origin = index_origin(x, position) });
}

/* ---- flags ---- */

/* As stamp_wins(), but nothing is noted. */
static bool would_win(
	const struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp, bool is_set)
{
	uint64_t known = (uint64_t)(uintptr_t)map_u64_get(&x->stamps, stamp_key(uid, bit));
	return stamp > x->stamp_floor && (stamp > known || (stamp == known && is_set));
}

static bool group_would_change(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct snapshot_hot *hot)
{
	for (uint32_t bit = 0; bit < FLAG_BITS; bit++) {
		unsigned flag = 1u << bit;
		bool is_set = (g->value & flag) != 0;
		if ((g->mask & flag) && is_set != ((hot->flags & flag) != 0) &&
			would_win(x, hot->uid, bit, g->stamp, is_set))
			return true;
	}
	for (uint64_t left = g->keywords_mask; left; left &= left - 1) {
		uint32_t theirs = (uint32_t)__builtin_ctzll(left);
		int bit = index_keyword_find(x, v->keywords[theirs]);
		bool is_set = (g->keywords_value >> theirs & 1) != 0;
		bool was_set = bit >= 0 && (hot->keywords >> bit & 1);
		if (is_set != was_set &&
			(bit < 0 || would_win(x, hot->uid, FLAG_KEYWORD_BIT + (uint32_t)bit,
					    g->stamp, is_set)))
			return true;
	}
	return false;
}

static bool flags_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	struct str groups = v->groups;
	struct row_flags_group g;
	bool any = false;
	while (row_flags_next(&groups, v->keyword_count, &g)) {
		struct row_mark mark;
		while (row_mark_next(ROW_FLAGS, &g.marks, &mark)) {
			uint32_t position;
			if (!index_find_name(x, mark.uid, mark.name, &position) ||
				index_is_ghost(index_hot(x, position)) ||
				!group_would_change(x, v, &g, index_hot(x, position)))
				continue;
			any = true;
			tell_mail(x, position, g.modseq, fn, arg);
		}
	}
	return any;
}

bool index_awaits(const struct index *x, const struct row_op_value *v)
{
	struct str groups = v->groups;
	struct row_flags_group g;
	struct row_mark mark;
	while (v->op == ROW_FLAGS && row_flags_next(&groups, v->keyword_count, &g))
		while (row_mark_next(ROW_FLAGS, &g.marks, &mark))
			if (!index_knows(x, mark.name, mark.uid))
				return true;
	return false;
}

/* ---- the others ---- */

static void tell_batch(
	const struct index *x, const struct snapshot_batch *b, index_mail_fn *fn, void *arg)
{
	uint32_t *positions;
	size_t count = batches_mails(x, b, &positions);
	for (size_t i = 0; i < count; i++)
		tell_mail(x, positions[i], 0, fn, arg);
	mem_free(positions);
}

static bool void_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	const struct snapshot_batch *b = index_batch(x, &v->batch);
	if (b && b->count > 0)
		tell_batch(x, b, fn, arg);
	return !b || b->count > 0;
}

static bool gone_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	struct str marks = v->marks;
	struct row_mark mark;
	bool any = false;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t position;
		if (tombstone_has(x, mark.name))
			continue;
		any = true;
		if (index_find_name(x, mark.uid, mark.name, &position))
			tell_mail(x, position, v->modseq, fn, arg);
		const struct snapshot_batch *b =
			v->op == ROW_VOID ? batches_find_row(x, mark.name) : NULL;
		if (b)
			tell_batch(x, b, fn, arg);
	}
	return any;
}

static bool merge_would_change(const struct index *x, const struct row_op_value *v)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t position;
		const struct snapshot_hot *hot = NULL;
		if (tombstone_has(x, mark.name)) {
			uint64_t told = index_gone_modseq(x, mark.name);
			if (told > 0 && told < mark.modseq)
				return true;
			continue;
		}
		if (index_find_name(x, mark.origin, mark.name, &position))
			hot = index_hot(x, position);
		if (!hot || hot->uid < mark.uid || hot->modseq < mark.modseq)
			return true;
	}
	return false;
}

bool index_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	switch (v->op) {
	case ROW_EXPUNGE:
	case ROW_VOID:
		return gone_would_change(x, v, fn, arg);
	case ROW_FLAGS:
		return flags_would_change(x, v, fn, arg);
	case ROW_MERGE:
		return merge_would_change(x, v);
	case ROW_VOID_BATCH:
		return void_would_change(x, v, fn, arg);
	case ROW_COMMIT:
		return !index_batch(x, &v->batch);
	case ROW_MOVE_INTENT:
	case ROW_FLOOR:
	case ROW_HOLE:
	case ROW_TREE_CREATE:
	case ROW_TREE_RENAME:
	case ROW_TREE_REMOVE:
	case ROW_TREE_SUBSCRIBE:
		break;
	}
	return true;
}
