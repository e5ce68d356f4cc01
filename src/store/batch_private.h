/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: changes that stand or fall together (batch.c, write.c). */
#pragma once

#include "base/list.h"
#include "catalog/catalog.h"
#include "store/format/row.h"

struct mailbox;
struct user;

/* The order in which a batch is written. A catalog that is not atomic may carry out any prefix of it:
 * what is claimed comes before rows, what an object needs to live before the row that names
 * it, the row that decides before what it makes superfluous, and only then what the next opener would
 * have to look at to finish the rest. */
enum batch_rank {
	RANK_USUAL,  /* by the kind of change */
	RANK_HEADS,  /* claims, buckets, closed heads */
	RANK_INTENT, /* of a move, in its source */
	RANK_REVERSE,
	RANK_APPEND,
	RANK_COMMIT, /* makes the appends of the batch count */
	RANK_OP,
	RANK_GARBAGE,
	RANK_GONE_ROW,
	RANK_GONE_REVERSE,
	RANK_INTENT_DONE,
	RANK_LAST_HEADS, /* dead writers: nothing is left to do for them */
	RANK_COUNT,
};
struct batch_item {
	enum batch_rank rank;
	struct str summary; /* of an append row, for the local file; may be larger than the row's */
	struct str resolved; /* of an append row of a batch: as it is with UID and modseq */
	bool is_apart;       /* sent when all before it is certain */
	bool is_quiet;       /* who writes it folds it himself, with what belongs to it */
};
struct batch {
	struct list link; /* in user.unsettled */
	struct user *user;
	struct arena arena;
	struct catalog_change *changes;
	struct batch_item *items;
	size_t count, cap;
	size_t durable;          /* so many of the first changes are there from earlier tries */
	int64_t sources_seen_ms; /* copies and moves: wall time when the source was looked at; else 0 */
	bool is_voidable; /* its appends may be voided; else it is repeated until it is certain */
	uint64_t head_reads; /* user.head_reads when the last try began */
	bool says_again;     /* what others wrote: its flag changes keep their stamps */
	uint64_t made_anew;  /* the last stamp that its flag changes were given (flags_anew.c) */
	uint64_t
		journalled; /* so many pending records of the mailbox `journal` are durable with it */
	struct catalog_guid journal;
	uint64_t journal_serial; /* of the mailbox: the log of another opening counts anew */
};
struct batch *batch_new(struct user *u);
void batch_free(struct batch *b);
struct catalog_change *batch_add(
	struct batch *b, enum catalog_change_kind kind, struct catalog_guid mailbox);
void batch_put_row(struct batch *b, struct catalog_guid mailbox, enum catalog_kind kind,
	uint32_t bucket, struct catalog_name name, const struct buf *value);
/* A batch of op rows only: mints the name. */
void batch_put_op(
	struct batch *b, struct catalog_guid mailbox, uint32_t bucket, const struct buf *value);
void batch_put_head(
	struct batch *b, struct catalog_guid mailbox, struct str key, const struct buf *value);
void batch_reference(struct batch *b, bool is_added, struct row_id oid, struct catalog_guid mailbox,
	uint32_t bucket, struct catalog_name name);
void batch_garbage(struct batch *b, struct str object, struct catalog_guid mailbox, uint32_t bucket,
	struct catalog_name row, struct catalog_name queued);
struct str batch_oid_text(struct batch *b, struct row_id oid);
struct batch_item *batch_last(struct batch *b); /* what was added last; until the next is added */
void batch_delete_row(struct batch *b, struct catalog_guid mailbox, enum catalog_kind kind,
	uint32_t bucket, struct catalog_name name);
void batch_delete_head(struct batch *b, struct catalog_guid mailbox, struct str key);
/* The append row and its reverse row go; `queued` not NULL: its object is garbage. */
void batch_remove_mail(struct batch *b, struct catalog_guid mailbox, const struct row_mark *mark,
	const struct catalog_name *queued);
/* Order and stamps: what follows is only written. */
void batch_finish(struct batch *b);
/* After a change of what was finished: stamps where there are none (0), and that is sent again. */
void batch_stamp(struct batch *b);
/* New stamps for our own heads, before each try: who was there meanwhile may have ended what an earlier try put. */
void batch_renew_claims(struct batch *b);
/* New names for rows whose name is stale, and new stamps for flags that waited long, unless the batch has
 * mails. */
void batch_refresh(struct batch *b);
/* The batch that makes sure that the appends of `b` never were. Its heads are kept, and its reverse
 * rows are put again: those of the originals must be there when the collector looks whether the object
 * of a copy that never was is still needed. */
struct batch *batch_void(const struct batch *b);
/* Do others not find its rows any more who look as far back as usual? */
bool batch_has_late_rows(const struct batch *b);
/* Was the source of this copy or move not looked at for so long that objects may be gone? */
bool batch_has_old_sources(const struct batch *b);
/* WAITS. Mails whose object is gone become voids; the rest of the batch stays. */
enum err batch_leave_out_collected(struct op *op, struct batch *b);
/* Will so many append rows of so many bytes (BATCH_ROW_BYTES each and their values) be written as a
 * whole? Otherwise they need a batch id and a commit row. */
bool batch_is_one_group(const struct user *u, size_t rows, size_t bytes);
#define BATCH_ROW_BYTES 64

/* WAITS until durable, then folds and tells. Takes the batch. ERR_UNAVAILABLE: its fate is unknown;
 * it is voided or repeated before the next write of this user. Other errors: nothing was written. */
enum err user_write(struct op *op, struct user *u, struct batch *b);
/* WAITS. Ends the uncertainty of earlier batches. */
enum err user_settle(struct op *op, struct user *u);

/* WAITS. Changes that belong to no user's journal: they are repeated by whoever finds them undone. */
enum err store_write_changes(struct op *op, struct store *s, struct str user,
	struct catalog_change *changes, size_t count);
