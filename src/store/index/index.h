/* SPDX-License-Identifier: Apache-2.0 */
/* store/index/index.h - the fold of a mailbox's journal, in memory.
 *
 * Records stand in UID order, in chunks of columns: `hot` (what FETCH FLAGS and SEARCH touch) and
 * `cold`. A *position* counts records from 0. An expunged record stays as a *ghost* until
 * index_forget() says that every view has passed it; after that only its tombstone is left.
 *
 * Life:   index_new() -> index_load() of a snapshot, or nothing -> index_fold() of rows ->
 *         index_save() -> index_free(). Pure: no I/O, no waits, no clock.
 * Fold:   idempotent, and any order of rows gives the same records: an expunge beats everything; of
 *         flag changes the greatest stamp wins per mail and flag; of the UIDs that append and merge rows
 *         give a mail the greatest is his, the others are burned. Rows of a batch wait for its commit
 *         row. Move intents are for who opens the mailbox.
 * Merge:  a fold invents nothing: index_late() names the mails that need another UID, since somebody who
 *         told greater ones had not seen their rows; whoever opens the mailbox gives it in merge rows.
 * Cost:   a fold costs what the row names times log n; records are found by their UID, which rows
 *         carry as a hint, and checked by name. */
#pragma once

#include "base/base.h"
#include "catalog/catalog.h"
#include "store/format/base.h"
#include "store/format/row.h"
#include "store/format/snapshot.h"

#define INDEX_CHUNK          4096
#define INDEX_TOMBSTONES_MAX 100000

struct index;
struct index_counters {
	uint32_t messages, unseen, deleted;
	uint64_t bytes_virtual;
};

struct index *index_new(struct catalog_guid mailbox);
void index_free(struct index *x);

/* ---- folding ---- */

/* ERR_CORRUPT, ERR_UNSUPPORTED: nothing was changed. */
enum err index_fold(struct index *x, const struct catalog_row *row);
/* A flags row that is not in the journal yet: folds its groups, does not touch the cover. */
enum err index_fold_pending(struct index *x, struct str value);

/* Append rows that were folded and do not count yet, in the order of names: their batch has no commit row, or
 * another mail has their UID. In the arena; values are borrowed until the next fold. */
struct catalog_row *index_waiting(const struct index *x, struct arena *arena, size_t *out_count);
/* Those of one batch that wait for its commit row, as they came. */
struct catalog_row *index_waiting_of(
	const struct index *x, const struct row_id *batch, struct arena *arena, size_t *out_count);
/* Everything was folded: rows that still wait do not count now, and of batches those of the last day are
 * kept: they may be voided yet, and what was voided may come late. */
void index_end_batches(struct index *x);
/* What is known of a batch; NULL: nothing yet, or nothing any more. */
const struct snapshot_batch *index_batch(const struct index *x, const struct row_id *id);
/* Was this mail expunged or voided? */
bool index_is_gone(const struct index *x, struct catalog_name name);
/* Was the append row of this name folded, or what ended its mail? */
bool index_knows(const struct index *x, struct catalog_name name, uint32_t uid_hint);
/* The modseq of its expunge; 0: it is not gone, or was voided. Walks over all tombstones. */
uint64_t index_gone_modseq(const struct index *x, struct catalog_name name);
/* Where the mail of this name is; `uid` is that of its append row. */
bool index_find_name(
	const struct index *x, uint32_t uid, struct catalog_name name, uint32_t *out_position);
/* Would folding this op row change anything, be it only what later rows meet? Of rows that were folded it would
 * not. Calls fn, unless it is NULL, for each living mail that would change, with a mark of a merge
 * row: its UID and origin, and the modseq that the op has for it. */
typedef void index_mail_fn(void *arg, const struct row_mark *mark);
bool index_would_change(const struct index *x, struct catalog_name row,
	const struct row_op_value *v, index_mail_fn *fn, void *arg);

/* The flags and keywords (bits of the row) of a group that the mail has, or has not, as the group says: not what
 * was changed since. None, if the mail is gone. */
typedef void index_flags_fn(const struct index *x, const struct row_op_value *v,
	const struct row_flags_group *g, const struct row_mark *mark, unsigned *out_mask,
	uint64_t *out_keywords_mask);
index_flags_fn index_standing;    /* by this very change */
index_flags_fn index_would_stand; /* as it is, or once the group is folded */

/* Does a row of flags name mails whose append rows were not folded yet? */
bool index_awaits(const struct index *x, const struct row_op_value *v);

/* ---- several writers ---- */

/* The last row that was folded of a writer, or that was seen in the journal and had been folded before: files
 * and bases do not say who wrote. Zero: none. */
struct catalog_name index_seen(const struct index *x, uint32_t writer);
void index_note_seen(struct index *x, struct catalog_name row);
/* What was folded so far is of files: a log has some rows of a writer, not his last. */
void index_forget_seen(struct index *x);
/* The writers of such rows, each by his last row's name. Borrowed until the next fold. */
const struct catalog_name *index_writers(const struct index *x, size_t *out_count);
/* The greatest UID of a floor row, and who wrote it; 0: there was none. */
uint32_t index_floor(const struct index *x, uint32_t *out_writer);
/* Was this row, which gave `uid`, not seen by somebody who set a higher floor? */
bool index_is_late(const struct index *x, struct catalog_name row, uint32_t uid);
/* Had somebody who set a floor seen this row? */
bool index_is_covered(const struct index *x, struct catalog_name row);
/* Marks of merge rows (with modseq 0) for the living mails whose UID a late row gave, in the order of
 * names. On the heap: mem_free(). Walks over all records if there are floors. */
size_t index_late(const struct index *x, struct row_mark **out);
/* The UID of the append row of a record. */
uint32_t index_origin(const struct index *x, uint32_t position);
const struct snapshot_moved *index_moved(const struct index *x, size_t *out_count);
const struct snapshot_floor *index_floors(const struct index *x, size_t *out_count);
void index_take_moved(struct index *x, const struct snapshot_moved *moved);
void index_take_floor(struct index *x, const struct snapshot_floor *floor);

/* ---- the mailbox's numbers ---- */

uint32_t index_next_uid(const struct index *x);
uint64_t index_modseq(const struct index *x); /* the highest of all */
void index_raise(struct index *x, uint32_t next_uid, uint64_t modseq);
struct catalog_name index_cover(const struct index *x); /* the greatest name folded */
struct index_counters index_counters(const struct index *x);
/* Mails with UIDs above this were not claimed as recent by any session. */
uint32_t index_recent_uid(const struct index *x);
void index_set_recent_uid(struct index *x, uint32_t uid);
/* What a modseq that a client keeps is worth: 0 if it lies in a hole. */
uint64_t index_settle_modseq(const struct index *x, uint64_t modseq);

/* ---- keywords: bit i of a record is keyword i ---- */

size_t index_keywords(const struct index *x, const struct str **out);
/* The bit of a keyword, added when there is room; -1 if the table is full. ASCII case is ignored. */
int index_keyword_bit(struct index *x, struct str name);
int index_keyword_find(const struct index *x, struct str name); /* -1: unknown */

/* ---- records ---- */

/* Ghosts included. */
uint32_t index_count(const struct index *x);
/* Borrowed until the next fold, load or forget. */
const struct snapshot_hot *index_hot(const struct index *x, uint32_t position);
const struct snapshot_cold *index_cold(const struct index *x, uint32_t position);
bool index_is_ghost(const struct snapshot_hot *hot);
/* The first position whose UID is at least `uid`; index_count() if there is none. */
uint32_t index_seek(const struct index *x, uint32_t uid);
/* False if the UID is not there. */
bool index_find(const struct index *x, uint32_t uid, uint32_t *out_position);
/* The first living record at or after `position` without \Seen; index_count() if none. Passes over
 * chunks that have none. */
uint32_t index_next_unseen(const struct index *x, uint32_t position);
void index_set_summary(struct index *x, uint32_t position, uint64_t offset, uint32_t length);

/* ---- what happened ---- */

struct index_event {
	uint64_t modseq;
	uint32_t uid;
};
/* Expunged records that are still there, in the order of their expunge. */
const struct index_event *index_ghosts(const struct index *x, size_t *out_count);
/* Flag changes in the order of modseq (a mail may stand there several times); complete above
 * *out_floor, which rises with index_forget(). */
const struct index_event *index_changes(
	const struct index *x, size_t *out_count, uint64_t *out_floor);
/* Expunged mails in the order of modseq, complete above *out_floor. */
const struct snapshot_tombstone *index_tombstones(
	const struct index *x, size_t *out_count, uint64_t *out_floor);
/* The first entry of an event list above a modseq. */
size_t index_events_after(const struct index_event *events, size_t count, uint64_t modseq);
/* Every view has been told all up to these modseqs: drops ghosts and changes. True if positions
 * moved. */
bool index_forget(struct index *x, uint64_t told_expunges, uint64_t told_changes);

/* Makes what happened to the mails up to `told_uid` after these modseqs tellable again: their ghosts
 * and changes. ERR_CONFLICT: the history does not reach back so far, or not so far ahead. */
enum err index_revive(
	struct index *x, uint64_t told_expunges, uint64_t told_changes, uint32_t told_uid);

/* ---- snapshots ---- */

/* Appends the whole fold as a file. Stamps older than `stamp_floor` are left out. */
void index_save(struct index *x, uint64_t stamp_floor, struct buf *out);
/* Into a new index. The index uses `file` in place and writes to it (a private mapping or heap
 * memory): it must live as long. ERR_CORRUPT, ERR_UNSUPPORTED: the index is unusable, free it. */
enum err index_load(struct index *x, char *file, size_t bytes);

/* ---- bases (format/base.h) ---- */

/* Flag changes for mails, or appends for commit rows, that were not folded wait here, and nowhere in a
 * base: the rows they came in must stay. */
bool index_is_waiting(const struct index *x);
/* The mailbox's numbers; what the index does not know is left alone. */
void index_base_meta(const struct index *x, uint64_t stamp_floor, struct base_meta *out);
#define INDEX_BASE_SECTIONS 7
/* What is not of a single mail, as INDEX_BASE_SECTIONS sections in the arena. */
void index_base_sections(
	const struct index *x, uint64_t stamp_floor, struct arena *arena, struct base_section *out);
/* Copies living records with UIDs `first_uid` to `last_uid`, at most `max`; how many there were. */
uint32_t index_copy_records(const struct index *x, uint32_t first_uid, uint32_t last_uid,
	uint32_t max, struct snapshot_hot *hot, struct snapshot_cold *cold);
/* Into a new index: meta, then sections, then records. ERR_CORRUPT: the index is unusable. */
void index_take_meta(struct index *x, const struct base_meta *meta);
enum err index_take_section(struct index *x, const struct base_section *section);
/* Copies. `hot` and `cold` are of the same mails, behind those that are there. */
enum err index_take_records(struct index *x, const struct snapshot_hot *hot,
	const struct snapshot_cold *cold, uint32_t count);

/* ---- comparing (canonical.c) ---- */

/* Appends a readable line per record and number. */
void index_describe(const struct index *x, struct buf *out);
/* The fold as bytes that do not depend on how it was read: equal bytes, equal fold; canonical.c says what is
 * sorted, cut and left out. Zeroed at first; raised to the floors of each of the two. */
struct index_canonical {
	uint64_t stamp_floor, tombstone_floor;
};
void index_canonical_floors(const struct index *x, struct index_canonical *c);
/* Bits of keywords in the order of their names; -1: no living mail has it. */
struct index_keyword_order {
	int bits[ROW_KEYWORDS_MAX];
	uint64_t used;
};
struct index_keyword_order index_canonical_keywords(const struct index *x);
/* Appends the i-th table of what is not of a single mail; its name, NULL behind the last one. */
const char *index_canonical_fact(const struct index *x, const struct index_canonical *c,
	const struct index_keyword_order *order, size_t i, struct buf *out);
/* Appends living records from `first_uid` on, INDEX_CHUNK of them; behind which UID it goes on, 0: there was
 * none. */
uint32_t index_canonical_records(const struct index *x, const struct index_keyword_order *order,
	uint32_t first_uid, struct buf *out);
