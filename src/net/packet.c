/* SPDX-License-Identifier: Apache-2.0 */
/* Messages over UNIX seqpacket sockets, with descriptors. */
#include <errno.h>
#include <unistd.h>

#include "net/net.h"
#include "task/task.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

enum err packet_send(struct op *op, struct watch *w, const struct packet *p)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)p->bytes.p, .iov_len = p->bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ASSERT(p->bytes.n > 0 && p->bytes.n <= PACKET_BYTES_MAX && p->fd_count <= PACKET_FDS_MAX);
	if (p->fd_count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(p->fd_count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(p->fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), p->fds, p->fd_count * sizeof(int));
	}
	for (;;) {
		if (sendmsg(w->fd, &msg, MSG_NOSIGNAL) >= 0)
			return ERR_NONE;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return op_fail(
				op, ERR_UNAVAILABLE, "send a message: %s", strerrordesc_np(errno));
		watch_forget(w, WATCH_WRITE);
		TRY(watch_wait(op, w, WATCH_WRITE));
	}
}

/* Takes every descriptor that came, also those of a message that is refused. */
static void take_fds(struct msghdr *msg, struct packet *out)
{
	out->fd_count = 0;
	for (size_t i = 0; i < PACKET_FDS_MAX; i++)
		out->fds[i] = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t bytes = MIN(c->cmsg_len - CMSG_LEN(0), sizeof out->fds);
		out->fd_count = bytes / sizeof(int);
		memcpy(out->fds, CMSG_DATA(c), out->fd_count * sizeof(int));
	}
}

static enum err check(struct op *op, const struct msghdr *msg, ssize_t n, struct packet *p)
{
	bool is_cut = msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC);
	if (n > 0 && !is_cut)
		return ERR_NONE;
	for (size_t i = 0; i < p->fd_count; i++)
		close(p->fds[i]);
	if (!is_cut)
		return op_fail(op, ERR_NOT_FOUND, "the peer closed the connection");
	return op_fail(op, ERR_INVALID, "a message of more than %d bytes or %d descriptors",
		PACKET_BYTES_MAX, PACKET_FDS_MAX);
}

/* One attempt; *out_again: nothing there. */
static enum err receive_once(
	struct op *op, struct watch *w, char *scratch, struct packet *out, bool *out_again)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = scratch, .iov_len = PACKET_BYTES_MAX };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes,
	};
	struct packet p;
	ssize_t n;
	do
		n = recvmsg(w->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	*out_again = n < 0 && errno == EAGAIN;
	if (*out_again)
		return ERR_NONE;
	if (n < 0)
		return op_fail(
			op, ERR_UNAVAILABLE, "receive a message: %s", strerrordesc_np(errno));
	take_fds(&msg, &p);
	TRY(check(op, &msg, n, &p));
	p.bytes = str_dup(op->arena, (struct str){ scratch, (size_t)n });
	*out = p;
	return ERR_NONE;
}

enum err packet_receive(struct op *op, struct watch *w, struct packet *out)
{
	for (;;) {
		bool is_again = false;
		if (!(w->ready & WATCH_READ)) /* known without a system call */
			TRY(watch_wait(op, w, WATCH_READ));
		char *scratch = mem_resize(NULL, PACKET_BYTES_MAX);
		enum err e = receive_once(op, w, scratch, out, &is_again);
		mem_free(scratch); /* not kept over the wait: thousands may wait here */
		if (e != ERR_NONE || !is_again)
			return e;
		watch_forget(w, WATCH_READ);
	}
}
