/* SPDX-License-Identifier: Apache-2.0 */
/* A session's picture of a mailbox: the mails up to told_uid without those whose expunge it was told.
 *
 * Sequence numbers: position in the index minus the ghosts before it that this view has passed. There
 * are none as long as all views are equally far; else their positions are kept in `gone`, made when
 * first needed and dropped when positions move. */
#include "store/store_private.h"

#include <stdlib.h>

/* ---- positions ---- */

void view_forget_positions(struct mailbox *m)
{
	struct view *v, *next;
	LIST_FOR_EACH(v, next, &m->views, struct view, link)
	{
		mem_free(v->gone);
		v->gone = NULL;
		v->gone_count = 0;
		v->has_gone = false;
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

void view_count_gone(struct view *v)
{
	const struct index *x = v->mailbox->index;
	size_t count;
	const struct index_event *ghosts = index_ghosts(x, &count);
	if (v->has_gone)
		return;
	v->has_gone = true;
	size_t passed = index_events_after(ghosts, count, v->told_expunges);
	if (passed == 0)
		return;
	v->gone = mem_new_array(passed, sizeof(*v->gone));
	for (size_t i = 0; i < passed; i++) {
		uint32_t position;
		if (ghosts[i].uid <= v->told_uid && index_find(x, ghosts[i].uid, &position))
			v->gone[v->gone_count++] = position;
	}
	qsort(v->gone, v->gone_count, sizeof(*v->gone), compare_u32);
}

uint32_t view_position(struct view *v, uint32_t seq)
{
	view_count_gone(v);
	size_t low = 0, high = v->gone_count;
	while (low < high) { /* how many passed ghosts stand before it */
		size_t middle = low + (high - low) / 2;
		if (v->gone[middle] - middle <= seq - 1)
			low = middle + 1;
		else
			high = middle;
	}
	return seq - 1 + (uint32_t)low;
}

/* The number of mails of the view before a position. */
static uint32_t seqs_before(struct view *v, uint32_t position)
{
	view_count_gone(v);
	size_t low = 0, high = v->gone_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (v->gone[middle] < position)
			low = middle + 1;
		else
			high = middle;
	}
	return position - (uint32_t)low;
}

static bool is_gone(struct view *v, uint32_t position)
{
	return seqs_before(v, position + 1) == seqs_before(v, position);
}

/* ---- life ---- */

void views_trim(struct mailbox *m)
{
	uint64_t expunges = UINT64_MAX, changes = UINT64_MAX;
	struct view *v, *next;
	LIST_FOR_EACH(v, next, &m->views, struct view, link)
	{
		expunges = MIN(expunges, v->told_expunges);
		changes = MIN(changes, v->told_changes);
	}
	if (index_forget(m->index, expunges, changes))
		view_forget_positions(m);
}

struct view *view_new(struct mailbox *m, bool claims_recent)
{
	struct view *v = MEM_NEW(struct view);
	v->mailbox = mailbox_ref(m);
	v->claims_recent = claims_recent;
	v->told_expunges = v->told_changes = index_modseq(m->index);
	range_set_init(&v->recent);
	range_set_init(&v->loud);
	list_add_last(&m->views, &v->link);
	return v;
}

enum err view_open(struct op *op, struct mailbox *m, bool claims_recent, struct view **out)
{
	CHECK(m, MAILBOX_MAGIC);
	if (m->is_removed)
		return op_fail(op, ERR_NOT_FOUND, "the mailbox was deleted");
	struct view *v = view_new(m, claims_recent);
	struct view_changes changes;
	AUTO_ARENA(arena, 0);
	struct op inner;
	op_init(&inner, &arena, op->event, op->deadline_us);
	enum err e = view_sync(&inner, v, true, &changes);
	v->told_keywords = index_keywords(m->index, &(const struct str *){ NULL });
	*out = v;
	return e;
}

void view_close(struct view *v)
{
	struct mailbox *m = v->mailbox;
	list_remove(&v->link);
	range_set_done(&v->recent);
	range_set_done(&v->loud);
	mem_free(v->silent);
	mem_free(v->gone);
	mem_free(v);
	views_trim(m);
	mailbox_unref(m);
}

struct mailbox *view_mailbox(struct view *v)
{
	return v->mailbox;
}

bool view_is_gone(const struct view *v)
{
	return v->mailbox->is_removed;
}

/* ---- telling that something happened ---- */

/* One at a time: a callback may close views. */
static void notify_now(void *arg)
{
	struct mailbox *m = arg;
	struct view *v, *next;
	bool again = true;
	(void)mailbox_ref(m);
	while (again) {
		again = false;
		LIST_FOR_EACH(v, next, &m->views, struct view, link)
		{
			if (!v->notify || !v->was_notified)
				continue;
			view_notify_fn *fn = v->notify;
			v->was_notified = false;
			fn(v->notify_arg);
			again = true;
			break;
		}
	}
	mailbox_unref(m);
}

void views_notify(struct mailbox *m)
{
	struct view *v, *next;
	bool is_wanted = false;
	LIST_FOR_EACH(v, next, &m->views, struct view, link)
	{
		v->was_notified = v->notify != NULL;
		is_wanted = is_wanted || v->was_notified;
	}
	if (!is_wanted)
		return;
	timer_cancel(&m->notify_timer);
	timer_init(&m->notify_timer, notify_now, m);
	timer_set(&m->notify_timer, now_us());
}

void view_on_change(struct view *v, view_notify_fn *fn, void *arg)
{
	v->notify = fn;
	v->notify_arg = arg;
	v->was_notified = false;
	struct mailbox *m = v->mailbox;
	/* What happened before counts as well. */
	if (fn && (v->told_changes < index_modseq(m->index) || m->is_removed))
		views_notify(m);
}

/* ---- looking ---- */

uint32_t view_exists(const struct view *v)
{
	return v->exists;
}

/* The caches of positions do not change what the view is. */
static struct view *view_mutable(const struct view *v)
{
	return (struct view *)(uintptr_t)v;
}

uint32_t view_recent(const struct view *v)
{
	const struct index *x = v->mailbox->index;
	struct view *w = view_mutable(v);
	uint32_t n = 0;
	for (size_t i = 0; i < v->recent.count; i++) {
		struct range r = v->recent.ranges[i];
		uint32_t last = MIN(r.last, v->told_uid);
		if (r.first <= last)
			n += seqs_before(w, index_seek(x, last + 1)) -
			     seqs_before(w, index_seek(x, r.first));
	}
	return n;
}

static void mail_fill(const struct view *v, uint32_t seq, uint32_t position, struct mail *out)
{
	const struct index *x = v->mailbox->index;
	const struct snapshot_hot *hot = index_hot(x, position);
	const struct snapshot_cold *cold = index_cold(x, position);
	*out = (struct mail){ .seq = seq,
		.uid = hot->uid,
		.flags = hot->flags | (range_set_has(&v->recent, hot->uid) ? MAIL_RECENT : 0u),
		.keywords = hot->keywords,
		.modseq = hot->modseq,
		.received_wall_us = cold->received_wall_us,
		.saved_wall_us = cold->saved_wall_us,
		.size_physical = cold->size_physical,
		.size_virtual = cold->size_virtual,
		.record = position,
		.is_expunged = index_is_ghost(hot) };
	memcpy(out->guid, cold->guid.bytes, sizeof(out->guid));
}

bool view_get(const struct view *v, uint32_t seq, struct mail *out)
{
	if (seq == 0 || seq > v->exists)
		return false;
	mail_fill(v, seq, view_position(view_mutable(v), seq), out);
	return true;
}

bool view_get_uid(const struct view *v, uint32_t uid, struct mail *out)
{
	struct view *w = view_mutable(v);
	uint32_t position;
	if (uid > v->told_uid || !index_find(v->mailbox->index, uid, &position) ||
		is_gone(w, position))
		return false;
	mail_fill(v, seqs_before(w, position) + 1, position, out);
	return true;
}

void view_uids_to_seqs(
	const struct view *v, const struct range_set *uids, struct range_set *out_seqs)
{
	const struct index *x = v->mailbox->index;
	struct view *w = view_mutable(v);
	for (size_t i = 0; i < uids->count; i++) {
		struct range r = uids->ranges[i];
		if (r.first > v->told_uid)
			break;
		uint32_t last = MIN(r.last, v->told_uid);
		uint32_t before = seqs_before(w, index_seek(x, r.first));
		uint32_t through = seqs_before(w, index_seek(x, last + 1));
		if (through > before)
			range_set_add(out_seqs, before + 1, through);
	}
}

void view_seqs_to_uids(struct view *v, const struct range_set *seqs, struct range_set *out_uids)
{
	struct range_set_iter it = { 0 };
	uint32_t seq;
	while (range_set_next(seqs, &it, &seq) && seq <= v->exists) {
		if (seq == 0)
			continue;
		uint32_t uid = index_hot(v->mailbox->index, view_position(v, seq))->uid;
		range_set_add(out_uids, uid, uid);
	}
}

uint32_t view_last_uid(const struct view *v)
{
	if (v->exists == 0)
		return 0;
	return index_hot(v->mailbox->index, view_position(view_mutable(v), v->exists))->uid;
}

void view_status(const struct view *v, struct mailbox_status *out)
{
	struct mailbox *m = v->mailbox;
	struct index_counters c = index_counters(m->index);
	uint32_t at = index_next_unseen(m->index, 0);
	*out = (struct mailbox_status){ .guid = mailbox_guid(m),
		.messages = v->exists,
		.recent = view_recent(v),
		.unseen = c.unseen,
		.deleted = c.deleted,
		.uid_validity = m->uid_validity,
		.uid_next = MAX(v->told_uid + 1, 1),
		.highest_modseq = view_highest_modseq(v),
		.bytes_virtual = c.bytes_virtual };
	if (at < index_count(m->index) && index_hot(m->index, at)->uid <= v->told_uid)
		out->first_unseen_seq = seqs_before(view_mutable(v), at) + 1;
}
