/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: kept, limited, given up, refused; names that are looked up. */
#include "http/test_world.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>

static void run_kept(void *arg)
{
	SCRIPT({ REPLY_OK(1, "1"), .then = THEN_CLOSE }, { REPLY_OK(1, "2") },
		{ STR(""), .then = THEN_CLOSE }, { REPLY_OK(1, "3") },
		{ STR(""), .then = THEN_CLOSE });
	assert_ok(ask(&w, "GET", &a));
	while (w.server.live > 0)
		assert_ok(wait_queue_wait(&w.op, &w.server.ended));
	/* Closed between requests: nobody notices, nothing was sent twice. */
	assert_ok(put(&w, STR("x"), false, &a));
	assert_str(a.body, STR("2"));
	assert_int_equal(a.attempts, 1);
	assert_int_equal(w.server.connection_count, 2);
	/* Closed when the request had been sent: repeated by libcurl if it may be. */
	assert_ok(put(&w, STR("x"), true, &a));
	assert_str(a.body, STR("3"));
	assert_int_equal(a.attempts, 2);
	assert_true(a.maybe_repeated);
	assert_int_equal(w.server.request_count, 4);
	assert_err(put(&w, STR("x"), false, &a), ERR_TIMEOUT);
	assert_int_equal(w.server.request_count, 5);
	world_close(&w);
}

static void connections_closed_between_requests_do_not_matter(void **state)
{
	(void)state;
	test_in_task(run_kept, NULL);
}

static void run_idle(void *arg)
{
	SCRIPT({ REPLY_OK(1, "1") });
	settings.idle_max_us = 50 * US_PER_MS;
	client_again(&w, &settings);
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(w.server.live, 1);
	while (w.server.live > 0) /* the client ends it */
		assert_ok(wait_queue_wait(&w.op, &w.server.ended));
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(w.server.connection_count, 2);
	world_close(&w);
}

static void idle_connections_end(void **state)
{
	(void)state;
	test_in_task(run_idle, NULL);
}

struct asker {
	struct world *w;
	enum err e;
	struct http_answer a;
};

static enum err ask_task(struct op *op, void *arg)
{
	struct asker *asker = arg;
	struct world *w = asker->w;
	struct str body = STR("body");
	const struct http_request request = { .method = STR("PUT"),
		.url = w->url,
		.parts = &body,
		.part_count = 1,
		.answer_max = 100 };
	asker->e = http_request(op, w->client, &request, &asker->a);
	return ERR_NONE;
}

struct upload {
	struct world *w;
	struct str body;
	enum err e;
	bool has_ended;
};

static void upload_main(void *arg)
{
	struct upload *u = arg;
	struct http_answer a;
	u->e = put(u->w, u->body, false, &a);
	u->has_ended = true;
}

/* A listener that takes little at once; its connections inherit that. */
static int narrow_listener(struct sockaddr_in *at)
{
	int bytes = 4096, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof *at;
	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)at, n), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &n), 0);
	return fd;
}

/* All of a body is with the kernel, which gets rid of it slowly: that is no silence. */
static void run_slow_upload(void *arg)
{
	static char body[120000], taken[4096];
	struct sockaddr_in at;
	size_t got = 0;
	SCRIPT({ REPLY_OK(1, "1") });
	settings.attempts_max[HTTP_WRITE] = 1;
	settings.timeout_us[HTTP_WRITE] = 250 * US_PER_MS;
	client_again(&w, &settings);
	int listener = narrow_listener(&at);
	w.url = str_printf(&w.arena, "http://127.0.0.1:%u/", ntohs(at.sin_port));
	struct upload u = { .w = &w, .body = { body, sizeof body } };
	(void)task_start("upload", upload_main, &u);
	assert_ok(task_sleep(&w.op, 20 * US_PER_MS));
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	while (got < sizeof body && !u.has_ended) {
		assert_ok(task_sleep(&w.op, 20 * US_PER_MS));
		ssize_t n = read(fd, taken, sizeof taken);
		got += n > 0 ? (size_t)n : 0;
	}
	struct str reply = REPLY_OK(1, "1");
	assert_int_equal(write(fd, reply.p, reply.n), reply.n);
	while (!u.has_ended)
		assert_ok(task_sleep(&w.op, US_PER_MS));
	assert_ok(u.e);
	world_close(&w);
	close(fd);
	close(listener);
}

static void a_body_that_leaves_slowly_is_not_silent(void **state)
{
	(void)state;
	test_in_task(run_slow_upload, NULL);
}

static void run_parallel(void *arg)
{
	SCRIPT({ REPLY_OK(1, "1"), .after_us = 20 * US_PER_MS });
	settings.connections_max = 3;
	client_again(&w, &settings);
	struct asker askers[20];
	struct task_group *group = task_group_new(&w.op);
	for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
		askers[i] = (struct asker){ .w = &w };
		task_group_start(group, "asker", ask_task, &askers[i]);
	}
	assert_ok(task_group_finish(&w.op, group));
	for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
		assert_ok(askers[i].e);
		assert_int_equal(askers[i].a.attempts, 1);
	}
	assert_int_equal(w.server.connection_count, 3);
	world_close(&w);
}

static void connections_are_limited_and_requests_queue(void **state)
{
	(void)state;
	test_in_task(run_parallel, NULL);
}

static void cancelled_main(void *arg)
{
	struct asker *asker = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 100 * US_PER_SEC);
	(void)ask_task(&op, asker); /* its error is in the asker */
}

static void run_cancel(void *arg)
{
	SCRIPT({ STR(""), .then = THEN_HANG }, { STR(""), .then = THEN_HANG },
		{ REPLY_OK(1, "1") });
	settings.connections_max = 2;
	client_again(&w, &settings);
	/* Two at the server, two in the queue. */
	struct asker askers[4];
	struct task_handle tasks[4];
	for (size_t i = 0; i < 4; i++) {
		askers[i] = (struct asker){ .w = &w };
		tasks[i] = task_start("asker", cancelled_main, &askers[i]);
	}
	while (w.server.request_count < 2)
		assert_ok(task_sleep(&w.op, US_PER_MS));
	for (size_t i = 0; i < 3; i++)
		task_cancel(tasks[i]);
	while (task_is_alive(tasks[3]))
		assert_ok(task_sleep(&w.op, US_PER_MS));
	for (size_t i = 0; i < 3; i++)
		assert_err(askers[i].e, ERR_CANCELLED);
	assert_ok(askers[3].e);
	world_close(&w);
}

static void cancelled_requests_leave_nothing(void **state)
{
	(void)state;
	test_in_task(run_cancel, NULL);
}

static void run_refused(void *arg)
{
	SCRIPT({ REPLY_OK(1, "1") });
	struct address at;
	struct sockaddr_in bound;
	socklen_t n = sizeof bound;
	int fd;
	/* A port that nobody listens on: bound, and kept by us. */
	assert_true(address_parse(STR("127.0.0.1"), &at));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	bound = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)&bound, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &n), 0);
	w.url = str_printf(&w.arena, "http://127.0.0.1:%u/", ntohs(bound.sin_port));
	assert_err(put(&w, STR("x"), false, &a), ERR_UNAVAILABLE);
	assert_int_equal(http_counters(w.client).attempts, 3); /* connect_attempts_max */
	w.url = STR("http://name.invalid/");
	assert_err(put(&w, STR("x"), false, &a), ERR_UNAVAILABLE);
	assert_true(strstr(w.op.failure.text, "name.invalid") != NULL);
	close(fd);
	world_close(&w);
}

static void refused_connections_are_certain_failures(void **state)
{
	(void)state;
	test_in_task(run_refused, NULL);
}

static void run_queue(void *arg)
{
	SCRIPT({ STR(""), .then = THEN_HANG });
	settings.connections_max = 1;
	client_again(&w, &settings);
	struct asker asker = { .w = &w };
	struct task_handle task = task_start("asker", cancelled_main, &asker);
	while (w.server.request_count < 1)
		assert_ok(task_sleep(&w.op, US_PER_MS));
	/* It never left: so nothing was done, though time ran out. */
	w.op.deadline_us = now_us() + 20 * US_PER_MS;
	assert_err(put(&w, STR("x"), false, &a), ERR_UNAVAILABLE);
	w.op.deadline_us = now_us() + 100 * US_PER_SEC;
	task_cancel(task);
	while (task_is_alive(task))
		assert_ok(task_sleep(&w.op, US_PER_MS));
	world_close(&w);
}

static void what_only_queued_was_not_done(void **state)
{
	(void)state;
	test_in_task(run_queue, NULL);
}

/* The C library's, but for one name, whose lookup waits for us: libcurl finds this one first. */
static atomic_uint slow_lookups, slow_done;
static atomic_bool may_go_on;

int getaddrinfo(const char *restrict node, const char *restrict service,
	const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	bool is_slow = node && strcmp(node, "slow.example") == 0;
	if (is_slow) {
		atomic_fetch_add(&slow_lookups, 1);
		while (!atomic_load(&may_go_on))
			usleep(1000);
	}
	int r = real(is_slow ? "127.0.0.1" : node, service, hints, out);
	if (is_slow)
		atomic_fetch_add(&slow_done, 1);
	return r;
}

static void run_lookup(void *arg)
{
	SCRIPT({ REPLY_OK(1, "1") });
	w.url = str_printf(&w.arena, "http://slow.example:%u/", w.server.port);
	struct asker asker = { .w = &w };
	struct task_handle task = task_start("asker", cancelled_main, &asker);
	while (atomic_load(&slow_lookups) == 0)
		assert_ok(task_sleep(&w.op, US_PER_MS));
	/* The loop goes on meanwhile, and nobody waits for the thread when the request is given up. */
	task_cancel(task);
	while (task_is_alive(task))
		assert_ok(task_sleep(&w.op, US_PER_MS));
	assert_err(asker.e, ERR_CANCELLED);
	assert_int_equal(atomic_load(&slow_done), 0);
	atomic_store(&may_go_on, true);
	/* Who waits gets it, and the next one has it at once. */
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(atomic_load(&slow_lookups), 2);
	assert_ok(task_sleep(&w.op, 20 * US_PER_MS));
	assert_ok(ask(&w, "GET", &a));
	assert_int_equal(atomic_load(&slow_lookups), 2);
	SAW(0, "Host: slow.example:");
	while (atomic_load(&slow_done) < 2)
		assert_ok(task_sleep(&w.op, US_PER_MS));
	world_close(&w);
}

static void names_are_looked_up_beside_the_loop(void **state)
{
	(void)state;
	test_in_task(run_lookup, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_closed_between_requests_do_not_matter),
		cmocka_unit_test(idle_connections_end),
		cmocka_unit_test(a_body_that_leaves_slowly_is_not_silent),
		cmocka_unit_test(connections_are_limited_and_requests_queue),
		cmocka_unit_test(cancelled_requests_leave_nothing),
		cmocka_unit_test(refused_connections_are_certain_failures),
		cmocka_unit_test(what_only_queued_was_not_done),
		cmocka_unit_test(names_are_looked_up_beside_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
