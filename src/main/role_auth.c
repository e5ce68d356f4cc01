/* SPDX-License-Identifier: Apache-2.0 */
/* The role that knows passwords: answers the questions of processes that face clients. */
#include <unistd.h>

#include "auth/client.h"
#include "main/role.h"
#include "task/task.h"

struct auth_role {
	struct auth *auth;
	struct ipc_server *server;
	uint8_t ticket_key[TICKET_KEY_BYTES];
	unsigned busy; /* questions being answered */
	struct wait_queue idle;
};

static enum err answer(struct op *op, const struct ipc_peer *peer, struct ipc_message *request,
	struct ipc_message *reply, void *arg)
{
	struct auth_role *r = arg;
	r->busy++;
	enum err e = auth_serve_message(op, r->auth, r->ticket_key, peer, request, reply);
	if (--r->busy == 0)
		wait_queue_wake_all(&r->idle);
	return e;
}

static enum err auth_role_start(struct op *op, struct role_context *context, void **out_state)
{
	struct auth_role *r = MEM_NEW(struct auth_role);
	ASSERT(context->has_ticket_key && context->listener_count == 1);
	memcpy(r->ticket_key, context->ticket_key, sizeof(r->ticket_key));
	enum err e = auth_open(op, context->config, &r->auth);
	if (e == ERR_NONE) {
		e = ipc_serve(op, context->listeners[0].fd, "auth-request", answer, r, &r->server);
		if (e != ERR_NONE)
			auth_close(r->auth);
	}
	if (e != ERR_NONE) {
		mem_free(r);
		return e;
	}
	*out_state = r;
	return ERR_NONE;
}

static void auth_role_stop(struct op *op, void *state)
{
	struct auth_role *r = state;
	ipc_server_close(r->server);
	auth_hurry(r->auth); /* refusals that are delayed */
	/* A password's hash on another thread. */
	while (r->busy > 0 && wait_queue_wait(op, &r->idle) == ERR_NONE)
		continue;
	if (r->busy > 0)
		return; /* out of time: the process ends now, and they with it */
	auth_close(r->auth);
	mem_wipe(r->ticket_key, sizeof(r->ticket_key));
	mem_free(r);
}

static enum err auth_role_reload(struct op *op, void *state, struct role_context *context)
{
	struct auth_role *r = state;
	return auth_reload(op, r->auth, context->config);
}

static void auth_role_retire(struct op *op, void *state)
{
	struct auth_role *r = state;
	ipc_server_retire(r->server);
	ipc_server_finish(op, r->server);
}

static uint64_t auth_role_clients(const void *state)
{
	const struct auth_role *r = state;
	return r->busy;
}

const struct role role_auth = {
	.name = "auth",
	.service = "auth",
	.user_setting = SET_default_internal_user,
	.reader = CONFIG_READER_AUTH,
	.needs_ticket_key = true,
	.start = auth_role_start,
	.reload = auth_role_reload,
	.retire = auth_role_retire,
	.stop = auth_role_stop,
	.clients = auth_role_clients,
};
