/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.c - small files, blocking: see file.h. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"

#define READ_STEP      ((size_t)64 * 1024)
#define TREE_DEPTH_MAX 64

void file_close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* writers have synced before; Linux closes it in any case */
	*fd = -1;
}

enum err file_read(struct op *op, const char *path, size_t max_bytes, struct buf *out)
{
	size_t before = out->n;
	size_t most = MIN(max_bytes, buf_room(out));
	AUTO_FD(fd, open(path, O_RDONLY | O_CLOEXEC));

	if (fd < 0)
		return op_fail_errno(op, "open %s", path);
	for (;;) {
		/* One byte more than allowed is asked for, elsewhere: it tells "full" from "too
		 * long". */
		size_t left = most - (out->n - before);
		char one_more;
		size_t step = MIN(left, READ_STEP);
		ssize_t got =
			left > 0 ? read(fd, buf_reserve(out, step), step) : read(fd, &one_more, 1);
		if (got == 0)
			return ERR_NONE;
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0 && left > 0) {
			buf_grew(out, (size_t)got);
			continue;
		}
		buf_truncate(out, before);
		if (got > 0)
			return op_fail(op, ERR_LIMIT, "%s is longer than %zu bytes", path, most);
		return op_fail_errno(op, "read %s", path);
	}
}

enum err file_write_all(struct op *op, int fd, struct str content)
{
	while (content.n > 0) {
		ssize_t written = write(fd, content.p, content.n);
		if (written < 0 && errno != EINTR)
			return op_fail_errno(op, "write %zu bytes", content.n);
		if (written > 0)
			(void)str_take(&content, (size_t)written); /* is written */
	}
	return ERR_NONE;
}

enum err file_pread_all(struct op *op, int fd, void *out, size_t n, uint64_t offset)
{
	char *p = out;

	while (n > 0) {
		ssize_t got = pread(fd, p, n, (off_t)offset);
		if (got < 0 && errno != EINTR)
			return op_fail_errno(op, "read %zu bytes at %" PRIu64, n, offset);
		if (got == 0)
			return op_fail(op, ERR_CORRUPT,
				"file ends at %" PRIu64 ", %zu bytes too early", offset, n);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
			offset += (size_t)got;
		}
	}
	return ERR_NONE;
}

enum err file_sync_dir(struct op *op, const char *path)
{
	AUTO_FD(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (fd < 0)
		return op_fail_errno(op, "open directory %s", path);
	if (fsync(fd) < 0)
		return op_fail_errno(op, "fsync directory %s", path);
	return ERR_NONE;
}

/* Zero-terminated directory of `path`, in op's arena. */
static const char *directory_of(struct op *op, const char *path)
{
	struct str whole = str_from(path);
	ssize_t slash = str_find_last_byte(whole, '/');

	if (slash < 0)
		return ".";
	return slash == 0 ? "/" : str_dup_z(op->arena, str_slice(whole, 0, (size_t)slash));
}

static enum err write_new_file(struct op *op, const char *path, struct str content, unsigned mode)
{
	AUTO_FD(fd, open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode));

	if (fd < 0)
		return op_fail_errno(op, "create %s", path);
	TRY(file_write_all(op, fd, content));
	if (fchmod(fd, (mode_t)mode) < 0) /* whatever the umask is */
		return op_fail_errno(op, "chmod %s", path);
	if (fsync(fd) < 0)
		return op_fail_errno(op, "fsync %s", path);
	return ERR_NONE;
}

enum err file_replace(struct op *op, const char *path, struct str content, unsigned mode)
{
	struct str tmp = str_printf(op->arena, "%s.%016" PRIx64 ".tmp", path, random_u64());
	enum err e = write_new_file(op, tmp.p, content, mode);

	if (e == ERR_NONE && rename(tmp.p, path) < 0)
		e = op_fail_errno(op, "rename %s to %s", tmp.p, path);
	if (e != ERR_NONE) {
		(void)unlink(tmp.p); /* the first failure is what counts */
		return e;
	}
	return file_sync_dir(op, directory_of(op, path));
}

enum err file_make_dirs(struct op *op, const char *path, unsigned mode)
{
	char *part = str_dup_z(op->arena, str_from(path));

	for (char *at = part; *at; at++) {
		if (at == part || (*at != '/' && at[1] != '\0'))
			continue;
		char end = *at;
		if (end == '/')
			*at = '\0';
		if (mkdir(part, (mode_t)mode) < 0 && errno != EEXIST)
			return op_fail_errno(op, "mkdir %s", part);
		*at = end;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return op_fail_errno(op, "mkdir %s", path);
	if (!S_ISDIR(st.st_mode))
		return op_fail(op, ERR_EXISTS, "mkdir %s: it exists and is no directory", path);
	return ERR_NONE;
}

static enum err remove_entry(struct op *op, int dir_fd, const char *name, int depth);

/* Empties the directory open at `fd`, which is closed. */
static enum err empty_directory(struct op *op, int fd, const char *name, int depth)
{
	DIR *dir = fdopendir(fd);
	enum err e = ERR_NONE;

	if (!dir) {
		file_close_fd(&fd);
		return op_fail_errno(op, "read directory %s", name);
	}
	while (e == ERR_NONE) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (!entry) {
			if (errno != 0)
				e = op_fail_errno(op, "read directory %s", name);
			break;
		}
		struct str entry_name = str_from(entry->d_name);
		if (!str_eq(entry_name, STR(".")) && !str_eq(entry_name, STR("..")))
			e = remove_entry(op, dirfd(dir), entry->d_name, depth + 1);
	}
	(void)closedir(dir); /* was only read */
	return e;
}

/* A file is unlinked at once; what cannot be is opened as a directory, never through a link. */
static enum err remove_entry(struct op *op, int dir_fd, const char *name, int depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return ERR_NONE;
	if (errno != EISDIR && errno != EPERM)
		return op_fail_errno(op, "unlink %s", name);
	if (depth > TREE_DEPTH_MAX)
		return op_fail(
			op, ERR_LIMIT, "%s is more than %d directories deep", name, TREE_DEPTH_MAX);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? ERR_NONE : op_fail_errno(op, "open directory %s", name);
	TRY(empty_directory(op, fd, name, depth));
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return op_fail_errno(op, "rmdir %s", name);
	return ERR_NONE;
}

enum err file_remove_tree(struct op *op, const char *path)
{
	return remove_entry(op, AT_FDCWD, path, 0);
}
