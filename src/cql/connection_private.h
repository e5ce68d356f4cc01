/* SPDX-License-Identifier: Apache-2.0 */
/* cql/connection_private.h - one stream to one node: many requests at once, each with its stream id.
 *
 * Life:    cql_connection_open() -> cql_connection_send() or cql_connection_ask()... ->
 *          cql_connection_close(). When it breaks, all requests in flight are lost, `ended` is woken, and
 *          the object stays until its owner closes it.
 * Writing: frames of one turn of the loop leave together: a task flushes them after the tasks that
 *          are ready now.
 * Ids:     of requests whose waiter left stay reserved until the answer came (orphans); too many of
 *          them end the connection, as a node that does not answer does. */
#pragma once

#include "cql/codec_private.h"
#include "task/task.h"

struct tls_context;
struct cql_connection;

/* How to talk to nodes; outlives all connections. */
struct cql_dial {
	struct str keyspace; /* "": none */
	struct str user, password;
	int64_t connect_us, heartbeat_us, idle_us; /* heartbeat_us 0: none */
	size_t answer_max;
	struct tls_context *tls; /* borrowed; NULL: plain */
	bool checks_address;     /* the certificate must name the node's address */
};
typedef void cql_event_fn(const struct cql_event *event, void *arg); /* must not wait */

struct cql_answer {
	enum cql_opcode opcode;
	struct str body; /* in `bytes` */
	struct buf bytes;
};
void cql_answer_done(struct cql_answer *a);

/* A request in flight; embedded in who waits, who calls cql_call_leave() before it goes. */
enum cql_call_state {
	CQL_CALL_IDLE,
	CQL_CALL_SENT,
	CQL_CALL_ANSWERED, /* `answer` is there */
	CQL_CALL_TOO_BIG,  /* an answer above dial->answer_max, dropped */
	CQL_CALL_LOST,     /* the connection broke: its outcome is not known */
};
struct cql_call {
	enum cql_call_state state;
	struct cql_connection *connection; /* while sent */
	uint16_t stream;
	struct wait_queue *waiter; /* borrowed: woken at each change of state */
	struct cql_answer answer;  /* owned */
};

struct cql_connection {
	/* borrowed */
	const struct cql_dial *dial;
	struct stream *stream; /* owned by reader and flusher; NULL once both ended */
	cql_event_fn *on_event;
	void *on_event_arg;
	struct wait_queue *room; /* one is woken when a stream id is free again; may be NULL */
	struct event *event;
	/* owned */
	struct slot *slots; /* by stream id */
	uint16_t *free_ids; /* a stack */
	struct buf body;    /* of an answer that comes in parts */
	struct buf scratch;
	char *broken_why; /* NULL: it works */
	size_t slot_count, free_count;
	size_t in_flight; /* with orphans */
	size_t orphans;
	struct address address;
	struct timer heartbeat;
	struct task_handle reader, flusher;
	struct wait_queue ended;
	int64_t last_read_us;
	int64_t asked_us; /* the first request since the last byte came; 0: there was none */
	unsigned references;
	bool has_lz4, has_keyspace, is_reading, is_flushing, is_beating;
	uint64_t bytes_in, bytes_out;
};

/* WAITS. Connects, TLS, OPTIONS, STARTUP, credentials, USE. A keyspace that does not exist is no error:
 * has_keyspace tells. ERR_DENIED: credentials. ERR_UNSUPPORTED: no protocol v4. ERR_UNAVAILABLE. */
enum err cql_connection_open(struct op *op, const struct cql_dial *dial, const struct address *to,
	struct event *event, struct cql_connection **out);
/* Ends it now and gives up the owner's reference. NULL is fine. */
void cql_connection_close(struct cql_connection *c);
bool cql_connection_works(const struct cql_connection *c);
/* So long has nothing come since something was asked; 0: nothing was. What was asked before the last byte does not
 * count: a request that is lost for ever does not make a node silent that answers others. */
int64_t cql_connection_silent_us(const struct cql_connection *c);
/* Ends it, because of `why`; the owner still closes it. */
void cql_connection_break(struct cql_connection *c, const char *why);

/* Sends a request; `call` is idle. False: it is broken, or too much is in flight: nothing was sent. */
bool cql_connection_send(struct cql_connection *c, enum cql_opcode opcode, struct str body,
	struct cql_call *call, struct wait_queue *waiter);
/* Whatever its state: nobody waits for it any more. Frees its answer. */
void cql_call_leave(struct cql_call *call);

/* WAITS. Sends and waits until `until_us`. ERR_UNAVAILABLE: not sent, or the connection broke. *out is the
 * caller's: cql_answer_done(). */
enum err cql_connection_ask(struct op *op, struct cql_connection *c, enum cql_opcode opcode,
	struct str body, int64_t until_us, struct cql_answer *out);
/* WAITS. The same for a text; errors of the node fail with its message, by class (request.c). The body is
 * behind the result's kind. */
enum err cql_connection_query(struct op *op, struct cql_connection *c, struct str text,
	int64_t until_us, enum cql_result_kind *out_kind, struct cql_answer *out);
/* WAITS. USE the keyspace, unless that is done. ERR_INVALID: it does not exist. */
enum err cql_connection_use(struct op *op, struct cql_connection *c, int64_t until_us);
