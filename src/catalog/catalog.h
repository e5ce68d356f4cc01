/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/catalog.h - what exists (dictmap): heads and rows; the mailbox's journal.
 *
 * Tables (docs/formats/catalog.md): user_heads, user_mailbox_rows, user_mailbox_reverse, gc_queue.
 * Values are opaque here; store/format defines them.
 *
 * Contract: a batch is given as a whole. Atomic drivers (SQLite, mem) carry it out completely or
 *           not at all. Others cut it into groups (catalog_group_end()), write each as a whole and in
 *           the order given; a failure leaves a prefix of groups, of which the last is uncertain: writers
 *           order their batches so that every prefix is safe. A run of groups of reverse rows, or of
 *           garbage, may go in parallel: any of them may then be there.
 *           After ERR_NONE it survives kill -9 and power loss. ERR_UNAVAILABLE and ERR_TIMEOUT are
 *           uncertain: it may or may not have been carried out, or be carried out hours later.
 *           Repeating a batch is harmless. A batch that fails does not hurt those of others.
 *
 * Stamps:   drivers that are not atomic keep, of what is written under one key, the change with the
 *           highest stamp_us; a deletion wins a tie and hides every write below it, also one that
 *           arrives later. Atomic drivers carry out what they are given in the order given.
 *
 * Users:    every key begins with the user's name; in embedded form the user's shard picks the
 *           SQLite file, which has one process as its one writer: a second one gets ERR_UNAVAILABLE
 *           that names the first.
 *
 * Limits:   users and head keys 1-255 bytes, objects 1-512, none with NUL (ERR_INVALID); one value at
 *           most CATALOG_VALUE_MAX (ERR_LIMIT).
 *
 * Cost:     SQLite: batches that arrive while a commit runs share the next transaction (group commit).
 *
 * Extend:   write x.c with a `const struct catalog_driver`, list it in drivers.c; the contract suite
 *           runs against every entry. */
#pragma once

#include "base/base.h"

struct config_scope;
struct catalog;

#define CATALOG_VALUE_MAX   ((size_t)1 << 20)
#define CATALOG_GUID_BYTES  16
#define CATALOG_NAME_BYTES  16
#define CATALOG_GROUP_MAX   ((size_t)40 * 1024) /* bytes of keys and values */
#define CATALOG_GROUP_COUNT 100
#define CATALOG_PARTS       16
#define CATALOG_FADING_US   (INT64_C(11) * 86400 * 1000000)
struct catalog_guid {
	uint8_t bytes[CATALOG_GUID_BYTES]; /* a mailbox; all zero: the user's root scope */
};
/* 48-bit ms, 16-bit counter, 32-bit writer, 32-bit random, big-endian: byte order is time order
 * (storage contract §2). */
struct catalog_name {
	uint8_t bytes[CATALOG_NAME_BYTES];
};

enum catalog_kind {
	CATALOG_APPEND = 1, /* a mail */
	CATALOG_OP = 2, /* expunge, flags, commit, move intent, void, floor, hole, tree change */
};

/* One row of a mailbox's journal. */
struct catalog_row {
	enum catalog_kind kind;
	uint32_t bucket;
	struct catalog_name name;
	struct str value;
	/* That many bytes at the end of `value` may be gone when it is read again, all of them, from
	 * CATALOG_FADING_US after the write on: what bases keep, or what can be made again. Drivers that
	 * never forget keep them. 0 in rows that are read. */
	size_t fading_bytes;
};
/* One row of a user's heads: scope (a mailbox, or zero for the root) + key -> value.
 * Keys: "base", "open/<writer>", "root", "bucket", ... (store/format). */
struct catalog_head {
	struct catalog_guid mailbox;
	struct str key;
	struct str value;
	/* Of the write, in what is read; 0 where the driver is atomic. A deletion with this stamp ends
	 * this head and no later one. */
	int64_t stamp_us;
};
/* One entry of the GC queue: an object that may be deleted when nothing refers to it. */
struct catalog_garbage {
	struct catalog_name name; /* when it was queued */
	struct str user;
	struct str object;           /* oid */
	struct catalog_guid mailbox; /* the append row that named it ... */
	uint32_t bucket;
	struct catalog_name row;
	/* It cannot be read: only name, user and object are set, and user is "" if not even they are whole.
	 * It does not stop those behind it. */
	bool is_damaged;
};

/* ---- use ---- */

/* `scope` holds the dictmap settings (driver, paths). shard_count is fixed when the catalog is
 * created; a different number later is ERR_INVALID with both numbers. */
enum err catalog_open(struct op *op, const struct config_scope *scope, struct catalog **out);
/* WAITS (when opening fails halfway). "sqlite(/path/dir,16)", "mem", "fault:sqlite(...)". */
enum err catalog_open_text(struct op *op, struct str text, struct catalog **out);
/* WAITS for what is being written. */
void catalog_close(struct op *op, struct catalog *c);
uint32_t catalog_shard_count(const struct catalog *c);
uint32_t catalog_user_shard(
	const struct catalog *c, struct str user); /* hash_stable(user) mod count */

/* A batch of changes for one user. Values are borrowed until catalog_write() returns. */
enum catalog_change_kind {
	CATALOG_PUT_ROW,
	CATALOG_DELETE_ROW,
	CATALOG_PUT_HEAD,
	CATALOG_DELETE_HEAD,
	CATALOG_PUT_REVERSE, /* object -> (mailbox, name): one more reference */
	CATALOG_DELETE_REVERSE,
	CATALOG_PUT_GARBAGE,
	CATALOG_DELETE_GARBAGE,
	CATALOG_DELETE_OPS,     /* every op row of row.bucket with a name below row.name */
	CATALOG_DELETE_MAILBOX, /* every row of a mailbox, at least of buckets 0 to row.bucket */
};
struct catalog_change {
	enum catalog_change_kind kind;
	struct catalog_guid mailbox;
	struct catalog_row row;     /* PUT_ROW, DELETE_ROW, and name + bucket of the other kinds */
	struct str key;             /* heads */
	struct str value;           /* heads */
	struct str object;          /* reverse, garbage */
	struct catalog_name queued; /* garbage: catalog_garbage's name; row.name is its `row` */
	/* Wall clock, minted once when the batch is built: a repeated batch has the same stamps, a
	 * deletion's is above that of the write it removes. 0: the driver takes the present. */
	int64_t stamp_us;
	/* It may only take effect when all before it has: it begins a group of its own. */
	bool begins_group;
};
/* Is a batch all or nothing? */
bool catalog_is_atomic(const struct catalog *c);
/* Reverse rows of a user are kept in CATALOG_PARTS parts, so that one group holds those of many objects:
 * the part of an object, by its first byte (a hexadecimal digit is evenly spread). */
uint32_t catalog_object_part(struct str object);
/* Where the group ends that begins at changes[from]: a run of rows of one (mailbox, bucket), of heads,
 * of reverse rows of one part, each at most CATALOG_GROUP_MAX and CATALOG_GROUP_COUNT (one larger
 * change is a group alone); an entry of garbage, and each bucket of CATALOG_DELETE_MAILBOX, alone. It ends
 * before a change that begins one. */
size_t catalog_group_end(const struct catalog_change *changes, size_t count, size_t from);
/* WAITS until durable. */
enum err catalog_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count);
/* WAITS. The same, for who tries again: the first *durable changes are known to be there from an earlier try and are
 * not sent again. Says in *durable how many are known to be there now, also when it fails. */
enum err catalog_write_rest(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable);

/* WAITS. All heads of a user: one partition, one query. None is ERR_NONE with count 0. */
enum err catalog_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count);
/* WAITS. Rows of both kinds of one mailbox with name > `after` (zero: all), buckets `bucket` to
 * `last_bucket`, which drivers may read in parallel; in the order (name). `row_fn` may wait; the row is
 * borrowed for the call. An error of row_fn ends the read and is returned. Rows that are written during
 * the read may be missing. */
typedef enum err catalog_row_fn(struct op *op, const struct catalog_row *row, void *arg);
enum err catalog_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, catalog_row_fn *row_fn, void *arg);
/* WAITS. The same, for who has most rows already: those of mails with names up to `known` may come without
 * the part of their value that may be forgotten (catalog_row.fading_bytes), which is nearly all of it. */
enum err catalog_read_tail(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
	struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn, void *arg);
/* WAITS. How many reverse rows name this object; 0: it was never copied or all copies are gone. */
enum err catalog_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count);
/* WAITS. Does this append row exist? */
enum err catalog_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out);
/* WAITS. Of entries of one user's garbage: is there a reverse row of its object, or the append row that
 * it names? Many entries cost few requests. */
enum err catalog_find_used(struct op *op, struct catalog *c, struct str user,
	const struct catalog_garbage *entries, size_t count, bool *out_is_used);
/* WAITS. Entries of a shard's queue in the order (queued, user, object), at most `max`: those from the place of `from`
 * on, or NULL: the oldest. */
enum err catalog_read_garbage(struct op *op, struct catalog *c, uint32_t shard,
	const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
	size_t *out_count);
/* WAITS. Calls fn for each user that has heads in a shard (tools, GC, doveadm). */
typedef enum err catalog_user_fn(struct op *op, struct str user, void *arg);
enum err catalog_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg);

/* WAITS. The catalog's own clock, wall microseconds; of this host where it has none. Writers whose clock
 * is off stop (storage contract §2). */
enum err catalog_clock(struct op *op, struct catalog *c, int64_t *out_wall_us);

struct catalog_counters {
	uint64_t writes, commits, rows_written, reads, rows_read, failures;
};
struct catalog_counters catalog_counters(const struct catalog *c);

/* ---- drivers ---- */

struct catalog_driver {
	const char *name;
	bool is_atomic; /* a batch is all or nothing */
	enum err (*open)(struct op *op, const struct config_scope *scope, struct str argument,
		struct catalog *inner, struct catalog **out);
	void (*close)(struct op *op, struct catalog *c);
	/* *durable: see catalog_write_rest(); a driver that is done with all or nothing need not heed it. */
	enum err (*write)(struct op *op, struct catalog *c, struct str user,
		const struct catalog_change *changes, size_t count, size_t *durable);
	enum err (*read_heads)(struct op *op, struct catalog *c, struct str user,
		struct catalog_head **out, size_t *out_count);
	enum err (*read_rows)(struct op *op, struct catalog *c, struct str user,
		struct catalog_guid mailbox, uint32_t bucket, uint32_t last_bucket,
		struct catalog_name after, struct catalog_name known, catalog_row_fn *row_fn,
		void *arg);
	enum err (*count_reverse)(struct op *op, struct catalog *c, struct str user,
		struct str object, uint32_t *out_count);
	enum err (*has_row)(struct op *op, struct catalog *c, struct str user,
		struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out);
	enum err (*find_used)(struct op *op, struct catalog *c, struct str user,
		const struct catalog_garbage *entries, size_t count,
		bool *out_is_used); /* NULL: each is asked by the two above */
	enum err (*read_garbage)(struct op *op, struct catalog *c, uint32_t shard,
		const struct catalog_garbage *from, size_t max, struct catalog_garbage **out,
		size_t *out_count);
	enum err (*list_users)(
		struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg);
	enum err (*clock)(
		struct op *op, struct catalog *c, int64_t *out_wall_us); /* NULL: has none */
};
struct catalog {
	const struct catalog_driver *driver;
	struct catalog *inner; /* owned; NULL unless a wrapper */
	uint32_t shard_count;
	struct catalog_counters counters;
	int64_t failing_since_wall_us; /* no request was answered since then; 0: the last one was */
};
extern const struct catalog_driver *const catalog_drivers[]; /* NULL-terminated */

/* The fault wrapper's controls, as objects_fault_set(). Of a catalog that is not atomic every group is a
 * request. */
struct catalog_fault_plan {
	int64_t fail_at;
	bool fail_after_doing;
	bool fail_late; /* a write that fails is carried out by catalog_fault_replay() */
	bool fail_from_there;
	bool spares_reads; /* only writes count, and fail */
	int64_t delay_us;
	int64_t clock_skew_us; /* added to catalog_clock() */
};
void catalog_fault_set(struct catalog *c, const struct catalog_fault_plan *plan);
/* How many requests there were since the plan was set. */
int64_t catalog_fault_requests(struct catalog *c);
/* WAITS. Carries out what failed under `fail_late`, in its order, with its stamps. */
enum err catalog_fault_replay(struct op *op, struct catalog *c);
/* How many of those there are; and only the first of them. */
size_t catalog_fault_late(struct catalog *c);
enum err catalog_fault_replay_first(struct op *op, struct catalog *c, size_t most);
