/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cache/totals.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

struct slot {
	uint64_t bytes[CACHE_PRIORITIES];
	int64_t lowest_weight;
	uint64_t spare[3]; /* a cache line for each */
};
struct cache_totals {
	struct slot *slots; /* mapped, or one on the heap */
	struct slot *own;
	size_t count;
	int fd; /* -1: no file */
};

static struct flock lock_of(size_t slot, short type)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)slot, .l_len = 1
	};
}

static void slot_clear(struct slot *s)
{
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		__atomic_store_n(&s->bytes[p], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->lowest_weight, INT64_MAX, __ATOMIC_RELAXED);
}

/* What a process that ended said of itself is no longer so. */
static void clear_dead(struct cache_totals *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct flock lock = lock_of(i, F_WRLCK);
		if (fcntl(t->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK)
			slot_clear(&t->slots[i]);
	}
}

static enum err map_file(struct op *op, struct cache_totals *t, struct str path, uint32_t slot)
{
	size_t bytes = CACHE_SLOTS_MAX * sizeof(struct slot);
	struct flock lock = lock_of(slot, F_WRLCK);
	t->fd = open(str_dup_z(op->arena, path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return op_fail_errno(op, "open %.*s", STRF(path));
	if (fcntl(t->fd, F_OFD_SETLK, &lock) != 0)
		return op_fail(op, ERR_UNAVAILABLE,
			"%.*s: another process has the place of worker %u", STRF(path), slot);
	if (ftruncate(t->fd, (off_t)bytes) != 0)
		return op_fail_errno(op, "size %.*s", STRF(path));
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (map == MAP_FAILED)
		return op_fail_errno(op, "map %.*s", STRF(path));
	t->slots = map;
	t->own = &t->slots[slot];
	t->count = CACHE_SLOTS_MAX;
	clear_dead(t);
	slot_clear(t->own);
	return ERR_NONE;
}

enum err cache_totals_open(struct op *op, struct str path, uint32_t slot, struct cache_totals **out)
{
	struct cache_totals *t = MEM_NEW(struct cache_totals);
	enum err e = ERR_NONE;
	t->fd = -1;
	if (path.n > 0 && slot < CACHE_SLOTS_MAX) {
		e = map_file(op, t, path, slot);
	} else {
		t->slots = t->own = MEM_NEW(struct slot);
		t->count = 1;
		slot_clear(t->own);
	}
	if (e != ERR_NONE) {
		file_close_fd(&t->fd);
		mem_free(t);
		return e;
	}
	*out = t;
	return ERR_NONE;
}

void cache_totals_close(struct cache_totals *t)
{
	if (!t)
		return;
	slot_clear(t->own);
	if (t->fd >= 0)
		(void)munmap(t->slots, t->count * sizeof(*t->slots));
	else
		mem_free(t->slots);
	file_close_fd(&t->fd);
	mem_free(t);
}

void cache_totals_tell(
	struct cache_totals *t, const uint64_t bytes[CACHE_PRIORITIES], int64_t lowest_weight)
{
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		__atomic_store_n(&t->own->bytes[p], bytes[p], __ATOMIC_RELAXED);
	__atomic_store_n(&t->own->lowest_weight, lowest_weight, __ATOMIC_RELAXED);
}

uint64_t cache_totals_sum(const struct cache_totals *t, uint64_t out_bytes[CACHE_PRIORITIES])
{
	uint64_t sums[CACHE_PRIORITIES] = { 0 }, all = 0;
	for (size_t i = 0; i < t->count; i++)
		for (int p = 0; p < CACHE_PRIORITIES; p++)
			sums[p] += __atomic_load_n(&t->slots[i].bytes[p], __ATOMIC_RELAXED);
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		all += sums[p];
		if (out_bytes)
			out_bytes[p] = sums[p];
	}
	return all;
}

int64_t cache_totals_lowest_of_others(const struct cache_totals *t)
{
	int64_t lowest = INT64_MAX;
	for (size_t i = 0; i < t->count; i++) {
		int64_t weight = __atomic_load_n(&t->slots[i].lowest_weight, __ATOMIC_RELAXED);
		/* A slot that was never written has bytes of zero and weight 0. */
		if (&t->slots[i] != t->own && weight > 0)
			lowest = MIN(lowest, weight);
	}
	return lowest;
}
