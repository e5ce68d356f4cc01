/* SPDX-License-Identifier: Apache-2.0 */
/* What a small request costs this process: the HTTP client beside a bare handle of libcurl that keeps its
 * connection. The server is a child that answers everything alike; its CPU is not counted.
 *
 *     http_bench [requests [bytes]]        prints one JSON object per line */
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/number.h"
#include "http/http.h"
#include "task/task.h"

#define BODY_BYTES_MAX (16 << 20)
#define TASKS          8

static char body[BODY_BYTES_MAX], all[BODY_BYTES_MAX + 128], place[BODY_BYTES_MAX];
static size_t body_bytes = 4096;
static char url[64];
static unsigned request_count = 20000;

/* ---- the server ---- */

/* Bytes of the first request in `in`; 0: it is not all there. */
static size_t request_bytes(struct str in)
{
	uint64_t n = 0;
	ssize_t end = str_find(in, STR("\r\n\r\n"));
	if (end < 0)
		return 0;
	ssize_t at = str_find(str_slice(in, 0, (size_t)end), STR("Content-Length: "));
	if (at >= 0) {
		struct str rest = str_slice(in, (size_t)at + 16, in.n);
		(void)number_cut_u64(&rest, &n);
	}
	size_t bytes = (size_t)end + 4 + (size_t)n;
	return in.n >= bytes ? bytes : 0;
}

static void answer(int fd, bool is_get)
{
	size_t bytes = is_get ? body_bytes : 0;
	size_t n = (size_t)snprintf(all, 128,
		"HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef\"\r\nContent-Length: %zu\r\n\r\n",
		bytes);
	memcpy(all + n, body, bytes); /* all is 128 bytes larger */
	for (size_t at = 0; at < n + bytes;) {
		ssize_t sent = write(fd, all + at, n + bytes - at);
		if (sent <= 0)
			_exit(1);
		at += (size_t)sent;
	}
}

static void serve_connection(int fd)
{
	AUTO_BUF(in, 0);
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	for (;;) {
		size_t bytes = request_bytes(buf_str(&in));
		if (bytes > 0) {
			answer(fd, in.p[0] == 'G');
			buf_drop_front(&in, bytes);
			continue;
		}
		ssize_t n = read(fd, buf_reserve(&in, 65536), 65536);
		if (n <= 0)
			return;
		buf_grew(&in, (size_t)n);
	}
}

/* A process for each connection, all of one group. */
static pid_t start_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&at, n) != 0 || listen(fd, 64) != 0 ||
		getsockname(fd, (struct sockaddr *)&at, &n) != 0)
		exit(1);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/bucket/key", ntohs(at.sin_port));
	pid_t pid = fork();
	if (pid != 0) {
		close(fd);
		return pid;
	}
	(void)setpgid(0, 0);
	for (int peer; (peer = accept(fd, NULL, NULL)) >= 0; close(peer)) {
		if (fork() == 0) {
			serve_connection(peer);
			_exit(0);
		}
	}
	_exit(0);
}

/* ---- measuring ---- */

static int64_t cpu_us(void)
{
	struct rusage r;
	(void)getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * US_PER_SEC + r.ru_utime.tv_usec +
	       r.ru_stime.tv_usec;
}

static void report(const char *what, int64_t wall_us, int64_t used_us)
{
	printf("{\"what\": \"%s\", \"requests\": %u, \"cpu_us_each\": %.1f, \"wall_us_each\": "
	       "%.1f}\n",
		what, request_count, (double)used_us / request_count,
		(double)wall_us / request_count);
	fflush(stdout);
}

/* ---- the bare handle ---- */

static size_t take(char *p, size_t size, size_t count, void *arg)
{
	size_t *at = arg;
	memcpy(place + *at, p, MIN(size * count, BODY_BYTES_MAX - *at));
	*at += size * count;
	return size * count;
}

static void run_bare(const char *what, bool is_put)
{
	CURL *easy = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	int64_t wall = now_us(), used = cpu_us();
	for (unsigned i = 0; i < request_count; i++) {
		size_t at = 0;
		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &at);
		if (is_put) {
			curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
			curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
			curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body_bytes);
		}
		if (curl_easy_perform(easy) != CURLE_OK)
			exit(1);
	}
	report(what, now_us() - wall, cpu_us() - used);
	curl_slist_free_all(headers);
	curl_easy_cleanup(easy);
}

/* ---- the client ---- */

struct asker {
	struct http_client *client;
	unsigned count;
	bool is_put;
};

static enum err ask(struct op *op, void *arg)
{
	struct asker *a = arg;
	struct str part = { body, body_bytes };
	struct http_answer out;
	const struct http_request request = {
		.method = a->is_put ? STR("PUT") : STR("GET"),
		.url = str_from(url),
		.parts = &part,
		.part_count = a->is_put ? 1 : 0,
		.answer_max = BODY_BYTES_MAX,
		.is_repeatable = true,
	};
	struct op inner;
	AUTO_ARENA(arena, 0);
	for (unsigned i = 0; i < a->count; i++) {
		arena_reset(&arena);
		op_init(&inner, &arena, op->event, TIME_NEVER);
		TRY(http_request(&inner, a->client, &request, &out));
	}
	return ERR_NONE;
}

static void run_client(
	struct op *op, struct http_client *c, const char *what, bool is_put, unsigned tasks)
{
	struct asker a = { .client = c, .count = request_count / tasks, .is_put = is_put };
	int64_t wall = now_us(), used = cpu_us();
	struct task_group *group = task_group_new(op);
	for (unsigned i = 0; i < tasks; i++)
		task_group_start(group, "ask", ask, &a);
	if (task_group_finish(op, group) != ERR_NONE)
		exit(1);
	report(what, now_us() - wall, cpu_us() - used);
}

static void run_clients(void *arg)
{
	struct http_client *c;
	struct op op;
	AUTO_ARENA(arena, 0);
	(void)arg;
	struct http_settings s = http_settings_default();
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (http_client_open_with(&op, &s, "bench", &c) != ERR_NONE)
		exit(1);
	run_client(&op, c, "client GET", false, 1);
	run_client(&op, c, "client PUT", true, 1);
	run_client(&op, c, "client GET, 8 tasks", false, TASKS);
	run_client(&op, c, "client PUT, 8 tasks", true, TASKS);
	http_client_close(c);
	loop_stop();
}

int main(int argc, char **argv)
{
	struct op op;
	uint32_t wished;
	if (argc > 1 && number_parse_u32(str_from(argv[1]), &wished) && wished >= TASKS)
		request_count = wished;
	if (argc > 2 && number_parse_u32(str_from(argv[2]), &wished))
		body_bytes = MIN(wished, BODY_BYTES_MAX);
	pid_t server = start_server();
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || loop_open(&op, NULL) != ERR_NONE)
		return 1;
	run_bare("bare GET", false);
	run_bare("bare PUT", true);
	task_start("bench", run_clients, NULL);
	loop_run();
	loop_close();
	kill(-server, SIGTERM);
	(void)waitpid(server, NULL, 0);
	return 0;
}
