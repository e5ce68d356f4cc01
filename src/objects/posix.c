/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix.c - objects as files: the key is the path below the prefix, nothing is encoded.
 *
 * Put:    unnamed temporary file, write, link without replace; then the journal's next sync makes
 *         it durable (posix_journal.h), or, without one and for large objects, fdatasync before the
 *         link and fsync of the directory (shared between jobs) after it. One offload job. Where a
 *         file system knows no unnamed files, a unique ".tmp-*" name in the same directory is used;
 *         after a crash such a file may stay behind.
 * Get:    inline as long as nothing has to be read from the disk (openat2 RESOLVE_CACHED, preadv2
 *         RWF_NOWAIT), else in an offload job.
 * Remove: durable as well: a mail that was deleted does not come back after a power loss.
 *
 * System calls of a put into a known directory: fstatat, openat, write, linkat, close, and one
 * pwritev and fdatasync for all jobs that meet there. A warm get: openat2, fstat, preadv2, close.
 *
 * Opening is in posix_open.c, iterating in posix_iter.c, the directories are in posix_tree.c.
 *
 * Symbolic links below the prefix are not followed. Directories are not moved while somebody writes
 * into them; moving one of an idle user is fine. */
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
#include "objects/objects_private.h"
#include "objects/posix_journal.h"
#include "objects/posix_private.h"
#include "task/task.h"

#define STALE_TRIES 3 /* NFS: another host replaced or removed what was open here */
#define PUT_TRIES   5 /* a directory may be removed between opening it and linking into it */

static struct posix_store *posix_store(struct objects *o)
{
	return CONTAINER_OF(o, struct posix_store, base);
}

/* ---- jobs ---- */

enum err posix_job_try(struct posix_job *j)
{
	enum err e = j->run(j);
	for (unsigned i = 1; e == ERR_CONFLICT && i < STALE_TRIES; i++) {
		op_forgive(&j->op);
		e = j->run(j);
	}
	return e;
}

static void posix_job_run(struct offload_job *job)
{
	struct posix_job *j = CONTAINER_OF(job, struct posix_job, job);
	j->result = posix_job_try(j);
}

void posix_job_release(struct offload_job *job)
{
	struct posix_job *j = CONTAINER_OF(job, struct posix_job, job);
	tree_unref(j->tree);
	mem_free(j->bytes);
	mem_free(j);
}

struct posix_job *posix_job_new(
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
	return e == ERR_LIMIT || e == ERR_DENIED || e == ERR_CONFLICT ? ERR_UNAVAILABLE : e;
}

enum err posix_job_do(struct op *op, struct posix_job *j)
{
	TRY(j->queue ? posix_commit(op, j->queue, j) : offload(op, OFFLOAD_DISK, &j->job));
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
	if (tree_settings(j->tree)->has_fsync && !j->is_journalled && fdatasync(fd) < 0)
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

/* NFS repeats a request whose answer was lost, and then says that the name exists: it is ours. */
static bool was_linked(int fd)
{
	int failure = errno;
	struct stat st;
	bool is_ours = failure == EEXIST && fstat(fd, &st) == 0 && st.st_nlink == 2;
	errno = failure;
	return is_ours;
}

static enum err put_named(struct posix_job *j, int dir_fd)
{
	static _Atomic uint64_t serial;
	char tmp[128];
	snprintf(tmp, sizeof(tmp), OBJECTS_TMP_PREFIX "%" PRIx64 "-%" PRIu64 ".%s",
		tree_settings(j->tree)->token, atomic_fetch_add(&serial, 1),
		tree_settings(j->tree)->host);
	AUTO_FD(fd, openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    tree_settings(j->tree)->mode));
	if (fd < 0)
		return op_fail_errno(&j->op, "create temporary file for object %s", j->key);
	enum err e = put_bytes(j, fd);
	if (e == ERR_NONE && linkat(dir_fd, tmp, dir_fd, last_component(j), 0) < 0 &&
		!was_linked(fd))
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

/* The change is made: what fails now is not to be tried again. */
static enum err sync_changed(struct posix_job *j, struct directory *d)
{
	enum err e = tree_sync(&j->op, j->tree, d);
	return e == ERR_CONFLICT ? op_fail(&j->op, ERR_UNAVAILABLE, "%.400s", j->op.failure.text)
				 : e;
}

static enum err put_into(struct posix_job *j, struct directory *d)
{
	struct str body = { j->bytes, j->size };
	j->is_journalled = j->queue && directory_is_journalled(j->tree, d);
	TRY(put_once(j, directory_fd(d)));
	if (!j->is_journalled)
		return sync_changed(j, d);
	journal_add(tree_journal(j->tree),
		&(struct journal_record){ JOURNAL_PUT, posix_job_key(j), body });
	return ERR_NONE;
}

static enum err put_run(struct posix_job *j)
{
	enum err e = ERR_NONE;
	for (unsigned i = 0; i < PUT_TRIES; i++) {
		struct directory *d;
		e = tree_directory(&j->op, j->tree, posix_job_key(j), &d);
		if (e == ERR_NONE) {
			e = put_into(j, d);
			directory_unref(j->tree, d);
		}
		if (e != ERR_NOT_FOUND)
			return e;
	}
	return op_fail(&j->op, ERR_UNAVAILABLE,
		"the directory of object %s is removed again and again", j->key);
}

static enum err posix_put(struct op *op, struct objects *o, const struct object_put *put)
{
	struct posix_job *j = posix_job_new(o, put->key, put_run);
	j->size = objects_parts_bytes(put->parts, put->part_count);
	j->bytes = mem_resize(NULL, MAX(j->size, 1));
	objects_parts_copy(j->bytes, put->parts, put->part_count);
	j->queue = j->size <= JOURNAL_BODY_MAX ? posix_store(o)->commits : NULL;
	TRY(posix_job_do(op, j));
	posix_job_release(&j->job);
	return ERR_NONE;
}

/* ---- get ---- */

int posix_open_below(const struct tree *t, const char *path, uint64_t flags, uint64_t resolve)
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
	AUTO_FD(fd, posix_open_below(j->tree, j->key, O_RDONLY, 0));
	if (fd < 0)
		return op_fail_errno(&j->op, "open object %s", j->key);
	TRY(readable_bytes(&j->op, fd, j->key, j->offset, j->length, &j->size));
	mem_free(j->bytes); /* of a try before */
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
	AUTO_FD(fd, posix_open_below(t, path, O_RDONLY, RESOLVE_CACHED));
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

/* As far up as they are empty; whoever writes there meanwhile makes them anew. */
static void remove_empty_dirs(const struct posix_job *j)
{
	char dir[sizeof(j->key)];
	char *slash;
	memcpy(dir, j->key, j->key_bytes + 1);
	while ((slash = strrchr(dir, '/')) != NULL) {
		*slash = '\0';
		if (unlinkat(tree_root_fd(j->tree), dir, AT_REMOVEDIR) < 0)
			return;
	}
}

static enum err remove_run(struct posix_job *j)
{
	/* Opened by its path: a missing directory is not made for it. */
	const char *slash = strrchr(j->key, '/');
	if (slash) {
		char dir[sizeof(j->key)];
		size_t n = (size_t)(slash - j->key);
		memcpy(dir, j->key, n);
		dir[n] = '\0';
		AUTO_FD(fd, posix_open_below(j->tree, dir, O_PATH | O_DIRECTORY, 0));
		if (fd < 0)
			return op_fail_errno(&j->op, "open the directory of object %s", j->key);
	}
	struct directory *d;
	TRY(tree_directory(&j->op, j->tree, posix_job_key(j), &d));
	enum err e = ERR_NONE;
	j->is_journalled = j->queue && directory_is_journalled(j->tree, d);
	if (unlinkat(directory_fd(d), last_component(j), 0) < 0)
		e = op_fail_errno(&j->op, "delete object %s", j->key);
	else if (j->is_journalled) /* the journal may still hold the object */
		journal_add(tree_journal(j->tree), &(struct journal_record){ .type = JOURNAL_REMOVE,
							   .key = posix_job_key(j) });
	else
		e = sync_changed(j, d);
	directory_unref(j->tree, d);
	if (e == ERR_NONE && tree_settings(j->tree)->removes_empty_dirs)
		remove_empty_dirs(j);
	return e;
}

static enum err posix_remove(struct op *op, struct objects *o, struct str key)
{
	struct posix_job *j = posix_job_new(o, key, remove_run);
	j->queue = posix_store(o)->commits;
	TRY(posix_job_do(op, j));
	posix_job_release(&j->job);
	return ERR_NONE;
}

static enum err stat_run(struct posix_job *j)
{
	AUTO_FD(fd, posix_open_below(j->tree, j->key, O_PATH, 0));
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
