/* SPDX-License-Identifier: Apache-2.0 */
/* Flag changes that reach the journal late: of a host that stood still or was cut off, or that died and comes back.
 * Hosts forget the stamps of changes after STORE_STAMPS_MS; a change with an older one would count only for who reads
 * the whole journal. So it gets a stamp of ANEW_MS ago: later than anything that somebody has forgotten, earlier than
 * what others did in the last minutes. What was changed since is not brought back: only what the mails still show is
 * written. */
#include "store/store_private.h"

#define OLD_MS  (STORE_STAMPS_MS / 2)
#define ANEW_MS (STORE_STAMPS_MS / 4)

bool flags_are_old(
	const struct user *u, struct str groups, size_t keyword_count, uint64_t made_anew)
{
	struct row_flags_group g;
	int64_t oldest_ms = store_name_wall_us(u->store) / US_PER_MS - OLD_MS;
	return row_flags_next(&groups, keyword_count, &g) &&
	       ((int64_t)(g.stamp >> 16) < oldest_ms ||
		       (g.stamp <= u->anew_stamp && made_anew != u->anew_stamp));
}

uint64_t flags_stamp_floor(const struct mailbox *m)
{
	int64_t ms = (int64_t)name_ms(index_cover(m->index));
	if (!catalog_is_atomic(m->user->store->catalog))
		ms = MIN(ms, m->seen_ms);
	return (uint64_t)MAX(ms - STORE_STAMPS_MS, 0) << 16;
}

static struct row_mark *read_marks(struct arena *arena, struct row_flags_group *g)
{
	struct row_mark *marks = ARENA_NEW_ARRAY(arena, struct row_mark, MAX(g->count, 1));
	size_t n = 0;
	while (n < g->count && row_mark_next(ROW_FLAGS, &g->marks, &marks[n]))
		n++;
	return marks;
}

uint64_t flags_make_anew(struct buf *out, struct user *u, struct str groups, size_t keyword_count)
{
	AUTO_ARENA(arena, 0);
	struct row_flags_group g;
	uint64_t oldest = (uint64_t)(store_name_wall_us(u->store) / US_PER_MS - ANEW_MS) << 16;
	uint64_t last = MAX(u->anew_stamp, oldest);
	while (row_flags_next(&groups, keyword_count, &g)) {
		struct row_mark *marks = read_marks(&arena, &g);
		g.stamp = last = MAX(g.stamp, last + 1);
		row_flags_encode_group(out, &g, marks);
	}
	u->anew_stamp = last;
	return last;
}

void flags_each_run(const struct index *x, const struct row_op_value *v, struct row_flags_group *of,
	index_flags_fn *which, flags_run_fn *fn, void *arg)
{
	AUTO_ARENA(arena, 0);
	size_t count = of->count, n = 0;
	struct row_mark *marks = read_marks(&arena, of);
	while (n < count) {
		struct row_flags_group run = *of;
		size_t from = n;
		which(x, v, of, &marks[from], &run.mask, &run.keywords_mask);
		for (n = from + 1; n < count; n++) {
			struct row_flags_group next;
			which(x, v, of, &marks[n], &next.mask, &next.keywords_mask);
			if (next.mask != run.mask || next.keywords_mask != run.keywords_mask)
				break;
		}
		run.count = n - from;
		run.value &= run.mask;
		run.keywords_value &= run.keywords_mask;
		if ((run.mask | run.keywords_mask) != 0)
			fn(arg, &run, marks + from);
	}
}

/* The first flags row of a batch of the journal. */
static bool find_flags(const struct batch *b, size_t *at, struct row_op_value *v)
{
	for (; *at < b->count; (*at)++) {
		const struct catalog_change *c = &b->changes[*at];
		if (c->kind == CATALOG_PUT_ROW && c->row.kind == CATALOG_OP &&
			row_op_decode(c->row.value, v) == ERR_NONE && v->op == ROW_FLAGS)
			return true;
	}
	return false;
}

bool flags_take_back(const struct batch *b)
{
	struct row_op_value v;
	struct mailbox *m = user_find_mailbox(b->user, b->journal);
	size_t at = 0;
	if (b->journalled == 0 || catalog_is_atomic(b->user->store->catalog) || !m ||
		m->serial != b->journal_serial || !m->is_loaded || !find_flags(b, &at, &v) ||
		!flags_are_old(b->user, v.groups, v.keyword_count, b->made_anew))
		return false;
	struct buf groups = { 0 };
	if (m->pending_mails == 0)
		m->pending_since_us = now_us();
	for (; find_flags(b, &at, &v); at++) {
		struct row_flags_group g;
		buf_put(&groups, v.groups);
		while (row_flags_next(&v.groups, v.keyword_count, &g))
			m->pending_mails += g.count;
	}
	buf_put(&groups, buf_str(&m->pending));
	buf_done(&m->pending);
	m->pending = groups;
	m->pending_records += b->journalled;
	m->pending_epoch++;
	flags_journal_arm(m);
	return true;
}

struct telling {
	struct mailbox *mailbox;
	struct buf *out;
	uint64_t modseq;
};

static void tell_run(void *arg, const struct row_flags_group *run, const struct row_mark *marks)
{
	struct telling *t = arg;
	struct row_flags_group g = *run;
	g.modseq = mailbox_next_modseq(t->mailbox, &t->modseq);
	row_flags_encode_group(t->out, &g, marks);
}

void flags_tell_anew(struct buf *out, struct mailbox *m, const struct row_op_value *v)
{
	AUTO_BUF(shown, 0);
	struct telling t = { .mailbox = m, .out = &shown };
	struct str groups = v->groups;
	struct row_flags_group g;
	while (row_flags_next(&groups, v->keyword_count, &g))
		flags_each_run(m->index, v, &g, index_would_stand, tell_run, &t);
	(void)flags_make_anew(out, m->user, buf_str(&shown), v->keyword_count);
}
