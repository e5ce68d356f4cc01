/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a server's answer, through libcurl and all of the client: what is told of it stays within the limits.
 * The first byte chooses method and limit. The same bytes are a URL, and the target of a redirect. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWER_BYTES_MAX 65536

struct input {
	struct http_client *client;
	struct str answer;
	unsigned choice;
	int peer, listener;
	uint16_t port;
	bool is_over;
};

/* The whole answer, and the end of it. */
static void serve(void *arg)
{
	struct input *in = arg;
	int fd = -1;
	while (!in->is_over && (fd = accept4(in->listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		task_yield();
	if (fd < 0)
		return;
	(void)send(
		fd, in->answer.p, in->answer.n, MSG_DONTWAIT | MSG_NOSIGNAL); /* it may have left */
	(void)shutdown(fd, SHUT_WR);
	if (in->peer >= 0)
		close(in->peer);
	in->peer = fd;
}

static void check(const struct http_answer *a, size_t answer_max, bool is_head)
{
	struct http_settings limits = http_settings_default();
	ASSERT(a->status >= 100 && a->status <= 999);
	ASSERT(a->header_count <= limits.header_count_max);
	ASSERT(a->body.n <= (a->status >= 300 ? HTTP_ERROR_BODY_MAX : answer_max));
	ASSERT(!is_head || a->body.n == 0);
	for (size_t i = 0; i < a->header_count; i++) {
		ASSERT(a->headers[i].name.n > 0);
		ASSERT(str_find_byte(a->headers[i].name, '\n') < 0);
		ASSERT(str_find_byte(a->headers[i].value, '\n') < 0);
	}
}

static void ask(void *arg)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "DELETE" };
	struct input *in = arg;
	struct http_answer a;
	struct op op;
	AUTO_ARENA(arena, 4u << 20);
	op_init(&op, &arena, NULL, now_us() + US_PER_SEC);
	struct str body = STR("body");
	const struct http_request request = {
		.method = str_from(methods[in->choice & 3]),
		.url = str_printf(&arena, "http://127.0.0.1:%u/path?sig=secret", in->port),
		.parts = &body,
		.part_count = (in->choice & 3) == 2 ? 1 : 0,
		.answer_max = (in->choice & 4) ? 100 : 1u << 20,
	};
	if (http_request(&op, in->client, &request, &a) == ERR_NONE)
		check(&a, request.answer_max, (in->choice & 3) == 1);
	in->is_over = true;
	loop_stop();
}

static void read_url(struct str text)
{
	struct http_url url, home, again;
	struct op op;
	AUTO_ARENA(arena, 4u << 20);
	op_init(&op, &arena, NULL, TIME_NEVER);
	ASSERT(http_url_parse(&op, STR("https://host/a/b?c"), &home) == ERR_NONE);
	if (http_url_follow(&op, &home, text, &url) == ERR_NONE)
		ASSERT(url.host.n > 0 && url.path.n > 0 && url.path.p[0] == '/');
	if (http_url_parse(&op, text, &url) != ERR_NONE)
		return;
	char *same = http_url_text(&arena, &url);
	ASSERT(http_url_parse(&op, str_from(same), &again) == ERR_NONE);
	ASSERT(strcmp(http_url_text(&arena, &again), same) == 0 && again.port == url.port);
	ASSERT(!again.user.p && !again.password.p);
	(void)http_url_target(&arena, &url);
}

static void open_listener(struct input *in)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t n = sizeof at;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ASSERT(bind(in->listener, (struct sockaddr *)&at, n) == 0);
	ASSERT(listen(in->listener, 16) == 0);
	ASSERT(getsockname(in->listener, (struct sockaddr *)&at, &n) == 0);
	in->port = ntohs(at.sin_port);
}

static struct http_client *open_client(void)
{
	struct http_client *c;
	struct op op;
	struct http_settings s = http_settings_default();
	for (unsigned i = 0; i < HTTP_CLASS_COUNT; i++) {
		s.attempts_max[i] = 1;
		s.timeout_us[i] = 50 * US_PER_MS;
	}
	s.redirects_max = 0; /* names in them would be looked up */
	s.breaker_failures = 0;
	s.idle_max_us = 0;
	s.slow_warning_us = 0;
	op_init(&op, NULL, NULL, TIME_NEVER);
	ASSERT(loop_open(&op, NULL) == ERR_NONE);
	ASSERT(http_client_open_with(&op, &s, "fuzz", &c) == ERR_NONE);
	return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in = { .peer = -1 };
	if (size == 0)
		return 0;
	if (!in.client) {
		open_listener(&in);
		in.client = open_client();
	}
	in.choice = data[0];
	in.answer = (struct str){ (const char *)data + 1, MIN(size - 1, ANSWER_BYTES_MAX) };
	read_url(in.answer);
	in.is_over = false;
	task_start("serve", serve, &in);
	task_start("ask", ask, &in);
	loop_run();
	return 0;
}
