/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of MTAs: accepting, parking, ending them.
 *
 * Invariants: 1. a connection is in lmtp->connections until it is freed.
 *             2. either a task serves it (task is alive) or its stream is parked, never both.
 *             3. the idle timer runs from accept to the end, except while mails are delivered. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "config/expand.h"
#include "service/lmtp/lmtp_private.h"

static void connection_ready(void *arg);

static void connection_free(struct lmtp_connection *c)
{
	struct lmtp *l = c->lmtp;
	timer_cancel(&c->idle);
	list_remove(&c->link);
	lmtp_transaction_free(c->transaction);
	stream_abandon(c->stream);
	file_close_fd(&c->fd);
	event_unref(c->event);
	mem_free(c->helo);
	mem_free(c);
	l->count--;
	wait_queue_wake_all(&l->emptied);
}

static void log_end(struct lmtp_connection *c, const char *reason)
{
	event_set_str(c->event, "reason", str_from(reason));
	event_send(c->event, EVENT_INFO, "lmtp_connection_finished", "Disconnected: %s", reason);
}

/* ---- serving ---- */

static bool is_trusted(struct op *op, const struct lmtp_connection *c)
{
	return c->remote.family == 0 || address_is_loopback(&c->remote) ||
	       config_networks_have(c->lmtp->scope, SET_lmtp_trusted_networks,
		       address_dup(op->arena, &c->remote));
}

static enum err open_stream(struct op *op, struct lmtp_connection *c)
{
	int fd = c->fd;
	c->fd = -1;
	TRY(stream_new(op, fd, LMTP_INPUT_MAX, &c->stream));
	struct str remote = address_dup(op->arena, &c->remote);
	event_set_str(c->event, "remote_ip", remote);
	event_send(c->event, EVENT_INFO, "lmtp_connection_started", "Connected from %.*s",
		STRF(c->remote.family ? remote : STR("local")));
	return ERR_NONE;
}

static void greet(struct op *op, struct lmtp_connection *c)
{
	c->is_greeted = true;
	if (is_trusted(op, c)) {
		lmtp_put_greeting(c);
		return;
	}
	smtp_put_reply(
		stream_output(c->stream), 554, "5.7.1", STR("You are not from a trusted network"));
	c->closing_reason = "not from lmtp_trusted_networks";
}

/* One burst of a connection's life. False: it has ended, and is freed. */
static bool serve(struct op *op, struct lmtp_connection *c)
{
	if (!c->stream && open_stream(op, c) != ERR_NONE) {
		log_end(c, "connection lost");
		connection_free(c);
		return false;
	}
	if (!c->is_greeted)
		greet(op, c);
	lmtp_serve_input(op, c);
	/* The idle timer has fired, and nobody would set it again. */
	if (task_is_cancelled() && !c->closing_reason)
		c->closing_reason = "cancelled";
	enum err e = stream_flush(op, c->stream);
	if (e != ERR_NONE && !c->closing_reason)
		c->closing_reason = "connection lost";
	if (!c->closing_reason)
		return true;
	log_end(c, c->closing_reason);
	if (e == ERR_NONE) {
		struct stream *stream = c->stream;
		c->stream = NULL;
		(void)stream_close(op, stream); /* the client is gone either way */
	}
	connection_free(c);
	return false;
}

static void connection_task(void *arg)
{
	struct lmtp_connection *c = arg;
	struct arena arena;
	struct op op;
	arena_init(&arena, LMTP_OP_BYTES_MAX);
	bool is_parked = false;
	do {
		arena_reset(&arena);
		op_init(&op, &arena, c->event, now_us() + LMTP_IDLE_US);
		if (!serve(&op, c))
			break;
		is_parked = stream_park(c->stream, connection_ready, c);
		/* Only now: while it is served, timers must know that. */
		if (is_parked)
			c->task = (struct task_handle){ 0 };
	} while (!is_parked);
	arena_done(&arena);
}

static void connection_ready(void *arg)
{
	struct lmtp_connection *c = arg;
	c->task = task_start("lmtp", connection_task, c);
}

/* The last word to a parked connection, or to one that was never served. */
static void end_parked(struct lmtp_connection *c, const char *enhanced, const char *text)
{
	if (c->stream) {
		bool is_done;
		AUTO_ARENA(arena, 0);
		struct op op;
		op_init(&op, &arena, c->event, now_us());
		lmtp_say_goodbye(c, enhanced, text);
		(void)stream_flush_ready(&op, c->stream, &is_done); /* it is the last word anyway */
	}
	log_end(c, text);
	connection_free(c);
}

static void connection_idle(void *arg)
{
	struct lmtp_connection *c = arg;
	if (task_is_alive(c->task))
		task_cancel(c->task); /* a client that does not take his replies */
	else
		end_parked(c, "4.4.2", "Disconnected for inactivity");
}

/* ---- the public side ---- */

/* A setting with variables of the system alone. */
static enum err expand(
	struct op *op, const struct lmtp *l, enum config_setting id, const char *name, char **out)
{
	static const struct config_var none[] = { { .name = { "user", 4 } } };
	struct config_vars vars = { .items = none, .count = ARRAY_COUNT(none) };
	struct str text;
	TRY(op_within(op, config_expand(op, config_str(l->scope, id), &vars, &text), "%s", name));
	*out = str_new_z(text);
	return ERR_NONE;
}

static void read_settings(struct lmtp *l)
{
	const struct config_scope *scope = l->scope;
	const struct config_scope *service =
		config_block_get(config_scope(l->config, NULL), BLOCK_service, STR("lmtp"));
	uint64_t limit = service ? config_u64(service, SET_service_client_limit) : 1000;
	uint64_t user_limit = config_u64(scope, SET_lmtp_user_concurrency_limit);
	uint64_t mail_max = config_size(scope, SET_lmtp_max_mail_size);
	l->limit = (size_t)limit;
	l->user_limit = user_limit > UINT32_MAX ? 0 : (unsigned)user_limit;
	l->mail_bytes_max =
		mail_max == 0 ? DELIVER_MAIL_BYTES_MAX : MIN(mail_max, DELIVER_MAIL_BYTES_MAX);
	l->greeting = config_str(scope, SET_login_greeting);
	l->delimiters = config_str(scope, SET_recipient_delimiter);
	l->adds_received = config_bool(scope, SET_lmtp_add_received_header);
	/* "original" is the address of RCPT too, as long as ORCPT is not offered. */
	l->adds_delivered_to = !config_is(scope, SET_lmtp_hdr_delivery_address, STR("none"));
	l->is_quota_temporary = config_bool(scope, SET_quota_full_tempfail);
	if (config_list_has(scope, SET_lmtp_client_workarounds, STR("whitespace-before-path")))
		l->workarounds |= SMTP_ALLOW_SPACE_BEFORE_PATH;
	if (config_list_has(scope, SET_lmtp_client_workarounds, STR("mailbox-for-path")))
		l->workarounds |= SMTP_ALLOW_BARE_PATH;
}

static void lmtp_free(struct lmtp *l)
{
	map_done(&l->slots);
	mem_free(l->hostname);
	mem_free(l->postmaster);
	mem_free(l);
}

enum err lmtp_open(struct op *op, const struct lmtp_settings *settings, struct lmtp **out)
{
	struct config_place place = { .protocol = STR("lmtp") };
	struct lmtp *l = MEM_NEW(struct lmtp);
	*l = (struct lmtp){
		.config = settings->config,
		.scope = config_scope(settings->config, &place),
		.peers = settings->peers,
		.spool_dir = settings->spool_dir,
		.ticket_fresh_us = LMTP_TICKET_FRESH_US,
	};
	list_init(&l->connections);
	map_init(&l->slots);
	read_settings(l);
	enum err e = expand(op, l, SET_hostname, "hostname", &l->hostname);
	if (e == ERR_NONE)
		e = expand(op, l, SET_postmaster_address, "postmaster_address", &l->postmaster);
	if (e != ERR_NONE) {
		lmtp_free(l);
		return e;
	}
	*out = l;
	return ERR_NONE;
}

/* No connection is made for whom there is no room: one line, if it fits, and the end. */
static void refuse(struct lmtp *l, int fd)
{
	AUTO_BUF(text, 0);
	buf_putf(&text, "421 4.3.2 %s %s\r\n", l->hostname,
		l->is_closing ? "Shutting down" : "Too many connections");
	/* Who is not told notices the end. */
	(void)send(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

void lmtp_accept(struct lmtp *l, int fd, const struct address *peer)
{
	if (l->is_closing || l->count >= l->limit) {
		refuse(l, fd);
		return;
	}
	struct lmtp_connection *c = MEM_NEW(struct lmtp_connection);
	*c = (struct lmtp_connection){
		.lmtp = l,
		.fd = fd,
		.remote = *peer,
		.event = event_new(NULL, "lmtp"),
	};
	AUTO_ARENA(arena, 0);
	struct str id = event_session_id(&arena);
	memcpy(c->session_id, id.p, MIN(id.n, sizeof(c->session_id) - 1));
	event_set_str(c->event, "session", id);
	event_set_prefix(c->event, str_printf(&arena, "lmtp<%s>: ", c->session_id));
	timer_init(&c->idle, connection_idle, c);
	timer_set(&c->idle, now_us() + LMTP_IDLE_US);
	list_add_last(&l->connections, &c->link);
	l->count++;
	connection_ready(c);
}

/* Ends those that are between transactions; `is_last`: everybody. */
static void end_connections(struct lmtp *l, bool is_last)
{
	struct lmtp_connection *c, *next;
	LIST_FOR_EACH(c, next, &l->connections, struct lmtp_connection, link)
	{
		if (task_is_alive(c->task)) {
			if (is_last)
				task_cancel(c->task);
		} else if (is_last || !c->transaction || !c->transaction->is_receiving) {
			end_parked(c, "4.3.2", "Shutting down");
		}
	}
}

void lmtp_close(struct op *op, struct lmtp *l)
{
	AUTO_ARENA(arena, 0);
	struct op last;
	l->is_closing = true;
	end_connections(l, false);
	while (l->count > 0 && wait_queue_wait(op, &l->emptied) == ERR_NONE)
		continue;
	end_connections(l, true);
	op_init(&last, &arena, NULL, now_us() + US_PER_SEC);
	while (l->count > 0 && wait_queue_wait(&last, &l->emptied) == ERR_NONE)
		continue;
	if (l->count == 0)
		lmtp_free(l);
}
