/* SPDX-License-Identifier: Apache-2.0 */
/* The directories that must exist before any role starts. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "main/master.h"

/* A name or a number, as administrators write it. */
static enum err find_uid(struct op *op, struct str name, uid_t *out_uid, gid_t *out_gid)
{
	uint32_t number;
	if (number_parse_u32(name, &number)) {
		*out_uid = number;
		*out_gid = number;
		return ERR_NONE;
	}
	const struct passwd *pw = getpwnam(str_dup_z(op->arena, name));
	if (!pw)
		return op_fail(op, ERR_INVALID,
			"no user %.*s on this host: create it (useradd -r %.*s)", STRF(name),
			STRF(name));
	*out_uid = pw->pw_uid;
	*out_gid = pw->pw_gid;
	return ERR_NONE;
}

/* Gives the directory to its user, unless it is one for everybody, like /tmp. It may stand in such a
 * one, where anybody may have made it first: as a link to what shall not be his, or as his own. */
static enum err give_directory(struct op *op, const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	AUTO_FD(fd, open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0)
		return op_fail(op, ERR_INVALID, "mail_temp_dir = %s is no directory, or a link: %s",
			path, strerrordesc_np(errno));
	if (fstat(fd, &st) < 0)
		return op_fail_errno(op, "stat %s", path);
	if (st.st_uid == 0 && (st.st_mode & S_ISVTX))
		return ERR_NONE;
	if (st.st_uid != 0 && st.st_uid != uid)
		return op_fail(op, ERR_INVALID,
			"mail_temp_dir = %s belongs to user %u: remove it, or choose another", path,
			(unsigned)st.st_uid);
	if (fchown(fd, uid, gid) < 0)
		return op_fail_errno(op, "chown %s", path);
	return ERR_NONE;
}

/* Login processes spool big mails here (mail_temp_dir); nobody else reads them. */
static enum err prepare_spool(struct op *op, const struct config_scope *global)
{
	const char *path = str_dup_z(op->arena, config_str(global, SET_mail_temp_dir));
	uid_t uid = 0;
	gid_t gid = 0;
	TRY(file_make_dirs(op, path, 0700));
	if (geteuid() != 0)
		return ERR_NONE;
	TRY(find_uid(op, config_str(global, SET_default_login_user), &uid, &gid));
	return give_directory(op, path, uid, gid);
}

enum err master_prepare_state(struct op *op, struct config *config)
{
	const struct config_scope *global = config_scope(config, NULL);
	const char *state_dir = str_dup_z(op->arena, config_str(global, SET_state_dir));
	uid_t uid = 0;
	gid_t gid = 0;
	TRY(file_make_dirs(op, state_dir, 0750));
	TRY(prepare_spool(op, global));
	if (geteuid() != 0)
		return ERR_NONE;
	TRY(find_uid(op, config_str(global, SET_mail_uid), &uid, &gid));
	if (chown(state_dir, uid, gid) < 0)
		return op_fail_errno(op, "chown %s", state_dir);
	return ERR_NONE;
}

void master_tell_ready(int ready_fd)
{
	static const char ready[] = "READY\n";
	if (ready_fd < 0)
		return;
	/* Whoever waits sees either the word or the end of the pipe. */
	if (write(ready_fd, ready, sizeof(ready) - 1) < 0)
		errno = 0;
	close(ready_fd);
}
