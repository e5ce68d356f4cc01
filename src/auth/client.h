/* SPDX-License-Identifier: Apache-2.0 */
/* auth/client.h - asking the auth process (login, LMTP), and serving such questions. */
#pragma once

#include "auth/auth.h"
#include "ipc/ipc.h"

struct auth_answer {
	struct str user;   /* normalised */
	struct str ticket; /* for the worker of that user; single use */
};
/* WAITS. Errors as auth_verify() and auth_lookup(). Strings in op's arena. */
enum err auth_client_verify(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out);
enum err auth_client_lookup(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out);

/* The other end: answers one IPC_AUTH_* message. Delays failures (auth_failure_delay). WAITS. */
enum err auth_serve_message(struct op *op, struct auth *a, const uint8_t *ticket_key,
	struct ipc_message *request, struct ipc_message *reply);
