/* SPDX-License-Identifier: Apache-2.0 */
/* The auth process's end of a question: checks, logs, delays refusals, seals the ticket. */
#include "auth/auth_private.h"
#include "auth/client.h"
#include "auth/mechanism_private.h"
#include "auth/message_private.h"
#include "auth/ticket.h"
#include "event/event.h"
#include "task/task.h"

static void log_failure(
	struct op *op, const struct auth *a, const struct auth_request *r, enum err e)
{
	bool is_refusal = e == ERR_DENIED || e == ERR_INVALID;
	if (is_refusal && !a->is_verbose)
		return;
	struct str remote = address_dup(op->arena, &r->remote);
	event_send(NULL, is_refusal ? EVENT_INFO : EVENT_ERROR, "auth_request_finished",
		"%.*s(%.*s,%.*s,<%.*s>): %s", STRF(r->mechanism), STRF(r->user), STRF(remote),
		STRF(r->session_id), op->failure.text);
}

/* Refusals all come `failure_delay` after the question, so that time tells nothing about the reason. */
static void delay_refusal(struct op *op, const struct auth *a, int64_t started_us)
{
	struct op_failure why = op->failure;
	int64_t left_us = started_us + a->failure_delay_us - now_us();
	if (left_us > 0)
		(void)task_sleep(op, left_us); /* at the deadline the caller has left anyway */
	op->failure = why;
}

static enum err put_success(struct op *op, const uint8_t *ticket_key, const struct auth_request *r,
	const struct auth_result *result, struct ipc_message *reply)
{
	struct ticket ticket = {
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
	const struct auth_turn *turn, enum err e, int64_t started_us, struct ipc_message *reply)
{
	if (e == ERR_NONE && turn->is_done)
		e = put_success(op, ticket_key, &turn->request, &turn->result, reply);
	if (e == ERR_NONE)
		return ERR_NONE;
	log_failure(op, a, &turn->request, e);
	if (e == ERR_DENIED || e == ERR_INVALID)
		delay_refusal(op, a, started_us);
	auth_message_put_failure(reply, e, op, &turn->result);
	return ERR_NONE;
}

static enum err serve_verify(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_turn turn = { .request = auth_message_get_request(request), .is_done = true };
	int64_t started_us = now_us();
	enum err e = auth_verify(op, a, &turn.request, &turn.result);
	return finish(op, a, ticket_key, &turn, e, started_us, reply);
}

static enum err serve_lookup(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_request r = auth_message_get_request(request);
	struct auth_result result;
	enum err e = auth_lookup(op, a, &r, &result);
	if (e == ERR_NONE)
		return put_success(op, ticket_key, &r, &result, reply);
	if (e != ERR_NOT_FOUND)
		log_failure(op, a, &r, e);
	return e;
}

static enum err serve_exchange(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_peer *peer, const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_turn turn;
	struct str id = STR(""), response = STR("");
	int64_t started_us = now_us();
	enum err e;
	(void)ipc_get_str(request, "exchange", &id); /* empty: it will not be found */
	(void)ipc_get_str(request, "response", &response);
	if (request->type == IPC_AUTH_BEGIN) {
		struct auth_request r = auth_message_get_request(request);
		e = auth_exchange_begin(
			op, a, peer, &r, ipc_get_bool(request, "has_initial"), response, &turn);
	} else {
		e = auth_exchange_respond(op, a, peer, id, response, &turn);
	}
	if (e == ERR_NONE) {
		ipc_put_int(reply, "done", turn.is_done);
		ipc_put_str(reply, "data", turn.data);
		if (!turn.is_done)
			ipc_put_str(reply, "exchange", turn.id);
	}
	return finish(op, a, ticket_key, &turn, e, started_us, reply);
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
		return op_fail(op, ERR_UNSUPPORTED, "auth does not take messages of type %d",
			(int)request->type);
	}
}
