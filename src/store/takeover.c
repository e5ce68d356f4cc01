/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a mailbox.
 *
 * Who did not close it left an `open` head: he is dead, and what he was writing may be there, not be
 * there, in part, or come hours later. Taking over, in this order (storage contract §2, §4, §6):
 *   1. our open head and a floor row are durable: modseqs of ours lie above everything he told;
 *   2. the tail is read: what he had acknowledged is there;
 *   3. one batch ends it: his fence (nothing of his counts behind the last row that was seen), a hole
 *      if flag changes may be lost, moves that he began (finished if the target has the commit row,
 *      else dropped), what he left of mails that do not count; last his head goes.
 * A takeover that is left anywhere is done again by the next opener: his head is still there. */
#include "store/tail_private.h"

/* The row is not folded yet: the index would seem to cover what was not read. */
enum err takeover_begin(struct op *op, struct tail *t, const struct handover *h, uint64_t *floor)
{
	struct mailbox *m = t->mailbox;
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
			tail_keep_mark(t, &mark);
		}
	}
	const struct catalog_row *waiting = index_waiting(m->index, &count);
	for (size_t i = 0; i < count; i++)
		tail_keep_leftover(t, &waiting[i]);
	for (size_t i = 0; i < t->dead_count; i++) {
		struct row_op_value v;
		struct row_mark mark;
		if (t->dead[i].expunge.n > 0 && row_op_decode(t->dead[i].expunge, &v) == ERR_NONE)
			while (row_mark_next(v.op, &v.marks, &mark))
				tail_keep_mark(t, &mark);
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

enum err takeover_end(struct op *op, struct tail *t, const struct handover *h, uint64_t floor)
{
	struct mailbox *m = t->mailbox;
	struct user *u = m->user;
	bool is_atomic = catalog_is_atomic(u->store->catalog);
	struct batch *b = batch_new(u);
	uint64_t modseq = floor;
	char key[HEAD_OPEN_SIZE];
	put_numbers(b, m, h, index_modseq(m->index), floor);
	for (size_t i = 0; i < t->intent_count; i++) {
		enum err e = tail_settle_intent(op, b, t, &t->intents[i].row, &modseq);
		if (e != ERR_NONE) {
			batch_free(b);
			return e;
		}
	}
	if (!is_atomic)
		put_leftovers(b, t);
	for (size_t i = 0; i < t->dead_count; i++)
		if (!is_atomic && !user_fence_of(u, m->guid, t->dead[i].writer))
			takeover_put_fence(b, m->guid, t->dead[i].writer, t->dead[i].last);
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
