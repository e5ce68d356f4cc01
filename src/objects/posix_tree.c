/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_tree.c - the known directories below the prefix: an LRU of open descriptors whose
 * entries are known to be durable, and group fsync.
 *
 * A known directory is checked with one fstatat() before each use: if it was moved away or removed
 * meanwhile, the entry is dropped and the directory at that path is opened, or made, anew. */
#include "objects/posix_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "objects/posix_journal.h"

#define KNOWN_MAX 1024 /* or an eighth of the descriptors this process may have */

struct directory {
	struct str path; /* owned; below the prefix, "" for the prefix itself */
	int fd;
	dev_t device;
	ino_t inode;
	/* under the tree's lock */
	struct list lru; /* linked while it is in the map */
	unsigned refs;   /* users; it may be closed at 0 when it is not linked */
	pthread_cond_t synced;
	bool is_syncing;
	uint64_t syncs_begun;
	uint64_t syncs_done;
	uint64_t sync_failed; /* the last one that failed ... */
	int sync_errno;       /* ... and why */
};

struct tree {
	struct tree_settings settings;
	struct directory *root;
	struct journal *journal; /* owned; NULL: none is kept */
	size_t known_max;
	pthread_mutex_t lock;
	/* under the lock */
	unsigned refs;
	struct map known; /* path -> struct directory */
	struct list lru;  /* of known directories; last is used last */
};

/* ---- directories ---- */

static struct directory *directory_new(struct str path, int fd, const struct stat *st)
{
	struct directory *d = MEM_NEW(struct directory);
	d->path = (struct str){ str_new_z(path), path.n };
	d->fd = fd;
	d->device = st->st_dev;
	d->inode = st->st_ino;
	d->refs = 1;
	pthread_cond_init(&d->synced, NULL);
	return d;
}

static void directory_free(struct directory *d)
{
	file_close_fd(&d->fd);
	pthread_cond_destroy(&d->synced);
	mem_free((void *)(uintptr_t)d->path.p);
	mem_free(d);
}

int directory_fd(const struct directory *d)
{
	return d->fd;
}

struct journal *tree_journal(const struct tree *t)
{
	return t->journal;
}

bool directory_is_journalled(const struct tree *t, const struct directory *d)
{
	return t->journal && d->device == t->root->device && journal_is_usable(t->journal);
}

static void unref_locked(struct directory *d)
{
	ASSERT(d->refs > 0);
	if (--d->refs == 0 && !list_is_linked(&d->lru))
		directory_free(d);
}

void directory_unref(struct tree *t, struct directory *d)
{
	pthread_mutex_lock(&t->lock);
	unref_locked(d);
	pthread_mutex_unlock(&t->lock);
}

static void forget_locked(struct tree *t, struct directory *d)
{
	if (!list_is_linked(&d->lru))
		return;
	map_remove(&t->known, d->path);
	list_remove(&d->lru);
	if (d->refs == 0)
		directory_free(d);
}

/* Makes d known. If another job was faster, that one's directory is used and `d` goes. */
static struct directory *remember(struct tree *t, struct directory *d)
{
	pthread_mutex_lock(&t->lock);
	struct directory *other = map_get(&t->known, d->path);
	if (other && other->device == d->device && other->inode == d->inode) {
		other->refs++;
		unref_locked(d);
		d = other;
	} else {
		if (other)
			forget_locked(t, other);
		map_set(&t->known, d->path, d);
		list_add_last(&t->lru, &d->lru);
	}
	struct directory *old, *next;
	LIST_FOR_EACH(old, next, &t->lru, struct directory, lru)
	{
		if (t->known.count <= t->known_max)
			break;
		if (old->refs == 0)
			forget_locked(t, old);
	}
	pthread_mutex_unlock(&t->lock);
	return d;
}

/* NULL: unknown, or no longer what stands at its path. */
static struct directory *recall(struct tree *t, struct str path)
{
	pthread_mutex_lock(&t->lock);
	struct directory *d = map_get(&t->known, path);
	if (d) {
		d->refs++;
		list_remove(&d->lru);
		list_add_last(&t->lru, &d->lru);
	}
	pthread_mutex_unlock(&t->lock);
	if (!d)
		return NULL;

	struct stat st;
	if (fstatat(t->root->fd, d->path.p, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		st.st_dev == d->device && st.st_ino == d->inode)
		return d;
	pthread_mutex_lock(&t->lock);
	forget_locked(t, d);
	unref_locked(d);
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Opens or makes the directory `path`, whose last component stands in `parent`. */
static enum err make_known(struct op *op, struct tree *t, struct directory *parent, struct str path,
	struct directory **out)
{
	char name[NAME_MAX + 1];
	struct str last = str_slice(path, (size_t)(str_find_last_byte(path, '/') + 1), path.n);
	ASSERT(last.n < sizeof(name));
	memcpy(name, last.p, last.n);
	name[last.n] = '\0';

	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	AUTO_FD(fd, openat(parent->fd, name, flags));
	if (fd < 0 && errno == ENOENT) {
		unsigned mode = t->settings.mode | (t->settings.mode & 0444) >> 2;
		if (mkdirat(parent->fd, name, mode) < 0 && errno != EEXIST)
			return op_fail_errno(op, "mkdir %.*s", STRF(path));
		fd = openat(parent->fd, name, flags);
	}
	if (fd < 0)
		return op_fail_errno(op, "open directory %.*s", STRF(path));
	TRY(tree_sync(op, t, parent));
	struct stat st;
	if (fstat(fd, &st) < 0)
		return op_fail_errno(op, "stat directory %.*s", STRF(path));
	*out = remember(t, directory_new(path, fd, &st));
	fd = -1;
	return ERR_NONE;
}

enum err tree_directory(struct op *op, struct tree *t, struct str key, struct directory **out)
{
	ssize_t end = str_find_last_byte(key, '/');
	struct str path = str_slice(key, 0, end < 0 ? 0 : (size_t)end);
	pthread_mutex_lock(&t->lock);
	struct directory *at = t->root;
	at->refs++;
	pthread_mutex_unlock(&t->lock);
	if (path.n == 0) {
		*out = at;
		return ERR_NONE;
	}
	struct directory *whole = recall(t, path);
	if (whole) {
		directory_unref(t, at);
		*out = whole;
		return ERR_NONE;
	}
	for (size_t n = 1; n <= path.n; n++) {
		if (n < path.n && path.p[n] != '/')
			continue;
		struct str prefix = str_slice(path, 0, n);
		struct directory *next = recall(t, prefix);
		enum err e = next ? ERR_NONE : make_known(op, t, at, prefix, &next);
		directory_unref(t, at);
		TRY(e);
		at = next;
	}
	*out = at;
	return ERR_NONE;
}

/* ---- group fsync ---- */

enum err tree_sync(struct op *op, struct tree *t, struct directory *d)
{
	if (!t->settings.has_fsync)
		return ERR_NONE;
	pthread_mutex_lock(&t->lock);
	/* One that is under way may have begun before our change: the next one counts. */
	const uint64_t mine = d->syncs_begun + 1;
	while (d->syncs_done < mine && d->is_syncing)
		pthread_cond_wait(&d->synced, &t->lock);
	if (d->syncs_done < mine) {
		d->is_syncing = true;
		d->syncs_begun++;
		pthread_mutex_unlock(&t->lock);
		int failed = fsync(d->fd) < 0 ? errno : 0;
		pthread_mutex_lock(&t->lock);
		d->is_syncing = false;
		d->syncs_done = d->syncs_begun;
		if (failed) {
			d->sync_failed = d->syncs_done;
			d->sync_errno = failed;
		}
		pthread_cond_broadcast(&d->synced);
	}
	int failed = d->sync_failed >= mine ? d->sync_errno : 0;
	pthread_mutex_unlock(&t->lock);
	if (failed) {
		errno = failed;
		return op_fail_errno(op, "fsync directory %.*s", STRF(d->path));
	}
	return ERR_NONE;
}

/* ---- the tree ---- */

/* Makes the prefix and its parents. Those that are ours to write are synced, so that the prefix
 * itself survives; a parent that we may not even open was there before us. */
static enum err make_prefix(struct op *op, struct str path, bool has_fsync)
{
	char *z = str_new_z(path);
	enum err e = file_make_dirs(op, z, 0700);
	for (size_t n = path.n; has_fsync && e == ERR_NONE && n-- > 1;) {
		if (z[n] != '/')
			continue;
		z[n] = '\0';
		AUTO_FD(fd, open(z, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
			e = op_fail_errno(op, "fsync directory %s", z);
	}
	mem_free(z);
	return e;
}

enum err tree_new(
	struct op *op, struct str path, const struct tree_settings *settings, struct tree **out)
{
	TRY(make_prefix(op, path, settings->has_fsync));
	char *z = str_new_z(path);
	int fd = open(z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mem_free(z);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		enum err e = op_fail_errno(op, "open directory %.*s", STRF(path));
		file_close_fd(&fd);
		return e;
	}
	struct tree *t = MEM_NEW(struct tree);
	t->settings = *settings;
	t->root = directory_new(STR(""), fd, &st);
	t->refs = 1;
	struct rlimit files;
	t->known_max = KNOWN_MAX;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		t->known_max = MIN(t->known_max, files.rlim_cur / 8);
	pthread_mutex_init(&t->lock, NULL);
	map_init(&t->known);
	list_init(&t->lru);
	/* Also without an own journal: what an earlier opening acknowledged must be there. */
	enum err e = journal_recover(op, t);
	if (e != ERR_NONE) {
		tree_unref(t);
		return e;
	}
	if (settings->has_fsync && settings->has_journal)
		t->journal = journal_new(t);
	*out = t;
	return ERR_NONE;
}

void tree_ref(struct tree *t)
{
	pthread_mutex_lock(&t->lock);
	t->refs++;
	pthread_mutex_unlock(&t->lock);
}

void tree_unref(struct tree *t)
{
	pthread_mutex_lock(&t->lock);
	bool is_last = --t->refs == 0;
	pthread_mutex_unlock(&t->lock);
	if (!is_last)
		return;
	if (t->journal)
		journal_close(t->journal);
	struct directory *d, *next;
	LIST_FOR_EACH(d, next, &t->lru, struct directory, lru)
	forget_locked(t, d);
	directory_free(t->root);
	map_done(&t->known);
	pthread_mutex_destroy(&t->lock);
	mem_free(t);
}

int tree_root_fd(const struct tree *t)
{
	return t->root->fd;
}

const struct tree_settings *tree_settings(const struct tree *t)
{
	return &t->settings;
}
