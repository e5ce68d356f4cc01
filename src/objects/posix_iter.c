/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_iter.c - walking the files below the prefix, for audits: one job a directory. Memory
 * grows with the largest directory and with the number of directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "objects/posix_private.h"

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

/* What NFS clients make of a file that is removed while somebody has it open: ".nfs" and hex digits. */
static bool is_silly_rename(struct str name)
{
	if (!str_skip(&name, STR(".nfs")) || name.n < 16)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_digit(name.p[i]) && (name.p[i] < 'a' || name.p[i] > 'f'))
			return false;
	return true;
}

static enum err list_run(struct posix_job *j)
{
	int fd = posix_open_below(j->tree, j->key_bytes ? j->key : ".", O_RDONLY | O_DIRECTORY, 0);
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
			str_starts(name, STR(OBJECTS_TMP_PREFIX)) || is_silly_rename(name))
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

enum err posix_iter(
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
