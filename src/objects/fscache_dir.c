/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_dir.c - see fscache_dir.h. Counting and making room are in fscache_evict.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/random.h"
#include "crypto/crypto.h"
#include "objects/fscache_entry.h"
#include "objects/fscache_private.h"
#include "objects/objects_private.h"

/* ---- opening ---- */

/* Reserved now: a full disk must not be a bus error later. */
static int usage_reserve(int fd)
{
	return posix_fallocate(fd, 0, (off_t)sizeof(struct cache_usage));
}

struct cache_usage *cache_usage(struct cache_dir *d)
{
	struct stat st;
	if (fstat(d->usage_fd, &st) == 0 && st.st_size >= (off_t)sizeof(*d->mapped))
		return d->mapped;
	if (usage_reserve(d->usage_fd) != 0)
		return &d->aside;
	atomic_store(&d->mapped->magic, 0);
	return d->mapped;
}

static enum err usage_map(struct op *op, struct cache_dir *d)
{
	d->usage_fd = openat(d->fd, "usage", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->usage_fd < 0)
		return op_fail_errno(op, "open %.*s/usage", STRF(d->path));
	int failure = usage_reserve(d->usage_fd);
	if (failure != 0) {
		errno = failure;
		return op_fail_errno(op, "make %.*s/usage", STRF(d->path));
	}
	void *p =
		mmap(NULL, sizeof(*d->mapped), PROT_READ | PROT_WRITE, MAP_SHARED, d->usage_fd, 0);
	if (p == MAP_FAILED)
		return op_fail_errno(op, "map %.*s/usage", STRF(d->path));
	d->mapped = p;
	if (atomic_load(&d->mapped->magic) != CACHE_USAGE_MAGIC) {
		atomic_store(&d->mapped->counted_wall_us, 0);
		for (unsigned i = 0; i < CACHE_SHARDS; i++)
			atomic_store(&d->mapped->bytes[i], 0);
		atomic_store(&d->mapped->magic, CACHE_USAGE_MAGIC);
	}
	return ERR_NONE;
}

/* Whoever may write to it could put another user's mail there, and take ours away. */
static enum err owner_check(struct op *op, const struct cache_dir *d)
{
	struct stat st;
	if (fstat(d->fd, &st) < 0)
		return op_fail_errno(op, "look at %.*s", STRF(d->path));
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return op_fail(op, ERR_DENIED, "%.*s belongs to another user", STRF(d->path));
	if ((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != getegid()))
		return op_fail(op, ERR_DENIED, "others may write to %.*s", STRF(d->path));
	return ERR_NONE;
}

static enum err dir_open(struct op *op, struct cache_dir *d)
{
	TRY(file_make_dirs(op, d->path.p, 0700));
	d->fd = open(d->path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0)
		return op_fail_errno(op, "open %s", d->path.p);
	TRY(owner_check(op, d));
	return usage_map(op, d);
}

enum err cache_dir_open(struct op *op, struct str path, uint64_t limit, struct cache_dir **out)
{
	char *name = str_new_z(path);
	struct cache_dir *d = MEM_NEW(struct cache_dir);
	atomic_store(&d->refs, 1);
	d->path = (struct str){ name, path.n };
	d->limit = limit;
	d->token = random_u64();
	d->fd = d->usage_fd = -1;
	if (dir_open(op, d) != ERR_NONE) {
		cache_dir_unref(d);
		return op_fail(op, ERR_UNAVAILABLE, "%s",
			str_dup_z(op->arena, str_from(op->failure.text)));
	}
	*out = d;
	return ERR_NONE;
}

void cache_dir_ref(struct cache_dir *d)
{
	atomic_fetch_add(&d->refs, 1);
}

void cache_dir_unref(struct cache_dir *d)
{
	if (atomic_fetch_sub(&d->refs, 1) > 1)
		return;
	if (d->mapped)
		(void)munmap(d->mapped, sizeof(*d->mapped)); /* cannot fail: it was mapped */
	file_close_fd(&d->usage_fd);
	file_close_fd(&d->fd);
	mem_free((void *)(uintptr_t)d->path.p);
	mem_free(d);
}

struct str cache_dir_path(const struct cache_dir *d)
{
	return d->path;
}

uint64_t cache_dir_limit(const struct cache_dir *d)
{
	return d->limit;
}

void cache_name(struct str key, char out[CACHE_NAME_MAX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t hash[CRYPTO_SHA256_BYTES];
	crypto_sha256(key, hash);
	int n = snprintf(out, CACHE_NAME_MAX, "%02x/", hash[0] % CACHE_SHARDS);
	for (unsigned i = 1; i <= 16; i++) {
		out[n++] = digits[hash[i] >> 4];
		out[n++] = digits[hash[i] & 15];
	}
	out[n] = '\0';
}

/* ---- finding ---- */

/* The blocks of a body that a range touches; false: none. */
static bool blocks_of(const struct fscache_head *h, uint64_t offset, size_t length, uint64_t *first,
	uint64_t *end)
{
	if (offset >= h->body_size || length == 0)
		return false;
	*first = offset / FSCACHE_BLOCK;
	uint64_t last = MIN(h->body_size - offset, length) + offset - 1;
	*end = last / FSCACHE_BLOCK + 1;
	return true;
}

/* Checks the blocks of `held`, the body from block `first` on, and cuts the range out of it. */
static bool held_is_good(const struct fscache_head *h, struct cache_query *q, struct str held,
	uint64_t first, uint64_t end)
{
	struct str rest = held;
	for (uint64_t i = first; i < end; i++)
		if (!fscache_block_is_good(h, i, str_take(&rest, FSCACHE_BLOCK)))
			return false;
	q->body = objects_slice(held.p, held.n, q->offset - first * FSCACHE_BLOCK, q->length);
	return true;
}

/* All of a file. */
static enum cache_found whole_read(struct str file, struct cache_query *q)
{
	struct fscache_head h;
	uint64_t first, end;
	if (!fscache_head_read(file, file.n, &h))
		return CACHE_DAMAGED;
	if (!str_eq(h.key, q->key))
		return CACHE_MISS; /* two keys with one hash */
	if (!blocks_of(&h, q->offset, q->length, &first, &end)) {
		q->body = STR("");
		return CACHE_HIT;
	}
	struct str held = str_slice(file, h.head_size + (size_t)first * FSCACHE_BLOCK,
		h.head_size + (size_t)end * FSCACHE_BLOCK);
	return held_is_good(&h, q, held, first, end) ? CACHE_HIT : CACHE_DAMAGED;
}

static void note_age(const struct stat *st, struct cache_query *q)
{
	q->wants_touch = now_wall_us() - st->st_mtim.tv_sec * US_PER_SEC > CACHE_TOUCH_US;
}

static int open_entry(const struct cache_dir *d, struct str key, uint64_t resolve)
{
	char name[CACHE_NAME_MAX];
	/* A pipe would wait for its writer. */
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
		.resolve = resolve };
	cache_name(key, name);
	long fd = syscall(SYS_openat2, d->fd, name, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS && resolve == 0)
		fd = openat(d->fd, name, (int)how.flags);
	return (int)fd;
}

enum cache_found cache_dir_find_now(struct op *op, const struct cache_dir *d, struct cache_query *q)
{
	struct stat st;
	AUTO_FD(fd, open_entry(d, q->key, RESOLVE_CACHED));
	if (fd < 0)
		return errno == ENOENT ? CACHE_MISS : CACHE_UNKNOWN;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > CACHE_NOW_MAX ||
		!arena_has_room(op->arena, (size_t)st.st_size + 1))
		return CACHE_UNKNOWN;
	size_t size = (size_t)st.st_size;
	struct arena_mark mark = arena_mark(op->arena);
	char *bytes = arena_alloc(op->arena, size + 1);
	struct iovec vec = { bytes, size };
	enum cache_found found = CACHE_UNKNOWN;
	if (size == 0)
		found = CACHE_DAMAGED;
	else if (preadv2(fd, &vec, 1, 0, RWF_NOWAIT) == (ssize_t)size)
		found = whole_read((struct str){ bytes, size }, q);
	if (found == CACHE_HIT)
		note_age(&st, q);
	else
		arena_rewind(op->arena, mark);
	return found;
}

static bool read_at(int fd, void *out, size_t n, uint64_t offset)
{
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	return file_pread_all(&op, fd, out, n, offset) == ERR_NONE;
}

/* A large file: the head, then the blocks that are wanted. */
static enum cache_found range_read(int fd, uint64_t file_size, struct cache_query *q)
{
	char fixed[FSCACHE_FIXED];
	struct fscache_head h;
	uint64_t first, end;
	if (!read_at(fd, fixed, sizeof(fixed), 0))
		return CACHE_DAMAGED;
	size_t head_size = fscache_head_size((struct str){ fixed, sizeof(fixed) });
	if (head_size == 0 || head_size > file_size)
		return CACHE_DAMAGED;
	char *head = mem_resize(NULL, head_size);
	enum cache_found found = CACHE_DAMAGED;
	if (read_at(fd, head, head_size, 0) &&
		fscache_head_read((struct str){ head, head_size }, file_size, &h)) {
		found = str_eq(h.key, q->key) ? CACHE_HIT : CACHE_MISS;
		q->body = STR("");
	}
	if (found == CACHE_HIT && blocks_of(&h, q->offset, q->length, &first, &end)) {
		uint64_t from = first * FSCACHE_BLOCK;
		size_t n = (size_t)(MIN(end * FSCACHE_BLOCK, h.body_size) - from);
		q->bytes = mem_resize(NULL, n);
		if (!read_at(fd, q->bytes, n, head_size + from) ||
			!held_is_good(&h, q, (struct str){ q->bytes, n }, first, end))
			found = CACHE_DAMAGED;
	}
	mem_free(head);
	return found;
}

enum cache_found cache_dir_find(const struct cache_dir *d, struct cache_query *q)
{
	struct stat st;
	AUTO_FD(fd, open_entry(d, q->key, 0));
	if (fd < 0)
		return CACHE_MISS;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return CACHE_MISS;
	note_age(&st, q);
	return range_read(fd, (uint64_t)st.st_size, q);
}

void cache_dir_touch(const struct cache_dir *d, struct str key)
{
	char name[CACHE_NAME_MAX];
	cache_name(key, name);
	(void)utimensat(d->fd, name, NULL, AT_SYMLINK_NOFOLLOW); /* it may be gone */
}

/* ---- adding and removing ---- */

/* A file's size as disks see it. */
int64_t cache_bytes(uint64_t size)
{
	return (int64_t)((size + 4095) / 4096 * 4096);
}

unsigned cache_shard(const char *name)
{
	unsigned high = name[0] <= '9' ? (unsigned)(name[0] - '0') : (unsigned)(name[0] - 'a' + 10);
	unsigned low = name[1] <= '9' ? (unsigned)(name[1] - '0') : (unsigned)(name[1] - 'a' + 10);
	return (high * 16 + low) % CACHE_SHARDS;
}

static int make_temporary(struct cache_dir *d, const char *name, char tmp[64])
{
	snprintf(tmp, 64, "%.2s/" OBJECTS_TMP_PREFIX "%" PRIx64 "-%" PRIu64, name, d->token,
		atomic_fetch_add(&d->serial, 1));
	for (unsigned i = 0;; i++) {
		int fd = openat(
			d->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0 || errno != ENOENT || i > 0)
			return fd;
		char shard[3] = { name[0], name[1], '\0' };
		if (mkdirat(d->fd, shard, 0700) < 0 && errno != EEXIST)
			return -1;
	}
}

/* -1 and errno: EEXIST when it is there. */
static int rename_new(const struct cache_dir *d, const char *tmp, const char *name)
{
	if (renameat2(d->fd, tmp, d->fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL ? renameat(d->fd, tmp, d->fd, name) : -1;
}

static enum err add(struct op *op, struct cache_dir *d, struct str key, struct str body)
{
	char name[CACHE_NAME_MAX], tmp[64];
	struct buf head;
	cache_name(key, name);
	int fd = make_temporary(d, name, tmp);
	if (fd < 0)
		return op_fail_errno(op, "make a file in %.*s", STRF(d->path));
	buf_init(&head, 0);
	fscache_head_write(&head, key, body);
	uint64_t size = head.n + body.n;
	enum err e = file_write_all(op, fd, buf_str(&head));
	if (e == ERR_NONE)
		e = file_write_all(op, fd, body);
	if (e == ERR_NONE && rename_new(d, tmp, name) < 0)
		e = op_fail_errno(op, "name a file in %.*s", STRF(d->path));
	if (e != ERR_NONE)
		(void)unlinkat(d->fd, tmp, 0); /* else the next count takes it away */
	file_close_fd(&fd);
	buf_done(&head);
	if (e == ERR_NONE)
		atomic_fetch_add(&cache_usage(d)->bytes[cache_shard(name)], cache_bytes(size));
	return e;
}

enum err cache_dir_add(struct op *op, struct cache_dir *d, struct str key, struct str body)
{
	enum err e = add(op, d, key, body);
	/* A disk that is full before the limit is reached, of bytes or of files: old entries go. */
	for (unsigned i = 0; e != ERR_NONE && e != ERR_EXISTS && i < CACHE_SHARDS; i++) {
		if (!cache_dir_is_full(d) || !cache_dir_drop_some(d))
			break;
		op_forgive(op);
		e = add(op, d, key, body);
	}
	TRY(e);
	cache_dir_make_room(d);
	return ERR_NONE;
}

void cache_dir_unlink(struct cache_dir *d, const char *name)
{
	struct stat st;
	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && unlinkat(d->fd, name, 0) == 0)
		atomic_fetch_sub(&cache_usage(d)->bytes[cache_shard(name)],
			cache_bytes((uint64_t)st.st_size));
}

void cache_dir_remove(struct cache_dir *d, struct str key)
{
	char name[CACHE_NAME_MAX];
	cache_name(key, name);
	cache_dir_unlink(d, name);
}
