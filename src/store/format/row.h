/* SPDX-License-Identifier: Apache-2.0 */
/* store/format/row.h - the values of journal rows (docs/formats/rows.md).
 *
 * An append row is a mail; an op row is something that happened: one op a row. Numbers are varints,
 * ids are 16 raw bytes, lists are counted. Every value begins with a version; a newer one is
 * ERR_UNSUPPORTED (never guessed), everything else that is no row is ERR_CORRUPT.
 *
 * Decoded structs borrow the row's bytes. Lists are checked by the decoder and then walked with
 * *_next(), which takes entries off the front and returns false at the end: no memory is needed.
 * To add an op: a number in enum row_op, encoder and decoder here, a case in index/fold.c or
 * store/tree_fold.c, a line in docs/formats/rows.md, a golden test. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"
#include "store/format/name.h"

#define ROW_VERSION          1
#define ROW_ID_BYTES         16
#define ROW_KEYWORDS_MAX     64
#define ROW_KEYWORD_MAX      255
#define ROW_EXPUNGE_MAX      1000 /* mails an expunge row names */
#define ROW_BYTES_MAX        (40u << 10)
#define ROW_SUMMARY_MAX      (8u << 10)
#define ROW_TREE_NAME_MAX    4096
#define ROW_SPECIAL_USE_MAX  255
#define ROW_MESSAGE_SIZE_MAX UINT32_MAX

struct row_id {
	uint8_t bytes[ROW_ID_BYTES];
};

struct row_append {
	uint32_t uid;    /* with a batch: its place there, from 1; the commit row gives the UID */
	uint64_t modseq; /* 0 with a batch */
	struct row_id oid;
	uint64_t offset, length; /* where in the object */
	struct row_id guid;
	unsigned flags; /* MAIL_STORABLE_FLAGS */
	struct str keywords[ROW_KEYWORDS_MAX];
	size_t keyword_count;
	int64_t received_wall_us, saved_wall_us;
	uint64_t size_physical, size_virtual;
	bool has_batch;
	struct row_id batch;
	struct str summary; /* empty: left out, remade from the object */
};
void row_append_encode(struct buf *out, const struct row_append *row);
/* How many bytes at the end of the encoding may be gone when it is read (catalog_row.fading_bytes): those
 * of the summary. */
size_t row_append_fading(const struct row_append *row);
enum err row_append_decode(struct str value, struct row_append *out);

enum row_op {
	ROW_EXPUNGE = 1,
	ROW_FLAGS = 2,
	ROW_COMMIT = 3,
	ROW_MOVE_INTENT = 4,
	ROW_VOID = 5,
	ROW_FLOOR = 6,
	ROW_HOLE = 7,
	ROW_MERGE = 8,
	ROW_VOID_BATCH = 9,
	ROW_TREE_CREATE = 32,
	ROW_TREE_RENAME = 33,
	ROW_TREE_REMOVE = 34,
	ROW_TREE_SUBSCRIBE = 35,
};

/* A mail that an op names. The uid is a hint that saves a search (0: none); merges may have changed
 * it. In a floor row: the last row of another writer that had been seen; his number is in the name. */
struct row_mark {
	struct catalog_name name;
	uint32_t uid;
	uint32_t bucket;   /* expunge and move intent */
	struct row_id oid; /* expunge and move intent */
	uint64_t modseq;   /* merge only; uid is then the fresh one ... */
	uint32_t origin;   /* ... and this one the append row's */
};

/* Flags and keywords that one change set or cleared in some mails, with its original stamp. */
struct row_flags_group {
	uint64_t modseq, stamp;
	unsigned mask, value;                   /* flags named; those of them now set */
	uint64_t keywords_mask, keywords_value; /* bits of row_op_value.keywords */
	size_t count;
	struct str marks; /* row_mark_next() with ROW_FLAGS */
};

/* A decoded op row; which members count depends on `op`. */
struct row_op_value {
	enum row_op op;
	uint64_t modseq;       /* expunge, commit, void, floor */
	uint32_t uid;          /* commit: that of place 1; floor: the next to give */
	size_t count;          /* marks, groups, renames; commit: mails of the batch */
	struct str marks;      /* expunge, move intent, void, floor, merge: row_mark_next() */
	struct row_id batch;   /* commit, move intent, void batch */
	struct row_id mailbox; /* move intent: destination; tree ops: which mailbox */
	uint64_t hole_first, hole_last;
	struct str groups; /* flags: row_flags_next() */
	struct str keywords[ROW_KEYWORDS_MAX];
	size_t keyword_count;
	struct str name; /* tree create, subscribe */
	struct str special_use;
	uint32_t uid_validity;
	bool is_on;         /* subscribe */
	struct str renames; /* tree rename: row_rename_next() */
};
enum err row_op_decode(struct str value, struct row_op_value *out);
bool row_mark_next(enum row_op op, struct str *marks, struct row_mark *out);
bool row_flags_next(struct str *groups, size_t keyword_count, struct row_flags_group *out);
struct row_rename {
	struct row_id mailbox;
	struct str name;
};
bool row_rename_next(struct str *renames, struct row_rename *out);

/* ---- encoders: append a whole value to `out` ---- */

void row_expunge_encode(
	struct buf *out, uint64_t modseq, const struct row_mark *marks, size_t count);
void row_commit_encode(struct buf *out, const struct row_id *batch, uint32_t first_uid,
	uint64_t modseq, size_t count);
void row_move_intent_encode(struct buf *out, const struct row_id *batch,
	const struct row_id *destination, const struct row_mark *marks, size_t count);
/* `modseq`: the greatest that those who saw its mails may have told. */
void row_void_encode(struct buf *out, uint64_t modseq, const struct row_mark *marks, size_t count);
/* No commit row of this batch ever counts. */
void row_void_batch_encode(struct buf *out, const struct row_id *batch);
void row_floor_encode(struct buf *out, uint32_t next_uid, uint64_t modseq,
	const struct row_mark *seen, size_t count);
void row_hole_encode(struct buf *out, uint64_t first, uint64_t last);
void row_merge_encode(struct buf *out, const struct row_mark *marks, size_t count);
/* A flags row is a head, then groups; the keyword bits of all its groups mean `keywords`. */
void row_flags_encode_head(struct buf *out, const struct str *keywords, size_t count);
void row_flags_encode_group(
	struct buf *out, const struct row_flags_group *group, const struct row_mark *marks);

void row_tree_create_encode(struct buf *out, const struct row_id *mailbox, struct str name,
	struct str special_use, uint32_t uid_validity);
void row_tree_rename_encode(struct buf *out, const struct row_rename *renames, size_t count);
void row_tree_remove_encode(struct buf *out, const struct row_id *mailbox);
void row_tree_subscribe_encode(struct buf *out, struct str name, bool is_on);
