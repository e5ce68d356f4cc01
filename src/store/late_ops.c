/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of flags, expunges and voids that came behind what an earlier owner had seen: he told his sessions
 * greater modseqs without knowing of them, and hosts whose tails begin later never read them. Whoever finds
 * such a row when he opens the mailbox writes what it says again, as a row of his own with fresh modseqs. His
 * floor row comes behind them in the same batch and says that he has seen the old one: it is told once. Who is there
 * and looks back further than others writes again what came under a name that is too old for them: a base that was
 * made meanwhile has not got it, and who opens with that reads from its end.
 *
 * A void ends mail that nobody acknowledged, and mostly nobody was told of. If an owner had seen the mail,
 * merge rows say when it went; an old one is written again as it was. */
#include "store/tail_private.h"

#define GROUPS_BYTES (ROW_BYTES_MAX - 8192) /* leaves room for the keyword table */

static bool is_untold(const struct tail *t, struct catalog_name row)
{
	const struct index *x = t->mailbox->index;
	return t->others_are_old || (index_is_late(x, row, 0) && !index_is_covered(x, row));
}

/* ---- flags ---- */

struct telling {
	struct batch *batch;
	struct mailbox *mailbox;
	const struct row_op_value *row;
	struct buf groups;
	uint64_t *modseq;
	bool is_dry; /* only: is there anything? */
	bool has_any;
};

static void put_row(struct telling *w)
{
	const struct row_op_value *v = w->row;
	AUTO_BUF(value, 0);
	if (w->groups.n == 0)
		return;
	row_flags_encode_head(&value, v->keywords, v->keyword_count);
	if (flags_are_old(w->mailbox->user, buf_str(&w->groups), v->keyword_count, 0))
		(void)flags_make_anew(
			&value, w->mailbox->user, buf_str(&w->groups), v->keyword_count);
	else
		buf_put(&value, buf_str(&w->groups));
	batch_put_op(w->batch, w->mailbox->guid, w->mailbox->bucket, &value);
	buf_clear(&w->groups);
}

static void put_group(void *arg, const struct row_flags_group *run, const struct row_mark *marks)
{
	struct telling *w = arg;
	struct row_flags_group g = *run;
	w->has_any = true;
	if (w->is_dry)
		return;
	if (w->groups.n + g.count * sizeof(*marks) > GROUPS_BYTES)
		put_row(w);
	g.modseq = mailbox_next_modseq(w->mailbox, w->modseq);
	row_flags_encode_group(&w->groups, &g, marks);
}

static void tell_flags(struct telling *w)
{
	struct str groups = w->row->groups;
	struct row_flags_group g;
	while (row_flags_next(&groups, w->row->keyword_count, &g))
		flags_each_run(w->mailbox->index, w->row, &g, index_standing, put_group, w);
	if (!w->is_dry)
		put_row(w);
}

/* ---- expunges ---- */

static void tell_expunge(struct telling *w)
{
	struct str rest = w->row->marks;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(value, 0);
	struct row_mark *marks = ARENA_NEW_ARRAY(&arena, struct row_mark, MAX(w->row->count, 1));
	size_t n = 0;
	while (n < w->row->count && row_mark_next(ROW_EXPUNGE, &rest, &marks[n]))
		n++;
	w->has_any = true;
	if (w->is_dry)
		return;
	row_expunge_encode(&value, mailbox_next_modseq(w->mailbox, w->modseq), marks, n);
	batch_put_op(w->batch, w->mailbox->guid, w->mailbox->bucket, &value);
}

/* ---- voids ---- */

static void tell_void(struct telling *w, struct str row)
{
	AUTO_BUF(value, 0);
	w->has_any = true;
	if (w->is_dry)
		return;
	buf_put(&value, row);
	batch_put_op(w->batch, w->mailbox->guid, w->mailbox->bucket, &value);
}

static void tell_voids(const struct tail *t, struct telling *w)
{
	struct row_mark *marks =
		ARENA_NEW_ARRAY(t->arena, struct row_mark, MAX(t->voided_count, 1));
	size_t n = 0;
	for (size_t i = 0; i < t->voided_count; i++) {
		const struct voided_mail *v = &t->voided[i];
		if (!is_untold(t, v->row) || !index_is_covered(w->mailbox->index, v->mark.name))
			continue;
		marks[n] = v->mark;
		if (!w->is_dry)
			marks[n].modseq = mailbox_next_modseq(w->mailbox, w->modseq);
		n++;
	}
	w->has_any = w->has_any || n > 0;
	if (!w->is_dry)
		mailbox_put_merges(w->batch, w->mailbox, marks, n);
}

/* ---- all ---- */

static bool tell_all(const struct tail *t, struct telling *w)
{
	tell_voids(t, w);
	for (size_t i = 0; i < t->others.count; i++) {
		const struct catalog_row *row = &t->others.items[i].row;
		struct row_op_value v;
		if (!is_untold(t, row->name) || row_op_decode(row->value, &v) != ERR_NONE)
			continue;
		w->row = &v;
		if (v.op == ROW_EXPUNGE)
			tell_expunge(w);
		else if (v.op == ROW_FLAGS)
			tell_flags(w);
		else
			tell_void(w, row->value);
	}
	buf_done(&w->groups);
	return w->has_any;
}

bool late_ops_are_there(const struct tail *t)
{
	struct telling w = { .mailbox = t->mailbox, .is_dry = true };
	return tell_all(t, &w);
}

void late_ops_put(struct batch *b, const struct tail *t, uint64_t *modseq)
{
	struct telling w = { .mailbox = t->mailbox, .batch = b, .modseq = modseq };
	b->says_again = true;
	(void)tell_all(t, &w);
}

/* ---- live ---- */

/* What was not there at the look before, though its name is much older, came late. */
void late_ops_keep_old(struct tail *t, const struct kept_rows *rows)
{
	int64_t old_ms = t->mailbox->seen_ms - STORE_TAIL_MS / 2;
	t->others = (struct kept_rows){ 0 };
	t->others_are_old = true;
	for (size_t i = 0; i < rows->count; i++) {
		const struct catalog_row *row = &rows->items[i].row;
		struct row_op_value v;
		if (row->kind == CATALOG_OP && (int64_t)name_ms(row->name) < old_ms &&
			row_op_decode(row->value, &v) == ERR_NONE &&
			(v.op == ROW_EXPUNGE || v.op == ROW_FLAGS || v.op == ROW_VOID ||
				v.op == ROW_VOID_BATCH))
			tail_keep_row(t->arena, &t->others, row);
	}
}

enum err late_ops_say_old(struct op *op, const struct tail *t)
{
	struct mailbox *m = t->mailbox;
	uint64_t modseq = 0;
	if (!late_ops_are_there(t))
		return ERR_NONE;
	struct batch *b = batch_new(m->user);
	mailbox_claim(b, m);
	late_ops_put(b, t, &modseq);
	return user_write(op, m->user, b);
}
