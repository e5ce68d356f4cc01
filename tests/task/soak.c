/* SPDX-License-Identifier: Apache-2.0 */
/* Thousands of parked connections: what does one cost, and does each still wake?
 *
 * usage: soak plain|tls CONNECTIONS CERTIFICATE KEY
 *
 * Two server processes (descriptors are limited per process) and one client process, this one. Each
 * connection says one line, gets it back, and is parked; then the servers tell their memory; then
 * every 50th connection is woken; then all close, and the servers must have forgotten them. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/number.h"
#include "net/net.h"
#include "net/tls.h"
#include "task/task.h"

#define SERVERS         2
#define WARM_UP         50 /* connections before memory is first read: pools and caches fill */
#define CONNECT_AT_ONCE 32
#define WAKE_EVERY      50

static bool is_tls;
static size_t connections;
static struct buf certificate, key;

/* Writes why and gives up: this is a test. */
static void must(enum err e, const struct op *op, const char *what)
{
	if (e == ERR_NONE)
		return;
	(void)fprintf(stderr, "soak: %s: %s: %s\n", what, err_name(e), op->failure.text);
	exit(1);
}

static struct op op_for_a_minute(void)
{
	struct op op;
	op_init(&op, NULL, NULL, now_us() + 120 * US_PER_SEC);
	return op;
}

struct memory {
	size_t heap_bytes, resident_bytes, sessions;
};

static struct memory memory_now(size_t sessions)
{
	struct memory m = { .sessions = sessions };
	struct op op;
	struct mallinfo2 info = mallinfo2();
	AUTO_BUF(statm, 0);
	struct str rest, word;
	uint64_t pages = 0;
	op_init(&op, NULL, NULL, TIME_NEVER);
	must(file_read(&op, "/proc/self/statm", 1000, &statm), &op, "statm");
	rest = buf_str(&statm);
	if (str_cut_word(&rest, &word) && str_cut_word(&rest, &word)) /* the second: resident */
		ASSERT(number_parse_u64(word, &pages));
	m.heap_bytes = info.uordblks + info.hblkhd;
	m.resident_bytes = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
	return m;
}

/* ---- servers ---- */

struct session {
	struct stream *stream;
	bool has_shaken_hands;
};

static struct tls_context *server_context;
static size_t sessions;
static struct watch control;

static void session_task(void *arg);

static void session_ready(void *arg)
{
	task_start("session", session_task, arg);
}

/* Echoes whole lines until nothing is left. False: the session is over. */
static bool serve(struct op *op, struct session *s)
{
	struct str line, rest;
	bool got = true;
	if (is_tls && !s->has_shaken_hands) {
		if (stream_start_tls(op, s->stream, server_context) != ERR_NONE)
			return false;
		s->has_shaken_hands = true;
	}
	while (got) {
		rest = stream_input(s->stream);
		size_t before = rest.n;
		while (str_cut(&rest, '\n', &line)) {
			if (stream_write(op, s->stream, line) != ERR_NONE ||
				stream_write(op, s->stream, STR("\n")) != ERR_NONE)
				return false;
		}
		stream_consume(s->stream, before - rest.n);
		if (stream_flush(op, s->stream) != ERR_NONE ||
			stream_read_ready(op, s->stream, &got) != ERR_NONE)
			return false;
	}
	return true;
}

static void session_task(void *arg)
{
	struct session *s = arg;
	struct op op = op_for_a_minute();
	do {
		if (!serve(&op, s)) {
			stream_abandon(s->stream);
			mem_free(s);
			sessions--;
			return;
		}
	} while (!stream_park(s->stream, session_ready, s));
}

static void accepted(int fd, const struct address *peer, void *arg)
{
	struct op op = op_for_a_minute();
	struct session *s = MEM_NEW(struct session);
	(void)peer;
	(void)arg;
	must(stream_new(&op, fd, 10000, &s->stream), &op, "stream_new");
	sessions++;
	task_start("session", session_task, s);
}

/* The client asks for our memory by a byte; the end of the socket ends us. */
static void control_task(void *arg)
{
	struct op op = op_for_a_minute();
	struct arena arena;
	struct packet p;
	(void)arg;
	arena_init(&arena, 0);
	op.arena = &arena;
	while (packet_receive(&op, &control, &p) == ERR_NONE) {
		(void)malloc_trim(0);
		struct memory m = memory_now(sessions);
		struct packet answer = { .bytes = { (const char *)&m, sizeof m } };
		must(packet_send(&op, &control, &answer), &op, "answer");
		arena_reset(&arena);
	}
	arena_done(&arena);
	loop_stop();
}

static int run_server(int listen_fd, int control_fd)
{
	struct op op = op_for_a_minute();
	struct listener *l;
	struct tls_settings settings = {
		.certificate = { .chain_pem = buf_str(&certificate), .key_pem = buf_str(&key) },
	};
	must(loop_open(&op, NULL), &op, "loop");
	if (is_tls)
		must(tls_context_new(&op, &settings, &server_context), &op, "TLS settings");
	must(watch_open(&op, &control, control_fd, NULL, NULL), &op, "control");
	must(listener_open(&op, listen_fd, accepted, NULL, &l), &op, "listener");
	task_start("control", control_task, NULL);
	loop_run();
	listener_close(l);
	watch_close(&control);
	close(control_fd);
	loop_close();
	tls_context_unref(server_context);
	return sessions == 0 ? 0 : 1;
}

/* ---- client ---- */

struct server {
	pid_t pid;
	struct address at;
	struct watch control;
	struct memory before, after, end;
};

static struct server servers[SERVERS];
static struct stream **streams;
static struct tls_context *client_context;
static size_t next_to_open, open_until;
static struct wait_queue opened;
static size_t openers;

static void echo(struct op *op, struct stream *s)
{
	static const struct str line = { "a quick line\n", 13 };
	must(stream_write(op, s, line), op, "write");
	while (stream_input(s).n < line.n)
		must(stream_read_more(op, s), op, "read");
	ASSERT(str_eq(stream_input(s), line));
	stream_consume(s, line.n);
}

static void opener_task(void *arg)
{
	struct op op = op_for_a_minute();
	(void)arg;
	while (next_to_open < open_until) {
		size_t i = next_to_open++;
		int fd;
		must(connect_tcp(&op, &servers[i % SERVERS].at, &fd), &op, "connect");
		must(stream_new(&op, fd, 10000, &streams[i]), &op, "stream_new");
		if (is_tls)
			must(stream_connect_tls(&op, streams[i], client_context, "localhost"), &op,
				"handshake");
		echo(&op, streams[i]);
	}
	if (--openers == 0)
		wait_queue_wake_all(&opened);
}

static void open_connections(struct op *op, size_t until)
{
	open_until = until;
	for (openers = 0; openers < CONNECT_AT_ONCE; openers++)
		task_start("opener", opener_task, NULL);
	while (openers)
		must(wait_queue_wait(op, &opened), op, "opening");
}

static void ask_memory(struct op *op, struct server *s, struct memory *out)
{
	struct arena arena;
	struct packet p;
	arena_init(&arena, 0);
	op->arena = &arena;
	must(packet_send(op, &s->control, &(struct packet){ .bytes = STR("m") }), op, "ask");
	must(packet_receive(op, &s->control, &p), op, "memory");
	ASSERT(p.bytes.n == sizeof *out);
	memcpy(out, p.bytes.p, sizeof *out);
	arena_done(&arena);
}

/* Sessions park, and end, a moment after the client knows. */
static void ask_memory_with(struct op *op, struct server *s, size_t expected, struct memory *out)
{
	for (int i = 0; i < 500; i++) {
		ask_memory(op, s, out);
		if (out->sessions == expected)
			break;
		must(task_sleep(op, 20 * US_PER_MS), op, "sleep");
	}
	ASSERT(out->sessions == expected);
	must(task_sleep(op, 100 * US_PER_MS), op, "sleep");
	ask_memory(op, s, out);
}

static void report(void)
{
	size_t heap = 0, resident = 0, count = 0;
	for (size_t i = 0; i < SERVERS; i++) {
		heap += servers[i].after.heap_bytes - servers[i].before.heap_bytes;
		resident += servers[i].after.resident_bytes - servers[i].before.resident_bytes;
		count += servers[i].after.sessions - servers[i].before.sessions;
	}
	printf("%s %zu connections: heap %zu bytes, resident %zu bytes per connection\n",
		is_tls ? "tls" : "plain", count, heap / count, resident / count);
}

static void client_task(void *arg)
{
	struct op op = op_for_a_minute();
	(void)arg;
	int64_t start = now_us();
	open_connections(&op, WARM_UP * SERVERS);
	for (size_t i = 0; i < SERVERS; i++)
		ask_memory_with(&op, &servers[i], WARM_UP, &servers[i].before);
	open_connections(&op, connections);
	for (size_t i = 0; i < SERVERS; i++)
		ask_memory_with(&op, &servers[i], connections / SERVERS, &servers[i].after);
	report();
	for (size_t i = 0; i < connections; i += WAKE_EVERY)
		echo(&op, streams[i]);
	for (size_t i = 0; i < connections; i++)
		must(stream_close(&op, streams[i]), &op, "close");
	for (size_t i = 0; i < SERVERS; i++)
		ask_memory_with(&op, &servers[i], 0, &servers[i].end);
	printf("%.1f s\n", (double)(now_us() - start) / US_PER_SEC);
	loop_stop();
}

static void start_server(struct op *op, struct server *s)
{
	int fds[2], listen_fd;
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	ASSERT(address_parse(STR("127.0.0.1:0"), &s->at));
	must(listen_tcp(op, &s->at, 1024, &listen_fd), op, "listen");
	ASSERT(getsockname(listen_fd, (struct sockaddr *)&sa, &len) == 0);
	address_from_sockaddr((struct sockaddr *)&sa, len, &s->at);
	ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	s->pid = fork();
	ASSERT(s->pid >= 0);
	if (s->pid == 0) {
		for (struct server *other = servers; other < s; other++)
			close(other->control.fd);
		close(fds[0]);
		exit(run_server(listen_fd, fds[1]));
	}
	close(listen_fd);
	close(fds[1]);
	s->control.fd = fds[0];
}

static int run_client(struct op *op)
{
	int result = 0;
	must(loop_open(op, NULL), op, "loop");
	if (is_tls)
		must(tls_context_new_client(op, buf_str(&certificate), &client_context), op, "CA");
	for (size_t i = 0; i < SERVERS; i++)
		must(watch_open(op, &servers[i].control, servers[i].control.fd, NULL, NULL), op,
			"control");
	streams = mem_new_array(connections, sizeof *streams);
	task_start("client", client_task, NULL);
	loop_run();
	for (size_t i = 0; i < SERVERS; i++) {
		int fd = servers[i].control.fd, status = 0;
		watch_close(&servers[i].control);
		close(fd);
		if (waitpid(servers[i].pid, &status, 0) != servers[i].pid || status != 0)
			result = 1;
	}
	loop_close();
	tls_context_unref(client_context);
	mem_free(streams);
	return result;
}

int main(int argc, char **argv)
{
	struct op op = op_for_a_minute();
	struct rlimit files;
	uint64_t count;
	if (argc != 5 || !number_parse_u64(str_from(argv[2]), &count) || count % SERVERS ||
		count <= WARM_UP * SERVERS) {
		(void)fprintf(stderr, "usage: soak plain|tls CONNECTIONS CERTIFICATE KEY\n");
		return 2;
	}
	is_tls = strcmp(argv[1], "tls") == 0;
	connections = (size_t)count;
	must(file_read(&op, argv[3], 100000, &certificate), &op, "certificate");
	must(file_read(&op, argv[4], 100000, &key), &op, "key");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* connecting will tell */
	}
	for (size_t i = 0; i < SERVERS; i++)
		start_server(&op, &servers[i]);
	int result = run_client(&op);
	buf_done(&certificate);
	buf_done(&key);
	return result;
}
