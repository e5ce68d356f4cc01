/* SPDX-License-Identifier: Apache-2.0 */
/* What fault_test.c does while requests fail: one scenario a way to change mailboxes, and what must hold
 * whether it was acknowledged or not. Included by fault_test.c only. */
#pragma once

#include "store/world_test.h"

#define MAILS     4
#define NAMED_MAX 4000
#define MANY      120 /* mails: more than a group of rows */

struct fault {
	bool hits_objects;
	bool after_doing, from_there, is_late;
	int64_t at;
};

/* Everything ever seen: one content for each (mailbox, UID). */
struct named {
	struct catalog_guid mailbox;
	uint32_t uid;
	char word[16];
};
struct run {
	struct world *w;
	struct named *named;
	size_t named_count;
	/* per mailbox name: the last look */
	size_t inbox, sent, other;
	uint64_t modseq[3];
	uint32_t next_uid[3];
	size_t seen[MAILS + 2]; /* of "m0".."m3", "new" anywhere */
	bool is_fresh;          /* "new" may exist */
};

static const char *const box_names[] = { "INBOX", "Sent", "other" };

static inline void see(struct run *r, struct catalog_guid mailbox, uint32_t uid, struct str word)
{
	for (size_t i = 0; i < r->named_count; i++)
		if (r->named[i].uid == uid &&
			memcmp(&r->named[i].mailbox, &mailbox, sizeof(mailbox)) == 0) {
			assert_str(word, str_from(r->named[i].word));
			return;
		}
	assert_true(r->named_count < NAMED_MAX);
	struct named *n = &r->named[r->named_count++];
	*n = (struct named){ .mailbox = mailbox, .uid = uid };
	(void)snprintf(n->word, sizeof(n->word), "%.*s", STRF(word));
}

static inline struct str subject_of(struct str body)
{
	struct str line, rest = body;
	assert_true(str_cut_line(&rest, &line) && str_cut_line(&rest, &line));
	assert_true(str_skip(&line, STR("Subject: ")));
	return line;
}

static inline size_t look_at(struct run *r, size_t which)
{
	struct world *w = r->w;
	struct mailbox *m;
	enum err e = mailbox_open(&w->op, w->user, str_from(box_names[which]), &m);
	if (e == ERR_NOT_FOUND)
		return 0;
	assert_ok(e);
	struct view *v = world_view(w, m);
	size_t count = view_exists(v);
	for (uint32_t seq = 1; seq <= count; seq++) {
		struct mail mail;
		struct str body;
		assert_true(view_get(v, seq, &mail));
		assert_ok(view_read_body(&w->op, v, &mail, &body));
		struct str word = subject_of(body);
		see(r, m->guid, mail.uid, word);
		r->seen[str_eq(word, STR("new")) ? MAILS : (size_t)(word.p[1] - '0')]++;
	}
	assert_true(index_modseq(m->index) >= r->modseq[which]);
	assert_true(index_next_uid(m->index) >= r->next_uid[which]);
	r->modseq[which] = index_modseq(m->index);
	r->next_uid[which] = index_next_uid(m->index);
	view_close(v);
	e = mailbox_verify(&w->op, m);
	if (e != ERR_NONE) {
		fprintf(stderr, "%s: %s\n", box_names[which], w->op.failure.text);
		fail();
	}
	mailbox_unref(m);
	return count;
}

static inline void look(struct run *r)
{
	memset(r->seen, 0, sizeof(r->seen));
	r->inbox = look_at(r, 0);
	r->sent = look_at(r, 1);
	r->other = look_at(r, 2);
}

/* Remembers what sessions were told last, to compare with after the crash. */
static inline void note_told(struct run *r)
{
	for (size_t i = 0; i < ARRAY_COUNT(box_names); i++) {
		const struct tree_node *node = tree_find(&r->w->user->tree, str_from(box_names[i]));
		struct mailbox *m = node ? user_find_mailbox(r->w->user, node->guid) : NULL;
		if (!m || m->state != OPEN)
			continue;
		r->modseq[i] = MAX(r->modseq[i], index_modseq(m->index));
		r->next_uid[i] = MAX(r->next_uid[i], index_next_uid(m->index));
	}
}

/* ---- scenarios: act() says what was acknowledged, check() what must then hold ---- */

struct scenario {
	const char *name;
	enum err (*act)(struct run *r);
	void (*check)(struct run *r, bool is_acknowledged);
	void (*prepare)(struct run *r); /* without faults; or NULL: MAILS are in INBOX */
};

static inline void set_faults(struct world *w, const struct fault *f)
{
	struct objects_fault_plan o = { 0 };
	struct catalog_fault_plan c = { 0 };
	if (f && f->hits_objects)
		o = (struct objects_fault_plan){ .fail_at = f->at,
			.fail_after_doing = f->after_doing,
			.fail_from_there = f->from_there };
	else if (f)
		c = (struct catalog_fault_plan){ .fail_at = f->at,
			.fail_after_doing = f->after_doing,
			.fail_late = f->is_late,
			.fail_from_there = f->from_there };
	objects_fault_set(w->objects, &o);
	catalog_fault_set(w->catalog, &c);
}

static inline enum err with_view(struct run *r, enum err (*fn)(struct run *r, struct view *v))
{
	struct mailbox *m;
	struct view *v;
	TRY(mailbox_open(&r->w->op, r->w->user, STR("INBOX"), &m));
	enum err e = view_open(&r->w->op, m, false, &v);
	if (e == ERR_NONE) {
		e = fn(r, v);
		view_close(v);
	}
	mailbox_unref(m);
	return e;
}

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

static inline enum err transfer(struct run *r, struct view *v, bool is_move)
{
	struct mailbox *sent;
	struct copy_result result;
	TRY(mailbox_open(&r->w->op, r->w->user, STR("Sent"), &sent));
	struct range_set some = world_set(2, 3);
	enum err e = view_copy(&r->w->op, v, &some, sent, is_move, &result);
	if (e == ERR_NONE) {
		see(r, sent->guid, result.target_uids[0], STR("m1"));
		see(r, sent->guid, result.target_uids[1], STR("m2"));
	}
	range_set_done(&some);
	mailbox_unref(sent);
	return e;
}

static inline enum err transfer_all(struct run *r, struct view *v, bool is_move)
{
	struct mailbox *sent;
	struct copy_result result;
	TRY(mailbox_open(&r->w->op, r->w->user, STR("Sent"), &sent));
	struct range_set all = world_set(1, view_exists(v));
	enum err e = view_copy(&r->w->op, v, &all, sent, is_move, &result);
	range_set_done(&all);
	mailbox_unref(sent);
	return e;
}

static inline enum err copy_all_in_view(struct run *r, struct view *v)
{
	return transfer_all(r, v, false);
}

static inline enum err move_all_in_view(struct run *r, struct view *v)
{
	return transfer_all(r, v, true);
}

static inline enum err copy_in_view(struct run *r, struct view *v)
{
	return transfer(r, v, false);
}

static inline enum err move_in_view(struct run *r, struct view *v)
{
	return transfer(r, v, true);
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

static const struct scenario scenarios[] = {
	{ "append", act_append, check_append, NULL },
	{ "multiappend", act_multiappend, check_multiappend, NULL },
	{ "copy", act_copy, check_copy, NULL },
	{ "move", act_move, check_move, NULL },
	{ "expunge", act_expunge, check_expunge, NULL },
	{ "flags", act_flags, check_flags, NULL },
	{ "create", act_create, check_create, NULL },
	{ "rename", act_rename, check_rename, NULL },
	{ "remove", act_remove, check_remove, NULL },
	{ "reopen", act_reopen, check_reopen, NULL },
	{ "collect", act_collect, check_collect, NULL },
	{ "append many", act_append_many, check_append_many, NULL },
	{ "copy many", act_copy_many, check_copy_many, prepare_many },
	{ "move many", act_move_many, check_move_many, prepare_many },
};
