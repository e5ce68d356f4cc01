/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that go away with what they know and come back, to this backend or another: what they are then
 * told ends in the truth (RFC 7162). */
#include "ledger.h"

void client_leave(struct ledger *l, struct known_box *box, struct view *v)
{
	struct client *c = &l->clients[random_below(CLIENTS_MAX)];
	struct mail mail;
	mem_free(c->mails);
	c->box = box;
	c->process = process_of(v->mailbox)->number;
	c->modseq = view_highest_modseq(v);
	c->count = view_exists(v);
	c->mails = mem_new_array(MAX(c->count, 1), sizeof(*c->mails));
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++)
		c->mails[seq - 1] = (struct client_mail){ mail.uid, mail_flags(v->mailbox, &mail) };
	sim_trace("         a client leaves %s with %zu mails at modseq %" PRIu64, box->name,
		c->count, c->modseq);
}

static const struct client_mail *find(const struct client *c, uint32_t uid)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->mails[i].uid == uid)
			return &c->mails[i];
	return NULL;
}

static void check_mails(const struct client *c, struct view *v)
{
	uint64_t since = view_settle_modseq(v, c->modseq);
	struct mail mail;
	for (uint32_t seq = 1; view_get(v, seq, &mail); seq++) {
		const struct client_mail *known = find(c, mail.uid);
		if (mail.modseq > since || mail.is_expunged)
			continue;
		if (!known)
			sim_fail("%s: UID %" PRIu32 " (modseq %" PRIu64
				 ") is hidden from a client that was away since %" PRIu64,
				c->box->name, mail.uid, mail.modseq, c->modseq);
		if (known->flags != mail_flags(v->mailbox, &mail))
			sim_fail("%s: UID %" PRIu32 " (modseq %" PRIu64
				 ") has flags %x; a client that was away since %" PRIu64
				 " keeps %x",
				c->box->name, mail.uid, mail.modseq, mail_flags(v->mailbox, &mail),
				c->modseq, known->flags);
	}
}

static void check_vanished(const struct client *c, struct view *v)
{
	struct range_set known, gone;
	struct mailbox_status status;
	struct mail mail;
	range_set_init(&known);
	range_set_init(&gone);
	view_status(v, &status);
	if (status.uid_next > 1)
		range_set_add(&known, 1, status.uid_next - 1);
	view_vanished(v, c->modseq, &known, &gone);
	for (size_t i = 0; i < c->count; i++) {
		uint32_t uid = c->mails[i].uid;
		bool is_there = view_get_uid(v, uid, &mail);
		if (is_there == range_set_has(&gone, uid))
			sim_fail("%s: UID %" PRIu32 " is %s; a client that was away since %" PRIu64
				 " is told the opposite",
				c->box->name, uid, is_there ? "there" : "gone", c->modseq);
	}
	range_set_done(&known);
	range_set_done(&gone);
}

void client_return(struct ledger *l, struct known_box *box, struct view *v)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &l->clients[i];
		if (c->box != box || !c->mails)
			continue;
		/* Of hosts that live at once each tells its own clients what it learns from the others. */
		if (sim_world->is_both && c->process != process_of(v->mailbox)->number)
			continue;
		sim_trace("         a client comes back to %s with modseq %" PRIu64, box->name,
			c->modseq);
		check_vanished(c, v);
		check_mails(c, v);
		if (sim_chance(50))
			continue;
		mem_free(c->mails);
		c->mails = NULL;
	}
}
