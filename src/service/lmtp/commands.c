/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of LMTP. Spec: RFC 2033 §4, RFC 5321 §4.1, RFC 3207 (STARTTLS), RFC 6531 (SMTPUTF8),
 * sheet protocols §7.2.
 *
 * To add a command: write command_x(), add a row to commands[], add a row to a table of dialogues. */
#include "service/lmtp/lmtp_private.h"

static void reply_out_of_order(struct lmtp_connection *c, const char *text)
{
	lmtp_reply_bad(c, &(struct smtp_reply){ 503, "5.5.0", text });
}

void lmtp_end_transaction(struct lmtp_connection *c)
{
	lmtp_transaction_free(c->transaction);
	c->transaction = NULL;
	c->drained_bytes = 0;
}

/* ---- hello ---- */

static void put_features(struct buf *out, const struct lmtp_connection *c)
{
	const struct lmtp_rules *r = c->rules;
	buf_putf(out, "%s\n8BITMIME\nCHUNKING\nENHANCEDSTATUSCODES\nPIPELINING\nSIZE %" PRIu64,
		r->hostname, r->mail_bytes_max);
	if (r->offers_utf8)
		buf_put(out, STR("\nSMTPUTF8"));
	if (r->offers_tls && c->lmtp->tls && !stream_is_tls(c->stream))
		buf_put(out, STR("\nSTARTTLS"));
	buf_put(out, STR("\nVRFY"));
	if (c->may_speak_for_others) {
		buf_put(out, STR("\n"));
		smtp_put_xclient_keywords(out);
		buf_put(out, STR("\nXRCPTFORWARD"));
	}
}

static void command_lhlo(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	AUTO_BUF(text, 0);
	(void)op;
	lmtp_end_transaction(c);
	mem_free(c->helo);
	c->helo = str_new_z(command->domain);
	put_features(&text, c);
	smtp_put_reply(stream_output(c->stream), false, 250, NULL, buf_str(&text));
}

/* RFC 2033 §4.1 */
static void command_hello_of_smtp(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply_bad(c, &(struct smtp_reply){ 500, "5.5.1", "This is LMTP: say LHLO" });
}

/* RFC 3207 §4: nothing may stand behind the command, and nothing said before counts. */
static void command_starttls(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)command;
	if (stream_is_tls(c->stream)) {
		lmtp_reply_bad(c, &(struct smtp_reply){ 502, "5.5.1", "TLS is already active." });
	} else if (!c->rules->offers_tls || !c->lmtp->tls) {
		lmtp_reply_bad(
			c, &(struct smtp_reply){ 502, "5.5.1", "TLS support is not enabled." });
	} else if (stream_input(c->stream).n > 0) {
		lmtp_reply(c, 501, "5.5.4", "Nothing may follow STARTTLS");
		c->closing_reason = "plaintext after STARTTLS";
	} else {
		lmtp_reply(c, 220, "2.0.0", "Begin TLS negotiation now.");
		if (lmtp_connection_start_tls(op, c) != ERR_NONE && !task_is_cancelled())
			c->closing_reason = "TLS handshake failed";
	}
}

/* ---- the envelope ---- */

/* What is wrong with MAIL's extensions; NULL: nothing. */
static const struct smtp_reply *mail_refusal(
	const struct lmtp_connection *c, const struct smtp_command *command)
{
	static const struct smtp_reply unknown = { 555, "5.5.4", "Unsupported MAIL parameter" };
	static const struct smtp_reply binary = { 504, "5.5.4", "BINARYMIME is not supported" };
	static const struct smtp_reply too_big = { 552, "5.3.4",
		"Message size exceeds fixed limit" };
	static const struct smtp_reply not_ascii = { 553, "5.6.7",
		"Non-ASCII addresses need SMTPUTF8" };
	if (command->param_count > 0 || (command->is_utf8 && !c->rules->offers_utf8))
		return &unknown;
	if (command->body == SMTP_BODY_BINARYMIME)
		return &binary;
	if (smtp_path_is_utf8(&command->path) && !command->is_utf8)
		return &not_ascii;
	if (command->has_size && command->size > c->rules->mail_bytes_max) /* RFC 1870 §6.1 */
		return &too_big;
	return NULL;
}

static void command_mail(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	if (!c->helo) {
		reply_out_of_order(c, "LHLO needed first");
		return;
	}
	if (c->transaction) {
		reply_out_of_order(c, "MAIL already given");
		return;
	}
	const struct smtp_reply *why = mail_refusal(c, command);
	if (why) {
		if (why->code == 552 || why->code == 553) /* that mail's fault, not the client's */
			lmtp_reply(c, why->code, why->enhanced, why->text);
		else
			lmtp_reply_bad(c, why);
		return;
	}
	c->transaction = lmtp_transaction_new(c->lmtp, command);
	lmtp_reply(c, 250, "2.1.0", "OK");
}

static void accept_recipient(struct lmtp_connection *c, const struct lmtp_recipient *r)
{
	if (!lmtp_transaction_add(c->transaction, r)) {
		lmtp_reply(c, 451, "4.5.3", "Too many recipients");
		return;
	}
	c->recipient_number = r->number;
	lmtp_reply(c, 250, "2.1.5", "OK");
}

/* What is wrong with RCPT's extensions; NULL: nothing. XRCPTFORWARD is checked, and nobody asks for what it
 * holds. */
static const struct smtp_reply *rcpt_refusal(
	struct op *op, const struct lmtp_connection *c, const struct smtp_command *command)
{
	static const struct smtp_reply unknown = { 555, "5.5.4", "Unsupported RCPT parameter" };
	static const struct smtp_reply untrusted = { 550, "5.7.14", "You are not from trusted IP" };
	static const struct smtp_reply malformed = { 501, "5.5.4",
		"Invalid XRCPTFORWARD parameter" };
	static const struct smtp_reply not_ascii = { 553, "5.6.7",
		"Non-ASCII addresses need SMTPUTF8" };
	const struct smtp_param *forward = smtp_param_find(command, STR("XRCPTFORWARD"));
	struct str value;
	if (command->param_count > (forward ? 1 : 0))
		return &unknown;
	if (smtp_path_is_utf8(&command->path) && !c->transaction->is_utf8)
		return &not_ascii;
	if (!forward)
		return NULL;
	if (!c->may_speak_for_others)
		return &untrusted;
	if (!smtp_xtext_decode(op->arena, forward->value, &value))
		value = forward->value;
	return smtp_decode_forward(op->arena, value, &value) ? NULL : &malformed;
}

static void refuse_recipient(
	struct op *op, struct lmtp_connection *c, struct lmtp_recipient *r, enum err e)
{
	AUTO_BUF(reply, 0);
	c->transaction->refused_count++;
	lmtp_put_failure(&reply, c, LMTP_AT_RCPT, r, e, op);
	r->reply = buf_dup(op->arena, &reply);
	buf_put(stream_output(c->stream), r->reply);
	lmtp_recipient_report(c, r);
	if (e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_DENIED)
		event_send(c->event, EVENT_INFO, "lmtp_recipient_refused",
			"Recipient <%.*s> refused: %s", STRF(r->path), op->failure.text);
	else
		event_send_failure(c->event, EVENT_ERROR, NULL, op, "asking auth for a recipient");
}

static void command_rcpt(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	struct lmtp_recipient r;
	if (!c->transaction) {
		reply_out_of_order(c, "MAIL needed first");
		return;
	}
	if (c->transaction->is_chunked) {
		reply_out_of_order(c, "The mail has begun");
		return;
	}
	const struct smtp_reply *why = rcpt_refusal(op, c, command);
	if (why) {
		lmtp_reply_bad(c, why);
		return;
	}
	if (c->transaction->recipient_count >= LMTP_RECIPIENTS_MAX) {
		lmtp_reply(c, 451, "4.5.3", "Too many recipients");
		return;
	}
	enum err e = lmtp_recipient_find(op, c, command, &r);
	if (e == ERR_NONE)
		accept_recipient(c, &r);
	else
		refuse_recipient(op, c, &r, e);
}

/* RFC 2033 §4.2: without a recipient that was accepted DATA must fail. */
static void command_data(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	if (!c->transaction) {
		reply_out_of_order(c, "MAIL needed first");
	} else if (c->transaction->is_chunked) { /* RFC 3030 §2 */
		reply_out_of_order(c, "The mail comes by BDAT");
	} else if (c->transaction->recipient_count == 0) {
		lmtp_reply(c, 554, "5.5.0", "No valid recipients");
	} else {
		c->transaction->is_receiving = true;
		lmtp_reply(c, 354, NULL, "OK");
	}
}

static void command_rset(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_end_transaction(c);
	lmtp_reply(c, 250, "2.0.0", "OK");
}

/* ---- others ---- */

static void command_noop(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply(c, 250, "2.0.0", "OK");
}

static void command_quit(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply(c, 221, "2.0.0", "Bye");
	c->closing_reason = "logged out";
}

static void command_vrfy(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply(c, 252, "2.3.3", "Try RCPT instead");
}

static void command_help(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply(c, 214, NULL,
		"LHLO STARTTLS MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP (RFC 2033)");
}

static void command_unsupported(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	(void)op;
	(void)command;
	lmtp_reply_bad(c, &(struct smtp_reply){ 502, "5.5.1", "Command not supported" });
}

static lmtp_command_fn *const commands[] = {
	[SMTP_HELO] = command_hello_of_smtp,
	[SMTP_EHLO] = command_hello_of_smtp,
	[SMTP_LHLO] = command_lhlo,
	[SMTP_MAIL] = command_mail,
	[SMTP_RCPT] = command_rcpt,
	[SMTP_DATA] = command_data,
	[SMTP_BDAT] = lmtp_command_bdat,
	[SMTP_RSET] = command_rset,
	[SMTP_NOOP] = command_noop,
	[SMTP_QUIT] = command_quit,
	[SMTP_VRFY] = command_vrfy,
	[SMTP_EXPN] = command_unsupported,
	[SMTP_HELP] = command_help,
	[SMTP_STARTTLS] = command_starttls,
	[SMTP_AUTH] = command_unsupported,
	[SMTP_XCLIENT] = lmtp_command_xclient,
};

lmtp_command_fn *lmtp_command_find(enum smtp_verb verb)
{
	ASSERT(verb < ARRAY_COUNT(commands));
	return commands[verb];
}
