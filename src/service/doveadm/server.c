/* SPDX-License-Identifier: Apache-2.0 */
/* Administrators' connections: a task each, since they are few and do one thing after the other.
 *
 *   accepted [-> TLS] -> VERSION [-> STARTTLS] -> PLAIN -> commands -> ended
 *
 * Whoever has not shown the password may keep a connection for PATIENCE_US and no longer. */
#include <unistd.h>

#include "base/list.h"
#include "config/config.h"
#include "event/event.h"
#include "net/net.h"
#include "net/tls.h"
#include "service/doveadm/doveadm_service.h"
#include "task/task.h"

#define PATIENCE_US     (30 * US_PER_SEC)
#define PENALTY_US      (2 * US_PER_SEC)
#define IDLE_US         (3600 * US_PER_SEC)
#define COMMAND_US      (4 * 3600 * US_PER_SEC) /* of the longest one */
#define LINES_MAX       8  /* before the password: VERSION, STARTTLS, both again, and room */
#define COMMAND_BYTES   64 /* of the longest name that can be allowed */
#define CONNECTIONS_MAX 10000
#define STRANGERS       10 /* one connection of so many may be before its password */
#define STRANGER_MIN    4

struct doveadm_server {
	struct config *config; /* a reference */
	struct tls_context *tls;
	doveadm_run_fn *run;
	void *arg;
	struct list connections;
	size_t count, strangers;
	bool is_closing;
	struct wait_queue emptied;
};
struct connection {
	struct list link;
	struct doveadm_server *server;
	struct event *event;
	struct stream *stream;
	struct task_handle task;
	int fd; /* until there is a stream */
	bool is_tls, is_in, has_version, wants_words;
	const char *refused; /* why; for the log */
};

/* ---- lines ---- */

/* WAITS. Copied into the arena. ERR_NOT_FOUND: the client has left. ERR_LIMIT: too long. */
static enum err read_line(struct op *op, struct connection *c, struct str *out)
{
	for (;;) {
		struct str input = stream_input(c->stream), rest = input, line;
		if (str_cut(&rest, '\n', &line)) {
			*out = str_dup(op->arena, line);
			stream_consume(c->stream, input.n - rest.n);
			return ERR_NONE;
		}
		TRY(stream_read_more(op, c->stream));
	}
}

static enum err say(struct op *op, struct connection *c, struct str text)
{
	TRY(stream_write(op, c->stream, text));
	return stream_flush(op, c->stream);
}

/* ---- before the password ---- */

static enum err take_version(struct op *op, struct connection *c, const struct doveadm_line *l)
{
	if (!str_eq(l->peer, STR("doveadm-server")) || l->major != DOVEADM_MAJOR)
		return op_fail(op, ERR_UNSUPPORTED, "another protocol, or another version of it");
	c->has_version = true;
	return say(op, c,
		str_printf(op->arena, "VERSION\tdoveadm-client\t%d\t%d\n", DOVEADM_MAJOR,
			DOVEADM_MINOR));
}

static enum err start_tls(struct op *op, struct connection *c)
{
	if (!c->server->tls || stream_is_tls(c->stream))
		return say(op, c, STR("-\n"));
	if (stream_input(c->stream).n > 0)
		return op_fail(op, ERR_INVALID, "something was sent behind STARTTLS");
	TRY(say(op, c, STR("+\n")));
	return op_within(op, stream_start_tls(op, c->stream, c->server->tls), "TLS");
}

/* Both are compared whatever the first says, each as a whole. */
static bool is_right(const struct doveadm_server *s, const struct doveadm_line *l)
{
	const struct config_scope *global = config_scope(s->config, NULL);
	struct str name = config_str(global, SET_doveadm_username);
	struct str password = config_str(global, SET_doveadm_password);
	bool is_name = str_eq(l->name, name);
	bool is_password = password.n > 0 && l->password.n == password.n &&
			   mem_equal_const_time(l->password.p, password.p, password.n);
	return is_name & is_password;
}

static enum err take_password(struct op *op, struct connection *c, const struct doveadm_line *l)
{
	const struct config_scope *global = config_scope(c->server->config, NULL);
	bool is_set = config_str(global, SET_doveadm_password).n > 0;
	bool must_hide = config_is(global, SET_ssl, STR("required")) && !stream_is_tls(c->stream);
	if (!must_hide && is_right(c->server, l)) {
		c->is_in = true;
		c->server->strangers--;
		return say(op, c, STR("+\n"));
	}
	c->refused = must_hide ? "the password came without TLS (ssl = required)"
		     : is_set  ? "wrong name or password"
			       : "doveadm_password is not set";
	TRY(task_sleep(op, PENALTY_US));
	TRY(say(op, c, STR("-\n")));
	return op_fail(op, ERR_DENIED, "%s", c->refused);
}

static enum err let_in(struct op *op, struct connection *c)
{
	for (int lines = 0; !c->is_in; lines++) {
		struct str text;
		struct doveadm_line line;
		if (lines == LINES_MAX)
			return op_fail(op, ERR_LIMIT, "too many lines before the password");
		TRY(read_line(op, c, &text));
		TRY(doveadm_parse_line(op, text, &line));
		if (!c->has_version && line.kind != DOVEADM_VERSION)
			return op_fail(op, ERR_INVALID, "no VERSION at first");
		if (line.kind == DOVEADM_VERSION)
			TRY(take_version(op, c, &line));
		else if (line.kind == DOVEADM_STARTTLS)
			TRY(start_tls(op, c));
		else if (line.kind == DOVEADM_PLAIN)
			TRY(take_password(op, c, &line));
		else
			return op_fail(op, ERR_DENIED, "a command before the password");
	}
	return ERR_NONE;
}

/* ---- commands ---- */

static bool is_allowed(const struct doveadm_server *s, struct str command)
{
	const struct config_scope *global = config_scope(s->config, NULL);
	struct config_item item;
	size_t at = 0;
	if (!config_list_next(global, SET_doveadm_allowed_commands, &at, &item))
		return true; /* empty: all */
	char name[COMMAND_BYTES];
	for (at = 0; at < command.n && at < sizeof(name); at++)
		name[at] = command.p[at] == ' ' ? '-' : command.p[at];
	return config_list_has(global, SET_doveadm_allowed_commands, (struct str){ name, at });
}

static void log_command(
	const struct connection *c, const struct doveadm_line *l, const struct op *op, enum err e)
{
	struct event *event = event_new(c->event, "doveadm");
	event_set_str(event, "cmd_name", l->command);
	event_set_str(event, "user", l->user);
	if (e != ERR_NONE)
		event_set_str(event, "error", str_from(op->failure.text));
	event_send(event, EVENT_INFO, "doveadm_command_finished", "cmd %.*s for '%.*s': %s",
		STRF(l->command), STRF(l->user), e == ERR_NONE ? "done" : op->failure.text);
	event_unref(event);
}

/* WAITS. The connection's end is an error; the command's is not. */
static enum err carry_out(struct op *op, struct connection *c, const struct doveadm_line *l)
{
	bool is_cut = false;
	enum err e;
	AUTO_BUF(status, 0);
	if (is_allowed(c->server, l->command))
		e = c->server->run(op, c->server->arg, l, c->stream, &is_cut);
	else
		e = op_fail(op, ERR_DENIED, "doveadm_allowed_commands does not name %.*s",
			STRF(l->command));
	log_command(c, l, op, e);
	if (is_cut)
		return op_fail(op, ERR_UNAVAILABLE, "the output of %.*s ended too early",
			STRF(l->command));
	doveadm_put_status(&status, e, str_from(op->failure.text), c->wants_words);
	op_forgive(op);
	return say(op, c, buf_str(&status));
}

static enum err serve_one(struct op *op, struct connection *c)
{
	struct str text;
	struct doveadm_line line;
	TRY(read_line(op, c, &text));
	op->deadline_us = now_us() + COMMAND_US;
	TRY(doveadm_parse_line(op, text, &line));
	if (line.kind == DOVEADM_OPTION) {
		c->wants_words |= str_eq(line.option, STR("failure-text"));
		return ERR_NONE;
	}
	if (line.kind != DOVEADM_COMMAND)
		return op_fail(op, ERR_INVALID, "out of place after the password");
	return carry_out(op, c, &line);
}

static enum err serve(struct op *op, struct connection *c)
{
	if (c->is_tls)
		TRY(op_within(op, stream_start_tls(op, c->stream, c->server->tls), "TLS"));
	TRY(let_in(op, c));
	for (;;) {
		struct arena_mark mark = arena_mark(op->arena);
		op->deadline_us = now_us() + IDLE_US;
		TRY(serve_one(op, c));
		arena_rewind(op->arena, mark);
	}
}

/* ---- life ---- */

static void forget(struct connection *c)
{
	struct doveadm_server *s = c->server;
	stream_abandon(c->stream);
	if (c->fd >= 0)
		close(c->fd);
	s->strangers -= !c->is_in;
	list_remove(&c->link);
	event_unref(c->event);
	mem_free(c);
	if (--s->count == 0)
		wait_queue_wake_all(&s->emptied);
}

static void connection_task(void *arg)
{
	struct connection *c = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->event, now_us() + PATIENCE_US);
	int fd = c->fd;
	c->fd = -1;
	enum err e = stream_new(&op, fd, DOVEADM_LINE_MAX, &c->stream);
	if (e == ERR_NONE)
		e = serve(&op, c);
	if (c->refused)
		event_send(c->event, EVENT_WARNING, "doveadm_login_failed",
			"an administrator was refused: %s", c->refused);
	else if (e != ERR_NOT_FOUND && e != ERR_CANCELLED)
		event_send(c->event, EVENT_INFO, "doveadm_connection_failed",
			"a connection was ended: %s", op.failure.text);
	forget(c);
}

static size_t limit_of(const struct doveadm_server *s)
{
	const struct config_scope *service =
		config_block_get(config_scope(s->config, NULL), BLOCK_service, STR("doveadm"));
	uint64_t clients = service ? config_u64(service, SET_service_client_limit) : 0;
	uint64_t processes = service ? config_u64(service, SET_service_process_limit) : 0;
	/* The platform's own processes serve one connection each; here one process serves them all. */
	uint64_t limit = MIN(clients, CONNECTIONS_MAX) * MIN(processes, CONNECTIONS_MAX);
	return (size_t)MIN(MAX(limit, 2 * STRANGER_MIN), CONNECTIONS_MAX);
}

void doveadm_server_accept(
	struct doveadm_server *s, bool is_tls, int fd, const struct address *peer)
{
	size_t limit = limit_of(s);
	AUTO_ARENA(arena, 0);
	if (s->is_closing || s->count >= limit ||
		s->strangers >= MAX(limit / STRANGERS, STRANGER_MIN) || (is_tls && !s->tls)) {
		close(fd);
		return;
	}
	struct connection *c = MEM_NEW(struct connection);
	*c = (struct connection){ .server = s, .fd = fd, .is_tls = is_tls };
	c->event = event_new(NULL, "doveadm");
	event_set_str(c->event, "remote_ip", address_dup(&arena, peer));
	event_set_int(c->event, "remote_port", peer->port);
	event_set_prefix(
		c->event, str_printf(&arena, "doveadm(%.*s): ", STRF(address_dup(&arena, peer))));
	list_add_last(&s->connections, &c->link);
	s->count++;
	s->strangers++;
	c->task = task_start("doveadm", connection_task, c);
}

static void end_all(struct doveadm_server *s)
{
	struct connection *c, *next;
	LIST_FOR_EACH(c, next, &s->connections, struct connection, link)
	task_cancel(c->task);
}

struct doveadm_server *doveadm_server_open(const struct doveadm_server_settings *settings)
{
	struct doveadm_server *s = MEM_NEW(struct doveadm_server);
	s->config = config_ref(settings->config);
	s->tls = settings->tls;
	s->run = settings->run;
	s->arg = settings->arg;
	list_init(&s->connections);
	return s;
}

void doveadm_server_reload(struct doveadm_server *s, struct config *config)
{
	config_ref(config);
	config_unref(s->config);
	s->config = config;
}

size_t doveadm_server_count(const struct doveadm_server *s)
{
	return s->count;
}

void doveadm_server_close(struct op *op, struct doveadm_server *s)
{
	s->is_closing = true;
	end_all(s);
	while (s->count > 0 && wait_queue_wait(op, &s->emptied) == ERR_NONE)
		continue;
	if (s->count > 0)
		return; /* out of time: the process ends now */
	config_unref(s->config);
	mem_free(s);
}
