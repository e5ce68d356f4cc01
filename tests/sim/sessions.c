/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: each has a mailbox selected, keeps a mirror of nothing but what it was told, and does random
 * things. After every operation it is told what happened, as by a protocol. */
#include "session.h"

const char *const tree_names[TREE_NAMES] = { "INBOX", "Sent", "Junk", "a", "a/x", "b", "b/x", "c" };

static const char *result(enum err e)
{
	static const char *const words[] = { "ok", "not found", "exists", "denied", "limit",
		"invalid", "conflict", "unavailable", "timeout", "cancelled", "corrupt",
		"unsupported" };
	return words[e];
}

void session_trace(const struct session *s, const char *what, enum err e)
{
	sim_world->counters->operations++;
	sim_trace("p%d s%d %s%s%s -> %s%s%s", s->process->number, s->number,
		s->box ? s->box->name : "", s->box ? " " : "", what, result(e),
		e == ERR_NONE ? "" : ": ", e == ERR_NONE ? "" : s->op.failure.text);
	if (e == ERR_UNAVAILABLE && !host_clock_is_right())
		sim_did(DID_CLOCK_REFUSAL);
	if (e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_INVALID || e == ERR_DENIED)
		sim_fail("%s -> %s: %s", what, result(e), s->op.failure.text);
}

void session_op(struct session *s)
{
	int64_t us = sim_chance(20) ? sim_time_between(0, 20 * US_PER_SEC) : 100 * US_PER_SEC;
	arena_reset(&s->arena);
	op_init(&s->op, &s->arena, NULL, now_us() + us);
}

/* ---- the mirror ---- */

static void forget(struct session *s, uint32_t seq, uint32_t uid)
{
	if (seq < 1 || seq > s->count || s->mirror[seq - 1].uid != uid)
		sim_fail("%s: expunge of %" PRIu32 " (UID %" PRIu32
			 ") does not fit the client's numbers",
			s->box->name, seq, uid);
	ledger_see_expunged(s->box, s->mailbox, uid);
	memmove(&s->mirror[seq - 1], &s->mirror[seq], (s->count - seq) * sizeof(s->mirror[0]));
	s->count--;
}

static void learn(struct session *s, uint32_t seq)
{
	struct mail mail;
	if (!view_get(s->view, seq, &mail))
		sim_fail("%s: mail %" PRIu32 " of %" PRIu32 " is not there", s->box->name, seq,
			view_exists(s->view));
	(void)ledger_see(s->box, s->mailbox, &mail);
	s->mirror[seq - 1] = (struct client_mail){ mail.uid, mail_flags(s->mailbox, &mail) };
}

static void check_mirror(struct session *s)
{
	struct mail mail;
	for (uint32_t seq = 1; seq <= s->count; seq++) {
		if (!view_get(s->view, seq, &mail) || mail.uid != s->mirror[seq - 1].uid)
			sim_fail("%s: mail %" PRIu32 " is not UID %" PRIu32, s->box->name, seq,
				s->mirror[seq - 1].uid);
		if (!mail.is_expunged && mail_flags(s->mailbox, &mail) != s->mirror[seq - 1].flags)
			sim_fail("%s: UID %" PRIu32 " has flags %x, the client was told %x",
				s->box->name, mail.uid, mail_flags(s->mailbox, &mail),
				s->mirror[seq - 1].flags);
	}
}

static void see_numbers(struct session *s)
{
	struct mailbox_status status;
	view_status(s->view, &status);
	if (status.messages != s->count)
		sim_fail("%s: %" PRIu32 " mails in the status, %" PRIu32 " told", s->box->name,
			status.messages, s->count);
	struct told *told = box_told(s->box, s->mailbox);
	ledger_see_numbers(s->box, s->mailbox, status.uid_next, told->modseq);
	uint64_t highest = view_highest_modseq(s->view);
	if (highest < s->modseq && view_first_withheld(s->view) == 0)
		sim_fail("%s: HIGHESTMODSEQ fell from %" PRIu64 " to %" PRIu64, s->box->name,
			s->modseq, highest);
	s->modseq = highest;
	told->modseq = MAX(told->modseq, highest);
}

void session_sync(struct session *s, bool may_expunge)
{
	struct view_changes c;
	if (!s->view)
		return;
	if (view_is_gone(s->view)) {
		session_leave(s);
		return;
	}
	sim_must(&s->op, view_sync(&s->op, s->view, may_expunge, &c), "telling what happened");
	if (c.expunged_count > 0 && !may_expunge)
		sim_fail("%s: an expunge is told when it must not be", s->box->name);
	for (size_t i = 0; i < c.expunged_count; i++)
		forget(s, c.expunged_seqs[i], c.expunged_uids[i]);
	if (c.exists < s->count || c.exists > SESSION_MIRROR ||
		c.exists_changed != (c.exists != s->count))
		sim_fail("%s: EXISTS %" PRIu32 " after %" PRIu32, s->box->name, c.exists, s->count);
	while (s->count < c.exists)
		learn(s, ++s->count);
	for (size_t i = 0; i < c.changed_count; i++)
		learn(s, c.changed_seqs[i]);
	check_mirror(s);
	see_numbers(s);
}

/* ---- selecting ---- */

void session_leave(struct session *s)
{
	if (s->view)
		view_close(s->view);
	if (s->mailbox)
		mailbox_unref(s->mailbox);
	s->view = NULL;
	s->mailbox = NULL;
	s->box = NULL;
	s->count = 0;
}

struct mailbox *session_open(struct session *s, size_t name, enum err *out)
{
	struct ledger *l = sim_world->ledger;
	struct mailbox *m = NULL;
	unsigned bit = 1u << name;
	bool is_known = (l->tree.exists & bit) && !l->tree_is_busy && !l->tree_is_doubtful;
	*out = mailbox_open(&s->op, s->process->user, str_from(tree_names[name]), &m);
	is_known = is_known && (l->tree.exists & bit) && !l->tree_is_busy;
	if (*out == ERR_NOT_FOUND && is_known)
		sim_fail("mailbox %s is not there", tree_names[name]);
	return *out == ERR_NONE ? m : NULL;
}

/* Of several processes that live each has names of its own that it changes; the others do not look at those
 * (a mail that is saved into a mailbox that another host removes goes to INBOX much later). */
size_t session_name(const struct session *s)
{
	switch (s->process->seat) {
	case 0:
		return (size_t)random_below(TREE_NAMES - 1);
	case 1:
		return sim_chance(30) ? TREE_NAMES - 1 : (size_t)random_below(3);
	case 2:
		return (size_t)random_below(3);
	default:
		return (size_t)random_below(TREE_NAMES);
	}
}

static void select_box(struct session *s)
{
	size_t name = session_name(s);
	enum err e;
	session_leave(s);
	s->mailbox = session_open(s, sim_chance(40) ? 0 : name, &e);
	if (!s->mailbox) {
		session_trace(s, "select", e);
		return;
	}
	s->box = session_box(s->mailbox);
	e = view_open(&s->op, s->mailbox, true, &s->view);
	if (e == ERR_NOT_FOUND) { /* another session removes it */
		session_trace(s, "select", e);
		session_leave(s);
		return;
	}
	sim_must(&s->op, e, "opening a view");
	session_trace(s, "select", ERR_NONE);
	uint64_t told = box_told(s->box, s->mailbox)->modseq;
	s->modseq = 0;
	s->count = 0;
	while (s->count < view_exists(s->view))
		learn(s, ++s->count);
	see_numbers(s);
	if (s->modseq < told && view_first_withheld(s->view) == 0)
		sim_fail("%s: HIGHESTMODSEQ is %" PRIu64 ", somebody was told %" PRIu64,
			s->box->name, s->modseq, told);
	client_return(sim_world->ledger, s->box, s->view);
}

/* The name it has now. */
struct known_box *session_box(struct mailbox *m)
{
	const struct tree_node *node = tree_find_guid(&m->user->tree, m->guid);
	AUTO_BUF(name, 0);
	if (node)
		buf_put(&name, node->name);
	buf_put_byte(&name, '\0');
	return ledger_box(sim_world->ledger, m, name.p);
}

/* ---- the script ---- */

static void sync_step(struct session *s)
{
	session_sync(s, sim_chance(70));
}

static void go_away(struct session *s)
{
	session_sync(s, true);
	if (s->view && sim_chance(60))
		client_leave(sim_world->ledger, s->box, s->view);
	session_leave(s);
}

static void read_step(struct session *s)
{
	struct mail mail;
	struct str body;
	if (!s->view || s->count == 0)
		return;
	uint32_t seq = 1 + (uint32_t)random_below(s->count);
	(void)view_get(s->view, seq, &mail);
	uint32_t word = box_find(s->box, mail.uid)->word;
	enum err e = view_read_body(&s->op, s->view, &mail, &body);
	session_trace(s, "read", e);
	if (e == ERR_NONE && !str_eq(body, word_mail(&s->arena, word)))
		sim_fail("UID %" PRIu32 " reads as another mail", mail.uid);
	if (e == ERR_NOT_FOUND && box_find(s->box, mail.uid)->state == KNOWN_MUST)
		sim_fail("%s: UID %" PRIu32 " cannot be read: %s", s->box->name, mail.uid,
			s->op.failure.text);
}

static void collect_step(struct session *s)
{
	uint64_t deleted = 0;
	uint32_t shard = catalog_user_shard(s->process->catalog, SIM_USER);
	enum err e = store_collect_garbage(&s->op, s->process->store, shard,
		/* Another host that lives may copy what it does not know to be gone: so it is kept an hour. */
		sim_chance(50) && !sim_world->is_both ? -US_PER_SEC : 3600 * US_PER_SEC, &deleted);
	session_trace(s, "collect garbage", e);
}

static void base_step(struct session *s)
{
	static const enum base_reason reasons[] = { BASE_TAIL, BASE_CLOSE, BASE_IDLE, BASE_NIGHTLY,
		BASE_FLUSH, BASE_CLEAN };
	if (!sim_world->settings.has_bases)
		return;
	if (sim_chance(25)) {
		size_t uploaded;
		sim_did(DID_FLUSH);
		session_trace(s, "flush",
			user_flush(&s->op, s->process->store, SIM_USER, sim_chance(50), &uploaded));
	} else if (s->mailbox) {
		enum base_reason reason = reasons[random_below(ARRAY_COUNT(reasons))];
		if (reason == BASE_NIGHTLY)
			sim_did(DID_NIGHTLY);
		session_trace(s, "base", mailbox_upload_base(&s->op, s->mailbox, reason));
	}
}

/* What other hosts wrote. */
static void refresh_step(struct session *s)
{
	if (s->mailbox && sim_chance(50))
		session_trace(s, "refresh", mailbox_refresh(&s->op, s->mailbox));
	else
		session_trace(s, "refresh all", user_refresh(&s->op, s->process->user));
}

static const struct {
	void (*fn)(struct session *s);
	unsigned weight;
} steps[] = {
	{ select_box, 12 }, { append_step, 22 }, { store_step, 22 }, { transfer_step, 14 },
	{ expunge_step, 10 }, { tree_step, 6 }, { sync_step, 14 }, { go_away, 4 }, { read_step, 4 },
	{ collect_step, 3 }, { base_step, 5 }, { refresh_step, 3 },
	{ rename_inbox_step, 1 }, /* the last: of one process only */
};

static void one_step(struct session *s)
{
	struct ledger *l = sim_world->ledger;
	unsigned total = 0;
	if (l->is_alone)
		return;
	for (size_t i = 0; i < ARRAY_COUNT(steps) - sim_world->is_both; i++)
		total += steps[i].weight;
	unsigned drawn = (unsigned)random_below(total);
	size_t at = 0;
	while (drawn >= steps[at].weight)
		drawn -= steps[at++].weight;
	session_op(s);
	if (s->view && view_is_gone(s->view))
		session_leave(s);
	l->steps_running++;
	if (!s->view && sim_chance(70))
		select_box(s);
	else
		steps[at].fn(s);
	l->steps_running--;
	op_forgive(&s->op);
	if (!s->process->is_ending)
		session_sync(s, sim_chance(50));
}

static void session_task(void *arg)
{
	struct session *s = arg;
	struct process *p = s->process;
	arena_init(&s->arena, 0);
	while (!p->is_ending && !p->is_crashing && sim_world->steps_left-- > 0) {
		link_stand_still(&p->link);
		one_step(s);
		if (p->is_ending)
			break;
		int64_t most = sim_chance(90)   ? 300 * US_PER_MS
			       : sim_chance(97) ? 20 * US_PER_SEC
						: 5 * 3600 * US_PER_SEC;
		session_op(s);
		if (most > 3600 * US_PER_SEC) {
			sim_did(DID_LONG_SLEEP);
			s->op.deadline_us = TIME_NEVER;
		}
		(void)(task_sleep(&s->op, sim_time_between(0, most)) == ERR_NONE);
	}
	if (!p->is_ending && !p->is_crashing) {
		session_op(s);
		go_away(s);
	}
	session_leave(s);
	arena_done(&s->arena);
	mem_free(s);
	if (--p->sessions == 0)
		wait_queue_wake_all(&p->quiet);
}

void sessions_start(struct process *p, int count)
{
	p->had_sessions = true;
	for (int i = 0; i < count; i++) {
		struct session *s = MEM_NEW(struct session);
		s->process = p;
		s->number = i + 1;
		p->sessions++;
		p->tasks[i] = task_start("session", session_task, s);
	}
}
