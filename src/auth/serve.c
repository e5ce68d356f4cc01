/* SPDX-License-Identifier: Apache-2.0 */
/* The auth process's end of a question: checks, logs, delays refusals, seals the ticket. */
#include "auth/auth_private.h"
#include "auth/client.h"
#include "auth/ticket.h"
#include "event/event.h"
#include "task/task.h"

/* Absent fields are empty, which no check accepts as a user or password. */
static struct auth_request read_request(const struct ipc_message *m)
{
	struct auth_request r = {
		.local = ipc_get_address(m, "local"),
		.remote = ipc_get_address(m, "remote"),
		.is_tls = ipc_get_bool(m, "tls"),
		.is_secured = ipc_get_bool(m, "secured"),
	};
	(void)ipc_get_str(m, "user", &r.user);
	(void)ipc_get_str(m, "password", &r.password);
	(void)ipc_get_str(m, "authzid", &r.authzid);
	(void)ipc_get_str(m, "mechanism", &r.mechanism);
	(void)ipc_get_str(m, "service", &r.service);
	(void)ipc_get_str(m, "session", &r.session_id);
	return r;
}

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

enum err auth_serve_message(struct op *op, struct auth *a, const uint8_t *ticket_key,
	struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_request r = read_request(request);
	struct auth_result result;
	int64_t started_us = now_us();
	enum err e;
	switch ((int)request->type) {
	case IPC_AUTH_VERIFY:
		e = auth_verify(op, a, &r, &result);
		break;
	case IPC_AUTH_LOOKUP:
		e = auth_lookup(op, a, &r, &result);
		break;
	default:
		return op_fail(op, ERR_UNSUPPORTED, "auth does not take messages of type %d",
			(int)request->type);
	}
	if (e != ERR_NONE && (request->type == IPC_AUTH_VERIFY || e != ERR_NOT_FOUND))
		log_failure(op, a, &r, e);
	if (request->type == IPC_AUTH_VERIFY && (e == ERR_DENIED || e == ERR_INVALID))
		delay_refusal(op, a, started_us);
	TRY(e);
	struct ticket ticket = {
		.service = r.service,
		.user = result.user,
		.remote = r.remote,
		.fields = result.fields,
		.field_count = result.field_count,
		.expires_wall_us = now_wall_us() + TICKET_LIFE_US,
	};
	struct str sealed;
	TRY(ticket_seal(op, ticket_key, &ticket, &sealed));
	ipc_put_str(reply, "user", result.user);
	ipc_put_str(reply, "ticket", sealed);
	return ERR_NONE;
}
