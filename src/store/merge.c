/* SPDX-License-Identifier: Apache-2.0 */
/* What others wrote, into a live mailbox (storage contract §6).
 *
 * Their rows are collected first and folded last, without a wait, together with our merge rows: sessions
 * never see a state that is not durable, nor one whose numbers they were told otherwise.
 *   append   whose UID lies below what was told here: a merge row gives it a fresh one
 *   op       whose modseq was passed here: a merge row gives its mails a fresh one
 *   merge    as an append
 * All else is folded as it is. To give fresh UIDs this process must have the right to
 * (mailbox_ensure_uids()); it takes over for that, once it knows that it needs to. */
#include "store/tail_private.h"

#define TRIES 4

struct merging {
	struct mailbox *mailbox;
	struct tail tail;
	struct kept_rows rows; /* new to us, in the order of names */
	struct row_mark *marks;
	size_t count, cap;
	uint32_t told_uid; /* what was told here lies below */
	uint32_t next_uid; /* the next fresh one */
	uint64_t told_modseq, modseq;
	size_t fresh;     /* how many UIDs the marks give */
	int64_t begin_ms; /* wall time when the rows were read */
};

/* ---- collecting ---- */

static bool is_new_op(const struct merging *g, const struct catalog_row *row)
{
	const struct mailbox *m = g->mailbox;
	struct row_op_value v;
	if (row_op_decode(row->value, &v) != ERR_NONE)
		return true; /* it is told of when it is folded */
	bool is_own = name_writer(row->name) == m->user->writer;
	/* Of our rows only those can be new whose write was in doubt, those of a takeover that did not come
	 * to its end, and those that were written while the mailbox was not open. */
	if (is_own && v.op != ROW_MERGE && v.op != ROW_VOID_BATCH && v.op != ROW_FLOOR)
		return false;
	/* The mails may come with it. */
	return index_would_change(m->index, row->name, &v, NULL, NULL) ||
	       index_awaits(m->index, &v);
}

/* Is the mail of this append row here? One of a batch has its UID from the commit. */
static bool knows_mail(const struct mailbox *m, const struct catalog_row *row)
{
	struct row_append a;
	if (row_append_decode(row->value, &a) != ERR_NONE)
		return false;
	if (!a.has_batch)
		return index_knows(m->index, row->name, a.uid);
	const struct snapshot_batch *b = index_batch(m->index, &a.batch);
	return b && b->count > 0 && index_knows(m->index, row->name, b->uid + a.uid - 1);
}

static enum err collect_row(struct op *op, const struct catalog_row *row, void *arg)
{
	struct merging *g = arg;
	struct mailbox *m = g->mailbox;
	(void)op;
	name_observe(&m->user->store->clock, row->name, now_wall_us());
	bool is_own = name_writer(row->name) == m->user->writer;
	bool is_known = row->kind == CATALOG_OP ? !is_new_op(g, row) : is_own || knows_mail(m, row);
	if (!is_known)
		tail_keep_row(g->tail.arena, &g->rows, row);
	else if (!is_own) /* else our floor row would say that we have not seen it */
		index_note_seen(m->index, row->name);
	task_breathe();
	return ERR_NONE;
}

bool mailbox_lacks_flags(const struct mailbox *m)
{
	const struct user_base *b = user_base_of(m->user, m->guid);
	return b && b->head.has_own_flags && name_cmp(b->head.base.cover, m->base_cover) > 0 &&
	       !user_may_have_put_base(m->user, b);
}

/* WAITS. What was told and waits for the journal is written before: the log of a writer who was ended says nothing. */
static enum err open_anew(struct op *op, struct mailbox *m, const char *why)
{
	TRY(flags_flush_locked(op, m));
	m->state = CLOSING;
	mailbox_mark_removed(m);
	return op_fail(op, ERR_UNAVAILABLE, "%s: the mailbox is opened anew", why);
}

enum err mailbox_check_flags(struct op *op, struct mailbox *m)
{
	return mailbox_lacks_flags(m)
		       ? open_anew(op, m, "another host's base has flags that are not here")
		       : ERR_NONE;
}

/* Has somebody dropped op rows that were not looked for in time (a host that was cut off, or slept)? Then
 * only his base tells what they said: the mailbox is opened anew, and its sessions end. */
static enum err check_gap(struct op *op, struct mailbox *m, bool takes_over)
{
	struct catalog_name seen = name_at_ms(m->seen_ms - STORE_TAIL_MS);
	bool is_late = name_cmp(seen, user_dropped(m->user, m->guid)) < 0;
	if (is_late)
		return open_anew(op, m, "it was not looked at for too long");
	return takes_over ? mailbox_check_flags(op, m) : ERR_NONE;
}

static enum err collect(struct op *op, struct merging *g, bool takes_over)
{
	struct mailbox *m = g->mailbox;
	const struct user *u = m->user;
	uint32_t bucket;
	g->begin_ms = now_wall_us() / US_PER_MS;
	struct catalog_name after = tail_begin(m, &bucket);
	TRY(check_gap(op, m, takes_over));
	tail_find_absent(&g->tail);
	do {
		g->rows = (struct kept_rows){ 0 };
		TRY(catalog_read_tail(op, u->store->catalog, u->name, m->guid, bucket,
			user_last_bucket(u, m->guid), after, index_cover(m->index), collect_row,
			g));
	} while (tail_begin_again(m, &g->rows, &after, &bucket));
	bool is_dropped;
	TRY(base_find_dropped(op, m, name_at_ms(m->seen_ms - STORE_TAIL_MS), &is_dropped));
	return is_dropped ? open_anew(op, m, "rows went while they were read") : ERR_NONE;
}

/* ---- marks ---- */

static void add_mark(struct merging *g, struct row_mark mark)
{
	if (g->count == g->cap) {
		size_t cap = MAX(2 * g->cap, 16);
		g->marks = arena_grow(g->tail.arena, g->marks, g->cap * sizeof(*g->marks),
			cap * sizeof(*g->marks));
		g->cap = cap;
	}
	mark.modseq = mailbox_next_modseq(g->mailbox, &g->modseq);
	g->marks[g->count++] = mark;
}

static void give_uid(struct merging *g, const struct catalog_name *name, uint32_t origin)
{
	for (size_t i = 0; i < g->count; i++)
		if (name_cmp(g->marks[i].name, *name) == 0 && g->marks[i].uid >= g->told_uid)
			return; /* once is enough */
	add_mark(g, (struct row_mark){ .name = *name, .uid = g->next_uid++, .origin = origin });
	g->fresh++;
}

/* An op that changes a mail, and was given a modseq that was passed here. */
static void note_change(void *arg, const struct row_mark *mark)
{
	struct merging *g = arg;
	if (mark->modseq <= g->told_modseq) /* that of a void is 0 */
		add_mark(g, *mark);
}

static void plan_merge(struct merging *g, const struct row_op_value *v)
{
	struct str marks = v->marks;
	struct row_mark mark;
	while (row_mark_next(ROW_MERGE, &marks, &mark)) {
		uint32_t at, uid = 0;
		if (index_is_gone(g->mailbox->index, mark.name))
			continue;
		if (index_find_name(g->mailbox->index, mark.origin, mark.name, &at))
			uid = index_hot(g->mailbox->index, at)->uid;
		if (mark.uid > uid && mark.uid < g->told_uid)
			give_uid(g, &mark.name, mark.origin);
		else if (mark.modseq <= g->told_modseq)
			add_mark(g, mark);
	}
}

/* Does a merge row of somebody else give it a UID that was not passed here? */
static bool is_placed(const struct merging *g, struct catalog_name name)
{
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct catalog_row *row = &g->rows.items[i].row;
		struct row_op_value v;
		struct row_mark mark;
		if (row->kind != CATALOG_OP || row_op_decode(row->value, &v) != ERR_NONE ||
			v.op != ROW_MERGE)
			continue;
		while (row_mark_next(ROW_MERGE, &v.marks, &mark))
			if (name_cmp(mark.name, name) == 0 && mark.uid >= g->told_uid)
				return true;
	}
	return false;
}

static void plan_append(struct merging *g, const struct catalog_row *row)
{
	struct row_append a;
	if (row_append_decode(row->value, &a) != ERR_NONE)
		return;
	if (a.uid < g->told_uid && !is_placed(g, row->name))
		give_uid(g, &row->name, a.uid);
	else if (a.uid >= g->told_uid && a.modseq <= g->told_modseq)
		add_mark(g, (struct row_mark){ .name = row->name, .uid = a.uid, .origin = a.uid });
}

static uint64_t op_modseq(const struct row_op_value *v)
{
	uint64_t greatest = MAX(v->modseq, v->hole_last);
	struct str groups = v->groups, marks = v->marks;
	struct row_flags_group g;
	struct row_mark mark;
	while (v->op == ROW_FLAGS && row_flags_next(&groups, v->keyword_count, &g))
		greatest = MAX(greatest, g.modseq);
	while (v->op == ROW_MERGE && row_mark_next(v->op, &marks, &mark))
		greatest = MAX(greatest, mark.modseq);
	return greatest;
}

/* Who went above what was seen here may have told more than his rows say: a takeover goes on above that. 0: nobody
 * went above. */
static uint64_t restart_above(const struct merging *g)
{
	uint64_t seen = index_modseq(g->mailbox->index), greatest = 0;
	for (size_t i = 0; i < g->rows.count; i++) {
		struct row_append a;
		struct row_op_value v;
		const struct catalog_row *row = &g->rows.items[i].row;
		if (row->kind == CATALOG_APPEND && row_append_decode(row->value, &a) == ERR_NONE)
			greatest = MAX(greatest, a.modseq);
		else if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE)
			greatest = MAX(greatest, op_modseq(&v));
	}
	return greatest > seen ? modseq_restart(greatest, 0) : 0;
}

static void plan(struct merging *g, bool takes_over)
{
	struct mailbox *m = g->mailbox;
	g->count = g->fresh = 0;
	g->modseq = MAX(g->told_modseq, takes_over ? restart_above(g) : 0);
	g->next_uid = MAX(g->told_uid, m->floor_uid);
	for (size_t i = 0; i < g->rows.count; i++) { /* above all that they gave */
		struct row_append a;
		struct row_op_value v;
		struct row_mark mark;
		const struct catalog_row *row = &g->rows.items[i].row;
		if (row->kind == CATALOG_APPEND && row_append_decode(row->value, &a) == ERR_NONE)
			g->next_uid = MAX(g->next_uid, a.uid + 1);
		else if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
			 v.op == ROW_MERGE)
			while (row_mark_next(v.op, &v.marks, &mark))
				g->next_uid = MAX(g->next_uid, mark.uid + 1);
	}
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct catalog_row *row = &g->rows.items[i].row;
		struct row_op_value v;
		if (row->kind == CATALOG_APPEND)
			plan_append(g, row);
		else if (row_op_decode(row->value, &v) == ERR_NONE && v.op == ROW_MERGE)
			plan_merge(g, &v);
		else if (v.op == ROW_EXPUNGE || v.op == ROW_FLAGS || v.op == ROW_VOID ||
			 v.op == ROW_VOID_BATCH)
			(void)index_would_change(m->index, row->name, &v, note_change, g);
	}
}

/* ---- folding ---- */

static enum err check_rows(struct op *op, const struct merging *g)
{
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct catalog_row *row = &g->rows.items[i].row;
		struct row_append a;
		struct row_op_value v;
		enum err e = row->kind == CATALOG_APPEND ? row_append_decode(row->value, &a)
							 : row_op_decode(row->value, &v);
		if (e == ERR_NONE &&
			(row->kind == CATALOG_APPEND ? !a.has_batch && a.uid == UINT32_MAX
						     : v.op >= ROW_TREE_CREATE))
			e = ERR_CORRUPT;
		if (e != ERR_NONE)
			return op_fail(op, e, "a journal row of another host cannot be folded");
	}
	return ERR_NONE;
}

/* First, so that appends find their place at once: at the UID that they had before a view would count them. */
static void fold_merges(struct mailbox *m, const struct kept_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct catalog_row *row = &rows->items[i].row;
		struct row_op_value v;
		if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
			v.op == ROW_MERGE)
			mailbox_publish(m, row, STR_NONE);
	}
}

/* Quiet rows of the batch that was written: merge rows and our floor. */
static void fold_all(struct merging *g, const struct kept_rows *ours)
{
	struct mailbox *m = g->mailbox;
	fold_merges(m, ours);
	fold_merges(m, &g->rows);
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct catalog_row *row = &g->rows.items[i].row;
		struct row_op_value v;
		struct row_append a = { 0 };
		if (row->kind == CATALOG_APPEND)
			(void)(row_append_decode(row->value, &a) == ERR_NONE);
		bool is_kept = row->kind == CATALOG_APPEND ||
			       (row_op_decode(row->value, &v) == ERR_NONE &&
				       v.op != ROW_MOVE_INTENT && v.op != ROW_MERGE);
		if (is_kept)
			mailbox_publish(m, row, a.summary);
	}
	for (size_t i = 0; i < ours->count; i++)
		mailbox_publish(m, &ours->items[i].row, STR_NONE);
	m->pending_are_rows = m->pending_are_rows || (g->rows.count > 0 && m->pending.n > 0);
	index_end_batches(m->index);
	mailbox_published(m);
}

static enum err write_merge(struct op *op, struct merging *g, bool takes_over)
{
	struct mailbox *m = g->mailbox;
	struct batch *b = batch_new(m->user);
	struct kept_rows ours = { 0 };
	uint64_t modseq = MAX(g->modseq, g->told_modseq);
	TRY(check_rows(op, g));
	if (g->count > 0)
		mailbox_claim(b, m);
	size_t first = b->count;
	mailbox_put_merges(b, m, g->marks, g->count);
	if (takes_over)
		mailbox_put_floor(b, m, MAX(g->next_uid, m->floor_uid), modseq, &g->rows);
	for (size_t i = first; i < b->count; i++) {
		b->items[i].is_quiet = true;
		tail_keep_row(g->tail.arena, &ours, &b->changes[i].row);
	}
	size_t before_heads = b->count;
	if (takes_over)
		mailbox_end_others(b, m);
	else if (m->is_claimed)
		user_delete_foreign_heads(b, m->guid, 0, RANK_LAST_HEADS);
	bool takes_heads = b->count > before_heads;
	enum err e = ERR_NONE;
	if (b->count > 0)
		e = user_write(op, m->user, b);
	else
		batch_free(b);
	/* In doubt: what the merge rows gave may be a fact, and is read and folded later. */
	if (e != ERR_NONE && g->fresh > 0)
		index_raise(m->index, g->next_uid, modseq);
	/* Nothing else tells of the rows that are not folded here. */
	if (e != ERR_NONE && takes_heads)
		m->must_take_over = true;
	TRY(e);
	fold_all(g, &ours);
	m->seen_ms = g->begin_ms;
	local_add_seen(m);
	return ERR_NONE;
}

/* ---- all of it ---- */

static bool may_give(const struct merging *g)
{
	const struct mailbox *m = g->mailbox;
	return m->is_claimed && m->is_checked && !m->must_take_over && g->next_uid <= m->limit_uid;
}

/* Mails of this process that somebody who set a higher floor had not seen. */
static enum err merge_own(struct op *op, struct tail *t)
{
	struct mailbox *m = t->mailbox;
	struct row_mark *late;
	uint64_t modseq = 0;
	TRY(takeover_reserve(op, t, &modseq));
	size_t count = index_late(m->index, &late);
	if (count == 0)
		return ERR_NONE;
	index_raise(m->index, m->floor_uid, modseq);
	uint32_t uid = index_next_uid(m->index);
	struct batch *b = batch_new(m->user);
	for (size_t i = 0; i < count; i++) {
		late[i].uid = uid++;
		late[i].modseq = mailbox_next_modseq(m, &modseq);
	}
	mailbox_put_merges(b, m, late, count);
	mem_free(late);
	return user_write(op, m->user, b);
}

static void keep_intents(struct merging *g)
{
	g->tail.intents = (struct kept_rows){ 0 };
	for (size_t i = 0; i < g->rows.count; i++) {
		const struct catalog_row *row = &g->rows.items[i].row;
		struct row_op_value v;
		if (row->kind == CATALOG_OP && row_op_decode(row->value, &v) == ERR_NONE &&
			v.op == ROW_MOVE_INTENT)
			tail_keep_row(g->tail.arena, &g->tail.intents, row);
	}
}

/* A takeover has room for `more` UIDs at least. */
static enum err look(struct op *op, struct merging *g, bool takes_over, uint32_t more)
{
	struct mailbox *m = g->mailbox;
	uint64_t floor = 0;
	if (takes_over)
		TRY(takeover_begin(op, &g->tail, more, &floor));
	g->told_uid = index_next_uid(m->index);
	g->told_modseq = MAX(index_modseq(m->index), floor);
	TRY(collect(op, g, takes_over));
	tail_resolve_batches(&g->tail, &g->rows);
	keep_intents(g);
	late_ops_keep_old(&g->tail, &g->rows);
	plan(g, takes_over);
	return ERR_NONE;
}

static enum err merge(struct op *op, struct merging *g, bool *takes_over)
{
	struct mailbox *m = g->mailbox;
	TRY(look(op, g, *takes_over, 0));
	if (g->fresh > 0 && !*takes_over && !may_give(g)) {
		*takes_over = true;
		TRY(look(op, g, true, 0));
	}
	/* What others may not have seen as ours is not given. */
	for (int i = 0; *takes_over && g->next_uid > m->limit_uid; i++) {
		if (i == TRIES)
			return op_fail(op, ERR_UNAVAILABLE, "others give UIDs all the time");
		TRY(look(op, g, true, g->next_uid - m->floor_uid + UIDS_A_FLOOR));
	}
	TRY(write_merge(op, g, *takes_over));
	if (*takes_over)
		TRY(merge_own(op, &g->tail));
	TRY(late_ops_say_old(op, &g->tail));
	return tail_settle_moves(op, &g->tail);
}

/* Is there mail below a floor of somebody who had not seen it, and nobody else who would give it another UID? Our
 * head was put again by a write that began before he ended it; we took over, and did not come to the end; or his floor
 * came late, and he is gone. */
static bool has_late(const struct merging *g)
{
	const struct mailbox *m = g->mailbox;
	struct row_mark *late;
	uint32_t writer, floor = index_floor(m->index, &writer);
	bool is_ended = writer != m->user->writer && floor > m->floor_uid;
	bool is_left = g->rows.count > 0 && user_handover(m->user, m->guid).limit_uid == 0;
	if (!is_left && !(m->is_claimed && (is_ended || m->must_take_over)))
		return false;
	size_t count = index_late(m->index, &late);
	mem_free(late);
	return count > 0;
}

enum err mailbox_merge(struct op *op, struct mailbox *m, bool takes_over)
{
	struct merging g = { .mailbox = m, .tail = { .mailbox = m, .arena = op->arena } };
	enum err e = merge(op, &g, &takes_over);
	if (e != ERR_NONE) { /* what others have may be missing here: no UIDs before it is there */
		m->must_take_over = m->must_take_over || takes_over;
		return e;
	}
	if (!takes_over && (mailbox_is_untold(m) || has_late(&g)))
		return mailbox_merge(op, m, true);
	uint32_t writer, floor = index_floor(m->index, &writer);
	if (!mailbox_is_alone(m) || (writer != m->user->writer && floor > m->floor_uid))
		m->is_checked = false;
	return ERR_NONE;
}

enum err mailbox_refresh(struct op *op, struct mailbox *m)
{
	CHECK(m, MAILBOX_MAGIC);
	if (catalog_is_atomic(m->user->store->catalog))
		return ERR_NONE; /* its one writer is this process */
	TRY(mailbox_write_begin(op, m));
	enum err e = user_read_heads(op, m->user);
	if (e == ERR_NONE)
		e = mailbox_merge(op, m, false);
	mailbox_write_end(m);
	return e;
}
