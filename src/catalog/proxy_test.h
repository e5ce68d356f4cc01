/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP proxy on a thread of its own between a test and a server, that passes bytes on, or loses a
 * request, or an answer, and cuts the connection. Included by *_test.c only. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

#define PROXY_PAIRS 16

enum proxy_mode {
	PROXY_PASSES,
	PROXY_LOSES_REQUESTS, /* cuts when a request comes, which the server never sees */
	PROXY_LOSES_ANSWERS,  /* cuts when an answer comes: the request was carried out */
	PROXY_REFUSES,        /* cuts at once */
	PROXY_ENDS,
};
struct proxy {
	struct sockaddr_in server;
	int listener;
	uint16_t port;
	pthread_t thread;
	_Atomic int mode;
	_Atomic unsigned cuts;
	struct {
		int client, server;
	} pairs[PROXY_PAIRS];
	unsigned count;
};

static inline void proxy_cut(struct proxy *p, unsigned i)
{
	(void)close(p->pairs[i].client);
	(void)close(p->pairs[i].server);
	p->pairs[i] = p->pairs[--p->count];
	atomic_fetch_add(&p->cuts, 1);
}

static inline bool proxy_move(int from, int to)
{
	char bytes[8192];
	ssize_t n = read(from, bytes, sizeof(bytes));
	for (ssize_t at = 0; at < n;) {
		ssize_t done = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (done <= 0)
			return false;
		at += done;
	}
	return n > 0;
}

static inline void proxy_accept(struct proxy *p)
{
	int client = accept(p->listener, NULL, NULL);
	if (client < 0)
		return;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->count == PROXY_PAIRS ||
		connect(server, (struct sockaddr *)&p->server, sizeof(p->server)) < 0) {
		(void)close(client);
		(void)close(server);
		return;
	}
	p->pairs[p->count].client = client;
	p->pairs[p->count++].server = server;
}

static inline void *proxy_main(void *arg)
{
	struct proxy *p = arg;
	int mode;
	while ((mode = atomic_load(&p->mode)) != PROXY_ENDS) {
		struct pollfd fds[2 * PROXY_PAIRS + 1] = { { .fd = p->listener,
			.events = POLLIN } };
		unsigned count = p->count;
		for (unsigned i = 0; i < count; i++) {
			fds[1 + 2 * i] = (struct pollfd){ p->pairs[i].client, POLLIN, 0 };
			fds[2 + 2 * i] = (struct pollfd){ p->pairs[i].server, POLLIN, 0 };
		}
		if (poll(fds, 1 + 2 * count, 5) < 0)
			continue;
		mode = atomic_load(&p->mode);
		for (unsigned i = count; i-- > 0;) {
			bool asks = fds[1 + 2 * i].revents != 0,
			     answers = fds[2 + 2 * i].revents != 0;
			bool is_cut = mode == PROXY_REFUSES ||
				      (mode == PROXY_LOSES_REQUESTS && asks) ||
				      (mode == PROXY_LOSES_ANSWERS && answers);
			if (!is_cut && asks)
				is_cut = !proxy_move(p->pairs[i].client, p->pairs[i].server);
			if (!is_cut && answers)
				is_cut = !proxy_move(p->pairs[i].server, p->pairs[i].client);
			if (is_cut)
				proxy_cut(p, i);
		}
		if (fds[0].revents)
			proxy_accept(p);
	}
	while (p->count)
		proxy_cut(p, p->count - 1);
	return NULL;
}

/* "127.0.0.1:9042" */
static inline void proxy_open(struct proxy *p, const char *server, enum proxy_mode mode)
{
	char host[64];
	const char *colon = strrchr(server, ':');
	struct sockaddr_in own = { .sin_family = AF_INET };
	socklen_t size = sizeof(own);
	memset(p, 0, sizeof(*p));
	assert_true(colon && (size_t)(colon - server) < sizeof(host));
	memcpy(host, server, (size_t)(colon - server));
	host[colon - server] = '\0';
	p->server.sin_family = AF_INET;
	p->server.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	assert_int_equal(inet_pton(AF_INET, host, &p->server.sin_addr), 1);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(listen(p->listener, PROXY_PAIRS), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&own, &size), 0);
	p->port = ntohs(own.sin_port);
	atomic_store(&p->mode, (int)mode);
	assert_int_equal(pthread_create(&p->thread, NULL, proxy_main, p), 0);
}

static inline void proxy_set(struct proxy *p, enum proxy_mode mode)
{
	atomic_store(&p->mode, (int)mode);
}

static inline void proxy_close(struct proxy *p)
{
	proxy_set(p, PROXY_ENDS);
	assert_int_equal(pthread_join(p->thread, NULL), 0);
	(void)close(p->listener);
}
