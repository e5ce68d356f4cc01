/* SPDX-License-Identifier: Apache-2.0 */
/* auth/serve_private.h - the pieces of the auth process's end, for this folder alone. */
#pragma once

#include "auth/auth_private.h"
#include "auth/mechanism_private.h"
#include "ipc/ipc.h"

/* What tools ask (admin.c): IPC_AUTH_INSPECT, _LIST, _CACHE_FLUSH, _CACHE_STATUS. ERR_DENIED: the peer
 * is neither root nor our own user. */
enum err auth_serve_tool(struct op *op, struct auth *a, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply);

/* The event and log line of a check of credentials that ended. */
void auth_tell_finished(
	struct op *op, const struct auth *a, const struct auth_turn *turn, enum err e);
