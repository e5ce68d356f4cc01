/* SPDX-License-Identifier: Apache-2.0 */
/* A look at everything while nothing else happens: ends all doubts, each of them in one of the ways that
 * it may end, and finds the rest exactly as it was promised. */
#include "ledger.h"

struct looking {
	struct process *process;
	struct ledger *ledger;
	struct arena arena; /* of a mailbox */
	struct op op;
	bool late_may_come, doubts_stay;
};

/* ---- names ---- */

static struct tree_state read_tree(struct looking *k)
{
	struct tree_state t = { 0 };
	struct tree_entry *entries;
	size_t count;
	sim_must(&k->op, tree_list(&k->op, k->process->user, &entries, &count), "listing names");
	for (size_t i = 0; i < count; i++) {
		unsigned bit = 0;
		for (size_t n = 0; n < TREE_NAMES; n++)
			if (str_eq(entries[i].name, str_from(tree_names[n])))
				bit = 1u << n;
		if (!bit)
			sim_fail("there is a mailbox %.*s", STRF(entries[i].name));
		t.exists |= entries[i].flags & TREE_SELECTABLE ? bit : 0;
		t.subscribed |= entries[i].flags & TREE_SUBSCRIBED ? bit : 0;
	}
	return t;
}

static bool trees_agree(struct tree_state a, struct tree_state b)
{
	return a.exists == b.exists && a.subscribed == b.subscribed;
}

static void look_at_tree(struct looking *k)
{
	struct ledger *l = k->ledger;
	struct tree_state now = read_tree(k);
	if (!trees_agree(now, l->tree) && !(l->tree_is_doubtful && trees_agree(now, l->tree_after)))
		sim_fail("names %x (subscribed %x), %x (%x) were promised", now.exists,
			now.subscribed, l->tree.exists, l->tree.subscribed);
	l->tree = now;
	/* A change that has not come may still do so, also after another that was acknowledged. */
	l->tree_is_doubtful = l->tree_is_doubtful && !trees_agree(now, l->tree_after) &&
			      late_names_may_come(k->process);
}

/* ---- a mailbox ---- */

static void look_at_mail(
	struct looking *k, struct known_box *box, struct view *v, const struct mail *mail)
{
	struct arena_mark mark = arena_mark(&k->arena);
	struct str body;
	struct known_mail *known = ledger_see(box, v->mailbox, mail);
	sim_must(&k->op, view_read_body(&k->op, v, mail, &body), "reading a mail");
	if (!str_eq(body, word_mail(&k->arena, known->word)))
		sim_fail("%s: UID %" PRIu32 " reads as another mail than w%" PRIu32, box->name,
			mail->uid, known->word);
	if (known->was_seen || known->uid != mail->uid)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32 ") was told at UID %" PRIu32
			 ", or is there twice",
			box->name, mail->uid, known->word, known->uid);
	known->was_seen = true;
	unsigned kept = unshared_bits(known, v->mailbox);
	known->flags = (known->flags & kept) | (mail_flags(v->mailbox, mail) & ~kept);
	known->open &= k->doubts_stay ? ALL_FLAGS : kept;
	known->risk = 0;
	arena_rewind(&k->arena, mark);
}

/* Without a flags journal a host that lives may lack those that another one's base alone has, and knows that it does;
 * until it opens the mailbox anew. */
static bool lacks_flags(const struct mailbox *m)
{
	return sim_world->is_both && sim_world->journal == STORE_FLAGS_OFF &&
	       process_of(m)->had_sessions && mailbox_lacks_flags(m);
}

static void check_status(const struct mailbox_status *status, const struct known_box *box,
	struct view *v, uint64_t told_modseq)
{
	struct mailbox_status told;
	uint32_t unseen = 0, deleted = 0, messages = 0;
	struct mail mail;
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++) {
		messages++;
		unseen += !(mail.flags & MAIL_SEEN);
		deleted += (mail.flags & MAIL_DELETED) != 0;
	}
	view_status(v, &told);
	bool is_other = status->unseen != unseen || status->deleted != deleted;
	if (status->messages != messages || (is_other && !lacks_flags(v->mailbox)))
		sim_fail("%s: STATUS says %" PRIu32 " mails, %" PRIu32 " unseen, %" PRIu32
			 " deleted; there are %" PRIu32 ", %" PRIu32 ", %" PRIu32,
			box->name, status->messages, status->unseen, status->deleted, messages,
			unseen, deleted);
	if (status->uid_next != told.uid_next || status->highest_modseq < told_modseq)
		sim_fail("%s: STATUS says UIDNEXT %" PRIu32 ", modseq %" PRIu64 "; it is %" PRIu32
			 ", %" PRIu64 " was told",
			box->name, status->uid_next, status->highest_modseq, told.uid_next,
			told_modseq);
}

/* A process that lives alone has seen all that others told. */
static void see_numbers(struct known_box *box, struct mailbox *m, struct view *v)
{
	ledger_see_numbers(box, m, index_next_uid(m->index), view_highest_modseq(v));
	struct told now = *box_told(box, m);
	for (size_t i = 1; i < TOLD_MAX && sim_world->is_both && !process_of(m)->had_sessions; i++)
		if (box->told[i].next_uid > now.next_uid || box->told[i].modseq > now.modseq)
			sim_fail("%s: UIDNEXT %" PRIu32 ", HIGHESTMODSEQ %" PRIu64
				 "; p%d told %" PRIu32 " and %" PRIu64,
				box->name, now.next_uid, now.modseq, box->told[i].process,
				box->told[i].next_uid, box->told[i].modseq);
	if (!process_of(m)->had_sessions) {
		box->told[0].next_uid = now.next_uid;
		box->told[0].modseq = now.modseq;
	}
}

/* WAITS. */
static void verify(struct looking *k, struct mailbox *m, const char *name)
{
	enum err e = mailbox_verify(&k->op, m);
	if (e == ERR_CONFLICT && lacks_flags(m))
		op_forgive(&k->op);
	else
		sim_must(&k->op, e, name);
}

static void look_at_box(struct looking *k, const char *name)
{
	struct mailbox *m;
	struct view *v;
	struct mail mail;
	struct mailbox_status status, again;
	struct user *u = k->process->user;
	/* Of a mailbox that is not open the heads may know it. */
	sim_must(&k->op, mailbox_status(&k->op, u, str_from(name), &status), "STATUS");
	sim_must(&k->op, mailbox_open(&k->op, k->process->user, str_from(name), &m), name);
	struct known_box *box = ledger_box(k->ledger, m, name);
	sim_must(&k->op, view_open(&k->op, m, false, &v), name);
	box->was_seen = true;
	uint64_t told = box_told(box, m)->modseq; /* before: whoever takes over goes higher */
	see_numbers(box, m, v);
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++)
		look_at_mail(k, box, v, &mail);
	if (!k->late_may_come &&
		!late_came()) /* the heads of a mailbox that nobody opened since do not know */
		check_status(&status, box, v, told);
	sim_must(&k->op, mailbox_status(&k->op, u, str_from(name), &again), "STATUS");
	check_status(&again, box, v, box_told(box, m)->modseq);
	client_return(k->ledger, box, v);
	view_close(v);
	verify(k, m, name);
	mailbox_unref(m);
	arena_reset(&k->arena);
}

/* ---- doubts ---- */

/* One of two moves in doubt was not known when the other began: then the mail is in both targets. */
static bool may_move_twice(void)
{
	return sim_world->is_both || late_came();
}

/* Somebody came between who may have taken the mover for dead, before late rows showed that all was copied; or an
 * hour went by. Then the mail stays in both (src/store/moves.c). */
static bool may_stay_in_both(const struct intent *i)
{
	bool came_between = sim_world->process_count >= i->process_count + 2;
	bool is_old = now_us() - i->began_us + CLOCKS_APART_US > INT64_C(3600) * US_PER_SEC;
	return (late_came() && came_between) || is_old;
}

/* Mails that were to be moved: each is in one place. */
static void end_move(const struct intent *i)
{
	for (size_t n = 0; n < i->count; n++) {
		struct known_mail *from = box_find(i->source, i->mails[n].source_uid);
		from->movers--;
		if (i->source->is_removed || i->state != INTENT_DONE)
			continue;
		if ((from->was_seen && !may_stay_in_both(i)) ||
			(from->was_moved && !may_move_twice()))
			sim_fail("%s: UID %" PRIu32 " (w%" PRIu32
				 ") was moved to %s and is still there, or moved twice",
				i->source->name, from->uid, from->word, i->target->name);
		from->was_moved = true;
	}
}

static void doubt_mail(struct known_mail *k)
{
	k->may_be_expunged = true;
	if (k->state == KNOWN_MUST)
		k->state = KNOWN_MAY;
}

/* Another host had expunged it, and the collector may have taken its object (src/store/batch_late.c). */
static bool may_be_left_out(const struct intent *i, const struct intent_mail *mail)
{
	bool is_old = now_us() - i->began_us + CLOCKS_APART_US > INT64_C(45 * 60) * US_PER_SEC;
	return i->is_move && is_old && sim_world->is_both &&
	       box_find(i->source, mail->source_uid)->state != KNOWN_MUST;
}

static void end_intent(struct intent *i, bool may_come)
{
	size_t seen = 0, left_out = 0;
	bool was_late = i->state == INTENT_LATE;
	bool is_vague = i->target->is_removed || intent_is_ambiguous(i);
	for (size_t n = 0; n < i->count; n++) {
		struct known_mail *made = box_find(i->target, i->mails[n].seen_uid);
		seen += made != NULL;
		left_out += !made && may_be_left_out(i, &i->mails[n]);
		/* Another host told of it; then it was voided, or moved or expunged there. */
		is_vague = is_vague || (sim_world->is_both && made && !made->was_seen);
	}
	if (seen > 0 && seen + left_out < i->count && !is_vague)
		sim_fail("%s: %zu of %zu mails are there (w%" PRIu32 "...)", i->target->name, seen,
			i->count, i->mails[0].word);
	i->state = seen > 0 && !is_vague ? INTENT_DONE : INTENT_VOID;
	/* Whether a removed mailbox had them nobody can tell. A move that comes late may leave its mails in
	 * both, or not. */
	bool is_open = is_vague || was_late || (may_come && seen == 0);
	for (size_t n = 0; is_open && i->is_move && n < i->count; n++)
		doubt_mail(box_find(i->source, i->mails[n].source_uid));
	if (i->is_move && !was_late)
		end_move(i);
	if (may_come && seen == 0)
		i->state = INTENT_LATE;
}

/* Those that may come stay. */
static void end_intents(struct ledger *l, bool may_come)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->intent_count; i++)
		end_intent(l->intents[i], may_come);
	for (size_t i = 0; i < l->intent_count; i++) {
		if (l->intents[i]->state == INTENT_LATE) {
			l->intents[kept++] = l->intents[i];
			continue;
		}
		mem_free(l->intents[i]->mails);
		mem_free(l->intents[i]);
	}
	l->intent_count = kept;
}

static void end_mails(struct known_box *box, bool may_come)
{
	for (size_t i = 0; i < box->count; i++) {
		struct known_mail *k = box->mails[i];
		bool may = k->state != KNOWN_MUST &&
			   (k->state == KNOWN_GONE || k->may_be_expunged || k->was_moved);
		may = may || mail_may_be_voided(k);
		if (!k->was_seen && !may)
			sim_fail("%s: UID %" PRIu32 " (w%" PRIu32 ") is lost", box->name, k->uid,
				k->word);
		bool is_open = may_come && k->was_seen && k->may_be_expunged;
		if (!k->was_seen)
			mail_is_gone(k);
		else
			k->state = is_open ? KNOWN_MAY : KNOWN_MUST;
		k->is_unsure = k->is_unsure && may_come && k->was_seen;
		k->may_be_expunged = is_open;
		k->was_seen = k->was_moved = false;
	}
}

static void end_doubts(struct ledger *l, bool may_come)
{
	for (size_t i = 0; i < l->box_count; i++) {
		struct known_box *box = l->boxes[i];
		if (!box->was_seen && !box->is_removed && !box->is_doubtful)
			sim_fail("mailbox %s is lost", box->name);
		if (box->was_seen)
			box->is_removed = false;
		else
			box_is_removed(box);
		box->is_doubtful = box->is_doubtful && l->tree_is_doubtful;
		box->was_seen = false;
	}
	end_intents(l, may_come);
	for (size_t i = 0; i < l->box_count; i++)
		if (!l->boxes[i]->is_removed)
			end_mails(l->boxes[i], may_come);
}

void look(struct process *p)
{
	struct world *w = sim_world;
	struct looking k = { .process = p, .ledger = w->ledger, .late_may_come = late_may_come(p) };
	k.doubts_stay = k.late_may_come || p->had_sessions;
	arena_init(&k.arena, 0);
	op_init(&k.op, &k.arena, NULL, TIME_NEVER);
	sim_trace("p%d a look", p->number);
	w->is_looking = true;
	w->counters->looks++;
	sim_must(&k.op, process_open_user(&k.op, p), "opening the user");
	/* The clocks may have to be compared first. */
	for (int i = 0; i < 60 && user_settle(&k.op, p->user) != ERR_NONE; i++) {
		op_forgive(&k.op);
		sim_must(&k.op, task_sleep(&k.op, US_PER_SEC), "waiting");
	}
	sim_must(&k.op, user_settle(&k.op, p->user), "settling");
	/* A move that came late is settled when its mailbox is looked into next: not between two of ours. */
	for (int i = 0; i < 60 && p->had_sessions && late_came() &&
			user_refresh(&k.op, p->user) != ERR_NONE;
		i++) {
		op_forgive(&k.op);
		sim_must(&k.op, task_sleep(&k.op, US_PER_SEC), "waiting");
	}
	while (p->store->background > 0) /* commits and journals of sessions that have gone */
		sim_must(&k.op, wait_queue_wait(&k.op, &p->store->quiet), "waiting");
	look_at_tree(&k);
	for (size_t i = 0; i < TREE_NAMES; i++)
		if (w->ledger->tree.exists & (1u << i))
			look_at_box(&k, tree_names[i]);
	end_doubts(w->ledger, k.doubts_stay);
	arena_done(&k.arena);
	w->is_looking = false;
	w->looked_us = now_us();
}
