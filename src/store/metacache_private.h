/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the metacache: what its files share. */
#pragma once

#include "store/cache/totals.h"
#include "store/metacache.h"
#include "store/store_private.h"

#define METACACHE_BLOCK    4096              /* what files use is counted in these */
#define METACACHE_CHECK_US (10 * US_PER_SEC) /* so often it is looked whether room is short */
#define METACACHE_OP_US    (60 * US_PER_SEC)
#define METACACHE_MARKER   "special" /* in the directory of an INBOX or \Junk mailbox */

struct metacache {
	struct store *store;
	struct metacache_settings settings;
	char *userdb; /* owned; NULL: the account is not kept */
	struct cache account;
	struct upload_queue queue;
	struct cache_totals *totals;
	struct timer save_timer, upload_timer, check_timer, rescan_timer, night_timer;
	bool is_saving, is_checking, is_rescanning, is_stopping;
	uint32_t round;     /* of recounts */
	int64_t checked_us; /* when room was looked for */
	/* Users who were never counted, to be looked at: names, owned. */
	struct list uncounted;
	bool is_counting;
	struct list running;              /* struct metacache_run: tasks that a stop cancels */
	struct metacache_figures figures; /* only those that are counted */
};
/* A task that waits for others than this host; on its stack. */
struct metacache_run {
	struct list link;
	struct task_handle task;
};
void metacache_run_begin(struct metacache *c, struct metacache_run *run);
void metacache_run_end(struct metacache_run *run);
/* He stays in the account until metacache_unpin(). */
struct cache_user *metacache_pin(struct metacache *c, struct str name);
/* Forgets him if there is nothing to know about him. */
void metacache_unpin(struct metacache *c, struct cache_user *u);
/* He is about to be opened, if he is not yet, by nobody who uses his mail. */
void metacache_maintain(const struct metacache *c, struct cache_user *u);
/* Sums to the other workers; looks whether room is short. */
void metacache_tell(struct metacache *c);

/* ---- metacache_count.c ---- */

struct counted_mailbox {
	struct catalog_guid guid;
	uint64_t bytes;
	uint64_t pending; /* flag changes in its log that are in no row; if asked for */
	bool is_special;
};
struct counted {
	struct counted_mailbox *mailboxes; /* in op's arena */
	size_t count;
	uint64_t root_bytes;
	bool exists;
};
uint64_t metacache_blocks(uint64_t bytes); /* what so many bytes of a file use */
/* WAITS. Looks at a user's directory. `with_pending`: reads logs, too. */
enum err metacache_look(struct op *op, const char *dir, bool with_pending, struct counted *out);
/* Puts what was found into the account; for mailboxes that are open memory knows better. */
void metacache_apply(struct metacache *c, struct cache_user *u, const struct counted *found);
void metacache_count_soon(struct metacache *c, struct str name);
void metacache_rescan_due(void *arg);
void metacache_count_stop(struct metacache *c);

/* ---- metacache_clean.c ---- */

/* WAITS. Opens all his mailboxes once: that writes what an earlier process left in their logs. */
enum err metacache_adopt(struct op *op, struct store *s, struct str name);
/* Room is short: drops what goes first, in the background. */
void metacache_check_due(void *arg);
int64_t metacache_user_weight(const struct metacache *c, const struct cache_user *u,
	const uint64_t totals[CACHE_PRIORITIES], enum cache_priority *out_priority);

/* ---- metacache_upload.c ---- */

/* WAITS. Everything of a user who is pinned or in the queue; also what is not open. */
enum err metacache_upload(struct op *op, struct metacache *c, struct cache_user *u,
	enum base_reason why, size_t *out_uploaded);
void metacache_upload_due(void *arg);
void metacache_upload_arm(struct metacache *c);
void metacache_plan(
	struct metacache *c, struct cache_user *u, enum upload_class class, int64_t due_us);
void metacache_night_due(void *arg);
void metacache_night_arm(struct metacache *c);
