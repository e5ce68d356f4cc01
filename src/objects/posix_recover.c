/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_recover.c - what openings that did not close left in their journals.
 *
 * After a kill the files are there and right, after a power loss they may be missing, short or full
 * of zeros; where the disk failed meanwhile they may be right in memory alone: each is compared with
 * the journal, as it stands on the disk, and written anew if it differs. Then the file system
 * is synced once and the journals go. Blocks; at opening, before anything is read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "objects/posix_journal_private.h"

#define JOURNAL_READ_MAX ((size_t)1 << 30)

/* One file of a pair. */
struct old_file {
	int fd;
	struct buf bytes;
	struct str rest; /* behind the header */
	uint64_t epoch;  /* 0: nothing in it */
};

static bool name_token(const char *name, uint64_t *out)
{
	char expected[JOURNAL_NAME_MAX];
	struct str rest = str_from(name);
	if (!str_starts(rest, STR(JOURNAL_PREFIX)))
		return false;
	*out = strtoull(name + strlen(JOURNAL_PREFIX), NULL, 16);
	for (unsigned i = 0; i < 2; i++) {
		journal_file_name(expected, *out, i);
		if (strcmp(name, expected) == 0)
			return true;
	}
	return false;
}

/* ---- one record ---- */

static bool object_is_right(const struct tree *t, const char *path, struct str body)
{
	struct stat st;
	AUTO_FD(fd, posix_open_below(t, path, O_RDONLY, 0));
	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size != body.n)
		return false;
	/* What could not be written stands in memory as if it were: read from the disk. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	AUTO_BUF(found, 0);
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	char *bytes = buf_reserve(&found, MAX(body.n, 1));
	return file_pread_all(&op, fd, bytes, body.n, 0) == ERR_NONE &&
	       (body.n == 0 || memcmp(bytes, body.p, body.n) == 0);
}

static enum err object_restore(struct op *op, struct tree *t, struct str key, struct str body)
{
	char path[OBJECTS_KEY_MAX + 1], fresh[] = OBJECTS_TMP_PREFIX "recovered";
	memcpy(path, key.p, key.n);
	path[key.n] = '\0';
	if (object_is_right(t, path, body))
		return ERR_NONE;
	struct directory *d;
	TRY(tree_directory(op, t, key, &d));
	const char *slash = strrchr(path, '/');
	AUTO_FD(fd, openat(directory_fd(d), fresh,
			    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
			    tree_settings(t)->mode));
	enum err e = fd < 0 ? op_fail_errno(op, "write object %s again", path)
			    : file_write_all(op, fd, body);
	if (e == ERR_NONE &&
		renameat(directory_fd(d), fresh, directory_fd(d), slash ? slash + 1 : path) < 0)
		e = op_fail_errno(op, "write object %s again", path);
	directory_unref(t, d);
	return e;
}

static enum err record_apply(struct op *op, struct tree *t, const struct journal_record *r)
{
	char path[OBJECTS_KEY_MAX + 1];
	if (r->type == JOURNAL_PUT)
		return object_restore(op, t, r->key, r->body);
	memcpy(path, r->key.p, r->key.n);
	path[r->key.n] = '\0';
	if (unlinkat(tree_root_fd(t), path, 0) < 0 && errno != ENOENT && errno != ENOTDIR)
		return op_fail_errno(op, "delete object %s again", path);
	return ERR_NONE;
}

/* ---- one pair of files ---- */

static enum err file_apply(struct op *op, struct tree *t, struct old_file *f)
{
	uint64_t epoch;
	struct str records;
	struct journal_record r;
	while (journal_group_cut(&f->rest, &epoch, &records) && epoch == f->epoch)
		while (journal_record_cut(&records, &r))
			TRY(record_apply(op, t, &r));
	return ERR_NONE;
}

static enum err file_load(struct op *op, struct old_file *f, const char *name)
{
	struct stat st;
	struct str records;
	if (fstat(f->fd, &st) < 0)
		return op_fail_errno(op, "read object journal %s", name);
	if ((uint64_t)st.st_size > JOURNAL_READ_MAX)
		return op_fail(op, ERR_UNAVAILABLE, "object journal %s has %jd bytes", name,
			(intmax_t)st.st_size);
	size_t size = (size_t)st.st_size;
	char *bytes = buf_reserve(&f->bytes, MAX(size, 1));
	TRY(file_pread_all(op, f->fd, bytes, size, 0));
	f->rest = (struct str){ bytes, size };
	enum err e = journal_header_cut(&f->rest);
	if (e == ERR_UNSUPPORTED)
		return op_fail(op, e, "object journal %s was written by a newer version", name);
	struct str rest = f->rest;
	if (e != ERR_NONE || !journal_group_cut(&rest, &f->epoch, &records))
		f->epoch = 0; /* never used, or all of it was synced */
	return ERR_NONE;
}

static void pair_close(struct old_file files[2])
{
	for (unsigned i = 0; i < 2; i++) {
		file_close_fd(&files[i].fd);
		buf_done(&files[i].bytes);
	}
}

static bool is_owned(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) < 0;
}

/* The older epoch first. *out_found: it is nobody's and may go. */
static enum err pair_recover(struct op *op, struct tree *t, uint64_t token, bool *out_found)
{
	struct old_file files[2] = { { .fd = -1 }, { .fd = -1 } };
	char name[JOURNAL_NAME_MAX];
	enum err e = ERR_NONE;
	*out_found = true;
	for (unsigned i = 0; i < 2 && e == ERR_NONE && *out_found; i++) {
		journal_file_name(name, token, i);
		files[i].fd = openat(tree_root_fd(t), name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (files[i].fd < 0 && errno != ENOENT)
			e = op_fail_errno(op, "open object journal %s", name);
		else if (is_owned(files[i].fd))
			*out_found = false;
		else if (files[i].fd >= 0)
			e = file_load(op, &files[i], name);
	}
	/* Writes what the killed process left in memory. A failure that comes of it is told here; the
	 * sync at the end tells of what is written now. */
	if (e == ERR_NONE && *out_found && MAX(files[0].epoch, files[1].epoch) > 0)
		(void)syncfs(tree_root_fd(t));
	unsigned first = files[0].epoch <= files[1].epoch ? 0 : 1;
	for (unsigned i = 0; i < 2 && e == ERR_NONE && *out_found; i++)
		if (files[first ^ i].epoch > 0)
			e = file_apply(op, t, &files[first ^ i]);
	pair_close(files);
	return e;
}

static enum err pairs_remove(struct op *op, struct tree *t, const uint64_t *tokens, size_t count)
{
	char name[JOURNAL_NAME_MAX];
	if (count == 0)
		return ERR_NONE;
	if (syncfs(tree_root_fd(t)) < 0)
		return op_fail_errno(op, "sync the objects that were recovered");
	for (size_t i = 0; i < 2 * count; i++) {
		journal_file_name(name, tokens[i / 2], i % 2);
		if (unlinkat(tree_root_fd(t), name, 0) < 0 && errno != ENOENT)
			return op_fail_errno(op, "remove object journal %s", name);
	}
	return ERR_NONE;
}

static bool has_token(const struct buf *tokens, uint64_t token)
{
	for (size_t at = 0; at < tokens->n; at += sizeof(token))
		if (memcmp(tokens->p + at, &token, sizeof(token)) == 0)
			return true;
	return false;
}

/* Tokens of all journals there are. */
static enum err list_tokens(struct op *op, struct tree *t, struct buf *out)
{
	int fd = openat(tree_root_fd(t), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		enum err e = op_fail_errno(op, "look for object journals");
		file_close_fd(&fd);
		return e;
	}
	const struct dirent *entry;
	uint64_t token;
	while ((entry = readdir(dir)) != NULL)
		if (name_token(entry->d_name, &token) && !has_token(out, token))
			buf_put(out, (struct str){ (const char *)&token, sizeof(token) });
	(void)closedir(dir); /* only read */
	return ERR_NONE;
}

enum err journal_recover(struct op *op, struct tree *t)
{
	AUTO_BUF(list, 0);
	TRY(list_tokens(op, t, &list));
	if (list.n == 0)
		return ERR_NONE;
	AUTO_FD(all, journal_lock_all(t));
	if (all < 0)
		return op_fail_errno(op, "lock the object journals");
	buf_clear(&list); /* others may have been here */
	TRY(list_tokens(op, t, &list));
	size_t count = list.n / sizeof(uint64_t), gone = 0;
	uint64_t *tokens = (uint64_t *)(void *)list.p;
	for (size_t i = 0; i < count; i++) {
		bool is_found;
		TRY(pair_recover(op, t, tokens[i], &is_found));
		if (is_found)
			tokens[gone++] = tokens[i];
	}
	return pairs_remove(op, t, tokens, gone);
}
