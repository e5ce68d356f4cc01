/* SPDX-License-Identifier: Apache-2.0 */
/* The loop over a client's input: lines that are commands, and the mail in between. Spec: RFC 2033 §4,
 * RFC 2920 (pipelining), RFC 3030 (chunks).
 *
 * State:  no LHLO -> ready -(MAIL)-> transaction -(RCPT...)-> -(DATA)-> receiving -> ready.
 *                                                         '-(BDAT)-> chunk <-> transaction -(LAST)-> ready
 *         The transaction's presence and its flags, and the open chunk, are the state. */
#include "service/lmtp/lmtp_private.h"

void lmtp_reply(struct lmtp_connection *c, unsigned code, const char *enhanced, const char *text)
{
	bool is_utf8 = c->transaction && c->transaction->is_utf8;
	smtp_put_reply(stream_output(c->stream), is_utf8, code, enhanced, str_from(text));
}

void lmtp_say_goodbye(struct lmtp_connection *c, const char *enhanced, const char *text)
{
	AUTO_BUF(line, 0);
	buf_putf(&line, "%s %s", c->rules->hostname, text);
	smtp_put_reply(stream_output(c->stream), false, 421, enhanced, buf_str(&line));
}

void lmtp_reply_bad(struct lmtp_connection *c, const struct smtp_reply *why)
{
	lmtp_reply(c, why->code, why->enhanced, why->text);
	if (++c->bad_commands >= LMTP_BAD_MAX && !c->closing_reason) {
		lmtp_say_goodbye(c, "4.7.0", "Too many invalid commands");
		c->closing_reason = "too many invalid commands";
	}
}

void lmtp_put_greeting(struct lmtp_connection *c)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "%s %.*s", c->rules->hostname, STRF(c->rules->greeting));
	smtp_put_reply(stream_output(c->stream), false, 220, NULL, buf_str(&text));
}

/* `line` is in op's arena, no longer in the stream. */
static void run_line(struct op *op, struct lmtp_connection *c, struct str line)
{
	struct smtp_command command;
	struct smtp_reply why;
	uint8_t bad_before = c->bad_commands;
	if (smtp_parse_command(op->arena, line, c->rules->workarounds, &command, &why) !=
		ERR_NONE) {
		lmtp_reply_bad(c, &why);
		/* A chunk of unknown size follows, and it must not be read as commands. */
		if (str_starts_ci(line, STR("BDAT")) && !c->closing_reason)
			c->closing_reason = "BDAT without a size";
		return;
	}
	lmtp_command_find(command.verb)(op, c, &command);
	if (c->bad_commands == bad_before)
		c->bad_commands = 0;
}

/* Acts on the buffered input; false: there must be more of it. */
static bool act(struct op *op, struct lmtp_connection *c)
{
	struct str line, input = stream_input(c->stream);
	size_t used;
	if (c->chunk.is_open && (input.n > 0 || c->chunk.left == 0)) {
		lmtp_receive_chunk(op, c);
		return true;
	}
	if (input.n == 0)
		return false;
	if (lmtp_is_receiving(c)) {
		lmtp_receive_data(op, c);
		return true;
	}
	switch (smtp_line_feed(&c->line, input, &line, &used)) {
	case SMTP_LINE_MORE:
		return false;
	case SMTP_LINE_SKIP:
		stream_consume(c->stream, used);
		return true;
	case SMTP_LINE_COMPLETE:
		line = str_dup(op->arena, line);
		stream_consume(c->stream, used);
		run_line(op, c, line);
		return true;
	case SMTP_LINE_TOO_LONG:
		stream_consume(c->stream, used);
		lmtp_reply_bad(c, &(struct smtp_reply){ 500, "5.5.2", "Line too long" });
		return true;
	}
	UNREACHABLE();
}

/* Takes what has arrived. A mail is gathered to large pieces: reads become few and large. False: there
 * is nothing, or the connection has ended. */
static bool fill(struct op *op, struct lmtp_connection *c)
{
	size_t before = stream_input(c->stream).n;
	enum err e = ERR_NONE;
	bool got = true;
	do
		e = stream_read_ready(op, c->stream, &got);
	while (e == ERR_NONE && got && lmtp_is_receiving(c) &&
		stream_input(c->stream).n < LMTP_INPUT_MAX);
	if (stream_input(c->stream).n > before)
		return true; /* an end is met again when all this is served */
	if (e != ERR_NONE && !task_is_cancelled())
		c->closing_reason = lmtp_is_receiving(c) ? "connection lost in the middle of a mail"
							 : "connection closed by the client";
	return false;
}

void lmtp_serve_input(struct op *op, struct lmtp_connection *c)
{
	while (!c->closing_reason && !task_is_cancelled()) {
		arena_reset(op->arena);
		op_init(op, op->arena, c->event, now_us() + LMTP_IDLE_US);
		if (c->lmtp->is_closing && !lmtp_is_receiving(c)) {
			lmtp_say_goodbye(c, "4.3.2", "Shutting down");
			c->closing_reason = "shutting down";
		} else if (act(op, c)) {
			/* A client that only talks and never listens waits here. */
			if (stream_write_check(op, c->stream) != ERR_NONE && !task_is_cancelled())
				c->closing_reason = "connection lost";
		} else if (!fill(op, c)) {
			break;
		} else {
			serving_expire_in(&c->serving, LMTP_IDLE_US);
			task_breathe();
		}
	}
	op_init(op, op->arena, c->event, now_us() + LMTP_IDLE_US);
}
