/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to auth and their answers as messages. */
#include "auth/client.h"

static enum err ask(struct op *op, struct ipc_client *auth, enum ipc_type type,
	const struct auth_request *r, struct auth_answer *out)
{
	struct ipc_message request, reply;
	struct str user, ticket;
	ipc_message_init(&request, type);
	ipc_message_init(&reply, type);
	ipc_put_str(&request, "user", r->user);
	ipc_put_str(&request, "password", r->password);
	ipc_put_str(&request, "authzid", r->authzid);
	ipc_put_str(&request, "mechanism", r->mechanism);
	ipc_put_str(&request, "service", r->service);
	ipc_put_str(&request, "session", r->session_id);
	ipc_put_int(&request, "tls", r->is_tls);
	ipc_put_int(&request, "secured", r->is_secured);
	ipc_put_address(&request, "local", &r->local);
	ipc_put_address(&request, "remote", &r->remote);
	enum err e = ipc_call(op, auth, &request, &reply);
	mem_wipe(request.fields.p, request.fields.n);
	if (e == ERR_NONE &&
		(!ipc_get_str(&reply, "user", &user) || !ipc_get_str(&reply, "ticket", &ticket)))
		e = op_fail(op, ERR_UNAVAILABLE, "auth answered without user or ticket");
	if (e == ERR_NONE) {
		out->user = str_dup(op->arena, user);
		out->ticket = str_dup(op->arena, ticket);
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

enum err auth_client_verify(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out)
{
	return ask(op, auth, IPC_AUTH_VERIFY, request, out);
}

enum err auth_client_lookup(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out)
{
	return ask(op, auth, IPC_AUTH_LOOKUP, request, out);
}
