/* SPDX-License-Identifier: Apache-2.0 */
/* main/mail_admin.h - commands of doveadm to a mail worker (IPC_MAIL_ADMIN): "command", "options"
 * (words), and for those about a user "user" and "mailbox" ("": all of them). The reply has "failed" and "text", or, where that
 * is too long for a message, a descriptor of a memory file instead: lines of fields that
 * are separated by tabs, without a line of names, since doveadm joins the answers of several workers. */
#pragma once

#include "base/base.h"

struct ipc_message;
struct config;
struct imap;
struct store;

/* Of the worker that answers; borrowed. A reload may give it another service, and NULL says that it stops. */
struct mail_admin_parts {
	struct store *store;
	struct imap *const *imap;
	struct config *config;
	uint32_t slot;
};

/* WAITS. ERR_UNSUPPORTED: no such command. What the command itself finds wrong is in the reply. */
enum err mail_admin_answer(struct op *op, const struct mail_admin_parts *parts,
	const struct ipc_message *request, struct ipc_message *reply);
