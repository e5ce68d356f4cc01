/* SPDX-License-Identifier: Apache-2.0 */
/* What a command of doveadm to a mail worker is given, and those that have a file of their own. */
#pragma once

#include "base/base.h"
#include "config/config.h"
#include "store/mailbox.h"

struct imap;
struct ipc_message;
struct store;

struct admin_call {
	struct store *store;
	struct imap *const
		*imap;         /* NULL behind it: the worker stops, and the store may have gone */
	struct config *config; /* a reference */
	struct ipc_message *reply; /* a stream puts its descriptor there itself */
	uint32_t slot;
	struct str user, mailbox, options;
	enum rebuild_way way; /* rows that are missing */
	struct buf out;       /* lines of fields */
};

/* All WAIT. mail_metacache.c: */
enum err mail_metacache_status(struct op *op, struct admin_call *c);
enum err mail_metacache_list(struct op *op, struct admin_call *c);
enum err mail_metacache_flush(struct op *op, struct admin_call *c);
enum err mail_metacache_flushall(struct op *op, struct admin_call *c);
enum err mail_metacache_clean(struct op *op, struct admin_call *c);
enum err mail_metacache_remove(struct op *op, struct admin_call *c);
enum err mail_metacache_refresh(struct op *op, struct admin_call *c);
enum err mail_metacache_rescan(struct op *op, struct admin_call *c);

/* mail_pull.c: */
enum err mail_pull(struct op *op, struct admin_call *c);
enum err mail_pull_send(struct op *op, struct admin_call *c);
enum err mail_pull_sent(struct op *op, struct admin_call *c);

/* mail_admin.c: is the word one of the options? What stands behind the name ("" if it is not there). */
bool mail_admin_has_option(const struct admin_call *c, struct str wanted);
struct str mail_admin_option_value(const struct admin_call *c, struct str name);
