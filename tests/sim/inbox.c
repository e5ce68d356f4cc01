/* SPDX-License-Identifier: Apache-2.0 */
/* RENAME of INBOX (RFC 9051 §6.3.6): its mails move to a new mailbox, INBOX stays and is empty. Which mails
 * these are is known only if nothing else runs and nothing is in doubt: else the step is left out. */
#include "session.h"

/* What is there, as a move into a mailbox that nobody knows yet. NULL: something is in doubt. */
static struct intent *plan(struct session *s, struct mailbox *inbox)
{
	struct view *v;
	struct mail mail;
	struct known_box *box = session_box(inbox);
	if (view_open(&s->op, inbox, false, &v) != ERR_NONE)
		return NULL;
	uint32_t count = view_exists(v);
	bool is_sure = count <= SESSION_MIRROR / 2;
	struct intent *in = intent_begin(NULL, box, true, count);
	for (uint32_t seq = 1; is_sure && view_get(v, seq, &mail); seq++) {
		struct known_mail *k = ledger_see(box, inbox, &mail);
		is_sure = k->state == KNOWN_MUST && k->storing == 0 && !k->may_be_expunged;
		in->mails[seq - 1] = (struct intent_mail){ .word = k->word,
			.source_uid = mail.uid,
			.flags = k->flags,
			.open = k->open,
			.changes = k->changes };
	}
	view_close(v);
	if (is_sure)
		return in;
	mem_free(in->mails);
	mem_free(in);
	return NULL;
}

/* The UIDs that they have now, in order. NULL: nobody can tell, the catalog is away. */
static uint32_t *uids_of(struct session *s, const struct intent *in, struct mailbox *target)
{
	uint32_t *uids = ARENA_NEW_ARRAY(&s->arena, uint32_t, MAX(in->count, 1));
	struct view *v;
	struct mail mail;
	if (view_open(&s->op, target, false, &v) != ERR_NONE)
		return NULL;
	if (view_exists(v) != in->count)
		sim_fail("%zu mails were in INBOX, %" PRIu32 " are where it was renamed to",
			in->count, view_exists(v));
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++)
		uids[seq - 1] = mail.uid;
	view_close(v);
	return uids;
}

/* The target was created: what became of the mails. */
static void settle(
	struct session *s, struct intent *in, struct mailbox *inbox, size_t to, enum err e)
{
	struct user *u = s->process->user;
	const struct tree_node *node = tree_find(&u->tree, str_from(tree_names[to]));
	struct mailbox *target = NULL;
	const uint32_t *uids = NULL;
	in->target =
		ledger_box_of(sim_world->ledger, node->guid, node->uid_validity, tree_names[to]);
	if (e == ERR_NONE && index_counters(inbox->index).messages != 0)
		sim_fail("INBOX was renamed, and is not empty");
	if (e == ERR_NONE)
		e = mailbox_open(&s->op, u, str_from(tree_names[to]), &target);
	if (e == ERR_NONE)
		uids = uids_of(s, in, target);
	intent_end(in, target, uids ? ERR_NONE : ERR_UNAVAILABLE, uids);
	if (target)
		mailbox_unref(target);
}

static void run(struct session *s, struct intent *in, struct mailbox *inbox, size_t to)
{
	struct ledger *l = sim_world->ledger;
	struct user *u = s->process->user;
	intent_run(in);
	l->tree_is_busy = true;
	l->tree_after = l->tree;
	enum err e = tree_rename(&s->op, u, STR("INBOX"), str_from(tree_names[to]));
	l->tree_is_busy = false;
	session_trace(s,
		str_printf(&s->arena, "rename INBOX, %zu mails, to %s%c", in->count, tree_names[to],
			'\0')
			.p,
		e);
	if (tree_find(&u->tree, str_from(tree_names[to]))) {
		l->tree.exists |= 1u << to;
		settle(s, in, inbox, to, e);
		return;
	}
	if (!is_doubtful(e))
		sim_fail("rename INBOX %s: not what was to be expected", tree_names[to]);
	l->tree_is_doubtful = true;
	l->tree_after = l->tree;
	l->tree_after.exists |= 1u << to;
	intent_end(in, NULL, ERR_NOT_FOUND, NULL); /* nothing was moved before that is certain */
}

void rename_inbox_step(struct session *s)
{
	struct ledger *l = sim_world->ledger;
	size_t to = 3 + (size_t)random_below(TREE_NAMES - 3);
	enum err e;
	if (sim_world->is_both || l->steps_running > 1 || l->intent_count > 0 || l->tree_is_busy ||
		l->tree_is_doubtful || (l->tree.exists >> to & 1))
		return;
	struct mailbox *inbox = session_open(s, 0, &e);
	if (!inbox)
		return;
	l->is_alone = true;
	struct intent *in = NULL;
	if (l->intent_count == 0 && l->steps_running == 1 && !l->tree_is_busy)
		in = plan(s, inbox);
	if (in) {
		sim_did(DID_RENAME_INBOX);
		run(s, in, inbox, to);
	}
	l->is_alone = false;
	mailbox_unref(inbox);
}
