/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_private.h - inside the posix driver: its jobs (posix.c), iteration (posix_iter.c) and
 * the directories below the prefix (posix_tree.c).
 *
 * The functions on directories block and are called on offload threads, several at a time.
 *
 * Life:    tree_new() -> tree_directory()/tree_sync() -> tree_unref(); jobs hold references, since
 *          an abandoned job may outlive the store's handle.
 * Durable: a directory that tree_directory() gave survives power loss with all its parents:
 *          whoever sees a directory for the first time syncs its parent, also when somebody else
 *          (an earlier run that was killed, a job at this moment) had made it.
 * Syncs:   jobs that want the same directory synced share one fsync that starts after all of them
 *          had made their changes. */
#pragma once

#include "base/list.h"
#include "objects/objects_private.h"
#include "task/task.h"

struct tree;
struct directory;
struct journal;

struct tree_settings {
	bool has_fsync;
	bool has_no_unnamed; /* do not even try O_TMPFILE */
	bool removes_empty_dirs;
	bool has_journal; /* small objects are made durable by it: posix_journal.h */
	unsigned mode;    /* of files; directories get search permission where there is read */
	uint64_t journal_bytes; /* a journal file is full at this size */
	uint64_t token;         /* in the names of temporary files: unique to this opening */
	char host[65];          /* the same, for whoever finds one */
};

enum err tree_new(
	struct op *op, struct str path, const struct tree_settings *settings, struct tree **out);
void tree_ref(struct tree *t);
void tree_unref(struct tree *t);
int tree_root_fd(const struct tree *t);
const struct tree_settings *tree_settings(const struct tree *t);

/* The directory of the object `key`, made if it is missing. Give back with directory_unref(). */
enum err tree_directory(struct op *op, struct tree *t, struct str key, struct directory **out);
void directory_unref(struct tree *t, struct directory *d);
int directory_fd(const struct directory *d);
/* NULL: none is kept. */
struct journal *tree_journal(const struct tree *t);
/* May changes in this directory be made durable by the journal? */
bool directory_is_journalled(const struct tree *t, const struct directory *d);

/* Makes every change that was made in `d` before the call survive power loss. */
enum err tree_sync(struct op *op, struct tree *t, struct directory *d);

/* ---- jobs: one request each; a job owns all it touches ---- */

struct commit_queue;
struct posix_store {
	struct objects base; /* first */
	struct tree *tree;
	struct commit_queue *commits; /* NULL: no journal */
};

struct posix_job {
	struct offload_job job; /* first */
	struct tree *tree;      /* referenced */
	struct op op;           /* for failures alone: no arena, no waits */
	enum err result;
	enum err (*run)(struct posix_job *job);
	char key[OBJECTS_KEY_MAX + 1];
	size_t key_bytes;
	/* in */
	uint64_t offset;
	size_t length;
	/* in (put) or out (get); owned */
	char *bytes;
	size_t size;
	/* of puts and removals that share a commit */
	struct list link;
	struct wait_queue waiter;
	struct commit_queue *queue; /* borrowed; NULL: a job of its own */
	bool is_journalled;         /* out: it is durable with the group's journal */
	bool is_done, is_left;
	struct object_info info; /* out (stat) */
};

/* Of the driver: posix_open.c. */
enum err posix_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out);
void posix_close(struct objects *o);
/* On a disk of this host, not behind NFS or the like. */
bool posix_is_local(struct objects *o);

struct posix_job *posix_job_new(
	struct objects *o, struct str key, enum err (*run)(struct posix_job *job));
/* On an offload thread: runs it, again where NFS says that something is stale. */
enum err posix_job_try(struct posix_job *j);
/* WAITS. ERR_NONE: the job ran well; read its results, then posix_job_release(). */
enum err posix_job_do(struct op *op, struct posix_job *j);
void posix_job_release(struct offload_job *job);
/* The same for what shares a commit: posix_commit.c. */
struct commit_queue *commit_queue_new(struct tree *t);
void commit_queue_unref(struct commit_queue *q);
/* WAITS. ERR_NONE: it ran, and the job is the caller's again; else it is not. */
enum err posix_commit(struct op *op, struct commit_queue *q, struct posix_job *j);
/* Opens a path below the prefix; `resolve` is RESOLVE_CACHED or 0. -1 and EAGAIN with
 * RESOLVE_CACHED: the way there has to be read from the disk. */
int posix_open_below(const struct tree *t, const char *path, uint64_t flags, uint64_t resolve);
enum err posix_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg);
