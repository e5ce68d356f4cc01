/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: plain streams: reading, writing, limits, ends, parking, handing over. */
#include <sys/socket.h>

#include "net/net.h"
#include "task/test.h"

/* Two streams that talk to each other, in a task. */
struct pair {
	struct op op;
	struct arena arena;
	struct stream *a, *b;
	struct buf received;
	int64_t parked_calls;
};

static void pair_open(struct pair *p, size_t input_max)
{
	int fds[2];
	*p = (struct pair){ 0 };
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, now_us() + 10 * US_PER_SEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_ok(stream_new(&p->op, fds[0], input_max, &p->a));
	assert_ok(stream_new(&p->op, fds[1], input_max, &p->b));
}

static void pair_close(struct pair *p)
{
	stream_abandon(p->a);
	stream_abandon(p->b);
	buf_done(&p->received);
	arena_done(&p->arena);
}

static void say(struct pair *p, struct stream *s, const char *text)
{
	assert_ok(stream_write(&p->op, s, str_from(text)));
	assert_ok(stream_flush(&p->op, s));
}

static void lines_task(void *arg)
{
	struct pair p;
	bool got = true;
	(void)arg;
	pair_open(&p, 1000);
	assert_ok(stream_read_ready(&p.op, p.b, &got));
	assert_false(got);
	say(&p, p.a, "one\r\ntw");
	assert_ok(stream_read_more(&p.op, p.b));
	assert_str(stream_input(p.b), STR("one\r\ntw"));
	stream_consume(p.b, 5);
	say(&p, p.a, "o\r\n");
	assert_ok(stream_read_more(&p.op, p.b));
	assert_str(stream_input(p.b), STR("two\r\n"));
	stream_consume(p.b, 5);
	assert_int_equal(stream_counters(p.b).bytes_in, 10);
	assert_int_equal(stream_counters(p.a).bytes_out, 10);
	assert_int_equal(stream_peer(p.a).family, 0);

	stream_abandon(p.a);
	p.a = NULL;
	assert_err(stream_read_more(&p.op, p.b), ERR_NOT_FOUND);
	assert_err(stream_read_more(&p.op, p.b), ERR_NOT_FOUND);
	assert_ok(stream_write(&p.op, p.b, STR("anybody?")));
	assert_err(stream_flush(&p.op, p.b), ERR_UNAVAILABLE);
	pair_close(&p);
}

static void lines_arrive_and_the_end_is_seen(void **state)
{
	(void)state;
	test_in_task(lines_task, NULL);
}

static void limit_task(void *arg)
{
	struct pair p;
	char out[4];
	size_t n = 0;
	(void)arg;
	pair_open(&p, 8);
	say(&p, p.a, "0123456789ab");
	assert_ok(stream_read_more(&p.op, p.b));
	assert_str(stream_input(p.b), STR("01234567"));
	assert_err(stream_read_more(&p.op, p.b), ERR_LIMIT);
	/* A literal goes past the buffer: first what is in it, then from the socket. */
	assert_ok(stream_read_some(&p.op, p.b, out, sizeof out, &n));
	assert_str(((struct str){ out, n }), STR("0123"));
	assert_ok(stream_read_some(&p.op, p.b, out, sizeof out, &n));
	assert_str(((struct str){ out, n }), STR("4567"));
	assert_ok(stream_read_some(&p.op, p.b, out, sizeof out, &n));
	assert_str(((struct str){ out, n }), STR("89ab"));
	p.op.deadline_us = now_us() + 10 * US_PER_MS;
	assert_err(stream_read_some(&p.op, p.b, out, sizeof out, &n), ERR_TIMEOUT);
	pair_close(&p);
}

static void input_is_bounded(void **state)
{
	(void)state;
	test_in_task(limit_task, NULL);
}

static void reader(void *arg)
{
	struct pair *p = arg;
	struct op op;
	op_init(&op, &p->arena, NULL, now_us() + 10 * US_PER_SEC);
	enum err e;
	while ((e = stream_read_more(&op, p->b)) == ERR_NONE) {
		buf_put(&p->received, stream_input(p->b));
		stream_consume(p->b, stream_input(p->b).n);
	}
	assert_err(e, ERR_NOT_FOUND);
}

static void big_task(void *arg)
{
	enum { BYTES = 5 * 1000 * 1000 };
	struct pair p;
	(void)arg;
	pair_open(&p, 100000);
	char *big = mem_new(BYTES);
	for (size_t i = 0; i < BYTES; i++)
		big[i] = (char)(i * 7 ^ i >> 9);
	struct task_handle t = task_start("reader", reader, &p);
	assert_ok(stream_write(&p.op, p.a, (struct str){ big, BYTES }));
	assert_true(stream_output(p.a)->n <= 64 * 1024);
	assert_ok(stream_close(&p.op, p.a));
	p.a = NULL;
	while (task_is_alive(t))
		assert_ok(task_sleep(&p.op, 1000));
	assert_int_equal(p.received.n, BYTES);
	assert_memory_equal(p.received.p, big, BYTES);
	mem_free(big);
	pair_close(&p);
}

static void big_output_waits_for_the_reader(void **state)
{
	(void)state;
	test_in_task(big_task, NULL);
}

static void note_ready(void *arg)
{
	struct pair *p = arg;
	p->parked_calls++;
}

static void rest(struct pair *p)
{
	assert_ok(task_sleep(&p->op, 3 * US_PER_MS));
}

static void park_task(void *arg)
{
	struct pair p;
	bool got, done;
	(void)arg;
	pair_open(&p, 200000);
	/* Never asked whether there is input: the stream looks itself. */
	assert_true(stream_park(p.b, note_ready, &p));
	rest(&p);
	assert_int_equal(p.parked_calls, 0);
	say(&p, p.a, "x");
	rest(&p);
	say(&p, p.a, "y");
	rest(&p);
	assert_int_equal(p.parked_calls, 1); /* once, not once a byte */

	assert_false(stream_park(p.b, note_ready, &p)); /* unread input */
	assert_ok(stream_read_ready(&p.op, p.b, &got));
	assert_true(got);
	assert_false(stream_park(p.b, note_ready, &p)); /* input nobody looked at */
	assert_ok(stream_read_ready(&p.op, p.b, &got));
	assert_false(got);
	assert_true(stream_park(p.b, note_ready, &p)); /* half a command stays buffered */
	assert_str(stream_input(p.b), STR("xy"));
	stream_unpark(p.b);
	say(&p, p.a, "z");
	rest(&p);
	assert_int_equal(p.parked_calls, 1);
	assert_ok(stream_read_more(&p.op, p.b));
	stream_consume(p.b, 3);

	/* Parked with output that does not fit: called when it can move. */
	do {
		buf_put(stream_output(p.b), STR("0123456789012345678901234567890123456789"));
		assert_ok(stream_flush_ready(&p.op, p.b, &done));
	} while (done);
	assert_true(stream_park(p.b, note_ready, &p));
	rest(&p);
	assert_int_equal(p.parked_calls, 1);
	assert_ok(stream_read_more(&p.op, p.a));
	while (p.parked_calls == 1) {
		stream_consume(p.a, stream_input(p.a).n);
		assert_ok(stream_read_ready(&p.op, p.a, &got));
		rest(&p);
	}
	assert_ok(stream_flush_ready(&p.op, p.b, &done));

	/* Parked, and the peer goes. */
	while (stream_output(p.b)->n) {
		stream_consume(p.a, stream_input(p.a).n);
		assert_ok(stream_read_ready(&p.op, p.a, &got));
		assert_ok(stream_flush_ready(&p.op, p.b, &done));
		rest(&p);
	}
	assert_true(stream_park(p.b, note_ready, &p));
	p.parked_calls = 0;
	stream_abandon(p.a);
	p.a = NULL;
	rest(&p);
	assert_int_equal(p.parked_calls, 1);
	assert_false(stream_park(p.b, note_ready, &p));
	pair_close(&p);
}

static void parked_streams_are_called_once(void **state)
{
	(void)state;
	test_in_task(park_task, NULL);
}

static void hand_over_task(void *arg)
{
	struct pair p;
	struct str leftover;
	(void)arg;
	pair_open(&p, 1000);
	say(&p, p.a, "first second ");
	assert_ok(stream_read_more(&p.op, p.b));
	stream_consume(p.b, 6);
	int fd = stream_take_fd(p.b, &p.arena, &leftover);
	assert_str(leftover, STR("second "));
	say(&p, p.a, "third");
	assert_ok(stream_new(&p.op, fd, 1000, &p.b));
	assert_ok(stream_prepend_input(&p.op, p.b, leftover));
	assert_str(stream_input(p.b), STR("second "));
	assert_ok(stream_read_more(&p.op, p.b));
	assert_str(stream_input(p.b), STR("second third"));
	stream_set_input_max(p.b, 15);
	assert_err(stream_prepend_input(&p.op, p.b, STR("long")), ERR_LIMIT);
	pair_close(&p);
}

static void a_stream_is_handed_over_with_its_input(void **state)
{
	(void)state;
	test_in_task(hand_over_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_arrive_and_the_end_is_seen),
		cmocka_unit_test(input_is_bounded),
		cmocka_unit_test(big_output_waits_for_the_reader),
		cmocka_unit_test(parked_streams_are_called_once),
		cmocka_unit_test(a_stream_is_handed_over_with_its_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
