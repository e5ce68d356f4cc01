/* SPDX-License-Identifier: Apache-2.0 */
/* Which operation has made which mail. While the fate of several is unknown, and some put the same content
 * into the same mailbox, nobody can tell: the first that fits is taken. Once that turns out to be impossible
 * (another one is acknowledged with other UIDs, or a mail is left over), all of them are dealt out again. It
 * is a fault only if no way of dealing fits.
 *
 * A mail that was told stands in the `seen_uid` of the intent that it is dealt to. */
#include "ledger.h"

#define TRIES_MAX 1000000

struct told_mail {
	uint32_t uid, word;
};
struct dealing {
	const struct known_box *box;
	const struct intent *fixed; /* its mails are known: it gets no others */
	struct told_mail *mails;
	size_t count, tries;
};

/* Would mail `at` of an intent have this UID? They get theirs in order. */
bool intent_fits(const struct intent *i, size_t at, uint32_t uid)
{
	if (sim_world->is_both) /* a merge may have given others */
		return true;
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

struct intent *intent_of(const struct known_box *box, uint32_t uid, size_t *out_at)
{
	const struct ledger *l = sim_world->ledger;
	for (size_t n = 0; n < l->intent_count; n++)
		for (size_t k = 0; k < l->intents[n]->count; k++)
			if (l->intents[n]->target == box &&
				l->intents[n]->mails[k].seen_uid == uid) {
				*out_at = k;
				return l->intents[n];
			}
	return NULL;
}

/* ---- dealing ---- */

static bool deal_from(struct dealing *d, size_t at)
{
	const struct ledger *l = sim_world->ledger;
	if (at == d->count)
		return true;
	for (size_t n = l->intent_count; n-- > 0;) {
		struct intent *i = l->intents[n];
		for (size_t k = 0; i->target == d->box && i != d->fixed && k < i->count; k++) {
			struct intent_mail *im = &i->mails[k];
			if (im->word != d->mails[at].word || im->seen_uid > 0 ||
				!intent_fits(i, k, d->mails[at].uid) || ++d->tries > TRIES_MAX)
				continue;
			im->seen_uid = d->mails[at].uid;
			if (deal_from(d, at + 1))
				return true;
			im->seen_uid = 0;
		}
	}
	return false;
}

static size_t count_mails(const struct ledger *l)
{
	size_t count = 0;
	for (size_t n = 0; n < l->intent_count; n++)
		count += l->intents[n]->count;
	return count;
}

static bool has_uid(const struct intent *i, const uint32_t *uids, uint32_t uid)
{
	for (size_t k = 0; uids && k < i->count; k++)
		if (uids[k] == uid)
			return true;
	return false;
}

/* What was told, with nobody's name on it any more. */
static void collect(struct dealing *d, const uint32_t *uids)
{
	const struct ledger *l = sim_world->ledger;
	for (size_t n = 0; n < l->intent_count; n++) {
		struct intent *i = l->intents[n];
		for (size_t k = 0; i->target == d->box && k < i->count; k++) {
			struct intent_mail *im = &i->mails[k];
			if (im->seen_uid > 0 &&
				!(d->fixed && has_uid(d->fixed, uids, im->seen_uid)))
				d->mails[d->count++] = (struct told_mail){ im->seen_uid, im->word };
			im->seen_uid = 0;
		}
	}
}

bool intents_deal(const struct known_box *box, const struct known_mail *more)
{
	struct dealing d = { .box = box };
	d.mails = mem_new_array(count_mails(sim_world->ledger) + 1, sizeof(*d.mails));
	d.mails[d.count++] = (struct told_mail){ more->uid, more->word };
	collect(&d, NULL);
	bool fits = deal_from(&d, 0);
	mem_free(d.mails);
	return fits;
}

bool intents_deal_beside(struct intent *fixed, const uint32_t *uids)
{
	struct dealing d = { .box = fixed->target, .fixed = fixed };
	d.mails = mem_new_array(count_mails(sim_world->ledger) + 1, sizeof(*d.mails));
	collect(&d, uids);
	for (size_t k = 0; uids && k < fixed->count; k++)
		fixed->mails[k].seen_uid = uids[k];
	bool fits = deal_from(&d, 0);
	mem_free(d.mails);
	return fits;
}
