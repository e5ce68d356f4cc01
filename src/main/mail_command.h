/* SPDX-License-Identifier: Apache-2.0 */
/* main/mail_command.h - the commands that mail workers answer: their arguments, wherever they come from, and
 * the message that asks a worker (main/mail_admin.h).
 *
 * doveadm reads its command line with this table, and so does who serves other hosts' doveadm. */
#pragma once

#include "base/base.h"

struct ipc_message;

/* What stands behind the options. */
enum mail_command_rest {
	REST_NOTHING,
	REST_MAILBOX, /* one at most */
	REST_MASKS,
	REST_MASKS_SOME, /* at least one */
	REST_HOST,       /* one */
};
/* Failures that get another exit status than usual. */
enum mail_command_exits { EXITS_USUAL, EXITS_OF_METACACHE, EXITS_OF_OBOX };

struct mail_command {
	const char *name;
	const char *titles;  /* of its lines; separated by tabs */
	const char *letters; /* its short options, as getopt(3) has them; with 'u': about users */
	const char *const *words; /* its long ones, without values; NULL-terminated */
	const char *required;     /* a word that must stand there; NULL: none */
	enum mail_command_rest rest;
	enum mail_command_exits exits;
	int64_t lasts_us;
	bool is_inner; /* for other hosts, not for people */
};
/* An invocation. Texts are borrowed from the arguments. */
struct mail_call {
	const struct mail_command *command;
	struct str user, mailbox; /* "": not about a user; all of his */
	struct str host;          /* -S: asked there; "": here */
	struct buf options;       /* owned; words for the worker, a space behind each */
	bool is_for_all;          /* every user of the user databases, one after the other */
	int64_t lasts_us;
};

/* NULL: there is none. */
const struct mail_command *mail_command_find(struct str name);
/* Reads args[1] to args[count - 1]; args[0] is any word. `user` is the one that it is
 * about whatever -u and -A say; "": they say it. False: wrong;
 * mail_call_done() in any case. */
bool mail_call_read(const struct mail_command *command, struct str user, int count, char **args,
	struct mail_call *out);
void mail_call_done(struct mail_call *c);
/* Fills a message for the worker who serves `user` ("": for any). */
void mail_call_put(const struct mail_call *c, struct str user, struct ipc_message *request);
