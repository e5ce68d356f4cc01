/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm obox: a user's mail as a whole; who serves him does the work. Spec: sheet storage §8.4, §16.2. */
#include "main/doveadm_mail.h"

#define DELETE_US  (60 * 60 * US_PER_SEC)
#define REBUILD_US (4 * DELETE_US)
#define WAIT_US    (60 * US_PER_SEC)

static const char *const no_words[] = { NULL };

/* That he is in use is told apart from what may work later by itself. */
static int run(struct doveadm_mail_call *c)
{
	int status = doveadm_mail_run(c);
	if (c->result == ERR_EXISTS || c->result == ERR_CONFLICT || c->result == ERR_TIMEOUT)
		return EXIT_DATA_ERROR;
	return c->result == ERR_NOT_FOUND ? EXIT_NO_USER : status;
}

int doveadm_obox_user_delete(struct doveadm *d)
{
	struct doveadm_mail_call c = { .d = d,
		.command = "obox user delete",
		.titles = "user\tobjects\tmailboxes\tmails",
		.lasts_us = DELETE_US };
	if (!doveadm_mail_options(&c, "u:", no_words) || c.mailbox.n > 0)
		return doveadm_usage(d);
	return run(&c);
}

int doveadm_obox_audit(struct doveadm *d)
{
	struct doveadm_mail_call c = { .d = d,
		.command = "obox audit",
		.titles = "user\twhat\tmailbox_guid\tdetail",
		.lasts_us = REBUILD_US };
	if (!doveadm_mail_options(&c, "u:A", no_words) || c.mailbox.n > 0)
		return doveadm_usage(d);
	return run(&c);
}

int doveadm_dictmap_rebuild(struct doveadm *d)
{
	static const char *const words[] = { "from-storage", "dry-run", NULL };
	struct doveadm_mail_call c = { .d = d,
		.command = "dictmap rebuild",
		.titles = "user\tmailbox\tfrom\tuid_validity\tuid_next\tmails\tfound\tlost",
		.lasts_us = REBUILD_US };
	bool is_right = doveadm_mail_options(&c, "u:A", words) && c.mailbox.n == 0;
	if (!is_right || str_find(buf_str(&c.options), STR("from-storage")) < 0) {
		buf_done(&c.options);
		return doveadm_usage(d);
	}
	return run(&c);
}

int doveadm_obox_user_wait(struct doveadm *d)
{
	struct doveadm_mail_call c = {
		.d = d, .command = "obox user wait", .titles = "user\tresult", .lasts_us = WAIT_US
	};
	if (!doveadm_mail_options(&c, "u:t:", no_words) || c.mailbox.n > 0)
		return doveadm_usage(d);
	return run(&c);
}
