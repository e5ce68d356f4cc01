/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/socket.h>
#include <unistd.h>

#include "cql/cql_private.h"
#include "net/net.h"
#include "task/test.h"

#define TEST(name, fn)                                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		test_in_task(fn, NULL);                                                            \
	}

/* A connection to a node that is `peer`, a descriptor that nobody reads. */
static struct cql_connection *connect_pair(struct op *op, const struct cql_dial *dial, int *peer)
{
	int fds[2];
	struct stream *stream;
	struct address nowhere = { .family = AF_INET };
	struct event *event = event_new(NULL, "test");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(stream_new(op, fds[0], CQL_INPUT_MAX, &stream));
	*peer = fds[1];
	struct cql_connection *c = cql_connection_new(dial, stream, &nowhere, event);
	event_unref(event);
	return c;
}

/* The reader and the flusher hear of it in the same turn of the loop. */
static void run_reset(void *arg)
{
	struct op op = test_op(10 * US_PER_SEC);
	const struct cql_dial dial = { .answer_max = 1 << 20 };
	struct cql_call call = { 0 };
	struct wait_queue answered = { 0 };
	struct buf body = { 0 };
	int peer;
	(void)arg;
	struct cql_connection *c = connect_pair(&op, &dial, &peer);
	memset(buf_reserve(&body, 4 << 20), 'x', 4 << 20);
	buf_grew(&body, 4 << 20);
	assert_true(cql_connection_send(c, CQL_OP_EXECUTE, buf_str(&body), &call, &answered));
	assert_ok(task_sleep(&op, 20 * US_PER_MS)); /* the socket is full, the flusher waits */
	close(peer);
	assert_ok(wait_queue_wait(&op, &answered));
	assert_int_equal(call.state, CQL_CALL_LOST);
	assert_ok(task_sleep(&op, US_PER_MS));
	cql_call_leave(&call);
	cql_connection_close(c);
	buf_done(&body);
}
TEST(a_node_that_goes_while_we_write_is_left_cleanly, run_reset)

struct slow_peer {
	int fd;
	bool is_over;
};

static void read_slowly(void *arg)
{
	struct slow_peer *p = arg;
	struct op op = test_op(TIME_NEVER);
	static char bytes[64 * 1024];
	while (!p->is_over && task_sleep(&op, 10 * US_PER_SEC) == ERR_NONE)
		if (read(p->fd, bytes, sizeof(bytes)) <= 0)
			break;
}

/* Minutes of output are no reason to give up, as long as some of it leaves. */
static void run_slow(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	const struct cql_dial dial = { .answer_max = 1 << 20 };
	struct cql_call call = { 0 };
	struct wait_queue answered = { 0 };
	struct slow_peer peer = { 0 };
	struct buf body = { 0 };
	(void)arg;
	struct cql_connection *c = connect_pair(&op, &dial, &peer.fd);
	memset(buf_reserve(&body, 4 << 20), 'x', 4 << 20);
	buf_grew(&body, 4 << 20);
	assert_true(cql_connection_send(c, CQL_OP_EXECUTE, buf_str(&body), &call, &answered));
	struct task_handle t = task_start("peer", read_slowly, &peer);
	assert_ok(task_sleep(&op, 200 * US_PER_SEC));
	assert_true(cql_connection_works(c));
	peer.is_over = true;
	while (task_is_alive(t))
		assert_ok(task_sleep(&op, US_PER_SEC));
	/* nothing leaves any more */
	assert_ok(task_sleep(&op, 130 * US_PER_SEC));
	assert_false(cql_connection_works(c));
	cql_call_leave(&call);
	cql_connection_close(c);
	close(peer.fd);
	buf_done(&body);
}

static void a_slow_node_is_kept_while_it_reads(void **state)
{
	(void)state;
	test_in_virtual_task(run_slow, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_that_goes_while_we_write_is_left_cleanly),
		cmocka_unit_test(a_slow_node_is_kept_while_it_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
