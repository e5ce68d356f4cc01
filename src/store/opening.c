/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a mailbox: local files, then what the journal has that they have not (tail.c); takeover.c if
 * somebody did not close it. */
#include "store/tail_private.h"

struct handover user_handover(const struct user *u, struct catalog_guid guid)
{
	struct handover h = { 0 };
	for (size_t i = 0; i < u->head_count; i++) {
		const struct head_writer *head = &u->heads[i].head;
		if (memcmp(&u->heads[i].mailbox, &guid, sizeof(guid)) != 0)
			continue;
		h.next_uid = MAX(h.next_uid, head->next_uid);
		h.recent_uid = MAX(h.recent_uid, head->recent_uid);
		h.late_ms = MAX(h.late_ms, (int64_t)MIN(head->late_ms, (uint64_t)INT64_MAX));
		h.modseq = MAX(h.modseq, head->modseq);
		if (head->is_open && u->heads[i].writer != u->writer)
			h.limit_uid = MAX(h.limit_uid, head->limit_uid);
		if (head->is_open) {
			h.open_modseq = h.is_open ? MIN(h.open_modseq, head->modseq) : head->modseq;
			h.is_open = true;
			h.may_lose_flags = h.may_lose_flags || head->may_lose_flags;
			continue;
		}
		h.is_shared = h.is_shared || h.has_closed;
		if (!h.has_closed || head->modseq >= h.closed.modseq) {
			h.has_closed = true;
			h.closed = *head;
			h.closed_writer = u->heads[i].writer;
		}
	}
	return h;
}

/* Of two hosts that were there at once one may lack what the other has, and both end with the same numbers: the
 * head must be the one that was written with these files. */
static bool local_is_current(const struct mailbox *m, const struct handover *h)
{
	const struct local *l = &m->local;
	return !h->is_open && !h->is_shared && h->has_closed && h->late_ms == 0 && l->has_clean &&
	       l->clean.writer == h->closed_writer && l->clean.uid == h->closed.next_uid &&
	       l->clean.number == h->closed.modseq &&
	       name_cmp(l->clean.cover, h->closed.cover) == 0;
}

/* Flag changes that wait in the log are facts while its writer's head is there. */
static bool local_is_of_last_writer(const struct mailbox *m)
{
	const struct user *u = m->user;
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].head.is_open && u->heads[i].writer == m->local.writer &&
			memcmp(&u->heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0)
			return true;
	return false;
}

static uint32_t count_bucket(const struct mailbox *m)
{
	uint32_t n = 0;
	for (uint32_t at = index_count(m->index); at > 0 && n < STORE_BUCKET_ROWS; at--, n++)
		if (index_cold(m->index, at - 1)->bucket != m->bucket)
			break;
	return n;
}

/* WAITS. What another writer moved from here is shown where it is now, as soon as it is not here. Nobody
 * has the lock of a mailbox that is open and waits for ours: we are just being opened. */
static enum err look_into_targets(struct op *op, struct tail *t)
{
	for (size_t i = 0; i < t->target_count; i++) {
		struct mailbox *target = user_find_mailbox(t->mailbox->user, t->targets[i]);
		if (!target || target->state != OPEN)
			continue;
		(void)mailbox_ref(target);
		enum err e = mailbox_refresh(op, target);
		mailbox_unref(target);
		if (e != ERR_NONE)
			op_forgive(op); /* it is looked into again */
	}
	return ERR_NONE;
}

/* Did something come after the last writer had closed? Other hosts take his head for the truth, and their
 * local files. Of others it is behind what a floor says was seen of them. */
static bool came_late(const struct tail *t, const struct handover *h)
{
	const struct mailbox *m = t->mailbox;
	return !catalog_is_atomic(m->user->store->catalog) && h->has_closed &&
	       (index_counters(m->index).messages != h->closed.counters.messages ||
		       takeover_has_late(t));
}

static enum err read_tail(struct op *op, struct tail *t, bool *out_dropped)
{
	const struct mailbox *m = t->mailbox;
	int64_t known_ms = (int64_t)name_ms(index_cover(m->index));
	if (m->seen_ms > 0)
		known_ms = MIN(known_ms, m->seen_ms);
	TRY(tail_read(op, t));
	return base_find_dropped(op, m, name_at_ms(known_ms - STORE_TAIL_MS), out_dropped);
}

/* WAITS. What the journal has; a takeover if somebody did not close, or something came after he did.
 * *out_dropped: rows that are needed went meanwhile, and nothing was done. */
static enum err load_tail(struct op *op, struct mailbox *m, const struct handover *h,
	bool is_taking, bool *out_dropped)
{
	struct tail t = { .mailbox = m, .arena = op->arena };
	uint64_t floor = 0;
	if (!is_taking) {
		TRY(read_tail(op, &t, out_dropped));
		is_taking = !*out_dropped && came_late(&t, h);
	}
	if (is_taking) {
		TRY(user_settle(op, m->user));
		TRY(takeover_begin(op, &t, 0, &floor));
		TRY(read_tail(op, &t, out_dropped));
	}
	if (*out_dropped)
		return ERR_NONE;
	index_raise(m->index, h->next_uid, h->modseq);
	m->bucket_rows = count_bucket(m);
	m->is_loaded = true;
	if (is_taking)
		TRY(takeover_end(op, &t, h, floor));
	else if (t.intents.count > 0 && tail_settle_moves(op, &t) != ERR_NONE)
		op_forgive(op); /* they are looked into again: a mail may show in both places */
	index_end_batches(m->index);
	return look_into_targets(op, &t);
}

/* What the last writer closed with is what the base holds: the journal has nothing to add. */
static bool base_is_whole(const struct mailbox *m, const struct handover *h)
{
	/* With the same numbers he may know of what came late, if the last row is another's. */
	bool is_his = name_writer(h->closed.cover) == h->closed_writer;
	return is_his && h->has_closed && !h->is_open && !h->is_shared && h->late_ms == 0 &&
	       index_next_uid(m->index) == h->closed.next_uid &&
	       index_modseq(m->index) == h->closed.modseq &&
	       name_cmp(index_cover(m->index), h->closed.cover) == 0;
}

/* Our floor says what was seen of others: the tail tells that. A commit row that a base left out may be the only one in
 * the log. */
static void begin_tail(struct mailbox *m)
{
	index_forget_seen(m->index);
	name_observe(&m->user->store->clock, index_cover(m->index), now_wall_us());
	m->bucket = user_bucket_of(m->user, m->guid);
}

/* WAITS. Another host made a base, and dropped rows that it has, since the heads were read. */
static enum err load_again(struct op *op, struct mailbox *m)
{
	bool is_dropped = false;
	struct handover h = user_handover(m->user, m->guid);
	TRY(base_open(op, m));
	begin_tail(m);
	TRY(load_tail(op, m, &h, h.is_open || h.is_shared, &is_dropped));
	return is_dropped ? op_fail(op, ERR_UNAVAILABLE, "others drop rows all the time")
			  : ERR_NONE;
}

enum err mailbox_load(struct op *op, struct mailbox *m)
{
	bool is_whole = false, is_dropped = false;
	struct store *s = m->user->store;
	struct handover h = user_handover(m->user, m->guid);
	m->late_ms = h.late_ms;
	const struct user_base *base = user_base_of(m->user, m->guid);
	m->base_cover = base ? base->head.base.cover : (struct catalog_name){ { 0 } };
	TRY(local_open(op, m));
	if ((h.is_open || m->local.pending > 0) && !local_is_of_last_writer(m))
		local_distrust(m);
	if ((h.has_closed || h.is_open) && !local_is_current(m, &h) && base_is_needed(m)) {
		TRY(base_open(op, m));
		is_whole = base_is_whole(m, &h);
	}
	begin_tail(m);
	m->has_clean_head = h.has_closed && !h.is_open && !h.is_shared;
	m->clean_head = h.closed;
	m->clean_writer = h.closed_writer;
	index_set_recent_uid(m->index, h.recent_uid);
	bool is_known = h.has_closed || h.is_open;
	bool is_current = is_known && local_is_current(m, &h);
	if (is_known && !is_current && !is_whole)
		TRY(load_tail(op, m, &h, h.is_open || h.is_shared, &is_dropped));
	if (is_dropped)
		TRY(load_again(op, m));
	if (is_current)
		s->counters.opens_clean++;
	else
		s->counters.opens_rebuilt += is_known;
	index_raise(m->index, h.next_uid, h.modseq);
	m->bucket_rows = count_bucket(m);
	m->is_loaded = true;
	(void)index_forget(m->index, UINT64_MAX, UINT64_MAX);
	/* A clean hand-over: nobody else was there. */
	if (m->seen_ms == 0 || is_whole || is_current)
		m->seen_ms = now_wall_us() / US_PER_MS;
	TRY(flags_adopt_pending(op, m));
	if (!is_current || m->local.log_fd < 0 || !m->local.is_trusted)
		TRY(local_rewrite(op, m));
	else
		local_add_seen(m);
	return ERR_NONE;
}
