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

/* What a group of a row of flags would do to a mail. */
struct flags_effect {
	bool is_new;   /* it is of later, be it the same value: what is older loses from now on */
	bool is_other; /* clients see it */
};

static void bit_effect(const struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp,
	bool is_set, bool was_set, struct flags_effect *out)
{
	uint64_t known = (uint64_t)(uintptr_t)map_u64_get(&x->stamps, stamp_key(uid, bit));
	if (stamp <= x->stamp_floor || stamp < known)
		return;
	out->is_new = out->is_new || stamp > known;
	out->is_other = out->is_other || (is_set != was_set && (stamp > known || is_set));
}

static struct flags_effect group_effect(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct snapshot_hot *hot)
{
	struct flags_effect effect = { .is_new = g->modseq > hot->modseq };
	for (uint32_t bit = 0; bit < FLAG_BITS; bit++) {
		unsigned flag = 1u << bit;
		if (g->mask & flag)
			bit_effect(x, hot->uid, bit, g->stamp, (g->value & flag) != 0,
				(hot->flags & flag) != 0, &effect);
	}
	for (uint64_t left = g->keywords_mask; left; left &= left - 1) {
		uint32_t theirs = (uint32_t)__builtin_ctzll(left);
		int bit = index_keyword_find(x, v->keywords[theirs]);
		bool is_set = (g->keywords_value >> theirs & 1) != 0;
		if (bit >= 0)
			bit_effect(x, hot->uid, FLAG_KEYWORD_BIT + (uint32_t)bit, g->stamp, is_set,
				(hot->keywords >> bit & 1) != 0, &effect);
		effect.is_new = effect.is_new || bit < 0;
		effect.is_other = effect.is_other || (bit < 0 && is_set);
	}
	return effect;
}

static bool flags_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	struct str groups = v->groups;
	struct row_flags_group g;
	bool any = false;
	while (row_flags_next(&groups, v->keyword_count, &g)) {
		struct row_mark mark;
		any = any || g.modseq > x->modseq; /* also if its mails are gone here */
		while (row_mark_next(ROW_FLAGS, &g.marks, &mark)) {
			uint32_t position;
			if (!index_find_name(x, mark.uid, mark.name, &position) ||
				index_is_ghost(index_hot(x, position)))
				continue;
			struct flags_effect effect = group_effect(x, v, &g, index_hot(x, position));
			any = any || effect.is_new || effect.is_other;
			if (effect.is_other)
				tell_mail(x, position, g.modseq, fn, arg);
		}
	}
	return any;
}

/* Is the flag as a change with this stamp says? */
typedef bool bit_fn(const struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp, bool is_set,
	bool was_set);

static bool bit_stands(const struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp,
	bool is_set, bool was_set)
{
	return is_set == was_set &&
	       (uint64_t)(uintptr_t)map_u64_get(&x->stamps, stamp_key(uid, bit)) == stamp;
}

static bool bit_would_stand(const struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp,
	bool is_set, bool was_set)
{
	uint64_t known = (uint64_t)(uintptr_t)map_u64_get(&x->stamps, stamp_key(uid, bit));
	return is_set == was_set || (stamp > x->stamp_floor && stamp > known);
}

static void find_bits(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct row_mark *mark, bit_fn *fn,
	unsigned *out_mask, uint64_t *out_keywords_mask)
{
	uint32_t position;
	*out_mask = 0;
	*out_keywords_mask = 0;
	if (!index_find_name(x, mark->uid, mark->name, &position) ||
		index_is_ghost(index_hot(x, position)))
		return;
	const struct snapshot_hot *hot = index_hot(x, position);
	for (uint32_t bit = 0; bit < FLAG_BITS; bit++) {
		unsigned flag = 1u << bit;
		if ((g->mask & flag) && fn(x, hot->uid, bit, g->stamp, (g->value & flag) != 0,
						(hot->flags & flag) != 0))
			*out_mask |= flag;
	}
	for (uint64_t left = g->keywords_mask; left; left &= left - 1) {
		uint32_t theirs = (uint32_t)__builtin_ctzll(left);
		int bit = index_keyword_find(x, v->keywords[theirs]);
		if (bit >= 0 && fn(x, hot->uid, FLAG_KEYWORD_BIT + (uint32_t)bit, g->stamp,
					(g->keywords_value >> theirs & 1) != 0,
					(hot->keywords >> bit & 1) != 0))
			*out_keywords_mask |= UINT64_C(1) << theirs;
	}
}

void index_standing(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct row_mark *mark, unsigned *out_mask,
	uint64_t *out_keywords_mask)
{
	find_bits(x, v, g, mark, bit_stands, out_mask, out_keywords_mask);
}

void index_would_stand(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct row_mark *mark, unsigned *out_mask,
	uint64_t *out_keywords_mask)
{
	find_bits(x, v, g, mark, bit_would_stand, out_mask, out_keywords_mask);
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

/* Does a row say more of an expunged mail than its tombstone? It also ends the record, if the first expunge
 * named it by a UID that is not known here. */
static bool gone_would_change_more(const struct index *x, struct catalog_name name, uint32_t at_uid,
	uint32_t uid, uint64_t modseq)
{
	uint32_t at;
	bool is_there = index_find_name(x, at_uid, name, &at) && !index_is_ghost(index_hot(x, at));
	return is_there || tombstone_uid(x, name) < uid || index_gone_modseq(x, name) < modseq;
}

static bool gone_would_change(
	const struct index *x, const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	struct str marks = v->marks;
	struct row_mark mark;
	uint64_t modseq = v->op == ROW_VOID ? 0 : v->modseq; /* of the mails */
	bool any = v->op == ROW_VOID && v->modseq > x->modseq;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t position;
		if (tombstone_has(x, mark.name)) {
			any = any ||
			      (v->op == ROW_EXPUNGE && gone_would_change_more(x, mark.name,
							       mark.uid, mark.uid, v->modseq));
			continue;
		}
		any = true;
		if (index_find_name(x, mark.uid, mark.name, &position))
			tell_mail(x, position, modseq, fn, arg);
		const struct snapshot_batch *b =
			v->op == ROW_VOID ? batches_find_row(x, mark.name) : NULL;
		if (b)
			tell_batch(x, b, fn, arg);
	}
	return any;
}

static bool merge_would_change(
	const struct index *x, struct catalog_name row, const struct row_op_value *v)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(v->op, &marks, &mark)) {
		uint32_t uid = MAX(mark.uid, mark.origin);
		const struct snapshot_moved *known = moved_find(x, mark.name);
		bool is_less =
			!known || known->uid < uid || known->modseq < mark.modseq ||
			(uid > mark.origin && uid == known->uid && name_cmp(row, known->by) < 0);
		bool is_told = tombstone_uid(x, mark.name) > 0;
		if (is_told ? gone_would_change_more(x, mark.name, mark.origin, uid, mark.modseq)
			    : is_less)
			return true;
	}
	return false;
}

bool index_would_change(const struct index *x, struct catalog_name row,
	const struct row_op_value *v, index_mail_fn *fn, void *arg)
{
	switch (v->op) {
	case ROW_EXPUNGE:
	case ROW_VOID:
		return gone_would_change(x, v, fn, arg);
	case ROW_FLAGS:
		return flags_would_change(x, v, fn, arg);
	case ROW_MERGE:
		return merge_would_change(x, row, v);
	case ROW_VOID_BATCH:
		return void_would_change(x, v, fn, arg);
	case ROW_COMMIT:
		return !index_batch(x, &v->batch);
	case ROW_FLOOR:
		return merge_floor_is_new(x, v, row);
	case ROW_HOLE:
		return !hole_has(x, v->hole_first, v->hole_last);
	case ROW_MOVE_INTENT:
	case ROW_TREE_CREATE:
	case ROW_TREE_RENAME:
	case ROW_TREE_REMOVE:
	case ROW_TREE_SUBSCRIBE:
		break;
	}
	return true;
}
