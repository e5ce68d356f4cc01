/* SPDX-License-Identifier: Apache-2.0 */
/* The mail itself: after DATA with its dots, or in the chunks of BDAT. Spec: RFC 5321 §4.1.1.4, RFC 3030
 * §2, RFC 2033 §4.2.
 *
 * A chunk that is refused is still read to its end, since its bytes are no commands; its answer follows
 * it. How much is read of what is refused is limited. */
#include "service/lmtp/lmtp_private.h"

bool lmtp_is_receiving(const struct lmtp_connection *c)
{
	return c->chunk.is_open || (c->transaction && c->transaction->is_receiving);
}

static void refuse_mail(struct lmtp_connection *c, const struct smtp_reply *why)
{
	AUTO_BUF(reply, 0);
	for (struct lmtp_recipient *r = c->transaction->first; r; r = r->next) {
		buf_clear(&reply);
		lmtp_put_refusal(&reply, c, r, why);
		r->reply = buf_dup(&c->transaction->arena, &reply);
		buf_put(stream_output(c->stream), r->reply);
		lmtp_recipient_report(c, r);
	}
	event_send(c->event, EVENT_INFO, "lmtp_mail_refused", "Mail refused: %u %s %s", why->code,
		why->enhanced, why->text);
}

static void finish_mail(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_transaction *t = c->transaction;
	t->is_receiving = false;
	if (t->refusal || !lmtp_transaction_seal(op, t)) {
		refuse_mail(c, t->refusal);
	} else {
		serving_expire_never(&c->serving);
		lmtp_fan_out(op, c);
		serving_expire_in(&c->serving, LMTP_IDLE_US);
	}
	lmtp_transaction_report(c);
	lmtp_end_transaction(c);
}

/* Reads no further through what was refused. */
static void check_drained(struct lmtp_connection *c)
{
	if (c->drained_bytes > LMTP_DRAIN_BYTES_MAX && !c->closing_reason)
		c->closing_reason = "far too large a mail";
}

void lmtp_receive_data(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_transaction *t = c->transaction;
	size_t used;
	bool was_refused = t->refusal != NULL;
	bool is_done = lmtp_transaction_receive(
		op, t, stream_input(c->stream), c->rules->mail_bytes_max, &used);
	stream_consume(c->stream, used);
	if (was_refused)
		c->drained_bytes += used;
	if (is_done) {
		finish_mail(op, c);
		return;
	}
	check_drained(c);
	if (c->closing_reason) {
		refuse_mail(c, t->refusal);
		lmtp_end_transaction(c);
	}
}

/* ---- chunks ---- */

static const struct smtp_reply *chunk_refusal(const struct lmtp_connection *c)
{
	static const struct smtp_reply no_mail = { 503, "5.5.0", "MAIL needed first" };
	static const struct smtp_reply nobody = { 554, "5.5.0", "No valid recipients" };
	static const struct smtp_reply failed = { 503, "5.5.0",
		"Previous data chunk failed, issue RSET first" };
	const struct lmtp_transaction *t = c->transaction;
	if (!t)
		return &no_mail;
	if (t->has_failed)
		return &failed;
	return t->recipient_count == 0 ? &nobody : NULL;
}

void lmtp_command_bdat(struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	c->chunk = (struct lmtp_chunk){
		.is_open = true,
		.is_last = command->is_last,
		.size = command->size,
		.left = command->size,
		.refusal = chunk_refusal(c),
	};
	if (!c->chunk.refusal)
		c->transaction->is_chunked = true;
}

/* The chunk is in. Only a mail's last chunk is answered for each recipient. */
static void finish_chunk(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_chunk chunk = c->chunk;
	struct lmtp_transaction *t = c->transaction;
	c->chunk = (struct lmtp_chunk){ .is_open = false };
	if (chunk.refusal) {
		if (t)
			t->has_failed = true;
		lmtp_reply_bad(c, chunk.refusal);
	} else if (chunk.is_last) {
		finish_mail(op, c);
	} else if (t->refusal) {
		t->has_failed = true;
		lmtp_reply(c, t->refusal->code, t->refusal->enhanced, t->refusal->text);
	} else {
		struct str text = str_printf(op->arena, "Added %" PRIu64 " octets", chunk.size);
		lmtp_reply(c, 250, "2.0.0", text.p);
	}
}

void lmtp_receive_chunk(struct op *op, struct lmtp_connection *c)
{
	struct str in = str_slice(
		stream_input(c->stream), 0, (size_t)MIN(c->chunk.left, (uint64_t)LMTP_INPUT_MAX));
	if (!c->chunk.refusal)
		lmtp_transaction_append(op, c->transaction, in, c->rules->mail_bytes_max);
	if (c->chunk.refusal || c->transaction->refusal)
		c->drained_bytes += in.n;
	stream_consume(c->stream, in.n);
	c->chunk.left -= in.n;
	check_drained(c);
	if (c->chunk.left > 0 && !c->closing_reason)
		return;
	finish_chunk(op, c);
}
