/* SPDX-License-Identifier: Apache-2.0 */
/* A user's local directory, and the lock on it: of the processes of this host one at the most has him open.
 * Kernels let go of the lock when the process ends, however it does. */
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

char *user_dir(const struct store *s, struct str name)
{
	AUTO_BUF(path, 0);
	buf_putf(&path, "%s/%02x/%.*s", s->local_dir, (unsigned)(hash_stable(name) & 0xff),
		STRF(name));
	return str_new_z(buf_str(&path));
}

struct lock_job {
	struct offload_job job; /* first */
	char *dir;
	int fd;
	int error_number;
	bool is_taken;
	char text[OP_FAILURE_TEXT_MAX]; /* why there is no directory, or "" */
};

static void lock_run(struct offload_job *job)
{
	struct lock_job *j = CONTAINER_OF(job, struct lock_job, job);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct op op;
	char path[4096];
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	int n = snprintf(path, sizeof(path), "%s/lock", j->dir);
	j->error_number = ENAMETOOLONG;
	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	if (file_make_dirs(&op, j->dir, 0700) != ERR_NONE) {
		memcpy(j->text, op.failure.text, sizeof(j->text));
		return;
	}
	j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	j->error_number = j->fd < 0 ? errno : 0;
	if (j->fd >= 0 && fcntl(j->fd, F_OFD_SETLK, &lock) != 0) {
		j->error_number = errno;
		j->is_taken = j->error_number == EAGAIN || j->error_number == EACCES;
		file_close_fd(&j->fd);
	}
}

static void lock_release(struct offload_job *job)
{
	struct lock_job *j = CONTAINER_OF(job, struct lock_job, job);
	file_close_fd(&j->fd);
	mem_free(j->dir);
	mem_free(j);
}

/* Whatever is wrong with the directory (disk full, permission, gone) is the operator's to mend: never
 * the class of a user or mail that does not exist, which would send his mail back. */
static enum err lock_failure(struct op *op, const struct lock_job *j)
{
	if (j->text[0])
		return op_fail(op, ERR_UNAVAILABLE, "%s", j->text);
	if (j->is_taken)
		return op_fail(op, ERR_UNAVAILABLE,
			"another process of this host has the user open: %s/lock", j->dir);
	errno = j->error_number;
	(void)op_fail_errno(op, "lock %s", j->dir);
	struct op_failure why = op->failure;
	return op_fail(op, ERR_UNAVAILABLE, "%s", why.text);
}

enum err user_lock_dir(struct op *op, const char *dir, int *out_fd)
{
	struct lock_job *j = MEM_NEW(struct lock_job);
	j->job.run = lock_run;
	j->job.release = lock_release;
	j->dir = str_new_z(str_from(dir));
	j->fd = -1;
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	*out_fd = j->fd;
	j->fd = -1;
	enum err e = *out_fd >= 0 ? ERR_NONE : lock_failure(op, j);
	lock_release(&j->job);
	return e;
}
