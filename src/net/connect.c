/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting out. */
#include <errno.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/net_private.h"
#include "task/task.h"

/* A UNIX listener whose queue is full says EAGAIN and has no way to tell when there is room. */
#define RETRY_US (5 * US_PER_MS)

static enum err wait_connected(struct op *op, int fd, const char *to)
{
	struct watch w;
	int error_number = 0;
	socklen_t len = sizeof error_number;
	TRY(watch_open(op, &w, fd, NULL, NULL));
	enum err e = watch_wait(op, &w, WATCH_WRITE);
	watch_close(&w);
	if (e != ERR_NONE)
		return op_within(op, e, "connect to %s", to);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &len) != 0)
		return op_fail_errno(op, "connect to %s", to);
	if (error_number == 0)
		return ERR_NONE;
	errno = error_number;
	return op_fail_errno(op, "connect to %s", to);
}

/* Takes fd when it fails. */
static enum err connect_fd(
	struct op *op, int fd, const struct sockaddr *sa, socklen_t len, const char *to)
{
	enum err e = ERR_NONE;
	int ret;
	while ((ret = connect(fd, sa, len)) != 0 && errno == EAGAIN && e == ERR_NONE)
		e = task_sleep(op, RETRY_US);
	if (e == ERR_NONE && ret != 0)
		e = errno == EINPROGRESS ? wait_connected(op, fd, to)
					 : op_fail_errno(op, "connect to %s", to);
	if (e != ERR_NONE)
		close(fd);
	return e;
}

enum err connect_tcp(struct op *op, const struct address *to, int *out_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = address_to_sockaddr(to, &sa);
	int fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return op_fail_errno(op, "TCP socket");
	AUTO_BUF(text, 0);
	address_put(&text, to, true);
	buf_put_byte(&text, '\0');
	TRY(connect_fd(op, fd, (struct sockaddr *)&sa, len, text.p));
	*out_fd = fd;
	return ERR_NONE;
}

enum err unix_socket(
	struct op *op, const char *path, int type, struct sockaddr_un *out, int *out_fd)
{
	size_t n = strlen(path);
	if (n >= sizeof out->sun_path)
		return op_fail(op, ERR_INVALID, "socket path %s is longer than %zu bytes", path,
			sizeof out->sun_path - 1);
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(out->sun_path, path, n);
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return op_fail_errno(op, "UNIX socket");
	*out_fd = fd;
	return ERR_NONE;
}

enum err connect_unix(struct op *op, const char *path, int type, int *out_fd)
{
	struct sockaddr_un sa;
	int fd;
	TRY(unix_socket(op, path, type, &sa, &fd));
	TRY(connect_fd(op, fd, (struct sockaddr *)&sa, sizeof sa, path));
	*out_fd = fd;
	return ERR_NONE;
}
