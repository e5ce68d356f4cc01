/* SPDX-License-Identifier: Apache-2.0 */
/* Making what was forgotten tellable again: a session that comes back from another process knows
 * mails that were expunged since, and was not told of changes that only the records still show. */
#include "store/index/index_private.h"

#include <stdlib.h>

static void revive_ghost(struct index *x, const struct snapshot_tombstone *t)
{
	uint32_t i, position = index_seek(x, t->uid);
	if (position < index_count(x) && index_hot(x, position)->uid == t->uid)
		return; /* another view still needs it */
	struct chunk *c = chunk_insert(x, position, &i);
	c->hot[i] =
		(struct snapshot_hot){ .modseq = t->modseq, .uid = t->uid, .state = STATE_GHOST };
	c->cold[i] = (struct snapshot_cold){ .name = t->name };
	events_add(&x->ghosts, t->modseq, t->uid);
}

static int by_modseq(const void *a, const void *b)
{
	const struct index_event *x = a, *y = b;
	return (x->modseq > y->modseq) - (x->modseq < y->modseq);
}

static void revive_changes(struct index *x, uint64_t told_changes, uint32_t told_uid)
{
	struct index_events all = { 0 };
	for (size_t k = 0; k < x->chunk_count; k++) {
		const struct chunk *c = &x->chunks[k];
		for (uint32_t i = 0; i < c->count; i++) {
			const struct snapshot_hot *hot = &c->hot[i];
			if (hot->modseq > told_changes && hot->modseq <= x->changes_floor &&
				hot->uid <= told_uid && !index_is_ghost(hot))
				events_push(&all, hot->modseq, hot->uid);
		}
	}
	if (all.count > 1)
		qsort(all.items, all.count, sizeof(*all.items), by_modseq);
	for (size_t i = 0; i < x->changes.count; i++)
		events_push(&all, x->changes.items[i].modseq, x->changes.items[i].uid);
	mem_free(x->changes.items);
	x->changes = all;
	x->changes_floor = told_changes;
}

enum err index_revive(
	struct index *x, uint64_t told_expunges, uint64_t told_changes, uint32_t told_uid)
{
	if (told_expunges < x->tombstone_floor || told_expunges > told_changes ||
		told_changes > x->modseq || told_uid >= x->next_uid)
		return ERR_CONFLICT;
	for (size_t i = 0; i < x->tombstone_count; i++) {
		const struct snapshot_tombstone *t = &x->tombstones[i];
		if (t->modseq > told_expunges && t->uid > 0 && t->uid <= told_uid)
			revive_ghost(x, t);
	}
	if (told_changes < x->changes_floor)
		revive_changes(x, told_changes, told_uid);
	return ERR_NONE;
}
