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
