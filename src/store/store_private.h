/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the store: what its files share. In order of layers: batch -> local -> tree ->
 * mailbox -> view -> user.
 *
 * Locks (task mutexes, for what must hold across a wait), in the order of taking:
 *   user.tree_lock       tree changes
 *   mailbox.write_lock   everything that gets a modseq: from minting it until it is published.
 *                        Two mailboxes: by address.
 *   user.settle_lock     repeating batches whose fate is unknown
 * Published modseqs of a mailbox therefore rise, and views only compare numbers. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "catalog/catalog.h"
#include "objects/objects.h"
#include "store/base_state_private.h"
#include "store/batch_private.h"
#include "store/format/base.h"
#include "store/format/head.h"
#include "store/format/log.h"
#include "store/index/index.h"
#include "store/local_private.h"
#include "store/mailbox.h"
#include "store/store.h"
#include "store/tree_private.h"
#include "task/task.h"

#define STORE_TAIL_MS  (10 * 60 * 1000) /* a tail starts so long before the cover */
#define STORE_WRITE_US (30 * US_PER_SEC)
/* Snapshots and bases know the stamps of flag changes so long before their cover. A change that waits for half
 * of it is made anew: no host may have forgotten what it competes with. */
#define STORE_STAMPS_MS (60 * 60 * 1000)
/* So long after we ended the head of somebody who may live, rows that he acknowledges without knowing may
 * become durable (late.c): since his last look refresh_us and a write; ours took a write; clocks. */
#define STORE_LATE_US(s)    ((s)->settings.refresh_us + 2 * STORE_WRITE_US + 10 * US_PER_SEC)
#define STORE_BUCKET_ROWS   10000
#define STORE_OID_HEX       (2 * ROW_ID_BYTES)
#define STORE_GUID_HEX      (2 * CATALOG_GUID_BYTES)
#define STORE_SEEN_UID_MAX  (UINT32_MAX - 1)
#define STORE_PURGE_OBJECT  STR("*") /* garbage entry: a whole mailbox */
#define STORE_LOG_MAX_BYTES (4u << 20)
/* A deletion's stamp lies so far above that of any write it removes: by another host's clock, under a
 * name that was a minute old when it was written. */
#define STORE_DELETION_AHEAD_US (10 * US_PER_SEC)

/* ---- user.c ---- */

/* What the heads said about a mailbox when the user was opened, corrected since. */
struct user_head {
	struct catalog_guid mailbox;
	uint32_t writer;
	struct head_writer head;
	int64_t stamp_us; /* as it was read; 0: this process wrote it */
};
struct user_bucket {
	struct catalog_guid mailbox;
	uint32_t bucket;
};
enum opening { OPENING, OPEN, CLOSING };
struct user {
	struct store *store;
	struct str name; /* owned */
	uint32_t refs;
	enum opening state;
	bool has_failed;    /* to open */
	bool was_left;      /* because who opened him gave up; others may try */
	bool was_left_open; /* closing him failed */
	bool is_deleted;    /* another host did it: nothing is written */
	struct wait_queue changed;
	char *dir; /* owned */
	int lock_fd;
	uint32_t writer; /* of this opening: no two are the same */
	struct tree tree;
	bool has_claimed_root;     /* our open head of the root scope is durable */
	struct row_id root_object; /* of the root head as it was read or written; all zero: none */
	struct task_mutex tree_lock, settle_lock;
	struct list mailboxes, unsettled;
	uint64_t mailbox_serial;                 /* the last that a mailbox was given */
	uint64_t anew_stamp;                     /* flags_anew.c: the last that was given */
	int64_t settle_next_us, settle_pause_us; /* the next try, and how long after the last one */
	struct user_head *heads;
	size_t head_count;
	uint64_t head_changes; /* how often this process changed them */
	uint64_t head_reads;   /* how often they were read anew */
	struct user_bucket *buckets;
	size_t bucket_count;
	int64_t tree_seen_ms; /* wall time when others' changes of names were looked for */
	int64_t tree_late_ms; /* as mailbox.late_ms */
	int64_t root_stamp_us; /* of the closed root head that was there then, with this cover; 0: none */
	int64_t looked_us;    /* at heads and tails; monotonic */
	struct timer refresh; /* refresh.c */
	bool is_refreshing;
	uint32_t refresh_failures; /* in a row */
	bool must_look;            /* a write was in doubt since the heads were read */
	int64_t heads_us;          /* when they were read */
	struct user_base *bases;
	size_t base_count;
	struct timer idle;
	struct list idle_link;
	struct cache_user *cached; /* borrowed: his account, while he is open */
};
/* Starts to close a user without references. */
void idle_user_close(struct user *u);
/* WAITS. Keeps everybody from opening a user who has no session, in this process and this host: who wants
 * to waits, and then opens him himself. Only his name, directory and writer's lock are set.
 * ERR_CONFLICT: he has sessions, or changes that are not certain yet. */
enum err user_hold(struct op *op, struct store *s, struct str name, struct user **out);
void user_let_go(struct user *u);
/* WAITS. Heads and tree of a user who is being opened; he is created if he does not exist. user_root.c */
enum err user_read_root(struct op *op, struct user *u);
/* The root head's value (p NULL: none, or of an earlier generation) and the generation head (generation 0:
 * none). */
enum err user_find_root(struct op *op, const struct catalog_head *heads, size_t count,
	struct str *out_root, struct head_generation *out);

/* ---- user_dir.c ---- */

char *user_dir(const struct store *s, struct str name); /* on the heap */
/* WAITS. Makes the directory where it is not there, and locks it; the descriptor is closed to let go.
 * ERR_UNAVAILABLE: another process of this host has the user open, or the directory cannot be made. */
enum err user_lock_dir(struct op *op, const char *dir, int *out_fd);

/* ---- heads.c ---- */

enum err user_keep_head(struct op *op, struct user *u, const struct catalog_head *head);
uint32_t user_bucket_of(const struct user *u, struct catalog_guid mailbox);
void user_set_bucket(struct user *u, struct catalog_guid mailbox, uint32_t bucket);
/* Our head is durable. It is kept: the mailbox may have to be opened again in this process, when its
 * opening was left halfway. */
void user_set_head(struct user *u, const struct user_head *own);
void user_drop_head(struct user *u, struct catalog_guid mailbox, uint32_t writer);
/* WAITS. Reads all heads again. */
enum err user_read_heads(struct op *op, struct user *u);
/* Adds the deletion of what others left: closed heads, and open ones whose UIDs end at `open_to` or before; 0: none
 * of these. A head that was written since it was read stays. */
void user_delete_foreign_heads(
	struct batch *b, struct catalog_guid mailbox, uint32_t open_to, enum batch_rank rank);
struct catalog_name user_mint(struct user *u); /* a name of this opening */
/* The buckets of a mailbox that may have rows are 0 to this one. */
uint32_t user_last_bucket(const struct user *u, struct catalog_guid mailbox);
struct mailbox *user_find_mailbox(const struct user *u, struct catalog_guid guid);

struct store {
	struct store_settings settings;
	char *local_dir, *object_prefix; /* owned copies */
	struct objects *objects;
	struct catalog *catalog;
	struct event *event;
	struct name_clock clock;
	uint32_t writer;       /* of what belongs to no user's journal */
	int64_t stamp_us;      /* the last one */
	int64_t clock_off_us;  /* how far the wall is from the catalog's clock; 0: near enough */
	int64_t clock_base_us; /* wall minus monotonic clock when that was asked */
	struct timer clock_timer;
	bool has_asked_clock; /* at least once */
	struct wait_queue clock_asked;
	struct map users;
	struct list idle_users;      /* longest idle first */
	struct metacache *metacache; /* owned */
	size_t idle_count;
	bool is_closing;
	bool is_abandoned;   /* a crash is being played: nothing more is written */
	uint32_t background; /* tasks of our own that run */
	struct wait_queue quiet;
	uint8_t boot_id[16];
	struct store_counters counters;
};
struct catalog_name store_name(
	struct store *s); /* mints one, for what belongs to no user's journal */
/* Gives stamps to those that have none: one, greater than all before, and deletions a greater one. */
void store_stamp_changes(struct store *s, struct catalog_change *changes, size_t count);
/* WAITS if our clock was set since it was compared. ERR_UNAVAILABLE while it is off: nothing is written
 * with wrong stamps. */
enum err store_check_clock(struct op *op, struct store *s);
/* The wall clock for names: one that was set ahead gives none, also before that was noticed. */
int64_t store_name_wall_us(const struct store *s);
/* WAITS for the first look at the catalog's clock, if it was not yet. */
enum err store_wait_clock(struct op *op, struct store *s);
char *store_host(void); /* on the heap */
/* Starts a task that store_close() waits for. */
void store_background(struct store *s, const char *name, task_fn *fn, void *arg);
void store_background_end(struct store *s);
struct str store_object_key(struct arena *a, const struct user *u, struct row_id oid);

/* ---- metacache*.c: the account of local state (metacache.h), as things happen; none WAITS ---- */

struct cache_user;
struct metacache;
struct metacache_settings;
/* Reads the account's file: blocks, at start. Never fails: what is lost is counted anew. */
void metacache_open(struct op *op, struct store *s, const struct metacache_settings *settings);
void metacache_stop(struct metacache *c); /* starts nothing new; what runs ends soon */
/* WAITS if it saves. */
void metacache_close(struct op *op, struct metacache *c, bool saves);
void metacache_user_opened(struct user *u);
void metacache_user_closed(struct user *u);
void metacache_user_forgotten(struct store *s, struct str name); /* his directory is gone */
/* Its local files were opened; `is_new`: there were none. */
void metacache_mailbox_found(struct mailbox *m, bool is_new);
bool metacache_is_special(const struct mailbox *m); /* INBOX, \Junk */
void metacache_note_files(struct mailbox *m);       /* they grew or shrank */
void metacache_note_change(struct mailbox *m);
void metacache_mailbox_removed(struct user *u, struct catalog_guid guid);

/* ---- mailbox.c, opening.c ---- */

#define MAILBOX_MAGIC 0x4d424f58u

struct commit_request;
struct mailbox {
	uint32_t magic;
	uint32_t refs;
	struct list link; /* in user.mailboxes */
	struct user *user;
	struct catalog_guid guid;
	uint64_t serial; /* no two of a user have the same, also if one is opened anew */
	uint32_t uid_validity;
	enum opening state;
	bool is_removed;
	bool is_loaded;  /* the index is whole: rows are published */
	bool is_claimed; /* our open head is durable */
	bool is_touched; /* a batch changed it: to be told */
	bool is_rewriting;
	/* takeover.c: which UIDs this process may give (storage contract §6) */
	bool is_checked;               /* since our open head is durable nobody else was there */
	bool must_take_over;           /* somebody else was */
	uint32_t floor_uid, limit_uid; /* from the one, below the other */
	int64_t seen_ms;               /* wall time when others' rows were looked for */
	int64_t late_ms;               /* until then rows of those that we ended may come */
	struct catalog_name late_row;  /* the first of ours that came late; zero: none did */
	uint64_t voided_modseq; /* the greatest of mails that were voided; nobody is told of it */
	struct catalog_name base_cover; /* of the newest base that is known to be in it */
	bool was_left;                  /* who opened it gave up; others may try */
	bool has_clean_head;            /* it was opened from this one and not written since */
	struct head_writer clean_head;
	uint32_t clean_writer;
	struct wait_queue changed;
	struct index *index;
	struct local local;
	struct task_mutex write_lock;
	uint32_t bucket, bucket_rows;
	/* append.c */
	struct list commits;
	bool is_committing;
	struct base_state base;
	/* flags.c: groups that wait for their journal row, in bits of the index's keywords */
	struct buf pending;
	size_t pending_mails;
	bool pending_are_rows; /* others wrote meanwhile: a base would tell of them below what was told */
	int64_t pending_since_us;
	uint64_t pending_records;
	uint64_t pending_epoch; /* rises when groups leave from the front */
	bool is_journalling;
	struct timer journal_timer;
	/* view.c */
	struct list views;
	struct timer notify_timer;
	/* metacache.c: what the account has of it */
	uint64_t cached_bytes;
	uint8_t cached_priority; /* enum cache_priority */
};
struct row_id row_id_of(struct catalog_guid guid);
/* WAITS. mailbox_open() of a living node. */
enum err mailbox_open_node(
	struct op *op, struct user *u, const struct tree_node *node, struct mailbox **out);
/* WAITS. Takes the write lock with nothing uncertain before it. ERR_NOT_FOUND: deleted. */
enum err mailbox_write_begin(struct op *op, struct mailbox *m);
void mailbox_write_end(struct mailbox *m);
uint64_t mailbox_next_modseq(struct mailbox *m, uint64_t *last);
/* What the heads say together about a mailbox. */
struct handover {
	bool is_open;   /* somebody did not close it */
	bool is_shared; /* two closed it: one of them did not know of the other */
	bool may_lose_flags;
	bool has_closed;
	struct head_writer closed; /* the newest */
	uint32_t closed_writer;
	uint64_t open_modseq; /* flag changes up to here are in the journal */
	uint32_t next_uid, recent_uid;
	uint32_t limit_uid; /* others that did not close it give no UIDs from here on */
	uint64_t modseq;
	int64_t late_ms; /* the greatest of all heads */
};
struct handover user_handover(const struct user *u, struct catalog_guid mailbox);
/* WAITS. Reads local files and journal; takes over from who did not close it. Hold the write lock. */
enum err mailbox_load(struct op *op, struct mailbox *m);
/* Adds what must be durable with or before the first row of this process. */
void mailbox_claim(struct batch *b, struct mailbox *m);
void mailbox_put_open_head(struct batch *b, struct mailbox *m);
/* Adds the expunge of some mails: op row, and what it makes superfluous. A move queues no garbage. */
void mailbox_put_expunge(struct batch *b, struct mailbox *m, const struct row_mark *marks,
	size_t count, uint64_t modseq, bool is_move);
struct row_mark mailbox_mark_at(const struct mailbox *m, uint32_t position);
/* Adds a raised bucket if this many rows need it. */
uint32_t mailbox_bucket_for(struct batch *b, struct mailbox *m, size_t rows);
/* A durable row: into index, log and views. */
void mailbox_publish(struct mailbox *m, const struct catalog_row *row, struct str summary);
/* The index changed in memory and log alone. */
void mailbox_touch(struct mailbox *m);
void mailbox_published(struct mailbox *m); /* after the last row of a batch */
/* WAITS. Everything durable; adds the closed head to `b`. */
enum err mailbox_close_cleanly(struct op *op, struct mailbox *m, struct batch *b);
void mailbox_free(struct mailbox *m);
void mailbox_mark_removed(struct mailbox *m);

/* ---- takeover.c, late.c, merge.c, refresh.c: several writers ---- */

#define UIDS_A_FLOOR 1000

/* WAITS. This process may give so many UIDs from index_next_uid() on: its open head says so, and nobody
 * else was there when it did, or it has taken over. Requests only every thousand UIDs. Hold the write
 * lock. */
enum err mailbox_ensure_uids(struct op *op, struct mailbox *m, size_t count);
/* WAITS. What others wrote, into a live mailbox; `takes_over`: this process gives the UIDs from now on. The
 * heads were read just now. Hold the write lock. */
enum err mailbox_merge(struct op *op, struct mailbox *m, bool takes_over);
/* Somebody else's base has flags that no row has (journal `off`). Who takes over, or makes a base, must not go on
 * without: then the second ends the mailbox, and it is opened anew. */
bool mailbox_lacks_flags(const struct mailbox *m);
enum err mailbox_check_flags(struct op *op, struct mailbox *m);
/* Adds merge rows. */
void mailbox_put_merges(
	struct batch *b, struct mailbox *m, const struct row_mark *marks, size_t count);
/* Adds a floor row that says what was seen of others: what was folded, and `rows` if not NULL. */
struct kept_rows;
void mailbox_put_floor(struct batch *b, struct mailbox *m, uint32_t uid, uint64_t modseq,
	const struct kept_rows *rows);
/* Adds the end of all others' heads. Our open head is put before, if one of them may live. */
void mailbox_end_others(struct batch *b, struct mailbox *m);
/* Until when rows of somebody who is ended now may come (wall, ms). */
int64_t user_late_until(const struct user *u);
/* Until when rows of somebody who was ended may come that nobody looked for yet (wall); 0: all were. */
int64_t mailbox_late_ms(const struct mailbox *m);
/* The same of any scope, by what its own process knows: until when, and when it looked. */
int64_t user_late_ms(const struct user *u, struct catalog_guid mailbox, int64_t own, int64_t seen);
/* From which time on (wall, ms) a tail has all that may be late; INT64_MAX: nothing is. */
int64_t user_late_from(
	const struct user *u, struct catalog_guid mailbox, int64_t own, int64_t seen);
/* Is somebody's open head there who may live: of another host? */
bool user_has_living(const struct user *u, struct catalog_guid mailbox);
/* Has somebody ended our open heads of what this batch changed, or may have so long ago that nobody waits for
 * it any more? */
bool batch_may_be_ended(const struct batch *b);
/* WAITS. Puts our open heads of what `b` changes again. */
enum err user_claim_again(struct op *op, const struct batch *b);
/* Is no head of anybody else left, as far as they were read? */
bool mailbox_is_alone(const struct mailbox *m);
/* Is all here that the heads of others tell of? */
bool mailbox_has_seen_heads(const struct mailbox *m);
bool mailbox_has_seen_closed(const struct mailbox *m); /* of those that are closed */
/* Was our head ended by somebody who had not seen all of our rows? */
bool mailbox_is_untold(const struct mailbox *m);
/* WAITS. Reads the heads if that was long ago, or a write was in doubt: who stood still must know whether
 * somebody took over before he acknowledges anything. */
enum err user_look(struct op *op, struct user *u);
/* WAITS. What other hosts did to the names. */
enum err tree_refresh(struct op *op, struct user *u);
/* Begins to refresh a user now and then. */
void user_refresh_init(struct user *u);
void user_refresh_soon(struct user *u);

/* ---- append.c ---- */

/* Mails that count together, by a commit row. */
struct append_batch {
	struct row_id id;
	uint32_t first_uid, count;
	uint64_t modseq;
};
struct append_batch append_batch_new(uint32_t first_uid, uint64_t modseq, size_t count);
/* `whole` not NULL: the row waits for the commit row. */
void append_put_row(struct batch *b, struct mailbox *m, const struct row_append *row,
	uint32_t bucket, struct catalog_name name, const struct append_batch *whole);
void append_put_commit(
	struct batch *b, struct mailbox *m, uint32_t bucket, const struct append_batch *whole);

/* ---- flags.c ---- */

/* WAITS. Writes pending flag changes as journal rows. Takes the write lock: rows of a mailbox become
 * durable in the order of their names. */
enum err flags_journal_flush(struct op *op, struct mailbox *m);
/* Has pending changes flushed soon. */
void flags_journal_arm(struct mailbox *m);
/* The same as flags_journal_flush(), under the write lock. */
enum err flags_flush_locked(struct op *op, struct mailbox *m);
/* WAITS. The open head is durable before anything is told that only memory knows. Hold the write lock. */
enum err mailbox_claim_now(struct op *op, struct mailbox *m);
/* Is a base the only way for pending flags to become durable? */
bool flags_wait_for_base(const struct mailbox *m);
/* What was pending at one moment; a base that has it is durable. Hold the write lock. */
struct flags_mark {
	size_t bytes, mails;
	uint64_t records, epoch;
};
struct flags_mark flags_mark_pending(const struct mailbox *m);
void flags_drop_pending(struct mailbox *m, const struct flags_mark *mark);
/* Pending changes that an earlier process left in the log. */
enum err flags_adopt_pending(struct op *op, struct mailbox *m);
enum err flags_check_keywords(
	struct op *op, struct mailbox *m, const struct str *keywords, size_t count);

/* ---- flags_anew.c ---- */

/* Older stamps may be forgotten: no tail that is read again starts before. */
uint64_t flags_stamp_floor(const struct mailbox *m);
/* Have these groups waited so long that hosts may have forgotten the stamps that they compete with? Or is their stamp
 * below what earlier ones were given anew? `made_anew`: what flags_make_anew() said of these themselves, or 0. */
bool flags_are_old(
	const struct user *u, struct str groups, size_t keyword_count, uint64_t made_anew);
/* Appends them with stamps of some minutes ago, in their order. Returns the last one. */
uint64_t flags_make_anew(struct buf *out, struct user *u, struct str groups, size_t keyword_count);
/* The same of what the mails show of them, with new modseqs: sessions may have been told of what competes. */
void flags_tell_anew(struct buf *out, struct mailbox *m, const struct row_op_value *v);
/* Is this a batch of the journal whose flags are old? Then they are pending again, and the batch may go: whether they
 * still stand only a look can tell. */
bool flags_take_back(const struct batch *b);
/* Calls fn for neighbours in a group of which `which` says the same: a group of their flags, and their marks. Not for
 * those of which it says none. */
typedef void flags_run_fn(
	void *arg, const struct row_flags_group *run, const struct row_mark *marks);
void flags_each_run(const struct index *x, const struct row_op_value *v, struct row_flags_group *of,
	index_flags_fn *which, flags_run_fn *fn, void *arg);

/* ---- copy.c ---- */

/* WAITS. All living mails of `source`, at most those up to `last_uid`. Both mailboxes are open. */
enum err mailbox_transfer(struct op *op, struct mailbox *source, struct mailbox *target,
	const struct range_set *uids, bool is_move, struct copy_result *out);

/* ---- object_meta.c: what stands beside objects, for recovery ---- */

#define META_OF_MAILBOX_MAX 3
#define META_OF_MAIL_MAX    9
/* Whose object it is; `guid_key` names the mailbox's GUID. How many entries of `out` it took. */
size_t meta_of_mailbox(
	struct arena *a, const struct mailbox *m, const char *guid_key, struct object_meta *out);
size_t meta_of_mail(struct arena *a, const struct mailbox *m, const struct row_append *row,
	struct object_meta *out);
/* What a store has kept of it; whatever is not there, or makes no sense, is 0 or empty. */
struct meta_mail {
	bool has_mailbox, has_guid;
	struct catalog_guid mailbox;
	struct str mailbox_name;
	struct row_id guid;
	int64_t received_wall_us, saved_wall_us;
	unsigned flags;
	struct str keywords[ROW_KEYWORDS_MAX];
	size_t keyword_count;
};
void meta_read_mail(const struct object_meta *meta, size_t count, struct meta_mail *out);
bool meta_id_parse(struct str text, struct row_id *out); /* 32 hexadecimal digits */

/* ---- rescue.c ---- */

/* WAITS. Mails of a deleted mailbox that were saved after its removal (`entry` is that of the mailbox) are
 * saved in INBOX, with flags and times. Opens the user. Done again, it does so again. */
enum err store_rescue_late(
	struct op *op, struct store *s, const struct catalog_garbage *entry, uint32_t last_bucket);

/* ---- view.c, view_sync.c, view_history.c, view_freeze.c ---- */

struct view {
	struct mailbox *mailbox;
	struct list link;
	bool claims_recent, was_notified;
	uint32_t told_uid; /* mails up to it are known to the session */
	uint32_t exists;
	uint64_t told_expunges, told_changes; /* modseqs */
	size_t told_keywords;
	struct range_set recent; /* UIDs */
	uint64_t *silent;        /* modseqs of own changes that need no telling */
	size_t silent_count;
	struct range_set loud; /* UIDs: under an own silent change lies one that was not told */
	/* Positions of ghosts that this view has passed, ascending; made when needed. */
	uint32_t *gone;
	size_t gone_count;
	bool has_gone;
	view_notify_fn *notify;
	void *notify_arg;
};
struct view *view_new(struct mailbox *m, bool claims_recent); /* told nothing yet */
void view_forget_positions(struct mailbox *m);
/* The mails up to told_uid without those whose expunge was told. */
uint32_t view_count_existing(struct view *v);
/* Drops what every view has passed. */
void views_trim(struct mailbox *m);
void views_notify(struct mailbox *m);
bool view_is_silent(const struct view *v, uint64_t modseq);
uint32_t view_position(struct view *v, uint32_t seq);
void view_count_gone(struct view *v);
/* The modseq of the first expunge that the session was not told though it knows the mail; 0: none. */
uint64_t view_first_withheld(const struct view *v);
/* The UIDs of sequence numbers, those in range. */
void view_seqs_to_uids(struct view *v, const struct range_set *seqs, struct range_set *out_uids);
