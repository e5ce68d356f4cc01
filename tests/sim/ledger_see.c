/* SPDX-License-Identifier: Apache-2.0 */
/* What clients are told, and flags: compared with what is known. */
#include "base/number.h"
#include "ledger.h"

/* ---- seeing ---- */

unsigned mail_flags(const struct mailbox *m, const struct mail *mail)
{
	const struct str *words;
	size_t count = mailbox_keywords(m, &words);
	unsigned flags = mail->flags & MAIL_STORABLE_FLAGS;
	for (size_t i = 0; i < count; i++)
		if (mail->keywords >> i & 1)
			flags |= str_eq(words[i], STR("$A")) ? KEYWORD_A : KEYWORD_B;
	return flags;
}

/* What the object holds, read beside all links; or what is known of a mail whose fate is unknown: its
 * expunge may have been carried out, and collected, before the process knows. */
static uint32_t read_word(const struct known_box *box, struct mailbox *m, uint32_t uid,
	const struct known_mail *known)
{
	struct op op;
	struct str body, line;
	uint32_t at, word = 0;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (!index_find(m->index, uid, &at))
		sim_fail("%s: UID %" PRIu32 " is in a view but not in the index", box->name, uid);
	struct str key = store_object_key(&arena, m->user, index_cold(m->index, at)->oid);
	enum err e = objects_get(&op, sim_world->objects, key, 1 << 20, &body);
	if (e == ERR_NOT_FOUND && known &&
		(known->state == KNOWN_MAY || is_unseen_yet(m, known->gone_us)))
		return known->word;
	if (e != ERR_NONE)
		sim_fail("%s: UID %" PRIu32 " has no object: %s", box->name, uid, op.failure.text);
	if (!str_cut_line(&body, &line) || !str_cut_line(&body, &line) ||
		!str_skip(&line, STR("Subject: w")) || !number_parse_u32(line, &word))
		sim_fail("%s: UID %" PRIu32 " has another object", box->name, uid);
	return word;
}

bool is_unseen_yet(const struct mailbox *m, int64_t since_us)
{
	return sim_world->is_both && m->user->looked_us <= since_us;
}

/* A mail that is known by another UID: of two hosts that wrote at once one had not seen it. */
static struct known_mail *find_renumbered(
	struct known_box *box, uint32_t uid, uint32_t word, struct catalog_name name)
{
	struct known_mail *found = box_find_name(box, name);
	for (size_t i = 0; i < box->count && sim_world->is_both && !found; i++)
		if (name_is_none(box->mails[i]->name) && box->mails[i]->word == word &&
			box->mails[i]->state != KNOWN_GONE)
			found = box->mails[i]; /* acknowledged, and never looked at */
	if (!found)
		return NULL;
	sim_trace("         %s: UID %" PRIu32 " (w%" PRIu32 ") is UID %" PRIu32 " now", box->name,
		found->uid, word, uid);
	sim_did(DID_RENUMBER);
	box_add_uid(box, found, uid);
	return found;
}

unsigned unknown_bits(const struct known_mail *k, const struct mailbox *m)
{
	unsigned bits = 0;
	int own = process_of(m)->number;
	for (unsigned bit = 0; bit < KNOWN_BITS && sim_world->is_both; bit++)
		if (k->changed[bit].process != 0 && k->changed[bit].process != own &&
			(sim_world->journal != STORE_FLAGS_SYNC ||
				is_unseen_yet(m, k->changed[bit].us)))
			bits |= 1u << bit;
	return bits;
}

unsigned unshared_bits(const struct known_mail *k, const struct mailbox *m)
{
	unsigned bits = 0;
	int own = process_of(m)->number;
	if (!sim_world->is_both || sim_world->journal != STORE_FLAGS_OFF)
		return 0;
	for (size_t i = 0; i < LIVES_MAX; i++)
		for (unsigned bit = 0; bit < KNOWN_BITS && sim_world->lives[i]; bit++)
			if (sim_world->lives[i]->number == k->changed[bit].process &&
				k->changed[bit].process != own)
				bits |= 1u << bit;
	return bits;
}

static void see_name(
	struct known_box *box, struct known_mail *k, uint32_t uid, struct catalog_name name)
{
	if (name_is_none(k->name))
		k->name = name;
	if (name_cmp(k->name, name) != 0)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32 ") is another mail than before",
			box->name, uid, k->word);
}

static void see_flags(
	struct known_box *box, struct mailbox *m, struct known_mail *k, const struct mail *mail)
{
	unsigned flags = mail_flags(m, mail);
	unsigned wrong = (flags ^ k->flags) & ~k->open & ~unknown_bits(k, m);
	if (wrong && !mail->is_expunged)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32
			 ") has flags %x, %x was acknowledged (open: %x)",
			box->name, mail->uid, k->word, flags, k->flags, k->open);
}

struct known_mail *ledger_see(struct known_box *box, struct mailbox *m, const struct mail *mail)
{
	struct known_mail *k = box_find(box, mail->uid);
	uint32_t at;
	struct catalog_name name = { { 0 } };
	if (index_find(m->index, mail->uid, &at))
		name = index_cold(m->index, at)->name;
	struct known_mail *known = k ? k : box_find_name(box, name);
	/* The object of an expunged mail may be gone. */
	uint32_t word = k && mail->is_expunged ? k->word : read_word(box, m, mail->uid, known);
	if (k && k->word != word)
		sim_fail("%s: UID %" PRIu32 " was w%" PRIu32 " and is w%" PRIu32, box->name,
			mail->uid, k->word, word);
	if (!k)
		k = find_renumbered(box, mail->uid, word, name);
	if (!k)
		k = intent_find(box, mail->uid, word);
	if (!k)
		k = box_find_rescued(box, mail->uid, word);
	if (!k)
		sim_fail("%s: UID %" PRIu32 " is w%" PRIu32 ", which nobody put there", box->name,
			mail->uid, word);
	see_name(box, k, mail->uid, name);
	if (k->state == KNOWN_GONE && !mail->is_expunged && !is_unseen_yet(m, k->gone_us))
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32 ") was expunged and is there", box->name,
			mail->uid, word);
	see_flags(box, m, k, mail);
	return k;
}

void ledger_see_expunged(struct known_box *box, struct mailbox *m, uint32_t uid)
{
	struct known_mail *k = box_find(box, uid);
	uint32_t at;
	if (!k)
		sim_fail("%s: UID %" PRIu32 " is expunged and was never there", box->name, uid);
	if (sim_world->is_both && index_find_name(m->index, uid, k->name, &at) &&
		index_hot(m->index, at)->uid != uid && !index_is_ghost(index_hot(m->index, at)))
		return; /* it has another UID now */
	bool may = k->state != KNOWN_MUST || mail_may_be_voided(k) ||
		   (box->expunging > 0 && ((k->flags | k->open) & MAIL_DELETED));
	if (!may)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32
			 ") is told as expunged, and nobody asked for it",
			box->name, uid, k->word);
	mail_is_gone(k);
}

/* ---- flags ---- */

static bool is_dirty_there(const struct mailbox *m)
{
	/* Who holds the lock may be writing flags that are not pending any more. */
	return m->pending.n > 0 || m->is_journalling || m->write_lock.owner.task ||
	       !list_is_empty(&m->user->unsettled);
}

/* In any process that lives. */
static bool is_dirty(const struct mailbox *m)
{
	if (sim_world->journal == STORE_FLAGS_OFF)
		return true; /* until a base is uploaded, at least */
	for (size_t i = 0; i < LIVES_MAX; i++) {
		const struct process *p = sim_world->lives[i];
		const struct mailbox *his =
			p && p->user ? user_find_mailbox(p->user, m->guid) : NULL;
		if (his && is_dirty_there(his))
			return true;
	}
	return false;
}

void flags_begin(struct known_box *box, struct mailbox *m, struct flags_change_one *one,
	struct known_mail *mail, unsigned mask, unsigned already)
{
	if (!is_dirty(m) && mail->storing == 0)
		box->flags_epoch++;
	/* Nothing is written for what seems to be so already: what is in doubt may still come. And a second change
	 * of a host that had not looked says nothing of the other host's either. */
	unsigned unwritten = sim_world->is_both ? ALL_FLAGS : already;
	unsigned unknown = unknown_bits(mail, m) | (mail->open & unwritten);
	*one = (struct flags_change_one){ mail, mail->open, unknown & mask, process_of(m)->number };
	mail->overlaps = mail->storing++ > 0;
	mail->open |= mask;
	mail->changes++;
}

void flags_end(struct known_box *box, const struct flags_change_one *one, unsigned mask,
	unsigned value, enum flags_end how)
{
	struct known_mail *k = one->mail;
	bool is_alone = !k->overlaps;
	k->overlaps = --k->storing > 0;
	for (unsigned bit = 0; bit < KNOWN_BITS && how != FLAGS_UNTOUCHED; bit++)
		if (mask >> bit & 1) {
			k->changed[bit].process = one->process;
			k->changed[bit].us = now_us();
		}
	if (how == FLAGS_DOUBT)
		return;
	if (how == FLAGS_UNTOUCHED) {
		if (is_alone)
			k->open = one->open_before;
		return;
	}
	k->recent = (k->recent_epoch == box->flags_epoch ? k->recent : 0) | mask;
	k->recent_epoch = box->flags_epoch;
	if (!is_alone)
		return;
	k->open = (k->open & ~mask) | one->open_after;
	k->flags = (k->flags & ~mask) | (value & mask);
}

void ledger_note_risk(struct ledger *l, struct process *p)
{
	if (sim_world->journal == STORE_FLAGS_SYNC)
		return;
	/* What a full disk did not take is nowhere else. */
	l->risk_backend = p->had_full_disk ? NULL : p->backend;
	for (size_t i = 0; i < l->box_count; i++) {
		struct known_box *box = l->boxes[i];
		struct mailbox *m = user_find_mailbox(p->user, box->guid);
		/* One whose removal is in doubt is closed, and its flags wait in its files. */
		bool is_dirty_here = m ? is_dirty_there(m) : !list_is_empty(&p->user->unsettled);
		if (sim_world->journal != STORE_FLAGS_OFF && !is_dirty_here)
			continue;
		for (size_t k = 0; k < box->count; k++)
			if (box->mails[k]->recent_epoch == box->flags_epoch)
				box->mails[k]->risk |= box->mails[k]->recent;
	}
}

void ledger_settle_risk(struct ledger *l, const struct backend *b, bool is_intact)
{
	if (b == l->risk_backend && is_intact && !sim_world->is_both)
		return;
	for (size_t i = 0; i < l->box_count; i++)
		for (size_t k = 0; k < l->boxes[i]->count; k++) {
			l->boxes[i]->mails[k]->open |= l->boxes[i]->mails[k]->risk;
			l->boxes[i]->mails[k]->risk = 0;
		}
}
