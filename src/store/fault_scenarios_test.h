/* SPDX-License-Identifier: Apache-2.0 */
/* What fault_test.c does while requests fail: one scenario a way to change mailboxes, and what must hold
 * whether it was acknowledged or not. Included by fault_test.c only. */
#pragma once

#include "store/fault_test.h"

static inline enum err act_append(struct run *r)
{
	struct mailbox *m;
	uint32_t uid;
	r->is_fresh = true;
	TRY(mailbox_open(&r->w->op, r->w->user, STR("INBOX"), &m));
	enum err e = world_try_append(r->w, m, "new", &uid);
	if (e == ERR_NONE)
		see(r, m->guid, uid, STR("new"));
	mailbox_unref(m);
	return e;
}

static inline void check_append(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox, MAILS + r->seen[MAILS]);
	assert_true(r->seen[MAILS] <= 1);
	if (is_acknowledged)
		assert_int_equal(r->seen[MAILS], 1);
}

static inline enum err append_some(struct run *r, size_t count)
{
	struct mailbox *m;
	struct append some[MANY];
	struct append_result result;
	r->is_fresh = true;
	for (size_t i = 0; i < count; i++)
		some[i] = (struct append){ .message = world_mail(r->w, "new") };
	TRY(mailbox_open(&r->w->op, r->w->user, STR("INBOX"), &m));
	enum err e = mailbox_append(&r->w->op, m, some, count, &result);
	for (size_t i = 0; e == ERR_NONE && i < count; i++)
		see(r, m->guid, result.uids[i], STR("new"));
	mailbox_unref(m);
	return e;
}

static inline enum err act_multiappend(struct run *r)
{
	return append_some(r, 3);
}

static inline enum err act_append_many(struct run *r)
{
	return append_some(r, MANY);
}

static inline void check_all_or_none(struct run *r, bool is_acknowledged, size_t count)
{
	assert_true(r->seen[MAILS] == count || (!is_acknowledged && r->seen[MAILS] == 0));
	assert_int_equal(r->inbox, MAILS + r->seen[MAILS]);
}

static inline void check_multiappend(struct run *r, bool is_acknowledged)
{
	check_all_or_none(r, is_acknowledged, 3);
}

static inline void check_append_many(struct run *r, bool is_acknowledged)
{
	check_all_or_none(r, is_acknowledged, MANY);
}

static inline void prepare_many(struct run *r)
{
	struct mailbox *m = world_box(r->w, "INBOX");
	struct append some[MANY];
	struct append_result result;
	for (size_t i = 0; i < MANY; i++)
		some[i] = (struct append){ .message = world_mail(r->w, "m3") };
	assert_ok(mailbox_append(&r->w->op, m, some, MANY, &result));
	mailbox_unref(m);
}

static inline enum err act_copy(struct run *r)
{
	return with_view(r, copy_in_view);
}

static inline void check_copy(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox, MAILS);
	assert_true(r->sent == 2 || (!is_acknowledged && r->sent == 0));
}

static inline enum err act_move(struct run *r)
{
	return with_view(r, move_in_view);
}

static inline void check_move(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox + r->sent, MAILS);
	assert_true(r->sent == 2 || (!is_acknowledged && r->sent == 0));
	for (size_t i = 0; i < MAILS; i++)
		assert_int_equal(r->seen[i], 1);
}

static inline enum err act_move_within(struct run *r)
{
	return with_view(r, move_within_view);
}

/* The copy counts with the expunge, or neither. */
static inline void check_move_within(struct run *r, bool is_acknowledged)
{
	(void)is_acknowledged;
	assert_int_equal(r->inbox, MAILS);
	for (size_t i = 0; i < MAILS; i++)
		assert_int_equal(r->seen[i], 1);
}

static inline enum err act_copy_many(struct run *r)
{
	return with_view(r, copy_all_in_view);
}

static inline void check_copy_many(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox, MAILS + MANY);
	assert_true(r->sent == MAILS + MANY || (!is_acknowledged && r->sent == 0));
}

static inline enum err act_move_many(struct run *r)
{
	return with_view(r, move_all_in_view);
}

static inline void check_move_many(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox + r->sent, MAILS + MANY);
	assert_true(r->sent == MAILS + MANY || (!is_acknowledged && r->sent == 0));
}

static inline enum err expunge_in_view(struct run *r, struct view *v)
{
	struct store_flags change = {
		.change = FLAGS_ADD, .flags = MAIL_DELETED, .unchanged_since = UINT64_MAX
	};
	struct range_set seqs = world_set(1, 2);
	enum err e = view_store_flags(&r->w->op, v, &seqs, &change, NULL);
	range_set_done(&seqs);
	TRY(e);
	return view_expunge(&r->w->op, v, NULL);
}

static inline enum err act_expunge(struct run *r)
{
	return with_view(r, expunge_in_view);
}

static inline void check_expunge(struct run *r, bool is_acknowledged)
{
	assert_true(r->inbox == MAILS - 2 || (!is_acknowledged && r->inbox == MAILS));
	assert_int_equal(r->seen[0], r->seen[1]);
	assert_int_equal(r->seen[2] + r->seen[3], 2);
}

static inline enum err flags_in_view(struct run *r, struct view *v)
{
	return world_try_flags(r->w, v, 1, 4, FLAGS_REPLACE, MAIL_FLAGGED);
}

static inline enum err act_flags(struct run *r)
{
	r->w->store->settings.flags_journal = STORE_FLAGS_SYNC;
	return with_view(r, flags_in_view);
}

static inline void check_flags(struct run *r, bool is_acknowledged)
{
	struct mailbox *m = world_box(r->w, "INBOX");
	unsigned first = index_hot(m->index, 0)->flags;
	for (uint32_t i = 0; i < MAILS; i++)
		assert_int_equal(index_hot(m->index, i)->flags, first);
	assert_true(first == MAIL_FLAGGED || (!is_acknowledged && first == 0));
	mailbox_unref(m);
}

static inline enum err act_create(struct run *r)
{
	return tree_create(&r->w->op, r->w->user, STR("new"), STR("\\Drafts"));
}

static inline void check_create(struct run *r, bool is_acknowledged)
{
	struct tree_entry e;
	enum err found = tree_lookup(&r->w->op, r->w->user, STR("new"), &e);
	assert_true(found == ERR_NONE || (!is_acknowledged && found == ERR_NOT_FOUND));
	assert_int_equal(r->inbox, MAILS);
}

static inline enum err act_rename(struct run *r)
{
	return tree_rename(&r->w->op, r->w->user, STR("INBOX"), STR("other"));
}

static inline void check_rename(struct run *r, bool is_acknowledged)
{
	assert_int_equal(r->inbox + r->other, MAILS);
	assert_true(r->other == MAILS || (!is_acknowledged && r->other == 0));
}

static inline enum err act_remove(struct run *r)
{
	struct mailbox *m;
	uint32_t uid;
	TRY(tree_create(&r->w->op, r->w->user, STR("other"), STR("")));
	TRY(mailbox_open(&r->w->op, r->w->user, STR("other"), &m));
	enum err e = world_try_append(r->w, m, "m3", &uid);
	if (e == ERR_NONE)
		e = tree_remove(&r->w->op, r->w->user, STR("other"));
	mailbox_unref(m);
	return e;
}

static inline void check_remove(struct run *r, bool is_acknowledged)
{
	struct tree_entry e;
	assert_int_equal(r->inbox, MAILS);
	if (is_acknowledged)
		assert_err(tree_lookup(&r->w->op, r->w->user, STR("other"), &e), ERR_NOT_FOUND);
}

/* Opening itself meets the faults: it may fail, and never makes up an empty user. */
static inline enum err act_reopen(struct run *r)
{
	struct world *w = r->w;
	struct mailbox *m;
	user_unref(w->user);
	w->user = NULL;
	/* With a change that cannot be settled he is not closed. */
	for (int i = 0; i < 5 && (w->store->users.count > 0 || w->store->background > 0); i++) {
		struct user *u = LIST_FIRST(&w->store->idle_users, struct user, idle_link);
		if (u)
			idle_user_close(u);
		assert_ok(task_sleep(&w->op, (60 * US_PER_SEC)));
	}
	TRY(user_open(&w->op, w->store, STR("u1@example.test"), &w->user));
	TRY(mailbox_open(&w->op, w->user, STR("INBOX"), &m));
	assert_int_equal(index_counters(m->index).messages, MAILS);
	mailbox_unref(m);
	return ERR_NONE;
}

static inline void check_reopen(struct run *r, bool is_acknowledged)
{
	(void)is_acknowledged;
	assert_int_equal(r->inbox, MAILS);
}

/* Expunge, then collect: bodies that are still named stay readable (look() reads them all). */
static inline enum err collect_in_view(struct run *r, struct view *v)
{
	uint64_t deleted;
	TRY(transfer(r, v, false));
	TRY(expunge_in_view(r, v));
	return world_try_collect(r->w, -US_PER_SEC, &deleted);
}

static inline enum err act_collect(struct run *r)
{
	return with_view(r, collect_in_view);
}

static inline void check_collect(struct run *r, bool is_acknowledged)
{
	if (is_acknowledged)
		assert_int_equal(r->inbox + r->sent, MAILS);
	assert_true(r->sent == 0 || r->sent == 2);
}
