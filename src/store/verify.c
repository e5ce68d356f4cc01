/* SPDX-License-Identifier: Apache-2.0 */
/* Proof that local state is only a shortcut: a fresh fold of every row gives the same mailbox; behind the
 * base, once op rows were dropped that it covers. */
#include "store/store_private.h"

static enum err fold_row(struct op *op, const struct catalog_row *row, void *arg)
{
	enum err e = index_fold(arg, row);
	task_breathe();
	return e == ERR_NONE ? e : op_fail(op, e, "a journal row cannot be folded");
}

static enum err compare(struct op *op, const struct index *here, const struct index *fresh)
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

static enum err verify_locked(struct op *op, struct mailbox *m)
{
	static const struct catalog_name all;
	struct user *u = m->user;
	const struct user_base *base = user_base_of(u, m->guid);
	struct index *fresh = NULL;
	/* Op rows that are gone, and flags without a journal, are in the base alone. */
	if (base && (base->head.has_own_flags || !name_is_none(base->head.dropped)))
		TRY(base_read(op, m, &fresh));
	else
		fresh = index_new(m->guid);
	enum err e = catalog_read_rows(op, u->store->catalog, u->name, m->guid, 0,
		user_last_bucket(u, m->guid), all, fold_row, fresh);
	if (e == ERR_NONE) {
		/* Numbers that only the heads keep: UIDs that were burned before the last close. */
		index_raise(fresh, index_next_uid(m->index), index_modseq(m->index));
		e = compare(op, m->index, fresh);
	}
	index_free(fresh);
	return e;
}

enum err mailbox_verify(struct op *op, struct mailbox *m)
{
	CHECK(m, MAILBOX_MAGIC);
	TRY(flags_journal_flush(op, m));
	TRY(mailbox_write_begin(op, m));
	enum err e = ERR_NONE;
	if (!catalog_is_atomic(m->user->store->catalog)) { /* what others wrote is no difference */
		e = user_read_heads(op, m->user);
		if (e == ERR_NONE)
			e = mailbox_merge(op, m, false);
	}
	if (e == ERR_NONE)
		e = m->pending.n > 0 ? op_fail(op, ERR_CONFLICT, "flags are changing")
				     : verify_locked(op, m);
	mailbox_write_end(m);
	return e;
}
