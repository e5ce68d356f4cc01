/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions do to mails and names, and what that makes true. */
#include "session.h"

/* Some mails of the session's mailbox, as sequence numbers. False: there are none. */
static bool some_seqs(const struct session *s, struct range_set *out)
{
	if (!s->view || s->count == 0)
		return false;
	bool is_all = sim_chance(10);
	uint32_t first = is_all ? 1 : 1 + (uint32_t)random_below(s->count);
	uint32_t last = is_all ? s->count : first + (uint32_t)random_below(4);
	range_set_init(out);
	range_set_add(out, first, MIN(last, s->count));
	return true;
}

static const char *text_of(struct session *s, const char *what, const struct range_set *seqs)
{
	struct range_set_iter it = { 0 };
	uint32_t seq;
	AUTO_BUF(b, 0);
	buf_putf(&b, "%s", what);
	for (int i = 0; i < 6 && range_set_next(seqs, &it, &seq) && seq <= s->count; i++)
		buf_putf(&b, " %" PRIu32, s->mirror[seq - 1].uid);
	return str_dup_z(&s->arena, buf_str(&b));
}

/* ---- append ---- */

static unsigned random_flags(void)
{
	unsigned flags = (unsigned)random_below(32) & MAIL_STORABLE_FLAGS;
	return flags | (sim_chance(15) ? KEYWORD_A : 0) | (sim_chance(15) ? KEYWORD_B : 0);
}

/* The keywords among flags. */
static size_t keywords_of(unsigned flags, struct str out[2])
{
	size_t n = 0;
	if (flags & KEYWORD_A)
		out[n++] = STR("$A");
	if (flags & KEYWORD_B)
		out[n++] = STR("$B");
	return n;
}

static size_t how_many(const struct known_box *box)
{
	if (box->count > 400)
		return 1;
	return sim_chance(2) ? 105 : sim_chance(70) ? 1 : 1 + (size_t)random_below(4);
}

void append_step(struct session *s)
{
	enum err e;
	struct mailbox *m = s->mailbox && sim_chance(60)
				    ? mailbox_ref(s->mailbox)
				    : session_open(s, (size_t)random_below(3), &e);
	if (!m)
		return;
	struct known_box *box = session_box(m);
	size_t count = how_many(box);
	struct intent *in = intent_begin(box, NULL, false, count);
	struct append *appends = ARENA_NEW_ARRAY(&s->arena, struct append, count);
	struct append_result r = { 0 };
	struct str(*keywords)[2] = arena_alloc_array(&s->arena, count, sizeof(*keywords));
	for (size_t i = 0; i < count; i++) {
		in->mails[i].word = ledger_word(sim_world->ledger);
		in->mails[i].flags = sim_chance(70) ? 0 : random_flags();
		appends[i] = (struct append){ .message = word_mail(&s->arena, in->mails[i].word),
			.flags = in->mails[i].flags & MAIL_STORABLE_FLAGS,
			.keywords = keywords[i],
			.keyword_count = keywords_of(in->mails[i].flags, keywords[i]) };
	}
	uint32_t next_uid = box_told(box, m)->next_uid, first = in->mails[0].word;
	intent_run(in);
	e = mailbox_append(&s->op, m, appends, count, &r);
	session_trace(s,
		str_printf(&s->arena, "append %zu (w%" PRIu32 "..) to %s%s%" PRIu32 "%c", count,
			first, box->name, e == ERR_NONE ? " as " : "",
			e == ERR_NONE ? r.uids[0] : 0, '\0')
			.p,
		e);
	if (e == ERR_NONE && r.uids[0] < next_uid)
		sim_fail("%s: UID %" PRIu32 " is below the UIDNEXT %" PRIu32 " that was told",
			box->name, r.uids[0], next_uid);
	if (e == ERR_NOT_FOUND && !box->is_removed && !box->is_doubtful)
		sim_fail("append to %s, which is there: not found", box->name);
	intent_end(in, m, e, r.uids);
	mailbox_unref(m);
}

/* ---- store ---- */

static unsigned store_value(const struct store_flags *change, unsigned flags)
{
	return change->change == FLAGS_REMOVE ? 0 : flags;
}

/* A row names all flags of the STORE, unless they are all as they shall be; never a keyword that goes and that
 * the mailbox does not know. */
static unsigned unwritten_bits(const struct session *s, uint32_t seq, unsigned mask, unsigned value)
{
	struct mail mail;
	if (!view_get(s->view, seq, &mail))
		return 0;
	unsigned other = (mail_flags(s->mailbox, &mail) ^ value) & mask;
	return other == 0 ? mask : mask & ~other & (KEYWORD_A | KEYWORD_B);
}

void store_step(struct session *s)
{
	struct range_set seqs, modified;
	struct str keywords[2];
	if (!some_seqs(s, &seqs))
		return;
	range_set_init(&modified);
	unsigned flags = sim_chance(40) ? MAIL_DELETED : random_flags();
	struct store_flags change = { .change = (enum flags_change)random_below(3),
		.flags = flags & MAIL_STORABLE_FLAGS,
		.keywords = keywords,
		.keyword_count = keywords_of(flags, keywords),
		.unchanged_since = sim_chance(85) ? UINT64_MAX : s->modseq,
		.is_silent = sim_chance(30) };
	unsigned mask = change.change == FLAGS_REPLACE ? ALL_FLAGS : flags;
	struct flags_change_one *ones =
		ARENA_NEW_ARRAY(&s->arena, struct flags_change_one, s->count);
	uint32_t *numbers = ARENA_NEW_ARRAY(&s->arena, uint32_t, s->count);
	struct range_set_iter it = { 0 };
	uint32_t seq;
	size_t count = 0;
	struct known_box *box = s->box;
	while (range_set_next(&seqs, &it, &seq)) {
		numbers[count] = seq;
		flags_begin(box, s->mailbox, &ones[count++], box_find(box, s->mirror[seq - 1].uid),
			mask, unwritten_bits(s, seq, mask, store_value(&change, flags)));
	}
	enum err e = view_store_flags(&s->op, s->view, &seqs, &change, &modified);
	static const char *const words[] = { "flags :=", "flags +", "flags -" };
	session_trace(s,
		text_of(s,
			str_printf(&s->arena, "%s%x%s of%c", words[change.change], flags,
				change.is_silent ? " silently" : "", '\0')
				.p,
			&seqs),
		e);
	for (size_t i = 0; i < count; i++) {
		bool is_modified = range_set_has(&modified, numbers[i]);
		struct mail mail;
		/* What was expunged meanwhile, or has another UID, may have been passed over. */
		bool is_sure =
			e == ERR_NONE && view_get(s->view, numbers[i], &mail) && !mail.is_expunged;
		flags_end(box, &ones[i], mask, store_value(&change, flags),
			is_modified ? FLAGS_UNTOUCHED
			: is_sure   ? FLAGS_SET
				    : FLAGS_DOUBT);
		if (change.is_silent && e == ERR_NONE && view_get(s->view, numbers[i], &mail))
			s->mirror[numbers[i] - 1].flags = mail_flags(s->mailbox, &mail);
	}
	range_set_done(&seqs);
	range_set_done(&modified);
}

/* ---- copy and move ---- */

static struct intent *plan_transfer(
	struct session *s, const struct range_set *seqs, struct known_box *target, bool is_move)
{
	struct intent *in = intent_begin(target, s->box, is_move, (size_t)range_set_size(seqs));
	struct range_set_iter it = { 0 };
	uint32_t seq;
	for (size_t i = 0; range_set_next(seqs, &it, &seq); i++) {
		struct known_mail *k = box_find(s->box, s->mirror[seq - 1].uid);
		in->mails[i] = (struct intent_mail){ .word = k->word,
			.source_uid = s->mirror[seq - 1].uid,
			.flags = k->flags,
			.open = k->open,
			.changes = k->changes - (k->storing > 0) };
	}
	intent_run(in);
	return in;
}

void transfer_step(struct session *s)
{
	struct range_set seqs;
	struct copy_result r = { 0 };
	enum err e;
	bool is_move = sim_chance(60);
	if (!some_seqs(s, &seqs))
		return;
	struct mailbox *target = session_open(s, session_name(s), &e);
	struct known_box *to = target ? session_box(target) : NULL;
	if (!to || (to->count > 400 && !is_move)) {
		if (target)
			mailbox_unref(target);
		range_set_done(&seqs);
		return;
	}
	struct intent *in = plan_transfer(s, &seqs, to, is_move);
	struct known_box *from = s->box;
	e = view_copy(&s->op, s->view, &seqs, target, is_move, &r);
	session_trace(s,
		text_of(s,
			str_printf(&s->arena, "%s to %s%s%" PRIu32 ":%c", is_move ? "move" : "copy",
				to->name, e == ERR_NONE && r.count ? " as " : " ",
				e == ERR_NONE && r.count ? r.target_uids[0] : 0, '\0')
				.p,
			&seqs),
		e);
	for (size_t i = 0; e == ERR_NONE && i < in->count; i++)
		if (r.count != in->count || r.source_uids[i] != in->mails[i].source_uid)
			sim_fail("%s: COPYUID is wrong", from->name);
	intent_end(in, target, e, r.target_uids);
	mailbox_unref(target);
	range_set_done(&seqs);
}

/* ---- expunge ---- */

/* Does this host show it as deleted? Another one may know better. */
static bool shows_deleted(const struct session *s, uint32_t at)
{
	struct mail mail;
	return view_get(s->view, at + 1, &mail) && !mail.is_expunged && (mail.flags & MAIL_DELETED);
}

/* Those of the view that the expunge may take. */
static void doubt_deleted(struct session *s, const struct range_set *only)
{
	for (uint32_t i = 0; i < s->count; i++) {
		struct known_mail *k = box_find(s->box, s->mirror[i].uid);
		/* While the expunge waits this host may come to know earlier changes of another. */
		unsigned may = k->flags | k->open | unknown_bits(k, s->mailbox);
		bool is_deleted = shows_deleted(s, i) || (may & MAIL_DELETED) != 0;
		if ((only && !range_set_has(only, s->mirror[i].uid)) || k->state == KNOWN_GONE ||
			!is_deleted)
			continue;
		k->may_be_expunged = true;
		k->state = KNOWN_MAY;
	}
}

struct sure {
	struct known_mail *mail;
	uint32_t changes, uid;
	struct catalog_name name;
};

/* Another host's mail made a place for itself while the command waited for its turn: this one has another UID,
 * which the session does not know, and stays. */
static bool got_another_uid(const struct session *s, const struct sure *k)
{
	uint32_t at;
	const struct index *x = s->mailbox->index;
	return sim_world->is_both && index_find_name(x, k->uid, k->name, &at) &&
	       !index_is_ghost(index_hot(x, at)) && index_hot(x, at)->uid != k->uid;
}

void expunge_step(struct session *s)
{
	struct range_set seqs, uids, *only = NULL;
	range_set_init(&uids);
	if (!some_seqs(s, &seqs))
		return;
	if (sim_chance(40)) {
		view_seqs_to_uids(s->view, &seqs, &uids);
		only = &uids;
	}
	range_set_done(&seqs);
	struct sure *sure = ARENA_NEW_ARRAY(&s->arena, struct sure, s->count);
	size_t count = 0;
	struct known_box *box = s->box;
	doubt_deleted(s, only);
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t at;
		struct known_mail *k = box_find(box, s->mirror[i].uid);
		if (k->may_be_expunged && (k->flags & ~k->open & MAIL_DELETED) &&
			shows_deleted(s, i) && (!only || range_set_has(only, s->mirror[i].uid)) &&
			index_find(s->mailbox->index, s->mirror[i].uid, &at))
			sure[count++] = (struct sure){ k, k->changes, s->mirror[i].uid,
				index_cold(s->mailbox->index, at)->name };
	}
	box->expunging++;
	enum err e = view_expunge(&s->op, s->view, only);
	box->expunging--;
	session_trace(s, str_printf(&s->arena, "expunge %zu%c", count, '\0').p, e);
	doubt_deleted(s, only);
	for (size_t i = 0; e == ERR_NONE && i < count; i++)
		if (sure[i].mail->changes == sure[i].changes && !got_another_uid(s, &sure[i]))
			mail_is_gone(sure[i].mail);
	range_set_done(&uids);
}

/* ---- the tree ---- */

#define INBOX_SENT_JUNK 7u

static unsigned rename_bits(unsigned bits, size_t from, size_t to)
{
	unsigned out = bits & ~(1u << from);
	if (bits & (1u << from))
		out |= 1u << to;
	return out;
}

struct tree_try {
	enum { TRY_CREATE, TRY_REMOVE, TRY_RENAME, TRY_SUBSCRIBE, TRY_UNSUBSCRIBE } kind;
	size_t name, to;
	struct tree_state after;
	enum err expected;
};

/* a and b have a child of the same name each, which follows in the table. */
static void plan_rename(const struct tree_state *now, struct tree_try *t)
{
	t->name = sim_chance(50) ? 3 : 5;
	t->to = t->name == 3 ? 5 : 3;
	unsigned from = now->exists >> t->name & 3, to = now->exists >> t->to & 3;
	t->expected = (to & 1) || (from & to) ? ERR_EXISTS : from == 0 ? ERR_NOT_FOUND : ERR_NONE;
	t->after.exists =
		rename_bits(rename_bits(now->exists, t->name, t->to), t->name + 1, t->to + 1);
}

static void plan_tree(const struct session *s, const struct tree_state *now, struct tree_try *t)
{
	t->after = *now;
	t->expected = ERR_NONE;
	t->name = s->process->seat == 1
			  ? TREE_NAMES - 1
			  : 3 + (size_t)random_below(TREE_NAMES - 3 - (s->process->seat == 0));
	unsigned bit = 1u << t->name;
	switch (t->kind) {
	case TRY_CREATE:
		t->after.exists |= bit;
		t->expected = now->exists & bit ? ERR_EXISTS : ERR_NONE;
		return;
	case TRY_REMOVE:
		t->after.exists &= ~bit;
		t->expected = now->exists & bit ? ERR_NONE : ERR_NOT_FOUND;
		return;
	case TRY_RENAME:
		plan_rename(now, t);
		return;
	case TRY_SUBSCRIBE:
		t->after.subscribed |= bit;
		return;
	case TRY_UNSUBSCRIBE:
		t->after.subscribed &= ~bit;
		return;
	}
}

static enum err run_tree(struct session *s, const struct tree_try *t)
{
	struct user *u = s->process->user;
	struct str name = str_from(tree_names[t->name]);
	switch (t->kind) {
	case TRY_CREATE:
		return tree_create(&s->op, u, name, STR(""));
	case TRY_REMOVE:
		return tree_remove(&s->op, u, name);
	case TRY_RENAME:
		return tree_rename(&s->op, u, name, str_from(tree_names[t->to]));
	case TRY_SUBSCRIBE:
	case TRY_UNSUBSCRIBE:
		break;
	}
	return tree_subscribe(&s->op, u, name, t->kind == TRY_SUBSCRIBE);
}

static struct known_box *box_named(const char *name)
{
	struct ledger *l = sim_world->ledger;
	for (size_t i = 0; i < l->box_count; i++)
		if (!l->boxes[i]->is_removed && strcmp(l->boxes[i]->name, name) == 0)
			return l->boxes[i];
	return NULL;
}

static void name_after(size_t from, size_t to)
{
	struct known_box *box = box_named(tree_names[from]);
	if (box)
		(void)snprintf(box->name, sizeof(box->name), "%s", tree_names[to]);
}

void tree_step(struct session *s)
{
	struct ledger *l = sim_world->ledger;
	struct tree_try t = { .kind = random_below(5) };
	static const char *const words[] = { "create", "remove", "rename", "subscribe",
		"unsubscribe" };
	if (l->tree_is_busy || l->tree_is_doubtful)
		return;
	if (s->process->seat == 2 || (s->process->seat == 1 && t.kind == TRY_RENAME))
		return;
	plan_tree(s, &l->tree, &t);
	struct known_box *removed = t.kind == TRY_REMOVE ? box_named(tree_names[t.name]) : NULL;
	l->tree_is_busy = true;
	l->tree_after = t.after;
	if (removed)
		removed->is_doubtful = true;
	enum err e = run_tree(s, &t);
	session_trace(
		s, str_printf(&s->arena, "%s %s%c", words[t.kind], tree_names[t.name], '\0').p, e);
	l->tree_is_busy = false;
	/* It may have been seen for the first time meanwhile. */
	if (t.kind == TRY_REMOVE && !removed)
		removed = box_named(tree_names[t.name]);
	if (removed)
		removed->is_doubtful = true;
	if (is_doubtful(e)) {
		l->tree_is_doubtful = true;
		l->tree_after = t.after;
		return;
	}
	if (e != t.expected)
		sim_fail("%s %s: not what was to be expected", words[t.kind], tree_names[t.name]);
	if (removed)
		removed->is_doubtful = false;
	if (e != ERR_NONE)
		return;
	l->tree = t.after;
	if (removed)
		box_is_removed(removed);
	if (t.kind == TRY_RENAME) {
		name_after(t.name, t.to);
		name_after(t.name + 1, t.to + 1);
	}
}
