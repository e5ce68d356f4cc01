/* SPDX-License-Identifier: Apache-2.0 */
#include "main/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"

static const char *pid_path(struct arena *a, struct config *config)
{
	struct str base_dir = config_str(config_scope(config, NULL), SET_base_dir);
	return str_dup_z(a, str_printf(a, "%.*s/master.pid", STRF(base_dir)));
}

/* The number in the file; 0: none. */
static pid_t read_number(int fd)
{
	char text[16];
	uint32_t number;
	ssize_t n = pread(fd, text, sizeof(text), 0);
	if (n <= 0 || !number_parse_u32(str_trim((struct str){ text, (size_t)n }), &number))
		return 0;
	return (pid_t)number;
}

/* Stays open, and with it the lock, as long as the master lives; children do not inherit it. */
static int lock_fd = -1;

int pid_file_fd(void)
{
	return lock_fd;
}

void pid_file_adopt(int fd)
{
	lock_fd = fd;
}

enum err pid_file_take(struct op *op, struct config *config)
{
	const char *path = pid_path(op->arena, config);
	struct str base_dir = config_str(config_scope(config, NULL), SET_base_dir);
	TRY(file_make_dirs(op, str_dup_z(op->arena, base_dir), 0755));
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return op_fail_errno(op, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		enum err e =
			errno == EWOULDBLOCK
				? op_fail(op, ERR_EXISTS,
					  "Pombal runs already with this base_dir, as process %d",
					  (int)read_number(fd))
				: op_fail_errno(op, "lock %s", path);
		close(fd);
		return e;
	}
	struct str text = str_printf(op->arena, "%d\n", (int)getpid());
	lock_fd = fd;
	if (ftruncate(fd, 0) < 0)
		return op_fail_errno(op, "truncate %s", path);
	return file_write_all(op, fd, text);
}

void pid_file_drop(struct config *config)
{
	AUTO_ARENA(arena, 0);
	unlink(pid_path(&arena, config));
}

enum err pid_file_read(struct op *op, struct config *config, pid_t *out)
{
	const char *path = pid_path(op->arena, config);
	AUTO_FD(fd, open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return op_fail_errno(op, "open %s", path);
	/* A file that nobody has locked is left from a master that was killed. */
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return op_fail(op, ERR_NOT_FOUND, "%s is left over: no master runs", path);
	*out = read_number(fd);
	if (*out <= 1)
		return op_fail(op, ERR_NOT_FOUND, "%s has no process number", path);
	return ERR_NONE;
}
