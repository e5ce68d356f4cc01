/* SPDX-License-Identifier: Apache-2.0 */
/* The mail to all its recipients: one user after the other in each of a few lanes (tasks), so that
 * different users' deliveries run at the same time and one user's never do.
 *
 * Invariants: 1. a recipient's reply is written once, by the lane that has his user.
 *             2. replies leave in the order of RCPT (RFC 2033 §4.2), each as soon as all before it
 *                are known: a sender that gives up waiting would send again what was saved. */
#include "service/lmtp/lmtp_private.h"

struct fan_out {
	struct lmtp_connection *c;
	struct lmtp_recipient *next_user; /* first recipient of the next user that no lane has */
	struct lmtp_recipient *unanswered;
	size_t user_count;
};

/* Chains the recipients of each user, and the users by their first recipient. */
static void sort_by_user(struct fan_out *f)
{
	struct map last_of; /* user -> his last recipient so far */
	struct lmtp_recipient *last_user = NULL;
	map_init(&last_of);
	for (struct lmtp_recipient *r = f->c->transaction->first; r; r = r->next) {
		struct lmtp_recipient *before = map_set(&last_of, r->user, r);
		r->next_of_user = NULL;
		r->next_user = NULL;
		if (before) {
			before->next_of_user = r;
			continue;
		}
		if (last_user)
			last_user->next_user = r;
		else
			f->next_user = r;
		last_user = r;
		f->user_count++;
	}
	map_done(&last_of);
}

static void answer(struct op *op, struct fan_out *f)
{
	struct stream *stream = f->c->stream;
	bool has_new = false, is_done;
	for (; f->unanswered && f->unanswered->reply.n > 0; f->unanswered = f->unanswered->next) {
		buf_put(stream_output(stream), f->unanswered->reply);
		has_new = true;
	}
	/* The last reply leaves with what the client's next commands get. */
	if (has_new && f->unanswered)
		/* A client that left is noticed later: his mails are delivered all the same. */
		(void)stream_flush_ready(op, stream, &is_done);
}

/* *out_logged: of a failure, that the worker has told the log. */
static enum err send_once(struct op *op, struct fan_out *f, struct lmtp_recipient *r,
	struct str session_id, struct str head, bool *out_logged)
{
	struct lmtp_connection *c = f->c;
	const struct lmtp_transaction *t = c->transaction;
	struct delivery_result result;
	*out_logged = false;
	TRY(lmtp_recipient_refresh(op, c, r));
	struct delivery d = {
		.ticket = r->ticket,
		.session_id = session_id,
		.sender = t->sender,
		.recipient = r->path,
		.detail = r->detail,
		.head = head,
		.mail = t->mail,
		.fd = t->mail_fd,
		.size_bytes = t->spool.size_bytes,
		.received_wall_us = t->received_wall_us,
	};
	r->ticket_us = 0;
	enum err e = deliver_client_send(op, peers_mail(c->lmtp->peers, r->user), &d, &result);
	*out_logged = result.is_logged;
	return e;
}

static enum err deliver(struct op *op, struct fan_out *f, struct lmtp_recipient *r,
	struct str session_id, bool *out_logged)
{
	struct lmtp *l = f->c->lmtp;
	struct lmtp_slot *slot;
	AUTO_BUF(head, 0);
	lmtp_put_head(&head, f->c, r);
	*out_logged = false;
	TRY(lmtp_slot_take(op, l, r->user, f->c->rules->user_limit, &slot));
	enum err e = send_once(op, f, r, session_id, buf_str(&head), out_logged);
	if (e == ERR_DENIED) {
		/* The ticket was refused: too old after all, or the worker's host slept. Nothing was
		 * saved. */
		op_forgive(op);
		e = send_once(op, f, r, session_id, buf_str(&head), out_logged);
	}
	lmtp_slot_give(l, slot);
	return e;
}

static void deliver_to(struct op *op, struct fan_out *f, struct lmtp_recipient *r)
{
	struct lmtp_connection *c = f->c;
	AUTO_BUF(reply, 0);
	struct str session_id = lmtp_recipient_session(op->arena, c, r);
	op_forgive(op);
	bool is_logged;
	enum err e = deliver(op, f, r, session_id, &is_logged);
	if (e == ERR_NONE) {
		lmtp_put_saved(&reply, c, r, session_id);
	} else {
		lmtp_put_failure(&reply, c, LMTP_AT_DELIVERY, r, e, op);
		/* One line a mail: that of the worker, if it got so far. */
		event_send(c->event, is_logged ? EVENT_DEBUG : EVENT_WARNING,
			"lmtp_delivery_failed", "Delivery to <%.*s> failed: %s: %s", STRF(r->path),
			err_name(e), op->failure.text);
	}
	r->reply = buf_dup(op->arena, &reply);
	lmtp_recipient_report(c, r);
	answer(op, f);
}

/* Never fails: a failure would cancel the other lanes. */
static enum err lane(struct op *op, void *arg)
{
	struct fan_out *f = arg;
	while (f->next_user) {
		struct lmtp_recipient *r = f->next_user;
		f->next_user = r->next_user;
		for (; r; r = r->next_of_user)
			deliver_to(op, f, r);
	}
	return ERR_NONE;
}

void lmtp_fan_out(struct op *op, struct lmtp_connection *c)
{
	struct fan_out f = { .c = c, .unanswered = c->transaction->first };
	int64_t patience_us = LMTP_DELIVERY_US;
	if (c->client && c->client->timeout_us > 0)
		patience_us = MIN(patience_us, c->client->timeout_us);
	sort_by_user(&f);
	op->deadline_us = now_us() + patience_us;
	if (f.user_count == 1) {
		(void)lane(op, &f); /* it never fails */
		return;
	}
	struct task_group *group = task_group_new(op);
	for (size_t i = 0; i < MIN(f.user_count, LMTP_LANES_MAX); i++)
		task_group_start(group, "lmtp-lane", lane, &f);
	(void)task_group_finish(op, group); /* every lane has answered for its recipients */
}
