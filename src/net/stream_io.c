/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing: single attempts first, then the calls that wait built on them. */
#include <errno.h>
#include <unistd.h>

#include "net/net_private.h"

/* Output above this makes writers wait for the peer. */
#define OUTPUT_QUEUE_BYTES (size_t)(64 * 1024)
/* Reads start small, since most commands are, and grow with a burst. */
#define READ_BYTES_FIRST (size_t)(4 * 1024)
#define READ_BYTES_BURST (size_t)(32 * 1024)

/* ---- one attempt ---- */

static enum io_result plain_read(struct stream *s, char *out, size_t n, size_t *out_n)
{
	ssize_t r;
	do
		r = read(s->watch.fd, out, n);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN) {
		watch_forget(&s->watch, WATCH_READ);
		return IO_AGAIN;
	}
	if (r < 0) {
		s->broken_why = strerrordesc_np(errno);
		return IO_FAILED;
	}
	if (r == 0) {
		s->is_ended = true;
		return IO_ENDED;
	}
	/* A short read took all there was; the next edge is still to come, unless the end of input
	 * has been announced already. */
	if ((size_t)r < n && !(s->watch.ready & WATCH_HANGUP))
		watch_forget(&s->watch, WATCH_READ);
	*out_n = (size_t)r;
	return IO_DONE;
}

static enum io_result plain_write(struct stream *s, struct str bytes, size_t *out_n)
{
	ssize_t r;
	do
		r = send(s->watch.fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN) {
		watch_forget(&s->watch, WATCH_WRITE);
		return IO_AGAIN;
	}
	if (r < 0) {
		s->broken_why = strerrordesc_np(errno);
		return IO_FAILED;
	}
	*out_n = (size_t)r;
	return IO_DONE;
}

enum io_result stream_io_read(struct stream *s, char *out, size_t n, size_t *out_n)
{
	if (s->broken_why)
		return IO_FAILED;
	if (s->is_ended)
		return IO_ENDED;
	if (!(s->watch.ready & s->read_wants))
		return IO_AGAIN;
	enum io_result r = s->ssl ? tls_io_read(s, out, n, out_n) : plain_read(s, out, n, out_n);
	s->counters.reads++;
	if (r == IO_DONE)
		s->counters.bytes_in += *out_n;
	return r;
}

enum io_result stream_io_write(struct stream *s, struct str bytes, size_t *out_n)
{
	if (s->broken_why)
		return IO_FAILED;
	if (!(s->watch.ready & s->write_wants))
		return IO_AGAIN;
	enum io_result r = s->ssl ? tls_io_write(s, bytes, out_n) : plain_write(s, bytes, out_n);
	s->counters.writes++;
	if (r == IO_DONE)
		s->counters.bytes_out += *out_n;
	return r;
}

bool stream_io_has_input(struct stream *s)
{
	char byte;
	if (!(s->watch.ready & s->read_wants))
		return false;
	if (s->ssl)
		return tls_io_has_input(s);
	if (recv(s->watch.fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN)
		return true;
	watch_forget(&s->watch, WATCH_READ);
	return false;
}

void stream_io_end_output(struct stream *s)
{
	if (s->ssl)
		tls_io_end_output(s);
	(void)shutdown(s->watch.fd, SHUT_WR); /* the peer may be gone already */
}

enum io_result stream_io_flush(struct stream *s)
{
	while (s->output.n) {
		size_t n = 0;
		enum io_result r = stream_io_write(s, buf_str(&s->output), &n);
		if (r != IO_DONE)
			return r;
		buf_drop_front(&s->output, n);
	}
	return IO_DONE;
}

enum err stream_fail(struct op *op, const struct stream *s)
{
	return op_fail(op, ERR_UNAVAILABLE, "connection broken: %s", s->broken_why);
}

/* ---- input ---- */

struct str stream_input(const struct stream *s)
{
	return buf_str(&s->input);
}

void stream_consume(struct stream *s, size_t n)
{
	ASSERT(n <= s->input.n);
	buf_drop_front(&s->input, n);
	s->wants_more = false;
}

void stream_set_input_max(struct stream *s, size_t bytes)
{
	s->input_max = bytes;
}

/* Known without a system call: nothing to read before the next edge. */
static bool stream_is_exhausted(const struct stream *s)
{
	return !s->broken_why && !s->is_ended && !(s->watch.ready & s->read_wants);
}

static enum err read_result(struct op *op, struct stream *s, enum io_result r)
{
	if (r == IO_FAILED)
		return stream_fail(op, s);
	if (r == IO_ENDED)
		return op_fail(op, ERR_NOT_FOUND, "the peer closed the connection");
	return ERR_NONE;
}

enum err stream_read_ready(struct op *op, struct stream *s, bool *out_got)
{
	if (s->input.n >= s->input_max)
		return op_fail(op, ERR_LIMIT, "more than %zu bytes of input at once", s->input_max);
	if (stream_is_exhausted(s)) {
		s->wants_more = true;
		*out_got = false;
		return ERR_NONE;
	}
	size_t room = s->input_max - s->input.n, got = 0;
	size_t wish = s->input.n < READ_BYTES_FIRST ? READ_BYTES_FIRST : READ_BYTES_BURST;
	char *end = buf_reserve(&s->input, MIN(room, wish));
	enum io_result r = stream_io_read(s, end, MIN(room, wish), &got);
	TRY(read_result(op, s, r));
	if (r == IO_DONE)
		buf_grew(&s->input, got);
	s->wants_more = r != IO_DONE;
	*out_got = r == IO_DONE;
	return ERR_NONE;
}

/* Before anyone waits for the peer's next words he should have ours. */
static enum err wait_for_input(struct op *op, struct stream *s)
{
	if (s->output.n && stream_io_flush(s) == IO_FAILED)
		return stream_fail(op, s);
	return watch_wait(op, &s->watch, s->read_wants | (s->output.n ? s->write_wants : 0));
}

enum err stream_read_more(struct op *op, struct stream *s)
{
	bool got = false;
	for (;;) {
		TRY(stream_read_ready(op, s, &got));
		if (got)
			return ERR_NONE;
		TRY(wait_for_input(op, s));
	}
}

enum err stream_read_some(struct op *op, struct stream *s, char *out, size_t n, size_t *out_n)
{
	ASSERT(n > 0);
	if (s->input.n) {
		*out_n = MIN(n, s->input.n);
		memcpy(out, s->input.p, *out_n);
		stream_consume(s, *out_n);
		return ERR_NONE;
	}
	for (;;) {
		enum io_result r = stream_io_read(s, out, n, out_n);
		TRY(read_result(op, s, r));
		if (r == IO_DONE)
			return ERR_NONE;
		TRY(wait_for_input(op, s));
	}
}

/* ---- output ---- */

struct buf *stream_output(struct stream *s)
{
	return &s->output;
}

/* Until at most `left_max` bytes are queued. */
static enum err flush_until(struct op *op, struct stream *s, size_t left_max)
{
	for (;;) {
		if (stream_io_flush(s) == IO_FAILED)
			return stream_fail(op, s);
		if (s->output.n <= left_max)
			return ERR_NONE;
		TRY(watch_wait(op, &s->watch, s->write_wants));
	}
}

enum err stream_write_check(struct op *op, struct stream *s)
{
	if (s->output.n <= OUTPUT_QUEUE_BYTES)
		return s->broken_why ? stream_fail(op, s) : ERR_NONE;
	return flush_until(op, s, OUTPUT_QUEUE_BYTES);
}

enum err stream_write(struct op *op, struct stream *s, struct str bytes)
{
	while (bytes.n) {
		buf_put(&s->output, str_take(&bytes, OUTPUT_QUEUE_BYTES));
		TRY(stream_write_check(op, s));
	}
	return ERR_NONE;
}

enum err stream_flush(struct op *op, struct stream *s)
{
	return flush_until(op, s, 0);
}

enum err stream_flush_ready(struct op *op, struct stream *s, bool *out_done)
{
	enum io_result r = stream_io_flush(s);
	if (r == IO_FAILED)
		return stream_fail(op, s);
	*out_done = r == IO_DONE;
	return ERR_NONE;
}
