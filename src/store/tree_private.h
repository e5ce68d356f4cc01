/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of names, as the store's files share it. Included by store_private.h. */
#pragma once

#include "base/map.h"
#include "catalog/catalog.h"

struct batch;
struct store;
struct user;

/* ---- tree.c, tree_fold.c, names.c ---- */

struct tree_node {
	struct catalog_guid guid;
	struct str name; /* owned; as it is shown */
	struct str
		wanted; /* owned; what it was called, if an older one has that name; else empty */
	struct str special_use; /* owned */
	uint32_t uid_validity;
	uint64_t stamp;
	bool is_removed;
	bool is_going; /* its removal is being written: it is not opened any more */
	/* Not none: somebody else removed it by this row, and may have died before he queued its purge. */
	struct catalog_name purge;
};
struct tree_subscription {
	struct str name; /* owned */
	uint64_t stamp;
	bool is_on;
};
struct tree {
	struct tree_node **nodes; /* also removed ones, until the next root head */
	size_t node_count;
	struct map names;         /* living: name -> node */
	struct map subscriptions; /* name -> struct tree_subscription */
	uint64_t generation;
	uint32_t last_uid_validity;
	struct catalog_name cover;
	size_t ops;    /* folded since the root head, which does not have them */
	bool has_late; /* one of them lies below the cover: the root head is due */
};
void tree_init(struct tree *t);
void tree_done(struct tree *t);
enum err tree_fold(struct tree *t, const struct catalog_row *row);
enum err tree_decode(struct op *op, struct tree *t, struct str root_head);
void tree_encode(const struct tree *t, struct buf *out);
struct tree_node *tree_find(const struct tree *t, struct str name);
struct tree_node *tree_find_guid(const struct tree *t, struct catalog_guid guid);
struct catalog_guid tree_inbox_guid(const struct user *u);
/* WAITS. Folds the tree ops behind the root head, and takes over from writers that did not end cleanly. */
enum err tree_read_tail(struct op *op, struct user *u);
/* Sessions of mailboxes that were removed end: by others, or by a change of ours that was in doubt. */
void tree_tell_removed(struct user *u);
/* Adds our open head of the root scope, which comes before our first change; takes it away. */
void tree_claim(struct batch *b, struct user *u);
void tree_put_open_head(struct batch *b, struct user *u);
void tree_release(struct batch *b, struct user *u);
/* WAITS. The user's first batch, and default mailboxes that are not there. */
enum err tree_create_first(struct op *op, struct user *u);
enum err tree_create_defaults(struct op *op, struct user *u);

/* Until when changes of somebody who was ended may come that nobody looked for yet (wall); 0: all were. */
int64_t tree_late_ms(const struct user *u);
/* Adds the purges of mailboxes that somebody else removed. */
void tree_put_purges(struct batch *b);

/* ---- root.c ---- */

/* Has the journal nothing to add to the root head? Between reading the heads and the tail. */
bool root_is_whole(const struct user *u);
/* Does a closing user have nothing to tell the next of the tree? */
bool root_is_told(const struct user *u);
/* May a head that was read after the tree tell of changes by another host that are not in it? Then the root
 * head is not ours to write, nor that one ours to delete, before tree_refresh(). */
bool root_is_behind(const struct user *u);
/* Adds the root head and our closed head of the root scope, as far as there is something to add. */
void root_close(struct batch *b, struct user *u);

/* INBOX in upper case, also as the first level; in op's arena. ERR_INVALID with client text. */
enum err name_check(struct op *op, struct store *s, struct str name, struct str *out);
bool user_name_is_valid(struct str name);
