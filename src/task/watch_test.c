/* SPDX-License-Identifier: Apache-2.0 */
/* Tests: descriptors and signals on the loop. */
#include <fcntl.h>
#include <sys/socket.h>

#include "task/test.h"

struct end {
	struct watch watch;
	unsigned calls, bits;
};

static void note_edge(struct watch *w, unsigned events, void *arg)
{
	struct end *e = arg;
	(void)w;
	e->calls++;
	e->bits |= events;
}

static void open_pair(struct op *op, struct end *a, struct end *b, watch_fn *fn)
{
	int fds[2];
	*a = *b = (struct end){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_ok(watch_open(op, &a->watch, fds[0], fn, a));
	assert_ok(watch_open(op, &b->watch, fds[1], fn, b));
}

static void close_end(struct end *e)
{
	int fd = e->watch.fd;
	watch_close(&e->watch);
	watch_close(&e->watch); /* harmless */
	close(fd);
}

/* Lets the kernel's events come in. */
static void look(struct op *op)
{
	assert_ok(task_sleep(op, 2 * US_PER_MS));
}

static void edges_task(void *arg)
{
	struct op op = test_op(10 * US_PER_SEC);
	struct end a, b;
	char text[10];
	(void)arg;
	open_pair(&op, &a, &b, note_edge);
	look(&op);
	assert_int_equal(b.bits, 0); /* nobody asked about output */
	watch_forget(&b.watch, WATCH_WRITE);
	look(&op);
	assert_int_equal(b.bits, WATCH_WRITE);
	b.calls = b.bits = 0;
	assert_int_equal(write(a.watch.fd, "x", 1), 1);
	look(&op);
	look(&op);
	assert_int_equal(b.calls, 1); /* one edge, though it stays readable */
	assert_true(b.bits & WATCH_READ);
	assert_ok(watch_wait(&op, &b.watch, WATCH_READ)); /* known: does not wait */
	assert_int_equal(read(b.watch.fd, text, sizeof text), 1);

	watch_forget(&b.watch, WATCH_READ);
	struct op soon = test_op(5 * US_PER_MS);
	assert_err(watch_wait(&soon, &b.watch, WATCH_READ), ERR_TIMEOUT);
	b.calls = 0;
	watch_on(&b.watch, NULL, NULL);
	assert_int_equal(write(a.watch.fd, "x", 1), 1);
	assert_ok(watch_wait(&op, &b.watch, WATCH_READ));
	assert_int_equal(b.calls, 0);
	watch_on(&b.watch, note_edge, &b); /* an edge that is known already */
	assert_int_equal(b.calls, 0);
	look(&op);
	assert_int_equal(b.calls, 1);

	assert_false(b.watch.ready & WATCH_HANGUP);
	close_end(&a);
	look(&op);
	assert_true(b.watch.ready & WATCH_HANGUP);
	watch_forget(&b.watch, WATCH_READ | WATCH_HANGUP);
	assert_true(b.watch.ready & WATCH_HANGUP);
	close_end(&b);
}

static void edges_are_told_once_and_remembered(void **state)
{
	(void)state;
	test_in_task(edges_task, NULL);
}

struct waiter {
	struct watch *watch;
	unsigned events;
	enum err result;
	bool has_ended;
};

static void wait_for_events(void *arg)
{
	struct waiter *w = arg;
	struct op op = test_op(10 * US_PER_SEC);
	w->result = watch_wait(&op, w->watch, w->events);
	w->has_ended = true;
}

static void waiters_task(void *arg)
{
	struct op op = test_op(10 * US_PER_SEC);
	struct end a, b;
	static char block[65536];
	(void)arg;
	open_pair(&op, &a, &b, NULL);
	look(&op);
	while (write(a.watch.fd, block, sizeof block) > 0) {
	}
	watch_forget(&a.watch, WATCH_READ | WATCH_WRITE);
	struct waiter reads = { &a.watch, WATCH_READ, ERR_NONE, false };
	struct waiter writes = { &a.watch, WATCH_WRITE, ERR_NONE, false };
	struct waiter either = { &a.watch, WATCH_READ | WATCH_WRITE, ERR_NONE, false };
	task_start("reads", wait_for_events, &reads);
	task_start("writes", wait_for_events, &writes);
	task_start("either", wait_for_events, &either);
	look(&op);
	assert_false(reads.has_ended || writes.has_ended || either.has_ended);
	while (read(b.watch.fd, block, sizeof block) > 0) {
	}
	look(&op);
	assert_true(writes.has_ended && either.has_ended && !reads.has_ended);

	watch_close(&a.watch); /* takes those who wait with it */
	task_yield();
	assert_true(reads.has_ended);
	assert_err(reads.result, ERR_CANCELLED);
	close_end(&b);
}

static void waiters_get_what_they_wait_for(void **state)
{
	(void)state;
	test_in_task(waiters_task, NULL);
}

/* Both become ready in one batch; the first to be called closes the other. */
static struct end *const *rivals;

static void close_the_rival(struct watch *w, unsigned events, void *arg)
{
	struct end *e = arg;
	(void)w;
	if (!(events & WATCH_READ))
		return;
	e->calls++;
	close_end(e == rivals[0] ? rivals[1] : rivals[0]);
}

static void closing_task(void *arg)
{
	struct op op = test_op(10 * US_PER_SEC);
	struct end a, b, c, d;
	struct end *both[] = { &b, &d };
	(void)arg;
	rivals = both;
	open_pair(&op, &a, &b, NULL);
	open_pair(&op, &c, &d, NULL);
	look(&op);
	b.watch.fn = d.watch.fn = close_the_rival;
	b.watch.arg = &b;
	d.watch.arg = &d;
	assert_int_equal(write(a.watch.fd, "x", 1), 1);
	assert_int_equal(write(c.watch.fd, "x", 1), 1);
	look(&op);
	assert_int_equal(b.calls + d.calls, 1);
	close_end(&a);
	close_end(&c);
	close_end(b.calls ? &b : &d);
}

static void a_closed_watch_is_never_called(void **state)
{
	(void)state;
	test_in_task(closing_task, NULL);
}

static void bad_descriptor_task(void *arg)
{
	struct op op = test_op(TIME_NEVER);
	struct watch w;
	(void)arg;
	assert_err(watch_open(&op, &w, 9999, NULL, NULL), ERR_UNAVAILABLE);
	assert_int_equal(w.fd, -1);
	watch_close(&w);
}

static void a_bad_descriptor_is_refused(void **state)
{
	(void)state;
	test_in_task(bad_descriptor_task, NULL);
}

/* ---- signals ---- */

static int signals_seen[2];

static void note_signal(int signal_number, void *arg)
{
	assert_int_equal(signal_number, *(const int *)arg);
	signals_seen[signal_number == SIGUSR2]++;
}

static void signal_task(void *arg)
{
	static const int one = SIGUSR1, two = SIGUSR2;
	struct op op = test_op(TIME_NEVER);
	static int numbers[2];
	(void)arg;
	numbers[0] = one;
	numbers[1] = two;
	assert_ok(loop_on_signal(&op, SIGUSR1, note_signal, &numbers[0]));
	assert_ok(loop_on_signal(&op, SIGUSR2, note_signal, &numbers[1]));
	look(&op); /* with a thread per task the loop blocks them from now on */
	assert_int_equal(kill(getpid(), SIGUSR2), 0);
	look(&op);
	assert_int_equal(signals_seen[0], 0);
	assert_int_equal(signals_seen[1], 1);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(kill(getpid(), SIGUSR2), 0);
	look(&op);
	assert_int_equal(signals_seen[0], 1);
	assert_int_equal(signals_seen[1], 2);
}

static void signals_are_callbacks(void **state)
{
	(void)state;
	test_in_task(signal_task, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_are_told_once_and_remembered),
		cmocka_unit_test(waiters_get_what_they_wait_for),
		cmocka_unit_test(a_closed_watch_is_never_called),
		cmocka_unit_test(a_bad_descriptor_is_refused),
		cmocka_unit_test(signals_are_callbacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
