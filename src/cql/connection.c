/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life after it was opened: requests out, answers to who waits for them, its end.
 *
 * Tasks:   the reader lives as long as the stream; a flusher runs while there is output. Of the two who
 *          ends last frees the stream: one event may wake both.
 * States:  works -> broken (broken_why set, calls lost, stream being closed) -> freed when the owner, the
 *          reader and the flusher have let go. */
#include "cql/connection_private.h"

#include "cql/cql_private.h"
#include "net/net.h"

#define STREAMS_MAX   32768
#define STREAMS_FIRST 64
#define ORPHANS_MAX   1024
#define INPUT_MAX     CQL_INPUT_MAX
#define OUTPUT_MAX    (size_t)(32 * 1024 * 1024) /* queued for a node that does not read */
#define READ_STEP     (size_t)(256 * 1024)
#define COMPRESS_MIN  (size_t)512
#define FLUSH_US      (60 * US_PER_SEC)

/* Who waits for the answer on a stream id. */
enum slot_use { SLOT_FREE, SLOT_CALL, SLOT_ORPHAN, SLOT_BEAT };
struct slot {
	struct cql_call *call; /* of SLOT_CALL */
	enum slot_use use;
};

void cql_answer_done(struct cql_answer *a)
{
	buf_done(&a->bytes);
	a->body = STR_NONE;
}

static void connection_unref(struct cql_connection *c)
{
	if (--c->references > 0)
		return;
	ASSERT(!c->stream);
	mem_free(c->slots);
	mem_free(c->free_ids);
	mem_free(c->broken_why);
	buf_done(&c->body);
	buf_done(&c->scratch);
	event_unref(c->event);
	mem_free(c);
}

bool cql_connection_works(const struct cql_connection *c)
{
	return c && !c->broken_why;
}

int64_t cql_connection_silent_us(const struct cql_connection *c)
{
	return c->asked_us != 0 ? now_us() - c->asked_us : 0;
}

static void note_read(struct cql_connection *c)
{
	c->last_read_us = now_us();
	c->asked_us = 0;
}

/* ---- stream ids ---- */

static bool take_id(struct cql_connection *c, struct slot slot, uint16_t *out)
{
	if (c->free_count == 0) {
		size_t count = c->slot_count ? c->slot_count * 2 : STREAMS_FIRST;
		if (count > STREAMS_MAX)
			return false;
		c->slots = mem_resize(c->slots, count * sizeof(*c->slots));
		c->free_ids = mem_resize(c->free_ids, count * sizeof(*c->free_ids));
		for (size_t id = count; id-- > c->slot_count;) {
			c->slots[id] = (struct slot){ 0 };
			c->free_ids[c->free_count++] = (uint16_t)id;
		}
		c->slot_count = count;
	}
	*out = c->free_ids[--c->free_count];
	c->slots[*out] = slot;
	c->in_flight++;
	if (c->asked_us == 0)
		c->asked_us = now_us();
	return true;
}

static void free_id(struct cql_connection *c, uint16_t id)
{
	if (c->slots[id].use == SLOT_ORPHAN)
		c->orphans--;
	if (c->slots[id].use == SLOT_BEAT)
		c->is_beating = false;
	c->slots[id] = (struct slot){ 0 };
	c->free_ids[c->free_count++] = id;
	c->in_flight--;
	if (c->room)
		wait_queue_wake_one(c->room);
}

static void call_ends(struct cql_call *call, enum cql_call_state state)
{
	call->state = state;
	call->connection = NULL;
	wait_queue_wake_all(call->waiter);
}

void cql_call_leave(struct cql_call *call)
{
	struct cql_connection *c = call->connection;
	if (call->state == CQL_CALL_SENT) {
		c->slots[call->stream] = (struct slot){ .use = SLOT_ORPHAN };
		if (++c->orphans > ORPHANS_MAX)
			cql_connection_break(c, "too many requests without an answer");
	}
	cql_answer_done(&call->answer);
	*call = (struct cql_call){ 0 };
}

/* ---- the end ---- */

void cql_connection_break(struct cql_connection *c, const char *why)
{
	if (c->broken_why)
		return;
	c->broken_why = str_new_z(str_from(why));
	timer_cancel(&c->heartbeat);
	for (size_t id = 0; id < c->slot_count; id++) {
		struct cql_call *call = c->slots[id].call;
		if (call)
			call_ends(call, CQL_CALL_LOST);
		c->slots[id] = (struct slot){ 0 };
	}
	c->in_flight = 0;
	c->orphans = 0;
	task_cancel(c->reader);
	if (c->is_flushing)
		task_cancel(c->flusher);
	wait_queue_wake_all(&c->ended);
}

static void free_stream(struct cql_connection *c)
{
	if (c->is_reading || c->is_flushing)
		return;
	stream_abandon(c->stream);
	c->stream = NULL;
}

void cql_connection_close(struct cql_connection *c)
{
	if (!c)
		return;
	c->on_event = NULL;
	cql_connection_break(c, "closed");
	connection_unref(c);
}

/* ---- output ---- */

/* Others add while this one waits: it may take for ever, as long as some of it leaves. */
static enum err flush(struct op *op, struct cql_connection *c)
{
	uint64_t before = stream_counters(c->stream).bytes_out;
	op->deadline_us = now_us() + FLUSH_US;
	enum err e = stream_flush(op, c->stream);
	if (e != ERR_TIMEOUT || stream_counters(c->stream).bytes_out == before)
		return e;
	op_forgive(op);
	return ERR_NONE;
}

static void flusher(void *arg)
{
	struct cql_connection *c = arg;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	enum err e = ERR_NONE;
	while (e == ERR_NONE && !c->broken_why && stream_output(c->stream)->n > 0)
		e = flush(&op, c);
	c->is_flushing = false;
	if (e != ERR_NONE)
		cql_connection_break(c, op.failure.text);
	free_stream(c);
	connection_unref(c);
}

static void flush_soon(struct cql_connection *c)
{
	if (c->is_flushing)
		return;
	c->is_flushing = true;
	c->references++;
	c->flusher = task_start("cql flush", flusher, c);
}

static void put_frame(
	struct cql_connection *c, enum cql_opcode opcode, uint16_t id, struct str body)
{
	struct buf *out = stream_output(c->stream);
	uint8_t flags = 0;
	size_t before = out->n;
	if (c->has_lz4 && body.n >= COMPRESS_MIN) {
		buf_clear(&c->scratch);
		if (cql_lz4_compress(&c->scratch, body)) {
			body = buf_str(&c->scratch);
			flags |= CQL_FRAME_COMPRESSED;
		}
	}
	cql_header_put(out, opcode, flags, id, body.n);
	buf_put(out, body);
	c->bytes_out += out->n - before;
}

static bool has_room(struct cql_connection *c, size_t n)
{
	return !c->broken_why && n <= CQL_BODY_MAX && stream_output(c->stream)->n + n <= OUTPUT_MAX;
}

bool cql_connection_send(struct cql_connection *c, enum cql_opcode opcode, struct str body,
	struct cql_call *call, struct wait_queue *waiter)
{
	uint16_t id;
	ASSERT(call->state == CQL_CALL_IDLE);
	if (!has_room(c, body.n) || !take_id(c, (struct slot){ call, SLOT_CALL }, &id))
		return false;
	*call = (struct cql_call){
		.state = CQL_CALL_SENT, .connection = c, .stream = id, .waiter = waiter
	};
	put_frame(c, opcode, id, body);
	flush_soon(c);
	return true;
}

enum err cql_connection_ask(struct op *op, struct cql_connection *c, enum cql_opcode opcode,
	struct str body, int64_t until_us, struct cql_answer *out)
{
	struct wait_queue waiter = { 0 };
	struct cql_call call = { 0 };
	int64_t deadline_us = op->deadline_us;
	enum err e = ERR_NONE;
	if (!cql_connection_send(c, opcode, body, &call, &waiter))
		return op_fail(op, ERR_UNAVAILABLE, "%s",
			c->broken_why ? c->broken_why : "too many requests in flight");
	op->deadline_us = MIN(deadline_us, until_us);
	while (e == ERR_NONE && call.state == CQL_CALL_SENT)
		e = wait_queue_wait(op, &waiter);
	op->deadline_us = deadline_us;
	if (e == ERR_NONE && call.state == CQL_CALL_LOST)
		e = op_fail(op, ERR_UNAVAILABLE, "%s", c->broken_why);
	if (e == ERR_NONE && call.state == CQL_CALL_TOO_BIG)
		e = op_fail(op, ERR_LIMIT, "an answer of more than %zu bytes", c->dial->answer_max);
	if (e == ERR_NONE) {
		*out = call.answer;
		call.answer = (struct cql_answer){ 0 };
	}
	cql_call_leave(&call);
	return e;
}

/* ---- input ---- */

/* Copies or expands `body` into the answer. */
static bool take_body(struct cql_connection *c, struct cql_answer *answer,
	const struct cql_header *h, struct str body, bool *too_big)
{
	struct str warning;
	answer->opcode = (enum cql_opcode)h->opcode;
	if (h->flags & CQL_FRAME_COMPRESSED) {
		struct str rest = body;
		uint32_t n;
		*too_big = cql_cut_count(&rest, &n) && n > c->dial->answer_max;
		if (!*too_big && !cql_lz4_expand(&answer->bytes, body, c->dial->answer_max))
			return false;
	} else {
		buf_put(&answer->bytes, body);
	}
	answer->body = buf_str(&answer->bytes);
	if (!*too_big && !cql_body_skip_extras(&answer->body, h->flags, &warning))
		return false;
	if (!*too_big && warning.n > 0)
		event_send(c->event, EVENT_DEBUG, NULL, "Node warns: %.*s", STRF(warning));
	return true;
}

static bool dispatch_event(struct cql_connection *c, const struct cql_header *h, struct str body)
{
	struct cql_answer answer = { 0 };
	struct cql_event event;
	bool too_big = false;
	bool is_sound = h->opcode == CQL_OP_EVENT && take_body(c, &answer, h, body, &too_big);
	/* Kinds of events that nobody asked for are passed over. */
	if (is_sound && !too_big && c->on_event && cql_event_parse(answer.body, &event))
		c->on_event(&event, c->on_event_arg);
	cql_answer_done(&answer);
	return is_sound;
}

static bool dispatch(
	struct cql_connection *c, const struct cql_header *h, struct str body, bool too_big)
{
	if (h->stream < 0)
		return h->stream == CQL_STREAM_EVENT && dispatch_event(c, h, body);
	uint16_t id = (uint16_t)h->stream;
	if (id >= c->slot_count || c->slots[id].use == SLOT_FREE)
		return false;
	struct cql_call *call = c->slots[id].call;
	struct cql_answer answer = { 0 };
	if (call && !too_big && !take_body(c, &answer, h, body, &too_big)) {
		cql_answer_done(&answer);
		return false;
	}
	free_id(c, id);
	if (call) {
		call->answer = answer;
		call_ends(call, too_big ? CQL_CALL_TOO_BIG : CQL_CALL_ANSWERED);
	}
	return true;
}

static enum err check_header(struct op *op, const struct cql_header *h)
{
	if (h->version != CQL_PROTOCOL_VERSION)
		return op_fail(op, ERR_UNSUPPORTED,
			"it speaks version %u of the CQL protocol, but 4 is needed "
			"(Cassandra 2.2 or newer)",
			h->version);
	if (!h->is_answer || h->body_bytes > CQL_BODY_MAX)
		return op_fail(op, ERR_INVALID, "it sent what is no answer of the CQL protocol");
	return ERR_NONE;
}

/* A body that does not fit into the stream's buffer: read into one of its own, or dropped. */
static enum err read_big(struct op *op, struct cql_connection *c, size_t n, bool is_kept)
{
	size_t left = n, got;
	char dropped[4096];
	buf_clear(&c->body);
	while (left > 0) {
		size_t step = MIN(left, is_kept ? READ_STEP : sizeof(dropped));
		char *to = is_kept ? buf_reserve(&c->body, step) : dropped;
		TRY(stream_read_some(op, c->stream, to, step, &got));
		if (is_kept)
			buf_grew(&c->body, got);
		left -= got;
		note_read(c);
	}
	return ERR_NONE;
}

static enum err no_answer(struct op *op, const struct cql_header *h)
{
	return op_fail(op, ERR_INVALID,
		"it sent a damaged answer, or one to no question (opcode %u, stream %d)", h->opcode,
		h->stream);
}

static enum err read_frame(struct op *op, struct cql_connection *c, const struct cql_header *h)
{
	bool is_kept = h->body_bytes <= c->dial->answer_max;
	c->bytes_in += CQL_HEADER_BYTES + h->body_bytes;
	stream_consume(c->stream, CQL_HEADER_BYTES);
	TRY(read_big(op, c, h->body_bytes, is_kept));
	bool is_sound = dispatch(c, h, buf_str(&c->body), !is_kept);
	buf_done(&c->body);
	return is_sound ? ERR_NONE : no_answer(op, h);
}

/* All frames that are complete, and the start of a big one. */
static enum err serve_input(struct op *op, struct cql_connection *c)
{
	struct cql_header h;
	for (;;) {
		struct str in = stream_input(c->stream);
		if (!cql_header_parse(in, &h))
			return ERR_NONE;
		TRY(check_header(op, &h));
		if (h.body_bytes > INPUT_MAX - CQL_HEADER_BYTES) {
			TRY(read_frame(op, c, &h));
			continue;
		}
		size_t n = CQL_HEADER_BYTES + h.body_bytes;
		if (in.n < n)
			return ERR_NONE;
		c->bytes_in += n;
		if (!dispatch(c, &h, str_slice(in, CQL_HEADER_BYTES, n),
			    h.body_bytes > c->dial->answer_max))
			return no_answer(op, &h);
		stream_consume(c->stream, n);
	}
}

static void reader(void *arg)
{
	struct cql_connection *c = arg;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	enum err e = ERR_NONE;
	while (e == ERR_NONE && !c->broken_why) {
		e = stream_read_more(&op, c->stream);
		note_read(c);
		if (e == ERR_NONE)
			e = serve_input(&op, c);
	}
	c->is_reading = false;
	cql_connection_break(c, op.failure.text);
	free_stream(c);
	connection_unref(c);
}

/* ---- heart beats ---- */

static void beat(void *arg)
{
	struct cql_connection *c = arg;
	int64_t silent_us = now_us() - c->last_read_us;
	uint16_t id;
	if (c->is_beating && silent_us >= c->dial->idle_us) {
		cql_connection_break(c, "it did not answer a heart beat");
		return;
	}
	if (!c->is_beating && has_room(c, 0) &&
		take_id(c, (struct slot){ .use = SLOT_BEAT }, &id)) {
		c->is_beating = true;
		put_frame(c, CQL_OP_OPTIONS, id, STR(""));
		flush_soon(c);
	}
	timer_set(&c->heartbeat, now_us() + MIN(c->dial->heartbeat_us, c->dial->idle_us));
}

struct cql_connection *cql_connection_new(const struct cql_dial *dial, struct stream *stream,
	const struct address *to, struct event *event)
{
	struct cql_connection *c = MEM_NEW(struct cql_connection);
	c->dial = dial;
	c->stream = stream;
	c->address = *to;
	c->event = event_ref(event);
	c->last_read_us = now_us();
	c->references = 2; /* the owner's and the reader's */
	c->is_reading = true;
	c->reader = task_start("cql reader", reader, c);
	timer_init(&c->heartbeat, beat, c);
	if (dial->heartbeat_us > 0)
		timer_set(&c->heartbeat, now_us() + MIN(dial->heartbeat_us, dial->idle_us));
	return c;
}
