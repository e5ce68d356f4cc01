/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to auth and their answers as messages. */
#include "auth/client.h"

#include "auth/message_private.h"
#include "task/task.h"

struct auth_exchange {
	struct ipc_client *auth; /* borrowed */
	char *id;                /* owned; zero-terminated */
	bool is_over;            /* auth has forgotten it */
};

/* Sends, and reads how it ended. `reply` is initialised, also after a failure. */
static enum err call(struct op *op, struct ipc_client *auth, struct ipc_message *request,
	struct ipc_message *reply, struct auth_answer *out)
{
	*out = (struct auth_answer){ .refusal = AUTH_REFUSAL_TEMPORARY, .reason = STR("") };
	ipc_message_init(reply, request->type);
	enum err e = ipc_call(op, auth, request, reply);
	mem_wipe(request->fields.p, request->fields.n);
	ipc_message_done(request);
	TRY(e);
	return auth_message_get_failure(op, reply, &out->refusal, &out->reason);
}

static enum err read_answer(struct op *op, const struct ipc_message *reply, struct auth_answer *out)
{
	struct str user, ticket;
	auth_message_get_fields(
		op->arena, reply, "login_key", "login_value", &out->fields, &out->field_count);
	if (!ipc_get_str(reply, "user", &user) || !ipc_get_str(reply, "ticket", &ticket))
		return op_fail(op, ERR_UNAVAILABLE, "auth answered without user or ticket");
	out->user = str_dup(op->arena, user);
	out->ticket = str_dup(op->arena, ticket);
	return ERR_NONE;
}

static enum err ask(struct op *op, struct ipc_client *auth, enum ipc_type type,
	const struct auth_request *r, struct auth_answer *out)
{
	struct ipc_message request, reply;
	ipc_message_init(&request, type);
	auth_message_put_request(&request, r);
	enum err e = call(op, auth, &request, &reply, out);
	if (e == ERR_NONE)
		e = read_answer(op, &reply, out);
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

/* ---- SASL ---- */

/* Sends one message of an exchange; reads what to tell the client, and the end if it is one. */
static enum err step_call(struct op *op, struct ipc_client *auth, struct ipc_message *request,
	struct ipc_message *reply, struct auth_step *step)
{
	struct str data = STR("");
	*step = (struct auth_step){ .data = STR("") };
	TRY(call(op, auth, request, reply, &step->answer));
	(void)ipc_get_str(reply, "data", &data); /* absent: nothing to say */
	step->data = str_dup(op->arena, data);
	step->is_done = ipc_get_bool(reply, "done");
	return step->is_done ? read_answer(op, reply, &step->answer) : ERR_NONE;
}

enum err auth_client_begin(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, bool has_initial, struct str initial,
	struct auth_exchange **out, struct auth_step *step)
{
	struct ipc_message message, reply;
	struct str id;
	*out = NULL;
	ipc_message_init(&message, IPC_AUTH_BEGIN);
	auth_message_put_request(&message, request);
	ipc_put_int(&message, "has_initial", has_initial);
	ipc_put_str(&message, "response", initial);
	enum err e = step_call(op, auth, &message, &reply, step);
	if (e == ERR_NONE && !step->is_done) {
		if (ipc_get_str(&reply, "exchange", &id)) {
			struct auth_exchange *x = MEM_NEW(struct auth_exchange);
			x->auth = auth;
			x->id = str_new_z(id);
			*out = x;
		} else {
			e = op_fail(op, ERR_UNAVAILABLE, "auth began a nameless exchange");
		}
	}
	ipc_message_done(&reply);
	return e;
}

enum err auth_client_respond(
	struct op *op, struct auth_exchange *x, struct str response, struct auth_step *step)
{
	struct ipc_message message, reply;
	ASSERT(!x->is_over);
	ipc_message_init(&message, IPC_AUTH_RESPOND);
	ipc_put_str(&message, "exchange", str_from(x->id));
	ipc_put_str(&message, "response", response);
	enum err e = step_call(op, x->auth, &message, &reply, step);
	ipc_message_done(&reply);
	x->is_over = e != ERR_NONE || step->is_done;
	return e;
}

/* The message leaves even when the task is being cancelled; whether it was heard does not matter. */
static void forget(struct auth_exchange *x)
{
	struct ipc_message message, reply;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + US_PER_SEC);
	ipc_message_init(&message, IPC_AUTH_FORGET);
	ipc_message_init(&reply, IPC_AUTH_FORGET);
	ipc_put_str(&message, "exchange", str_from(x->id));
	(void)ipc_call(&op, x->auth, &message, &reply);
	ipc_message_done(&message);
	ipc_message_done(&reply);
}

void auth_exchange_free(struct auth_exchange *x)
{
	if (!x)
		return;
	if (!x->is_over)
		forget(x);
	mem_free(x->id);
	mem_free(x);
}
