/* SPDX-License-Identifier: Apache-2.0 */
/* Moves that another writer began: an intent row in the source tells of them, a commit row in the target
 * that they count. His batch goes intent, target rows, commit, expunge, each durable before the next is
 * sent. So nothing is ever lost: who sees the commit expunges in his place, and if he was only slow the two
 * expunges are one.
 *
 * Without the commit row it depends on him. Is he dead (he was on this host, and his lock is ours), his
 * batch is voided in the target: a commit that arrives hours later does not count, and the mails stay here
 * alone. May he live, nothing is voided: he may commit, expunge here and tell his user so. The intent stays
 * until it is an hour old; if he died after all, and his commit arrives late, the mails are in both.
 *
 * A void wins over a commit, whenever either arrives. So who finds a commit expunges only if no void can be on
 * its way: somebody who came between, and died too, may have asked for one while the commit was not there yet.
 * He was on the mover's host, which the names of both say, for to others the mover may live. And a floor row of
 * his, in the source or in the target, says what he had seen of the mover: it is durable before a void is sent.
 * One in the target that covers the commit says that he had seen it. If not, the mails stay in both, or here
 * alone once the void arrives.
 *
 * The target's write lock is not needed: its rows of this batch are his, and the void of a batch that has
 * no commit row changes nothing that anybody sees. */
#include "store/tail_private.h"

#define INTENT_AGE_MS (INT64_C(3600) * 1000)

/* Who may have taken the mover for dead since the intent was written. */
struct witness {
	uint32_t writer;
	struct catalog_name seen; /* the mover's last row in the target that he knew of */
};
struct search {
	struct arena *arena;
	struct row_id batch;
	uint32_t mover, own;
	struct catalog_name intent, commit;
	bool is_committed, is_void, is_target;
	struct witness *witnesses;
	size_t count;
};

static struct witness *witness_of(struct search *s, uint32_t writer)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->witnesses[i].writer == writer)
			return &s->witnesses[i];
	s->witnesses = arena_grow(s->arena, s->witnesses, s->count * sizeof(*s->witnesses),
		(s->count + 1) * sizeof(*s->witnesses));
	s->witnesses[s->count] = (struct witness){ .writer = writer };
	return &s->witnesses[s->count++];
}

static void note_floor(
	struct search *s, const struct catalog_row *row, const struct row_op_value *v)
{
	uint32_t writer = name_writer(row->name);
	if (writer == s->mover || writer == s->own || !name_may_share_host(writer, s->mover))
		return;
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(ROW_FLOOR, &marks, &mark)) {
		if (name_writer(mark.name) != s->mover)
			continue;
		struct witness *w = witness_of(s, writer);
		if (s->is_target && name_cmp(mark.name, w->seen) > 0)
			w->seen = mark.name;
	}
}

static enum err search_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct search *s = arg;
	struct row_op_value v;
	(void)op;
	if (row->kind != CATALOG_OP || row_op_decode(row->value, &v) != ERR_NONE)
		return ERR_NONE;
	if (v.op == ROW_FLOOR)
		note_floor(s, row, &v);
	if (!s->is_target || memcmp(&v.batch, &s->batch, sizeof(v.batch)) != 0)
		return ERR_NONE;
	if (v.op == ROW_COMMIT) {
		s->is_committed = true;
		s->commit = row->name;
	}
	s->is_void = s->is_void || v.op == ROW_VOID_BATCH;
	return ERR_NONE;
}

/* WAITS. What `guid` has since the intent row. */
static enum err search(
	struct op *op, const struct user *u, struct search *s, struct catalog_guid guid)
{
	return catalog_read_rows(op, u->store->catalog, u->name, guid, 0, user_last_bucket(u, guid),
		s->intent, search_row, s);
}

/* Can one of the witnesses have asked for a void that is not there yet? */
static bool may_void(const struct search *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (name_cmp(s->witnesses[i].seen, s->commit) < 0)
			return true;
	return false;
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
		if (index_find_name(m->index, mark.uid, mark.name, &at) &&
			!index_is_ghost(index_hot(m->index, at)))
			living[count++] = mailbox_mark_at(m, at);
		else
			tail_keep_mark(t, &mark);
	}
	if (count > 0)
		mailbox_put_expunge(b, m, living, count, mailbox_next_modseq(m, modseq), true);
}

static void note_target(struct tail *t, struct catalog_guid target)
{
	const struct mailbox *m = user_find_mailbox(t->mailbox->user, target);
	if (!m || m->state != OPEN || m == t->mailbox)
		return;
	t->targets = arena_grow(t->arena, t->targets, t->target_count * sizeof(*t->targets),
		(t->target_count + 1) * sizeof(*t->targets));
	t->targets[t->target_count++] = target;
}

static void put_void(struct batch *b, struct catalog_guid target, const struct row_id *batch)
{
	AUTO_BUF(value, 0);
	row_void_batch_encode(&value, batch);
	batch_put_op(b, target, user_bucket_of(b->user, target), &value);
	batch_last(b)->is_apart = true;
}

static enum err settle_intent(struct op *op, struct batch *b, struct tail *t,
	const struct catalog_row *row, uint64_t *modseq)
{
	struct mailbox *m = t->mailbox;
	struct user *u = m->user;
	struct row_op_value v;
	enum err e = row_op_decode(row->value, &v);
	ASSERT(e == ERR_NONE && v.op == ROW_MOVE_INTENT);
	const struct absent_writer *his = tail_absent(t, name_writer(row->name));
	bool has_floor = !name_is_none(t->own); /* which tells others that we may void it */
	/* Our own that is left behind: unless its batch is still being repeated. */
	bool is_ours = name_writer(row->name) == u->writer && list_is_empty(&u->unsettled);
	bool is_dead = his ? his->is_dead && has_floor : is_ours;
	bool is_old =
		(int64_t)name_ms(row->name) + INTENT_AGE_MS < now_wall_us() / (int64_t)US_PER_MS;
	struct search s = { .arena = t->arena,
		.batch = v.batch,
		.mover = name_writer(row->name),
		.own = u->writer,
		.intent = row->name,
		.is_target = true };
	struct catalog_guid target;
	memcpy(target.bytes, v.mailbox.bytes, sizeof(target.bytes));
	TRY(search(op, u, &s, target));
	s.is_target = false;
	if (s.is_committed && !s.is_void)
		TRY(search(op, u, &s, m->guid));
	/* An old one that somebody else left: what became of the copies since is not known. */
	if (s.is_committed && !s.is_void && (his || !is_old)) {
		if (!may_void(&s))
			finish_move(b, t, &v, modseq);
		note_target(t, target);
	} else if (!s.is_committed && !s.is_void && !is_dead && !is_old) {
		return ERR_NONE;
	} else if (!s.is_committed && !s.is_void && is_dead &&
		   !catalog_is_atomic(u->store->catalog)) {
		put_void(b, target, &v.batch);
	}
	batch_delete_row(b, m->guid, CATALOG_OP, row->bucket, row->name);
	batch_last(b)->rank = RANK_INTENT_DONE;
	return ERR_NONE;
}

enum err tail_settle_intents(struct op *op, struct batch *b, struct tail *t, uint64_t *modseq)
{
	enum err e = ERR_NONE;
	for (size_t i = 0; e == ERR_NONE && i < t->intents.count; i++)
		e = settle_intent(op, b, t, &t->intents.items[i].row, modseq);
	return e;
}

enum err tail_settle_moves(struct op *op, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	struct batch *b = batch_new(m->user);
	uint64_t modseq = 0;
	enum err e = tail_settle_intents(op, b, t, &modseq);
	if (e == ERR_NONE && b->count > 0) {
		mailbox_claim(b, m);
		e = user_write(op, m->user, b);
		if (t->target_count > 0)
			user_refresh_soon(m->user);
		return e;
	}
	batch_free(b);
	return e;
}
