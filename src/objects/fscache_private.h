/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_private.h - inside a cache directory: fscache_dir.c and fscache_evict.c. */
#pragma once

#include <stdatomic.h>

#include "objects/fscache_dir.h"

#define CACHE_USAGE_MAGIC UINT64_C(0x3163737566636d70)

/* Mapped by all processes that use the directory. */
struct cache_usage {
	_Atomic uint64_t magic;
	_Atomic int64_t counted_wall_us;
	_Atomic uint64_t hand; /* the shard that makes room next */
	_Atomic int64_t bytes[CACHE_SHARDS];
};

struct cache_dir {
	_Atomic unsigned refs;
	struct str path; /* owned; zero-terminated */
	uint64_t limit, token;
	_Atomic uint64_t serial;
	int fd, usage_fd;
	struct cache_usage *mapped; /* owned: usage_fd's, by cache_usage() alone */
	struct cache_usage aside;   /* where it cannot be mapped whole */
};

/* The usage, whole: who cuts the file does not make us read behind its end. What was lost has no magic,
 * until somebody counts. */
struct cache_usage *cache_usage(struct cache_dir *d);

int64_t cache_bytes(uint64_t size);
/* Of "3f/..." */
unsigned cache_shard(const char *name);
void cache_dir_unlink(struct cache_dir *d, const char *name);
/* Removes the least recently used of some shards until the limit is kept. */
void cache_dir_make_room(struct cache_dir *d);
/* Is the disk full, of bytes or of files? */
bool cache_dir_is_full(const struct cache_dir *d);
/* Removes some of the least recently used, whatever the limit. False: nothing is there. */
bool cache_dir_drop_some(struct cache_dir *d);
