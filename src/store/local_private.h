/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox's files that may vanish (local.c, summaries.c). */
#pragma once

#include "catalog/catalog.h"
#include "store/format/log.h"
#include "store/format/snapshot.h"

struct mailbox;
struct user;

struct local {
	char *dir; /* owned */
	int log_fd, summary_fd;
	bool is_compacting; /* the summary file: nothing is added meanwhile */
	bool is_broken;     /* a write failed: files are given up until the next opening */
	bool is_trusted;    /* no power loss since it was written, and all of it could be read */
	/* The index is not that of the files (a base, or all is read anew): until they are written anew their log
	 * takes no rows, which would seem to stand on what the files do not have. */
	bool is_replaced;
	uint32_t serial;
	uint64_t log_bytes, snapshot_bytes, summary_bytes;
	uint64_t pending; /* LOG_PENDING records of this file */
	uint64_t added;   /* records so far */
	struct buf out;   /* records not written yet */
	/* while files are rewritten: what is added goes into both logs */
	uint32_t next_serial;    /* of the log being made; 0: none is */
	struct buf meanwhile;    /* records for it */
	bool misses_journalling; /* a flush began or ended: its records stand in the old log alone */
	/* the snapshot, used in place by the index */
	char *map;
	size_t map_bytes;
	/* part of the summary file, read ahead */
	char *window;
	uint64_t window_offset;
	size_t window_bytes;
	/* what the log said */
	bool has_clean;
	struct log_record clean;
	uint32_t writer;           /* who wrote it last; 0: nobody */
	struct buf pending_values; /* counted values of flags rows that were not journalled */
};
/* WAITS. Reads snapshot and log into a new index; whatever is damaged is dropped. Never fails for
 * what is missing. */
enum err local_open(struct op *op, struct mailbox *m);
void local_add(struct mailbox *m, const struct log_record *record);
/* Notes that the open head of this process is durable, before anything is told that hangs on it. */
void local_add_writer(struct mailbox *m);
/* Notes that all is there that m->seen_ms says: the rows that were found then are in the files. */
void local_add_seen(struct mailbox *m);
/* Files of a writer whom another host has replaced: what he did not journal is gone, here too. */
void local_distrust(struct mailbox *m);
void local_write(struct mailbox *m); /* what was added, to the page cache */
/* WAITS. A new snapshot and an empty log. Hold the write lock. */
enum err local_rewrite(struct op *op, struct mailbox *m);
/* The log at `path` lacks what came behind its last record: it will be read as after a power loss. False: that
 * could not be noted. */
bool local_note_gap(const char *path);
/* Takes another index in the place of the one that the files made; what is pending stays. */
void local_replace_index(struct mailbox *m, struct index *x);
void local_close(struct local *l);
/* The directory of a mailbox's files, on the heap. */
char *local_dir_of(const struct user *u, struct catalog_guid mailbox);
/* WAITS. Removes the files of a mailbox that was deleted. */
void local_remove(struct op *op, struct user *u, struct catalog_guid mailbox);
/* WAITS. Removes a directory and all below it; to its end, whatever the deadline. */
enum err local_remove_dir(struct op *op, const char *dir);

/* WAITS for large mails. Appends the summary of a mail. */
void summary_make(struct str mail, struct buf *out, uint64_t *out_size_virtual);
/* Writes a summary to the file and its place into the index and the log. */
void summary_keep(struct mailbox *m, uint32_t uid, struct str summary);
/* WAITS when most of the file is of mails that are gone: writes it anew. Hold the write lock; a
 * snapshot follows, since places change. A failure leaves everything as it was. */
enum err summaries_compact(struct op *op, struct mailbox *m);
/* WAITS if it is not in the page cache. ERR_NOT_FOUND: not there, or damaged. In op's arena. */
enum err summary_read(struct op *op, struct mailbox *m, const struct snapshot_cold *cold,
	uint32_t uid, struct str *out);
