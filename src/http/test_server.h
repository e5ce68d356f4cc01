/* SPDX-License-Identifier: Apache-2.0 */
/* http/test_server.h - a server that does to each request what its script says, on the test's own loop.
 * Included by *_test.c only. */
#pragma once

#include <arpa/inet.h>
#include <unistd.h>

#include "base/number.h"
#include "net/net.h"
#include "net/tls.h"
#include "task/test.h"

enum then {
	THEN_KEEP, /* wait for the next request */
	THEN_CLOSE,
	THEN_RESET,
	THEN_HANG,   /* say nothing more */
	THEN_STALL,  /* say nothing more, and read nothing either, for a while */
	THEN_REPEAT, /* the same bytes, for ever */
	THEN_DRIP,   /* the reply byte by byte, every 20 ms; then keep */
};
/* What happens to one request, whichever connection it comes on. */
struct act {
	struct str reply;
	enum then then;
	bool ignores_body; /* acts when the header is there */
	int64_t after_us;
};

#define TEST_REQUESTS_MAX 64
struct test_server {
	uint16_t port;
	struct listener *listener;
	struct tls_context *tls; /* NULL: plain */
	const struct act *acts;  /* the last is for all that follow */
	size_t act_count;
	enum tls_peer last_peer; /* what the last client showed */
	bool is_repeated; /* the script: after the last the first, and requests are not kept */
	size_t request_count, connection_count, resumed_count;
	char *requests[TEST_REQUESTS_MAX]; /* header and body, as they came */
	size_t sizes[TEST_REQUESTS_MAX];
	struct wait_queue ended;
	unsigned live;
};

struct test_connection {
	struct test_server *server;
	int fd;
	struct stream *stream;
};

static inline const struct act *test_next_act(const struct test_server *s)
{
	size_t at = s->is_repeated ? s->request_count % s->act_count
				   : MIN(s->request_count, s->act_count - 1);
	return &s->acts[at];
}

/* What is to be done to the next request, when it is there. NULL: the client left. */
static inline const struct act *test_read_request(struct op *op, struct test_connection *x)
{
	struct test_server *s = x->server;
	uint64_t body = 0;
	ssize_t end;
	while ((end = str_find(stream_input(x->stream), STR("\r\n\r\n"))) < 0)
		if (stream_read_more(op, x->stream) != ERR_NONE)
			return NULL;
	const struct act *act = test_next_act(s);
	struct str rest = stream_input(x->stream);
	ssize_t at = str_find_ci(rest, STR("\r\nContent-Length: "));
	if (at >= 0 && at < end && !act->ignores_body) {
		rest = str_slice(rest, (size_t)at + 18, rest.n);
		assert_true(number_cut_u64(&rest, &body));
	}
	size_t n = (size_t)end + 4 + (size_t)body;
	while (stream_input(x->stream).n < n)
		if (stream_read_more(op, x->stream) != ERR_NONE)
			return NULL;
	assert_true(s->is_repeated || s->request_count < TEST_REQUESTS_MAX);
	if (!s->is_repeated) {
		s->sizes[s->request_count] = n;
		s->requests[s->request_count] = str_new_z(str_slice(stream_input(x->stream), 0, n));
	}
	s->request_count++;
	stream_consume(x->stream, n);
	return act;
}

static inline void test_reset(struct op *op, struct test_connection *x)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct str left;
	(void)stream_flush(op, x->stream); /* the client may have left */
	int fd = stream_take_fd(x->stream, op->arena, &left);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
	x->stream = NULL;
}

/* False: the connection is over. */
static inline bool test_act(struct op *op, struct test_connection *x, const struct act *act)
{
	if (act->after_us > 0 && task_sleep(op, act->after_us) != ERR_NONE)
		return false;
	if (act->then == THEN_DRIP) {
		for (size_t i = 0; i < act->reply.n; i++)
			if (stream_write(op, x->stream, str_slice(act->reply, i, i + 1)) !=
					ERR_NONE ||
				stream_flush(op, x->stream) != ERR_NONE ||
				task_sleep(op, 20 * US_PER_MS) != ERR_NONE)
				return false;
		return true;
	}
	if (stream_write(op, x->stream, act->reply) != ERR_NONE ||
		stream_flush(op, x->stream) != ERR_NONE)
		return false;
	while (act->then == THEN_REPEAT)
		if (stream_write(op, x->stream, act->reply) != ERR_NONE ||
			stream_flush(op, x->stream) != ERR_NONE)
			return false;
	if (act->then == THEN_HANG)
		(void)stream_read_more(op, x->stream); /* until the client leaves */
	if (act->then == THEN_STALL)
		(void)task_sleep(op, 300 * US_PER_MS); /* its end is the connection's */
	if (act->then == THEN_RESET)
		test_reset(op, x);
	return act->then == THEN_KEEP;
}

static inline void test_serve(void *arg)
{
	struct test_connection *x = arg;
	struct test_server *s = x->server;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 20 * US_PER_SEC);
	bool goes_on = stream_new(&op, x->fd, 16u << 20, &x->stream) == ERR_NONE;
	if (goes_on && s->tls)
		goes_on = stream_start_tls(&op, x->stream, s->tls) == ERR_NONE;
	s->last_peer = goes_on ? stream_tls_peer(x->stream) : TLS_PEER_NONE;
	s->resumed_count += goes_on && stream_tls_is_resumed(x->stream);
	while (goes_on) {
		const struct act *act = test_read_request(&op, x);
		goes_on = act && test_act(&op, x, act);
	}
	if (x->stream)
		(void)stream_close(&op, x->stream); /* the client may have left */
	mem_free(x);
	s->live--;
	wait_queue_wake_all(&s->ended);
}

static inline void test_accept(int fd, const struct address *peer, void *arg)
{
	struct test_server *s = arg;
	struct test_connection *x = MEM_NEW(struct test_connection);
	(void)peer;
	*x = (struct test_connection){ .server = s, .fd = fd };
	s->connection_count++;
	s->live++;
	task_start("test server", test_serve, x);
}

static inline void test_server_open(
	struct test_server *s, struct tls_context *tls, const struct act *acts, size_t count)
{
	struct op op = test_op(US_PER_SEC);
	struct address at;
	struct sockaddr_in bound;
	socklen_t n = sizeof bound;
	int fd;
	*s = (struct test_server){ .tls = tls, .acts = acts, .act_count = count };
	assert_true(address_parse(STR("127.0.0.1"), &at));
	assert_ok(listen_tcp(&op, &at, 64, &fd));
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &n), 0);
	s->port = ntohs(bound.sin_port);
	assert_ok(listener_open(&op, fd, test_accept, s, &s->listener));
}

/* A new script; requests seen so far are forgotten. */
static inline void test_server_script(struct test_server *s, const struct act *acts, size_t count)
{
	for (size_t i = 0; i < TEST_REQUESTS_MAX; i++) {
		mem_free(s->requests[i]);
		s->requests[i] = NULL;
	}
	s->request_count = s->connection_count = 0;
	s->acts = acts;
	s->act_count = count;
}

/* WAITS until its connections are over: close the clients first. */
static inline void test_server_close(struct test_server *s)
{
	struct op op = test_op(20 * US_PER_SEC);
	listener_close(s->listener);
	while (s->live > 0)
		assert_ok(wait_queue_wait(&op, &s->ended));
	test_server_script(s, NULL, 0);
}

#define REPLY_OK(body_length, body)                                                                \
	STR("HTTP/1.1 200 OK\r\nContent-Length: " #body_length "\r\n\r\n" body)
#define REPLY_STATUS(status) STR("HTTP/1.1 " #status " X\r\nContent-Length: 0\r\n\r\n")
