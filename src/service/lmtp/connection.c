/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of MTAs: what net/serving.h asks for, who may talk, TLS, and their end.
 *
 * Invariants: 1. a connection is in lmtp->connections until it is freed.
 *             2. the timer runs from accept to the end, except while mails are delivered. */
#include "base/file.h"
#include "net/proxy_header.h"
#include "service/lmtp/lmtp_private.h"

const struct serving_end lmtp_shutting_down = { "shutting down", "Shutting down", "4.3.2" };
static const struct serving_end inactive = { "inactivity", "Disconnected for inactivity", "4.4.2" };

static void connection_free(struct lmtp_connection *c)
{
	struct lmtp *l = c->lmtp;
	serving_done(&c->serving);
	list_remove(&c->link);
	lmtp_transaction_free(c->transaction);
	lmtp_client_free(c->client);
	stream_abandon(c->stream);
	file_close_fd(&c->fd);
	event_unref(c->event);
	mem_free(c->session_id);
	mem_free(c->helo);
	lmtp_rules_unref(c->rules);
	mem_free(c);
	l->count--;
	wait_queue_wake_all(&l->emptied);
}

static void log_end(struct lmtp_connection *c, const char *reason)
{
	event_set_str(c->event, "reason", str_from(reason));
	event_send(
		c->event, EVENT_INFO, "server_connection_disconnected", "Disconnected: %s", reason);
}

/* ---- who may talk ---- */

static bool is_in(struct op *op, const struct lmtp_connection *c, enum config_setting networks)
{
	return config_networks_have(c->rules->scope, networks, address_dup(op->arena, &c->remote));
}

static bool may_deliver(struct op *op, const struct lmtp_connection *c)
{
	return c->remote.family == 0 || address_is_loopback(&c->remote) ||
	       is_in(op, c, SET_lmtp_trusted_networks) || c->may_speak_for_others;
}

/* Sheet core §7.3. Only whom haproxy_trusted_networks name may say who is behind him. */
static enum err read_proxy_header(struct op *op, struct lmtp_connection *c)
{
	struct proxy_header h;
	if (!is_in(op, c, SET_haproxy_trusted_networks))
		return op_fail(
			op, ERR_DENIED, "a balancer that is not in haproxy_trusted_networks");
	op->deadline_us = now_us() + config_time_us(c->rules->scope, SET_haproxy_timeout);
	TRY(stream_read_proxy_header(op, c->stream, &h));
	if (h.has_addresses)
		c->remote = h.remote;
	return ERR_NONE;
}

static enum err open_stream(struct op *op, struct lmtp_connection *c)
{
	int fd = c->fd;
	c->fd = -1;
	TRY(stream_new(op, fd, LMTP_INPUT_MAX, &c->stream));
	if (c->door.has_proxy_header)
		TRY(op_within(op, read_proxy_header(op, c), "PROXY header"));
	lmtp_rules_find(op, c);
	if (c->door.is_tls)
		TRY(lmtp_connection_start_tls(op, c));
	c->may_speak_for_others = c->remote.family != 0 && is_in(op, c, SET_login_trusted_networks);
	struct str remote = address_dup(op->arena, &c->remote);
	event_set_str(c->event, "remote_ip", remote);
	event_set_int(c->event, "remote_port", c->remote.port);
	event_send(c->event, EVENT_INFO, "server_connection_connected", "Connected from %.*s",
		STRF(c->remote.family ? remote : STR("local")));
	return ERR_NONE;
}

static void greet(struct op *op, struct lmtp_connection *c)
{
	c->is_greeted = true;
	if (may_deliver(op, c)) {
		lmtp_put_greeting(c);
		return;
	}
	lmtp_reply(c, 554, "5.7.1", "You are not from a trusted network");
	c->closing_reason = "not from lmtp_trusted_networks";
}

/* ---- serving ---- */

/* WAITS. The dialogue's own end; frees. */
static void finish(struct op *op, struct lmtp_connection *c, bool may_say_goodbye)
{
	log_end(c, c->closing_reason);
	if (may_say_goodbye) {
		struct stream *stream = c->stream;
		c->stream = NULL;
		(void)stream_close(op, stream); /* the client is gone either way */
	}
	connection_free(c);
}

static bool serve(struct arena *arena, void *owner)
{
	struct lmtp_connection *c = owner;
	struct op op;
	op_init(&op, arena, c->event, now_us() + LMTP_IDLE_US);
	if (!c->stream && open_stream(&op, c) != ERR_NONE) {
		if (task_is_cancelled())
			return true;
		event_send(c->event, EVENT_WARNING, NULL, "No dialogue: %s", op.failure.text);
		c->closing_reason = "connection lost before the greeting";
		finish(&op, c, false);
		return false;
	}
	if (!c->is_greeted)
		greet(&op, c);
	lmtp_serve_input(&op, c);
	if (task_is_cancelled() && !c->closing_reason)
		return true;
	enum err e = stream_flush(&op, c->stream);
	if (e != ERR_NONE && !c->closing_reason && !task_is_cancelled())
		c->closing_reason = "connection lost";
	if (!c->closing_reason)
		return true;
	finish(&op, c, e == ERR_NONE);
	return false;
}

/* Somebody else's end; the client hears why if he listens. */
static void end_connection(void *owner, const struct serving_end *why)
{
	struct lmtp_connection *c = owner;
	if (c->stream && c->is_greeted) {
		lmtp_say_goodbye(c, why->code ? why->code : "4.3.2", why->told);
		serving_say(&c->serving);
	}
	log_end(c, why->reason);
	connection_free(c);
}

static void expired(void *owner)
{
	struct lmtp_connection *c = owner;
	serving_end(&c->serving, &inactive); /* also a client that does not take his replies */
}

static const struct serving_kind lmtp_serving = {
	.task_name = "lmtp",
	.arena_bytes_max = LMTP_OP_BYTES_MAX,
	.serve = serve,
	.expired = expired,
	.end = end_connection,
};

void lmtp_connection_set_session(struct lmtp_connection *c, struct str id)
{
	AUTO_ARENA(arena, 0);
	mem_free(c->session_id);
	c->session_id = str_new_z(id);
	event_set_str(c->event, "session", id);
	event_set_prefix(c->event, str_printf(&arena, "lmtp<%s>: ", c->session_id));
}

struct lmtp_connection *lmtp_connection_new(
	struct lmtp *l, const struct lmtp_door *door, int fd, const struct address *peer)
{
	AUTO_ARENA(arena, 0);
	struct lmtp_connection *c = MEM_NEW(struct lmtp_connection);
	*c = (struct lmtp_connection){
		.lmtp = l,
		.rules = lmtp_rules_ref(l->rules),
		.fd = fd,
		.door = *door,
		.remote = *peer,
		.event = event_new(NULL, "lmtp"),
	};
	lmtp_connection_set_session(c, event_session_id(&arena));
	event_set_str(c->event, "protocol", STR("lmtp"));
	serving_init(&c->serving, &lmtp_serving, c, &c->stream);
	serving_expire_in(&c->serving, LMTP_IDLE_US);
	list_add_last(&l->connections, &c->link);
	l->count++;
	return c;
}

enum err lmtp_connection_start_tls(struct op *op, struct lmtp_connection *c)
{
	op->deadline_us = now_us() + LMTP_HANDSHAKE_US;
	TRY(stream_start_tls(op, c->stream, c->lmtp->tls));
	lmtp_end_transaction(c);
	lmtp_client_free(c->client);
	mem_free(c->helo);
	c->client = NULL;
	c->helo = NULL;
	c->line = (struct smtp_line){ .scanned = 0 };
	lmtp_rules_find(op, c);
	return ERR_NONE;
}
