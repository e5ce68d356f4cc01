/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_entry.h - bytes of a file of the cache, pure: docs/formats/objects.md, "fscache".
 *
 * Nothing of a file is believed: it may come from before a power loss. The head says whose object it
 * is, how long it is, and a checksum for each 64 KiB, so that a range needs no more than its blocks. */
#pragma once

#include "base/base.h"

#define FSCACHE_BLOCK    ((size_t)65536)
#define FSCACHE_BODY_MAX ((uint64_t)1 << 30)
#define FSCACHE_FIXED    32 /* bytes that say how long the head is */

struct fscache_head {
	struct str key;
	uint64_t body_size;
	size_t head_size;  /* where the body begins */
	struct str checks; /* 4 bytes for each block; borrowed */
};

/* The head's size from its first FSCACHE_FIXED bytes; 0: this is no entry. */
size_t fscache_head_size(struct str fixed);
/* False: damaged, or of a file with another size. */
bool fscache_head_read(struct str bytes, uint64_t file_size, struct fscache_head *out);
/* Is this the body's block of that number? */
bool fscache_block_is_good(const struct fscache_head *h, uint64_t number, struct str block);
/* The head of an entry with that body, appended. */
void fscache_head_write(struct buf *out, struct str key, struct str body);
