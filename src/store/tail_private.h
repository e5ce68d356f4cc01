/* SPDX-License-Identifier: Apache-2.0 */
/* What opening.c, tail.c, takeover.c and moves.c share: a mailbox's tail, while it is read and when it was. */
#pragma once

#include "store/store_private.h"

struct dead_writer {
	uint32_t writer;
	struct catalog_name last; /* of his rows */
	struct str expunge;       /* value of his last expunge row */
};
struct kept_row {
	struct catalog_row row; /* value in the arena */
};
struct tail {
	struct mailbox *mailbox;
	struct arena *arena;
	struct dead_writer *dead;
	size_t dead_count;
	struct catalog_name own; /* our floor row: what it raises is no fact of the journal */
	/* Rows of mails that do not count, or of nobody: they go. */
	struct row_mark *marks;
	size_t mark_count, mark_cap;
	struct kept_row *intents, *late_ops;
	size_t intent_count, late_op_count;
};

/* ---- tail.c ---- */

void tail_keep_mark(struct tail *t, const struct row_mark *mark);
void tail_keep_leftover(struct tail *t, const struct catalog_row *row);
/* WAITS. Folds what the journal has behind the index's cover. */
enum err tail_read(struct op *op, struct tail *t);

/* ---- moves.c ---- */

void takeover_put_fence(
	struct batch *b, struct catalog_guid mailbox, uint32_t writer, struct catalog_name last);
/* WAITS. Finishes the move that an intent row tells of, or drops it. */
enum err tail_settle_intent(struct op *op, struct batch *b, struct tail *t,
	const struct catalog_row *row, uint64_t *modseq);

/* ---- takeover.c ---- */

/* WAITS. Step 1: our open head and a floor row. */
enum err takeover_begin(struct op *op, struct tail *t, const struct handover *h, uint64_t *floor);
/* WAITS. Step 3. */
enum err takeover_end(struct op *op, struct tail *t, const struct handover *h, uint64_t floor);
