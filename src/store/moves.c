/* SPDX-License-Identifier: Apache-2.0 */
/* Moves that a dead writer began: an intent row in the source tells of them. */
#include "store/tail_private.h"

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

void takeover_put_fence(
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
			tail_keep_mark(t, &mark);
	}
	if (count > 0)
		mailbox_put_expunge(b, m, living, count, mailbox_next_modseq(m, modseq), true);
}

/* WAITS. Whatever the target says now stays true: either the commit row is there, or it never counts. */
enum err tail_settle_intent(struct op *op, struct batch *b, struct tail *t,
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
		takeover_put_fence(b, s.target, s.writer, s.last);
	batch_delete_row(b, m->guid, CATALOG_OP, row->bucket, row->name);
	batch_last(b)->rank = RANK_INTENT_DONE;
	return ERR_NONE;
}
