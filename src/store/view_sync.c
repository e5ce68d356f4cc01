/* SPDX-License-Identifier: Apache-2.0 */
/* What a view was not told yet. Everything since is a suffix of the index's event lists, because
 * modseqs are published in order (store_private.h): the cost is that of what changed. */
#include "store/store_private.h"

#include <stdlib.h>

static int descending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x < y) - (x > y);
}

static int ascending(const void *a, const void *b)
{
	return descending(b, a);
}

/* Expunges of mails that the session knows, as old sequence numbers from the highest down: so each
 * number is right when those before it were sent. */
static void collect_expunges(struct op *op, struct view *v, struct view_changes *out)
{
	size_t count;
	const struct index_event *ghosts = index_ghosts(v->mailbox->index, &count);
	size_t from = index_events_after(ghosts, count, v->told_expunges);
	if (from == count)
		return;
	out->expunged_seqs = ARENA_NEW_ARRAY(op->arena, uint32_t, count - from);
	out->expunged_uids = ARENA_NEW_ARRAY(op->arena, uint32_t, count - from);
	for (size_t i = from; i < count; i++) {
		struct mail mail;
		if (ghosts[i].uid <= v->told_uid && view_get_uid(v, ghosts[i].uid, &mail))
			out->expunged_seqs[out->expunged_count++] = mail.seq;
	}
	qsort(out->expunged_seqs, out->expunged_count, sizeof(uint32_t), descending);
	for (size_t i = 0; i < out->expunged_count; i++) {
		uint32_t position = view_position(v, out->expunged_seqs[i]);
		out->expunged_uids[i] = index_hot(v->mailbox->index, position)->uid;
	}
}

bool view_is_silent(const struct view *v, uint64_t modseq)
{
	for (size_t i = 0; i < v->silent_count; i++)
		if (v->silent[i] == modseq)
			return true;
	return false;
}

/* UIDs whose flags changed; the view's numbers come later. */
static uint32_t *collect_changes(struct op *op, const struct view *v, size_t *out_count)
{
	size_t count, n = 0;
	uint64_t floor;
	const struct index *x = v->mailbox->index;
	const struct index_event *events = index_changes(x, &count, &floor);
	size_t from = index_events_after(events, count, v->told_changes);
	uint32_t *uids = ARENA_NEW_ARRAY(op->arena, uint32_t, count - from);
	ASSERT(v->told_changes >= floor || from == 0);
	for (size_t i = from; i < count; i++) {
		uint32_t at;
		if (events[i].uid <= v->told_uid && index_find(x, events[i].uid, &at) &&
			(!view_is_silent(v, index_hot(x, at)->modseq) ||
				range_set_has(&v->loud, events[i].uid)))
			uids[n++] = events[i].uid;
	}
	qsort(uids, n, sizeof(*uids), ascending);
	*out_count = n;
	return uids;
}

static void number_changes(struct op *op, const struct view *v, const uint32_t *uids, size_t n,
	struct view_changes *out)
{
	out->changed_seqs = ARENA_NEW_ARRAY(op->arena, uint32_t, n);
	for (size_t i = 0; i < n; i++) {
		struct mail mail;
		if (i > 0 && uids[i] == uids[i - 1])
			continue;
		if (view_get_uid(v, uids[i], &mail) && !mail.is_expunged)
			out->changed_seqs[out->changed_count++] = mail.seq;
	}
}

/* New mails that no session claimed are recent for this one. */
static void claim_recent(struct view *v, uint32_t last)
{
	struct mailbox *m = v->mailbox;
	uint32_t first = MAX(index_recent_uid(m->index), v->told_uid) + 1;
	if (first > last)
		return;
	range_set_add(&v->recent, first, last);
	if (!v->claims_recent)
		return;
	index_set_recent_uid(m->index, last);
	local_add(m, &(struct log_record){ .type = LOG_RECENT, .number = last });
	local_write(m);
}

uint32_t view_count_existing(struct view *v)
{
	view_count_gone(v);
	return index_seek(v->mailbox->index, v->told_uid + 1) - (uint32_t)v->gone_count;
}

static void advance(struct view *v, bool may_expunge)
{
	const struct index *x = v->mailbox->index;
	v->told_changes = index_modseq(x);
	if (may_expunge)
		v->told_expunges = v->told_changes;
	v->told_uid = MIN(index_next_uid(x) - 1, STORE_SEEN_UID_MAX);
	mem_free(v->gone);
	v->gone = NULL;
	v->gone_count = 0;
	v->has_gone = false;
	v->silent_count = 0;
	range_set_clear(&v->loud);
}

enum err view_sync(struct op *op, struct view *v, bool may_expunge, struct view_changes *out)
{
	struct mailbox *m = v->mailbox;
	struct view_changes c = { 0 };
	const struct str *words;
	size_t changed_count;
	v->was_notified = false;
	uint32_t before = v->exists;
	if (may_expunge)
		collect_expunges(op, v, &c);
	uint32_t *changed = collect_changes(op, v, &changed_count);
	claim_recent(v, index_next_uid(m->index) - 1);
	advance(v, may_expunge);
	v->exists = view_count_existing(v);
	number_changes(op, v, changed, changed_count, &c);
	views_trim(m);
	c.exists = v->exists;
	c.recent = v->recent.count > 0 ? view_recent(v) : 0;
	c.exists_changed = v->exists + c.expunged_count != before;
	c.has_withheld_expunges = !may_expunge && view_first_withheld(v) > 0;
	size_t keywords = index_keywords(m->index, &words);
	c.keywords_changed = keywords != v->told_keywords;
	v->told_keywords = keywords;
	*out = c;
	return ERR_NONE;
}
