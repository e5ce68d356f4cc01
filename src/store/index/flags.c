/* SPDX-License-Identifier: Apache-2.0 */
/* Folding flag changes: of all changes of one flag of one mail the greatest stamp wins; of equal
 * stamps setting wins. The stamps of recent changes are kept for that. Changes of mails that are
 * not known yet wait as orphans for their append row, or end with their expunge. */
#include "store/index/index_private.h"

#include "base/hash.h"

#define KEY_BITS           7
#define MAIL_DELETED_BIT   4u
#define MAIL_SEEN_BIT      8u
#define ORPHAN_CHANGES_MAX 4096

uint64_t stamp_key(uint32_t uid, uint32_t bit)
{
	return (uint64_t)uid << KEY_BITS | bit;
}

/* Does a change with this stamp count, against what is known of that flag? Notes it if so. */
static bool stamp_wins(struct index *x, uint32_t uid, uint32_t bit, uint64_t stamp, bool is_set)
{
	if (stamp <= x->stamp_floor)
		return false;
	uint64_t key = stamp_key(uid, bit);
	uint64_t known = (uint64_t)(uintptr_t)map_u64_get(&x->stamps, key);
	if (stamp < known || (stamp == known && !is_set))
		return false;
	(void)map_u64_set(&x->stamps, key, (void *)(uintptr_t)stamp);
	return true;
}

static void change_apply(
	struct index *x, struct chunk *c, uint32_t i, const struct orphan_change *change)
{
	struct snapshot_hot *hot = &c->hot[i];
	bool is_ghost = index_is_ghost(hot);
	if (!is_ghost)
		chunk_count_record(x, c, i, false);
	for (uint32_t bit = 0; bit < FLAG_BITS; bit++) {
		unsigned flag = 1u << bit;
		bool is_set = (change->value & flag) != 0;
		if ((change->mask & flag) && stamp_wins(x, hot->uid, bit, change->stamp, is_set))
			hot->flags = (uint8_t)(is_set ? hot->flags | flag : hot->flags & ~flag);
	}
	for (uint64_t left = change->keywords_mask; left; left &= left - 1) {
		uint32_t bit = (uint32_t)__builtin_ctzll(left);
		uint64_t flag = UINT64_C(1) << bit;
		bool is_set = (change->keywords_value & flag) != 0;
		if (stamp_wins(x, hot->uid, FLAG_KEYWORD_BIT + bit, change->stamp, is_set))
			hot->keywords = is_set ? hot->keywords | flag : hot->keywords & ~flag;
	}
	if (change->modseq > hot->modseq) {
		hot->modseq = change->modseq;
		if (!is_ghost)
			events_add(&x->changes, change->modseq, hot->uid);
	}
	if (!is_ghost)
		chunk_count_record(x, c, i, true);
}

static struct str name_key(const struct catalog_name *name)
{
	return (struct str){ (const char *)name->bytes, sizeof(name->bytes) };
}

static void orphan_add(
	struct index *x, struct catalog_name name, const struct orphan_change *change)
{
	struct orphan *o = map_remove(&x->orphans, name_key(&name));
	size_t count = o ? o->count : 0;
	if (count < ORPHAN_CHANGES_MAX) {
		o = mem_resize(o, sizeof(*o) + (count + 1) * sizeof(o->changes[0]));
		o->name = name;
		o->changes[count] = *change;
		o->count = count + 1;
	}
	(void)map_set(&x->orphans, name_key(&o->name), o);
}

void flags_drop_orphan(struct index *x, struct catalog_name name)
{
	if (x->orphans.count > 0)
		mem_free(map_remove(&x->orphans, name_key(&name)));
}

void flags_adopt_orphans(struct index *x, struct chunk *c, uint32_t in_chunk)
{
	if (x->orphans.count == 0)
		return;
	struct orphan *o = map_remove(&x->orphans, name_key(&c->cold[in_chunk].name));
	for (size_t i = 0; o && i < o->count; i++)
		change_apply(x, c, in_chunk, &o->changes[i]);
	mem_free(o);
}

/* The bits of a row's own keyword table as bits of the index. */
static uint64_t keywords_translate(struct index *x, const struct row_op_value *v, uint64_t bits)
{
	uint64_t out = 0;
	for (; bits; bits &= bits - 1) {
		int bit = index_keyword_bit(x, v->keywords[__builtin_ctzll(bits)]);
		if (bit >= 0)
			out |= UINT64_C(1) << bit;
	}
	return out;
}

static bool find_marked(struct index *x, const struct row_mark *mark, struct chunk **out_chunk,
	uint32_t *out_in_chunk)
{
	uint32_t position;
	if (!index_find_name(x, mark->uid, mark->name, &position))
		return false;
	*out_chunk = chunk_at(x, position, out_in_chunk);
	return true;
}

void flags_fold(struct index *x, const struct row_op_value *v)
{
	struct str groups = v->groups;
	struct row_flags_group g;
	while (row_flags_next(&groups, v->keyword_count, &g)) {
		struct orphan_change change = {
			.modseq = g.modseq,
			.stamp = g.stamp,
			.mask = g.mask,
			.value = g.value,
			.keywords_mask = keywords_translate(x, v, g.keywords_mask),
			.keywords_value = keywords_translate(x, v, g.keywords_value),
		};
		x->modseq = MAX(x->modseq, g.modseq);
		struct row_mark mark;
		while (row_mark_next(ROW_FLAGS, &g.marks, &mark)) {
			struct chunk *c;
			uint32_t i;
			if (find_marked(x, &mark, &c, &i))
				change_apply(x, c, i, &change);
			else if (!tombstone_has(x, mark.name))
				orphan_add(x, mark.name, &change);
		}
	}
}

void flags_move_stamps(struct index *x, uint32_t from, uint32_t to)
{
	for (uint32_t bit = 0; x->stamps.count > 0 && bit < FLAG_KEYWORD_BIT + ROW_KEYWORDS_MAX;
		bit++) {
		void *stamp = map_u64_remove(&x->stamps, stamp_key(from, bit));
		if (stamp)
			(void)map_u64_set(&x->stamps, stamp_key(to, bit), stamp);
	}
}
