/* SPDX-License-Identifier: Apache-2.0 */
/* What a command of doveadm to a mail worker is given, and those that have a file of their own. */
#pragma once

#include "base/base.h"

struct store;

struct admin_call {
	struct store *store;
	uint32_t slot;
	struct str user, mailbox, options;
	bool puts_back; /* rows that are missing */
	struct buf out; /* lines of fields */
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
