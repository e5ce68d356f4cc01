/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an index. */
#pragma once

#include "base/map.h"
#include "store/index/index.h"

/* Bits of stamps: system flags, then keywords. */
#define FLAG_BITS        5
#define FLAG_KEYWORD_BIT 8

#define STATE_GHOST  1
#define STATE_PASSED 2 /* a ghost that is being removed */

/* `hot` and `cold` are two arrays with room for `cap`. */
struct chunk {
	struct snapshot_hot *hot;
	struct snapshot_cold *cold;
	uint32_t count, cap;
	uint32_t start;   /* position of its first record */
	uint32_t unseen;  /* living records without \Seen */
	bool is_borrowed; /* part of the loaded file */
};

/* Flags of a mail whose append row was not folded yet. */
struct orphan_change {
	uint64_t modseq, stamp, keywords_mask, keywords_value;
	unsigned mask, value;
};
struct orphan {
	struct catalog_name name;
	size_t count;
	struct orphan_change changes[];
};

struct index_events {
	struct index_event *items;
	size_t count, cap;
};

/* Append rows that wait for the same, as they came. One commit row may follow tens of thousands of them, so
 * what a row costs must not depend on how many there are. */
struct waiting_row {
	struct waiting_row *next;
	struct catalog_row row;
	char value[];
};
struct waiting {
	struct row_id batch;
	struct waiting_row *first, *last;
	size_t count;
};

struct index {
	struct catalog_guid mailbox;
	/* owned */
	struct chunk *chunks;
	size_t chunk_count, chunk_cap;
	struct index_events ghosts, changes;
	uint64_t changes_floor;
	struct snapshot_tombstone *tombstones;
	size_t tombstone_count, tombstone_cap;
	uint64_t tombstone_floor;
	struct map_u64 gone;   /* hash of a tombstone's name -> itself as a mark */
	struct map_u64 stamps; /* stamp_key() -> stamp */
	struct map orphans;    /* name -> struct orphan */
	struct str keywords[ROW_KEYWORDS_MAX];
	size_t keyword_count;
	struct snapshot_hole *holes;
	size_t hole_count;
	struct snapshot_moved *moved; /* in the order of names */
	size_t moved_count, moved_cap;
	struct snapshot_floor *floors;
	size_t floor_count, floor_cap;
	uint32_t top_floor, top_writer;
	struct catalog_name *writers; /* the last row of each */
	size_t writer_count;
	struct map waiting;       /* id -> struct waiting: batches without a commit row */
	struct waiting placeless; /* whose UID another mail has */
	struct map waiting_names; /* name -> struct waiting_row: all of them */
	struct map
		batches; /* id -> struct snapshot_batch: those of a day, all while rows are folded */

	uint64_t stamp_floor;
	uint64_t modseq;
	uint32_t next_uid, recent_uid;
	struct catalog_name cover;
	struct index_counters counters;
};

/* ---- chunk.c ---- */

struct chunk *chunk_at(const struct index *x, uint32_t position, uint32_t *out_in_chunk);
/* Makes room for a record at `position` (which keeps UID order) and returns its chunk and place. */
struct chunk *chunk_insert(struct index *x, uint32_t position, uint32_t *out_in_chunk);
void chunk_remove(struct index *x, uint32_t position);
void chunk_sweep(struct index *x, uint8_t state);
void chunk_add_borrowed(
	struct index *x, struct snapshot_hot *hot, struct snapshot_cold *cold, uint32_t count);
/* Adds copies of records behind all others, UIDs ascending, at most INDEX_CHUNK. */
void chunk_add_copies(struct index *x, const struct snapshot_hot *hot,
	const struct snapshot_cold *cold, uint32_t count);
/* Adds what a living record counts for, or takes it away. */
void chunk_count_record(struct index *x, struct chunk *c, uint32_t in_chunk, bool is_added);
void chunk_free_all(struct index *x);

/* ---- events.c ---- */

/* At the end, whatever its modseq. */
void events_push(struct index_events *e, uint64_t modseq, uint32_t uid);
void events_add(struct index_events *e, uint64_t modseq, uint32_t uid);
void tombstone_add(struct index *x, struct catalog_name name, uint32_t uid, uint64_t modseq);
bool tombstone_has(const struct index *x, struct catalog_name name);
void hole_add(struct index *x, uint64_t first, uint64_t last);
bool hole_has(const struct index *x, uint64_t first, uint64_t last);
/* A UID that its mail lost. */
void tombstone_add_burned(struct index *x, uint32_t uid, uint64_t modseq);
/* At which UID its expunge found it; 0: it was never told, or is not gone. */
uint32_t tombstone_uid(const struct index *x, struct catalog_name name);
/* What one more row says of an expunged mail. Its tombstone has the greatest modseq and the greatest UID of all
 * rows that expunge or merge it, whatever their order; its other UIDs are burned. Clients that come back are
 * told by it, not views: those that were told must not have it again. */
void tombstone_join(struct index *x, const struct row_mark *mark);

/* ---- fold.c, batches.c ---- */

enum err fold_append(struct index *x, const struct catalog_row *row);
/* Keeps a copy until the commit row of its batch is folded; without a batch: until its UID is its own. */
void batches_wait(struct index *x, const struct catalog_row *row, const struct row_id *batch);
/* Gives a row of a committed batch its UID and modseq; false: it has to wait. */
bool batches_resolve(const struct index *x, struct row_append *a);
void batches_commit(struct index *x, struct catalog_name name, const struct row_op_value *v);
/* What is known of a batch by the name of its commit row; NULL: nothing. */
struct snapshot_batch *batches_find_row(const struct index *x, struct catalog_name name);
/* Ends the mails of a committed batch, which counts no more. */
void batches_end(struct index *x, struct snapshot_batch *b);
void batches_void_id(struct index *x, const struct row_id *batch, struct catalog_name by);
/* Its writer gave these UIDs, in rows before its commit row; others may have given the same. */
bool batches_has_mail(const struct snapshot_batch *b, struct catalog_name row, uint32_t origin);
/* Where the mails of a committed batch are now. On the heap: mem_free(). */
size_t batches_mails(
	const struct index *x, const struct snapshot_batch *b, uint32_t **out_positions);
/* In the order of names, in the arena. */
struct snapshot_batch *batches_list(const struct index *x, struct arena *arena, size_t *out_count);
void batches_take(struct index *x, const struct snapshot_batch *b);
void batches_free(struct index *x);
/* Rows that wait for a place of their own are folded again. */
void batches_retry_placeless(struct index *x);
void record_end(struct index *x, uint32_t position, uint64_t modseq);

/* ---- merge.c ---- */

struct snapshot_moved *moved_find(const struct index *x, struct catalog_name name);
void moved_forget(struct index *x, struct catalog_name name);
/* A mail never was: clients that were told of it by merge rows learn that its UID is gone. */
void moved_burn(struct index *x, struct catalog_name name);
/* Would folding this floor row change anything? */
bool merge_floor_is_new(
	const struct index *x, const struct row_op_value *v, struct catalog_name name);
void merge_fold(struct index *x, const struct row_op_value *v, struct catalog_name by);
void merge_fold_floor(struct index *x, const struct row_op_value *v, struct catalog_name name);

/* ---- flags.c ---- */

void flags_move_stamps(struct index *x, uint32_t from, uint32_t to);

void flags_fold(struct index *x, const struct row_op_value *v);
void flags_adopt_orphans(struct index *x, struct chunk *c, uint32_t in_chunk);
void flags_drop_orphan(struct index *x, struct catalog_name name);
uint64_t stamp_key(uint32_t uid, uint32_t bit);
