/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of mailboxes and mails. */
#include "ledger.h"

#include <stdlib.h>

#include "base/number.h"

struct ledger *ledger_new(void)
{
	struct ledger *l = MEM_NEW(struct ledger);
	l->tree = (struct tree_state){ .exists = 7, .subscribed = 3 };
	return l;
}

static void box_free(struct known_box *box)
{
	for (size_t i = 0; i < box->count; i++)
		mem_free(box->mails[i]);
	mem_free(box->mails);
	mem_free(box);
}

static void intent_free(struct intent *i)
{
	mem_free(i->mails);
	mem_free(i);
}

void ledger_free(struct ledger *l)
{
	for (size_t i = 0; i < l->box_count; i++)
		box_free(l->boxes[i]);
	for (size_t i = 0; i < l->intent_count; i++)
		intent_free(l->intents[i]);
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		mem_free(l->clients[i].mails);
	mem_free(l->boxes);
	mem_free(l->intents);
	mem_free(l);
}

uint32_t ledger_word(struct ledger *l)
{
	return ++l->words;
}

struct str word_mail(struct arena *a, uint32_t word)
{
	return str_printf(a,
		"From: a@example.test\r\nSubject: w%" PRIu32 "\r\n\r\nbody of %" PRIu32 "\r\n",
		word, word);
}

bool is_doubtful(enum err e)
{
	return e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CANCELLED;
}

/* ---- mailboxes ---- */

static struct known_box *box_new(struct ledger *l, struct mailbox *m, const char *name)
{
	for (size_t i = 0; i < l->box_count; i++)
		if (strcmp(l->boxes[i]->name, name) == 0 &&
			l->boxes[i]->uid_validity >= m->uid_validity)
			sim_fail("a new mailbox %s has UIDVALIDITY %" PRIu32
				 ", an earlier one had %" PRIu32,
				name, m->uid_validity, l->boxes[i]->uid_validity);
	if (l->box_count == l->box_cap) {
		l->box_cap = MAX(2 * l->box_cap, 8);
		l->boxes = mem_resize(l->boxes, l->box_cap * sizeof(*l->boxes));
	}
	struct known_box *box = MEM_NEW(struct known_box);
	box->guid = m->guid;
	box->uid_validity = m->uid_validity;
	l->boxes[l->box_count++] = box;
	return box;
}

struct known_box *ledger_box(struct ledger *l, struct mailbox *m, const char *name)
{
	struct known_box *box = NULL;
	for (size_t i = 0; i < l->box_count && !box; i++)
		if (memcmp(&l->boxes[i]->guid, &m->guid, sizeof(m->guid)) == 0)
			box = l->boxes[i];
	if (!box)
		box = box_new(l, m, name);
	if (box->is_removed)
		sim_fail("%s was removed, and is there again", name);
	if (box->uid_validity != m->uid_validity)
		sim_fail("%s has another UIDVALIDITY than before", name);
	(void)snprintf(box->name, sizeof(box->name), "%s", name);
	return box;
}

static size_t box_seek(const struct known_box *box, uint32_t uid)
{
	size_t low = 0, high = box->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (box->mails[middle]->uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct known_mail *box_find(const struct known_box *box, uint32_t uid)
{
	size_t at = box_seek(box, uid);
	return at < box->count && box->mails[at]->uid == uid ? box->mails[at] : NULL;
}

static struct known_mail *box_add(struct known_box *box, uint32_t uid, uint32_t word)
{
	size_t at = box_seek(box, uid);
	if (box->count == box->cap) {
		box->cap = MAX(2 * box->cap, 32);
		box->mails = mem_resize(box->mails, box->cap * sizeof(*box->mails));
	}
	memmove(box->mails + at + 1, box->mails + at, (box->count - at) * sizeof(*box->mails));
	box->count++;
	struct known_mail *k = MEM_NEW(struct known_mail);
	k->uid = uid;
	k->word = word;
	box->mails[at] = k;
	return k;
}

void ledger_see_numbers(struct known_box *box, uint32_t next_uid, uint64_t modseq)
{
	if (next_uid < box->next_uid)
		sim_fail("%s: UIDNEXT fell from %" PRIu32 " to %" PRIu32, box->name, box->next_uid,
			next_uid);
	if (modseq < box->modseq)
		sim_fail("%s: HIGHESTMODSEQ fell from %" PRIu64 " to %" PRIu64, box->name,
			box->modseq, modseq);
	box->next_uid = next_uid;
	box->modseq = modseq;
}

/* ---- intents ---- */

struct intent *intent_begin(
	struct known_box *target, struct known_box *source, bool is_move, size_t count)
{
	struct intent *i = MEM_NEW(struct intent);
	i->target = target;
	i->source = source;
	i->is_move = is_move;
	i->count = count;
	i->mails = mem_new_array(MAX(count, 1), sizeof(*i->mails));
	return i;
}

void intent_run(struct intent *i)
{
	struct ledger *l = sim_world->ledger;
	if (l->intent_count == l->intent_cap) {
		l->intent_cap = MAX(2 * l->intent_cap, 16);
		l->intents = mem_resize(l->intents, l->intent_cap * sizeof(*l->intents));
	}
	l->intents[l->intent_count++] = i;
	for (size_t k = 0; i->is_move && k < i->count; k++) {
		struct known_mail *from = box_find(i->source, i->mails[k].source_uid);
		if (from->state == KNOWN_MUST)
			from->state = KNOWN_MAY;
		from->movers++;
	}
}

/* A mail that an intent has made. */
static struct known_mail *intent_make(struct intent *i, struct intent_mail *im, uint32_t uid)
{
	struct known_mail *k = box_add(i->target, uid, im->word);
	struct known_mail *from = i->source ? box_find(i->source, im->source_uid) : NULL;
	im->seen_uid = uid;
	k->flags = im->flags;
	if (from && (from->changes != im->changes || from->storing > 0))
		k->open = ALL_FLAGS;
	else if (from)
		k->open = from->open;
	return k;
}

/* Would mail `at` of an intent have this UID? They get theirs in order. */
static bool uid_fits(const struct intent *i, size_t at, uint32_t uid)
{
	for (size_t k = 0; k < i->count; k++)
		if (i->mails[k].seen_uid > 0)
			return i->mails[k].seen_uid - (uint32_t)k == uid - (uint32_t)at;
	return true;
}

bool intent_is_ambiguous(const struct intent *i)
{
	const struct ledger *l = sim_world->ledger;
	for (size_t n = 0; n < l->intent_count; n++) {
		const struct intent *other = l->intents[n];
		for (size_t k = 0; k < other->count && other != i && other->target == i->target;
			k++)
			for (size_t m = 0; m < i->count; m++)
				if (other->mails[k].word == i->mails[m].word)
					return true;
	}
	return false;
}

static struct known_mail *find_maker(struct known_box *box, uint32_t uid, uint32_t word)
{
	struct ledger *l = sim_world->ledger;
	for (size_t i = l->intent_count; i-- > 0;) {
		struct intent *in = l->intents[i];
		if (in->target != box || in->state > INTENT_LATE)
			continue;
		for (size_t k = 0; k < in->count; k++)
			if (in->mails[k].word == word && in->mails[k].seen_uid == 0 &&
				uid_fits(in, k, uid)) {
				bool is_vague = intent_is_ambiguous(in);
				struct known_mail *made = intent_make(in, &in->mails[k], uid);
				made->open = is_vague ? ALL_FLAGS : made->open;
				return made;
			}
	}
	return NULL;
}

/* Several operations may have put the same word there: what was taken for another's work is this
 * one's. False: the mail is of none that is in doubt. */
static bool intent_take(struct intent *i, struct intent_mail *im, uint32_t uid)
{
	struct ledger *l = sim_world->ledger;
	for (size_t n = 0; n < l->intent_count; n++) {
		struct intent *other = l->intents[n];
		for (size_t k = 0; k < other->count && other != i && other->target == i->target;
			k++) {
			if (other->mails[k].seen_uid != uid || other->mails[k].word != im->word)
				continue;
			other->mails[k].seen_uid = 0;
			im->seen_uid = uid;
			return true;
		}
	}
	return false;
}

/* One that was refused for good has not made this mail, but another that may still come. */
static bool intent_give(struct intent *i, struct intent_mail *im)
{
	struct ledger *l = sim_world->ledger;
	for (size_t n = 0; n < l->intent_count; n++) {
		struct intent *other = l->intents[n];
		for (size_t k = 0; k < other->count && other != i && other->target == i->target;
			k++) {
			if (other->mails[k].seen_uid != 0 || other->mails[k].word != im->word)
				continue;
			other->mails[k].seen_uid = im->seen_uid;
			im->seen_uid = 0;
			return true;
		}
	}
	return false;
}

static void intent_remove(struct intent *i)
{
	struct ledger *l = sim_world->ledger;
	size_t at = 0;
	while (l->intents[at] != i)
		at++;
	memmove(l->intents + at, l->intents + at + 1,
		(l->intent_count - at - 1) * sizeof(*l->intents));
	l->intent_count--;
}

static void end_move(struct intent *i, bool is_done)
{
	for (size_t k = 0; i->is_move && k < i->count; k++) {
		struct known_mail *from = box_find(i->source, i->mails[k].source_uid);
		from->movers--;
		if (is_done)
			from->state = KNOWN_GONE;
		else if (from->state == KNOWN_MAY && !from->may_be_expunged && from->movers == 0)
			from->state = KNOWN_MUST;
	}
}

void intent_end(struct intent *i, enum err e, const uint32_t *uids)
{
	if (is_doubtful(e)) {
		i->state = INTENT_DOUBT;
		return;
	}
	i->state = e == ERR_NONE ? INTENT_DONE : INTENT_VOID;
	for (size_t k = 0; k < i->count; k++) {
		struct intent_mail *im = &i->mails[k];
		if (e != ERR_NONE && im->seen_uid && !intent_give(i, im))
			sim_fail("%s: w%" PRIu32 " was refused for good, but told as UID %" PRIu32,
				i->target->name, im->word, im->seen_uid);
		if (e != ERR_NONE)
			continue;
		struct known_mail *known = box_find(i->target, uids[k]);
		if (im->seen_uid && im->seen_uid != uids[k])
			sim_fail("%s: w%" PRIu32 " is told as UID %" PRIu32
				 " and acknowledged as %" PRIu32,
				i->target->name, im->word, im->seen_uid, uids[k]);
		if (!im->seen_uid && known && intent_take(i, im, uids[k]))
			continue;
		if (!im->seen_uid && known)
			sim_fail("%s: UID %" PRIu32 " is given twice", i->target->name, uids[k]);
		if (!im->seen_uid)
			(void)intent_make(i, im, uids[k]);
	}
	end_move(i, e == ERR_NONE);
	intent_remove(i);
	intent_free(i);
}

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
	if (e == ERR_NOT_FOUND && known && known->state == KNOWN_MAY)
		return known->word;
	if (e != ERR_NONE)
		sim_fail("%s: UID %" PRIu32 " has no object: %s", box->name, uid, op.failure.text);
	if (!str_cut_line(&body, &line) || !str_cut_line(&body, &line) ||
		!str_skip(&line, STR("Subject: w")) || !number_parse_u32(line, &word))
		sim_fail("%s: UID %" PRIu32 " has another object", box->name, uid);
	return word;
}

struct known_mail *ledger_see(struct known_box *box, struct mailbox *m, const struct mail *mail)
{
	struct known_mail *k = box_find(box, mail->uid);
	/* The object of an expunged mail may be gone. */
	uint32_t word = k && mail->is_expunged ? k->word : read_word(box, m, mail->uid, k);
	if (k && k->word != word)
		sim_fail("%s: UID %" PRIu32 " was w%" PRIu32 " and is w%" PRIu32, box->name,
			mail->uid, k->word, word);
	if (!k)
		k = find_maker(box, mail->uid, word);
	if (!k)
		sim_fail("%s: UID %" PRIu32 " is w%" PRIu32 ", which nobody put there", box->name,
			mail->uid, word);
	if (k->state == KNOWN_GONE && !mail->is_expunged)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32 ") was expunged and is there", box->name,
			mail->uid, word);
	unsigned flags = mail_flags(m, mail), wrong = (flags ^ k->flags) & ~k->open;
	if (wrong && !mail->is_expunged)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32
			 ") has flags %x, %x was acknowledged (open: %x)",
			box->name, mail->uid, word, flags, k->flags, k->open);
	return k;
}

void ledger_see_expunged(struct known_box *box, uint32_t uid)
{
	struct known_mail *k = box_find(box, uid);
	if (!k)
		sim_fail("%s: UID %" PRIu32 " is expunged and was never there", box->name, uid);
	bool may = k->state != KNOWN_MUST ||
		   (box->expunging > 0 && ((k->flags | k->open) & MAIL_DELETED));
	if (!may)
		sim_fail("%s: UID %" PRIu32 " (w%" PRIu32
			 ") is told as expunged, and nobody asked for it",
			box->name, uid, k->word);
	k->state = KNOWN_GONE;
}

/* ---- flags ---- */

static bool is_dirty(const struct mailbox *m)
{
	/* Who holds the lock may be writing flags that are not pending any more. */
	return m->pending.n > 0 || m->is_journalling || m->write_lock.owner.task ||
	       !list_is_empty(&m->user->unsettled);
}

void flags_begin(struct known_box *box, struct mailbox *m, struct flags_change_one *one,
	struct known_mail *mail, unsigned mask)
{
	if (!is_dirty(m) && mail->storing == 0)
		box->flags_epoch++;
	*one = (struct flags_change_one){ mail, mail->open };
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
	k->open &= ~mask;
	k->flags = (k->flags & ~mask) | (value & mask);
}

void ledger_note_risk(struct ledger *l, struct process *p)
{
	if (sim_world->journal == STORE_FLAGS_SYNC)
		return;
	l->risk_backend = p->backend;
	for (size_t i = 0; i < l->box_count; i++) {
		struct known_box *box = l->boxes[i];
		struct mailbox *m = user_find_mailbox(p->user, box->guid);
		if (!m || !is_dirty(m))
			continue;
		for (size_t k = 0; k < box->count; k++)
			if (box->mails[k]->recent_epoch == box->flags_epoch)
				box->mails[k]->risk |= box->mails[k]->recent;
	}
}

void ledger_settle_risk(struct ledger *l, const struct backend *b, bool is_intact)
{
	if (b == l->risk_backend && is_intact)
		return;
	for (size_t i = 0; i < l->box_count; i++)
		for (size_t k = 0; k < l->boxes[i]->count; k++) {
			l->boxes[i]->mails[k]->open |= l->boxes[i]->mails[k]->risk;
			l->boxes[i]->mails[k]->risk = 0;
		}
}
