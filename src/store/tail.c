/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a mailbox's tail: what the journal has behind the local files, and what of it somebody has to do
 * something about. */
#include "store/tail_private.h"

static void keep_row(
	struct tail *t, struct kept_row **rows, size_t *count, const struct catalog_row *row)
{
	*rows = arena_grow(t->arena, *rows, *count * sizeof(**rows), (*count + 1) * sizeof(**rows));
	(*rows)[*count].row = *row;
	(*rows)[(*count)++].row.value = str_dup(t->arena, row->value);
}

void tail_keep_mark(struct tail *t, const struct row_mark *mark)
{
	if (t->mark_count == t->mark_cap) {
		size_t cap = MAX(2 * t->mark_cap, 64);
		t->marks = arena_grow(t->arena, t->marks, t->mark_cap * sizeof(*t->marks),
			cap * sizeof(*t->marks));
		t->mark_cap = cap;
	}
	t->marks[t->mark_count++] = *mark;
}

void tail_keep_leftover(struct tail *t, const struct catalog_row *row)
{
	struct row_append a;
	if (row_append_decode(row->value, &a) == ERR_NONE)
		tail_keep_mark(t, &(struct row_mark){
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
			tail_keep_leftover(t, row);
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
			tail_keep_leftover(t, row);
		else
			keep_row(t, &t->late_ops, &t->late_op_count, row);
		return ERR_NONE;
	}
	enum err e = index_fold(m->index, row);
	if (e != ERR_NONE)
		return op_fail(op, e, "a journal row of the mailbox cannot be folded");
	note_row(t, row);
	base_note_row(m, row);
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
	*out_bucket = base_tail_bucket(m, after);
	/* The last bucket that was in use before the tail begins. */
	for (uint32_t at = index_count(m->index); at > 0 && *out_bucket == 0; at--)
		if (name_cmp(index_cold(m->index, at - 1)->name, after) <= 0)
			*out_bucket = index_cold(m->index, at - 1)->bucket;
	return after;
}

enum err tail_read(struct op *op, struct tail *t)
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
