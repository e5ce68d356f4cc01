/* SPDX-License-Identifier: Apache-2.0 */
/* What a client missed while it was away, as far as this view was told: RFC 7162.
 *
 * The index keeps a tombstone of every expunge above its floor. Below it, and for a modseq inside a
 * hole (storage contract §5), every UID that is not there counts as expunged, as the RFC asks.
 *
 * Spec: RFC 7162 3.1.2.1 (HIGHESTMODSEQ), 3.2.5.1 and 3.2.6 (VANISHED). */
#include "store/store_private.h"

#include <stdlib.h>

uint64_t view_first_withheld(const struct view *v)
{
	size_t count;
	const struct index_event *ghosts = index_ghosts(v->mailbox->index, &count);
	for (size_t i = index_events_after(ghosts, count, v->told_expunges); i < count; i++)
		if (ghosts[i].uid <= v->told_uid)
			return ghosts[i].modseq;
	return 0;
}

uint64_t view_highest_modseq(const struct view *v)
{
	uint64_t withheld = view_first_withheld(v);
	return MAX(withheld ? withheld - 1 : v->told_changes, 1);
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The tombstones between `since` and what the view was told. */
static void add_tombstones(const struct view *v, uint64_t since, const struct range_set *uids,
	struct range_set *out_uids)
{
	size_t count, low = 0, n = 0;
	uint64_t floor;
	const struct snapshot_tombstone *t = index_tombstones(v->mailbox->index, &count, &floor);
	size_t high = count;
	while (low < high) { /* the first one above `since` */
		size_t middle = low + (high - low) / 2;
		if (t[middle].modseq <= since)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == count)
		return;
	uint32_t *found = mem_new_array(count - low, sizeof(*found));
	for (size_t i = low; i < count && t[i].modseq <= v->told_expunges; i++)
		if (t[i].uid > 0 && range_set_has(uids, t[i].uid))
			found[n++] = t[i].uid;
	qsort(found, n, sizeof(*found), ascending);
	for (size_t i = 0; i < n; i++)
		range_set_add(out_uids, found[i], found[i]);
	mem_free(found);
}

uint64_t view_settle_modseq(const struct view *v, uint64_t modseq)
{
	return index_settle_modseq(v->mailbox->index, modseq);
}

/* Those of `uids` that the view has no mail for. */
static void add_missing(
	const struct view *v, const struct range_set *uids, struct range_set *out_uids)
{
	struct range_set missing;
	struct mail mail;
	uint32_t next = 1;
	range_set_init(&missing);
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++) {
		if (mail.uid > next)
			range_set_add(&missing, next, mail.uid - 1);
		next = mail.uid + 1;
	}
	if (next <= v->told_uid)
		range_set_add(&missing, next, v->told_uid);
	range_set_intersect(&missing, uids);
	range_set_add_set(out_uids, &missing);
	range_set_done(&missing);
}

void view_vanished(const struct view *v, uint64_t since_modseq, const struct range_set *uids,
	struct range_set *out_uids)
{
	uint64_t floor, since = view_settle_modseq(v, since_modseq);
	size_t count;
	(void)index_tombstones(v->mailbox->index, &count, &floor);
	if (since >= MAX(floor, 1))
		add_tombstones(v, since, uids, out_uids);
	else
		add_missing(v, uids, out_uids);
}
