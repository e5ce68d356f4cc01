/* SPDX-License-Identifier: Apache-2.0 */
/* main/doveadm_mail.h - asking mail workers (main/mail_admin.h): what the commands that do so share. */
#pragma once

#include "main/doveadm.h"

struct doveadm_mail_call {
	struct doveadm *d;
	const char *command, *titles; /* for the worker; the line of names */
	struct str user, mailbox;     /* "": not about a user; all of his */
	struct buf options;           /* words for the worker, a space behind each */
	bool is_for_all;              /* every user of the user databases, one after the other */
	int64_t lasts_us;             /* that long at most; 0: five minutes */
	enum err result;              /* of the command; why stands in the op's failure */
};

/* Takes -u USER, -A, -t SECONDS and the long options of `words` (NULL-terminated; each becomes a word of
 * the request) as `letters` allows, then at most one mailbox. False: wrong. */
bool doveadm_mail_options(
	struct doveadm_mail_call *c, const char *letters, const char *const *words);
/* Asks who serves the user, or all workers; prints their lines. The exit status. */
int doveadm_mail_run(struct doveadm_mail_call *c);
