/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of LMTP. Spec: RFC 2033 §4, RFC 5321 §4.1, RFC 2920 (pipelining), sheet protocols §7.2.
 *
 * State:  no LHLO -> ready -(MAIL)-> transaction -(RCPT...)-> -(DATA)-> receiving -> ready.
 *         The transaction's presence and its is_receiving are the state.
 * To add a command: write command_x(), add a row to commands[], add a case to the dialogue tests. */
#include "service/lmtp/lmtp_private.h"

static struct buf *output(struct lmtp_connection *c)
{
	return stream_output(c->stream);
}

static void reply(struct lmtp_connection *c, unsigned code, const char *enhanced, const char *text)
{
	smtp_put_reply(output(c), code, enhanced, str_from(text));
}

void lmtp_say_goodbye(struct lmtp_connection *c, const char *enhanced, const char *text)
{
	AUTO_BUF(line, 0);
	buf_putf(&line, "%s %s", c->lmtp->hostname, text);
	smtp_put_reply(output(c), 421, enhanced, buf_str(&line));
}

static void reply_bad(struct lmtp_connection *c, const struct smtp_reply *why)
{
	reply(c, why->code, why->enhanced, why->text);
	if (++c->bad_commands >= LMTP_BAD_MAX && !c->closing_reason) {
		lmtp_say_goodbye(c, "4.7.0", "Too many invalid commands");
		c->closing_reason = "too many invalid commands";
	}
}

static void reply_out_of_order(struct lmtp_connection *c, const char *text)
{
	reply_bad(c, &(struct smtp_reply){ 503, "5.5.0", text });
}

static void end_transaction(struct lmtp_connection *c)
{
	lmtp_transaction_free(c->transaction);
	c->transaction = NULL;
}

void lmtp_put_greeting(struct lmtp_connection *c)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "%s %.*s", c->lmtp->hostname, STRF(c->lmtp->greeting));
	smtp_put_reply(output(c), 220, NULL, buf_str(&text));
}

/* ---- commands ---- */

static void command_lhlo(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	AUTO_BUF(text, 0);
	(void)op;
	end_transaction(c);
	mem_free(c->helo);
	c->helo = str_new_z(command->domain);
	buf_putf(&text, "%s\nPIPELINING\nENHANCEDSTATUSCODES\n8BITMIME\nSIZE %" PRIu64,
		c->lmtp->hostname, c->lmtp->mail_bytes_max);
	smtp_put_reply(output(c), 250, NULL, buf_str(&text));
}

/* RFC 2033 §4.1 */
static void command_hello_of_smtp(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	reply_bad(c, &(struct smtp_reply){ 500, "5.5.1", "This is LMTP: say LHLO" });
}

static void command_mail(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	const struct lmtp *l = c->lmtp;
	(void)op;
	if (!c->helo)
		reply_out_of_order(c, "LHLO needed first");
	else if (c->transaction)
		reply_out_of_order(c, "MAIL already given");
	else if (command->param_count > 0)
		reply_bad(c, &(struct smtp_reply){ 555, "5.5.4", "Unsupported MAIL parameter" });
	else if (command->body == SMTP_BODY_BINARYMIME)
		reply_bad(c, &(struct smtp_reply){ 504, "5.5.4", "BINARYMIME is not supported" });
	else if (command->has_size && command->size > l->mail_bytes_max) /* RFC 1870 §6.1 */
		reply(c, 552, "5.3.4", "Message size exceeds fixed limit");
	else {
		c->transaction = lmtp_transaction_new(c->lmtp, &command->path);
		reply(c, 250, "2.1.0", "OK");
	}
}

static void accept_recipient(struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	if (!lmtp_transaction_add(c->transaction, r)) {
		reply(c, 451, "4.5.3", "Too many recipients");
		return;
	}
	c->recipient_number = r->number;
	reply(c, 250, "2.1.5", "OK");
}

static void command_rcpt(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	struct lmtp_recipient r;
	if (!c->transaction) {
		reply_out_of_order(c, "MAIL needed first");
		return;
	}
	if (command->param_count > 0) {
		reply_bad(c, &(struct smtp_reply){ 555, "5.5.4", "Unsupported RCPT parameter" });
		return;
	}
	if (c->transaction->recipient_count >= LMTP_RECIPIENTS_MAX) {
		reply(c, 451, "4.5.3", "Too many recipients");
		return;
	}
	enum err e = lmtp_recipient_find(op, c, &command->path, &r);
	if (e == ERR_NONE) {
		accept_recipient(c, &r);
		return;
	}
	lmtp_put_failure(output(c), c->lmtp, LMTP_AT_RCPT, &r, e, op);
	if (e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_DENIED)
		event_send(c->event, EVENT_INFO, "lmtp_recipient_refused",
			"Recipient <%.*s> refused: %s", STRF(r.path), op->failure.text);
	else
		event_send_failure(c->event, EVENT_ERROR, NULL, op, "asking auth for a recipient");
}

/* RFC 2033 §4.2: without a recipient that was accepted DATA must fail. */
static void command_data(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	if (!c->transaction) {
		reply_out_of_order(c, "MAIL needed first");
		return;
	}
	if (c->transaction->recipient_count == 0) {
		reply(c, 554, "5.5.0", "No valid recipients");
		return;
	}
	c->transaction->is_receiving = true;
	reply(c, 354, NULL, "OK");
}

static void command_rset(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	end_transaction(c);
	reply(c, 250, "2.0.0", "OK");
}

static void command_noop(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	reply(c, 250, "2.0.0", "OK");
}

static void command_quit(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	reply(c, 221, "2.0.0", "Bye");
	c->closing_reason = "logged out";
}

static void command_vrfy(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	reply(c, 252, "2.3.3", "Try RCPT instead");
}

static void command_help(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	reply(c, 214, "2.0.0", "LHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP (RFC 2033)");
}

static void command_unsupported(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	reply_bad(c, &(struct smtp_reply){ 502, "5.5.1", "Command not supported" });
	/* The chunk comes unasked, and it must not be read as commands. */
	if (command->verb == SMTP_BDAT && !c->closing_reason)
		c->closing_reason = "BDAT without CHUNKING";
}

typedef void command_fn(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command);

static command_fn *const commands[] = {
	[SMTP_HELO] = command_hello_of_smtp,
	[SMTP_EHLO] = command_hello_of_smtp,
	[SMTP_LHLO] = command_lhlo,
	[SMTP_MAIL] = command_mail,
	[SMTP_RCPT] = command_rcpt,
	[SMTP_DATA] = command_data,
	[SMTP_BDAT] = command_unsupported,
	[SMTP_RSET] = command_rset,
	[SMTP_NOOP] = command_noop,
	[SMTP_QUIT] = command_quit,
	[SMTP_VRFY] = command_vrfy,
	[SMTP_HELP] = command_help,
	[SMTP_STARTTLS] = command_unsupported,
	[SMTP_AUTH] = command_unsupported,
	[SMTP_XCLIENT] = command_unsupported,
};

/* `line` is in op's arena, no longer in the stream. */
static void run_line(struct op *op, struct lmtp_connection *c, struct str line)
{
	struct smtp_command command;
	struct smtp_reply why;
	uint8_t bad_before = c->bad_commands;
	if (smtp_parse_command(op->arena, line, c->lmtp->workarounds, &command, &why) != ERR_NONE) {
		reply_bad(c, &why);
		return;
	}
	ASSERT(command.verb < ARRAY_COUNT(commands));
	commands[command.verb](op, c, &command);
	if (c->bad_commands == bad_before)
		c->bad_commands = 0;
}

/* ---- the mail ---- */

static void refuse_mail(struct op *op, struct lmtp_connection *c, const struct smtp_reply *why)
{
	for (struct lmtp_recipient *r = c->transaction->first; r; r = r->next) {
		struct str text = str_printf(op->arena, "<%.*s> %s", STRF(r->path), why->text);
		smtp_put_reply(output(c), why->code, why->enhanced, text);
	}
	event_send(c->event, EVENT_INFO, "lmtp_mail_refused", "Mail refused: %u %s %s", why->code,
		why->enhanced, why->text);
}

static void finish_mail(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_transaction *t = c->transaction;
	int fd;
	t->is_receiving = false;
	if (t->refusal || !lmtp_transaction_seal(op, t, &fd)) {
		refuse_mail(op, c, t->refusal);
	} else {
		timer_cancel(&c->idle);
		lmtp_fan_out(op, c, fd);
		timer_set(&c->idle, now_us() + LMTP_IDLE_US);
	}
	end_transaction(c);
}

static void receive_mail(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_transaction *t = c->transaction;
	size_t used;
	bool is_done = lmtp_transaction_receive(
		op, t, stream_input(c->stream), c->lmtp->mail_bytes_max, &used);
	stream_consume(c->stream, used);
	if (is_done) {
		finish_mail(op, c);
	} else if (t->drained_bytes > LMTP_DRAIN_BYTES_MAX) {
		refuse_mail(op, c, t->refusal);
		end_transaction(c);
		c->closing_reason = "far too large a mail";
	}
}

/* ---- input ---- */

static bool is_receiving(const struct lmtp_connection *c)
{
	return c->transaction && c->transaction->is_receiving;
}

/* Acts on the buffered input; false: there must be more of it. */
static bool act(struct op *op, struct lmtp_connection *c)
{
	struct str line, input = stream_input(c->stream);
	size_t used;
	if (input.n == 0)
		return false;
	if (is_receiving(c)) {
		receive_mail(op, c);
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
		reply_bad(c, &(struct smtp_reply){ 500, "5.5.2", "Line too long" });
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
	while (e == ERR_NONE && got && is_receiving(c) &&
		stream_input(c->stream).n < LMTP_INPUT_MAX);
	if (stream_input(c->stream).n > before)
		return true; /* an end is met again when all this is served */
	if (e != ERR_NONE)
		c->closing_reason = is_receiving(c) ? "connection lost in the middle of a mail"
						    : "connection closed by the client";
	return false;
}

void lmtp_serve_input(struct op *op, struct lmtp_connection *c)
{
	while (!c->closing_reason) {
		arena_reset(op->arena);
		op_init(op, op->arena, c->event, now_us() + LMTP_IDLE_US);
		if (c->lmtp->is_closing && !is_receiving(c)) {
			lmtp_say_goodbye(c, "4.3.2", "Shutting down");
			c->closing_reason = "shutting down";
		} else if (act(op, c)) {
			/* A client that only talks and never listens waits here. */
			if (stream_write_check(op, c->stream) != ERR_NONE)
				c->closing_reason = "connection lost";
		} else if (!fill(op, c)) {
			break;
		} else {
			timer_set(&c->idle, now_us() + LMTP_IDLE_US);
			task_breathe();
		}
	}
	op_init(op, op->arena, c->event, now_us() + LMTP_IDLE_US);
}
