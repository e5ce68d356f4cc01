/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_flight.h - inside the fscache driver: what is on its way into the cache.
 *
 * flight   a read from the store that several wait for: fscache_flight_new() -> land; followers leave
 * adding   a body that an offload job writes into the cache; served from memory until it is there
 *
 * All on the loop. What runs in the background holds the cache (refs), and prefetching its inner store too,
 * so closing in the middle is fine. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "objects/fscache.h"
#include "objects/fscache_dir.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define FSCACHE_SMALL_MAX ((size_t)1 << 20) /* fetched whole for a range */
#define FSCACHE_PENDING_MAX                                                                        \
	((size_t)32 << 20) /* bytes of bodies that are being added; one alone may be larger */
#define FSCACHE_RETRY_US    (60 * US_PER_SEC) /* a cache that failed is passed over for so long */
#define FSCACHE_WANTED_MAX  256               /* keys waiting to be prefetched */
#define FSCACHE_PREFETCHERS 16                /* of at most FSCACHE_SMALL_MAX each */

struct flight {
	struct str key;  /* owned */
	struct str body; /* owned; when landed, if somebody follows */
	bool has_landed, is_whole, is_doomed;
	unsigned followers;
	struct op_failure failure;
	enum err result;
	struct wait_queue landing;
};

struct adding {
	struct list link;
	struct str key; /* owned, with the body */
	struct str body;
	bool is_filling; /* the body is not there yet */
	bool is_doomed;  /* deleted meanwhile */
};

struct fscache {
	struct objects base; /* first */
	struct str path;     /* owned; with variables */
	bool is_one_path;    /* without variables */
	uint64_t limit;
	struct map dirs;    /* path -> struct cache_dir, referenced */
	struct map flights; /* key -> struct flight */
	struct list adding;
	struct wait_queue added; /* woken when an adding has ended */
	size_t adding_bytes;
	uint64_t landings; /* of flights that brought a whole object */
	struct {
		uint64_t hash, landing;
	} landed[256];        /* keys of the last ones, by the low bits of their hashes */
	uint64_t large[1024]; /* hashes of keys of large objects, by their low bits */
	int64_t retry_us;     /* directories are not opened, and nothing is added before it */
	bool has_warned;
	struct str wanted[FSCACHE_WANTED_MAX]; /* owned texts; to be prefetched */
	size_t wanted_count;
	unsigned prefetchers;
	unsigned refs;
	bool is_closed;
	struct fscache_counters counters;
};

struct fscache *fscache_new(struct str path, uint64_t limit);
/* The owner's end. */
void fscache_end(struct fscache *c);

/* Notes that the cache failed, with the reason in op: said once, until it has worked again. */
void fscache_broken(struct fscache *c, struct op *op);

struct flight *fscache_flight_new(struct fscache *c, struct str key);
/* Everybody who follows gets the result. The flight is over. */
void fscache_flight_land(struct fscache *c, struct flight *f, const struct op *op, enum err result,
	struct str body, bool is_whole);
/* Has the object come since `landings` were counted? A look at the disk that began before may have missed it. */
bool fscache_has_landed(const struct fscache *c, struct str key, uint64_t landings);
enum follow { FOLLOW_DONE, FOLLOW_FAILED, FOLLOW_AGAIN };
/* WAITS. AGAIN: nothing that helps was brought; look anew. */
enum follow fscache_flight_follow(
	struct op *op, struct flight *f, uint64_t offset, size_t length, struct str *out);

/* WAITS now and then. Starts adding a body, unless too much is on its way. Copies. */
void fscache_add_start(struct fscache *c, struct cache_dir *d, struct str key,
	const struct str *parts, size_t count);
const struct adding *fscache_adding_find(const struct fscache *c, struct str key);
void fscache_touch_start(struct cache_dir *d, struct str key);
void fscache_count_start(struct cache_dir *d);
/* WAITS. The body into op's arena. */
enum cache_found fscache_find_offloaded(
	struct op *op, struct cache_dir *d, struct cache_query *q, struct str *out);
/* WAITS. Removes entries. */
void fscache_drop(struct op *op, struct cache_dir *d, const struct str *keys, size_t count);
/* WAITS. The same for a deleted object, also when it is being added. */
void fscache_forget(struct op *op, struct fscache *c, struct cache_dir *d, struct str key);
void fscache_prefetch_start(struct fscache *c, const struct str *keys, size_t count);
