/* SPDX-License-Identifier: Apache-2.0 */
/* One delivery in the worker: choose the mailbox, save. */
#include "deliver/deliver_private.h"
#include "store/mailbox.h"
#include "store/store.h"

/* ---- where to ---- */

/* ERR_NOT_FOUND: there is no such mailbox, and none was made. */
static enum err open_detail(
	struct op *op, struct user *u, struct str name, unsigned options, struct mailbox **out)
{
	enum err e = mailbox_open(op, u, name, out);
	if (e != ERR_NOT_FOUND || !(options & DELIVER_CREATES_MAILBOX))
		return e;
	e = tree_create(op, u, name, STR(""));
	if (e != ERR_NONE && e != ERR_EXISTS)
		return e;
	if (options & DELIVER_SUBSCRIBES_MAILBOX)
		/* The mail matters more than the subscription. */
		(void)tree_subscribe(op, u, name, true);
	return mailbox_open(op, u, name, out);
}

static enum err append(struct op *op, struct mailbox *m, const struct delivery *d,
	struct str message, uint32_t *out_uid)
{
	struct append one = { .message = message, .received_wall_us = d->received_wall_us };
	struct append_result result;
	TRY(mailbox_append(op, m, &one, 1, &result));
	*out_uid = result.uids[0];
	return ERR_NONE;
}

/* True: the sender's choice of a mailbox cannot be met, INBOX takes the mail. */
static bool falls_back_to_inbox(enum err e)
{
	return e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_DENIED;
}

static enum err save_to_detail(struct op *op, struct user *u, const struct delivery *d,
	unsigned options, struct str message, struct delivery_result *out)
{
	struct mailbox *m;
	uint32_t uid = 0;
	TRY(open_detail(op, u, d->detail, options, &m));
	enum err e = append(op, m, d, message, &uid);
	mailbox_unref(m);
	if (e == ERR_NONE)
		*out = (struct delivery_result){ .mailbox = d->detail, .uid = uid };
	return e;
}

static enum err save_to_inbox(struct op *op, struct user *u, const struct delivery *d,
	struct str message, struct delivery_result *out)
{
	struct mailbox *m;
	uint32_t uid = 0;
	enum err e = mailbox_open(op, u, STR("INBOX"), &m);
	if (e == ERR_NONE) {
		e = append(op, m, d, message, &uid);
		mailbox_unref(m);
	}
	/* Every user has an INBOX: that it is missing must not bounce his mail. */
	if (e == ERR_NOT_FOUND)
		return op_fail(op, ERR_UNAVAILABLE, "INBOX does not exist");
	if (e == ERR_NONE)
		*out = (struct delivery_result){ .mailbox = STR("INBOX"), .uid = uid };
	return e;
}

static enum err save(struct op *op, struct user *u, const struct delivery *d, unsigned options,
	struct str message, struct delivery_result *out)
{
	enum err e = ERR_NOT_FOUND;
	if ((options & DELIVER_TO_DETAIL) && d->detail.n > 0) {
		e = save_to_detail(op, u, d, options, message, out);
		if (falls_back_to_inbox(e))
			op_forgive(op);
	}
	if (falls_back_to_inbox(e))
		e = save_to_inbox(op, u, d, message, out);
	/* A limit that the user may hear of is his quota; any other is ours, a full disk most likely:
	 * the mail shall come again. */
	if (e == ERR_LIMIT && !op->failure.client_text[0]) {
		struct op_failure why = op->failure;
		return op_fail(op, ERR_UNAVAILABLE, "%s", why.text);
	}
	return e;
}

enum err deliver_run(struct op *op, struct user *u, const struct delivery *d,
	const struct deliver_settings *settings, struct delivery_result *out)
{
	struct deliver_mail mail;
	struct delivery_result result = { .mailbox = STR("") };
	*out = (struct delivery_result){ .mailbox = STR("") };
	TRY(deliver_mail_open(op, d, &mail));
	struct deliver_report report;
	deliver_report_begin(&report, op, u, d, mail.message);
	struct event *outer = op->event;
	op->event = report.event; /* what saving tells, to logs and stores, says for whom */
	enum err e = save(op, u, d, settings->options, mail.message, &result);
	op->event = outer;
	deliver_report_end(&report, op, settings->log_format, e, &result);
	deliver_mail_close(&mail);
	out->is_logged = e != ERR_NONE;
	if (e == ERR_NONE)
		*out = (struct delivery_result){
			.mailbox = str_dup(op->arena, result.mailbox),
			.uid = result.uid,
		};
	return e;
}
