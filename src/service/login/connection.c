/* SPDX-License-Identifier: Apache-2.0 */
/* Connections before login: accepting, serving, ending them, and handing them over.
 *
 * Invariants: 1. a connection is in login->connections until it is freed.
 *             2. the timer runs from accept to the end; commands set it again. */
#include <unistd.h>

#include "net/proxy_header.h"
#include "service/login/login_private.h"

static const struct serving_end shutting_down = { "shutting down", "Server shutting down.", NULL };
static const struct serving_end inactive = { "inactivity", "Disconnected for inactivity.", NULL };
static const struct serving_end crowded = { "too many connections before login",
	"Too many connections.", NULL };

static void connection_free(struct login_connection *c)
{
	struct login *l = c->login;
	serving_done(&c->serving);
	list_remove(&c->link);
	stream_abandon(c->stream);
	if (c->fd >= 0)
		close(c->fd);
	event_unref(c->event);
	config_unref(c->config);
	mem_free(c->client_id);
	mem_free(c->server_name);
	mem_free(c->proxied_user);
	mem_free(c->closing_detail);
	mem_free(c);
	l->count--;
	wait_queue_wake_all(&l->emptied);
}

/* ---- serving ---- */

static enum err failed_at_start(
	struct op *op, struct login_connection *c, enum err e, const char *reason)
{
	if (!task_is_cancelled()) {
		c->closing_reason = reason;
		c->closing_detail = str_new_z(str_from(op->failure.text));
	}
	return e;
}

enum err login_start_tls(struct op *op, struct login_connection *c)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + LOGIN_TLS_US);
	enum err e = stream_start_tls(op, c->stream, c->login->tls);
	op->deadline_us = deadline_us;
	if (e != ERR_NONE)
		return failed_at_start(op, c, e, "TLS handshake failed");
	struct str name = stream_tls_server_name(c->stream);
	if (name.n > 0) {
		mem_free(c->server_name);
		c->server_name = str_new_z(name);
	}
	login_take_place(c);
	return ERR_NONE;
}

/* What a balancer may say about a client is what his own TLS and addresses would have been. */
static void believe(struct login_connection *c, const struct proxy_header *h)
{
	c->local = stream_local(c->stream);
	c->remote = stream_peer(c->stream);
	c->is_tls_proxied = h->is_tls;
	if (h->authority.n > 0)
		c->server_name = str_new_z(h->authority);
	if (h->is_cert_verified && h->cert_name.n > 0 && !str_has_nul(h->cert_name))
		c->proxied_user = str_new_z(h->cert_name);
	login_take_place(c);
}

/* Spec: sheet core §7.3 */
static enum err read_proxy_header(struct op *op, struct login_connection *c)
{
	struct proxy_header h;
	int64_t deadline_us = op->deadline_us;
	if (!config_networks_have(
		    c->scope, SET_haproxy_trusted_networks, address_dup(op->arena, &c->remote)))
		return failed_at_start(op, c,
			op_fail(op, ERR_DENIED, "it is not in haproxy_trusted_networks"),
			"Client not trusted");
	op->deadline_us =
		MIN(deadline_us, now_us() + config_time_us(c->scope, SET_haproxy_timeout));
	enum err e = stream_read_proxy_header(op, c->stream, &h);
	op->deadline_us = deadline_us;
	if (e != ERR_NONE)
		return failed_at_start(op, c, e, "no PROXY header");
	if (h.alpn.n > 0 && !str_eq(h.alpn, c->door.protocol))
		return failed_at_start(op, c,
			op_fail(op, ERR_INVALID, "the PROXY header is for another protocol"),
			"wrong protocol");
	believe(c, &h);
	return ERR_NONE;
}

static enum err open_stream(struct op *op, struct login_connection *c)
{
	int fd = c->fd;
	c->fd = -1;
	enum err e = stream_new(op, fd, LOGIN_INPUT_MAX, &c->stream);
	if (e != ERR_NONE)
		return failed_at_start(op, c, e, "connection lost");
	c->local = c->real_local = stream_local(c->stream);
	c->remote = c->real_remote = stream_peer(c->stream);
	login_take_place(c);
	if (c->door.has_proxy_header)
		TRY(read_proxy_header(op, c));
	return c->door.is_tls ? login_start_tls(op, c) : ERR_NONE;
}

/* WAITS. The dialogue's own end; frees. */
static void finish(struct op *op, struct login_connection *c, bool may_say_goodbye)
{
	login_log_end(c, c->closing_reason);
	if (may_say_goodbye) {
		struct stream *stream = c->stream;
		c->stream = NULL;
		(void)stream_close(op, stream); /* the client is gone either way */
	}
	connection_free(c);
}

static bool serve(struct arena *arena, void *owner)
{
	struct login_connection *c = owner;
	struct op op;
	op_init(&op, arena, c->event, now_us() + LOGIN_IDLE_US);
	if (!c->stream && open_stream(&op, c) != ERR_NONE) {
		if (!c->closing_reason)
			return true; /* cancelled */
		finish(&op, c, false);
		return false;
	}
	if (!c->is_greeted) {
		login_put_greeting(&op, c);
		c->is_greeted = true;
	}
	if (!login_serve_input(&op, c)) {
		connection_free(c);
		return false;
	}
	if (task_is_cancelled() && !c->closing_reason)
		return true;
	enum err e = c->stream ? stream_flush(&op, c->stream) : ERR_CANCELLED;
	if (e != ERR_NONE && !c->closing_reason && !task_is_cancelled())
		c->closing_reason = "disconnected";
	if (!c->closing_reason)
		return true;
	finish(&op, c, e == ERR_NONE);
	return false;
}

/* Somebody else's end; the client hears why if he listens. */
static void end_connection(void *owner, const struct serving_end *why)
{
	struct login_connection *c = owner;
	if (c->stream && c->is_greeted) {
		imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE, str_from(why->told));
		serving_say(&c->serving);
	}
	login_log_end(c, why->reason);
	connection_free(c);
}

/* Auth is slow: the client hears that he is not forgotten (sheet core §7.1). */
static void say_patience(struct login_connection *c)
{
	imap_put_untagged(stream_output(c->stream), "OK", STR_NONE,
		STR("Waiting for authentication process to respond.."));
	serving_say(&c->serving);
	event_send(c->event, EVENT_WARNING, NULL, "waiting for auth for %d seconds",
		(int)(LOGIN_NOTICE_US / US_PER_SEC));
	serving_expire_in(&c->serving, LOGIN_NOTICE_US);
}

/* A client that is being served has had its time too (a slow handshake). */
static void expired(void *owner)
{
	struct login_connection *c = owner;
	if (c->waits_for_auth) {
		say_patience(c);
		return;
	}
	serving_end(&c->serving, &inactive);
}

static const struct serving_kind login_serving = {
	.task_name = "login",
	.arena_bytes_max = 1 << 20,
	.serve = serve,
	.expired = expired,
	.end = end_connection,
};

/* ---- the public side ---- */

static void follow(struct login *l, struct config *config)
{
	const struct config_scope *service =
		config_block_get(config_scope(config, NULL), BLOCK_service, STR("imap-login"));
	config_ref(config);
	config_unref(l->config);
	l->config = config;
	l->limit = service ? (size_t)config_u64(service, SET_service_client_limit) : 1000;
}

enum err login_open(struct op *op, const struct login_settings *settings, struct login **out)
{
	struct login *l = MEM_NEW(struct login);
	(void)op; /* nothing here can fail yet */
	l->peers = settings->peers;
	l->tls = settings->tls;
	list_init(&l->connections);
	if (gethostname(l->host, sizeof(l->host) - 1) < 0)
		l->host[0] = '\0'; /* a name that does not fit */
	follow(l, settings->config);
	*out = l;
	return ERR_NONE;
}

enum err login_reload(struct op *op, struct login *l, struct config *config)
{
	(void)op; /* what could be wrong was found when the file was read */
	follow(l, config);
	return ERR_NONE;
}

/* The oldest parked connection makes room (sheet core §5.1); if all are being served (handshakes,
 * SASL dialogues that go nowhere) the oldest of those. False: all are ending already. */
static bool make_room(struct login *l)
{
	struct login_connection *c, *next, *oldest = NULL;
	LIST_FOR_EACH(c, next, &l->connections, struct login_connection, link)
	{
		bool is_parked = !serving_is_served(&c->serving);
		if (is_parked || (!oldest && !serving_is_ending(&c->serving)))
			oldest = c;
		if (is_parked)
			break;
	}
	if (oldest)
		serving_end(&oldest->serving, &crowded);
	return oldest != NULL;
}

void login_accept(
	struct login *l, const struct login_door *door, int fd, const struct address *peer)
{
	ASSERT(str_eq(door->protocol, STR("imap")));
	if (l->is_closing || (l->count >= l->limit && !make_room(l))) {
		close(fd);
		return;
	}
	struct login_connection *c = MEM_NEW(struct login_connection);
	*c = (struct login_connection){
		.login = l,
		.fd = fd,
		.door = *door,
		.remote = *peer,
		.config = config_ref(l->config),
		.accepted_us = now_us(),
		.event = event_new(NULL, "imap"),
	};
	AUTO_ARENA(arena, 0);
	struct str id = event_session_id(&arena);
	memcpy(c->session_id, id.p, MIN(id.n, sizeof(c->session_id) - 1));
	event_set_str(c->event, "session", id);
	event_set_prefix(c->event, STR("imap-login: "));
	imap_frame_init(&c->frame);
	serving_init(&c->serving, &login_serving, c, &c->stream);
	serving_expire_in(&c->serving, LOGIN_IDLE_US);
	list_add_last(&l->connections, &c->link);
	l->count++;
	serving_start(&c->serving);
}

size_t login_count(const struct login *l)
{
	return l->count;
}

void login_close(struct op *op, struct login *l)
{
	struct login_connection *c, *next;
	l->is_closing = true;
	LIST_FOR_EACH(c, next, &l->connections, struct login_connection, link)
	{
		serving_end(&c->serving, &shutting_down);
	}
	while (l->count > 0 && wait_queue_wait(op, &l->emptied) == ERR_NONE)
		continue;
	if (l->count > 0)
		return; /* out of time: the process ends now */
	config_unref(l->config);
	mem_free(l);
}
