/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: listeners, connecting, messages with descriptors, relays. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net/net.h"
#include "task/test.h"

static void open_op(struct op *op, struct arena *a)
{
	arena_init(a, 0);
	op_init(op, a, NULL, now_us() + 10 * US_PER_SEC);
}

/* ---- listeners ---- */

struct accepted {
	int fds[100];
	size_t count;
	struct address peer;
};

static void note_accepted(int fd, const struct address *peer, void *arg)
{
	struct accepted *a = arg;
	assert_true(a->count < ARRAY_COUNT(a->fds));
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	a->fds[a->count++] = fd;
	a->peer = *peer;
}

static void close_accepted(struct accepted *a)
{
	for (size_t i = 0; i < a->count; i++)
		close(a->fds[i]);
}

static struct address bound_address(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct address a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	address_from_sockaddr((struct sockaddr *)&sa, len, &a);
	return a;
}

static void tcp_task(void *arg)
{
	struct op op;
	struct arena arena;
	struct address at;
	struct accepted got = { 0 };
	struct listener *l;
	int listen_fd, fds[100];
	(void)arg;
	open_op(&op, &arena);
	assert_true(address_parse(STR("127.0.0.1:0"), &at));
	assert_ok(listen_tcp(&op, &at, 128, &listen_fd));
	at = bound_address(listen_fd);
	int other;
	assert_err(listen_tcp(&op, &at, 128, &other), ERR_UNAVAILABLE); /* taken */
	assert_ok(listener_open(&op, listen_fd, note_accepted, &got, &l));
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		assert_ok(connect_tcp(&op, &at, &fds[i]));
	while (got.count < ARRAY_COUNT(fds))
		assert_ok(task_sleep(&op, 1000));
	assert_true(address_is_loopback(&got.peer));
	listener_close(l);
	assert_err(connect_tcp(&op, &at, &other), ERR_UNAVAILABLE);
	for (size_t i = 0; i < ARRAY_COUNT(fds); i++)
		close(fds[i]);
	close_accepted(&got);
	arena_done(&arena);
}

static void tcp_connections_are_accepted(void **state)
{
	(void)state;
	test_in_task(tcp_task, NULL);
}

static void unix_task(void *arg)
{
	struct op op;
	struct arena arena;
	struct accepted got = { 0 };
	struct listener *l;
	struct stat st;
	char path[] = "/tmp/net-test-XXXXXX";
	int listen_fd, fd;
	(void)arg;
	open_op(&op, &arena);
	assert_non_null(mkdtemp(path));
	const char *sock = str_dup_z(&arena, str_printf(&arena, "%s/s", path));
	assert_ok(listen_unix(&op, sock, SOCK_STREAM, 0600, &listen_fd));
	close(listen_fd); /* its file stays, as after a crash */
	assert_ok(listen_unix(&op, sock, SOCK_STREAM, 0666, &listen_fd));
	assert_int_equal(stat(sock, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_ok(listener_open(&op, listen_fd, note_accepted, &got, &l));
	assert_ok(connect_unix(&op, sock, SOCK_STREAM, &fd));
	while (got.count < 1)
		assert_ok(task_sleep(&op, 1000));
	assert_int_equal(got.peer.family, 0);
	listener_close(l);
	close(fd);
	close_accepted(&got);
	assert_int_equal(unlink(sock), 0);
	assert_err(connect_unix(&op, sock, SOCK_STREAM, &fd), ERR_NOT_FOUND);

	int plain = open(sock, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(plain >= 0 && close(plain) == 0);
	assert_err(listen_unix(&op, sock, SOCK_STREAM, 0600, &listen_fd), ERR_UNAVAILABLE);
	assert_int_equal(unlink(sock), 0); /* a file that is no socket was left alone */
	assert_int_equal(rmdir(path), 0);
	char long_path[200];
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	assert_err(listen_unix(&op, long_path, SOCK_STREAM, 0600, &listen_fd), ERR_INVALID);
	assert_err(connect_unix(&op, long_path, SOCK_STREAM, &fd), ERR_INVALID);
	arena_done(&arena);
}

static void unix_sockets_replace_only_sockets(void **state)
{
	(void)state;
	test_in_task(unix_task, NULL);
}

/* ---- messages ---- */

struct watch_pair {
	struct watch a, b;
	int fds[2];
};

static void watch_pair_open(struct op *op, struct watch_pair *p)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, p->fds), 0);
	assert_ok(watch_open(op, &p->a, p->fds[0], NULL, NULL));
	assert_ok(watch_open(op, &p->b, p->fds[1], NULL, NULL));
}

static void watch_pair_close(struct watch_pair *p)
{
	watch_close(&p->a);
	watch_close(&p->b);
	close(p->fds[0]);
	close(p->fds[1]);
}

static size_t open_descriptors(void)
{
	size_t n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void packet_task(void *arg)
{
	struct op op;
	struct arena arena;
	struct watch_pair w;
	struct packet p = { .bytes = STR("hello"), .fd_count = 2 };
	struct packet got;
	int pipe_fds[2];
	char c = 0;
	(void)arg;
	open_op(&op, &arena);
	watch_pair_open(&op, &w);
	assert_int_equal(pipe(pipe_fds), 0);
	memcpy(p.fds, pipe_fds, sizeof pipe_fds);
	assert_ok(packet_send(&op, &w.a, &p));
	assert_ok(packet_receive(&op, &w.b, &got));
	assert_str(got.bytes, STR("hello"));
	assert_int_equal(got.fd_count, 2);
	assert_int_equal(got.fds[2], -1);
	assert_true(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(got.fds[1], "x", 1), 1);
	assert_int_equal(read(pipe_fds[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	close(got.fds[0]);
	close(got.fds[1]);

	/* More descriptors than we take: refused, and none of them stays open. */
	size_t before = open_descriptors();
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(6 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(6 * sizeof(int));
	for (size_t i = 0; i < 6; i++)
		memcpy(CMSG_DATA(h) + i * sizeof(int), &pipe_fds[0], sizeof(int));
	assert_int_equal(sendmsg(w.fds[0], &msg, 0), 1);
	assert_err(packet_receive(&op, &w.b, &got), ERR_INVALID);
	assert_int_equal(open_descriptors(), before);

	/* The largest message, many times, without a reader: waits, then obeys the deadline. */
	char *big = mem_new(PACKET_BYTES_MAX);
	p = (struct packet){ .bytes = { big, PACKET_BYTES_MAX } };
	op.deadline_us = now_us() + 20 * US_PER_MS;
	enum err e;
	size_t sent = 0;
	while ((e = packet_send(&op, &w.a, &p)) == ERR_NONE)
		sent++;
	assert_err(e, ERR_TIMEOUT);
	op.deadline_us = now_us() + 10 * US_PER_SEC;
	for (size_t i = 0; i < sent; i++) {
		assert_ok(packet_receive(&op, &w.b, &got));
		assert_int_equal(got.bytes.n, PACKET_BYTES_MAX);
	}
	mem_free(big);
	assert_int_equal(shutdown(w.fds[0], SHUT_RDWR), 0);
	assert_err(packet_receive(&op, &w.b, &got), ERR_NOT_FOUND);
	assert_err(packet_send(&op, &w.b, &(struct packet){ .bytes = STR("x") }), ERR_UNAVAILABLE);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	watch_pair_close(&w);
	arena_done(&arena);
}

static void messages_carry_descriptors(void **state)
{
	(void)state;
	test_in_task(packet_task, NULL);
}

/* ---- relays ---- */

struct relay_test {
	struct op op;
	struct arena arena;
	struct stream *client, *worker; /* the far ends */
	size_t done;
	struct stream_counters counters;
	struct buf echoed;
};

static void relay_is_done(void *arg, const struct stream_counters *client)
{
	struct relay_test *r = arg;
	r->done++;
	r->counters = *client;
}

static void relay_test_open(struct relay_test *r)
{
	int client_fds[2], worker_fds[2];
	struct stream *near;
	*r = (struct relay_test){ 0 };
	open_op(&r->op, &r->arena);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, worker_fds), 0);
	assert_ok(stream_new(&r->op, client_fds[0], 1000, &r->client));
	assert_ok(stream_new(&r->op, client_fds[1], 1000, &near));
	assert_ok(stream_new(&r->op, worker_fds[0], 100000, &r->worker));
	assert_ok(stream_prepend_input(&r->op, near, STR("early ")));
	assert_ok(relay_start(&r->op, near, worker_fds[1], relay_is_done, r));
	assert_int_equal(relay_count(), 1);
}

static void relay_test_close(struct relay_test *r)
{
	for (int i = 0; i < 1000 && !r->done; i++)
		assert_ok(task_sleep(&r->op, 1000));
	assert_int_equal(r->done, 1);
	assert_int_equal(relay_count(), 0);
	stream_abandon(r->client);
	stream_abandon(r->worker);
	buf_done(&r->echoed);
	arena_done(&r->arena);
}

static void read_until(struct relay_test *r, struct stream *s, struct str expected)
{
	while (stream_input(s).n < expected.n)
		assert_ok(stream_read_more(&r->op, s));
	assert_str(stream_input(s), expected);
	stream_consume(s, expected.n);
}

static void relay_talk_task(void *arg)
{
	struct relay_test r;
	(void)arg;
	relay_test_open(&r);
	assert_ok(stream_write(&r.op, r.client, STR("command")));
	assert_ok(stream_flush(&r.op, r.client));
	read_until(&r, r.worker, STR("early command"));
	assert_ok(stream_write(&r.op, r.worker, STR("answer")));
	assert_ok(stream_flush(&r.op, r.worker));
	read_until(&r, r.client, STR("answer"));

	/* The client has said all; the worker answers still, then ends. */
	int fd = stream_take_fd(r.client, &r.arena, &(struct str){ 0 });
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_ok(stream_new(&r.op, fd, 1000, &r.client));
	assert_err(stream_read_more(&r.op, r.worker), ERR_NOT_FOUND);
	assert_int_equal(r.done, 0);
	assert_ok(stream_write(&r.op, r.worker, STR("bye")));
	assert_ok(stream_close(&r.op, r.worker));
	r.worker = NULL;
	read_until(&r, r.client, STR("bye"));
	assert_err(stream_read_more(&r.op, r.client), ERR_NOT_FOUND);
	relay_test_close(&r);
}

static void a_relay_passes_words_and_ends(void **state)
{
	(void)state;
	test_in_task(relay_talk_task, NULL);
}

static void worker_leaves_task(void *arg)
{
	struct relay_test r;
	(void)arg;
	relay_test_open(&r);
	assert_ok(stream_write(&r.op, r.worker, STR("bye")));
	assert_ok(stream_close(&r.op, r.worker));
	r.worker = NULL;
	/* The client never closes by himself. */
	read_until(&r, r.client, STR("bye"));
	assert_err(stream_read_more(&r.op, r.client), ERR_NOT_FOUND);
	relay_test_close(&r);
}

static void a_relay_ends_when_the_worker_has_gone(void **state)
{
	(void)state;
	test_in_task(worker_leaves_task, NULL);
}

/* The worker's last words, to a client that takes none of them. */
static void deaf_client_task(void *arg)
{
	struct relay_test r;
	bool is_done = true;
	(void)arg;
	relay_test_open(&r);
	while (is_done) {
		for (size_t i = 0; i < 1000; i++)
			buf_put(stream_output(r.worker),
				STR("0123456789012345678901234567890123456789"));
		assert_ok(stream_flush_ready(&r.op, r.worker, &is_done));
		assert_ok(task_sleep(&r.op, 1000)); /* the relay takes what it can */
	}
	stream_abandon(r.worker);
	r.worker = NULL;
	r.op.deadline_us = TIME_NEVER;
	assert_ok(task_sleep(&r.op, 50 * US_PER_SEC));
	assert_int_equal(r.done, 0);
	assert_ok(task_sleep(&r.op, 20 * US_PER_SEC));
	relay_test_close(&r);
}

static void a_relay_gives_up_a_client_that_takes_nothing(void **state)
{
	(void)state;
	test_in_virtual_task(deaf_client_task, NULL);
}

static void client_leaves_task(void *arg)
{
	struct relay_test r;
	(void)arg;
	relay_test_open(&r);
	read_until(&r, r.worker, STR("early "));
	stream_abandon(r.client);
	r.client = NULL;
	assert_err(stream_read_more(&r.op, r.worker), ERR_NOT_FOUND);
	stream_abandon(r.worker);
	r.worker = NULL;
	relay_test_close(&r);
}

static void a_relay_ends_when_the_client_has_gone(void **state)
{
	(void)state;
	test_in_task(client_leaves_task, NULL);
}

static void echo(void *arg)
{
	struct relay_test *r = arg;
	struct op op;
	op_init(&op, &r->arena, NULL, r->op.deadline_us);
	enum err e;
	while ((e = stream_read_more(&op, r->worker)) == ERR_NONE) {
		assert_ok(stream_write(&op, r->worker, stream_input(r->worker)));
		stream_consume(r->worker, stream_input(r->worker).n);
	}
	assert_err(e, ERR_NOT_FOUND);
	assert_ok(stream_close(&op, r->worker));
	r->worker = NULL;
}

static void slow_reader(void *arg)
{
	struct relay_test *r = arg;
	struct op op;
	op_init(&op, &r->arena, NULL, r->op.deadline_us);
	assert_ok(task_sleep(&op, 30 * US_PER_MS)); /* everything in between fills up */
	stream_set_input_max(r->client, 100000);
	while (r->echoed.n < 2000 * 1000 + 6) {
		assert_ok(stream_read_more(&op, r->client));
		buf_put(&r->echoed, stream_input(r->client));
		stream_consume(r->client, stream_input(r->client).n);
	}
}

static void relay_bulk_task(void *arg)
{
	struct relay_test r;
	(void)arg;
	relay_test_open(&r);
	char *big = mem_new(2000 * 1000);
	for (size_t i = 0; i < 2000 * 1000; i++)
		big[i] = (char)(i * 13 ^ i >> 8);
	task_start("echo", echo, &r);
	struct task_handle t = task_start("slow-reader", slow_reader, &r);
	assert_ok(stream_write(&r.op, r.client, (struct str){ big, 2000 * 1000 }));
	assert_ok(stream_flush(&r.op, r.client));
	while (task_is_alive(t))
		assert_ok(task_sleep(&r.op, 1000));
	assert_memory_equal(r.echoed.p + 6, big, 2000 * 1000);
	mem_free(big);
	stream_abandon(r.client);
	r.client = NULL;
	relay_test_close(&r);
	assert_int_equal(r.counters.bytes_in, 2000 * 1000);
	assert_int_equal(r.counters.bytes_out, 2000 * 1000 + 6);
}

static void a_slow_side_holds_the_other_back(void **state)
{
	(void)state;
	test_in_task(relay_bulk_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_connections_are_accepted),
		cmocka_unit_test(unix_sockets_replace_only_sockets),
		cmocka_unit_test(messages_carry_descriptors),
		cmocka_unit_test(a_relay_passes_words_and_ends),
		cmocka_unit_test(a_relay_ends_when_the_worker_has_gone),
		cmocka_unit_test(a_relay_ends_when_the_client_has_gone),
		cmocka_unit_test(a_relay_gives_up_a_client_that_takes_nothing),
		cmocka_unit_test(a_slow_side_holds_the_other_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
