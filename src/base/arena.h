/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.h - many small allocations with one end.
 *
 * Life:   arena_init() -> allocate -> arena_reset() (keeps the first block) or arena_done().
 * Memory: zeroed, 16-byte aligned. Freed blocks are poisoned under ASan. The environment variable
 *         POMBAL_ARENA_MALLOC=1 makes each allocation one malloc, for Valgrind.
 * Limit:  crossing `max_bytes` aborts (ASSERT): callers limit their inputs; parsers of foreign
 *         bytes ask arena_has_room() first and answer ERR_LIMIT. 0 means no limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena_block;
struct arena {
	/* owned */
	struct arena_block *blocks; /* newest first */
	char *next;                 /* free bytes of the newest block: next .. end */
	char *end;
	size_t used_bytes; /* sum of what was handed out */
	size_t max_bytes;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_reset(struct arena *a);
void arena_done(struct arena *a);

void *arena_alloc(struct arena *a, size_t bytes);
void *arena_alloc_array(struct arena *a, size_t count, size_t bytes); /* overflow aborts */
/* Moves when it has to; new bytes are zero. `p` may be NULL with old_bytes 0. */
void *arena_grow(struct arena *a, void *p, size_t old_bytes, size_t new_bytes);
bool arena_has_room(const struct arena *a, size_t bytes);

#define ARENA_NEW(a, type)              ((type *)arena_alloc(a, sizeof(type)))
#define ARENA_NEW_ARRAY(a, type, count) ((type *)arena_alloc_array(a, count, sizeof(type)))

/* Everything allocated after a mark can be given back: the "item" lifetime inside a loop. */
struct arena_mark {
	struct arena_block *block;
	char *next;
	size_t used_bytes;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark mark);

/* AUTO_ARENA(x, max): a local arena that ends with its scope. */
#define AUTO_ARENA(name, max)                                                                      \
	__attribute__((cleanup(arena_done))) struct arena name;                                    \
	arena_init(&name, max)
