/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix.c - objects as files: the key is the path below the prefix, nothing is encoded.
 *
 * Put:    unnamed temporary file, write, fdatasync, link without replace, fsync of the directory
 *         (shared between jobs), all in one offload job. Where a file system knows no unnamed
 *         files, a unique ".tmp-*" name in the same directory is used; after a crash such a file
 *         may stay behind.
 * Get:    inline as long as nothing has to be read from the disk (openat2 RESOLVE_CACHED, preadv2
 *         RWF_NOWAIT), else in an offload job.
 * Remove: durable as well: a mail that was deleted does not come back after a power loss.
 *
 * System calls of a put into a known directory: fstatat, openat, write, fdatasync, linkat, close,
 * and one fsync for all jobs that meet there. A warm get: openat2, fstat, preadv2, close.
 *
 * Symbolic links below the prefix are not followed. Directories are not moved while somebody writes
 * into them; moving one of an idle user is fine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "objects/objects_private.h"
#include "objects/posix_private.h"
#include "task/task.h"

#define PUT_TRIES 5 /* a directory may be removed between opening it and linking into it */

struct posix_store {
	struct objects base; /* first */
	struct tree *tree;
};

static struct posix_store *posix_store(struct objects *o)
{
	return CONTAINER_OF(o, struct posix_store, base);
}

/* ---- jobs: one request each; a job owns all it touches ---- */

struct posix_job {
	struct offload_job job; /* first */
	struct tree *tree;      /* referenced */
	struct op op;           /* for failures alone: no arena, no waits */
	enum err result;
	enum err (*run)(struct posix_job *job);
	char key[OBJECTS_KEY_MAX + 1];
	size_t key_bytes;
	/* in */
	uint64_t offset;
	size_t length;
	/* in (put) or out (get); owned */
	char *bytes;
	size_t size;
	struct object_info info; /* out (stat) */
};

static void posix_job_run(struct offload_job *job)
{
	struct posix_job *j = CONTAINER_OF(job, struct posix_job, job);
	j->result = j->run(j);
}

static void posix_job_release(struct offload_job *job)
{
	struct posix_job *j = CONTAINER_OF(job, struct posix_job, job);
	tree_unref(j->tree);
	mem_free(j->bytes);
	mem_free(j);
}

static struct posix_job *posix_job_new(
	struct objects *o, struct str key, enum err (*run)(struct posix_job *job))
{
	struct posix_job *j = MEM_NEW(struct posix_job);
	j->job.run = posix_job_run;
	j->job.release = posix_job_release;
	j->tree = posix_store(o)->tree;
	tree_ref(j->tree);
	j->run = run;
	op_init(&j->op, NULL, NULL, TIME_NEVER);
	ASSERT(key.n < sizeof(j->key));
	memcpy(j->key, key.p, key.n);
	j->key_bytes = key.n;
	return j;
}

/* What callers can do about it: a full disk or a wrong permission is the operator's to mend, and
 * must not look like a quota or an ACL to the user. */
static enum err class_for_callers(enum err e)
{
	return e == ERR_LIMIT || e == ERR_DENIED ? ERR_UNAVAILABLE : e;
}

/* WAITS. ERR_NONE: the job ran well; read its results, then posix_job_release(). */
static enum err posix_job_do(struct op *op, struct posix_job *j)
{
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	enum err e = class_for_callers(j->result);
	if (e != ERR_NONE) {
		(void)op_fail(op, e, "%s", j->op.failure.text);
		posix_job_release(&j->job);
	}
	return e;
}

static struct str posix_job_key(const struct posix_job *j)
{
	return (struct str){ j->key, j->key_bytes };
}

static const char *last_component(const struct posix_job *j)
{
	const char *slash = strrchr(j->key, '/');
	return slash ? slash + 1 : j->key;
}

/* ---- put ---- */

static enum err put_bytes(struct posix_job *j, int fd)
{
	TRY(file_write_all(&j->op, fd, (struct str){ j->bytes, j->size }));
	if (tree_settings(j->tree)->has_fsync && fdatasync(fd) < 0)
		return op_fail_errno(&j->op, "fdatasync object %s", j->key);
	return ERR_NONE;
}

/* Gives an unnamed file its name. The direct way needs Linux 6.10 or a capability, the other one
 * /proc. */
static int link_unnamed(int fd, int dir_fd, const char *name)
{
	static _Atomic bool has_no_direct_way;
	if (!atomic_load_explicit(&has_no_direct_way, memory_order_relaxed)) {
		if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
			return 0;
		if (errno == EEXIST)
			return -1;
	}
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return -1;
	atomic_store_explicit(&has_no_direct_way, true, memory_order_relaxed);
	return 0;
}

static enum err put_unnamed(struct posix_job *j, int dir_fd, int fd)
{
	TRY(put_bytes(j, fd));
	if (link_unnamed(fd, dir_fd, last_component(j)) < 0)
		return op_fail_errno(&j->op, "link object %s", j->key);
	return ERR_NONE;
}

static enum err put_named(struct posix_job *j, int dir_fd)
{
	static _Atomic uint64_t serial;
	char tmp[96];
	snprintf(tmp, sizeof(tmp), OBJECTS_TMP_PREFIX "%" PRIx64 "-%" PRIu64,
		tree_settings(j->tree)->token, atomic_fetch_add(&serial, 1));
	AUTO_FD(fd, openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    tree_settings(j->tree)->mode));
	if (fd < 0)
		return op_fail_errno(&j->op, "create temporary file for object %s", j->key);
	enum err e = put_bytes(j, fd);
	if (e == ERR_NONE && linkat(dir_fd, tmp, dir_fd, last_component(j), 0) < 0)
		e = op_fail_errno(&j->op, "link object %s", j->key);
	(void)unlinkat(dir_fd, tmp, 0); /* a leftover is harmless */
	return e;
}

static enum err put_once(struct posix_job *j, int dir_fd)
{
	if (tree_settings(j->tree)->has_no_unnamed)
		return put_named(j, dir_fd);
	AUTO_FD(fd, openat(dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC,
			    tree_settings(j->tree)->mode));
	if (fd >= 0)
		return put_unnamed(j, dir_fd, fd);
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
		return put_named(j, dir_fd);
	return op_fail_errno(&j->op, "create object %s", j->key);
}

static enum err put_run(struct posix_job *j)
{
	enum err e = ERR_NONE;
	for (unsigned i = 0; i < PUT_TRIES; i++) {
		struct directory *d;
		TRY(tree_directory(&j->op, j->tree, posix_job_key(j), &d));
		e = put_once(j, directory_fd(d));
		if (e == ERR_NONE)
			e = tree_sync(&j->op, j->tree, d);
		directory_unref(j->tree, d);
		if (e != ERR_NOT_FOUND)
			return e;
	}
	return op_fail(&j->op, ERR_UNAVAILABLE,
		"the directory of object %s is removed again and again", j->key);
}

static enum err posix_put(struct op *op, struct objects *o, struct str key, const struct str *parts,
	size_t part_count)
{
	struct posix_job *j = posix_job_new(o, key, put_run);
	j->size = objects_parts_bytes(parts, part_count);
	j->bytes = mem_resize(NULL, MAX(j->size, 1));
	objects_parts_copy(j->bytes, parts, part_count);
	TRY(posix_job_do(op, j));
	posix_job_release(&j->job);
	return ERR_NONE;
}

/* ---- get ---- */

/* -1 and EAGAIN with RESOLVE_CACHED: the way there has to be read from the disk. */
static int open_below(const struct tree *t, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, tree_root_fd(t), path, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS)
		fd = openat(tree_root_fd(t), path, (int)flags | O_NOFOLLOW | O_CLOEXEC);
	return (int)fd;
}

/* How many bytes at `offset` there are to read, at most `length`. */
static enum err readable_bytes(
	struct op *op, int fd, const char *key, uint64_t offset, size_t length, size_t *out)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return op_fail_errno(op, "stat object %s", key);
	if (!S_ISREG(st.st_mode))
		return op_fail(op, ERR_NOT_FOUND, "object %s is no file", key);
	uint64_t size = (uint64_t)st.st_size;
	uint64_t left = offset < size ? size - offset : 0;
	*out = (size_t)MIN(left, length);
	return ERR_NONE;
}

static enum err get_run(struct posix_job *j)
{
	AUTO_FD(fd, open_below(j->tree, j->key, O_RDONLY, 0));
	if (fd < 0)
		return op_fail_errno(&j->op, "open object %s", j->key);
	TRY(readable_bytes(&j->op, fd, j->key, j->offset, j->length, &j->size));
	j->bytes = mem_resize(NULL, MAX(j->size, 1));
	return file_pread_all(&j->op, fd, j->bytes, j->size, j->offset);
}

/* Tries without touching the disk. False: do it the other way, which also tells errors. */
static bool get_cached(struct op *op, const struct tree *t, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	char path[OBJECTS_KEY_MAX + 1];
	ASSERT(key.n < sizeof(path));
	memcpy(path, key.p, key.n);
	path[key.n] = '\0';
	size_t size;
	AUTO_FD(fd, open_below(t, path, O_RDONLY, RESOLVE_CACHED));
	if (fd < 0)
		return false;
	if (readable_bytes(op, fd, path, offset, length, &size) != ERR_NONE) {
		op_forgive(op);
		return false;
	}
	if (!arena_has_room(op->arena, size))
		return false;
	struct arena_mark mark = arena_mark(op->arena);
	char *bytes = arena_alloc(op->arena, size);
	struct iovec vec = { bytes, size };
	if (size > 0 && preadv2(fd, &vec, 1, (off_t)offset, RWF_NOWAIT) != (ssize_t)size) {
		arena_rewind(op->arena, mark);
		return false;
	}
	*out = (struct str){ bytes, size };
	return true;
}

static enum err posix_get(struct op *op, struct objects *o, struct str key, uint64_t offset,
	size_t length, struct str *out)
{
	offset = MIN(offset, (uint64_t)INT64_MAX);
	if (get_cached(op, posix_store(o)->tree, key, offset, length, out))
		return ERR_NONE;
	struct posix_job *j = posix_job_new(o, key, get_run);
	j->offset = offset;
	j->length = length;
	TRY(posix_job_do(op, j));
	enum err e = objects_answer(op, (struct str){ j->bytes, j->size }, out);
	posix_job_release(&j->job);
	return e;
}

/* ---- remove, stat ---- */

static enum err remove_run(struct posix_job *j)
{
	/* Opened by its path: a missing directory is not made for it. */
	const char *slash = strrchr(j->key, '/');
	if (slash) {
		char dir[sizeof(j->key)];
		size_t n = (size_t)(slash - j->key);
		memcpy(dir, j->key, n);
		dir[n] = '\0';
		AUTO_FD(fd, open_below(j->tree, dir, O_PATH | O_DIRECTORY, 0));
		if (fd < 0)
			return op_fail_errno(&j->op, "open the directory of object %s", j->key);
	}
	struct directory *d;
	TRY(tree_directory(&j->op, j->tree, posix_job_key(j), &d));
	enum err e = ERR_NONE;
	if (unlinkat(directory_fd(d), last_component(j), 0) < 0)
		e = op_fail_errno(&j->op, "delete object %s", j->key);
	else
		e = tree_sync(&j->op, j->tree, d);
	directory_unref(j->tree, d);
	return e;
}

static enum err posix_remove(struct op *op, struct objects *o, struct str key)
{
	struct posix_job *j = posix_job_new(o, key, remove_run);
	TRY(posix_job_do(op, j));
	posix_job_release(&j->job);
	return ERR_NONE;
}

static enum err stat_run(struct posix_job *j)
{
	AUTO_FD(fd, open_below(j->tree, j->key, O_PATH, 0));
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return op_fail_errno(&j->op, "stat object %s", j->key);
	if (!S_ISREG(st.st_mode))
		return op_fail(&j->op, ERR_NOT_FOUND, "object %s is no file", j->key);
	j->info.size_bytes = (uint64_t)st.st_size;
	j->info.wall_us = st.st_mtim.tv_sec * US_PER_SEC + st.st_mtim.tv_nsec / 1000;
	return ERR_NONE;
}

static enum err posix_stat(
	struct op *op, struct objects *o, struct str key, struct object_info *out)
{
	struct posix_job *j = posix_job_new(o, key, stat_run);
	TRY(posix_job_do(op, j));
	*out = j->info;
	posix_job_release(&j->job);
	return ERR_NONE;
}

/* ---- iterate: one job a directory ---- */

/* Entries of a directory as "<type><size><time><name>\0": see entry_add(). */
struct entry_head {
	bool is_directory;
	struct object_info info;
	size_t name_bytes;
};

static void entry_add(struct buf *list, const struct dirent *entry, const struct stat *st)
{
	struct entry_head head = {
		.is_directory = S_ISDIR(st->st_mode),
		.info = { .size_bytes = (uint64_t)st->st_size,
			.wall_us = st->st_mtim.tv_sec * US_PER_SEC + st->st_mtim.tv_nsec / 1000 },
		.name_bytes = strlen(entry->d_name),
	};
	buf_put(list, (struct str){ (const char *)&head, sizeof(head) });
	buf_put(list, (struct str){ entry->d_name, head.name_bytes });
}

static enum err list_run(struct posix_job *j)
{
	int fd = open_below(j->tree, j->key_bytes ? j->key : ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == ENOENT)
		return ERR_NONE; /* nothing is stored there */
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		enum err e = op_fail_errno(&j->op, "list directory \"%s\"", j->key);
		file_close_fd(&fd);
		return e;
	}
	struct buf list = { 0 };
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		struct stat st;
		struct str name = str_from(entry->d_name);
		if (str_eq(name, STR(".")) || str_eq(name, STR("..")) ||
			str_starts(name, STR(OBJECTS_TMP_PREFIX)))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* deleted a moment ago */
		if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
			entry_add(&list, entry, &st);
	}
	(void)closedir(dir); /* only read */
	j->bytes = list.p;
	j->size = list.n;
	return ERR_NONE;
}

/* Directories still to be listed. */
struct walk {
	struct str *paths; /* in op's arena */
	size_t count;
	size_t cap;
};

static void walk_push(struct op *op, struct walk *w, struct str path)
{
	if (w->count == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 64;
		w->paths = arena_grow(
			op->arena, w->paths, w->cap * sizeof(*w->paths), cap * sizeof(*w->paths));
		w->cap = cap;
	}
	w->paths[w->count++] = str_dup(op->arena, path);
}

static enum err walk_entries(struct op *op, struct walk *w, struct str dir, struct str list,
	struct str prefix, objects_iter_fn *fn, void *arg)
{
	while (list.n) {
		struct entry_head head;
		memcpy(&head, str_take(&list, sizeof(head)).p, sizeof(head));
		struct str name = str_take(&list, head.name_bytes);
		char path[OBJECTS_KEY_MAX + 1];
		if (dir.n + 1 + name.n > OBJECTS_KEY_MAX)
			continue; /* nothing of ours */
		int n = snprintf(
			path, sizeof(path), "%.*s%s%.*s", STRF(dir), dir.n ? "/" : "", STRF(name));
		struct str key = { path, (size_t)n };
		if (head.is_directory) {
			struct str common = str_slice(prefix, 0, key.n);
			if (str_starts(key, common) &&
				(prefix.n <= key.n || prefix.p[key.n] == '/'))
				walk_push(op, w, key);
		} else if (str_starts(key, prefix)) {
			TRY(fn(op, key, &head.info, arg));
		}
	}
	return ERR_NONE;
}

static enum err posix_iter(
	struct op *op, struct objects *o, struct str prefix, objects_iter_fn *fn, void *arg)
{
	struct walk w = { 0 };
	ssize_t slash = str_find_last_byte(prefix, '/');
	walk_push(op, &w, str_slice(prefix, 0, slash < 0 ? 0 : (size_t)slash));
	while (w.count) {
		struct str dir = w.paths[--w.count];
		struct posix_job *j = posix_job_new(o, dir, list_run);
		TRY(posix_job_do(op, j));
		enum err e = walk_entries(
			op, &w, dir, (struct str){ j->bytes, j->size }, prefix, fn, arg);
		posix_job_release(&j->job);
		TRY(e);
	}
	return ERR_NONE;
}

/* ---- the driver ---- */

static enum err posix_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)scope;
	(void)inner;
	struct tree_settings settings = { .has_fsync = true, .mode = 0600, .token = random_u64() };
	struct str rest = argument, path, option;
	if (!str_cut(&rest, ',', &path)) {
		path = rest;
		rest = STR_NONE;
	}
	while (rest.n) {
		if (!str_cut(&rest, ',', &option)) {
			option = rest;
			rest = STR_NONE;
		}
		if (str_eq(option, STR("nosync")))
			settings.has_fsync = false;
		else if (str_eq(option, STR("named")))
			settings.has_no_unnamed = true;
		else
			return op_fail(
				op, ERR_INVALID, "posix: unknown option \"%.*s\"", STRF(option));
	}
	if (path.n == 0 || path.p[0] != '/' || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "posix: \"%.*s\" is no absolute path", STRF(path));
	struct tree *tree;
	TRY(tree_new(op, path, &settings, &tree));
	struct posix_store *store = MEM_NEW(struct posix_store);
	store->base.driver = &objects_posix;
	store->tree = tree;
	*out = &store->base;
	return ERR_NONE;
}

static void posix_close(struct objects *o)
{
	struct posix_store *store = posix_store(o);
	tree_unref(store->tree);
	mem_free(store);
}

const struct objects_driver objects_posix = {
	.name = "posix",
	.open = posix_open,
	.close = posix_close,
	.put = posix_put,
	.get = posix_get,
	.remove = posix_remove,
	.stat = posix_stat,
	.iter = posix_iter,
};
