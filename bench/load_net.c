/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the load client: non-blocking sockets, plain or TLS, lines in, bytes out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

static void watch(struct client *c, bool wants_write)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	if (wants_write)
		e.events |= EPOLLOUT;
	c->waits_for_write = wants_write;
	if (epoll_ctl(c->load->epoll_fd, EPOLL_CTL_MOD, c->fd, &e) != 0)
		abort();
}

void client_open(struct client *c)
{
	const struct load_options *o = &c->load->options;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	int one = 1;

	c->is_connected = c->waits_for_write = false;
	c->step = 0;
	c->in_n = c->out_n = 0;
	c->literal = 0;
	c->started_us = load_now_us();
	c->load->opening++;
	c->load->open++;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || inet_pton(AF_INET, o->host, &to.sin_addr) != 1) {
		load_failed(c, "socket", strerror(errno), strlen(strerror(errno)));
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
		load_failed(c, "connect", strerror(errno), strlen(strerror(errno)));
		return;
	}
	if (o->is_tls) {
		c->ssl = SSL_new(c->load->tls);
		SSL_set_fd(c->ssl, c->fd);
		SSL_set_connect_state(c->ssl);
		/* A copy: OpenSSL spends a session of TLS 1.3 on the first connection. */
		SSL_SESSION *copy = c->load->session ? SSL_SESSION_dup(c->load->session) : NULL;
		if (copy)
			SSL_set_session(c->ssl, copy);
		SSL_SESSION_free(copy);
	}
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT, .data.ptr = c };
	c->waits_for_write = true;
	if (epoll_ctl(c->load->epoll_fd, EPOLL_CTL_ADD, c->fd, &e) != 0)
		abort();
}

void client_close(struct client *c)
{
	if (!c->is_connected && c->fd >= 0)
		c->load->opening--;
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0) {
		close(c->fd);
		c->load->open--;
	}
	c->fd = -1;
}

/* Bytes sent; 0: not now; -1: broken. */
static ssize_t send_some(struct client *c)
{
	if (!c->ssl) {
		ssize_t n = send(c->fd, c->out, c->out_n, MSG_NOSIGNAL);
		return n >= 0 ? n : errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	int n = SSL_write(c->ssl, c->out, c->out_n > 1 << 20 ? 1 << 20 : (int)c->out_n);
	if (n > 0)
		return n;
	int e = SSL_get_error(c->ssl, n);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void send_pending(struct client *c)
{
	while (c->out_n > 0) {
		ssize_t n = send_some(c);
		if (n < 0) {
			load_failed(c, "send", "", 0);
			return;
		}
		if (n == 0)
			break;
		c->out += n;
		c->out_n -= (size_t)n;
	}
	if (c->waits_for_write != (c->out_n > 0))
		watch(c, c->out_n > 0);
}

void client_send(struct client *c, const char *bytes, size_t n)
{
	c->out = bytes;
	c->out_n = n;
	send_pending(c);
}

void client_sendf(struct client *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(c->command, sizeof c->command, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof c->command)
		abort();
	client_send(c, c->command, (size_t)n);
}

/* {n} at the end of a line of IMAP announces n bytes that are no lines. */
static uint64_t literal_of(const char *line, size_t n)
{
	if (n < 3 || line[n - 1] != '}')
		return 0;
	const char *open = memrchr(line, '{', n);
	return open ? strtoull(open + 1, NULL, 10) : 0;
}

static void cut_lines(struct client *c)
{
	size_t at = 0;
	while (c->fd >= 0 && at < c->in_n) {
		if (c->literal > 0) {
			size_t n = c->in_n - at < c->literal ? c->in_n - at : c->literal;
			at += n;
			c->literal -= n;
			continue;
		}
		const char *line = c->in + at;
		const char *end = memchr(line, '\n', c->in_n - at);
		if (!end)
			break;
		size_t n = (size_t)(end - line);
		at += n + 1;
		if (n > 0 && line[n - 1] == '\r')
			n--;
		c->literal = literal_of(line, n);
		c->load->mode->on_line(c, line, n);
	}
	if (c->fd < 0)
		return;
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	if (c->in_n == sizeof c->in)
		load_failed(c, "a line is too long", c->in, 80);
}

/* Bytes read; 0: not now; -1: ended. */
static ssize_t read_some(struct client *c, char *out, size_t max)
{
	if (!c->ssl) {
		ssize_t n = recv(c->fd, out, max, 0);
		return n > 0 ? n : n < 0 && errno == EAGAIN ? 0 : -1;
	}
	ERR_clear_error();
	int n = SSL_read(c->ssl, out, (int)max);
	if (n > 0)
		return n;
	int e = SSL_get_error(c->ssl, n);
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static void read_all(struct client *c)
{
	while (c->fd >= 0) {
		ssize_t n = read_some(c, c->in + c->in_n, sizeof c->in - c->in_n);
		if (n == 0)
			return;
		if (n < 0) {
			if (c->load->mode->on_end)
				c->load->mode->on_end(c);
			else
				load_failed(c, "the server closed the connection", "", 0);
			return;
		}
		c->load->bytes += (uint64_t)n;
		c->in_n += (size_t)n;
		cut_lines(c);
	}
}

/* True when the connection can talk. */
static bool finish_connect(struct client *c)
{
	if (c->ssl) {
		ERR_clear_error();
		int r = SSL_connect(c->ssl);
		if (r != 1) {
			int e = SSL_get_error(c->ssl, r);
			bool is_waiting = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
			if (!is_waiting)
				load_failed(c, "TLS handshake", "", 0);
			else if (c->waits_for_write != (e == SSL_ERROR_WANT_WRITE))
				watch(c, e == SSL_ERROR_WANT_WRITE);
			return false;
		}
		c->load->resumed += SSL_session_reused(c->ssl) == 1;
	} else {
		int error = 0;
		socklen_t n = sizeof error;
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		if (error) {
			load_failed(c, "connect", strerror(error), strlen(strerror(error)));
			return false;
		}
	}
	c->is_connected = true;
	c->load->opening--;
	watch(c, false);
	if (c->load->mode->on_open)
		c->load->mode->on_open(c);
	return c->fd >= 0;
}

void client_ready(struct client *c, unsigned events)
{
	if (c->fd < 0)
		return;
	if (!c->is_connected && !finish_connect(c))
		return;
	if ((events & EPOLLOUT) && c->out_n > 0)
		send_pending(c);
	if (c->fd >= 0)
		read_all(c);
}
