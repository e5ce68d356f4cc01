/* SPDX-License-Identifier: Apache-2.0 */
/* One mail's envelope, and the mail while it comes in. */
#include "service/lmtp/lmtp_private.h"

static const struct smtp_reply too_big = { 552, "5.3.4", "Message size exceeds fixed limit" };
static const struct smtp_reply no_room = { 452, "4.3.1", "Insufficient system storage" };

struct lmtp_transaction *lmtp_transaction_new(struct lmtp *l, const struct smtp_path *sender)
{
	AUTO_BUF(text, 0);
	struct lmtp_transaction *t = MEM_NEW(struct lmtp_transaction);
	arena_init(&t->arena, LMTP_TRANSACTION_BYTES);
	spool_init(&t->spool, l->spool_dir, &l->spooled_bytes);
	smtp_put_path(&text, sender);
	t->sender = buf_dup(&t->arena, &text);
	return t;
}

void lmtp_transaction_free(struct lmtp_transaction *t)
{
	if (!t)
		return;
	spool_done(&t->spool);
	arena_done(&t->arena);
	mem_free(t);
}

struct lmtp_recipient *lmtp_transaction_add(
	struct lmtp_transaction *t, const struct lmtp_recipient *recipient)
{
	struct arena *a = &t->arena;
	size_t bytes = sizeof(*recipient) + recipient->path.n + recipient->name.n +
		       recipient->detail.n + recipient->user.n + recipient->ticket.n;
	if (t->recipient_count >= LMTP_RECIPIENTS_MAX || !arena_has_room(a, bytes + 256))
		return NULL;
	struct lmtp_recipient *r = ARENA_NEW(a, struct lmtp_recipient);
	*r = *recipient;
	r->path = str_dup(a, recipient->path);
	r->name = str_dup(a, recipient->name);
	r->detail = str_dup(a, recipient->detail);
	r->user = str_dup(a, recipient->user);
	r->ticket = str_dup(a, recipient->ticket);
	if (t->last)
		t->last->next = r;
	else
		t->first = r;
	t->last = r;
	t->recipient_count++;
	return r;
}

/* RFC 5321 §4.5.2: the dots are taken out on the way into the spool. */
bool lmtp_transaction_receive(struct op *op, struct lmtp_transaction *t, struct str in,
	uint64_t bytes_max, size_t *out_used)
{
	if (t->refusal) {
		t->drained_bytes += smtp_data_feed(&t->data, in, NULL, out_used);
		return t->data.is_done;
	}
	char *room = spool_reserve(&t->spool, in.n + 1);
	size_t n = smtp_data_feed(&t->data, in, room, out_used);
	enum err e = spool_grew(op, &t->spool, n);
	if (t->spool.size_bytes > bytes_max)
		t->refusal = &too_big;
	else if (e != ERR_NONE)
		t->refusal = &no_room;
	if (t->refusal) {
		if (t->refusal == &no_room)
			event_send_failure(
				op->event, EVENT_ERROR, NULL, op, "spooling an incoming mail");
		spool_done(&t->spool);
	}
	return t->data.is_done;
}

bool lmtp_transaction_seal(struct op *op, struct lmtp_transaction *t, int *out_fd)
{
	t->received_wall_us = now_wall_us();
	if (spool_finish(op, &t->spool, out_fd) == ERR_NONE)
		return true;
	event_send_failure(op->event, EVENT_ERROR, NULL, op, "spooling an incoming mail");
	t->refusal = &no_room;
	return false;
}
