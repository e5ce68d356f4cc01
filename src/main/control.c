/* SPDX-License-Identifier: Apache-2.0 */
#include "main/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TEXT_BYTES_MAX (8 << 10)

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
};

enum err control_send(struct op *op, int fd, const struct control_message *m)
{
	union control control = { 0 };
	char command = (char)m->command;
	struct iovec iov[2] = {
		{ .iov_base = &command, .iov_len = 1 },
		{ .iov_base = (void *)(uintptr_t)m->text.p,
			.iov_len = MIN(m->text.n, TEXT_BYTES_MAX) },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = ARRAY_COUNT(iov) };
	ASSERT(m->fd_count <= CONTROL_FDS_MAX);
	if (m->fd_count > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(m->fd_count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(m->fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), m->fds, m->fd_count * sizeof(int));
	}
	while (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EINTR)
			return op_fail(
				op, ERR_UNAVAILABLE, "control socket: %s", strerrordesc_np(errno));
	}
	return ERR_NONE;
}

static void take_fds(struct msghdr *msg, struct control_message *out)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = MIN(c->cmsg_len - CMSG_LEN(0), sizeof(out->fds));
		out->fd_count = bytes / sizeof(int);
		memcpy(out->fds, CMSG_DATA(c), out->fd_count * sizeof(int));
	}
}

enum err control_receive(struct op *op, int fd, struct control_message *out, bool *out_got)
{
	union control control = { 0 };
	char bytes[TEXT_BYTES_MAX + 1];
	struct iovec iov = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	*out_got = false;
	if (n < 0 && errno == EAGAIN)
		return ERR_NONE;
	if (n <= 0)
		return op_fail(op, ERR_NOT_FOUND, "the control socket has ended");
	*out = (struct control_message){ .command = (enum control_command)bytes[0] };
	take_fds(&msg, out);
	out->text = str_dup(op->arena, (struct str){ bytes + 1, (size_t)n - 1 });
	*out_got = true;
	return ERR_NONE;
}
