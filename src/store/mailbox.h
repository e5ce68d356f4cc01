/* SPDX-License-Identifier: Apache-2.0 */
/* store/mailbox.h - one mailbox and the views that sessions have of it.
 *
 * A mailbox is the fold of its journal: records in UID order. It is open once per process. A view
 * is a session's picture of it, two modseqs: changes told and expunges told (storage contract §5).
 * A record stays readable until every view has passed its expunge.
 *
 * Life:   mailbox_open() -> view_open() -> view_get()/... <-> view_sync() -> view_close() ->
 * mailbox_unref(). Saving: object durable -> row durable -> published -> acknowledged. UIDs appear
 * in order. The mailbox's commit task does it and survives its waiters; one commit takes all ready
 * appends. Cost:   view_get() and sync without changes touch no page beyond the records named; a
 * sync costs what changed. A delivery: one object, one row, no reads. */
#pragma once

#include "base/base.h"
#include "base/range_set.h"
#include "message/summary.h"

struct mailbox;
struct user;
struct view;

/* System flags as bits of struct mail.flags. */
enum mail_flag {
	MAIL_ANSWERED = 1,
	MAIL_FLAGGED = 2,
	MAIL_DELETED = 4,
	MAIL_SEEN = 8,
	MAIL_DRAFT = 16,
	MAIL_RECENT = 32, /* of the view; never stored */
};
#define MAIL_STORABLE_FLAGS  (MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DELETED | MAIL_SEEN | MAIL_DRAFT)
#define MAILBOX_KEYWORDS_MAX 64

struct mailbox_guid {
	uint8_t bytes[16];
};

/* What STATUS asks; all exact. */
struct mailbox_status {
	struct mailbox_guid guid;
	uint32_t messages, recent, unseen, deleted, uid_validity, uid_next;
	uint64_t highest_modseq, bytes_virtual;
	uint32_t first_unseen_seq; /* 0: none; only from view_status() */
};

/* WAITS. ERR_NOT_FOUND: no such mailbox. The handle is shared by everybody of this process. */
enum err mailbox_open(struct op *op, struct user *u, struct str name, struct mailbox **out);
struct mailbox *mailbox_ref(struct mailbox *m);
void mailbox_unref(struct mailbox *m);
struct mailbox_guid mailbox_guid(const struct mailbox *m);
uint32_t mailbox_uid_validity(const struct mailbox *m);
/* WAITS if it must be opened. From the heads' counters when that is exact. */
enum err mailbox_status(struct op *op, struct user *u, struct str name, struct mailbox_status *out);

/* WAITS. Writes what waits for the journal, then compares the mailbox with a fresh fold of all of it.
 * ERR_CORRUPT: they differ, the text names the first difference. ERR_CONFLICT: flags change just now.
 * Reads the whole journal: for tests and administrators. */
enum err mailbox_verify(struct op *op, struct mailbox *m);

/* WAITS. Looks what other hosts wrote, merges it and tells the views. Needed by nobody for being right: a
 * live owner does it every refresh_us. No request where the catalog has one writer. */
enum err mailbox_refresh(struct op *op, struct mailbox *m);

struct mailbox_rebuilt {
	uint32_t put_back; /* rows */
	uint32_t lost;     /* mails without row and object */
	uint32_t lost_uid; /* the first of them */
};
enum rebuild_way {
	REBUILD_LOOK,
	REBUILD_PUT_BACK,  /* rows whose object is there; lost mails stay */
	REBUILD_DROP_LOST, /* the same, and lost mails are expunged */
};
/* WAITS. Does every mail have its row? ERR_CORRUPT: one is missing (REBUILD_LOOK), or mails are lost and stay.
 * Reads the whole journal. */
enum err mailbox_rebuild(
	struct op *op, struct mailbox *m, enum rebuild_way way, struct mailbox_rebuilt *out);

/* Keywords of the mailbox: bit i of struct mail.keywords is keyword i. Borrowed until the next
 * wait. */
size_t mailbox_keywords(const struct mailbox *m, const struct str **out);

/* ---- saving ---- */

struct append {
	struct str message; /* the bytes as received: memory or a mapped spool; alive during the
			       call */
	unsigned flags;     /* MAIL_STORABLE_FLAGS */
	const struct str *keywords;
	size_t keyword_count;
	int64_t received_wall_us; /* INTERNALDATE; 0: now */
};
struct append_result {
	uint32_t uid_validity;
	uint32_t *uids; /* one per append, ascending, in op's arena */
};
/* WAITS until durable. All or none, also over a crash. ERR_NOT_FOUND: the mailbox was deleted
 * meanwhile. ERR_LIMIT: too many keywords, too big, disk full. ERR_UNAVAILABLE: nothing was saved,
 * or it will be voided. */
enum err mailbox_append(struct op *op, struct mailbox *m, const struct append *appends,
	size_t count, struct append_result *out);

/* ---- views ---- */

/* `claims_recent`: a read-write SELECT takes \Recent of the new mails for this view. */
enum err view_open(struct op *op, struct mailbox *m, bool claims_recent, struct view **out);
void view_close(struct view *v);
/* Appends what the session was told, for view_thaw() in another process of the same version. Close
 * the view afterwards. No wait. */
void view_freeze(const struct view *v, struct buf *out);
/* WAITS. The view as it was: the same sequence numbers, and the next view_sync() tells what it would
 * have told. Opens the mailbox, whatever its name is now: view_mailbox(). ERR_NOT_FOUND: deleted;
 * ERR_CONFLICT: the history does not reach back: the session ends; ERR_CORRUPT: no frozen view. */
enum err view_thaw(struct op *op, struct user *u, struct str frozen, struct view **out);
struct mailbox *view_mailbox(struct view *v);
/* The mailbox was deleted (or its UIDVALIDITY changed): end the session's selection. */
bool view_is_gone(const struct view *v);
/* Calls fn(arg) on the loop whenever something happened that view_sync() would tell: for IDLE.
 * Coalesced. */
typedef void view_notify_fn(void *arg);
void view_on_change(struct view *v, view_notify_fn *fn, void *arg); /* NULL fn: stop */

uint32_t view_exists(const struct view *v);
uint32_t view_recent(const struct view *v);
void view_status(const struct view *v, struct mailbox_status *out); /* as this view sees it */
/* HIGHESTMODSEQ as far as the view was told: below the first withheld expunge, never 0. */
uint64_t view_highest_modseq(const struct view *v);
/* What a modseq that a client kept is worth: itself, or 0 when flag changes that it covers may have
 * been lost in a power loss, so that the client must be told of every mail. */
uint64_t view_settle_modseq(const struct view *v, uint64_t modseq);
/* Adds those of `uids` that were expunged after `since_modseq` and whose expunge the view was told:
 * VANISHED (EARLIER), RFC 7162 3.2.5.1 and 3.2.6. Where the history does not reach back (or 0 is
 * asked) every UID that is not there counts as expunged. No wait; costs what it names, or one walk
 * over the mailbox. */
void view_vanished(const struct view *v, uint64_t since_modseq, const struct range_set *uids,
	struct range_set *out_uids);

/* A mail as the view sees it: a copy; valid for ever, but flags may be old after a wait. */
struct mail {
	uint32_t seq, uid;
	unsigned flags; /* with MAIL_RECENT */
	uint64_t keywords, modseq;
	int64_t received_wall_us, saved_wall_us;
	uint64_t size_physical, size_virtual;
	uint8_t guid[16];
	uint32_t record;  /* the store's index; opaque */
	bool is_expunged; /* expunged, but this view was not told yet */
};
/* seq 1..view_exists(). False outside. */
bool view_get(const struct view *v, uint32_t seq, struct mail *out);
bool view_get_uid(const struct view *v, uint32_t uid, struct mail *out);
/* Sequence numbers of the mails whose UIDs are in `uids`, clamped to what exists. O(ranges log n +
 * hits). */
void view_uids_to_seqs(
	const struct view *v, const struct range_set *uids, struct range_set *out_seqs);
uint32_t view_last_uid(const struct view *v); /* 0 if empty: what "*" means for UIDs */

/* What happened since the last sync. Arrays in op's arena. */
struct view_changes {
	bool exists_changed; /* send EXISTS (and RECENT) with the numbers below */
	uint32_t exists, recent;
	uint32_t *expunged_seqs; /* in the order to send: each counts after those before it */
	uint32_t *expunged_uids; /* the same mails */
	size_t expunged_count;
	uint32_t *changed_seqs; /* flags to tell, numbered after the expunges above */
	size_t changed_count;
	bool keywords_changed; /* send FLAGS and PERMANENTFLAGS first */
	bool has_withheld_expunges;
};
/* No wait. `may_expunge` false: FETCH, STORE, SEARCH are running (RFC 9051 7.5.1). */
enum err view_sync(struct op *op, struct view *v, bool may_expunge, struct view_changes *out);

/* ---- reading ---- */

/* WAITS if it is not in local memory. The summary made at save; remade from the body if lost. In
 * op's arena. */
enum err view_read_summary(
	struct op *op, struct view *v, const struct mail *mail, struct message_summary *out);
/* WAITS. The whole message as stored (physical bytes), in op's arena or mapped until the arena
 * ends. ERR_NOT_FOUND: expunged and gone. ERR_CORRUPT, ERR_UNAVAILABLE: never an empty mail
 * instead. */
enum err view_read_body(struct op *op, struct view *v, const struct mail *mail, struct str *out);
/* WAITS. The bodies of several mails, in parallel, in op's arena. Those that cannot be read stay STR_NONE:
 * view_read_body() says why. ERR_TIMEOUT, ERR_CANCELLED. */
enum err view_read_bodies(struct op *op, struct view *v, const struct mail *mails, size_t count,
	struct str *out_bodies);
/* Is each body that no cache has a round trip to another host? Then it pays to read several at once. */
bool view_is_remote(const struct view *v);
/* Starts bringing the bodies of the next mails into the cache, if there is one; harmless to skip. */
void view_prefetch(struct view *v, const uint32_t *seqs, size_t count);

/* ---- changing ---- */

enum flags_change { FLAGS_REPLACE, FLAGS_ADD, FLAGS_REMOVE };
struct store_flags {
	enum flags_change change;
	unsigned flags; /* MAIL_STORABLE_FLAGS */
	const struct str *keywords;
	size_t keyword_count;
	uint64_t unchanged_since; /* UINT64_MAX: unconditional */
	bool is_silent;           /* this view needs no telling of its own change */
};
/* WAITS (journal mode sync). seqs that failed unchanged_since go to out_modified; may be NULL. */
enum err view_store_flags(struct op *op, struct view *v, const struct range_set *seqs,
	const struct store_flags *change, struct range_set *out_modified_seqs);

/* Pairs of UIDs in the same order, for COPYUID. */
struct copy_result {
	uint32_t uid_validity;
	uint32_t *source_uids, *target_uids; /* in op's arena */
	size_t count;
};
/* WAITS. Whole or not at all, also over a crash. `is_move` expunges the sources (tell by
 * view_sync). Expunged or missing mails: ERR_NOT_FOUND, nothing copied. */
enum err view_copy(struct op *op, struct view *v, const struct range_set *seqs,
	struct mailbox *target, bool is_move, struct copy_result *out);
/* WAITS until durable. Expunges the mails of the view that are \Deleted; of `only_uids` if not
 * NULL. */
enum err view_expunge(struct op *op, struct view *v, const struct range_set *only_uids);
