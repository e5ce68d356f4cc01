/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite_private.h - one shard as a SQLite file: the blocking side (sqlite_shard.c,
 * sqlite_write.c, sqlite_read.c), called by the jobs of sqlite.c on offload threads.
 *
 * Life:     shard_init() -> jobs -> shard_done(). Files are opened by the first job that needs them.
 * Threads:  any number of reads at a time, each on a connection of its own from a pool; one write at
 *           a time, which sqlite.c sees to; a checkpoint beside them.
 * Owner:    an OFD lock on a file beside the database (".lock"), held until shard_done(). */
#pragma once

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "base/list.h"
#include "catalog/catalog_private.h"

enum statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_PUT_ROW,
	STATEMENT_DELETE_ROW,
	STATEMENT_PUT_HEAD,
	STATEMENT_DELETE_HEAD,
	STATEMENT_PUT_REVERSE,
	STATEMENT_DELETE_REVERSE,
	STATEMENT_PUT_GARBAGE,
	STATEMENT_DELETE_GARBAGE,
	STATEMENT_DELETE_OPS,
	STATEMENT_DELETE_MAILBOX,
	STATEMENT_READ_BEGIN,
	STATEMENT_READ_HEADS,
	STATEMENT_NEXT_BUCKET,
	STATEMENT_COUNT_REVERSE,
	STATEMENT_HAS_ROW,
	STATEMENT_READ_GARBAGE,
	STATEMENT_NEXT_USER,
	STATEMENT_COUNT,
};

/* A connection and its prepared statements; used by one thread at a time. */
struct connection {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared at first use */
	sqlite3_stmt **streams; /* of reading rows: one for each bucket and kind */
	size_t stream_count;
	struct connection *next; /* in the pool */
};

struct shard {
	uint32_t number;
	const struct shard_settings *settings; /* borrowed */
	char *path;                            /* owned; of the database */
	char *lock_path;                       /* owned */
	pthread_mutex_t lock;
	/* under the lock */
	int lock_fd;
	struct connection
		*writer; /* NULL: not open yet. Used by the one write job without the lock */
	struct connection *idle; /* pool of readers */
	/* of the write job */
	int wal_pages; /* after the last commit */
};

/* What all shards of a catalog share; texts are owned. */
struct shard_settings {
	char *dir;
	char *name_before; /* file name around the shard's number */
	char *name_after;
	const char *synchronous; /* static: SQLite's word for how hard commits are */
	uint32_t shard_count;
};
void shard_init(struct shard *s, const struct shard_settings *settings, uint32_t number);
void shard_done(struct shard *s);

/* Opens files, takes ownership, makes or checks the schema; harmless when it is open.
 * ERR_UNAVAILABLE: another process owns the shard (the text names it), or the disk fails.
 * ERR_CORRUPT: not a database of ours. ERR_UNSUPPORTED: written by a newer version. */
enum err shard_open(struct op *op, struct shard *s);

/* A connection for reading, from the pool or new. Give back with shard_give_reader(). */
enum err shard_take_reader(struct op *op, struct shard *s, struct connection **out);
void shard_give_reader(struct shard *s, struct connection *c);

/* The statement, reset and without bindings; NULL on failure, told to op. */
sqlite3_stmt *connection_statement(
	struct op *op, struct shard *s, struct connection *c, enum statement id);
/* Runs a statement that gives no rows. */
enum err statement_run(struct op *op, struct shard *s, struct connection *c, sqlite3_stmt *st);
/* Records SQLite's error on `c` with the class that it means for callers. */
enum err shard_fail(struct op *op, const struct shard *s, struct connection *c, const char *doing);
void bind_text(sqlite3_stmt *st, int at, struct str v);
void bind_blob(sqlite3_stmt *st, int at, struct str v);
void bind_guid(sqlite3_stmt *st, int at, const struct catalog_guid *v);
void bind_name(sqlite3_stmt *st, int at, const struct catalog_name *v);

/* ---- writing ---- */

/* A batch that waits for its transaction. */
struct write_request {
	struct list link;
	struct str user;
	struct catalog_change *changes;
	size_t count;
	size_t bytes; /* of values, roughly */
	/* out */
	enum err result;
	char *failure; /* owned; NULL on success */
};

/* Commits all requests in one transaction; if that fails, each alone. Fills in every result, and
 * returns how many transactions were committed. */
unsigned shard_write(struct shard *s, struct write_request **requests, size_t count);
/* Moves the WAL into the database as far as readers allow. `is_rest`: called between two writes, so
 * that nothing is added meanwhile; else beside them. */
enum err shard_checkpoint(struct op *op, struct shard *s, bool is_rest);

/* ---- reading: results in op's arena ---- */

enum err shard_read_heads(struct op *op, struct shard *s, struct str user,
	struct catalog_head **out, size_t *out_count);
/* One piece of catalog_read_rows(). */
struct rows_piece {
	/* in; updated for the next piece */
	uint32_t bucket, last_bucket;
	struct catalog_row last; /* without value; where to go on: behind (name, kind, bucket) */
	/* out */
	struct catalog_row *rows;
	size_t count;
	bool is_last;
};
enum err shard_read_rows(struct op *op, struct shard *s, struct str user,
	const struct catalog_guid *mailbox, struct rows_piece *piece);
enum err shard_count_reverse(
	struct op *op, struct shard *s, struct str user, struct str object, uint32_t *out_count);
enum err shard_has_row(struct op *op, struct shard *s, struct str user,
	const struct catalog_guid *mailbox, uint32_t bucket, const struct catalog_name *name,
	bool *out);
enum err shard_read_garbage(struct op *op, struct shard *s, const struct catalog_garbage *from,
	size_t max, struct catalog_garbage **out, size_t *out_count);
/* Users behind `after`, at most `max`. */
enum err shard_list_users(struct op *op, struct shard *s, struct str after, size_t max,
	struct str **out, size_t *out_count);

/* ---- the committer: the loop's side of writing (sqlite_commit.c) ---- */

struct committer {
	struct shard *shard;   /* borrowed */
	struct list queue;     /* of struct write_request */
	bool is_committing;    /* the commit task runs */
	bool is_checkpointing; /* the checkpoint task runs */
	bool has_rest;         /* it ran; what came meanwhile is still to be moved */
	uint64_t *commits;     /* borrowed; counts transactions */
};
void committer_init(struct committer *c, struct shard *shard, uint64_t *commits);
/* WAITS until the batch is durable. Any deadline may pass: it is written all the same. */
enum err committer_write(struct op *op, struct committer *c, struct str user,
	const struct catalog_change *changes, size_t count);
bool committer_is_busy(const struct committer *c);
