/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.c - blocks of memory, handed out from front to back.
 *
 * Invariants:
 * 1. a->blocks is newest first; only the newest has free bytes: a->next .. a->end.
 * 2. Free bytes of the newest block, and what was given back, are poisoned under ASan; a red zone
 *    follows each allocation there.
 * 3. In malloc mode (POMBAL_ARENA_MALLOC=1) every allocation is a block of exactly its size. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena_private.h"
#include "base/assert.h"
#include "base/mem.h"

#ifdef HAVE_ASAN
#define POISON(p, n)   __asan_poison_memory_region(p, n)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#define RED_ZONE       ((size_t)16)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE       ((size_t)0)
#endif

#define ALIGNMENT       ((size_t)16)
#define FIRST_BLOCK     ((size_t)2048)
#define LARGEST_REGULAR ((size_t)64 * 1024)
#define CLEAN_MIN       ((size_t)1 << 20)

struct arena_block {
	_Alignas(16) struct arena_block *older;
	size_t bytes; /* of data */
	_Alignas(16) char data[];
};

static bool one_malloc_each(void)
{
	static _Atomic int mode; /* 0: not asked yet; 1: no; 2: yes. Racing threads agree. */

	if (UNLIKELY(mode == 0)) {
		const char *wish = secure_getenv("POMBAL_ARENA_MALLOC");
		mode = wish && strcmp(wish, "1") == 0 ? 2 : 1;
	}
	return mode == 2;
}

static size_t rounded(size_t bytes)
{
	ASSERT(bytes <= SIZE_MAX / 2);
	return (MAX(bytes, 1) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* A large one comes clean from the kernel: it is not touched before it is used, page by page. */
static void add_block(struct arena *a, size_t bytes)
{
	size_t all = sizeof(struct arena_block) + bytes;
	struct arena_block *block = bytes >= CLEAN_MIN ? mem_new(all) : mem_resize(NULL, all);

	block->older = a->blocks;
	block->bytes = bytes;
	a->blocks = block;
	a->next = block->data;
	a->end = block->data + bytes;
	POISON(block->data, bytes);
}

static void free_newest(struct arena *a)
{
	struct arena_block *block = a->blocks;

	a->blocks = block->older;
	UNPOISON(block->data, block->bytes);
	mem_free(block);
}

void arena_init(struct arena *a, size_t max_bytes)
{
	*a = (struct arena){ .max_bytes = max_bytes };
}

void arena_reset(struct arena *a)
{
	while (a->blocks &&
		(a->blocks->older || a->blocks->bytes > LARGEST_REGULAR || one_malloc_each()))
		free_newest(a);
	a->next = a->blocks ? a->blocks->data : NULL;
	a->end = a->blocks ? a->blocks->data + a->blocks->bytes : NULL;
	a->used_bytes = 0;
	if (a->blocks)
		POISON(a->next, a->blocks->bytes);
}

void arena_done(struct arena *a)
{
	while (a->blocks)
		free_newest(a);
	arena_init(a, a->max_bytes);
}

bool arena_has_room(const struct arena *a, size_t bytes)
{
	return a->max_bytes == 0 ||
	       (a->used_bytes <= a->max_bytes && bytes <= a->max_bytes - a->used_bytes);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	ASSERT(arena_has_room(a, bytes));
	size_t wanted = rounded(bytes) + RED_ZONE;

	if (one_malloc_each()) {
		add_block(a, MAX(bytes, 1));
		a->next = a->end;
		UNPOISON(a->blocks->data, a->blocks->bytes);
		a->used_bytes += bytes;
		return memset(a->blocks->data, 0, a->blocks->bytes);
	}
	bool is_clean = false;
	if (UNLIKELY(wanted > (size_t)(a->end - a->next))) {
		size_t regular =
			a->blocks ? MIN(a->blocks->bytes * 2, LARGEST_REGULAR) : FIRST_BLOCK;
		add_block(a, MAX(wanted, regular));
		is_clean = a->blocks->bytes >= CLEAN_MIN;
	}
	char *p = a->next;
	a->next += wanted;
	a->used_bytes += bytes;
	UNPOISON(p, MAX(bytes, 1));
	return is_clean ? p : memset(p, 0, MAX(bytes, 1));
}

void *arena_alloc_array(struct arena *a, size_t count, size_t bytes)
{
	size_t total;
	bool overflow = mul_overflows(count, bytes, &total);

	ASSERT(!overflow);
	return arena_alloc(a, total);
}

/* The last allocation of a block can grow in place. */
static bool grow_in_place(struct arena *a, char *p, size_t old_bytes, size_t new_bytes)
{
	if (one_malloc_each() || p + rounded(old_bytes) + RED_ZONE != a->next)
		return false;
	if (rounded(new_bytes) + RED_ZONE > (size_t)(a->end - p))
		return false;
	a->next = p + rounded(new_bytes) + RED_ZONE;
	a->used_bytes += new_bytes - old_bytes;
	UNPOISON(p, new_bytes);
	memset(p + old_bytes, 0, new_bytes - old_bytes);
	return true;
}

void *arena_grow(struct arena *a, void *p, size_t old_bytes, size_t new_bytes)
{
	if (!p)
		return arena_alloc(a, new_bytes);
	if (new_bytes <= old_bytes)
		return p;
	ASSERT(arena_has_room(a, new_bytes - old_bytes));
	if (grow_in_place(a, p, old_bytes, new_bytes))
		return p;
	void *q = arena_alloc(a, new_bytes);
	memcpy(q, p, old_bytes); /* old_bytes < new_bytes */
	POISON(p, old_bytes);
	return q;
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){ a->blocks, a->next, a->used_bytes };
}

void arena_rewind(struct arena *a, struct arena_mark mark)
{
	if (!mark.block) {
		arena_reset(a);
		return;
	}
	while (a->blocks != mark.block) {
		ASSERT(a->blocks !=
			NULL); /* else the mark is of another arena or older than a reset */
		free_newest(a);
	}
	a->next = mark.next;
	a->end = mark.block->data + mark.block->bytes;
	a->used_bytes = mark.used_bytes;
	POISON(a->next, (size_t)(a->end - a->next));
}
