/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of names, as the store's files share it. Included by store_private.h. */
#pragma once

#include "base/map.h"
#include "catalog/catalog.h"
#include "store/format/head.h"

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
	struct map guids;         /* all of them: GUID -> node */
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
/* Into an empty tree: all of a root head whose lists were checked. */
void tree_take(struct tree *t, struct head_root *root);
/* Appends the lists of a root head, and fills it but for their form. */
void tree_encode_lists(const struct tree *t, struct head_root *root, struct buf *lists);
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

/* ---- root_object.c: the root head's lists, in it or in an object ---- */

/* As a head without an object. ERR_CORRUPT, ERR_UNSUPPORTED. `t` is empty, and stays so unless ERR_NONE. */
enum err tree_decode(struct op *op, struct tree *t, struct str root_head);
/* As a plain head. */
void tree_encode(const struct tree *t, struct buf *out);
/* A root head that can be written: with its object, which is put before. */
struct root_made {
	struct buf head;
	bool is_object;
	struct row_id object;
	struct catalog_name cover; /* of the tree that it is of */
	size_t ops;
	size_t bytes;  /* what of the lists travels, packed */
	bool is_taken; /* a batch has it: the object stays */
};
void root_made_init(struct root_made *made);
void root_made_done(struct root_made *made);
/* The head of the tree as it is; false: it needs an object. */
bool root_make_inline(const struct user *u, struct root_made *out);
/* WAITS. Puts the object, if it needs one. Lists of more than `max` bytes, packed: there is no head. */
enum err root_make(struct op *op, struct user *u, size_t max, struct root_made *out);
/* Is it of the tree as it is? */
bool root_made_is_of(const struct root_made *made, const struct tree *t);
/* WAITS. Deletes an object that no batch ever named. */
void root_made_drop(struct op *op, struct user *u, struct root_made *made);
/* WAITS. The tree as the head says. ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED: its object is gone or damaged;
 * nothing of it is in the tree, which has the user's generation and last UIDVALIDITY. */
enum err root_read(struct op *op, struct user *u, struct str head);
/* The object that a root head names; all zero: none. */
struct row_id root_object_of(struct str head);

/* ---- root.c ---- */

/* Has the journal nothing to add to the root head? Between reading the heads and the tail. */
bool root_is_whole(const struct user *u);
/* Does a closing user have nothing to tell the next of the tree? */
bool root_is_told(const struct user *u);
/* May a head that was read after the tree tell of changes by another host that are not in it? Then the root
 * head is not ours to write, nor that one ours to delete, before tree_refresh(). */
bool root_is_behind(const struct user *u);
/* The tree was read after the heads that are known now. */
void root_note_seen(struct user *u);
/* WAITS. Before the heads are read for the last time: an object takes long to put. Only where one is needed and the
 * root head is due; that it cannot be put is told, and the root is not written. */
void root_prepare_close(struct op *op, struct user *u, struct root_made *made);
/* Adds the root head and our closed head of the root scope, as far as there is something to add. */
void root_close(struct batch *b, struct user *u, struct root_made *made);

/* INBOX in upper case, also as the first level; in op's arena. ERR_INVALID with client text. */
enum err name_check(struct op *op, struct store *s, struct str name, struct str *out);
bool user_name_is_valid(struct str name);
