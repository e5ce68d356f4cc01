/* SPDX-License-Identifier: Apache-2.0 */
/* What opening.c, tail.c, takeover.c, moves.c and merge.c share: a mailbox's tail, while it is read and when
 * it was. */
#pragma once

#include "store/store_private.h"

/* Somebody else whose head says that he did not close the mailbox. */
struct absent_writer {
	uint32_t writer;
	bool is_dead; /* he was on this host, and his lock is ours: he tells nobody anything */
	struct str expunge; /* value of his last expunge row */
};
struct kept_row {
	struct catalog_row row; /* value in the arena */
};
struct kept_rows {
	struct kept_row *items;
	size_t count, cap;
};
/* A mail that counted until a row that voids it was folded. */
struct voided_mail {
	struct catalog_name row;
	struct row_mark mark;
};
struct tail {
	struct mailbox *mailbox;
	struct arena *arena;
	struct absent_writer *absent;
	size_t absent_count;
	struct catalog_name after; /* where the tail began */
	struct catalog_name own; /* our first floor row: what it raises is no fact of the journal */
	/* Rows of mails that do not count, or of nobody: they go. */
	struct row_mark *marks;
	size_t mark_count, mark_cap;
	struct kept_rows intents;
	/* Open here, and somebody else moved mail there: it has to be looked for. */
	struct catalog_guid *targets;
	size_t target_count;
	struct kept_rows others; /* op rows of other writers that change mails */
	bool others_are_old;     /* all came under names that are not looked for any more */
	struct kept_rows merges;
	struct voided_mail *voided; /* by rows of other writers */
	size_t voided_count, voided_cap;
};

/* ---- tail.c ---- */

void tail_keep_row(struct arena *arena, struct kept_rows *rows, const struct catalog_row *row);
void tail_keep_mark(struct tail *t, const struct row_mark *mark);
void tail_keep_leftover(struct tail *t, const struct catalog_row *row);
void tail_find_absent(struct tail *t);
/* NULL: his head is not there, or he closed it. */
const struct absent_writer *tail_absent(const struct tail *t, uint32_t writer);
/* Where a tail begins that has all that may be new, and its first bucket. */
struct catalog_name tail_begin(const struct mailbox *m, uint32_t *out_bucket);
/* Do merge rows in it tell of mails from before it that are not known here: somebody found them late, and reads
 * further back? Then the tail has to be read from there: once, rows that are not there either are nowhere. */
bool tail_begin_again(const struct mailbox *m, const struct kept_rows *rows,
	struct catalog_name *after, uint32_t *out_bucket);
/* WAITS. Folds what the journal has behind the index's cover. */
enum err tail_read(struct op *op, struct tail *t);

/* ---- merge_batches.c ---- */

/* Rows of a batch become as they are with UID and modseq; those that do not count, or not yet, go. */
void tail_resolve_batches(const struct tail *t, struct kept_rows *rows);

/* ---- moves.c ---- */

/* WAITS. Finishes the moves that other writers' intent rows tell of, or drops them, or leaves them to their
 * writers: what there is to write is added to the batch. */
enum err tail_settle_intents(struct op *op, struct batch *b, struct tail *t, uint64_t *modseq);
/* WAITS. The same, and writes it. The mailbox is loaded; hold the write lock. */
enum err tail_settle_moves(struct op *op, struct tail *t);

/* ---- late_ops.c: after the tail was folded ---- */

/* Is there a change that nobody told who told greater modseqs? */
bool late_ops_are_there(const struct tail *t);
/* Adds rows that say them again. The floor row that covers them is to come behind them. */
void late_ops_put(struct batch *b, const struct tail *t, uint64_t *modseq);
/* For a live look: keeps those of its rows that others do not find who look back as far as usual. */
void late_ops_keep_old(struct tail *t, const struct kept_rows *rows);
/* WAITS. Says those again. After all rows were folded; hold the write lock. */
enum err late_ops_say_old(struct op *op, const struct tail *t);

/* ---- takeover.c ---- */

/* WAITS. Our open head and a floor row, above all that others may give, with room for so many UIDs at least.
 * The floor row is not folded: the index would seem to cover what was not read. */
enum err takeover_begin(struct op *op, struct tail *t, uint32_t more, uint64_t *out_modseq);
/* WAITS. What is late gets UIDs below a limit that others saw: if ours has no room for it, the takeover begins
 * anew, and *floor is the modseq of that. */
enum err takeover_reserve(struct op *op, struct tail *t, uint64_t *floor);
/* Is there something that came behind what somebody's floor row says was seen? After the tail was folded. */
bool takeover_has_late(const struct tail *t);
/* WAITS. After the tail was folded. */
enum err takeover_end(struct op *op, struct tail *t, const struct handover *h, uint64_t floor);
