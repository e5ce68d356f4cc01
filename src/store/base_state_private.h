/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store know of bases: a mailbox's fold in the object store (base*.c). */
#pragma once

#include "catalog/catalog.h"
#include "store/format/base.h"
#include "store/index/index.h"
#include "task/task.h"

struct mailbox;
struct store;
struct user;

/* Why a base is made, as the event says it. */
enum base_reason { BASE_TAIL, BASE_CLOSE, BASE_IDLE, BASE_NIGHTLY, BASE_FLUSH, BASE_CLEAN };

/* What the heads say of a mailbox's base, corrected by what this process writes. */
struct user_base {
	struct catalog_guid mailbox;
	uint32_t writer; /* 0: the one under "base"; else that of this writer beside another */
	struct head_base head;
	int64_t stamp_us; /* that was read; 0: written by this process */
};
/* Which objects a base stands on, for the next one. */
struct base_parts {
	struct row_id manifest;        /* of which base */
	struct base_segment *segments; /* owned; retired ones too */
	size_t count;
	uint32_t summary_uid;
};
#define BASE_CLOSE_ROWS 100 /* a longer tail is worth a base when the mailbox rests */
struct base_state {
	bool exists;
	bool is_uploading, is_due;
	struct catalog_name cover;
	int64_t made_wall_us;
	size_t tail_rows, tail_bytes; /* folded since the base, as far as this process knows */
	int64_t noted_us;             /* when the last of them was */
	enum base_reason due_reason;
	size_t due_bytes; /* what the last upload cost besides new mails; of one that failed, its tail */
	int64_t tried_us; /* when that was */
	/* Of the newest manifest, owned; what a new base can go on using. Known after a base was opened
	 * or made here. */
	bool has_parts;
	struct base_parts parts;
	uint64_t uploaded_bytes;    /* by the last upload */
	struct task_mutex fetching; /* of summaries */
	struct row_id *fetched;     /* segments of summaries that were read; owned */
	size_t fetched_count;
};
/* WAITS. Uploads the mailbox as it is now. ERR_NONE also when nothing changed since the last one, or one
 * is being uploaded. ERR_UNAVAILABLE: the old base is still the one. */
enum err mailbox_upload_base(struct op *op, struct mailbox *m, enum base_reason why);
/* WAITS. A new index from the newest base that can be read; an empty one if there is no base. A damaged
 * base is passed over for the one before it, whose tail the journal still has. */
enum err base_read(struct op *op, struct mailbox *m, struct index **out);
/* WAITS. The base whose manifest has this id, for who has no heads; of `m` only user and GUID are used. */
enum err base_read_id(
	struct op *op, struct mailbox *m, const struct row_id *id, struct index **out);
/* WAITS. Makes the newest base m's index; with the flag changes that this host's log still keeps. */
enum err base_open(struct op *op, struct mailbox *m);
/* Is what the local files have older than what the journal still tells? Then base_open() comes first. */
bool base_is_needed(const struct mailbox *m);
/* The bucket that a tail with names above `after` begins in at least. */
uint32_t base_tail_bucket(const struct mailbox *m, struct catalog_name after);
/* A row of the tail was folded. */
void base_note_row(struct mailbox *m, const struct catalog_row *row);
/* A flag change that only a base will keep. */
void base_note_bytes(struct mailbox *m, size_t bytes);
/* WAITS. Before a mailbox is closed: uploads when the tail is worth it, or flags wait for it. Should that
 * fail, rows say it all. */
void base_close(struct op *op, struct mailbox *m);
/* Starts an upload in the background when the tail has grown enough. No wait. */
void base_consider(struct mailbox *m);
/* The same for what rests while sessions stay: it is not worth less than what is closed. */
void base_consider_idle(struct mailbox *m);
/* WAITS. Brings the segment that has the summary of a mail into the local file. ERR_NOT_FOUND: none has. */
enum err base_fetch_summary(struct op *op, struct mailbox *m, uint32_t uid);
void base_parts_done(struct base_parts *parts);
void base_state_done(struct base_state *s);
/* What the heads say; NULL: there is no base. */
const struct user_base *user_base_of(const struct user *u, struct catalog_guid mailbox);
/* Op rows with names below are gone, whoever dropped them. */
struct catalog_name user_dropped(const struct user *u, struct catalog_guid mailbox);
/* WAITS. Were rows behind `after` dropped since heads were read, perhaps while they were folded? Asks nobody if that
 * cannot be. */
enum err base_find_dropped(
	struct op *op, const struct mailbox *m, struct catalog_name after, bool *out);
void user_set_base(struct user *u, const struct user_base *base);
/* Is it in a batch of ours of unknown fate? */
bool user_may_have_put_base(const struct user *u, const struct user_base *base);
enum err user_keep_base(struct op *op, struct user *u, const struct catalog_head *head);
void user_drop_base(struct user *u, struct catalog_guid mailbox, uint32_t writer);
/* Has somebody else an open head of this mailbox? */
bool user_has_others(const struct user *u, struct catalog_guid mailbox);
struct str base_object_key(
	struct arena *a, const struct user *u, struct catalog_guid mailbox, struct row_id id);
/* The object of a garbage entry, and back. */
#define BASE_GARBAGE "idx/"
bool base_is_garbage(struct str object, struct row_id *out_id);
/* The zero scope has the object of a root head, and no base. */
bool base_is_of_root(struct catalog_guid mailbox);
/* The objects that bases of a mailbox stand on. */
struct base_names {
	struct str user;
	struct catalog_guid mailbox;
	struct row_id *ids; /* in op's arena */
	size_t count, cap;
};
/* WAITS. What the heads name, and the manifests that they name; with_retired: also what these gave up.
 * Nothing here needs the user to be open. */
enum err base_names_read(struct op *op, struct store *s, struct str user,
	struct catalog_guid mailbox, bool with_retired, struct base_names *out);
/* WAITS. Is the object of a garbage entry still in use? `known`, zeroed at first, saves reading the same
 * heads again for the next entry. */
enum err base_garbage_is_used(struct op *op, struct store *s, const struct catalog_garbage *g,
	const struct row_id *id, struct base_names *known, bool *out);
/* WAITS. All objects of a deleted mailbox's bases become garbage; its heads go afterwards. */
enum err base_purge(struct op *op, struct store *s, struct str user, struct catalog_guid mailbox);
