/* SPDX-License-Identifier: Apache-2.0 */
/* A relay copies between a client's stream (usually TLS) and a plain socket, without a task.
 *
 * Each direction:  OPEN --source ended, all delivered--> ENDED (passed on as half-close).
 * A direction reads only when what it read before has been taken, so a slow side holds the other
 * one back and a relay never holds more than one burst a direction.
 *
 * The relay is over when both directions ended, when one side breaks, or when the worker has closed
 * altogether and the client has got its last words, or takes none of them for a minute. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "net/net_private.h"

/* Bytes of one read. */
#define BURST_BYTES (size_t)(64 * 1024)
/* Bursts of one turn; then others have theirs. */
#define TURN_BURSTS 4

/* For a client that takes nothing while nobody is left to end the session. */
#define LAST_WORDS_US (60 * US_PER_SEC)

struct relay {
	/* owned */
	struct stream *client;
	struct watch worker;
	struct buf to_worker; /* read from the client, not yet taken; to the client: its output */
	relay_done_fn *done;
	void *arg;
	struct timer last_words; /* runs while the worker has gone and the client does not take */
	uint64_t taken_bytes;    /* what the client had taken when that timer was set */
	bool client_ended;       /* end of the client's words, passed on */
	bool worker_ended;
};

static size_t relays;

size_t relay_count(void)
{
	return relays;
}

static void relay_end(struct relay *r)
{
	struct stream_counters counters = stream_counters(r->client);
	relay_done_fn *done = r->done;
	void *arg = r->arg;
	int fd = r->worker.fd;
	timer_cancel(&r->last_words);
	watch_close(&r->worker);
	close(fd);
	stream_abandon(r->client);
	buf_done(&r->to_worker);
	mem_free(r);
	relays--;
	done(arg, &counters);
}

/* ---- client to worker ---- */

static enum io_result worker_write(struct relay *r, struct str bytes, size_t *out_n)
{
	ssize_t n;
	if (!(r->worker.ready & WATCH_WRITE))
		return IO_AGAIN;
	do
		n = send(r->worker.fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		watch_forget(&r->worker, WATCH_WRITE);
		return IO_AGAIN;
	}
	*out_n = n < 0 ? 0 : (size_t)n;
	return n < 0 ? IO_FAILED : IO_DONE;
}

static enum io_result worker_flush(struct relay *r)
{
	while (r->to_worker.n) {
		size_t n = 0;
		enum io_result io = worker_write(r, buf_str(&r->to_worker), &n);
		if (io != IO_DONE)
			return io;
		buf_drop_front(&r->to_worker, n);
	}
	buf_done(&r->to_worker);
	return IO_DONE;
}

/* What the worker does not take at once waits in to_worker. */
static enum io_result worker_deliver(struct relay *r, struct str bytes)
{
	while (bytes.n) {
		size_t n = 0;
		enum io_result io = worker_write(r, bytes, &n);
		if (io == IO_FAILED)
			return io;
		if (io == IO_AGAIN) {
			buf_put(&r->to_worker, bytes);
			return io;
		}
		(void)str_take(&bytes, n);
	}
	return IO_DONE;
}

/* IO_DONE: there may be more. IO_AGAIN: blocked until an edge. IO_ENDED: passed on. */
static enum io_result client_to_worker(struct relay *r, char *scratch)
{
	size_t n = 0;
	if (r->client_ended)
		return IO_ENDED;
	enum io_result io = worker_flush(r);
	if (io != IO_DONE)
		return io;
	io = stream_io_read(r->client, scratch, BURST_BYTES, &n);
	if (io == IO_DONE)
		return worker_deliver(r, (struct str){ scratch, n });
	if (io == IO_ENDED) {
		(void)shutdown(r->worker.fd, SHUT_WR); /* it may have closed already */
		r->client_ended = true;
	}
	return io;
}

/* ---- worker to client ---- */

static enum io_result worker_read(struct relay *r, char *out, size_t *out_n)
{
	ssize_t n;
	if (!(r->worker.ready & WATCH_READ))
		return IO_AGAIN;
	do
		n = read(r->worker.fd, out, BURST_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		watch_forget(&r->worker, WATCH_READ);
		return IO_AGAIN;
	}
	*out_n = n < 0 ? 0 : (size_t)n;
	return n < 0 ? IO_FAILED : n == 0 ? IO_ENDED : IO_DONE;
}

static enum io_result worker_to_client(struct relay *r, char *scratch)
{
	size_t n = 0;
	if (r->worker_ended)
		return IO_ENDED;
	enum io_result io = stream_io_flush(r->client);
	if (io != IO_DONE)
		return io;
	buf_done(&r->client->output);
	io = worker_read(r, scratch, &n);
	if (io == IO_ENDED) {
		stream_io_end_output(r->client);
		r->worker_ended = true;
	}
	if (io != IO_DONE)
		return io;
	buf_put(&r->client->output, (struct str){ scratch, n });
	return stream_io_flush(r->client);
}

/* ---- turns ---- */

static bool worker_is_gone(const struct relay *r)
{
	struct pollfd p = { .fd = r->worker.fd };
	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static bool is_over(const struct relay *r, enum io_result up, enum io_result down)
{
	if (up == IO_FAILED || down == IO_FAILED)
		/* What the worker said before it went still has to reach the client. */
		return down == IO_FAILED || r->worker_ended || r->client->broken_why;
	return r->worker_ended && (r->client_ended || worker_is_gone(r));
}

/* The worker's own patience ended with it. */
static void watch_last_words(struct relay *r)
{
	if (r->last_words.heap_index || r->client->output.n == 0 || !worker_is_gone(r))
		return;
	r->taken_bytes = r->client->counters.bytes_out;
	timer_set(&r->last_words, now_us() + LAST_WORDS_US);
}

static void last_words_late(void *arg)
{
	struct relay *r = arg;
	if (r->client->counters.bytes_out == r->taken_bytes)
		relay_end(r);
	else
		watch_last_words(r);
}

static void relay_event(struct watch *w, unsigned events, void *arg);

static void relay_turn(struct relay *r)
{
	char *scratch = mem_resize(NULL, BURST_BYTES);
	enum io_result up = IO_DONE, down = IO_DONE;
	bool is_relay_over = false;
	for (int i = 0; i < TURN_BURSTS && !is_relay_over; i++) {
		if (up == IO_DONE)
			up = client_to_worker(r, scratch);
		if (down == IO_DONE)
			down = worker_to_client(r, scratch);
		is_relay_over = is_over(r, up, down);
		if (up != IO_DONE && down != IO_DONE)
			break;
	}
	mem_free(scratch);
	if (is_relay_over) {
		relay_end(r);
		return;
	}
	watch_last_words(r);
	if (up == IO_DONE || down == IO_DONE)
		watch_on(&r->worker, relay_event,
			r); /* ready still: called again after the others */
}

static void relay_event(struct watch *w, unsigned events, void *arg)
{
	(void)w;
	(void)events;
	relay_turn(arg);
}

enum err relay_start(
	struct op *op, struct stream *client, int worker_fd, relay_done_fn *done, void *arg)
{
	struct relay *r = MEM_NEW(struct relay);
	r->client = client;
	r->done = done;
	r->arg = arg;
	timer_init(&r->last_words, last_words_late, r);
	enum err e = net_set_nonblocking(op, worker_fd);
	if (e == ERR_NONE)
		e = watch_open(op, &r->worker, worker_fd, NULL, NULL);
	if (e != ERR_NONE) {
		close(worker_fd);
		stream_abandon(client);
		mem_free(r);
		return e;
	}
	relays++;
	r->worker.ready = WATCH_READ | WATCH_WRITE; /* unknown: the first turn tries */
	/* What the client sent before we came goes first. */
	buf_put(&r->to_worker, stream_input(client));
	buf_done(&client->input);
	client->watch.fn = relay_event;
	client->watch.arg = r;
	watch_on(&r->worker, relay_event, r);
	return ERR_NONE;
}
