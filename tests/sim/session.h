/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - what the files of sessions share. */
#pragma once

#include "ledger.h"

#define SESSION_MIRROR 1000

struct session {
	struct process *process;
	int number;
	struct arena arena;
	struct op op;
	/* what is selected; NULL: nothing */
	struct mailbox *mailbox;
	struct view *view;
	struct known_box *box;
	/* what the client was told */
	struct client_mail mirror[SESSION_MIRROR];
	uint32_t count;
	uint64_t modseq;
};

/* Begins an operation with a deadline. */
void session_op(struct session *s);
void session_trace(const struct session *s, const char *what, enum err e);
/* Tells what happened, and checks it. */
void session_sync(struct session *s, bool may_expunge);
void session_leave(struct session *s);
/* WAITS. NULL: it failed, or there is no such mailbox. */
struct mailbox *session_open(struct session *s, size_t name, enum err *out);
struct known_box *session_box(struct mailbox *m);
/* One of the names, as an index. */
size_t session_name(const struct session *s);

/* All WAIT. */
void append_step(struct session *s);
void store_step(struct session *s);
void transfer_step(struct session *s);
void expunge_step(struct session *s);
void tree_step(struct session *s);
void rename_inbox_step(struct session *s);
