/* SPDX-License-Identifier: Apache-2.0 */
/* From an attempt that auth has decided to a session at its worker, or back to the dialogue. */
#include <sys/socket.h>
#include <unistd.h>

#include "service/login/login_private.h"

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
		.protocol = c->door.protocol,
		.ticket = ticket,
		.session_id = str_from(c->session_id),
		.reply_tag = a->tag,
		.local = c->local,
		.remote = c->remote,
		.is_tls = login_is_tls(c),
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
	if (stream_new(op, fd, LOGIN_INPUT_MAX, &c->stream) == ERR_NONE &&
		stream_prepend_input(op, c->stream, h->input) == ERR_NONE)
		stream_set_addresses(c->stream, c->local, c->remote);
	else
		c->closing_reason = "cannot resume after a failed handover";
	op->failure = why;
	return e;
}

/* WAITS. Gives a client who has proved who he is to his worker. */
static enum err hand_over(struct op *op, struct login_connection *c, const struct login_attempt *a,
	const struct auth_answer *answer)
{
	struct ipc_client *worker = peers_mail(c->login->peers, answer->user);
	struct handover h = describe(c, a, answer->ticket);
	bool has_relay = stream_is_tls(c->stream);
	enum err e = has_relay ? ERR_NONE : stream_flush(op, c->stream);
	if (e != ERR_NONE) { /* the client's doing: no error of ours */
		c->closing_reason = "disconnected";
		return e;
	}
	struct str line = login_success_line(op, c, a, answer);
	e = has_relay ? hand_over_tls(op, c, worker, &h) : hand_over_plain(op, c, worker, &h);
	if (e == ERR_NONE) {
		event_set_str(c->event, "user", answer->user);
		event_set_str(c->event, "mechanism", a->mechanism);
		event_send(c->event, EVENT_INFO, "login_succeeded", "%.*s", STRF(line));
		return ERR_NONE;
	}
	event_send_failure(c->event, e == ERR_LIMIT ? EVENT_INFO : EVENT_ERROR, NULL, op,
		"handing over a session");
	/* The password was right, whatever the worker dislikes (a ticket that expired while it
	 * started again): only a limit is the client's business. */
	if (e == ERR_LIMIT)
		return e;
	if (op->failure.client_text[0] == '\0')
		op_tell_client(op, "Mail storage is temporarily unavailable, try again later.");
	return ERR_UNAVAILABLE;
}

static void limit_attempts(struct login_connection *c)
{
	if (c->auth_attempts < LOGIN_ATTEMPTS_MAX || c->closing_reason)
		return;
	imap_put_untagged(stream_output(c->stream), "BYE", STR_NONE,
		STR("Too many failed authentication attempts."));
	c->closing_reason = "too many failed attempts";
}

bool login_conclude(struct op *op, struct login_connection *c, const struct login_attempt *attempt,
	enum err e, const struct auth_answer *answer)
{
	c->auth_attempts += c->auth_attempts < UINT8_MAX;
	if (e == ERR_NONE) {
		serving_expire_never(&c->serving); /* now he waits for us */
		e = hand_over(op, c, attempt, answer);
		if (e == ERR_NONE)
			return true;
		c->auth_accepted += c->auth_accepted < UINT8_MAX;
	} else if (e != ERR_DENIED && e != ERR_INVALID && e != ERR_UNSUPPORTED &&
		   e != ERR_CANCELLED) {
		event_send_failure(c->event, EVENT_ERROR, NULL, op, "asking auth");
	}
	serving_expire_in(&c->serving, LOGIN_IDLE_US);
	if (c->stream) {
		login_put_failure(stream_output(c->stream), c->login, attempt->tag, e, answer, op);
		limit_attempts(c);
	}
	return false;
}
