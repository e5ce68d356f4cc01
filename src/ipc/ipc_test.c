/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/handover.h"
#include "ipc/ipc.h"
#include "ipc/shared.h"
#include "net/net.h"
#include "task/task.h"

struct fixture {
	char dir[64];
	char path[96];
	struct ipc_server *server;
	struct ipc_client *client;
	struct arena arena;
	int listen_fd; /* as the master keeps it */
	int calls_done;
	int calls_failed;
};

/* Sends back the "text" field and the descriptor; "fail" fails with client text; "slow" sleeps. */
static enum err echo(struct op *op, const struct ipc_peer *peer, struct ipc_message *request,
	struct ipc_message *reply, void *arg)
{
	struct str text;
	int64_t number;
	(void)arg;
	assert_int_equal(peer->pid, getpid());
	assert_true(ipc_get_str(request, "text", &text));
	assert_true(ipc_get_int(request, "number", &number));
	if (str_eq(text, STR("fail"))) {
		(void)op_fail(op, ERR_DENIED, "secret reason");
		op_tell_client(op, "go away");
		return ERR_DENIED;
	}
	if (str_eq(text, STR("slow")))
		TRY(task_sleep(op, 10 * US_PER_SEC));
	ipc_put_str(reply, "text", text);
	ipc_put_int(reply, "number", number + 1);
	int fd = ipc_take_fd(request, 0);
	if (fd >= 0) {
		ipc_put_fd(reply, fd);
		close(fd);
	}
	return ERR_NONE;
}

static enum err call(struct fixture *f, struct op *op, const char *text, int64_t number, int fd,
	struct ipc_message *reply)
{
	struct ipc_message request;
	ipc_message_init(&request, IPC_SESSION);
	ipc_message_init(reply, IPC_SESSION);
	ipc_put_str(&request, "text", str_from(text));
	ipc_put_int(&request, "number", number);
	if (fd >= 0)
		ipc_put_fd(&request, fd);
	enum err e = ipc_call(op, f->client, &request, reply);
	ipc_message_done(&request);
	return e;
}

static void fields_and_descriptors_travel(struct fixture *f)
{
	struct op op;
	struct ipc_message reply;
	struct str text;
	int64_t number;
	int ends[2];
	op_init(&op, &f->arena, NULL, now_us() + 5 * US_PER_SEC);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(call(f, &op, "hello", -5, ends[1], &reply), ERR_NONE);
	close(ends[1]);
	assert_true(ipc_get_str(&reply, "text", &text));
	assert_true(str_eq(text, STR("hello")));
	assert_true(ipc_get_int(&reply, "number", &number));
	assert_int_equal(number, -4);
	int back = ipc_take_fd(&reply, 0);
	assert_true(back >= 0);
	assert_int_equal(write(back, "x", 1), 1);
	char c;
	assert_int_equal(read(ends[0], &c, 1), 1);
	close(back);
	close(ends[0]);
	ipc_message_done(&reply);
}

static void failures_keep_class_and_client_text(struct fixture *f)
{
	struct op op;
	struct ipc_message reply;
	op_init(&op, &f->arena, NULL, now_us() + 5 * US_PER_SEC);
	assert_int_equal(call(f, &op, "fail", 0, -1, &reply), ERR_DENIED);
	assert_string_equal(op.failure.text, "secret reason");
	assert_string_equal(op.failure.client_text, "go away");
	ipc_message_done(&reply);
}

static void a_deadline_ends_the_wait_and_a_late_reply_harms_nobody(struct fixture *f)
{
	struct op op;
	struct ipc_message reply;
	op_init(&op, &f->arena, NULL, now_us() + 20 * US_PER_MS);
	assert_int_equal(call(f, &op, "slow", 0, -1, &reply), ERR_TIMEOUT);
	ipc_message_done(&reply);
	fields_and_descriptors_travel(f);
}

static void one_call(void *arg)
{
	struct fixture *f = arg;
	struct arena arena;
	struct op op;
	struct ipc_message reply;
	int64_t number = 0;
	arena_init(&arena, 1 << 20);
	op_init(&op, &arena, NULL, now_us() + 5 * US_PER_SEC);
	if (call(f, &op, "many", f->calls_done, -1, &reply) == ERR_NONE &&
		ipc_get_int(&reply, "number", &number))
		f->calls_done++;
	else
		f->calls_failed++;
	ipc_message_done(&reply);
	arena_done(&arena);
}

static void many_calls_share_the_connection(struct fixture *f)
{
	struct op op;
	for (int i = 0; i < 500; i++)
		task_start("call", one_call, f);
	op_init(&op, &f->arena, NULL, now_us() + 20 * US_PER_SEC);
	while (f->calls_done + f->calls_failed < 500)
		assert_int_equal(task_sleep(&op, US_PER_MS), ERR_NONE);
	assert_int_equal(f->calls_failed, 0);
}

static void calls_fail_when_the_server_leaves_and_work_when_it_is_back(struct fixture *f)
{
	struct op op;
	struct ipc_message reply;
	int fd;
	ipc_server_close(f->server);
	op_init(&op, &f->arena, NULL, now_us() + 5 * US_PER_SEC);
	assert_int_equal(task_sleep(&op, 10 * US_PER_MS), ERR_NONE);
	assert_int_equal(call(f, &op, "gone", 0, -1, &reply), ERR_UNAVAILABLE);
	ipc_message_done(&reply);
	assert_int_equal(listen_unix(&op, f->path, SOCK_SEQPACKET, 0600, &fd), ERR_NONE);
	f->listen_fd = dup(fd);
	assert_int_equal(ipc_serve(&op, fd, "echo", echo, f, &f->server), ERR_NONE);
	fields_and_descriptors_travel(f);
}

/* Two processes on one listening socket: nobody who calls notices that the first one leaves. */
static void a_server_is_replaced_under_calls(struct fixture *f)
{
	struct op op;
	struct ipc_server *old = f->server;
	op_init(&op, &f->arena, NULL, now_us() + 20 * US_PER_SEC);
	f->calls_done = f->calls_failed = 0;
	for (int i = 0; i < 50; i++)
		task_start("call", one_call, f);
	task_yield(); /* some are sent, none is answered */
	ipc_server_retire(old);
	for (int i = 0; i < 50; i++)
		task_start("call", one_call, f);
	ipc_server_finish(&op, old);
	ipc_server_close(old);
	assert_int_equal(ipc_serve(&op, f->listen_fd, "echo", echo, f, &f->server), ERR_NONE);
	while (f->calls_done + f->calls_failed < 100)
		assert_int_equal(task_sleep(&op, US_PER_MS), ERR_NONE);
	assert_int_equal(f->calls_failed, 0);
}

static void script(void *arg)
{
	struct fixture *f = arg;
	fields_and_descriptors_travel(f);
	failures_keep_class_and_client_text(f);
	a_deadline_ends_the_wait_and_a_late_reply_harms_nobody(f);
	many_calls_share_the_connection(f);
	calls_fail_when_the_server_leaves_and_work_when_it_is_back(f);
	a_server_is_replaced_under_calls(f);
	ipc_client_free(f->client);
	ipc_server_close(f->server);
	loop_stop();
}

static void calls_over_a_real_socket(void **state)
{
	(void)state;
	struct fixture f = { .dir = "/tmp/pombal-ipc-XXXXXX" };
	struct op op;
	int fd;
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/echo", f.dir);
	arena_init(&f.arena, 1 << 24);
	op_init(&op, &f.arena, NULL, TIME_NEVER);
	assert_int_equal(loop_open(&op, NULL), ERR_NONE);
	assert_int_equal(listen_unix(&op, f.path, SOCK_SEQPACKET, 0600, &fd), ERR_NONE);
	assert_int_equal(ipc_serve(&op, fd, "echo", echo, &f, &f.server), ERR_NONE);
	f.client = ipc_client_new(str_from(f.path));
	task_start("script", script, &f);
	loop_run();
	loop_close();
	arena_done(&f.arena);
	unlink(f.path);
	rmdir(f.dir);
}

static void the_shared_page_tells_every_shards_worker(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct shared_page *master, *other;
	const struct shared_page *role;
	int fd;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_int_equal(shared_page_create(&op, 16, 2, &fd, &master), ERR_NONE);
	assert_int_equal(shared_page_map(&op, fd, &role), ERR_NONE);
	uint32_t before = shared_worker_of(role, STR("u1@example.test"));
	assert_true(before < 2);
	for (uint32_t i = 0; i < 16; i++)
		shared_set_worker(master, i, 1);
	assert_int_equal(shared_worker_of(role, STR("u1@example.test")), 1);
	assert_int_equal(shared_page_create(&op, 0, 2, &fd, &other), ERR_INVALID);
	/* A role cannot write to it. */
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	shared_page_unmap(role);
	shared_page_unmap(master);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_over_a_real_socket),
		cmocka_unit_test(the_shared_page_tells_every_shards_worker),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
