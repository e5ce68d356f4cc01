/* SPDX-License-Identifier: Apache-2.0 */
/* LOGIN and AUTHENTICATE: passwords and SASL messages on their way to auth, which does the thinking.
 * Spec: RFC 3501 §6.2.2, §6.2.3; RFC 4959 (initial responses); RFC 4422; RFC 9266 (channel binding). */
#include "service/login/login_private.h"
#include "wire/sasl.h"

/* ---- questions to auth ---- */

static struct auth_request describe(
	struct op *op, const struct login_connection *c, const struct login_attempt *attempt)
{
	struct str name = stream_tls_peer_name(op->arena, c->stream);
	return (struct auth_request){
		.user = attempt->user,
		.mechanism = attempt->mechanism,
		.service = c->door.protocol,
		.session_id = str_from(c->session_id),
		.local_name = str_from(c->server_name),
		.local = c->local,
		.remote = c->remote,
		.real_remote = c->real_remote,
		.is_tls = login_is_tls(c),
		.is_secured = c->is_secured,
		.has_cert = login_has_certificate(c),
		.cert_user = c->proxied_user ? str_from(c->proxied_user) : name,
		.event = c->event,
	};
}

/* Derived for mechanisms that use it alone: every login over TLS would pay for it. */
static void bind_channel(
	struct op *op, const struct login_connection *c, struct auth_request *request)
{
	uint8_t binding[TLS_BINDING_BYTES];
	if (str_starts(request->mechanism, STR("SCRAM-")) && stream_tls_binding(c->stream, binding))
		request->channel_binding =
			str_dup(op->arena, (struct str){ (const char *)binding, sizeof(binding) });
}

/* While auth thinks the timer is for a word to the client, not for his end. */
static void begin_waiting(struct login_connection *c)
{
	c->waits_for_auth = true;
	serving_expire_in(&c->serving, LOGIN_NOTICE_US);
}

static void end_waiting(struct login_connection *c)
{
	c->waits_for_auth = false;
	serving_expire_in(&c->serving, LOGIN_IDLE_US);
}

/* ---- what is refused at once ---- */

/* True if the answer was given. */
static bool refuse_without_certificate(const struct login_command *x)
{
	const struct login_connection *c = x->c;
	if (!config_bool(c->scope, SET_auth_ssl_require_client_cert) || login_has_certificate(c))
		return false;
	bool has_shown = stream_tls_peer(c->stream) != TLS_PEER_NONE;
	event_send(c->event, EVENT_INFO, NULL, "refused: %s%s",
		has_shown ? "client certificate: " : "no client certificate",
		has_shown ? stream_tls_peer_error(c->stream) : "");
	imap_put_tagged(x->out, x->tag, "NO", STR("AUTHENTICATIONFAILED"),
		has_shown ? STR("Client didn't present a valid TLS certificate.")
			  : STR("Client didn't present a TLS certificate."));
	return true;
}

/* ---- LOGIN ---- */

enum login_outcome login_command_login(struct op *op, const struct login_command *x)
{
	struct login_connection *c = x->c;
	struct imap_login login;
	if (imap_parse_login(x->cursor, &login) != ERR_NONE)
		return login_bad_arguments(x);
	if (!login_may_use_cleartext(c)) {
		login_put_privacy_required(x->out, x->tag, true);
		return LOGIN_GOES_ON;
	}
	if (refuse_without_certificate(x))
		return LOGIN_GOES_ON;
	struct login_attempt attempt = {
		.tag = x->tag, .user = login.user, .mechanism = STR("PLAIN")
	};
	struct auth_request request = describe(op, c, &attempt);
	struct auth_answer answer = { .refusal = AUTH_REFUSAL_NONE };
	request.password = login.password;
	c->bad_commands = 0;
	begin_waiting(c);
	enum err e = auth_client_verify(op, c->login->peers->auth, &request, &answer);
	end_waiting(c);
	return login_conclude(op, c, &attempt, e, &answer) ? LOGIN_HANDED_OVER : LOGIN_GOES_ON;
}

/* ---- AUTHENTICATE ---- */

/* A SASL dialogue. When its client breaks the rules the dialogue is over without auth's verdict. */
struct exchange {
	const struct login_command *x;
	struct auth_exchange *auth;
	struct auth_step step;
	unsigned rounds;
	enum err client_error; /* ERR_NONE: the client plays by the rules */
};

/* WAITS for one line of the SASL dialogue; borrowed from the arena. */
static enum err read_line(struct op *op, struct login_connection *c, struct str *out)
{
	TRY(stream_flush(op, c->stream));
	for (;;) {
		struct str input = stream_input(c->stream), line;
		if (str_cut_line(&input, &line)) {
			*out = str_dup(op->arena, line);
			stream_consume(c->stream, stream_input(c->stream).n - input.n);
			return ERR_NONE;
		}
		TRY(stream_read_more(op, c->stream));
	}
}

/* WAITS. The client's answer to `challenge`. */
static enum err ask_client(
	struct op *op, struct exchange *ex, struct str challenge, struct str *out)
{
	const struct login_command *x = ex->x;
	struct str line;
	buf_put(x->out, STR("+ "));
	sasl_put_line(x->out, challenge);
	buf_put(x->out, STR("\r\n"));
	ex->client_error = read_line(op, x->c, &line);
	if (ex->client_error == ERR_NONE)
		ex->client_error = sasl_response_decode(op->arena, line, out);
	if (ex->client_error == ERR_NONE && ++ex->rounds > LOGIN_SASL_ROUNDS_MAX)
		ex->client_error = ERR_LIMIT;
	return ex->client_error;
}

/* IMAP has no room for data in the tagged OK: what the server says with its success is one more
 * challenge, to which the client answers with nothing (RFC 4422 §3.6). */
static enum err say_last_data(struct op *op, struct exchange *ex)
{
	struct str empty;
	if (ex->step.data.n == 0)
		return ERR_NONE;
	TRY(ask_client(op, ex, ex->step.data, &empty));
	ex->client_error = empty.n > 0 ? ERR_INVALID : ERR_NONE;
	return ex->client_error;
}

static enum err run_exchange(struct op *op, struct exchange *ex, const struct auth_request *request,
	bool has_initial, struct str initial)
{
	struct login_connection *c = ex->x->c;
	struct str response;
	begin_waiting(c);
	enum err e = auth_client_begin(
		op, c->login->peers->auth, request, has_initial, initial, &ex->auth, &ex->step);
	end_waiting(c);
	while (e == ERR_NONE && !ex->step.is_done) {
		e = ask_client(op, ex, ex->step.data, &response);
		if (e != ERR_NONE)
			break;
		begin_waiting(c);
		e = auth_client_respond(op, ex->auth, response, &ex->step);
		end_waiting(c);
	}
	return e == ERR_NONE ? say_last_data(op, ex) : e;
}

static enum login_outcome say_client_error(const struct login_command *x, enum err e)
{
	struct login_connection *c = x->c;
	/* The client's "*" and the end of our patience have one class. */
	if (task_is_cancelled())
		return LOGIN_GOES_ON; /* the connection ends, and its client hears why */
	if (e == ERR_CANCELLED) {
		login_say_bad(c, x->tag, STR("Authentication aborted by client."));
	} else if (e == ERR_INVALID) {
		login_say_bad(c, x->tag, STR("Invalid base64 data in continued response"));
	} else if (e == ERR_LIMIT) {
		/* Where the next command would begin nobody knows. */
		login_say_bad(c, x->tag, STR("Authentication response is too long."));
		c->closing_reason = "too long an authentication response";
	} else {
		c->closing_reason = "disconnected during authentication";
	}
	return LOGIN_GOES_ON;
}

/* Names are offered only when they may be used: one that may be used elsewhere tells the client why. */
static bool refuse_mechanism(const struct login_command *x, struct str mechanism, bool has_initial)
{
	const struct login_connection *c = x->c;
	if (login_offers(c, mechanism))
		return refuse_without_certificate(x);
	if (!login_is_tls(c) && auth_mechanism_offered(c->scope, mechanism, true, true))
		login_put_privacy_required(x->out, x->tag,
			has_initial && (str_eq(mechanism, STR("PLAIN")) ||
					       str_eq(mechanism, STR("LOGIN"))));
	else
		imap_put_tagged(x->out, x->tag, "NO", STR("ALERT"),
			STR("Unsupported authentication mechanism."));
	return true;
}

enum login_outcome login_command_authenticate(struct op *op, const struct login_command *x)
{
	struct login_connection *c = x->c;
	struct imap_authenticate a;
	struct str initial = STR("");
	if (imap_parse_authenticate(x->cursor, &a) != ERR_NONE)
		return login_bad_arguments(x);
	AUTO_BUF(name, 0);
	for (size_t i = 0; i < a.mechanism.n; i++)
		buf_put_byte(&name, ascii_upper(a.mechanism.p[i]));
	struct login_attempt attempt = { .tag = x->tag, .mechanism = buf_str(&name) };
	if (refuse_mechanism(x, attempt.mechanism, a.has_initial))
		return LOGIN_GOES_ON;
	if (a.has_initial) {
		enum err e = sasl_response_decode(op->arena, a.initial, &initial);
		if (e != ERR_NONE)
			return say_client_error(x, e);
	}
	struct exchange ex = { .x = x };
	struct auth_request request = describe(op, c, &attempt);
	bind_channel(op, c, &request);
	enum err e = run_exchange(op, &ex, &request, a.has_initial, initial);
	if (ex.client_error != ERR_NONE || (e != ERR_NONE && task_is_cancelled())) {
		auth_exchange_free(ex.auth);
		return say_client_error(x, ex.client_error);
	}
	auth_exchange_free(ex.auth);
	c->bad_commands = 0;
	return login_conclude(op, c, &attempt, e, &ex.step.answer) ? LOGIN_HANDED_OVER
								   : LOGIN_GOES_ON;
}
