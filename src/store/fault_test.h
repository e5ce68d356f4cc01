/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests with failing requests share: what was ever seen in a user's mailboxes, and looks at them.
 * Included by fault*_test.[ch] only. */
#pragma once

#include "store/scenario_test.h"

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

/* act() says what was acknowledged, check() what must then hold. */
struct scenario {
	const char *name;
	enum err (*act)(struct run *r);
	void (*check)(struct run *r, bool is_acknowledged);
	void (*prepare)(struct run *r); /* without faults; or NULL: MAILS are in INBOX */
	bool removes;                   /* mails that were there, if it is carried out */
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

static inline enum err transfer_to(struct run *r, struct view *v, struct str name, bool is_move)
{
	struct mailbox *target;
	struct copy_result result;
	TRY(mailbox_open(&r->w->op, r->w->user, name, &target));
	struct range_set some = world_set(2, 3);
	enum err e = view_copy(&r->w->op, v, &some, target, is_move, &result);
	if (e == ERR_NONE) {
		see(r, target->guid, result.target_uids[0], STR("m1"));
		see(r, target->guid, result.target_uids[1], STR("m2"));
	}
	range_set_done(&some);
	mailbox_unref(target);
	return e;
}

static inline enum err transfer(struct run *r, struct view *v, bool is_move)
{
	return transfer_to(r, v, STR("Sent"), is_move);
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

static inline enum err move_within_view(struct run *r, struct view *v)
{
	return transfer_to(r, v, STR("INBOX"), true);
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
