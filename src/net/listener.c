/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, and accepting from the loop. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/net_private.h"

/* Connections of one turn; then others have theirs. */
#define TURN_ACCEPTS 64
/* Out of descriptors or memory: time for some to be closed. */
#define PAUSE_US (100 * US_PER_MS)

struct listener {
	struct watch watch;
	struct timer pause;
	listener_fn *fn;
	void *arg;
	bool is_closed; /* by the callback: freed when it returns */
	bool is_accepting;
};

enum err listen_tcp(struct op *op, const struct address *at, int backlog, int *out_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = address_to_sockaddr(at, &sa);
	int on = 1;
	int fd = socket(at->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return op_fail_errno(op, "TCP socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* bind() will tell */
	if (at->family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, backlog) == 0) {
		*out_fd = fd;
		return ERR_NONE;
	}
	AUTO_BUF(text, 0);
	address_put(&text, at, true);
	enum err e = op_fail_errno(op, "listen on %.*s", STRF(buf_str(&text)));
	close(fd);
	return e;
}

/* A socket file that a dead process left is replaced; anything else in its place is not. */
static void remove_old_socket(const char *path)
{
	struct stat st;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path); /* bind() will tell */
}

enum err listen_unix(struct op *op, const char *path, int type, unsigned mode, int *out_fd)
{
	struct sockaddr_un sa;
	int fd;
	TRY(unix_socket(op, path, type, &sa, &fd));
	remove_old_socket(path);
	/* Before bind(), so that the file never has more rights than it shall have. */
	if (fchmod(fd, mode) == 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0 &&
		chmod(path, mode) == 0 && listen(fd, SOMAXCONN) == 0) {
		*out_fd = fd;
		return ERR_NONE;
	}
	enum err e = op_fail_errno(op, "listen on %s", path);
	close(fd);
	return e;
}

/* False: nothing more for now. */
static bool accept_one(struct listener *l)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct address peer;
	int fd = accept4(l->watch.fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		address_from_sockaddr((struct sockaddr *)&sa, len, &peer);
		l->fn(fd, &peer, l->arg);
		return true;
	}
	if (errno == EAGAIN) {
		watch_forget(&l->watch, WATCH_READ);
		return false;
	}
	if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO)
		return true; /* this one connection is gone already */
	timer_set(&l->pause, now_us() + PAUSE_US);
	return false;
}

static void listener_event(struct watch *w, unsigned events, void *arg)
{
	struct listener *l = arg;
	bool may_be_more = true;
	(void)events;
	if (l->pause.heap_index)
		return;
	l->is_accepting = true;
	for (int i = 0; i < TURN_ACCEPTS && may_be_more && !l->is_closed; i++)
		may_be_more = accept_one(l);
	l->is_accepting = false;
	if (l->is_closed)
		mem_free(l);
	else if (may_be_more)
		watch_on(w, listener_event, l); /* ready still: called again after the others */
}

static void pause_over(void *arg)
{
	struct listener *l = arg;
	watch_on(&l->watch, listener_event, l);
}

enum err listener_open(
	struct op *op, int listen_fd, listener_fn *fn, void *arg, struct listener **out)
{
	struct listener *l = MEM_NEW(struct listener);
	l->fn = fn;
	l->arg = arg;
	timer_init(&l->pause, pause_over, l);
	enum err e = net_set_nonblocking(op, listen_fd);
	if (e == ERR_NONE)
		e = watch_open(op, &l->watch, listen_fd, listener_event, l);
	if (e != ERR_NONE) {
		close(listen_fd);
		mem_free(l);
		return e;
	}
	*out = l;
	return ERR_NONE;
}

void listener_close(struct listener *l)
{
	if (!l)
		return;
	int fd = l->watch.fd;
	timer_cancel(&l->pause);
	watch_close(&l->watch);
	close(fd);
	l->is_closed = true;
	if (!l->is_accepting)
		mem_free(l);
}
