/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a mailbox's tail: what the journal has behind the local files, and what of it somebody has to do
 * something about. */
#include "store/tail_private.h"

#include "base/hash.h"

void tail_keep_row(struct arena *arena, struct kept_rows *rows, const struct catalog_row *row)
{
	if (rows->count == rows->cap) {
		size_t cap = MAX(2 * rows->cap, 16);
		rows->items = arena_grow(arena, rows->items, rows->cap * sizeof(*rows->items),
			cap * sizeof(*rows->items));
		rows->cap = cap;
	}
	rows->items[rows->count].row = *row;
	rows->items[rows->count++].row.value = str_dup(arena, row->value);
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

/* The summary that the row carries saves making it from the mail. `commit`: of the row's batch, or NULL. */
static void keep_summary(
	struct mailbox *m, const struct catalog_row *row, const struct row_op_value *commit)
{
	struct row_append a;
	uint32_t at;
	if (row_append_decode(row->value, &a) == ERR_NONE && a.has_batch == (commit != NULL) &&
		a.summary.n > 0 &&
		index_find_name(m->index, a.uid + (commit ? commit->uid - 1 : 0), row->name, &at) &&
		!index_is_ghost(index_hot(m->index, at)) &&
		index_cold(m->index, at)->summary_length == 0)
		summary_keep(m, index_hot(m->index, at)->uid, a.summary);
}

/* Copies of the rows with summaries that wait for this one: those who wait go when it is folded. */
static struct kept_rows find_waiting(struct arena *arena, const struct mailbox *m,
	const struct catalog_row *row, struct row_op_value *commit)
{
	size_t count;
	struct kept_rows found = { 0 };
	if (row->kind != CATALOG_OP || row_op_decode(row->value, commit) != ERR_NONE ||
		commit->op != ROW_COMMIT)
		return found;
	const struct catalog_row *waiting =
		index_waiting_of(m->index, &commit->batch, arena, &count);
	for (size_t i = 0; i < count; i++) {
		struct row_append a;
		if (row_append_decode(waiting[i].value, &a) == ERR_NONE && a.summary.n > 0)
			tail_keep_row(arena, &found, &waiting[i]);
	}
	return found;
}

struct voiding {
	struct tail *tail;
	struct catalog_name row;
};

static void keep_voided(void *arg, const struct row_mark *mark)
{
	const struct voiding *v = arg;
	struct tail *t = v->tail;
	if (t->voided_count == t->voided_cap) {
		size_t cap = MAX(2 * t->voided_cap, 16);
		t->voided = arena_grow(t->arena, t->voided, t->voided_cap * sizeof(*t->voided),
			cap * sizeof(*t->voided));
		t->voided_cap = cap;
	}
	t->voided[t->voided_count++] = (struct voided_mail){ .row = v->row, .mark = *mark };
}

/* Before the row is folded: afterwards nobody knows which mails it ended. */
static void note_void(struct tail *t, const struct catalog_row *row, const struct row_op_value *v)
{
	struct voiding voiding = { .tail = t, .row = row->name };
	if ((v->op == ROW_VOID || v->op == ROW_VOID_BATCH) &&
		name_writer(row->name) != t->mailbox->user->writer)
		(void)index_would_change(t->mailbox->index, row->name, v, keep_voided, &voiding);
}

static void note_row(struct tail *t, const struct catalog_row *row)
{
	struct mailbox *m = t->mailbox;
	struct row_op_value op;
	if (row->kind == CATALOG_APPEND) {
		if (index_is_gone(m->index, row->name))
			tail_keep_leftover(t, row);
		else
			keep_summary(m, row, NULL);
		return;
	}
	if (row_op_decode(row->value, &op) != ERR_NONE)
		return;
	if (op.op == ROW_MOVE_INTENT)
		tail_keep_row(t->arena, &t->intents, row);
	if (op.op == ROW_MERGE)
		tail_keep_row(t->arena, &t->merges, row);
	if (name_writer(row->name) == m->user->writer)
		return;
	if (op.op == ROW_EXPUNGE || op.op == ROW_FLAGS)
		tail_keep_row(t->arena, &t->others, row);
	for (size_t i = 0; i < t->absent_count && op.op == ROW_EXPUNGE; i++)
		if (t->absent[i].writer == name_writer(row->name))
			t->absent[i].expunge = str_dup(t->arena, row->value);
}

static enum err fold_tail_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct tail *t = arg;
	struct mailbox *m = t->mailbox;
	if (name_cmp(row->name, t->own) == 0)
		return ERR_NONE;
	struct row_op_value commit = { 0 };
	AUTO_ARENA(arena, 0);
	struct kept_rows waiting = find_waiting(&arena, m, row, &commit);
	if (row->kind == CATALOG_OP)
		note_void(t, row, &commit);
	enum err e = index_fold(m->index, row);
	if (e != ERR_NONE)
		return op_fail(op, e, "a journal row of the mailbox cannot be folded");
	note_row(t, row);
	for (size_t i = 0; i < waiting.count; i++)
		keep_summary(m, &waiting.items[i].row, &commit);
	base_note_row(m, row);
	name_observe(&m->user->store->clock, row->name, now_wall_us());
	task_breathe();
	return ERR_NONE;
}

void tail_find_absent(struct tail *t)
{
	const struct user *u = t->mailbox->user;
	const struct catalog_guid *guid = &t->mailbox->guid;
	uint64_t host = hash_stable(u->store->settings.host);
	t->absent = ARENA_NEW_ARRAY(t->arena, struct absent_writer, MAX(u->head_count, 1));
	t->absent_count = 0;
	for (size_t i = 0; i < u->head_count; i++)
		if (u->heads[i].head.is_open && u->heads[i].writer != u->writer &&
			memcmp(&u->heads[i].mailbox, guid, sizeof(*guid)) == 0)
			t->absent[t->absent_count++] =
				(struct absent_writer){ .writer = u->heads[i].writer,
					.is_dead = u->heads[i].head.host == host };
}

const struct absent_writer *tail_absent(const struct tail *t, uint32_t writer)
{
	for (size_t i = 0; i < t->absent_count; i++)
		if (t->absent[i].writer == writer)
			return &t->absent[i];
	return NULL;
}

/* The last bucket that was in use before the tail begins. */
static uint32_t find_bucket(const struct mailbox *m, struct catalog_name after)
{
	uint32_t bucket = base_tail_bucket(m, after);
	for (uint32_t at = index_count(m->index); at > 0 && bucket == 0; at--)
		if (name_cmp(index_cold(m->index, at - 1)->name, after) <= 0)
			bucket = index_cold(m->index, at - 1)->bucket;
	return bucket;
}

struct catalog_name tail_begin(const struct mailbox *m, uint32_t *out_bucket)
{
	struct catalog_name cover = index_cover(m->index);
	int64_t from_ms = (int64_t)MIN(name_ms(cover), (uint64_t)(now_wall_us() / US_PER_MS));
	if (m->seen_ms > 0)
		from_ms = MIN(from_ms, m->seen_ms);
	from_ms -= STORE_TAIL_MS;
	from_ms = MIN(from_ms, user_late_from(m->user, m->guid, m->late_ms, m->seen_ms));
	from_ms = MAX(from_ms, 0);
	struct catalog_name after = name_at_ms(name_is_none(cover) ? 0 : from_ms);
	*out_bucket = find_bucket(m, after);
	return after;
}

bool tail_begin_again(const struct mailbox *m, const struct kept_rows *rows,
	struct catalog_name *after, uint32_t *out_bucket)
{
	struct catalog_name first = *after;
	for (size_t i = 0; i < rows->count; i++) {
		struct row_op_value v;
		struct row_mark mark;
		const struct catalog_row *row = &rows->items[i].row;
		if (row->kind != CATALOG_OP || row_op_decode(row->value, &v) != ERR_NONE ||
			v.op != ROW_MERGE)
			continue;
		while (row_mark_next(v.op, &v.marks, &mark))
			if (name_cmp(mark.name, first) <= 0 &&
				!index_knows(m->index, mark.name, mark.origin))
				first = mark.name;
	}
	if (name_cmp(first, *after) == 0)
		return false;
	int64_t from_ms = (int64_t)MIN(name_ms(first), name_ms(*after)) - STORE_TAIL_MS;
	*after = name_at_ms(MAX(from_ms, 0));
	*out_bucket = find_bucket(m, *after);
	return true;
}

enum err tail_read(struct op *op, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	const struct user *u = m->user;
	uint32_t bucket;
	int64_t begin_ms = now_wall_us() / US_PER_MS;
	t->after = tail_begin(m, &bucket);
	tail_find_absent(t);
	/* Those of the base are done with: what is a ghost afterwards had its row in the tail, or
	 * was expunged there. */
	(void)index_forget(m->index, UINT64_MAX, UINT64_MAX);
	/* Who is there may have gone on to the next bucket since the heads were read. */
	uint32_t last_bucket = user_bucket_of(u, m->guid) + (t->absent_count > 0 || m->late_ms > 0);
	do {
		t->merges = t->others = t->intents = (struct kept_rows){ 0 };
		t->mark_count = 0;
		TRY(catalog_read_tail(op, u->store->catalog, u->name, m->guid, bucket, last_bucket,
			t->after, index_cover(m->index), fold_tail_row, t));
	} while (tail_begin_again(m, &t->merges, &t->after, &bucket));
	m->seen_ms = begin_ms;
	return ERR_NONE;
}
