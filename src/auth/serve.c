/* SPDX-License-Identifier: Apache-2.0 */
/* The auth process's end of a question: checks, logs, delays refusals, seals the ticket. */
#include "auth/client.h"
#include "auth/message_private.h"
#include "auth/serve_private.h"
#include "auth/ticket.h"
#include "base/random.h"
#include "event/event.h"

/* WAITS. Tells a failure when it is time: refusals at the ticks of one clock, temporary failures after
 * a delay of their own, so that nobody is asked again at once. */
static void delay_failure(struct op *op, struct auth *a, const struct auth_turn *turn, enum err e)
{
	bool is_refusal = e == ERR_DENIED || e == ERR_INVALID;
	int64_t internal_us = a->setup->internal_failure_delay_us;
	if (turn->result.skips_delay)
		return;
	if (is_refusal)
		auth_penalty_delay_refusal(op, a->penalties, a->setup->failure_delay_us);
	else if (e != ERR_UNSUPPORTED && internal_us > 0)
		auth_penalty_delay_refusal(
			op, a->penalties, internal_us + (int64_t)random_below(internal_us / 2 + 1));
}

/* Local clients and those of trusted networks speak for many users. */
static bool earns_penalties(struct op *op, const struct auth *a, const struct auth_request *r)
{
	struct str remote = address_dup(op->arena, &r->remote);
	struct config_place place = { .protocol = r->service };
	return remote.n > 0 && !config_networks_have(config_scope(a->setup->config, &place),
				       SET_login_trusted_networks, remote);
}

static enum err put_success(struct op *op, const uint8_t *ticket_key, enum ticket_kind kind,
	const struct auth_request *r, const struct auth_result *result, struct ipc_message *reply)
{
	struct ticket ticket = {
		.kind = kind,
		.service = r->service,
		.user = result->user,
		.remote = r->remote,
		.fields = result->fields,
		.field_count = result->field_count,
		.expires_wall_us = now_wall_us() + TICKET_LIFE_US,
	};
	struct str sealed;
	TRY(ticket_seal(op, ticket_key, &ticket, &sealed));
	ipc_put_str(reply, "user", result->user);
	ipc_put_str(reply, "ticket", sealed);
	auth_message_put_fields(
		reply, "login_key", "login_value", result->login_fields, result->login_field_count);
	return ERR_NONE;
}

/* WAITS. Tells how a check of credentials ended: a ticket, or a failure after its delay. */
static enum err finish(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct auth_turn *turn, enum err e, struct ipc_message *reply)
{
	bool is_refusal = e == ERR_DENIED || e == ERR_INVALID;
	if (e == ERR_NONE && !turn->is_done)
		return ERR_NONE;
	if (e == ERR_NONE)
		e = put_success(op, ticket_key, TICKET_LOGIN, &turn->request, &turn->result, reply);
	auth_tell_finished(op, a, turn, e);
	if ((e == ERR_NONE || is_refusal) && !turn->result.skips_delay &&
		earns_penalties(op, a, &turn->request))
		auth_penalty_count(a->penalties, &turn->request.remote, is_refusal, turn->guess);
	if (e == ERR_NONE)
		return ERR_NONE;
	delay_failure(op, a, turn, e);
	auth_message_put_failure(reply, e, op, &turn->result);
	return ERR_NONE;
}

/* WAITS. What the client's network has earned. */
static enum err wait_penalty(
	struct op *op, struct auth *a, const struct auth_request *r, struct auth_result *result)
{
	if (!earns_penalties(op, a, r))
		return ERR_NONE;
	enum err e = auth_penalty_wait(op, a->penalties, &r->remote);
	if (e != ERR_NONE)
		*result = (struct auth_result){
			.reason = STR(""),
			.refusal = AUTH_REFUSAL_TEMPORARY,
			.skips_delay = true,
		};
	return e;
}

static enum err serve_verify(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_turn turn = { .request = auth_message_get_request(request), .is_done = true };
	turn.guess = auth_penalty_guess(a->penalties, turn.request.user, turn.request.password);
	enum err e = wait_penalty(op, a, &turn.request, &turn.result);
	if (e == ERR_NONE)
		e = auth_verify(op, a, &turn.request, &turn.result);
	return finish(op, a, ticket_key, &turn, e, reply);
}

static enum err serve_lookup(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_request r = auth_message_get_request(request);
	struct auth_result result;
	enum err e = auth_lookup(op, a, &r, &result);
	if (e == ERR_NONE)
		return put_success(op, ticket_key, TICKET_RECIPIENT, &r, &result, reply);
	if (e != ERR_NOT_FOUND && e != ERR_INVALID)
		event_send_failure(NULL, EVENT_ERROR, NULL, op, "looking up a user");
	return e;
}

static enum err serve_begin(struct op *op, struct auth *a, const struct ipc_peer *peer,
	const struct ipc_message *request, struct auth_turn *turn)
{
	struct str initial = STR("");
	struct auth_request r = auth_message_get_request(request);
	*turn = (struct auth_turn){ .request = r };
	TRY(wait_penalty(op, a, &r, &turn->result));
	(void)ipc_get_str(request, "response", &initial); /* absent: empty */
	return auth_exchange_begin(
		op, a, peer, &r, ipc_get_bool(request, "has_initial"), initial, turn);
}

static enum err serve_exchange(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_peer *peer, const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_turn turn;
	struct str id = STR(""), response = STR("");
	enum err e;
	(void)ipc_get_str(request, "exchange", &id); /* empty: it will not be found */
	(void)ipc_get_str(request, "response", &response);
	if (request->type == IPC_AUTH_BEGIN)
		e = serve_begin(op, a, peer, request, &turn);
	else
		e = auth_exchange_respond(op, a, peer, id, response, &turn);
	if (e == ERR_NONE) {
		ipc_put_int(reply, "done", turn.is_done);
		ipc_put_str(reply, "data", turn.data);
		if (!turn.is_done)
			ipc_put_str(reply, "exchange", turn.id);
	}
	return finish(op, a, ticket_key, &turn, e, reply);
}

enum err auth_serve_message(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_peer *peer, struct ipc_message *request, struct ipc_message *reply)
{
	struct str id;
	switch ((int)request->type) {
	case IPC_AUTH_VERIFY:
		return serve_verify(op, a, ticket_key, request, reply);
	case IPC_AUTH_LOOKUP:
		return serve_lookup(op, a, ticket_key, request, reply);
	case IPC_AUTH_BEGIN:
	case IPC_AUTH_RESPOND:
		return serve_exchange(op, a, ticket_key, peer, request, reply);
	case IPC_AUTH_FORGET:
		if (ipc_get_str(request, "exchange", &id))
			auth_exchange_forget(a, peer, id);
		return ERR_NONE;
	default:
		return auth_serve_tool(op, a, peer, request, reply);
	}
}
