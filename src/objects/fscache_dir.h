/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_dir.h - one directory of cached objects, which several processes may share.
 *
 *   <path>/<00..3f>/<32 hex digits>   an entry (fscache_entry.h), named by a hash of its key
 *   <path>/usage                      bytes in each shard, mapped by everybody who uses the directory
 *
 * Life:    cache_dir_open() -> find/add/remove -> cache_dir_unref(); jobs hold references.
 * Threads: all but ref/unref may be called from any thread, and may block; cache_dir_find_now() never
 *          waits for the disk.
 * Rules:   1. A file appears complete under its name (rename); nothing is synced: what a power loss
 *             leaves is found by checksums, and dropped.
 *          2. Usage is kept by adding and subtracting; counting a shard anew puts it right. Who opens the
 *             directory first counts it in the background; so does `doveadm fscache rescan`.
 *          3. The limit is soft: adding makes room, the least recently used of a shard go first. A hit
 *             touches the file's time when it is older than CACHE_TOUCH_US.
 *          4. Files with other names are not ours: never touched. */
#pragma once

#include "base/base.h"

#define CACHE_SHARDS   64
#define CACHE_NAME_MAX 40
#define CACHE_TOUCH_US (60 * US_PER_SEC)
#define CACHE_NOW_MAX  ((uint64_t)256 * 1024) /* larger entries are read on offload threads */

struct cache_dir;

/* Makes the directory if it is missing. ERR_UNAVAILABLE: it cannot be used, or others may write to it; the text
 * says why. */
enum err cache_dir_open(struct op *op, struct str path, uint64_t limit, struct cache_dir **out);
void cache_dir_ref(struct cache_dir *d);
void cache_dir_unref(struct cache_dir *d);
struct str cache_dir_path(const struct cache_dir *d);
uint64_t cache_dir_limit(const struct cache_dir *d);

/* "<shard>/<hash>" of a key, zero-terminated. */
void cache_name(struct str key, char out[CACHE_NAME_MAX]);

enum cache_found {
	CACHE_HIT,
	CACHE_MISS,
	CACHE_UNKNOWN, /* the disk has to be asked: cache_dir_find() */
	CACHE_DAMAGED, /* what is there is not what was put there: cache_dir_remove() it */
};
struct cache_query {
	struct str key;
	uint64_t offset;
	size_t length;
	/* out */
	char *bytes;     /* on the heap: mem_free(); or in the arena (find_now) */
	struct str body; /* inside bytes */
	bool wants_touch;
};
/* Only what memory knows. The body is in op's arena. */
enum cache_found cache_dir_find_now(
	struct op *op, const struct cache_dir *d, struct cache_query *q);
enum cache_found cache_dir_find(const struct cache_dir *d, struct cache_query *q);
void cache_dir_touch(const struct cache_dir *d, struct str key);
/* Adds an object and makes room. ERR_UNAVAILABLE: no space, no rights; the text says it. ERR_EXISTS: it
 * is there already. */
enum err cache_dir_add(struct op *op, struct cache_dir *d, struct str key, struct str body);
void cache_dir_remove(struct cache_dir *d, struct str key);

struct cache_count {
	uint64_t bytes_before, bytes, files, removed_bytes, removed_files;
};
/* Counts what is there and corrects the usage; removes what was not used for max_age_us (0: nothing)
 * and leftovers of processes that died. ERR_UNAVAILABLE. */
enum err cache_dir_count(
	struct op *op, struct cache_dir *d, int64_t max_age_us, struct cache_count *out);
/* Is it long enough ago that somebody counted? Then the caller is the one to do so. */
bool cache_dir_wants_count(struct cache_dir *d);
uint64_t cache_dir_usage(struct cache_dir *d);
