/* SPDX-License-Identifier: Apache-2.0 */
/* store/metacache.h - the local state of all users of a process (state_dir/metacache): how much there is,
 * what is dropped when room is short, when bases are uploaded.
 *
 * A mail worker owns its users, so it keeps their account in memory (store/cache/cache.h), saves it
 * to `userdb` and recounts it when that file is lost or a crash left it old. Limits are of the host: workers
 * see each other's sums in a file that they map (store/cache/totals.h).
 *
 * Life:   store_open() opens it, store_close() saves it.
 * Rules:  what is dropped is uploaded before, under the lock that also opening takes; nothing is
 *         dropped that holds flags which only this host knows. A user with sessions is left alone.
 * Source: storage sheet §7.1, §12, §16.1. */
#pragma once

#include "base/base.h"
#include "store/cache/cache.h"

struct store;
struct user;

struct metacache_settings {
	struct str userdb;               /* file of the account; "": it is not kept */
	struct str totals;               /* file that all workers map; "": there is one worker */
	uint32_t slot;                   /* of this worker in it */
	uint64_t max_bytes, grace_bytes; /* max 0: no limit */
	struct cache_weights weights;
	int64_t upload_interval_us; /* longest age of what only this host has; 0: none */
	int64_t rescan_interval_us; /* 0: off */
	uint32_t uploads_max;       /* at once */
	uint32_t uploads_per_second;
	/* Every night each changed user gets his base, at a time within this window that depends on his
	 * name. Length 0: off. */
	int64_t night_begin_us, night_length_us; /* since midnight UTC */
	/* Is this user served by this worker? Called on pool threads too. NULL: all are. */
	bool (*owns)(struct str user, void *arg);
	void *owns_arg;
};

/* May one more session begin? ERR_UNAVAILABLE above max + grace, with a text for the client. Mails are
 * delivered all the same. */
enum err metacache_admit(struct op *op, struct store *s);
void metacache_note_service(struct user *u, enum cache_service service);

/* ---- for administrators ---- */

/* NULL: all users. */
typedef bool metacache_wanted_fn(struct str user, void *arg);
struct metacache_filter {
	metacache_wanted_fn *wanted;
	void *arg;
};
struct metacache_row {
	const struct cache_user *user;
	enum cache_change change;
	int64_t upload_within_us; /* -1: none is planned */
	int64_t weight;           /* of the unit that goes first */
	bool is_open;
};
typedef void metacache_row_fn(const struct metacache_row *row, void *arg);
/* WAITS shortly, now and then. Rows in no order, each valid during its call. */
void metacache_list(
	struct store *s, const struct metacache_filter *filter, metacache_row_fn *fn, void *arg);
struct metacache_figures {
	uint64_t own_bytes, host_bytes, max_bytes, grace_bytes;
	size_t users, planned, uploading;
	int64_t backoff_us; /* the store refuses uploads; 0: it does not */
	uint64_t uploads, upload_failures, cleaned_units, cleaned_bytes, refused_logins;
};
struct metacache_figures metacache_figures(const struct store *s);
const char *metacache_root(const struct store *s); /* the directory of it all */

/* WAITS. Uploads what no base holds. ERR_UNAVAILABLE: not everything was. */
enum err metacache_flush(
	struct op *op, struct store *s, struct str name, bool important_only, size_t *out_uploaded);
/* WAITS. All that are wanted, within the limits of the queue; one that fails does not keep the others. */
enum err metacache_flush_all(struct op *op, struct store *s, const struct metacache_filter *filter,
	bool important_only, size_t *out_users, size_t *out_failed);

struct metacache_clean {
	enum cache_priority min_priority; /* units from here on; CACHE_ROOT: all of him */
	int64_t unused_us;                /* only what nobody used for so long; 0: whatever */
	bool flushes; /* uploads before; else what no base holds is ERR_INVALID */
};
/* WAITS. Removes local state. ERR_CONFLICT: he has sessions. ERR_INVALID: not flushed. */
enum err metacache_clean(struct op *op, struct store *s, struct str name,
	const struct metacache_clean *how, uint64_t *out_bytes);
/* WAITS. His next opening asks the catalog for everything; who has sessions is compared with it now.
 * ERR_CONFLICT: sessions began or ended meanwhile. */
enum err metacache_refresh(struct op *op, struct store *s, struct str name);
/* Forgets users who are not open; their files stay. Returns how many. */
size_t metacache_remove(struct store *s, const struct metacache_filter *filter);
/* WAITS. Counts all local state anew. ERR_CONFLICT: that is being done. */
enum err metacache_rescan(struct op *op, struct store *s, size_t *out_users, uint64_t *out_bytes);

/* ---- to and from another host (doveadm metacache pull) ---- */

struct metacache_parcel;
/* WAITS. Closes a user without sessions, keeps everybody from opening him until metacache_parcel_free(), and
 * packs his local files. ERR_CONFLICT: he has sessions. ERR_EXISTS: with latest_only, a base is newer than
 * what is here. */
enum err metacache_pack(struct op *op, struct store *s, struct str name, bool latest_only,
	struct metacache_parcel **out);
uint64_t metacache_parcel_bytes(const struct metacache_parcel *p);
size_t metacache_parcel_files(const struct metacache_parcel *p);
/* WAITS. Appends what comes next, about `most` bytes; nothing: that was all. ERR_UNAVAILABLE: a file cannot
 * be read any more. */
enum err metacache_parcel_read(
	struct op *op, struct metacache_parcel *p, struct buf *out, size_t most);
void metacache_parcel_free(struct metacache_parcel *p);
/* WAITS. The other host has them: they go here, also what no base holds. ERR_CONFLICT: he has sessions again. */
enum err metacache_drop_sent(struct op *op, struct store *s, struct str name);

/* The bytes of a parcel: read() gives some, at most `max`; 0: there are no more. */
struct metacache_source {
	uint64_t bytes;
	enum err (*read)(struct op *op, void *arg, char *out, size_t max, size_t *out_n);
	void *arg;
};
struct metacache_received {
	uint64_t mailboxes, files, bytes;
};
struct metacache_held;
/* WAITS. Keeps everybody from opening a user, here. ERR_CONFLICT: he has sessions. */
enum err metacache_hold(
	struct op *op, struct store *s, struct str name, struct metacache_held **out);
void metacache_let_go(struct metacache_held *held);
/* WAITS. Puts the files of a parcel in the place of what is here. On an error (ERR_CORRUPT: not a parcel, or
 * damaged) all is as before, or some mailboxes have theirs. */
enum err metacache_receive(struct op *op, struct metacache_held *held,
	const struct metacache_source *source, struct metacache_received *out);
