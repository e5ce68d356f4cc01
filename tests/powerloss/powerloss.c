/* SPDX-License-Identifier: Apache-2.0 */
/* tests/powerloss/powerloss.c - remembers what a power loss would take away.
 *
 * Preloaded (LD_PRELOAD) into the program under test. Calls that change files or directories below
 * $POWERLOSS_DIR are carried out, but before each one what is needed to undo it goes into a journal
 * in $POWERLOSS_STATE. fsync() writes only a note there: from then on the earlier changes of that file,
 * or of the entries of that directory, are safe. After everything was killed, powerloss.py undoes all
 * that was not safe. SQLite works through the same calls, so one layer serves it and everybody else.
 *
 * The model is what POSIX promises, and not more:
 *   - bytes and length of a file are safe after fsync or fdatasync of that file;
 *   - a name (created, linked, renamed, removed) is safe after fsync of the directory it stands in,
 *     whether or not the file itself was synced.
 * With $POWERLOSS_IGNORE_SYNC nothing is ever safe: the control run, which has to lose something.
 *
 * Limits: changes through mmap, stdio, io_uring and raw syscall() are not seen. Of shared memory files
 * ("-shm" of SQLite) nothing survives. Directories must not be renamed. $POWERLOSS_STATE lies outside
 * the tree, on the same file system: it keeps removed files by a second link.
 *
 * Here: the calls themselves. What is noted before each, and the journal: powerloss_journal.c. */
#include "powerloss_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* ---- opening ---- */

static int do_open(int at, const char *path, int flags, mode_t mode)
{
	struct place place;
	struct stat st;
	const struct watch *w = watch();
	if (w->boot_id && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = w->boot_id;
	bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool is_ours = w->is_on && (is_unnamed || flags & (O_CREAT | O_TRUNC));
	if (!is_ours || (!is_unnamed && !place_of(at, path, &place)))
		return real_openat(at, path, flags, mode);
	journal_lock();
	bool is_new = is_unnamed || !place_exists(&place);
	if (is_new && !is_unnamed && flags & O_CREAT)
		note_entry(&place);
	/* Cut only after the old bytes were saved. */
	int fd = real_openat(at, path, flags & ~(is_new ? 0 : O_TRUNC), mode);
	if (fd >= 0 && file_of(fd, &st)) {
		if (is_new)
			note_inode('N', st.st_ino);
		else if (flags & O_TRUNC && (flags & O_ACCMODE) != O_RDONLY) {
			note_bytes(fd, &st, 0, (uint64_t)st.st_size);
			if (real_ftruncate(fd, 0) < 0)
				fail("truncate");
		}
	}
	journal_unlock();
	return fd;
}

#define MODE_OF(flags, mode)                                                                       \
	mode_t mode = 0;                                                                           \
	if ((flags) & (O_CREAT | O_TMPFILE)) {                                                     \
		va_list args;                                                                      \
		va_start(args, flags);                                                             \
		mode = va_arg(args, mode_t);                                                       \
		va_end(args);                                                                      \
	}

EXPORT int openat(int at, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return do_open(at, path, flags, mode);
}
EXPORT int openat64(int at, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return do_open(at, path, flags, mode);
}
EXPORT int open(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return do_open(AT_FDCWD, path, flags, mode);
}
EXPORT int open64(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return do_open(AT_FDCWD, path, flags, mode);
}
EXPORT int creat64(const char *path, mode_t mode)
{
	return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
EXPORT int creat(const char *path, mode_t mode)
{
	return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* ---- bytes ---- */

static size_t iov_bytes(const struct iovec *iov, int count)
{
	size_t n = 0;
	for (int i = 0; i < count; i++)
		n += iov[i].iov_len;
	return n;
}

/* Where write() will write; (uint64_t)-1: it is no file of ours. */
static uint64_t write_offset(int fd, struct stat *st)
{
	if (!file_of(fd, st))
		return UINT64_MAX;
	return fcntl(fd, F_GETFL) & O_APPEND ? (uint64_t)st->st_size
					     : (uint64_t)lseek(fd, 0, SEEK_CUR);
}

/* The lock is held over the state that is noted and the change: file_of() is asked again inside. */
#define CHANGE_BYTES(fd, offset_expr, length, call)                                                \
	do {                                                                                       \
		struct stat st;                                                                    \
		if (!file_of(fd, &st))                                                             \
			return call;                                                               \
		journal_lock();                                                                    \
		uint64_t offset_ = (offset_expr);                                                  \
		note_bytes(fd, &st, offset_, length);                                              \
		__auto_type result = call;                                                         \
		journal_unlock();                                                                  \
		return result;                                                                     \
	} while (0)

/* Refreshes the size, which may have changed before the lock was ours. */
static uint64_t fresh(int fd, struct stat *st, uint64_t offset)
{
	if (fstat(fd, st) < 0)
		fail("fstat");
	return offset;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t n)
{
	CHANGE_BYTES(fd, write_offset(fd, &st), n, real_write(fd, bytes, n));
}
EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
	CHANGE_BYTES(fd, write_offset(fd, &st), iov_bytes(iov, count), real_writev(fd, iov, count));
}
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), n, real_pwrite(fd, bytes, n, offset));
}
EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), n, real_pwrite(fd, bytes, n, offset));
}
EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), iov_bytes(iov, count),
		real_pwritev(fd, iov, count, offset));
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), iov_bytes(iov, count),
		real_pwritev(fd, iov, count, offset));
}
EXPORT int ftruncate(int fd, off_t size)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)size), UINT64_MAX, real_ftruncate(fd, size));
}
EXPORT int ftruncate64(int fd, off64_t size)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)size), UINT64_MAX, real_ftruncate(fd, size));
}
EXPORT int fallocate(int fd, int mode, off_t offset, off_t length)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), (uint64_t)length,
		real_fallocate(fd, mode, offset, length));
}
EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), (uint64_t)length,
		real_fallocate(fd, mode, offset, length));
}

/* ---- entries ---- */

static int do_link(int from_at, const char *from, int to_at, const char *to, int flags)
{
	struct place place;
	if (!place_of(to_at, to, &place))
		return real_linkat(from_at, from, to_at, to, flags);
	journal_lock();
	if (!place_exists(&place))
		note_entry(&place);
	int result = real_linkat(from_at, from, to_at, to, flags);
	journal_unlock();
	return result;
}
EXPORT int linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	return do_link(from_at, from, to_at, to, flags);
}
EXPORT int link(const char *from, const char *to)
{
	return do_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int do_rename(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	struct place from_place, to_place;
	bool has_from = place_of(from_at, from, &from_place);
	bool has_to = place_of(to_at, to, &to_place);
	if (!has_from && !has_to)
		return real_renameat2(from_at, from, to_at, to, flags);
	journal_lock();
	if (has_to)
		note_entry(&to_place);
	if (has_from)
		note_entry(&from_place);
	int result = real_renameat2(from_at, from, to_at, to, flags);
	journal_unlock();
	return result;
}
EXPORT int rename(const char *from, const char *to)
{
	return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int renameat(int from_at, const char *from, int to_at, const char *to)
{
	return do_rename(from_at, from, to_at, to, 0);
}
EXPORT int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags)
{
	return do_rename(from_at, from, to_at, to, flags);
}

static int do_unlink(int at, const char *path, int flags)
{
	struct place place;
	if (!place_of(at, path, &place))
		return real_unlinkat(at, path, flags);
	journal_lock();
	if (place_exists(&place))
		note_entry(&place);
	int result = real_unlinkat(at, path, flags);
	journal_unlock();
	return result;
}
EXPORT int unlinkat(int at, const char *path, int flags)
{
	return do_unlink(at, path, flags);
}
EXPORT int unlink(const char *path)
{
	return do_unlink(AT_FDCWD, path, 0);
}
EXPORT int rmdir(const char *path)
{
	return do_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}
EXPORT int remove(const char *path)
{
	struct stat st;
	bool is_dir = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
	return do_unlink(AT_FDCWD, path, is_dir ? AT_REMOVEDIR : 0);
}

static int do_mkdir(int at, const char *path, mode_t mode)
{
	struct place place;
	if (!place_of(at, path, &place))
		return real_mkdirat(at, path, mode);
	journal_lock();
	if (!place_exists(&place))
		note_entry(&place);
	int result = real_mkdirat(at, path, mode);
	journal_unlock();
	return result;
}
EXPORT int mkdirat(int at, const char *path, mode_t mode)
{
	return do_mkdir(at, path, mode);
}
EXPORT int mkdir(const char *path, mode_t mode)
{
	return do_mkdir(AT_FDCWD, path, mode);
}

/* ---- syncs: notes alone, the disk has nothing to do with it ---- */

static int do_sync(int fd)
{
	struct stat st;
	char path[PATH_MAX];
	const struct watch *w = watch();
	if (!w->is_on || fstat(fd, &st) < 0)
		return real_fsync(fd);
	fd_path(fd, path);
	if (!watch_has(path))
		return real_fsync(fd);
	if (w->ignores_sync)
		return 0;
	journal_lock();
	if (S_ISDIR(st.st_mode))
		note_directory_synced(path);
	else
		note_inode('S', st.st_ino);
	journal_unlock();
	return 0;
}
EXPORT int fsync(int fd)
{
	return do_sync(fd);
}
EXPORT int fdatasync(int fd)
{
	return do_sync(fd);
}
EXPORT int syncfs(int fd)
{
	char path[PATH_MAX];
	const struct watch *w = watch();
	fd_path(fd, path);
	if (!w->is_on || !watch_has(path))
		return real_syncfs(fd);
	if (w->ignores_sync)
		return 0;
	journal_lock();
	note_all_synced();
	journal_unlock();
	return 0;
}
