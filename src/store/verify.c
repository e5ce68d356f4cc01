/* SPDX-License-Identifier: Apache-2.0 */
/* Proof that local state is only a shortcut: a fresh fold of every row gives the same mailbox, to the byte
 * (index/canonical.c says of which bytes); behind the base, once op rows were dropped that it covers. */
#include "store/store_private.h"

#define LOOKS 3

static enum err fold_row(struct op *op, const struct catalog_row *row, void *arg)
{
	enum err e = index_fold(arg, row);
	task_breathe();
	return e == ERR_NONE ? e : op_fail(op, e, "a journal row cannot be folded");
}

/* What differs, in words. */
static enum err compare_texts(struct op *op, const struct index *here, const struct index *fresh)
{
	AUTO_BUF(ours, 0);
	AUTO_BUF(theirs, 0);
	index_describe(here, &ours);
	index_describe(fresh, &theirs);
	struct str a = buf_str(&ours), b = buf_str(&theirs), line_a, line_b;
	while (str_cut_line(&a, &line_a)) {
		if (!str_cut_line(&b, &line_b))
			line_b = STR("nothing");
		if (!str_eq(line_a, line_b))
			return op_fail(op, ERR_CORRUPT,
				"mailbox has \"%.*s\", its journal \"%.*s\"",
				STRF(str_slice(line_a, 0, 180)), STRF(str_slice(line_b, 0, 180)));
	}
	if (str_cut_line(&b, &line_b))
		return op_fail(op, ERR_CORRUPT, "only in the journal: \"%.*s\"",
			STRF(str_slice(line_b, 0, 180)));
	return ERR_NONE;
}

struct comparison {
	const struct index *index[2]; /* here, fresh */
	struct index_canonical floors;
	struct index_keyword_order order[2];
	struct buf bytes[2];
};

static bool is_same(struct comparison *c)
{
	bool same = str_eq(buf_str(&c->bytes[0]), buf_str(&c->bytes[1]));
	buf_clear(&c->bytes[0]);
	buf_clear(&c->bytes[1]);
	return same;
}

/* WAITS. What is not the same to the byte; NULL: all is. */
static const char *find_difference(struct comparison *c)
{
	const char *name = NULL;
	size_t fact = 0;
	uint32_t uid[2] = { 1, 1 };
	do {
		for (int i = 0; i < 2; i++)
			name = index_canonical_fact(
				c->index[i], &c->floors, &c->order[i], fact, &c->bytes[i]);
		if (!is_same(c))
			return name;
		fact++;
	} while (name);
	while (uid[0] != 0) {
		uint32_t from = uid[0];
		for (int i = 0; i < 2; i++)
			uid[i] = index_canonical_records(
				c->index[i], &c->order[i], from, &c->bytes[i]);
		if (!is_same(c))
			return "mails";
		task_breathe();
	}
	return NULL;
}

/* WAITS. */
static enum err compare(struct op *op, struct mailbox *m, const struct index *fresh)
{
	struct comparison c = { .index = { m->index, fresh } };
	for (int i = 0; i < 2; i++) {
		index_canonical_floors(c.index[i], &c.floors);
		c.order[i] = index_canonical_keywords(c.index[i]);
	}
	const char *what = find_difference(&c);
	buf_done(&c.bytes[0]);
	buf_done(&c.bytes[1]);
	if (!what)
		return ERR_NONE;
	if (m->pending.n > 0)
		return op_fail(op, ERR_CONFLICT, "flags are changing");
	TRY(compare_texts(op, m->index, fresh));
	return op_fail(op, ERR_CORRUPT, "mailbox and journal differ in: %s", what);
}

static enum err verify_locked(struct op *op, struct mailbox *m)
{
	static const struct catalog_name all;
	struct user *u = m->user;
	const struct user_base *base = user_base_of(u, m->guid);
	struct index *fresh = NULL;
	/* Op rows that are gone, and flags without a journal, are in the base alone. */
	if (base && (base->head.has_own_flags || !name_is_none(user_dropped(u, m->guid))))
		TRY(base_read(op, m, &fresh));
	else
		fresh = index_new(m->guid);
	enum err e = catalog_read_rows(op, u->store->catalog, u->name, m->guid, 0,
		user_last_bucket(u, m->guid), all, fold_row, fresh);
	if (e == ERR_NONE) {
		/* Numbers that only the heads keep: UIDs that were burned before the last close. */
		index_raise(fresh, index_next_uid(m->index), index_modseq(m->index));
		e = compare(op, m, fresh);
	}
	index_free(fresh);
	return e;
}

/* With what others wrote: that is no difference. */
static enum err look_and_verify(struct op *op, struct mailbox *m)
{
	if (!catalog_is_atomic(m->user->store->catalog)) {
		TRY(user_read_heads(op, m->user));
		TRY(mailbox_merge(op, m, false));
	}
	if (mailbox_lacks_flags(m))
		return op_fail(op, ERR_CONFLICT, "another host's base has flags that are not here");
	return m->pending.n > 0 ? op_fail(op, ERR_CONFLICT, "flags are changing")
				: verify_locked(op, m);
}

enum err mailbox_verify(struct op *op, struct mailbox *m)
{
	CHECK(m, MAILBOX_MAGIC);
	TRY(flags_journal_flush(op, m));
	TRY(mailbox_write_begin(op, m));
	enum err e = ERR_CORRUPT;
	/* Others may write between the look and the fold: only what differs every time is a difference. */
	int looks = catalog_is_atomic(m->user->store->catalog) ? 1 : LOOKS;
	for (int i = 0; i < looks && e == ERR_CORRUPT; i++) {
		op_forgive(op);
		e = look_and_verify(op, m);
	}
	mailbox_write_end(m);
	return e;
}
