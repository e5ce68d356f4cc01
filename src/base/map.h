/* SPDX-License-Identifier: Apache-2.0 */
/* base/map.h - hash map from bytes to a pointer; keys are hashed with the process's secret seed.
 *
 * Life:   map_init() -> map_set()/map_get()/map_remove() -> map_done().
 * Memory: keys are borrowed: they must live as long as their entry (usually inside the value).
 *         Open addressing, grows at 3/4; removal leaves no tombstones (backward shift). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_entry {
	struct str key;
	void *value; /* NULL: the slot is free */
	uint64_t hash;
};
struct map {
	/* owned */
	struct map_entry *slots;
	size_t count;
	size_t slot_count; /* power of two, or 0 */
};

void map_init(struct map *m);
void map_done(struct map *m);                       /* values stay the caller's */
void *map_get(const struct map *m, struct str key); /* NULL if absent */
/* Replaces; returns the old value or NULL. `value` must not be NULL. */
void *map_set(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key);
/* Walks in no order: start with *at = 0; false at the end. No changes while walking. */
bool map_next(const struct map *m, size_t *at, struct map_entry *out);

/* The same with an integer key. */
struct map_u64_entry {
	uint64_t key;
	void *value;
};
struct map_u64 {
	/* owned */
	struct map_u64_entry *slots;
	size_t count;
	size_t slot_count;
};
void map_u64_init(struct map_u64 *m);
void map_u64_done(struct map_u64 *m);
void *map_u64_get(const struct map_u64 *m, uint64_t key);
void *map_u64_set(struct map_u64 *m, uint64_t key, void *value);
void *map_u64_remove(struct map_u64 *m, uint64_t key);
bool map_u64_next(const struct map_u64 *m, size_t *at, struct map_u64_entry *out);
