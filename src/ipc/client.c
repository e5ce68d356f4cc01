/* SPDX-License-Identifier: Apache-2.0 */
/* Calling another role: one connection, any number of calls in flight, replies matched by number.
 *
 * A reader task lives as long as the connection. It and the callers share the connection by reference
 * count: whoever leaves last frees it. A broken connection fails every call in flight; the next call
 * connects again. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "ipc/ipc_private.h"
#include "task/task.h"

#define READER_ARENA_MAX (1 << 20)
#define IN_FLIGHT_MAX    1000
/* Of a call whose server is replaced while it calls. */
#define ATTEMPTS_MAX 4

struct connection {
	uint32_t refs;
	int fd;
	struct watch watch;
	bool is_broken;
	bool is_leaving;        /* the server is being replaced: calls in flight alone */
	struct map_u64 calls;   /* number -> struct call */
	struct wait_queue room; /* callers above IN_FLIGHT_MAX */
};
struct call {
	struct wait_queue done;
	struct ipc_message *reply; /* borrowed from the caller's frame, which outlives the entry */
	bool is_answered, is_broken;
};
struct ipc_client {
	/* owned */
	char *path;
	struct connection *connection; /* a reference; NULL: not connected */
	struct task_mutex connecting;
	uint32_t next_number;
};

struct ipc_client *ipc_client_new(struct str path)
{
	struct ipc_client *c = MEM_NEW(struct ipc_client);
	c->path = str_new_z(path);
	return c;
}

static void connection_unref(struct connection *n)
{
	if (--n->refs > 0)
		return;
	close(n->fd);
	map_u64_done(&n->calls);
	mem_free(n);
}

/* Ends every call in flight; further ones see is_broken. Safe to repeat. The descriptor is closed with
 * the last reference, so that nobody meets its number in another role. */
static void connection_break(struct connection *n)
{
	if (n->is_broken)
		return;
	n->is_broken = true;
	watch_close(&n->watch);
	shutdown(n->fd, SHUT_RDWR);
	struct map_u64_entry entry;
	for (size_t at = 0; map_u64_next(&n->calls, &at, &entry);) {
		struct call *call = entry.value;
		call->is_broken = true;
		wait_queue_wake_all(&call->done);
	}
	wait_queue_wake_all(&n->room);
}

void ipc_client_free(struct ipc_client *c)
{
	if (!c)
		return;
	if (c->connection) {
		connection_break(c->connection);
		connection_unref(c->connection);
	}
	mem_free(c->path);
	mem_free(c);
}

static enum err read_reply(struct op *op, struct connection *n)
{
	struct packet p;
	struct ipc_message reply;
	int64_t life_us;
	TRY(packet_receive(op, &n->watch, &p));
	TRY(ipc_packet_decode(op, &p, &reply, &life_us));
	struct call *call = map_u64_remove(&n->calls, reply.number);
	if (!call) {
		ipc_message_done(&reply); /* the caller's deadline passed */
		return ERR_NONE;
	}
	*call->reply = reply;
	call->is_answered = true;
	wait_queue_wake_all(&call->done);
	/* Nobody else waits for a reply, so there is none, and no need to ask the kernel; an end that
	 * came with this one is remembered. */
	if (n->calls.count == 0 && !(n->watch.ready & WATCH_HANGUP))
		watch_forget(&n->watch, WATCH_READ);
	return ERR_NONE;
}

static void reader_task(void *arg)
{
	struct connection *n = arg;
	struct arena arena;
	struct op op;
	arena_init(&arena, READER_ARENA_MAX);
	for (;;) {
		op_init(&op, &arena, NULL, TIME_NEVER);
		if (read_reply(&op, n) != ERR_NONE)
			break;
		arena_reset(&arena);
	}
	connection_break(n);
	connection_unref(n);
	arena_done(&arena);
}

static enum err connect_client(struct op *op, struct ipc_client *c)
{
	int fd;
	TRY(connect_unix(op, c->path, SOCK_SEQPACKET, &fd));
	struct connection *n = MEM_NEW(struct connection);
	n->fd = fd;
	map_u64_init(&n->calls);
	enum err e = watch_open(op, &n->watch, fd, NULL, NULL);
	if (e != ERR_NONE) {
		close(fd);
		map_u64_done(&n->calls);
		mem_free(n);
		return e;
	}
	n->refs = 2; /* the client and the reader */
	c->connection = n;
	task_start("ipc-reader", reader_task, n);
	return ERR_NONE;
}

static bool is_usable(const struct connection *n)
{
	return n && !n->is_broken && !n->is_leaving;
}

static enum err ensure_connected(struct op *op, struct ipc_client *c)
{
	if (is_usable(c->connection))
		return ERR_NONE;
	TRY(task_mutex_lock(op, &c->connecting));
	enum err e = ERR_NONE;
	if (c->connection && !is_usable(c->connection)) {
		connection_unref(c->connection);
		c->connection = NULL;
	}
	if (!c->connection)
		e = connect_client(op, c);
	task_mutex_unlock(&c->connecting);
	if (e == ERR_NOT_FOUND || e == ERR_DENIED)
		e = op_fail(op, ERR_UNAVAILABLE, "no connection to %s: %s", c->path, err_name(e));
	return e;
}

/* WAITS for a connection with room for one more call; the caller gets a reference. */
static enum err take_place(struct op *op, struct ipc_client *c, struct connection **out)
{
	for (;;) {
		TRY(ensure_connected(op, c));
		struct connection *n = c->connection;
		n->refs++;
		if (n->calls.count < IN_FLIGHT_MAX) {
			*out = n;
			return ERR_NONE;
		}
		enum err e = wait_queue_wait(op, &n->room);
		connection_unref(n);
		TRY(e);
	}
}

static int64_t remaining_us(const struct op *op)
{
	if (op->deadline_us == TIME_NEVER)
		return TIME_NEVER;
	return MAX(op->deadline_us - now_us(), 0);
}

static enum err wait_for_reply(struct op *op, struct call *call)
{
	while (!call->is_answered && !call->is_broken) {
		enum err e = wait_queue_wait(op, &call->done);
		if (e != ERR_NONE && !call->is_answered)
			return e;
	}
	if (!call->is_answered)
		return op_fail(op, ERR_UNAVAILABLE, "the connection broke before the reply");
	return ERR_NONE;
}

/* One attempt. *out_again: it was not begun, because the server is being replaced. */
static enum err call_once(struct op *op, struct ipc_client *c, struct ipc_message *request,
	struct ipc_message *received, bool *out_again)
{
	struct connection *n;
	TRY(take_place(op, c, &n));
	struct call call = { .reply = received };
	request->number = ++c->next_number;
	map_u64_set(&n->calls, request->number, &call);
	enum err e = ipc_packet_send(op, &n->watch, request, remaining_us(op));
	bool is_sent = e == ERR_NONE;
	if (is_sent)
		e = wait_for_reply(op, &call);
	if (!call.is_answered)
		map_u64_remove(&n->calls, request->number);
	else if (e != ERR_NONE)
		ipc_message_done(received);
	*out_again = (!is_sent && e == ERR_UNAVAILABLE) ||
		     (e == ERR_NONE && ipc_get_bool(received, IPC_KEY_AGAIN));
	if (*out_again)
		n->is_leaving = true; /* its reader answers the others, until the end */
	wait_queue_wake_one(&n->room);
	connection_unref(n);
	return e;
}

enum err ipc_call(
	struct op *op, struct ipc_client *c, struct ipc_message *request, struct ipc_message *reply)
{
	struct ipc_message received;
	enum err e = ERR_NONE;
	bool is_again = true;
	for (int i = 0; i < ATTEMPTS_MAX && is_again; i++) {
		if (i > 0 && e == ERR_NONE)
			ipc_message_done(&received);
		is_again = false;
		e = call_once(op, c, request, &received, &is_again);
	}
	TRY(e);
	if (received.result != ERR_NONE) {
		struct str text = STR("no reason given"), client_text;
		int64_t is_logged = 0;
		(void)ipc_get_str(&received, "error", &text); /* the default stands */
		e = op_fail(op, received.result, "%.*s", STRF(text));
		if (ipc_get_str(&received, "client_error", &client_text))
			op_tell_client(op, "%.*s", STRF(client_text));
		(void)ipc_get_int(
			&received, "is_logged", &is_logged); /* by older ones it was not */
		reply->is_logged = is_logged != 0;
		ipc_message_done(&received);
		return e;
	}
	ipc_message_done(reply);
	*reply = received;
	return ERR_NONE;
}
