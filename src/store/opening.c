/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a mailbox: local files, then what the journal has that they have not.
 *
 * Who did not close it left an `open` head: he is dead, and what he was writing may be there, not be
 * there, in part, or come hours later. Taking over, in this order (storage contract §2, §4, §6):
 *   1. our open head and a floor row are durable: modseqs of ours lie above everything he told;
 *   2. the tail is read: what he had acknowledged is there;
 *   3. one batch ends it: his fence (nothing of his counts behind the last row that was seen), a hole
 *      if flag changes may be lost, moves that he began (finished if the target has the commit row,
 *      else dropped), what he left of mails that do not count; last his head goes.
 * A takeover that is left anywhere is done again by the next opener: his head is still there. */
#include "store/store_private.h"

struct handover user_handover(const struct user *u, struct catalog_guid guid)
{
	struct handover h = { 0 };
	for (size_t i = 0; i < u->head_count; i++) {
		const struct head_writer *head = &u->heads[i].head;
		if (memcmp(&u->heads[i].mailbox, &guid, sizeof(guid)) != 0)
			continue;
		h.next_uid = MAX(h.next_uid, head->next_uid);
		h.recent_uid = MAX(h.recent_uid, head->recent_uid);
		h.modseq = MAX(h.modseq, head->modseq);
		if (head->is_open) {
			h.open_modseq = h.is_open ? MIN(h.open_modseq, head->modseq) : head->modseq;
			h.is_open = true;
			h.may_lose_flags = h.may_lose_flags || head->may_lose_flags;
		} else if (!h.has_closed || head->modseq >= h.closed.modseq) {
			h.has_closed = true;
			h.closed = *head;
		}
	}
	return h;
}

static bool local_is_current(const struct mailbox *m, const struct handover *h)
{
	const struct local *l = &m->local;
	return !h->is_open && h->has_closed && l->has_clean && l->clean.uid == h->closed.next_uid &&
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

void mailbox_set_fences(const struct mailbox *m, struct index *x)
{
	const struct user *u = m->user;
	for (size_t i = 0; i < u->fence_count; i++)
		if (memcmp(&u->fences[i].mailbox, &m->guid, sizeof(m->guid)) == 0)
			index_fence(x, u->fences[i].writer, u->fences[i].last);
}

/* ---- the tail ---- */

struct dead_writer {
	uint32_t writer;
	struct catalog_name last; /* of his rows */
	struct str expunge;       /* value of his last expunge row */
};
struct kept_row {
	struct catalog_row row; /* value in the arena */
};
struct tail {
	struct mailbox *mailbox;
	struct arena *arena;
	struct dead_writer *dead;
	size_t dead_count;
	struct catalog_name own; /* our floor row: what it raises is no fact of the journal */
	/* Rows of mails that do not count, or of nobody: they go. */
	struct row_mark *marks;
	size_t mark_count, mark_cap;
	struct kept_row *intents, *late_ops;
	size_t intent_count, late_op_count;
};

static void keep_row(
	struct tail *t, struct kept_row **rows, size_t *count, const struct catalog_row *row)
{
	*rows = arena_grow(t->arena, *rows, *count * sizeof(**rows), (*count + 1) * sizeof(**rows));
	(*rows)[*count].row = *row;
	(*rows)[(*count)++].row.value = str_dup(t->arena, row->value);
}

static void keep_mark(struct tail *t, const struct row_mark *mark)
{
	if (t->mark_count == t->mark_cap) {
		size_t cap = MAX(2 * t->mark_cap, 64);
		t->marks = arena_grow(t->arena, t->marks, t->mark_cap * sizeof(*t->marks),
			cap * sizeof(*t->marks));
		t->mark_cap = cap;
	}
	t->marks[t->mark_count++] = *mark;
}

static void keep_leftover(struct tail *t, const struct catalog_row *row)
{
	struct row_append a;
	if (row_append_decode(row->value, &a) == ERR_NONE)
		keep_mark(t, &(struct row_mark){
				     .name = row->name, .bucket = row->bucket, .oid = a.oid });
}

/* The summary that the row carries saves making it from the mail. */
static void keep_summary(struct mailbox *m, const struct catalog_row *row)
{
	struct row_append a;
	uint32_t at;
	if (row_append_decode(row->value, &a) == ERR_NONE && !a.has_batch && a.summary.n > 0 &&
		index_find(m->index, a.uid, &at) && !index_is_ghost(index_hot(m->index, at)) &&
		index_cold(m->index, at)->summary_length == 0)
		summary_keep(m, a.uid, a.summary);
}

static void note_dead(struct tail *t, const struct catalog_row *row, const struct row_op_value *op)
{
	for (size_t i = 0; i < t->dead_count; i++) {
		struct dead_writer *dead = &t->dead[i];
		if (dead->writer != name_writer(row->name))
			continue;
		dead->last = name_cmp(row->name, dead->last) > 0 ? row->name : dead->last;
		if (op && op->op == ROW_EXPUNGE)
			dead->expunge = str_dup(t->arena, row->value);
	}
}

static void note_row(struct tail *t, const struct catalog_row *row)
{
	struct mailbox *m = t->mailbox;
	struct row_op_value op;
	if (row->kind == CATALOG_APPEND) {
		note_dead(t, row, NULL);
		if (index_is_gone(m->index, row->name))
			keep_leftover(t, row);
		else
			keep_summary(m, row);
		return;
	}
	bool is_read = row_op_decode(row->value, &op) == ERR_NONE;
	note_dead(t, row, is_read ? &op : NULL);
	if (is_read && op.op == ROW_MOVE_INTENT)
		keep_row(t, &t->intents, &t->intent_count, row);
}

static enum err fold_tail_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct tail *t = arg;
	struct mailbox *m = t->mailbox;
	if (name_cmp(row->name, t->own) == 0)
		return ERR_NONE;
	if (index_is_late(m->index, row->name)) {
		if (row->kind == CATALOG_APPEND)
			keep_leftover(t, row);
		else
			keep_row(t, &t->late_ops, &t->late_op_count, row);
		return ERR_NONE;
	}
	enum err e = index_fold(m->index, row);
	if (e != ERR_NONE)
		return op_fail(op, e, "a journal row of the mailbox cannot be folded");
	note_row(t, row);
	name_observe(&m->user->store->clock, row->name, now_wall_us());
	task_breathe();
	return ERR_NONE;
}

/* Who is not there knows nothing newer; `after` is where his fence stands at least. */
static void find_dead(struct tail *t, struct catalog_name after)
{
	const struct user *u = t->mailbox->user;
	const struct catalog_guid *guid = &t->mailbox->guid;
	t->dead = ARENA_NEW_ARRAY(t->arena, struct dead_writer, MAX(u->head_count, 1));
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].head.is_open && u->heads[i].writer != u->writer &&
			memcmp(&u->heads[i].mailbox, guid, sizeof(*guid)) == 0)
			t->dead[t->dead_count++] =
				(struct dead_writer){ .writer = u->heads[i].writer, .last = after };
}

static struct catalog_name tail_begin(const struct mailbox *m, uint32_t *out_bucket)
{
	struct catalog_name cover = index_cover(m->index);
	int64_t from_ms =
		(int64_t)MIN(name_ms(cover), (uint64_t)(now_wall_us() / US_PER_MS)) - STORE_TAIL_MS;
	struct catalog_name after = name_at_ms(name_is_none(cover) ? 0 : from_ms);
	*out_bucket = 0;
	/* The last bucket that was in use before the tail begins. */
	for (uint32_t at = index_count(m->index); at > 0 && *out_bucket == 0; at--)
		if (name_cmp(index_cold(m->index, at - 1)->name, after) <= 0)
			*out_bucket = index_cold(m->index, at - 1)->bucket;
	return after;
}

static enum err read_tail(struct op *op, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	const struct user *u = m->user;
	uint32_t bucket;
	struct catalog_name after = tail_begin(m, &bucket);
	find_dead(t, after);
	/* Those of the base are done with: what is a ghost afterwards had its row in the tail, or
	 * was expunged there. */
	(void)index_forget(m->index, UINT64_MAX, UINT64_MAX);
	return catalog_read_rows(op, u->store->catalog, u->name, m->guid, bucket,
		user_last_bucket(u, m->guid), after, fold_tail_row, t);
}

/* ---- moves that a dead writer began ---- */

struct search {
	const struct user *user;
	struct catalog_guid target;
	struct row_id batch;
	uint32_t writer;
	struct catalog_name last;
	bool is_committed;
};

static enum err search_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct search *s = arg;
	struct row_op_value v;
	(void)op;
	const struct user_fence *fence = user_fence_of(s->user, s->target, name_writer(row->name));
	if (fence && name_cmp(row->name, fence->last) > 0)
		return ERR_NONE;
	if (name_writer(row->name) == s->writer && name_cmp(row->name, s->last) > 0)
		s->last = row->name;
	if (row->kind != CATALOG_OP || row_op_decode(row->value, &v) != ERR_NONE)
		return ERR_NONE;
	/* The batch of a move is never voided: it is repeated, or fenced off. */
	if (v.op == ROW_COMMIT && memcmp(&v.batch, &s->batch, sizeof(v.batch)) == 0)
		s->is_committed = true;
	return ERR_NONE;
}

static void put_fence(
	struct batch *b, struct catalog_guid mailbox, uint32_t writer, struct catalog_name last)
{
	char key[HEAD_OPEN_SIZE];
	AUTO_BUF(value, 0);
	head_fence_encode(&value, last);
	batch_put_head(b, mailbox, head_fence_key(writer, key), &value);
}

/* The mails of an intent that are still there, expunged; the rows of all of them go. */
static void finish_move(
	struct batch *b, struct tail *t, const struct row_op_value *v, uint64_t *modseq)
{
	struct mailbox *m = t->mailbox;
	struct row_mark mark,
		*living = ARENA_NEW_ARRAY(t->arena, struct row_mark, MAX(v->count, 1));
	struct str marks = v->marks;
	uint32_t at;
	size_t count = 0;
	while (row_mark_next(v->op, &marks, &mark)) {
		if (index_find(m->index, mark.uid, &at) &&
			!index_is_ghost(index_hot(m->index, at)) &&
			name_cmp(index_cold(m->index, at)->name, mark.name) == 0)
			living[count++] = mark;
		else
			keep_mark(t, &mark);
	}
	if (count > 0)
		mailbox_put_expunge(b, m, living, count, mailbox_next_modseq(m, modseq), true);
}

/* WAITS. Whatever the target says now stays true: either the commit row is there, or it never counts. */
static enum err settle_intent(struct op *op, struct batch *b, struct tail *t,
	const struct catalog_row *row, uint64_t *modseq)
{
	struct mailbox *m = t->mailbox;
	struct user *u = m->user;
	struct row_op_value v;
	enum err e = row_op_decode(row->value, &v);
	ASSERT(e == ERR_NONE && v.op == ROW_MOVE_INTENT);
	struct search s = {
		.user = u, .batch = v.batch, .writer = name_writer(row->name), .last = row->name
	};
	memcpy(s.target.bytes, v.mailbox.bytes, sizeof(s.target.bytes));
	TRY(catalog_read_rows(op, u->store->catalog, u->name, s.target, 0,
		user_last_bucket(u, s.target), row->name, search_row, &s));
	if (s.is_committed)
		finish_move(b, t, &v, modseq);
	else if (!user_fence_of(u, s.target, s.writer) && !catalog_is_atomic(u->store->catalog))
		put_fence(b, s.target, s.writer, s.last);
	batch_delete_row(b, m->guid, CATALOG_OP, row->bucket, row->name);
	batch_last(b)->rank = RANK_INTENT_DONE;
	return ERR_NONE;
}

/* ---- taking over ---- */

/* WAITS. Step 1. The row is not folded yet: the index would seem to cover what was not read. */
static enum err claim_and_floor(
	struct op *op, struct mailbox *m, const struct handover *h, struct tail *t, uint64_t *floor)
{
	struct batch *b = batch_new(m->user);
	uint32_t next_uid = MAX(MAX(h->next_uid, index_next_uid(m->index)), 1);
	*floor = modseq_restart(MAX(h->modseq, index_modseq(m->index)), now_wall_us());
	AUTO_BUF(value, 0);
	mailbox_put_open_head(b, m);
	row_floor_encode(&value, next_uid, *floor);
	batch_put_op(b, m->guid, m->bucket, &value);
	t->own = b->changes[b->count - 1].row.name;
	return user_write(op, m->user, b);
}

static void put_leftovers(struct batch *b, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	struct catalog_name queued = user_mint(m->user);
	size_t count;
	const struct index_event *ghosts = index_ghosts(m->index, &count);
	for (size_t i = 0; i < count; i++) {
		uint32_t at;
		if (index_find(m->index, ghosts[i].uid, &at)) {
			struct row_mark mark = mailbox_mark_at(m, at);
			keep_mark(t, &mark);
		}
	}
	const struct catalog_row *waiting = index_waiting(m->index, &count);
	for (size_t i = 0; i < count; i++)
		keep_leftover(t, &waiting[i]);
	for (size_t i = 0; i < t->dead_count; i++) {
		struct row_op_value v;
		struct row_mark mark;
		if (t->dead[i].expunge.n > 0 && row_op_decode(t->dead[i].expunge, &v) == ERR_NONE)
			while (row_mark_next(v.op, &v.marks, &mark))
				keep_mark(t, &mark);
	}
	for (size_t i = 0; i < t->mark_count; i++)
		batch_remove_mail(b, m->guid, &t->marks[i], &queued);
	for (size_t i = 0; i < t->late_op_count; i++)
		batch_delete_row(
			b, m->guid, CATALOG_OP, t->late_ops[i].row.bucket, t->late_ops[i].row.name);
}

static void put_numbers(
	struct batch *b, struct mailbox *m, const struct handover *h, uint64_t seen, uint64_t floor)
{
	bool has_log = m->local.log_fd >= 0 && m->local.is_trusted;
	uint64_t restart = MAX(floor, modseq_restart(seen, 0));
	AUTO_BUF(value, 0);
	if (h->may_lose_flags && !has_log) {
		/* A row that is durable says nothing about the flags changed before it: those that
		 * waited for the journal may be older. */
		row_hole_encode(&value, MIN(h->open_modseq, seen), restart);
		batch_put_op(b, m->guid, m->bucket, &value);
		buf_clear(&value);
	}
	index_raise(m->index, 0, floor); /* its row was not folded */
	if (restart == floor)
		return;
	row_floor_encode(&value, index_next_uid(m->index), restart);
	batch_put_op(b, m->guid, m->bucket, &value);
}

/* WAITS. Step 3. */
static enum err end_takeover(
	struct op *op, struct mailbox *m, const struct handover *h, struct tail *t, uint64_t floor)
{
	struct user *u = m->user;
	bool is_atomic = catalog_is_atomic(u->store->catalog);
	struct batch *b = batch_new(u);
	uint64_t modseq = floor;
	char key[HEAD_OPEN_SIZE];
	put_numbers(b, m, h, index_modseq(m->index), floor);
	for (size_t i = 0; i < t->intent_count; i++) {
		enum err e = settle_intent(op, b, t, &t->intents[i].row, &modseq);
		if (e != ERR_NONE) {
			batch_free(b);
			return e;
		}
	}
	if (!is_atomic)
		put_leftovers(b, t);
	for (size_t i = 0; i < t->dead_count; i++)
		if (!is_atomic && !user_fence_of(u, m->guid, t->dead[i].writer))
			put_fence(b, m->guid, t->dead[i].writer, t->dead[i].last);
	for (size_t i = 0; i < u->head_count; i++) {
		const struct user_head *head = &u->heads[i];
		if (head->writer == u->writer ||
			memcmp(&head->mailbox, &m->guid, sizeof(m->guid)) != 0)
			continue;
		batch_delete_head(b, m->guid, head_writer_key(head->writer, key));
		batch_last(b)->rank = RANK_LAST_HEADS;
	}
	return user_write(op, u, b);
}

/* ---- all of it ---- */

static uint32_t count_bucket(const struct mailbox *m)
{
	uint32_t n = 0;
	for (uint32_t at = index_count(m->index); at > 0 && n < STORE_BUCKET_ROWS; at--, n++)
		if (index_cold(m->index, at - 1)->bucket != m->bucket)
			break;
	return n;
}

/* WAITS. What the journal has; a takeover if somebody did not close. */
static enum err load_tail(struct op *op, struct mailbox *m, const struct handover *h)
{
	struct tail t = { .mailbox = m, .arena = op->arena };
	uint64_t floor = 0;
	if (h->is_open) {
		TRY(user_settle(op, m->user));
		TRY(claim_and_floor(op, m, h, &t, &floor));
	}
	TRY(read_tail(op, &t));
	index_raise(m->index, h->next_uid, h->modseq);
	m->bucket_rows = count_bucket(m);
	m->is_loaded = true;
	enum err e = h->is_open ? end_takeover(op, m, h, &t, floor) : ERR_NONE;
	index_end_batches(m->index);
	return e;
}

enum err mailbox_load(struct op *op, struct mailbox *m)
{
	struct store *s = m->user->store;
	struct handover h = user_handover(m->user, m->guid);
	TRY(local_open(op, m));
	if ((h.is_open || m->local.pending > 0) && !local_is_of_last_writer(m))
		local_distrust(m);
	name_observe(&s->clock, index_cover(m->index), now_wall_us());
	mailbox_set_fences(m, m->index);
	m->bucket = user_bucket_of(m->user, m->guid);
	m->has_clean_head = h.has_closed && !h.is_open;
	m->clean_head = h.closed;
	index_set_recent_uid(m->index, h.recent_uid);
	bool is_known = h.has_closed || h.is_open;
	bool is_current = is_known && local_is_current(m, &h);
	if (is_known && !is_current)
		TRY(load_tail(op, m, &h));
	if (is_current)
		s->counters.opens_clean++;
	else
		s->counters.opens_rebuilt += is_known;
	index_raise(m->index, h.next_uid, h.modseq);
	m->bucket_rows = count_bucket(m);
	m->is_loaded = true;
	(void)index_forget(m->index, UINT64_MAX, UINT64_MAX);
	TRY(flags_adopt_pending(op, m));
	if (!is_current || m->local.log_fd < 0 || !m->local.is_trusted)
		TRY(local_rewrite(op, m));
	return ERR_NONE;
}
