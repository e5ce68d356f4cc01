/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache.h - of the cache layer: its figures, and what administrators do with its directory. */
#pragma once

#include "base/base.h"

struct objects;

struct fscache_counters {
	uint64_t hits, misses, added, skipped, damaged;
};
/* Of the outermost cache in a stack; zeros if there is none. */
struct fscache_counters objects_fscache_counters(struct objects *o);

/* Blocks. Counts what a cache directory holds, corrects its usage, and removes what was not used for
 * max_age_us (0: nothing). Safe while the directory is in use. ERR_UNAVAILABLE: it cannot be read. */
struct fscache_state {
	uint64_t bytes_before; /* as it was accounted */
	uint64_t bytes, files; /* that are left */
	uint64_t removed_bytes, removed_files;
};
enum err fscache_rescan(
	struct op *op, struct str path, int64_t max_age_us, struct fscache_state *out);
