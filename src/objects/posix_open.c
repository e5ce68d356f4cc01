/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_open.c - opening and closing the posix driver: its settings, and what kind of file system
 * it is on. */
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/number.h"
#include "base/random.h"
#include "config/config.h"
#include "objects/posix_journal.h"
#include "objects/posix_private.h"

static struct posix_store *posix_store(struct objects *o)
{
	return CONTAINER_OF(o, struct posix_store, base);
}

/* "<path>", behind it ",nosync" (no fsync at all), ",nojournal" (each object is synced by itself),
 * ",journal=<bytes>" (so large a journal file is full), ",named" (no unnamed files) and ",tidy" (directories
 * that became empty are removed). */
static enum err argument_read(
	struct op *op, struct str argument, struct str *path, struct tree_settings *settings)
{
	struct str rest = argument, option;
	if (!str_cut(&rest, ',', path)) {
		*path = rest;
		rest = STR_NONE;
	}
	while (rest.n) {
		if (!str_cut(&rest, ',', &option)) {
			option = rest;
			rest = STR_NONE;
		}
		if (str_eq(option, STR("nosync")))
			settings->has_fsync = settings->has_journal = false;
		else if (str_eq(option, STR("nojournal")))
			settings->has_journal = false;
		else if (str_starts(option, STR("journal=")) &&
			 number_parse_u64(str_slice(option, 8, option.n), &settings->journal_bytes))
			settings->has_journal = true;
		else if (str_eq(option, STR("named")))
			settings->has_no_unnamed = true;
		else if (str_eq(option, STR("tidy")))
			settings->removes_empty_dirs = true;
		else
			return op_fail(
				op, ERR_INVALID, "posix: unknown option \"%.*s\"", STRF(option));
	}
	return ERR_NONE;
}

static void scope_read(struct op *op, const struct config_scope *scope, struct str *path,
	struct tree_settings *settings)
{
	settings->has_fsync = config_bool(scope, SET_fs_posix_fsync);
	settings->has_journal = settings->has_fsync && config_bool(scope, SET_fs_posix_journal);
	settings->mode = (unsigned)config_u64(scope, SET_fs_posix_mode);
	settings->removes_empty_dirs =
		config_bool(scope, SET_fs_posix_autodelete_empty_directories);
	*path = config_str(scope, SET_fs_posix_prefix);
	if (path->n && path->p[0] != '/')
		*path = str_printf(op->arena, "%.*s/%.*s", STRF(config_str(scope, SET_state_dir)),
			STRF(*path));
}

static bool is_local(const struct statfs *fs)
{
	return fs->f_type != NFS_SUPER_MAGIC && fs->f_type != SMB_SUPER_MAGIC &&
	       fs->f_type != SMB2_SUPER_MAGIC && fs->f_type != CIFS_SUPER_MAGIC &&
	       fs->f_type != CEPH_SUPER_MAGIC && fs->f_type != FUSE_SUPER_MAGIC;
}

/* Of the path, or of the directory in which it will be made. */
static bool path_is_local(struct op *op, struct str path)
{
	struct statfs fs;
	while (path.n > 1 && statfs(str_dup_z(op->arena, path), &fs) < 0)
		path.n = (size_t)MAX(str_find_last_byte(path, '/'), 1);
	return path.n <= 1 || is_local(&fs);
}

enum err posix_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct objects *inner, struct objects **out)
{
	(void)inner;
	struct tree_settings settings = {
		.has_fsync = true,
		.has_journal = true,
		.journal_bytes = JOURNAL_FILE_BYTES,
		.mode = 0600,
		.token = random_u64(),
	};
	struct str path;
	if (scope)
		scope_read(op, scope, &path, &settings);
	else
		TRY(argument_read(op, argument, &path, &settings));
	while (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	if (path.n == 0 || path.p[0] != '/' || str_has_nul(path))
		return op_fail(op, ERR_INVALID, "fs_posix_prefix: \"%.*s\" is no absolute path",
			STRF(path));
	/* Another host's journals cannot be told from dead ones. */
	if (scope && !path_is_local(op, path))
		settings.has_journal = false;
	if (gethostname(settings.host, sizeof(settings.host) - 1) < 0)
		settings.host[0] = '\0';
	for (char *c = settings.host; *c; c++)
		*c = *c == '/' ? '-' : *c;
	struct tree *tree;
	TRY(tree_new(op, path, &settings, &tree));
	struct posix_store *store = MEM_NEW(struct posix_store);
	store->base.driver = &objects_posix;
	store->tree = tree;
	store->commits = settings.has_journal ? commit_queue_new(tree) : NULL;
	*out = &store->base;
	return ERR_NONE;
}

void posix_close(struct objects *o)
{
	struct posix_store *store = posix_store(o);
	if (store->commits)
		commit_queue_unref(store->commits);
	tree_unref(store->tree);
	mem_free(store);
}

bool posix_is_local(struct objects *o)
{
	struct statfs fs;
	return fstatfs(tree_root_fd(posix_store(o)->tree), &fs) < 0 || is_local(&fs);
}
