/* SPDX-License-Identifier: Apache-2.0 */
/* The fold as bytes that depend on the mailbox alone, not on how it was read: equal bytes, equal fold. It is
 * what a snapshot has, with these differences.
 *
 * Sorted: keywords (bits go with them), holes, tombstones, stamps, moved mails, floors: tables grow in the
 *         order in which rows came.
 * Cut:    stamps and tombstones up to the greater floor of the two that are compared: one of them has
 *         forgotten them on purpose.
 * Left out: places of summaries in the local file; keywords that no living mail has and stamps of mails that
 *         are gone, which nobody can see; recent mails, which only heads know; the cover, which is where a
 *         reader stopped; UIDs that were burned and names that were voided: a reader that came later
 *         never met them; what merge rows say of mails that never were. */
#include "store/index/index_private.h"

#include <stdlib.h>

#include "base/number.h"
#include "store/format/name.h"

#define STAMP_UID(key) ((uint32_t)((key) >> 7))
#define STAMP_BIT(key) ((uint32_t)((key)&127))

void index_canonical_floors(const struct index *x, struct index_canonical *c)
{
	c->stamp_floor = MAX(c->stamp_floor, x->stamp_floor);
	c->tombstone_floor = MAX(c->tombstone_floor, x->tombstone_floor);
}

/* ---- keywords ---- */

static uint64_t used_keywords(const struct index *x)
{
	uint64_t used = 0;
	for (uint32_t at = 0; at < index_count(x); at++)
		if (!index_is_ghost(index_hot(x, at)))
			used |= index_hot(x, at)->keywords;
	return used;
}

struct index_keyword_order index_canonical_keywords(const struct index *x)
{
	struct index_keyword_order b = { .used = used_keywords(x) };
	for (size_t i = 0; i < x->keyword_count; i++) {
		b.bits[i] = b.used >> i & 1 ? 0 : -1;
		for (size_t k = 0; k < x->keyword_count && b.bits[i] >= 0; k++)
			b.bits[i] +=
				(b.used >> k & 1) && str_cmp(x->keywords[k], x->keywords[i]) < 0;
	}
	return b;
}

static uint64_t canonical_keywords(const struct index_keyword_order *b, uint64_t keywords)
{
	uint64_t sorted = 0;
	for (; keywords != 0; keywords &= keywords - 1)
		sorted |= UINT64_C(1) << b->bits[__builtin_ctzll(keywords)];
	return sorted;
}

static void put_keywords(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	(void)c;
	for (int bit = 0; bit < __builtin_popcountll(b->used); bit++)
		for (size_t i = 0; i < x->keyword_count; i++)
			if (b->bits[i] == bit)
				number_put_counted(out, x->keywords[i]);
}

/* ---- what is not of a single mail ---- */

static int order_bytes(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const size_t *)size);
}

/* Appends `count` items of `size` bytes, sorted, behind their count. */
static void put_sorted(struct buf *out, const void *items, size_t count, size_t size)
{
	number_put_varint(out, count);
	if (count == 0)
		return;
	size_t from = out->n;
	buf_put(out, (struct str){ items, count * size });
	qsort_r(out->p + from, count, size, order_bytes, &size);
}

static void put_tombstones(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	struct snapshot_tombstone *items =
		mem_new_array(MAX(x->tombstone_count, 1), sizeof(*items));
	size_t count = 0;
	(void)b;
	for (size_t i = 0; i < x->tombstone_count; i++) {
		const struct snapshot_tombstone *t = &x->tombstones[i];
		if (t->modseq > c->tombstone_floor && t->uid != 0 && !name_is_none(t->name))
			items[count++] = *t;
	}
	put_sorted(out, items, count, sizeof(*items));
	mem_free(items);
}

static void put_stamps(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	struct snapshot_stamp *items = mem_new_array(MAX(x->stamps.count, 1), sizeof(*items));
	struct map_u64_entry e;
	size_t at = 0, count = 0;
	while (map_u64_next(&x->stamps, &at, &e)) {
		struct snapshot_stamp s = { (uint64_t)(uintptr_t)e.value, STAMP_UID(e.key),
			STAMP_BIT(e.key) };
		uint32_t position;
		if (s.stamp <= c->stamp_floor || !index_find(x, s.uid, &position) ||
			index_is_ghost(index_hot(x, position)))
			continue;
		if (s.bit >= FLAG_KEYWORD_BIT) {
			if (b->bits[s.bit - FLAG_KEYWORD_BIT] < 0)
				continue;
			s.bit = FLAG_KEYWORD_BIT + (uint32_t)b->bits[s.bit - FLAG_KEYWORD_BIT];
		}
		items[count++] = s;
	}
	put_sorted(out, items, count, sizeof(*items));
	mem_free(items);
}

static void put_numbers(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	(void)c;
	(void)b;
	number_put_varint(out, x->next_uid);
	number_put_varint(out, x->modseq);
	number_put_varint(out, x->counters.messages);
}

static void put_merges(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	struct snapshot_moved *items = mem_new_array(MAX(x->moved_count, 1), sizeof(*items));
	size_t count = 0;
	(void)c;
	(void)b;
	for (size_t i = 0; i < x->moved_count; i++) {
		uint32_t at;
		if (index_find_name(x, x->moved[i].origin, x->moved[i].name, &at) &&
			!index_is_ghost(index_hot(x, at)))
			items[count++] = x->moved[i];
	}
	put_sorted(out, items, count, sizeof(*items));
	mem_free(items);
}

static void put_floors(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	(void)c;
	(void)b;
	put_sorted(out, x->floors, x->floor_count, sizeof(*x->floors));
}

static void put_holes(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *b, struct buf *out)
{
	(void)c;
	(void)b;
	put_sorted(out, x->holes, x->hole_count, sizeof(*x->holes));
}

static const struct fact {
	const char *name;
	void (*put)(const struct index *x, const struct index_canonical *c,
		const struct index_keyword_order *b, struct buf *out);
} facts[] = {
	{ "numbers", put_numbers },
	{ "keywords", put_keywords },
	{ "holes", put_holes },
	{ "expunged mails", put_tombstones },
	{ "times of flag changes", put_stamps },
	{ "mails with new UIDs", put_merges },
	{ "floors", put_floors },
};

const char *index_canonical_fact(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *order, size_t i, struct buf *out)
{
	if (i >= ARRAY_COUNT(facts))
		return NULL;
	facts[i].put(x, c, order, out);
	return facts[i].name;
}

/* ---- records ---- */

uint32_t index_canonical_records(const struct index *x, const struct index_keyword_order *b,
	uint32_t first_uid, struct buf *out)
{
	uint32_t at = index_seek(x, first_uid), count = 0, next_uid = 0;
	for (; at < index_count(x) && count < INDEX_CHUNK; at++) {
		struct snapshot_hot hot = *index_hot(x, at);
		struct snapshot_cold cold = *index_cold(x, at);
		if (index_is_ghost(&hot))
			continue;
		hot.keywords = canonical_keywords(b, hot.keywords);
		hot.state = 0;
		cold.summary_offset = cold.summary_length = 0;
		buf_put(out, (struct str){ (const char *)&hot, sizeof(hot) });
		buf_put(out, (struct str){ (const char *)&cold, sizeof(cold) });
		count++;
		next_uid = hot.uid + 1;
	}
	return next_uid;
}
