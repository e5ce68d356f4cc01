/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a mailbox, and which UIDs a writer may give (storage contract §6).
 *
 * An open head says which UIDs its writer gives: those below limit_uid. He writes it before he gives one,
 * and then reads the heads: of two writers that come at once, one sees the other. Who sees another's open
 * head takes over:
 *   1. our open head and a floor row are durable, above all that the others may give, and then the heads
 *      are read: has somebody gone higher meanwhile, so do we;
 *   2. the tail is read: what the others had acknowledged is there;
 *   3. one batch ends it: a floor row that says which rows of the others were seen, merge rows for what
 *      needs another UID or has to be told anew, a hole if flag changes may be lost, moves that they began,
 *      what they left of mails that do not count; last their heads go, those that were read.
 * The others may live: their acknowledged mail counts whenever it arrives (index_late(), merge.c), and they
 * notice us when they look next. A takeover that is left anywhere is done again by the next opener.
 *
 * Where a batch is atomic there is one writer: his limits and floors are not needed, UIDs go on. */
#include "store/tail_private.h"

#include "base/random.h"

#define TRIES    8
#define PAUSE_US (5 * US_PER_MS)

/* ---- merge rows ---- */

void mailbox_put_merges(
	struct batch *b, struct mailbox *m, const struct row_mark *marks, size_t count)
{
	for (size_t from = 0; from < count; from += ROW_EXPUNGE_MAX) {
		AUTO_BUF(value, 0);
		row_merge_encode(&value, marks + from, MIN(count - from, (size_t)ROW_EXPUNGE_MAX));
		batch_put_op(b, m->guid, m->bucket, &value);
	}
}

/* Of a writer that is not known the tail has nothing: all before it is covered. */
static struct catalog_name seen_of(const struct mailbox *m, uint32_t writer)
{
	uint32_t bucket;
	struct catalog_name seen = index_seen(m->index, writer);
	if (!name_is_none(seen))
		return seen;
	seen = tail_begin(m, &bucket);
	for (int i = 0; i < 4; i++)
		seen.bytes[8 + i] = (uint8_t)(writer >> (24 - 8 * i));
	return seen;
}

/* Rows that are about to be folded are seen, too. */
static void see_rows(
	struct row_mark *seen, size_t *count, const struct user *u, const struct kept_rows *rows)
{
	for (size_t i = 0; rows && i < rows->count; i++) {
		struct catalog_name name = rows->items[i].row.name;
		size_t at = 0;
		while (at < *count && name_writer(seen[at].name) != name_writer(name))
			at++;
		if (name_writer(name) == u->writer)
			continue;
		if (at == *count)
			seen[(*count)++] = (struct row_mark){ .name = name };
		else if (name_cmp(name, seen[at].name) > 0)
			seen[at].name = name;
	}
}

void mailbox_put_floor(struct batch *b, struct mailbox *m, uint32_t uid, uint64_t modseq,
	const struct kept_rows *rows)
{
	const struct user *u = m->user;
	size_t writers, count = 0;
	const struct catalog_name *known = index_writers(m->index, &writers);
	struct row_mark *seen = ARENA_NEW_ARRAY(
		&b->arena, struct row_mark, writers + u->head_count + (rows ? rows->count : 0) + 1);
	for (size_t i = 0; i < writers; i++)
		if (name_writer(known[i]) != u->writer)
			seen[count++] = (struct row_mark){ .name = known[i] };
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer != u->writer &&
			memcmp(&u->heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0 &&
			name_is_none(index_seen(m->index, u->heads[i].writer)))
			seen[count++] = (struct row_mark){ .name = seen_of(m, u->heads[i].writer) };
	see_rows(seen, &count, u, rows);
	AUTO_BUF(value, 0);
	row_floor_encode(&value, uid, modseq, seen, count);
	batch_put_op(b, m->guid, m->bucket, &value);
}

/* ---- beginning ---- */

static enum err write_floor(struct op *op, struct tail *t, const struct handover *h, uint32_t more,
	uint64_t *out_modseq)
{
	struct mailbox *m = t->mailbox;
	struct batch *b = batch_new(m->user);
	bool is_atomic = catalog_is_atomic(m->user->store->catalog);
	uint32_t floor = MAX(MAX(h->next_uid, index_next_uid(m->index)), 1);
	if (!is_atomic)
		floor = MAX(floor, h->limit_uid);
	m->floor_uid = MAX(m->floor_uid, floor);
	m->limit_uid = m->floor_uid + MAX(more, UIDS_A_FLOOR);
	*out_modseq = modseq_restart(MAX(h->modseq, index_modseq(m->index)), now_wall_us());
	AUTO_BUF(value, 0);
	mailbox_put_open_head(b, m);
	row_floor_encode(&value, m->floor_uid, *out_modseq, NULL, 0);
	batch_put_op(b, m->guid, m->bucket, &value);
	batch_last(b)->is_quiet = true;
	t->own = b->changes[b->count - 1].row.name;
	return user_write(op, m->user, b);
}

/* Can so many be given from `above` on, with what a takeover skips? UIDs have 32 bits (RFC 9051 2.3.1.1). */
static enum err check_uids_left(struct op *op, uint32_t above, size_t count)
{
	uint32_t most = STORE_SEEN_UID_MAX - 2 * UIDS_A_FLOOR;
	if (above <= most && count <= most - above)
		return ERR_NONE;
	return op_fail(
		op, ERR_LIMIT, "the mailbox has no UIDs left: copy its mails into a new one");
}

/* WAITS, the longer the more often: two hosts that take over from each other do not go on in step. */
static enum err give_way(struct op *op, int tries)
{
	return tries <= 0 ? ERR_NONE : task_sleep(op, (int64_t)random_below(PAUSE_US << tries));
}

enum err takeover_begin(struct op *op, struct tail *t, uint32_t more, uint64_t *out_modseq)
{
	struct mailbox *m = t->mailbox;
	struct user *u = m->user;
	TRY(store_check_clock(op, u->store)); /* before names are given */
	for (int i = 0; i < TRIES; i++) {
		TRY(give_way(op, i));
		struct handover h = user_handover(u, m->guid);
		uint32_t above = MAX(h.limit_uid, index_next_uid(m->index));
		TRY(check_uids_left(op, above, more));
		TRY(write_floor(op, t, &h, more, out_modseq));
		if (catalog_is_atomic(u->store->catalog))
			return ERR_NONE;
		TRY(user_read_heads(op, u));
		h = user_handover(u, m->guid);
		if (h.limit_uid <= m->floor_uid) {
			m->is_checked = true;
			m->must_take_over = false;
			return ERR_NONE;
		}
	}
	return op_fail(op, ERR_UNAVAILABLE, "other hosts take the mailbox over all the time");
}

/* ---- ending ---- */

/* Mails that wait for the commit row of a dead writer never count. Those of one who may live do. What comes
 * after its batch was voided goes, too. */
static void put_void_batches(struct batch *b, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	size_t count;
	const struct catalog_row *waiting = index_waiting(m->index, &b->arena, &count);
	struct row_id last = { { 0 } };
	for (size_t i = 0; i < count; i++) {
		struct row_append a;
		const struct absent_writer *his = tail_absent(t, name_writer(waiting[i].name));
		if (row_append_decode(waiting[i].value, &a) != ERR_NONE || !a.has_batch)
			continue;
		const struct snapshot_batch *known = index_batch(m->index, &a.batch);
		bool is_void = known && known->count == 0;
		if (!is_void && (known || !his || !his->is_dead))
			continue;
		tail_keep_leftover(t, &waiting[i]);
		if (is_void || memcmp(&last, &a.batch, sizeof(last)) == 0)
			continue;
		last = a.batch;
		AUTO_BUF(value, 0);
		row_void_batch_encode(&value, &a.batch);
		batch_put_op(b, m->guid, m->bucket, &value);
		batch_last(b)->is_apart = true;
	}
}

static void put_leftovers(struct batch *b, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	struct catalog_name queued = user_mint(m->user);
	size_t count;
	const struct index_event *ghosts = index_ghosts(m->index, &count);
	for (size_t i = 0; i < count; i++) {
		uint32_t at;
		/* Not those that only left a UID. */
		if (index_find(m->index, ghosts[i].uid, &at) &&
			index_is_gone(m->index, index_cold(m->index, at)->name)) {
			struct row_mark mark = mailbox_mark_at(m, at);
			tail_keep_mark(t, &mark);
		}
	}
	put_void_batches(b, t);
	for (size_t i = 0; i < t->absent_count; i++) {
		struct row_op_value v;
		struct row_mark mark;
		if (t->absent[i].expunge.n > 0 &&
			row_op_decode(t->absent[i].expunge, &v) == ERR_NONE)
			while (row_mark_next(v.op, &v.marks, &mark))
				tail_keep_mark(t, &mark);
	}
	for (size_t i = 0; i < t->mark_count; i++)
		batch_remove_mail(b, m->guid, &t->marks[i], &queued);
}

/* Flag changes that were told and not journalled may be lost. */
static void put_hole(struct batch *b, struct mailbox *m, const struct handover *h, uint64_t seen,
	uint64_t restart)
{
	bool has_log = m->local.log_fd >= 0 && m->local.is_trusted;
	AUTO_BUF(value, 0);
	if (!h->may_lose_flags || has_log)
		return;
	/* A row that is durable says nothing about the flags changed before it: those that waited for
	 * the journal may be older. */
	row_hole_encode(&value, MIN(h->open_modseq, seen), restart);
	batch_put_op(b, m->guid, m->bucket, &value);
}

bool takeover_has_late(const struct tail *t)
{
	struct row_mark *late;
	size_t count = index_late(t->mailbox->index, &late);
	mem_free(late);
	return count > 0 || late_ops_are_there(t);
}

/* What an earlier owner had not seen: merge rows for mails, changes again. */
static void put_late(struct batch *b, struct tail *t, uint64_t *modseq)
{
	struct mailbox *m = t->mailbox;
	struct row_mark *late;
	size_t count = index_late(m->index, &late);
	uint32_t uid = index_next_uid(m->index);
	for (size_t i = 0; i < count; i++) {
		late[i].uid = uid++;
		late[i].modseq = mailbox_next_modseq(m, modseq);
	}
	mailbox_put_merges(b, m, late, count);
	mem_free(late);
	late_ops_put(b, t, modseq);
}

enum err takeover_reserve(struct op *op, struct tail *t, uint64_t *floor)
{
	struct mailbox *m = t->mailbox;
	struct row_mark *late;
	size_t count = index_late(m->index, &late);
	mem_free(late);
	uint32_t from = MAX(index_next_uid(m->index), m->floor_uid);
	if (count == 0 || from + count <= m->limit_uid)
		return ERR_NONE;
	return takeover_begin(op, t, (uint32_t)MIN(count + UIDS_A_FLOOR, UINT32_MAX), floor);
}

enum err takeover_end(struct op *op, struct tail *t, const struct handover *h, uint64_t floor)
{
	struct mailbox *m = t->mailbox;
	struct user *u = m->user;
	bool is_atomic = catalog_is_atomic(u->store->catalog);
	if (!is_atomic)
		TRY(takeover_reserve(op, t, &floor));
	struct batch *b = batch_new(u);
	uint64_t seen = index_modseq(m->index), restart = MAX(floor, modseq_restart(seen, 0));
	uint64_t modseq = restart;
	put_hole(b, m, h, seen, restart);
	index_raise(m->index, m->floor_uid, restart); /* the row of before was not folded */
	if (!is_atomic)
		put_late(b, t, &modseq);
	if (!is_atomic || restart > floor)
		mailbox_put_floor(b, m, index_next_uid(m->index), restart, NULL);
	enum err e = tail_settle_intents(op, b, t, &modseq);
	if (e != ERR_NONE) {
		batch_free(b);
		return e;
	}
	if (!is_atomic)
		put_leftovers(b, t);
	mailbox_end_others(b, m);
	return user_write(op, u, b);
}

/* ---- the right to give UIDs ---- */

bool mailbox_is_alone(const struct mailbox *m)
{
	const struct user *u = m->user;
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].writer != u->writer &&
			memcmp(&u->heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0)
			return false;
	return true;
}

static bool has_seen_heads(const struct mailbox *m, bool only_closed)
{
	const struct user *u = m->user;
	for (size_t i = 0; i < u->head_count; i++) {
		const struct head_writer *h = &u->heads[i].head;
		/* Who closed later than we looked may have written what the numbers do not show, and the cover does
		 * not if his rows came late. */
		int64_t stamp_ms = h->late_ms > 0 ? u->heads[i].stamp_us / US_PER_MS : 0;
		bool is_later = !h->is_open && u->heads[i].writer != m->clean_writer &&
				MAX((int64_t)name_ms(h->cover), stamp_ms) > m->seen_ms;
		if (u->heads[i].writer != u->writer && !(only_closed && h->is_open) &&
			memcmp(&u->heads[i].mailbox, &m->guid, sizeof(m->guid)) == 0 &&
			(is_later || h->next_uid > index_next_uid(m->index) ||
				h->modseq > index_modseq(m->index)))
			return false;
	}
	return true;
}

bool mailbox_has_seen_heads(const struct mailbox *m)
{
	return has_seen_heads(m, false);
}

bool mailbox_has_seen_closed(const struct mailbox *m)
{
	return has_seen_heads(m, true);
}

/* Whoever ended our open head had not seen our last row, and no head says that there is one. */
bool mailbox_is_untold(const struct mailbox *m)
{
	struct catalog_name last = index_seen(m->index, m->user->writer);
	return m->must_take_over && !m->is_claimed && !name_is_none(last) &&
	       !index_is_covered(m->index, last);
}

static enum err raise_limit(struct op *op, struct mailbox *m, size_t count)
{
	TRY(check_uids_left(op, index_next_uid(m->index), count));
	struct batch *b = batch_new(m->user);
	m->is_checked = false;
	m->limit_uid = index_next_uid(m->index) + MAX((uint32_t)count, UIDS_A_FLOOR);
	mailbox_put_open_head(b, m);
	user_delete_foreign_heads(b, m->guid, 0, RANK_USUAL);
	TRY(user_write(op, m->user, b));
	TRY(user_read_heads(op, m->user));
	m->is_checked = mailbox_is_alone(m);
	m->must_take_over = !m->is_checked;
	return ERR_NONE;
}

enum err mailbox_ensure_uids(struct op *op, struct mailbox *m, size_t count)
{
	TRY(check_uids_left(op, index_next_uid(m->index), count));
	if (catalog_is_atomic(m->user->store->catalog))
		return ERR_NONE; /* its one writer: the claim goes with the rows */
	bool has_room =
		m->is_claimed && m->is_checked && index_next_uid(m->index) + count <= m->limit_uid;
	if (!m->must_take_over && has_room)
		return ERR_NONE;
	m->must_take_over = m->must_take_over || !mailbox_has_seen_heads(m);
	for (int i = 0; i < TRIES; i++) {
		TRY(give_way(op, i - 1));
		if (m->must_take_over)
			TRY(mailbox_merge(op, m, true));
		if (m->is_checked && !m->must_take_over &&
			index_next_uid(m->index) + count <= m->limit_uid)
			return ERR_NONE;
		TRY(raise_limit(op, m, count));
	}
	return op_fail(op, ERR_UNAVAILABLE, "other hosts take the mailbox over all the time");
}
