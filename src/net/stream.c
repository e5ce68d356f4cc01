/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a stream: made of a descriptor, parked, handed over, closed. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/net_private.h"

static void learn_addresses(struct stream *s, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		address_from_sockaddr((struct sockaddr *)&sa, len, &s->peer);
	len = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		address_from_sockaddr((struct sockaddr *)&sa, len, &s->local);
}

enum err net_set_nonblocking(struct op *op, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_NONBLOCK))
		return ERR_NONE;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return op_fail_errno(op, "make descriptor %d non-blocking", fd);
	return ERR_NONE;
}

enum err stream_new(struct op *op, int fd, size_t input_max_bytes, struct stream **out)
{
	struct stream *s = MEM_NEW(struct stream);
	s->input_max = input_max_bytes;
	s->read_wants = WATCH_READ;
	s->write_wants = WATCH_WRITE;
	learn_addresses(s, fd);
	int on = 1;
	if (s->local.family)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only speed */
	enum err e = net_set_nonblocking(op, fd);
	if (e == ERR_NONE)
		e = watch_open(op, &s->watch, fd, NULL, NULL);
	if (e != ERR_NONE) {
		close(fd);
		mem_free(s);
		return e;
	}
	s->watch.ready = WATCH_READ | WATCH_WRITE; /* unknown: the first call tries */
	*out = s;
	return ERR_NONE;
}

/* Everything but the descriptor. */
static int stream_free(struct stream *s)
{
	int fd = s->watch.fd;
	watch_close(&s->watch);
	SSL_free(s->ssl); /* before its context; NULL is fine */
	tls_context_unref(s->tls_chosen);
	tls_context_unref(s->tls);
	buf_done(&s->input);
	buf_done(&s->output);
	mem_free(s);
	return fd;
}

void stream_abandon(struct stream *s)
{
	if (s)
		close(stream_free(s));
}

enum err stream_close(struct op *op, struct stream *s)
{
	enum err e = stream_flush(op, s);
	if (e == ERR_NONE)
		stream_io_end_output(s);
	stream_abandon(s);
	return e;
}

/* ---- parking ---- */

static void parked_event(struct watch *w, unsigned events, void *arg)
{
	struct stream *s = arg;
	unsigned wanted = s->read_wants | (s->output.n ? s->write_wants : 0) | WATCH_HANGUP;
	if (!(events & wanted))
		return;
	watch_on(w, NULL, NULL);
	s->on_ready(s->on_ready_arg);
}

bool stream_park(struct stream *s, stream_ready_fn *fn, void *arg)
{
	if (s->input.n && !s->wants_more)
		return false;
	if (s->is_ended || s->broken_why || stream_io_has_input(s))
		return false;
	if (s->output.n && stream_io_flush(s) == IO_FAILED)
		return false;
	if (!s->input.n)
		buf_done(&s->input);
	if (!s->output.n)
		buf_done(&s->output);
	s->on_ready = fn;
	s->on_ready_arg = arg;
	/* Not watch_on(): what is ready now was exhausted above, so only new edges count. */
	s->watch.fn = parked_event;
	s->watch.arg = s;
	return true;
}

void stream_unpark(struct stream *s)
{
	watch_on(&s->watch, NULL, NULL);
}

/* ---- facts ---- */

struct stream_counters stream_counters(const struct stream *s)
{
	return s->counters;
}

struct address stream_peer(const struct stream *s)
{
	return s->peer;
}

struct address stream_local(const struct stream *s)
{
	return s->local;
}

void stream_set_addresses(struct stream *s, struct address local, struct address peer)
{
	s->local = local;
	s->peer = peer;
}

bool stream_is_tls(const struct stream *s)
{
	return s->ssl != NULL;
}

/* ---- handing over ---- */

int stream_take_fd(struct stream *s, struct arena *a, struct str *out_leftover)
{
	ASSERT(!s->ssl && s->output.n == 0);
	*out_leftover = buf_dup(a, &s->input);
	return stream_free(s);
}

enum err stream_prepend_input(struct op *op, struct stream *s, struct str bytes)
{
	size_t total;
	if (add_overflows(bytes.n, s->input.n, &total) || total > s->input_max)
		return op_fail(op, ERR_LIMIT,
			"%zu bytes before the input are above its limit of %zu", bytes.n,
			s->input_max);
	struct buf joined = { 0 };
	buf_put(&joined, bytes);
	buf_put(&joined, buf_str(&s->input));
	buf_done(&s->input);
	s->input = joined;
	s->wants_more = false;
	return ERR_NONE;
}
