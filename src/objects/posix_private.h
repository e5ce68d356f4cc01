/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_private.h - the directories below the prefix of the posix driver (posix_tree.c).
 *
 * Every function here blocks and is called on offload threads, several at a time.
 *
 * Life:    tree_new() -> tree_directory()/tree_sync() -> tree_unref(); jobs hold references, since
 *          an abandoned job may outlive the store's handle.
 * Durable: a directory that tree_directory() gave survives power loss with all its parents:
 *          whoever sees a directory for the first time syncs its parent, also when somebody else
 *          (an earlier run that was killed, a job at this moment) had made it.
 * Syncs:   jobs that want the same directory synced share one fsync that starts after all of them
 *          had made their changes. */
#pragma once

#include "base/op.h"
#include "base/str.h"

struct tree;
struct directory;

struct tree_settings {
	bool has_fsync;
	bool has_no_unnamed; /* do not even try O_TMPFILE */
	unsigned mode;       /* of files; directories get search permission where there is read */
	uint64_t token;      /* in the names of temporary files: unique to this opening */
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

/* Makes every change that was made in `d` before the call survive power loss. */
enum err tree_sync(struct op *op, struct tree *t, struct directory *d);
