/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_evict.c - counting what a cache directory holds, and making room in it.
 *
 * There is no list of entries: when the limit is passed a shard is read, and the least recently used
 * eighth of it goes. Shards take turns and fill evenly, as names are hashes, so that is close to the
 * least recently used of all; reading a shard costs some stats for each dozens of additions. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "objects/fscache.h"
#include "objects/fscache_private.h"
#include "objects/objects_private.h"

#define LEFTOVER_US    (60 * 60 * US_PER_SEC)
#define FULL_BYTES     ((uint64_t)64 * 1024) /* so much is left where a disk is full */
#define COUNT_EVERY_US (24 * 60 * 60 * US_PER_SEC)

struct found {
	char name[CACHE_NAME_MAX];
	int64_t used_us, bytes;
};

struct shard {
	struct found *items; /* owned */
	size_t count, room;
	int64_t bytes;
};

static bool is_entry_name(const char *name)
{
	return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32;
}

static void shard_note(struct shard *s, unsigned number, const char *name, const struct stat *st)
{
	if (s->count == s->room) {
		s->room = MAX(s->room * 2, 64);
		s->items = mem_resize(s->items, s->room * sizeof(*s->items));
	}
	struct found *f = &s->items[s->count++];
	snprintf(f->name, sizeof(f->name), "%02x/%s", number, name);
	f->used_us = st->st_mtim.tv_sec * US_PER_SEC + st->st_mtim.tv_nsec / 1000;
	f->bytes = cache_bytes((uint64_t)st->st_size);
	s->bytes += f->bytes;
}

/* Reads a shard; a process that died left temporary files. False and errno. */
static bool shard_read(const struct cache_dir *d, unsigned number, struct shard *s)
{
	char path[3];
	snprintf(path, sizeof(path), "%02x", number);
	int fd = openat(d->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		file_close_fd(&fd);
		return false;
	}
	int64_t now = now_wall_us();
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		bool is_temporary = str_starts(str_from(e->d_name), STR(OBJECTS_TMP_PREFIX));
		if ((!is_temporary && !is_entry_name(e->d_name)) ||
			fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			!S_ISREG(st.st_mode))
			continue;
		if (!is_temporary)
			shard_note(s, number, e->d_name, &st);
		else if (now - st.st_mtim.tv_sec * US_PER_SEC > LEFTOVER_US)
			(void)unlinkat(dirfd(dir), e->d_name, 0); /* the next count again */
	}
	closedir(dir);
	return true;
}

static int by_use(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	return x->used_us < y->used_us ? -1 : x->used_us > y->used_us;
}

/* No sum of files: garbage, or more was taken away than was counted. */
static bool is_plausible(int64_t bytes)
{
	return bytes >= 0 && bytes < INT64_MAX / CACHE_SHARDS;
}

uint64_t cache_dir_usage(struct cache_dir *d)
{
	struct cache_usage *usage = cache_usage(d);
	uint64_t sum = 0;
	for (unsigned i = 0; i < CACHE_SHARDS; i++) {
		int64_t n = atomic_load_explicit(&usage->bytes[i], memory_order_relaxed);
		sum += is_plausible(n) ? (uint64_t)n : 0;
	}
	return sum;
}

/* Counts shards of which nobody knows what they hold. */
static void mend_usage(struct cache_dir *d)
{
	struct cache_usage *usage = cache_usage(d);
	bool is_lost = atomic_load(&usage->magic) != CACHE_USAGE_MAGIC;
	for (unsigned i = 0; i < CACHE_SHARDS; i++) {
		struct shard s = { 0 };
		if (!is_lost && is_plausible(atomic_load(&usage->bytes[i])))
			continue;
		if (shard_read(d, i, &s))
			atomic_store(&cache_usage(d)->bytes[i], s.bytes);
		mem_free(s.items);
	}
	atomic_store(&cache_usage(d)->magic, CACHE_USAGE_MAGIC);
}

/* The least recently used eighth of the next shard goes. False: there was nothing. */
static bool drop_of_next_shard(struct cache_dir *d)
{
	struct shard s = { 0 };
	unsigned number = (unsigned)(atomic_fetch_add(&cache_usage(d)->hand, 1) % CACHE_SHARDS);
	bool has_some = shard_read(d, number, &s) && s.count > 0;
	if (has_some) {
		qsort(s.items, s.count, sizeof(s.items[0]), by_use);
		atomic_store(&cache_usage(d)->bytes[number], s.bytes);
		int64_t goal = s.bytes - s.bytes / 8, left = s.bytes;
		for (size_t k = 0; k < s.count && (left > goal || k == 0); k++) {
			left -= s.items[k].bytes;
			cache_dir_unlink(d, s.items[k].name);
		}
	}
	mem_free(s.items);
	return has_some;
}

void cache_dir_make_room(struct cache_dir *d)
{
	mend_usage(d);
	for (unsigned i = 0; i < CACHE_SHARDS && cache_dir_usage(d) > d->limit; i++)
		(void)drop_of_next_shard(d); /* the loop ends */
}

bool cache_dir_drop_some(struct cache_dir *d)
{
	for (unsigned i = 0; i < CACHE_SHARDS; i++)
		if (drop_of_next_shard(d))
			return true;
	return false;
}

bool cache_dir_is_full(const struct cache_dir *d)
{
	struct statvfs st;
	return fstatvfs(d->fd, &st) == 0 &&
	       (st.f_bavail * st.f_frsize < FULL_BYTES || (st.f_files && st.f_favail < 2));
}

bool cache_dir_wants_count(struct cache_dir *d)
{
	struct cache_usage *usage = cache_usage(d);
	int64_t last = atomic_load(&usage->counted_wall_us), now = now_wall_us();
	if (last <= now && now - last < COUNT_EVERY_US)
		return false;
	return atomic_compare_exchange_strong(&usage->counted_wall_us, &last, now);
}

enum err cache_dir_count(
	struct op *op, struct cache_dir *d, int64_t max_age_us, struct cache_count *out)
{
	*out = (struct cache_count){ .bytes_before = cache_dir_usage(d) };
	int64_t oldest = max_age_us ? now_wall_us() - max_age_us : INT64_MIN;
	for (unsigned i = 0; i < CACHE_SHARDS; i++) {
		struct shard s = { 0 };
		if (!shard_read(d, i, &s)) {
			mem_free(s.items);
			return op_fail_errno(op, "read %.*s/%02x", STRF(d->path), i);
		}
		atomic_store(&cache_usage(d)->bytes[i], s.bytes);
		out->bytes += (uint64_t)s.bytes;
		out->files += s.count;
		for (size_t k = 0; k < s.count; k++) {
			if (s.items[k].used_us >= oldest)
				continue;
			cache_dir_unlink(d, s.items[k].name);
			out->removed_files++;
			out->removed_bytes += (uint64_t)s.items[k].bytes;
			out->bytes -= (uint64_t)s.items[k].bytes;
			out->files--;
		}
		mem_free(s.items);
	}
	atomic_store(&cache_usage(d)->counted_wall_us, now_wall_us());
	cache_dir_make_room(d);
	return ERR_NONE;
}

enum err fscache_rescan(
	struct op *op, struct str path, int64_t max_age_us, struct fscache_state *out)
{
	struct cache_dir *d;
	struct cache_count count;
	TRY(cache_dir_open(op, path, UINT64_MAX, &d));
	enum err e = cache_dir_count(op, d, max_age_us, &count);
	if (e == ERR_NONE)
		*out = (struct fscache_state){ count.bytes_before, count.bytes, count.files,
			count.removed_bytes, count.removed_files };
	cache_dir_unref(d);
	return e;
}
