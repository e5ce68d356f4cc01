/* SPDX-License-Identifier: Apache-2.0 */
/* store/store.h - users and their mailbox trees: the only way services reach mail (with mailbox.h).
 *
 * A store is a process's share of the platform's mail: an object stack, a catalog and a local
 * directory that may vanish at any time. A user is open once per process, shared by all his
 * sessions; an OFD lock on his local directory keeps a second process of this host out.
 *
 * Life:   store_open() -> user_open() -> tree_*() / mailbox_open() (mailbox.h) -> user_unref() ->
 * store_close(). A user whose last session ended stays cached (idle_user_us) and is then closed
 * cleanly. Truth:  the catalog's rows; local snapshots and logs only save reading them again.
 * Names:  mailbox names are UTF-8 NFC with '/' between levels, as the namespace shows them; "INBOX"
 * is case-insensitive and canonical in upper case. Rules:  one process owns a user, so no locks;
 * what was read before a wait is read again after it. */
#pragma once

#include "base/base.h"

struct catalog;
struct event;
struct metacache_settings;
struct objects;
struct store;
struct user;

enum store_flags_journal { STORE_FLAGS_SYNC, STORE_FLAGS_ASYNC, STORE_FLAGS_OFF };

/* A mailbox that exists by configuration (namespace { mailbox Drafts { auto, special_use } }). */
struct store_default_mailbox {
	struct str name;
	struct str special_use; /* "\\Drafts"; "" for none */
	bool auto_create;
	bool auto_subscribe;
};
struct store_settings {
	struct str local_dir;     /* users' local state: <local_dir>/<2 hex>/<user>/ */
	struct str object_prefix; /* before "<user>/mails/<oid>"; usually "" */
	struct str host;          /* "": this one's name; part of who writes */
	uint32_t writer_slot; /* worker number: with host and boot epoch the writer's identity */
	char separator;       /* '/' */
	enum store_flags_journal flags_journal;
	int64_t idle_user_us;
	size_t cached_users_max;
	const struct store_default_mailbox *defaults; /* borrowed for the store's life */
	size_t default_count;
	uint32_t keyword_bytes_max; /* 50 */
	uint32_t mailboxes_max;     /* per user; 10,000 */
	uint64_t message_bytes_max;
	/* Borrowed for store_open(). NULL: local state has no limit, and no account of it is kept. */
	const struct metacache_settings *metacache;
	/* So often a live owner looks whether another host wrote what is his; 0: ten minutes. */
	int64_t refresh_us;
	/* A root whose compressed lists are larger is an object that its head names; 0: 48 KiB. */
	size_t root_inline_bytes;
};

/* Takes `objects` and `catalog`. */
enum err store_open(struct op *op, const struct store_settings *settings, struct objects *objects,
	struct catalog *catalog, struct store **out);
/* WAITS. Closes every user cleanly (commits, heads, snapshots). */
enum err store_close(struct op *op, struct store *s);
/* WAITS. As if the process had died here, for tests and the simulation: nothing more is written, and
 * what outlives a process (objects and catalog) is handed back. */
enum err store_abandon(
	struct op *op, struct store *s, struct objects **out_objects, struct catalog **out_catalog);

/* WAITS. Opens or joins; creates the user's INBOX and auto mailboxes on first use, but never
 * because a read failed. ERR_UNAVAILABLE: catalog down, or another process of this host has the
 * user open. ERR_INVALID: not a user name (empty, > 255 bytes, '/', control characters, "." or
 * ".."). */
enum err user_open(struct op *op, struct store *s, struct str name, struct user **out);
struct user *user_ref(struct user *u);
void user_unref(struct user *u);
struct str user_name(const struct user *u);
struct store *user_store(struct user *u);

/* WAITS. mailbox_refresh() for the names and all mailboxes that are in use. */
enum err user_refresh(struct op *op, struct user *u);

/* ---- the tree ---- */

enum tree_flag {
	TREE_SELECTABLE = 1, /* a mailbox; otherwise a name that only has children */
	TREE_HAS_CHILDREN = 2,
	TREE_SUBSCRIBED = 4,
	TREE_NONEXISTENT = 8, /* subscribed only */
	TREE_CHILD_SUBSCRIBED = 16,
};
struct tree_entry {
	struct str name;
	unsigned flags;         /* enum tree_flag */
	struct str special_use; /* "" or "\\Sent \\Archive" */
};
/* Every name, parents before children, in byte order with INBOX first: mailboxes, their implied
 * parents, and subscriptions without a mailbox. Allocated in op's arena; no wait. */
enum err tree_list(struct op *op, struct user *u, struct tree_entry **out, size_t *out_count);
/* ERR_NOT_FOUND. Names are canonicalised (INBOX). */
enum err tree_lookup(struct op *op, struct user *u, struct str name, struct tree_entry *out);

/* All WAIT, and are durable when they return ERR_NONE. Invalid names: ERR_INVALID with client text.
 * create: ERR_EXISTS; missing parents appear as names; `special_use` "" or one attribute
 * (ERR_CONFLICT when another mailbox has it). A trailing separator must have been stripped. remove:
 * ERR_NOT_FOUND; INBOX: ERR_DENIED; children stay. Sessions that have it open see view_is_gone().
 * rename: children follow; INBOX: its mails move to the new mailbox (RFC 9051 6.3.6). ERR_EXISTS,
 *   ERR_NOT_FOUND; under itself: ERR_INVALID.
 * subscribe: any valid name; repeating is fine. */
/* WAITS. */
enum err tree_create(struct op *op, struct user *u, struct str name, struct str special_use);
/* WAITS. */
enum err tree_remove(struct op *op, struct user *u, struct str name);
/* WAITS. */
enum err tree_rename(struct op *op, struct user *u, struct str from, struct str to);
/* WAITS. */
enum err tree_subscribe(struct op *op, struct user *u, struct str name, bool is_subscribed);

/* ---- maintenance ---- */

/* Borrowed: what the store stands on, for those who look at it. */
struct objects *store_get_objects(const struct store *s);
struct catalog *store_get_catalog(const struct store *s);
/* WAITS. Removes the local state of a user who has no session: his next opening makes it anew from the
 * catalog, with the same UIDs. Flags that wait for the journal there are lost: mailbox_verify() first.
 * ERR_CONFLICT: he has sessions, or changes that are not certain yet. */
enum err user_forget_local(struct op *op, struct store *s, struct str name);
/* WAITS until he has no session and no delivery runs. ERR_TIMEOUT: not before the deadline. */
enum err user_wait_idle(struct op *op, struct store *s, struct str name);

struct user_obliterated {
	uint64_t objects, mailboxes, mails; /* what went; of a resumed deletion, what was left */
};
/* WAITS. Deletes a user: his objects (all that the store lists under his name, else those that rows
 * name), rows, heads, local state. Left is one head, so that the next user of his name has other
 * mailboxes. What was begun and not ended goes on when it is called again; until then he cannot be
 * opened (ERR_UNAVAILABLE). Whoever wants to open him meanwhile waits, and creates him anew.
 * ERR_CONFLICT: he has sessions, or changes that are not certain yet. ERR_NOT_FOUND: nothing is there. */
enum err user_obliterate(
	struct op *op, struct store *s, struct str name, struct user_obliterated *out);

/* WAITS. Uploads bases of the open mailboxes of a user that changed since their last one; important_only:
 * of those alone whose changes no other host could know yet (flags with flags_journal_off). A user who is
 * not open has nothing to upload. What cannot be uploaded is left for the next time: the first error. */
enum err user_flush(
	struct op *op, struct store *s, struct str name, bool important_only, size_t *out_uploaded);

#define STORE_ORPHAN_AGE_US (INT64_C(86400) * US_PER_SEC)

struct user_audit {
	uint64_t objects, rows;
	uint64_t
		orphans; /* objects nothing refers to, older than asked: now in the garbage queue */
	uint64_t dangling; /* rows whose object is gone */
};
/* WAITS. Compares the list of a user's objects with his rows and bases. Orphans go into the garbage queue,
 * whose collector asks once more; dangling rows are told, a line each in `report`: user, mailbox's GUID,
 * oid. Sessions may go on. ERR_UNSUPPORTED: the store cannot list. */
enum err user_audit(struct op *op, struct store *s, struct str name, int64_t min_age_us,
	struct buf *report, struct user_audit *out);

/* WAITS. Makes a user's part of a lost catalog again from his objects: mailboxes as their newest bases say,
 * with the same UIDs, flags and UIDVALIDITY; mails that came later with new UIDs; see
 * docs/howto/recover.md. `report` gets a line per mailbox: user, name, "base" or "mails", UIDVALIDITY,
 * UIDNEXT, mails of the base, found besides, lost. is_dry: nothing is written. ERR_EXISTS: the catalog
 * knows him. ERR_NOT_FOUND: the store has nothing of him. ERR_UNSUPPORTED: the store cannot list.
 * ERR_CONFLICT: he has sessions. */
enum err user_recover(
	struct op *op, struct store *s, struct str name, bool is_dry, struct buf *report);

/* Memory is short: closes the users that stay open without a session, in the background. No wait. */
void store_drop_idle(struct store *s);

/* WAITS. Works through the GC queue of a shard, entries older than `min_age_us` (an hour in
 * production): deletes objects that nothing refers to. Only for a shard that is ours: asking takes
 * it. What cannot be collected stays in the queue, and the last reason is the result; ERR_CANCELLED:
 * the store is closing. */
enum err store_collect_garbage(
	struct op *op, struct store *s, uint32_t shard, int64_t min_age_us, uint64_t *out_deleted);
struct store_counters {
	uint64_t users_open, mailboxes_open, appends, append_commits, expunges, copies, opens_clean,
		opens_rebuilt, summary_misses, base_uploads, base_failures, base_reads,
		bases_damaged, summary_segments, root_puts, root_reads, roots_damaged;
};
