/* SPDX-License-Identifier: Apache-2.0 */
/* From the outcome for a recipient to the line that tells it. Spec: sheet protocols §8; RFC 3463.
 *
 * What may be our own trouble is temporary, so that the mail comes again: a mail refused with 5xx is a
 * mail that its sender gets back. Therefore a limit counts as the user's quota only if the worker says
 * so to the client (a full disk is ERR_LIMIT too), and a worker that refuses our ticket (ERR_DENIED)
 * refuses us, not the mail. */
#include "service/lmtp/lmtp_private.h"

static struct smtp_reply temporary(void)
{
	return (struct smtp_reply){ 451, "4.3.0", "Temporary internal error" };
}

static struct smtp_reply quota(const struct lmtp_rules *rules)
{
	const char *text = "Quota exceeded (mailbox for user is full)";
	if (rules->is_quota_temporary)
		return (struct smtp_reply){ 452, "4.2.2", text };
	return (struct smtp_reply){ 552, "5.2.2", text };
}

static struct smtp_reply reply_for(
	const struct lmtp_rules *rules, enum lmtp_stage stage, enum err e, bool is_told)
{
	bool is_rcpt = stage == LMTP_AT_RCPT;
	switch (e) {
	case ERR_NOT_FOUND:
		return (struct smtp_reply){ 550, "5.1.1", "User doesn't exist" };
	case ERR_INVALID:
		if (is_rcpt)
			return (struct smtp_reply){ 550, "5.1.1", "User doesn't exist" };
		return (struct smtp_reply){ 552, "5.2.0", "The mail was refused" };
	case ERR_DENIED:
		if (is_rcpt)
			return (struct smtp_reply){ 550, "5.7.1", "Delivery is not allowed" };
		return temporary();
	case ERR_LIMIT:
		return !is_rcpt && is_told ? quota(rules) : temporary();
	case ERR_EXISTS:
	case ERR_CONFLICT:
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
	case ERR_CANCELLED:
	case ERR_CORRUPT:
	case ERR_UNSUPPORTED:
	case ERR_NONE:
		return temporary();
	}
	UNREACHABLE();
}

static void put(struct buf *out, const struct lmtp_connection *c, const struct smtp_reply *reply,
	struct str text)
{
	bool is_utf8 = c->transaction && c->transaction->is_utf8;
	smtp_put_reply(out, is_utf8, reply->code, reply->enhanced, text);
}

void lmtp_put_failure(struct buf *out, const struct lmtp_connection *c, enum lmtp_stage stage,
	const struct lmtp_recipient *r, enum err e, const struct op *op)
{
	AUTO_BUF(text, 0);
	bool is_told = op->failure.client_text[0] != '\0';
	struct smtp_reply reply = reply_for(c->rules, stage, e, is_told);
	buf_putf(&text, "<%.*s> %s", STRF(r->path), is_told ? op->failure.client_text : reply.text);
	if (strcmp(reply.enhanced, "5.1.1") == 0)
		buf_putf(&text, ": %.*s", STRF(r->name));
	if (c->rules->is_verbose && op->failure.text[0] != '\0')
		buf_putf(&text, " (%s)", op->failure.text);
	/* One line each, whatever the texts hold. */
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n')
			text.p[i] = ' ';
	put(out, c, &reply, buf_str(&text));
}

void lmtp_put_refusal(struct buf *out, const struct lmtp_connection *c,
	const struct lmtp_recipient *r, const struct smtp_reply *why)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "<%.*s> %s", STRF(r->path), why->text);
	put(out, c, why, buf_str(&text));
}

void lmtp_put_saved(struct buf *out, const struct lmtp_connection *c,
	const struct lmtp_recipient *r, struct str session_id)
{
	static const struct smtp_reply saved = { 250, "2.0.0", NULL };
	AUTO_BUF(text, 0);
	buf_putf(&text, "<%.*s> %.*s Saved", STRF(r->path), STRF(session_id));
	put(out, c, &saved, buf_str(&text));
}
