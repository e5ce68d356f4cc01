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
 * Journal: records of type (1 byte), length of the rest (4 bytes), fields; little-endian; written in
 * the order of the changes, under a lock that is held until the change is done.
 *   W inode size offset bytes    the file had `size` bytes, and these at `offset`
 *   S inode                      the file was synced
 *   N inode                      a new file: earlier records were of another one
 *   E state link dir name        the entry was missing (0), the file that is kept as `link` (1), or
 *                                a directory (2)
 *   D dir                        the directory was synced
 *   A                            everything was synced (syncfs) */
#undef _FILE_OFFSET_BITS /* both spellings of each call are defined here, open() and open64() */
#undef _FORTIFY_SOURCE   /* and none is a macro */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { ENTRY_MISSING, ENTRY_KEPT, ENTRY_DIRECTORY };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char root[PATH_MAX];
static char state[PATH_MAX];
static size_t root_len;
static bool ignores_sync;
static const char *boot_id; /* a file instead of the kernel's; NULL: none */
static int journal_fd = -1;
static pid_t journal_pid;

/* ---- the calls behind ours ---- */

#define REAL(ret, name, ...) static ret (*real_##name)(__VA_ARGS__);
REAL(int, openat, int, const char *, int, ...)
REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
REAL(int, ftruncate, int, off_t)
REAL(int, fallocate, int, int, off_t, off_t)
REAL(int, linkat, int, const char *, int, const char *, int)
REAL(int, renameat2, int, const char *, int, const char *, unsigned)
REAL(int, unlinkat, int, const char *, int)
REAL(int, mkdirat, int, const char *, mode_t)
REAL(int, fsync, int)
REAL(int, syncfs, int)

static void start(void)
{
	const char *dir = getenv("POWERLOSS_DIR"), *where = getenv("POWERLOSS_STATE");
#define FIND(name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)
	FIND(openat);
	FIND(pwritev);
	FIND(writev);
	FIND(write);
	FIND(pwrite);
	FIND(ftruncate);
	FIND(fallocate);
	FIND(linkat);
	FIND(renameat2);
	FIND(unlinkat);
	FIND(mkdirat);
	FIND(fsync);
	FIND(syncfs);
	ignores_sync = getenv("POWERLOSS_IGNORE_SYNC") != NULL;
	boot_id = getenv("POWERLOSS_BOOT_ID");
	if (dir && where && realpath(dir, root) && realpath(where, state))
		root_len = strlen(root);
}

static bool is_below(const char *path)
{
	return root_len > 0 && strncmp(path, root, root_len) == 0 &&
	       (path[root_len] == '/' || path[root_len] == '\0');
}

static void fd_path(int fd, char out[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_MAX - 1);
	out[n < 0 ? 0 : n] = '\0';
}

/* A regular file below the root: its state before a change. */
static bool file_of(int fd, struct stat *st)
{
	char path[PATH_MAX];
	pthread_once(&once, start);
	if (root_len == 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		return false;
	fd_path(fd, path);
	return is_below(path);
}

/* Splits a path as the *at() calls take it. False: not below the root. */
struct place {
	char dir[PATH_MAX];
	char name[NAME_MAX + 1];
};
static bool place_of(int at, const char *path, struct place *out)
{
	char parent[PATH_MAX];
	pthread_once(&once, start);
	if (root_len == 0)
		return false;
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t slash = n;
	while (slash > 0 && path[slash - 1] != '/')
		slash--;
	if (n >= sizeof(parent) || n - slash > NAME_MAX || n == slash)
		return false;
	memcpy(parent, slash ? path : ".", slash ? slash : 1);
	parent[slash ? slash : 1] = '\0';
	memcpy(out->name, path + slash, n - slash);
	out->name[n - slash] = '\0';
	int before = errno;
	int fd = real_openat(at, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	errno = before;
	if (fd < 0)
		return false;
	fd_path(fd, out->dir);
	close(fd);
	return is_below(out->dir);
}

/* ---- the journal ---- */

static void fail(const char *what)
{
	fprintf(stderr, "powerloss: %s: %s\n", what, strerror(errno));
	abort();
}

/* The journal is locked against the other processes under test as well. */
static void lock(void)
{
	pthread_mutex_lock(&mutex);
	if (journal_pid != getpid()) {
		char path[PATH_MAX + 16];
		snprintf(path, sizeof(path), "%s/journal", state);
		if (journal_fd >= 0)
			close(journal_fd); /* the parent's: its lock is not ours */
		journal_fd = real_openat(
			AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
		if (journal_fd < 0)
			fail(path);
		journal_pid = getpid();
	}
	while (flock(journal_fd, LOCK_EX) < 0)
		if (errno != EINTR)
			fail("flock");
}

static void unlock(void)
{
	int before = errno;
	flock(journal_fd, LOCK_UN);
	pthread_mutex_unlock(&mutex);
	errno = before;
}

struct record {
	char *p;
	size_t n;
};

static struct record record_new(char type, size_t room)
{
	struct record r = { malloc(room + 5), 5 };
	if (!r.p)
		fail("malloc");
	r.p[0] = type;
	return r;
}

static void record_add(struct record *r, const void *bytes, size_t n)
{
	memcpy(r->p + r->n, bytes, n);
	r->n += n;
}

static void record_u64(struct record *r, uint64_t v)
{
	record_add(r, &v, sizeof(v)); /* little-endian hosts only */
}

static void record_text(struct record *r, const char *text)
{
	uint16_t n = (uint16_t)strlen(text);
	record_add(r, &n, sizeof(n));
	record_add(r, text, n);
}

static void record_write(struct record *r)
{
	uint32_t n = (uint32_t)(r->n - 5);
	memcpy(r->p + 1, &n, sizeof(n));
	for (size_t at = 0; at < r->n;) {
		ssize_t done = real_write(journal_fd, r->p + at, r->n - at);
		if (done < 0 && errno != EINTR)
			fail("journal");
		at += done > 0 ? (size_t)done : 0;
	}
	free(r->p);
}

static void note_inode(char type, uint64_t inode)
{
	struct record r = record_new(type, 8);
	record_u64(&r, inode);
	record_write(&r);
}

/* Before `length` bytes at `offset` are overwritten, or cut off with everything behind them. */
static void note_bytes(int fd, const struct stat *st, uint64_t offset, uint64_t length)
{
	uint64_t size = (uint64_t)st->st_size;
	uint64_t old = offset < size ? size - offset : 0;
	if (old > length)
		old = length;
	struct record r = record_new('W', 24 + old);
	record_u64(&r, st->st_ino);
	record_u64(&r, size);
	record_u64(&r, offset);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* it may be open for writing alone */
	int reader = old ? real_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	if (old && reader < 0)
		fail("open for reading");
	for (uint64_t done = 0; done < old;) {
		ssize_t n = pread(reader, r.p + r.n, old - done, (off_t)(offset + done));
		if (n <= 0)
			fail("read the old bytes");
		r.n += (size_t)n;
		done += (uint64_t)n;
	}
	if (reader >= 0)
		close(reader);
	record_write(&r);
}

/* Before an entry changes. Keeps the file that it names by a second link. */
static void note_entry(const struct place *place)
{
	static uint64_t serial;
	char path[PATH_MAX + NAME_MAX + 2], kept[PATH_MAX + 64];
	struct stat st;
	uint8_t before = ENTRY_MISSING;
	uint64_t link = 0;
	snprintf(path, sizeof(path), "%s/%s", place->dir, place->name);
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		before = S_ISDIR(st.st_mode) ? ENTRY_DIRECTORY : ENTRY_KEPT;
	if (before == ENTRY_KEPT) {
		link = (uint64_t)getpid() << 32 | ++serial;
		snprintf(kept, sizeof(kept), "%s/%016llx", state, (unsigned long long)link);
		if (real_linkat(AT_FDCWD, path, AT_FDCWD, kept, 0) < 0)
			fail("keep a removed file");
	}
	struct record r = record_new('E', 13 + sizeof(place->dir) + sizeof(place->name));
	record_add(&r, &before, 1);
	record_u64(&r, link);
	record_text(&r, place->dir);
	record_text(&r, place->name);
	record_write(&r);
}

static bool exists(const struct place *place)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct stat st;
	int before = errno;
	snprintf(path, sizeof(path), "%s/%s", place->dir, place->name);
	bool is_there = fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	errno = before;
	return is_there;
}

/* ---- opening ---- */

static int do_open(int at, const char *path, int flags, mode_t mode)
{
	struct place place;
	struct stat st;
	pthread_once(&once, start);
	if (boot_id && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = boot_id;
	bool is_unnamed = (flags & O_TMPFILE) == O_TMPFILE;
	bool is_ours = root_len > 0 && (is_unnamed || flags & (O_CREAT | O_TRUNC));
	if (!is_ours || (!is_unnamed && !place_of(at, path, &place)))
		return real_openat(at, path, flags, mode);
	lock();
	bool is_new = is_unnamed || !exists(&place);
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
	unlock();
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
	struct stat st;                                                                            \
	if (!file_of(fd, &st))                                                                     \
		return call;                                                                       \
	lock();                                                                                    \
	uint64_t offset_ = (offset_expr);                                                          \
	note_bytes(fd, &st, offset_, length);                                                      \
	__auto_type result = call;                                                                 \
	unlock();                                                                                  \
	return result;

/* Refreshes the size, which may have changed before the lock was ours. */
static uint64_t fresh(int fd, struct stat *st, uint64_t offset)
{
	if (fstat(fd, st) < 0)
		fail("fstat");
	return offset;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t n){
	CHANGE_BYTES(fd, write_offset(fd, &st), n, real_write(fd, bytes, n))
} EXPORT ssize_t writev(int fd, const struct iovec *iov, int count){
	CHANGE_BYTES(fd, write_offset(fd, &st), iov_bytes(iov, count), real_writev(fd, iov, count))
} EXPORT ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset){
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), n, real_pwrite(fd, bytes, n, offset))
} EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset){
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), n, real_pwrite(fd, bytes, n, offset))
} EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset){
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), iov_bytes(iov, count),
		real_pwritev(fd, iov, count, offset))
} EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count,
	off64_t offset){ CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), iov_bytes(iov, count),
	real_pwritev(fd, iov, count, offset)) } EXPORT int ftruncate(int fd, off_t size){
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)size), UINT64_MAX, real_ftruncate(fd, size))
} EXPORT int ftruncate64(int fd, off64_t size){ CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)size),
	UINT64_MAX, real_ftruncate(fd, size)) } EXPORT int fallocate(int fd, int mode, off_t offset,
	off_t length){ CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), (uint64_t)length,
	real_fallocate(fd, mode, offset, length)) }

EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	CHANGE_BYTES(fd, fresh(fd, &st, (uint64_t)offset), (uint64_t)length,
		real_fallocate(fd, mode, offset, length))
}

/* ---- entries ---- */

static int do_link(int from_at, const char *from, int to_at, const char *to, int flags)
{
	struct place place;
	if (!place_of(to_at, to, &place))
		return real_linkat(from_at, from, to_at, to, flags);
	lock();
	if (!exists(&place))
		note_entry(&place);
	int result = real_linkat(from_at, from, to_at, to, flags);
	unlock();
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
	lock();
	if (has_to)
		note_entry(&to_place);
	if (has_from)
		note_entry(&from_place);
	int result = real_renameat2(from_at, from, to_at, to, flags);
	unlock();
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
	lock();
	if (exists(&place))
		note_entry(&place);
	int result = real_unlinkat(at, path, flags);
	unlock();
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
	lock();
	if (!exists(&place))
		note_entry(&place);
	int result = real_mkdirat(at, path, mode);
	unlock();
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
	pthread_once(&once, start);
	if (root_len == 0 || fstat(fd, &st) < 0)
		return real_fsync(fd);
	fd_path(fd, path);
	if (!is_below(path))
		return real_fsync(fd);
	if (ignores_sync)
		return 0;
	lock();
	if (S_ISDIR(st.st_mode)) {
		struct record r = record_new('D', 2 + sizeof(path));
		record_text(&r, path);
		record_write(&r);
	} else {
		note_inode('S', st.st_ino);
	}
	unlock();
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
	pthread_once(&once, start);
	fd_path(fd, path);
	if (root_len == 0 || !is_below(path))
		return real_syncfs(fd);
	if (ignores_sync)
		return 0;
	lock();
	struct record r = record_new('A', 0);
	record_write(&r);
	unlock();
	return 0;
}
