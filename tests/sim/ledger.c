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
	mem_free(box->slots);
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

/* Also who sees it first while it is in doubt. */
static bool may_be_removed(const struct ledger *l, const char *name)
{
	bool may_change = l->tree_is_busy || l->tree_is_doubtful;
	unsigned going = may_change ? l->tree.exists & ~l->tree_after.exists : 0;
	for (size_t i = 0; i < TREE_NAMES; i++)
		if ((going >> i & 1) && strcmp(tree_names[i], name) == 0)
			return true;
	return false;
}

/* RFC 9051 §6.3.6: another UIDVALIDITY than an earlier mailbox of that name; an older one that is renamed may have
 * a lesser. */
static struct known_box *box_new(
	struct ledger *l, struct catalog_guid guid, uint32_t uid_validity, const char *name)
{
	for (size_t i = 0; i < l->box_count; i++)
		if (strcmp(l->boxes[i]->name, name) == 0 &&
			l->boxes[i]->uid_validity == uid_validity)
			sim_fail("a new mailbox %s has UIDVALIDITY %" PRIu32
				 ", and so had an earlier one",
				name, uid_validity);
	if (l->box_count == l->box_cap) {
		l->box_cap = MAX(2 * l->box_cap, 8);
		l->boxes = mem_resize(l->boxes, l->box_cap * sizeof(*l->boxes));
	}
	struct known_box *box = MEM_NEW(struct known_box);
	box->guid = guid;
	box->uid_validity = uid_validity;
	box->is_doubtful = may_be_removed(l, name);
	l->boxes[l->box_count++] = box;
	return box;
}

struct known_box *ledger_box_of(
	struct ledger *l, struct catalog_guid guid, uint32_t uid_validity, const char *name)
{
	struct known_box *box = NULL;
	for (size_t i = 0; i < l->box_count && !box; i++)
		if (memcmp(&l->boxes[i]->guid, &guid, sizeof(guid)) == 0)
			box = l->boxes[i];
	if (!box)
		box = box_new(l, guid, uid_validity, name);
	if (box->is_removed)
		sim_fail("%s was removed, and is there again", name);
	if (box->uid_validity != uid_validity)
		sim_fail("%s has another UIDVALIDITY than before", name);
	(void)snprintf(box->name, sizeof(box->name), "%s", name);
	return box;
}

struct known_box *ledger_box(struct ledger *l, struct mailbox *m, const char *name)
{
	return ledger_box_of(l, m->guid, m->uid_validity, name);
}

static size_t box_seek(const struct known_box *box, uint32_t uid)
{
	size_t low = 0, high = box->slot_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (box->slots[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct known_mail *box_find(const struct known_box *box, uint32_t uid)
{
	size_t at = box_seek(box, uid);
	return at < box->slot_count && box->slots[at].uid == uid ? box->slots[at].mail : NULL;
}

void box_add_uid(struct known_box *box, struct known_mail *k, uint32_t uid)
{
	size_t at = box_seek(box, uid);
	if (box->slot_count == box->slot_cap) {
		box->slot_cap = MAX(2 * box->slot_cap, 32);
		box->slots = mem_resize(box->slots, box->slot_cap * sizeof(*box->slots));
	}
	memmove(box->slots + at + 1, box->slots + at, (box->slot_count - at) * sizeof(*box->slots));
	box->slot_count++;
	box->slots[at] = (struct known_slot){ uid, k };
	k->uid = MAX(k->uid, uid);
}

static struct known_mail *box_add(struct known_box *box, uint32_t uid, uint32_t word)
{
	if (box->count == box->cap) {
		box->cap = MAX(2 * box->cap, 32);
		box->mails = mem_resize(box->mails, box->cap * sizeof(*box->mails));
	}
	struct known_mail *k = MEM_NEW(struct known_mail);
	k->word = word;
	k->made_us = now_us();
	box->mails[box->count++] = k;
	box_add_uid(box, k, uid);
	return k;
}

struct known_mail *box_find_name(struct known_box *box, struct catalog_name name)
{
	for (size_t i = 0; i < box->count && sim_world->is_both; i++)
		if (!name_is_none(name) && name_cmp(box->mails[i]->name, name) == 0)
			return box->mails[i];
	return NULL;
}

void box_is_removed(struct known_box *box)
{
	if (!box->is_removed)
		box->removed_us = now_us();
	box->is_removed = true;
}

struct known_mail *box_find_rescued(struct known_box *box, uint32_t uid, uint32_t word)
{
	const struct ledger *l = sim_world->ledger;
	for (size_t i = 0; i < l->box_count && strcmp(box->name, "INBOX") == 0; i++) {
		const struct known_box *from = l->boxes[i];
		for (size_t n = 0; from->is_removed && n < from->count; n++)
			if (from->mails[n]->word == word &&
				from->mails[n]->made_us > from->removed_us - CLOCKS_APART_US) {
				struct known_mail *k = box_add(box, uid, word);
				k->open = ALL_FLAGS;
				return k;
			}
	}
	return NULL;
}

void mail_is_gone(struct known_mail *k)
{
	if (k->state != KNOWN_GONE)
		k->gone_us = now_us();
	k->state = KNOWN_GONE;
}

bool mail_may_be_voided(const struct known_mail *k)
{
	return k->is_unsure && (sim_world->is_both || late_came());
}

struct told *box_told(struct known_box *box, const struct mailbox *m)
{
	int process = sim_world->is_both ? process_of(m)->number : 0;
	size_t oldest = 1;
	if (process == 0)
		return &box->told[0];
	for (size_t i = 1; i < TOLD_MAX; i++) {
		if (box->told[i].process == process)
			return &box->told[i];
		if (box->told[i].process < box->told[oldest].process)
			oldest = i;
	}
	/* What a look found is what every process finds that begins later. */
	box->told[oldest] = box->told[0];
	box->told[oldest].process = process;
	return &box->told[oldest];
}

void ledger_see_numbers(
	struct known_box *box, struct mailbox *m, uint32_t next_uid, uint64_t modseq)
{
	struct told *told = box_told(box, m);
	if (next_uid < told->next_uid)
		sim_fail("%s: UIDNEXT fell from %" PRIu32 " to %" PRIu32, box->name, told->next_uid,
			next_uid);
	if (modseq < told->modseq)
		sim_fail("%s: HIGHESTMODSEQ fell from %" PRIu64 " to %" PRIu64, box->name,
			told->modseq, modseq);
	told->next_uid = next_uid;
	told->modseq = modseq;
}

/* ---- intents ---- */

struct intent *intent_begin(
	struct known_box *target, struct known_box *source, bool is_move, size_t count)
{
	struct intent *i = MEM_NEW(struct intent);
	i->target = target;
	i->source = source;
	i->is_move = is_move;
	i->process_count = sim_world->process_count;
	i->began_us = now_us();
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
	k->is_unsure = true;
	if (from && sim_world->is_both)
		k->open = ALL_FLAGS; /* which flags did the host know that copied it? */
	else if (from && (from->changes != im->changes || from->storing > 0))
		k->open = ALL_FLAGS;
	else if (from)
		k->open = im->open;
	return k;
}

/* One that was told of a mail just now. */
static struct known_mail *intent_tell(struct intent *i, size_t at, uint32_t uid)
{
	bool is_vague = intent_is_ambiguous(i);
	struct known_mail *made = intent_make(i, &i->mails[at], uid);
	made->open = is_vague ? ALL_FLAGS : made->open;
	return made;
}

struct known_mail *intent_find(struct known_box *box, uint32_t uid, uint32_t word)
{
	struct ledger *l = sim_world->ledger;
	for (size_t i = l->intent_count; i-- > 0;) {
		struct intent *in = l->intents[i];
		for (size_t k = 0; in->target == box && k < in->count; k++)
			if (in->mails[k].word == word && in->mails[k].seen_uid == 0 &&
				intent_fits(in, k, uid))
				return intent_tell(in, k, uid);
	}
	size_t at;
	if (!intents_deal(box, &(struct known_mail){ .uid = uid, .word = word }))
		return NULL;
	struct intent *in = intent_of(box, uid, &at);
	return intent_tell(in, at, uid);
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
			mail_is_gone(from);
		else if (from->state == KNOWN_MAY && !from->may_be_expunged && from->movers == 0)
			from->state = KNOWN_MUST;
	}
}

/* It was told to somebody as another UID than the one that is acknowledged: both are the same mail's, if the
 * mailbox does not know better. */
static bool is_same_mail(
	struct intent *i, const struct mailbox *m, const struct intent_mail *im, uint32_t uid)
{
	struct known_mail *seen = box_find(i->target, im->seen_uid);
	uint32_t at;
	if (!sim_world->is_both)
		return false;
	if (!name_is_none(seen->name) && index_find(m->index, uid, &at) &&
		name_cmp(index_cold(m->index, at)->name, seen->name) != 0)
		return false;
	if (!box_find(i->target, uid))
		box_add_uid(i->target, seen, uid);
	return box_find(i->target, uid) == seen;
}

/* The mail of an acknowledged UID may have been told as the work of another that is in doubt. */
static bool is_known_as_anothers(const struct intent *i, size_t at, uint32_t uid)
{
	size_t there;
	const struct intent *other = intent_of(i->target, uid, &there);
	const struct known_mail *known = box_find(i->target, uid);
	if (!known || i->mails[at].seen_uid == uid)
		return false;
	if (!other || known->word != i->mails[at].word)
		sim_fail("%s: UID %" PRIu32 " is given twice", i->target->name, uid);
	return true;
}

/* Another host has shown it by another UID, and it was taken for the work of another operation: its row's name
 * says whose it is. */
static void find_shown(struct intent *i, const struct mailbox *m, size_t at, uint32_t uid)
{
	uint32_t position;
	const struct ledger *l = sim_world->ledger;
	struct known_box *box = i->target;
	if (!sim_world->is_both || i->mails[at].seen_uid > 0 || box_find(box, uid) ||
		!index_find(m->index, uid, &position))
		return;
	struct known_mail *known = box_find_name(box, index_cold(m->index, position)->name);
	if (!known)
		return;
	for (size_t n = 0; n < l->intent_count; n++)
		for (size_t k = 0; k < l->intents[n]->count && l->intents[n]->target == box; k++)
			if (box_find(box, l->intents[n]->mails[k].seen_uid) == known)
				l->intents[n]->mails[k].seen_uid = uid;
	box_add_uid(box, known, uid);
}

static void fix_uids(struct intent *i, const struct mailbox *m, const uint32_t *uids)
{
	bool is_other = false;
	for (size_t k = 0; k < i->count; k++) {
		struct intent_mail *im = &i->mails[k];
		find_shown(i, m, k, uids[k]);
		if (im->seen_uid && im->seen_uid != uids[k] && is_same_mail(i, m, im, uids[k]))
			im->seen_uid = uids[k];
		bool is_anothers = is_known_as_anothers(i, k, uids[k]);
		is_other = is_other || is_anothers || (im->seen_uid && im->seen_uid != uids[k]);
	}
	for (size_t k = 0; is_other && k < i->count; k++)
		if (i->mails[k].seen_uid && i->mails[k].seen_uid != uids[k])
			sim_trace("         %s: UID %" PRIu32 " (w%" PRIu32
				  ") is of another one, this is UID %" PRIu32,
				i->target->name, i->mails[k].seen_uid, i->mails[k].word, uids[k]);
	if (is_other && !intents_deal_beside(i, uids))
		sim_fail("%s: w%" PRIu32
			 "... is told with other UIDs than the acknowledged %" PRIu32 "...",
			i->target->name, i->mails[0].word, uids[0]);
}

static void acknowledge_mail(
	struct intent *i, struct mailbox *m, struct intent_mail *im, uint32_t uid)
{
	uint32_t at;
	if (!box_find(i->target, uid))
		(void)intent_make(i, im, uid);
	struct known_mail *known = box_find(i->target, uid);
	known->is_unsure = false;
	if (name_is_none(known->name) && index_find(m->index, uid, &at))
		known->name = index_cold(m->index, at)->name;
}

/* Its mails are none of this one, but perhaps of another that may still come. */
static void refuse(struct intent *i)
{
	uint32_t word = 0, uid = 0;
	for (size_t k = 0; k < i->count && uid == 0; k++) {
		word = i->mails[k].word;
		uid = i->mails[k].seen_uid;
	}
	if (uid > 0 && !intents_deal_beside(i, NULL))
		sim_fail("%s: w%" PRIu32 " was refused for good, but told as UID %" PRIu32,
			i->target->name, word, uid);
}

void intent_end(struct intent *i, struct mailbox *m, enum err e, const uint32_t *uids)
{
	if (is_doubtful(e)) {
		i->state = INTENT_DOUBT;
		return;
	}
	i->state = e == ERR_NONE ? INTENT_DONE : INTENT_VOID;
	if (e == ERR_NONE)
		fix_uids(i, m, uids);
	else
		refuse(i);
	for (size_t k = 0; e == ERR_NONE && k < i->count; k++)
		acknowledge_mail(i, m, &i->mails[k], uids[k]);
	end_move(i, e == ERR_NONE);
	intent_remove(i);
	intent_free(i);
}
