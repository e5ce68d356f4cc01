/* SPDX-License-Identifier: Apache-2.0 */
/* Connections before login: accepting, serving, ending them, and handing them over.
 *
 * Invariants: 1. a connection is in login->connections until it is freed.
 *             2. the timer runs from accept to the end; commands set it again. */
#include <sys/socket.h>
#include <unistd.h>

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
	mem_free(c->client_id);
	mem_free(c);
	l->count--;
	wait_queue_wake_all(&l->emptied);
}

static void log_end(struct login_connection *c, const char *reason)
{
	if (c->auth_attempts > 0)
		event_set_int(c->event, "auth_attempts", c->auth_attempts);
	event_set_str(c->event, "reason", str_from(reason));
	event_send(c->event, EVENT_INFO, "login_aborted", "Login aborted: %s (%d attempts)", reason,
		c->auth_attempts);
}

/* ---- handover ---- */

static void log_login(struct login_connection *c, const struct login_attempt *a, struct str user,
	const struct handover *h)
{
	AUTO_ARENA(arena, 0);
	struct str remote = address_dup(&arena, &c->remote);
	struct str local = address_dup(&arena, &c->local);
	event_set_str(c->event, "user", user);
	event_set_str(c->event, "mechanism", str_from(a->mechanism));
	event_send(c->event, EVENT_INFO, "login_succeeded",
		"Login: user=<%.*s>, method=%s, rip=%.*s, lip=%.*s, %ssession=<%s>", STRF(user),
		a->mechanism, STRF(remote), STRF(local),
		h->is_tls       ? "TLS, "
		: h->is_secured ? "secured, "
				: "",
		c->session_id);
}

/* A relay's last words need nothing of the connection, which is long gone. */
static void relay_ended(void *arg, const struct stream_counters *client)
{
	struct event *event = arg;
	event_set_int(event, "net_in_bytes", (int64_t)client->bytes_in);
	event_set_int(event, "net_out_bytes", (int64_t)client->bytes_out);
	event_send(event, EVENT_DEBUG, "relay_finished", "TLS relay ended");
	event_unref(event);
}

static struct handover describe(
	const struct login_connection *c, const struct login_attempt *a, struct str ticket)
{
	return (struct handover){
		.protocol = STR("imap"),
		.ticket = ticket,
		.session_id = str_from(c->session_id),
		.reply_tag = a->tag,
		.local = c->local,
		.remote = c->remote,
		.is_tls = stream_is_tls(c->stream),
		.is_secured = c->is_secured,
		.tls_protocol = stream_tls_protocol(c->stream),
		.tls_cipher = stream_tls_cipher(c->stream),
		.client_id = str_from(c->client_id),
		.wants_capability = !c->asked_capability,
	};
}

/* The TLS side stays here; the worker gets one end of a socket pair. */
static enum err hand_over_tls(
	struct op *op, struct login_connection *c, struct ipc_client *worker, struct handover *h)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return op_fail_errno(op, "make a socket pair for the TLS relay");
	h->fd = ends[1];
	h->input = str_dup(op->arena, stream_input(c->stream));
	enum err e = handover_send(op, worker, h);
	close(ends[1]);
	if (e != ERR_NONE) {
		close(ends[0]);
		return e;
	}
	stream_consume(c->stream, h->input.n);
	struct stream *stream = c->stream;
	c->stream = NULL;
	/* The worker has the session: when the relay cannot start, the client sees the connection end. */
	if (relay_start(op, stream, ends[0], relay_ended, event_ref(c->event)) != ERR_NONE) {
		event_send_failure(c->event, EVENT_ERROR, NULL, op, "starting a TLS relay");
		event_unref(c->event);
	}
	return ERR_NONE;
}

static enum err hand_over_plain(
	struct op *op, struct login_connection *c, struct ipc_client *worker, struct handover *h)
{
	int fd = stream_take_fd(c->stream, op->arena, &h->input);
	c->stream = NULL;
	h->fd = fd;
	enum err e = handover_send(op, worker, h);
	if (e == ERR_NONE) {
		close(fd);
		return ERR_NONE;
	}
	if (e == ERR_TIMEOUT || e == ERR_CANCELLED) {
		/* The worker may still take him: two processes must never talk to one client. */
		close(fd);
		c->closing_reason = "no answer to a handover";
		return e;
	}
	/* Take the client back, with what he had sent, to tell him. */
	struct op_failure why = op->failure;
	if (stream_new(op, fd, LOGIN_INPUT_MAX, &c->stream) != ERR_NONE ||
		stream_prepend_input(op, c->stream, h->input) != ERR_NONE)
		c->closing_reason = "cannot resume after a failed handover";
	op->failure = why;
	return e;
}

static enum err verify(struct op *op, struct login_connection *c, const struct login_attempt *a,
	struct auth_answer *out)
{
	struct auth_request request = {
		.user = a->user,
		.password = a->password,
		.authzid = a->authzid,
		.mechanism = str_from(a->mechanism),
		.service = STR("imap"),
		.session_id = str_from(c->session_id),
		.local = c->local,
		.remote = c->remote,
		.is_tls = stream_is_tls(c->stream),
		.is_secured = c->is_secured,
		.event = c->event,
	};
	return auth_client_verify(op, c->login->peers->auth, &request, out);
}

/* WAITS. Gives a client who has proved who he is to his worker. */
static enum err hand_over(struct op *op, struct login_connection *c, const struct login_attempt *a,
	const struct auth_answer *answer)
{
	struct ipc_client *worker = peers_mail(c->login->peers, answer->user);
	struct handover h = describe(c, a, answer->ticket);
	enum err e = h.is_tls ? ERR_NONE : stream_flush(op, c->stream);
	if (e != ERR_NONE) { /* the client's doing: no error of ours */
		c->closing_reason = "disconnected";
		return e;
	}
	e = h.is_tls ? hand_over_tls(op, c, worker, &h) : hand_over_plain(op, c, worker, &h);
	if (e == ERR_NONE) {
		log_login(c, a, answer->user, &h);
		return ERR_NONE;
	}
	event_send_failure(c->event, EVENT_ERROR, NULL, op, "handing over a session");
	/* The password was right, whatever the worker dislikes (a ticket that expired while it
	 * started again): only a limit is the client's business. */
	return e == ERR_LIMIT ? e : ERR_UNAVAILABLE;
}

bool login_try(struct op *op, struct login_connection *c, const struct login_attempt *attempt)
{
	struct auth_answer answer;
	c->auth_attempts += c->auth_attempts < UINT8_MAX;
	serving_expire_never(&c->serving); /* now he waits for us */
	enum err e = verify(op, c, attempt, &answer);
	if (e == ERR_NONE) {
		e = hand_over(op, c, attempt, &answer);
		if (e == ERR_NONE)
			return true;
	} else if (e != ERR_DENIED && e != ERR_INVALID && e != ERR_CANCELLED) {
		event_send_failure(c->event, EVENT_ERROR, NULL, op, "asking auth");
	}
	serving_expire_in(&c->serving, LOGIN_IDLE_US);
	if (c->stream)
		login_put_failure(stream_output(c->stream), attempt->tag, e, op);
	return false;
}

/* ---- serving ---- */

static enum err open_stream(struct op *op, struct login_connection *c)
{
	int fd = c->fd;
	c->fd = -1;
	TRY(stream_new(op, fd, LOGIN_INPUT_MAX, &c->stream));
	c->local = stream_local(c->stream);
	c->remote = stream_peer(c->stream);
	bool is_local = address_is_loopback(&c->remote) || c->remote.family == 0;
	struct str remote = address_dup(op->arena, &c->remote);
	c->is_secured =
		is_local || (!c->login->needs_tls && config_networks_have(c->login->scope,
							     SET_login_trusted_networks, remote));
	event_set_str(c->event, "remote_ip", remote);
	event_set_int(c->event, "remote_port", c->remote.port);
	if (c->is_implicit_tls) {
		TRY(stream_start_tls(op, c->stream, c->login->tls));
		c->is_secured = true;
	}
	return ERR_NONE;
}

/* WAITS. The dialogue's own end; frees. */
static void finish(struct op *op, struct login_connection *c, bool may_say_goodbye)
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
	struct login_connection *c = owner;
	struct op op;
	op_init(&op, arena, c->event, now_us() + LOGIN_IDLE_US);
	if (!c->stream && open_stream(&op, c) != ERR_NONE) {
		if (serving_is_ending(&c->serving))
			return true;
		c->closing_reason = c->is_implicit_tls ? "TLS handshake failed" : "connection lost";
		finish(&op, c, false);
		return false;
	}
	if (!c->is_greeted) {
		login_put_greeting(c);
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
	log_end(c, why->reason);
	connection_free(c);
}

/* A client that is being served has had its time too (a slow handshake). */
static void expired(void *owner)
{
	struct login_connection *c = owner;
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

enum err login_open(struct op *op, const struct login_settings *settings, struct login **out)
{
	struct config_place place = { .protocol = STR("imap") };
	const struct config_scope *scope = config_scope(settings->config, &place);
	const struct config_scope *service = config_block_get(
		config_scope(settings->config, NULL), BLOCK_service, STR("imap-login"));
	struct login *l = MEM_NEW(struct login);
	*l = (struct login){
		.config = settings->config,
		.scope = scope,
		.peers = settings->peers,
		.tls = settings->tls,
		.limit = service ? (size_t)config_u64(service, SET_service_client_limit) : 1000,
		.offers_plain = config_list_has(scope, SET_auth_mechanisms, STR("plain")),
		.offers_login = config_list_has(scope, SET_auth_mechanisms, STR("login")),
		.allows_cleartext = config_bool(scope, SET_auth_allow_cleartext),
		.needs_tls = config_is(scope, SET_ssl, STR("required")),
		.greeting = config_str(scope, SET_login_greeting),
	};
	(void)op; /* nothing here can fail yet */
	list_init(&l->connections);
	*out = l;
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
	struct login *l, struct str protocol, int fd, const struct address *peer, bool is_tls)
{
	ASSERT(str_eq(protocol, STR("imap")));
	if (l->is_closing || (l->count >= l->limit && !make_room(l))) {
		close(fd);
		return;
	}
	struct login_connection *c = MEM_NEW(struct login_connection);
	*c = (struct login_connection){
		.login = l,
		.fd = fd,
		.remote = *peer,
		.is_implicit_tls = is_tls,
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
	if (l->count == 0)
		mem_free(l);
}
