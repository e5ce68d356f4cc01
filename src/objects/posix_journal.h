/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_journal.h - many new objects made durable by one sync: docs/formats/objects.md.
 *
 * An object is written as a file without sync, and its bytes once more into the journal of this
 * opening; the sync of the journal, shared by all who wait at that moment, makes it durable. When
 * a journal file is full the file system is synced once beside the next ones, and the file is used
 * again. After a crash the next opening puts right what the journals say.
 *
 * Life:    journal_recover() at opening -> (journal_add() ... journal_commit()) ..., now and then
 *          journal_retire() -> journal_close(): all is synced, the files go.
 * Threads: one commit at a time (posix_commit.c), a retirement beside it.
 * Rules:   1. What was acknowledged is in a synced journal or in a synced file.
 *          2. A journal's groups are read in the order of their epochs and stop at the first bad
 *             one: nothing behind it was acknowledged.
 *          3. A journal that failed once is used no more; objects are synced one by one then.
 *          4. Once the file system could not be synced the files are never removed by their opening,
 *             and recovery compares with the disk, not with what memory says is there. */
#pragma once

#include "base/base.h"

struct journal;
struct tree;

#define JOURNAL_FILE_BYTES ((uint64_t)32 << 20) /* then the other file's turn comes */
#define JOURNAL_BODY_MAX   ((size_t)256 << 10)  /* larger objects are synced as files */

struct journal *journal_new(const struct tree *t);
/* Blocks. Makes durable what earlier openings left behind. ERR_UNAVAILABLE: that failed, and
 * objects that were acknowledged may be missing. ERR_UNSUPPORTED: a newer version's journal. */
enum err journal_recover(struct op *op, struct tree *t);
/* Blocks for a sync of the file system, when there is something to sync. */
void journal_close(struct journal *j);

bool journal_is_usable(const struct journal *j);
/* Gathers a record for the next commit; the file was made, or removed, before. Borrows the texts. */
struct journal_record;
void journal_add(struct journal *j, const struct journal_record *r);
/* Blocks until what was added is durable. ERR_UNAVAILABLE: it may be lost. */
enum err journal_commit(struct op *op, struct journal *j);
/* Should commits wait for the retirement that is under way? Between commits only. */
bool journal_is_overfull(const struct journal *j);
/* Is a file full, that journal_retire() would make free? */
bool journal_wants_retirement(const struct journal *j);
/* Blocks for a sync of the file system. */
void journal_retire(struct journal *j);

/* ---- the format, pure ---- */

#define JOURNAL_HEADER_BYTES 16
#define JOURNAL_VERSION_LINE "objects-journal"

enum journal_type { JOURNAL_PUT = 1, JOURNAL_REMOVE = 2 };
struct journal_record {
	enum journal_type type;
	struct str key, body; /* borrowed */
};
void journal_record_encode(struct buf *out, const struct journal_record *r);
void journal_header_encode(char out[JOURNAL_HEADER_BYTES]);
#define JOURNAL_GROUP_BYTES 24
/* The bytes before a group's records. */
void journal_group_encode(char out[JOURNAL_GROUP_BYTES], uint64_t epoch, struct str records);
/* ERR_CORRUPT: not a journal's beginning, or torn; ERR_UNSUPPORTED: a newer one. */
enum err journal_header_cut(struct str *rest);
/* Takes a whole group off the front; false if the next bytes are none. */
bool journal_group_cut(struct str *rest, uint64_t *out_epoch, struct str *out_records);
/* Takes a record off a group; false at the end or if it makes no sense. Keys are checked. */
bool journal_record_cut(struct str *records, struct journal_record *out);
