/* SPDX-License-Identifier: Apache-2.0 */
/* main/mail_admin.h - commands of doveadm to a mail worker (IPC_MAIL_ADMIN): "command", "options"
 * (words), and for those about a user "user" and "mailbox" ("": all of them). The reply has "failed" and "text", or, where that
 * is too long for a message, a descriptor of a memory file instead: lines of fields that
 * are separated by tabs, without a line of names, since doveadm joins the answers of several workers. */
#pragma once

#include "base/base.h"

struct ipc_message;
struct store;

/* WAITS. ERR_UNSUPPORTED: no such command. What the command itself finds wrong is in the reply. */
enum err mail_admin_answer(struct op *op, struct store *store, uint32_t slot,
	const struct ipc_message *request, struct ipc_message *reply);
