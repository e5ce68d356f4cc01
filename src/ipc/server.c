/* SPDX-License-Identifier: Apache-2.0 */
/* Serving calls: a task reads each connection, another runs each request, so that a slow request holds
 * up nobody. A request goes on when its caller has left: what it does may matter (a delivery). */
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "ipc/ipc_private.h"
#include "task/task.h"

#define READER_ARENA_MAX  (1 << 20)
#define REQUEST_ARENA_MAX (256 << 20)
#define IN_FLIGHT_MAX     1000

struct ipc_server {
	const char *name; /* static */
	ipc_handler *handler;
	void *arg;
	struct listener *listener;
	struct list connections;
	struct wait_queue emptied; /* no connection is left */
	bool is_closed, is_retired;
	uint32_t refs; /* itself and its connections */
};
struct served {
	struct ipc_server *server; /* a reference */
	struct list link;
	int fd;
	struct watch watch;
	struct ipc_peer peer;
	uint32_t refs;
	uint32_t in_flight;
	struct wait_queue drained;
	bool is_broken;
};
struct request {
	struct served *from; /* a reference */
	struct ipc_message message;
	int64_t deadline_us;
};

static void server_unref(struct ipc_server *s)
{
	if (--s->refs == 0)
		mem_free(s);
}

static void served_break(struct served *c)
{
	if (c->is_broken)
		return;
	c->is_broken = true;
	list_remove(&c->link);
	if (list_is_empty(&c->server->connections))
		wait_queue_wake_all(&c->server->emptied);
	watch_close(&c->watch);
	shutdown(c->fd, SHUT_RDWR);
}

static void served_unref(struct served *c)
{
	if (--c->refs > 0)
		return;
	served_break(c);
	close(c->fd);
	server_unref(c->server);
	mem_free(c);
}

static void report_failure(struct ipc_message *reply, enum err e, const struct op *op)
{
	reply->result = e;
	buf_clear(&reply->fields);
	ipc_put_str(reply, "error", str_from(op->failure.text));
	if (op->failure.client_text[0])
		ipc_put_str(reply, "client_error", str_from(op->failure.client_text));
	if (reply->is_logged)
		ipc_put_int(reply, "is_logged", 1);
}

/* A request that was not begun: the caller goes to whoever serves the path by now. */
static void report_retired(struct ipc_message *reply)
{
	reply->result = ERR_UNAVAILABLE;
	ipc_put_int(reply, IPC_KEY_AGAIN, 1);
	ipc_put_str(reply, "error", STR("the process is being replaced"));
}

static enum err handle(struct op *op, struct request *r, struct ipc_message *reply)
{
	struct served *c = r->from;
	/* After the close the handler's world may be gone. */
	if (c->server->is_closed)
		return op_fail(op, ERR_UNAVAILABLE, "%s: stopping", c->server->name);
	return c->server->handler(op, &c->peer, &r->message, reply, c->server->arg);
}

static void request_task(void *arg)
{
	struct request *r = arg;
	struct served *c = r->from;
	struct arena arena;
	struct op op;
	struct ipc_message reply;
	arena_init(&arena, REQUEST_ARENA_MAX);
	op_init(&op, &arena, NULL, r->deadline_us);
	ipc_message_init(&reply, r->message.type);
	if (c->server->is_retired && !c->server->is_closed) {
		report_retired(&reply);
	} else {
		enum err e = handle(&op, r, &reply);
		if (e != ERR_NONE)
			report_failure(&reply, e, &op);
	}
	reply.number = r->message.number;
	if (!c->is_broken) {
		op_init(&op, &arena, NULL, now_us() + 10 * US_PER_SEC);
		if (ipc_packet_send(&op, &c->watch, &reply, 0) != ERR_NONE)
			served_break(c);
	}
	ipc_message_done(&reply);
	ipc_message_done(&r->message);
	mem_free(r);
	c->in_flight--;
	wait_queue_wake_all(&c->drained);
	served_unref(c);
	arena_done(&arena);
}

static enum err read_request(struct op *op, struct served *c)
{
	struct packet p;
	struct ipc_message message;
	int64_t life_us;
	while (c->in_flight >= IN_FLIGHT_MAX)
		TRY(wait_queue_wait(op, &c->drained));
	TRY(packet_receive(op, &c->watch, &p));
	TRY(ipc_packet_decode(op, &p, &message, &life_us));
	struct request *r = MEM_NEW(struct request);
	*r = (struct request){ .from = c, .message = message, .deadline_us = TIME_NEVER };
	if (life_us >= 0 && life_us < TIME_NEVER - now_us())
		r->deadline_us = now_us() + life_us;
	c->refs++;
	c->in_flight++;
	task_start(c->server->name, request_task, r);
	return ERR_NONE;
}

static void connection_task(void *arg)
{
	struct served *c = arg;
	struct arena arena;
	struct op op;
	arena_init(&arena, READER_ARENA_MAX);
	for (;;) {
		op_init(&op, &arena, NULL, TIME_NEVER);
		if (read_request(&op, c) != ERR_NONE)
			break;
		arena_reset(&arena);
	}
	op_init(&op, &arena, NULL, TIME_NEVER);
	while (c->server->is_retired && !c->is_broken && c->in_flight > 0 &&
		wait_queue_wait(&op, &c->drained) == ERR_NONE)
		continue; /* those that were begun are answered */
	served_break(c);
	served_unref(c);
	arena_done(&arena);
}

static void accepted(int fd, const struct address *peer, void *arg)
{
	(void)peer;
	struct ipc_server *s = arg;
	struct ucred who;
	socklen_t length = sizeof(who);
	if (s->is_closed || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0) {
		close(fd);
		return;
	}
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct served *c = MEM_NEW(struct served);
	*c = (struct served){
		.server = s,
		.fd = fd,
		.peer = { .uid = who.uid, .pid = who.pid },
		.refs = 1,
	};
	if (watch_open(&op, &c->watch, fd, NULL, NULL) != ERR_NONE) {
		close(fd);
		mem_free(c);
		return;
	}
	s->refs++;
	list_add_last(&s->connections, &c->link);
	task_start("ipc-connection", connection_task, c);
}

enum err ipc_serve(struct op *op, int listen_fd, const char *name, ipc_handler *handler, void *arg,
	struct ipc_server **out)
{
	struct ipc_server *s = MEM_NEW(struct ipc_server);
	*s = (struct ipc_server){ .name = name, .handler = handler, .arg = arg, .refs = 1 };
	list_init(&s->connections);
	enum err e = listener_open(op, listen_fd, accepted, s, &s->listener);
	if (e != ERR_NONE) {
		mem_free(s);
		return e;
	}
	*out = s;
	return ERR_NONE;
}

void ipc_server_retire(struct ipc_server *s)
{
	struct served *c, *next;
	if (!s || s->is_retired)
		return;
	s->is_retired = true;
	listener_close(s->listener);
	s->listener = NULL;
	/* Callers cannot send any more; what they have sent is still read. */
	LIST_FOR_EACH(c, next, &s->connections, struct served, link)
	shutdown(c->fd, SHUT_RD);
}

void ipc_server_finish(struct op *op, struct ipc_server *s)
{
	while (!list_is_empty(&s->connections) && wait_queue_wait(op, &s->emptied) == ERR_NONE)
		continue;
}

void ipc_server_close(struct ipc_server *s)
{
	if (!s)
		return;
	struct served *c, *next;
	s->is_closed = true;
	listener_close(s->listener);
	LIST_FOR_EACH(c, next, &s->connections, struct served, link)
	{
		c->refs++;
		served_break(c);
		served_unref(c);
	}
	server_unref(s);
}
