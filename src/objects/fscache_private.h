/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_private.h - inside a cache directory: fscache_dir.c and fscache_evict.c. */
#pragma once

#include <stdatomic.h>

#include "objects/fscache_dir.h"

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
	int fd;
	struct cache_usage *usage; /* owned; mapped */
};

int64_t cache_bytes(uint64_t size);
/* Of "3f/..." */
unsigned cache_shard(const char *name);
void cache_dir_unlink(struct cache_dir *d, const char *name);
/* Removes the least recently used of some shards until the limit is kept. */
void cache_dir_make_room(struct cache_dir *d);
