/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched, and the journal of how to undo each change of it (the model: powerloss.c).
 *
 * Records of type (1 byte), length of the rest (4 bytes), fields; little-endian; written in
 * the order of the changes, under a lock that is held until the change is done.
 *   W inode size offset bytes    the file had `size` bytes, and these at `offset`
 *   S inode                      the file was synced
 *   N inode                      a new file: earlier records were of another one
 *   E state link dir name        the entry was missing (0), the file that is kept as `link` (1), or
 *                                a directory (2)
 *   D dir                        the directory was synced
 *   A                            everything was synced (syncfs) */
#include "powerloss_private.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { ENTRY_MISSING, ENTRY_KEPT, ENTRY_DIRECTORY };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watch asked;
static char root[PATH_MAX];
static char state[PATH_MAX];
static size_t root_len;
static int journal_fd = -1;
static pid_t journal_pid;

/* ---- the calls behind ours ---- */

int (*real_openat)(int, const char *, int, ...);
ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
ssize_t (*real_writev)(int, const struct iovec *, int);
ssize_t (*real_write)(int, const void *, size_t);
ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
int (*real_ftruncate)(int, off_t);
int (*real_fallocate)(int, int, off_t, off_t);
int (*real_linkat)(int, const char *, int, const char *, int);
int (*real_renameat2)(int, const char *, int, const char *, unsigned);
int (*real_unlinkat)(int, const char *, int);
int (*real_mkdirat)(int, const char *, mode_t);
int (*real_fsync)(int);
int (*real_syncfs)(int);

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
	asked.ignores_sync = getenv("POWERLOSS_IGNORE_SYNC") != NULL;
	asked.boot_id = getenv("POWERLOSS_BOOT_ID");
	if (dir && where && realpath(dir, root) && realpath(where, state))
		root_len = strlen(root);
	asked.is_on = root_len > 0;
}

const struct watch *watch(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, start);
	return &asked;
}

bool watch_has(const char *path)
{
	return root_len > 0 && strncmp(path, root, root_len) == 0 &&
	       (path[root_len] == '/' || path[root_len] == '\0');
}

void fd_path(int fd, char out[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, out, PATH_MAX - 1);
	out[n < 0 ? 0 : n] = '\0';
}

bool file_of(int fd, struct stat *st)
{
	char path[PATH_MAX];
	if (!watch()->is_on || fstat(fd, st) < 0 || !S_ISREG(st->st_mode))
		return false;
	fd_path(fd, path);
	return watch_has(path);
}

bool place_of(int at, const char *path, struct place *out)
{
	char parent[PATH_MAX];
	if (!watch()->is_on)
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
	return watch_has(out->dir);
}

bool place_exists(const struct place *place)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct stat st;
	int before = errno;
	snprintf(path, sizeof(path), "%s/%s", place->dir, place->name);
	bool is_there = fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
	errno = before;
	return is_there;
}

/* ---- the journal ---- */

void fail(const char *what)
{
	fprintf(stderr, "powerloss: %s: %s\n", what, strerror(errno));
	abort();
}

/* The journal is locked against the other processes under test as well. */
void journal_lock(void)
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

void journal_unlock(void)
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

void note_inode(char type, uint64_t inode)
{
	struct record r = record_new(type, 8);
	record_u64(&r, inode);
	record_write(&r);
}

void note_bytes(int fd, const struct stat *st, uint64_t offset, uint64_t length)
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

void note_entry(const struct place *place)
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

void note_directory_synced(const char *path)
{
	struct record r = record_new('D', 2 + PATH_MAX);
	record_text(&r, path);
	record_write(&r);
}

void note_all_synced(void)
{
	struct record r = record_new('A', 0);
	record_write(&r);
}
