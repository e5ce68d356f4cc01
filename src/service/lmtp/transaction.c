/* SPDX-License-Identifier: Apache-2.0 */
/* One mail's envelope, and the mail while it comes in. */
#include "service/lmtp/lmtp_private.h"

static const struct smtp_reply too_big = { 552, "5.3.4", "Message size exceeds fixed limit" };
static const struct smtp_reply no_room = { 452, "4.3.1", "Insufficient system storage" };

struct lmtp_transaction *lmtp_transaction_new(struct lmtp *l, const struct smtp_command *mail)
{
	AUTO_BUF(text, 0);
	struct lmtp_transaction *t = MEM_NEW(struct lmtp_transaction);
	arena_init(&t->arena, LMTP_TRANSACTION_BYTES);
	spool_init(&t->spool, l->spool_dir, &l->spooled_bytes);
	smtp_put_path(&text, &mail->path);
	t->sender = buf_dup(&t->arena, &text);
	t->envid = str_dup(&t->arena, mail->envid);
	t->ret = mail->ret;
	t->body = mail->body;
	t->is_utf8 = mail->is_utf8;
	t->started_us = now_us();
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
		       recipient->detail.n + recipient->user.n + recipient->ticket.n +
		       recipient->original_type.n + recipient->original.n;
	if (t->recipient_count >= LMTP_RECIPIENTS_MAX || !arena_has_room(a, bytes + 256))
		return NULL;
	struct lmtp_recipient *r = ARENA_NEW(a, struct lmtp_recipient);
	*r = *recipient;
	r->path = str_dup(a, recipient->path);
	r->name = str_dup(a, recipient->name);
	r->detail = str_dup(a, recipient->detail);
	r->user = str_dup(a, recipient->user);
	r->ticket = str_dup(a, recipient->ticket);
	r->original_type = str_dup(a, recipient->original_type);
	r->original = str_dup(a, recipient->original);
	if (t->last)
		t->last->next = r;
	else
		t->first = r;
	t->last = r;
	t->recipient_count++;
	return r;
}

/* `n` bytes more are in the spool. */
static void grew(struct op *op, struct lmtp_transaction *t, size_t n, uint64_t bytes_max)
{
	enum err e = spool_grew(op, &t->spool, n);
	if (t->spool.size_bytes > bytes_max)
		t->refusal = &too_big;
	else if (e != ERR_NONE)
		t->refusal = &no_room;
	if (!t->refusal)
		return;
	if (t->refusal == &no_room)
		event_send_failure(op->event, EVENT_ERROR, NULL, op, "spooling an incoming mail");
	spool_done(&t->spool);
}

/* RFC 5321 §4.5.2: the dots are taken out on the way into the spool. */
bool lmtp_transaction_receive(struct op *op, struct lmtp_transaction *t, struct str in,
	uint64_t bytes_max, size_t *out_used)
{
	if (t->refusal) {
		(void)smtp_data_feed(
			&t->data, in, NULL, out_used); /* where it ends matters alone */
		return t->data.is_done;
	}
	char *room = spool_reserve(&t->spool, in.n + 1);
	size_t n = smtp_data_feed(&t->data, in, room, out_used);
	grew(op, t, n, bytes_max);
	return t->data.is_done;
}

void lmtp_transaction_append(
	struct op *op, struct lmtp_transaction *t, struct str in, uint64_t bytes_max)
{
	if (t->refusal || in.n == 0)
		return;
	memcpy(spool_reserve(&t->spool, in.n), in.p, in.n);
	grew(op, t, in.n, bytes_max);
}

bool lmtp_transaction_seal(struct op *op, struct lmtp_transaction *t)
{
	t->received_wall_us = now_wall_us();
	if (spool_finish(op, &t->spool, DELIVER_INLINE_BYTES_MAX, &t->mail, &t->mail_fd) ==
		ERR_NONE)
		return true;
	event_send_failure(op->event, EVENT_ERROR, NULL, op, "spooling an incoming mail");
	t->refusal = &no_room;
	return false;
}

static const char *body_word(enum smtp_body body)
{
	switch (body) {
	case SMTP_BODY_NONE:
		return NULL;
	case SMTP_BODY_7BIT:
		return "7BIT";
	case SMTP_BODY_8BITMIME:
		return "8BITMIME";
	case SMTP_BODY_BINARYMIME:
		return "BINARYMIME";
	}
	UNREACHABLE();
}

void lmtp_transaction_report(const struct lmtp_connection *c)
{
	const struct lmtp_transaction *t = c->transaction;
	if (!event_is_wanted(c->event, EVENT_DEBUG))
		return;
	struct event *event = event_new(c->event, "smtp-server");
	size_t saved = 0;
	for (const struct lmtp_recipient *r = t->first; r; r = r->next)
		saved += str_starts(r->reply, STR("250"));
	event_set_str(event, "mail_from", t->sender);
	if (body_word(t->body))
		event_set_str(event, "mail_param_body", str_from(body_word(t->body)));
	if (t->envid.n > 0)
		event_set_str(event, "mail_param_envid", t->envid);
	if (t->ret)
		event_set_str(event, "mail_param_ret",
			t->ret == SMTP_RET_FULL ? STR("FULL") : STR("HDRS"));
	event_set_int(event, "data_size", (int64_t)t->spool.size_bytes);
	event_set_int(event, "recipients", (int64_t)t->recipient_count);
	event_set_int(event, "recipients_denied", (int64_t)t->refused_count);
	event_set_int(event, "recipients_succeeded", (int64_t)saved);
	event_set_int(event, "recipients_failed", (int64_t)(t->recipient_count - saved));
	event_set_int(event, "duration", now_us() - t->started_us);
	event_send(event, EVENT_DEBUG, "smtp_server_transaction_finished",
		"Mail from <%.*s>: saved for %zu of %zu", STRF(t->sender), saved,
		t->recipient_count);
	event_unref(event);
}
