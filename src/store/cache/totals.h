/* SPDX-License-Identifier: Apache-2.0 */
/* store/cache/totals.h - what the mail workers of a host use together.
 *
 * A small file that all of them map: each writes its own slot, anybody adds them up. So nobody asks
 * anybody, and a sum costs a look at a few cache lines. A slot belongs to who has it locked: those of
 * processes that are gone are emptied by the next that opens the file. */
#pragma once

#include "base/base.h"
#include "store/cache/cache.h"

#define CACHE_SLOTS_MAX 256

struct cache_totals; /* owned by a worker; works in memory alone when there is no file */
/* Blocks shortly (open, lock, map). `path` "": no other worker. ERR_UNAVAILABLE: the slot is in use by
 * another process; other errors: of the file. */
enum err cache_totals_open(
	struct op *op, struct str path, uint32_t slot, struct cache_totals **out);
void cache_totals_close(struct cache_totals *t); /* empties the slot; NULL is fine */
/* What this worker uses, and the weight of what it would drop next (INT64_MAX: it has nothing to drop). */
void cache_totals_tell(
	struct cache_totals *t, const uint64_t bytes[CACHE_PRIORITIES], int64_t lowest_weight);
/* Of all workers. Returns the sum over the priorities; `out_bytes` may be NULL. */
uint64_t cache_totals_sum(const struct cache_totals *t, uint64_t out_bytes[CACHE_PRIORITIES]);
/* Of the others; INT64_MAX: none has something to drop, or none has looked. */
int64_t cache_totals_lowest_of_others(const struct cache_totals *t);
