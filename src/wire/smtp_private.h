/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp_private.h - the parser of one SMTP command line, for this folder alone. */
#pragma once

#include "wire/smtp.h"

struct smtp_parser {
	struct arena *arena;
	struct str rest;
	unsigned workarounds;
	struct smtp_reply *why;
};

/* smtp_command.c */
enum err smtp_parser_fail(struct smtp_parser *p, enum err class, struct smtp_reply why);
enum err smtp_bad_args(struct smtp_parser *p, const char *text); /* 501 5.5.4 */
bool smtp_is_ascii(struct str s);
bool smtp_domain_is_valid(struct str s); /* or "[address]"; ASCII */

/* smtp_params.c: take the parameters they know out of cmd->params. */
enum err smtp_take_mail_params(struct smtp_parser *p, struct smtp_command *cmd);
enum err smtp_take_rcpt_params(struct smtp_parser *p, struct smtp_command *cmd);
