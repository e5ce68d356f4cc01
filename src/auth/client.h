/* SPDX-License-Identifier: Apache-2.0 */
/* auth/client.h - asking the auth process (login, LMTP, doveadm), and serving such questions.
 *
 * Password at hand (LOGIN, USER/PASS): auth_client_verify(). A recipient: auth_client_lookup().
 * A SASL mechanism: an exchange, in which auth does all the thinking and the caller carries bytes:
 *
 *         auth_client_begin() -> while !step.is_done: send step.data, auth_client_respond()
 *
 * Rules:  the caller does base64, "*" and "=": messages here are raw bytes. A client that gives up:
 *         auth_exchange_free(). Auth forgets an exchange nobody goes on with after a minute. */
#pragma once

#include "auth/auth.h"
#include "ipc/ipc.h"

struct config_scope;

struct auth_answer {
	struct str user;   /* normalised */
	struct str ticket; /* for the worker of that user; single use */
	/* Filled also when the call failed: */
	enum auth_refusal refusal; /* AUTH_REFUSAL_NONE after success */
	struct str reason;         /* for the client, from the databases; "" for none */
	/* What the password databases say for login: nologin, proxy, host, forward_*, event_*. */
	struct auth_field *fields;
	size_t field_count;
};
/* WAITS. Errors as auth_verify() and auth_lookup(). Strings in op's arena. */
enum err auth_client_verify(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out);
enum err auth_client_lookup(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_answer *out);

/* ---- SASL ---- */

struct auth_exchange;
struct auth_step {
	bool is_done;
	/* What to send: the challenge, or what the server says with its success (SCRAM's v=; empty:
	 * nothing). */
	struct str data;
	struct auth_answer answer; /* when done; after a failure refusal and reason alone */
};
/* WAITS. Starts request->mechanism (user and password are not looked at). `initial` counts when
 * has_initial. *out is NULL when the exchange is done or failed; otherwise the caller goes on with it.
 * Errors as auth_verify(), and ERR_UNSUPPORTED: the mechanism is not offered here; ERR_LIMIT: too many
 * exchanges. After an error `step->answer` says what to tell the client. */
enum err auth_client_begin(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, bool has_initial, struct str initial,
	struct auth_exchange **out, struct auth_step *step);
/* WAITS. The client's next message. Once it is done or has failed only auth_exchange_free() is left. */
enum err auth_client_respond(
	struct op *op, struct auth_exchange *x, struct str response, struct auth_step *step);
/* WAITS, a second at most, when the client gave up: auth is told. NULL is fine. */
void auth_exchange_free(struct auth_exchange *x);

/* Is `name` in auth_mechanisms, and may it be used as things are? For capability lists. Mechanisms that
 * show the password need `is_secured` (or auth_allow_cleartext), EXTERNAL needs `has_cert`, those with
 * channel binding ("-PLUS") need `is_secured` and make sense only where there are binding bytes. */
bool auth_mechanism_offered(
	const struct config_scope *scope, struct str name, bool is_secured, bool has_cert);
/* The names, in the order in which they should be offered: start with *at = 0; false at the end. */
bool auth_mechanism_next(size_t *at, struct str *out_name);

/* ---- tools: answered to root and to auth's own user (tool_client.c) ---- */

struct auth_facts {
	struct str user; /* as the databases call him */
	struct auth_field *fields;
	size_t field_count;
};
/* WAITS. What the password databases know of request->user; never a password. ERR_NOT_FOUND: nothing.
 * ERR_DENIED: auth does not let us. In op's arena. */
enum err auth_client_passdb(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_facts *out);
/* WAITS. The same of the user databases. */
enum err auth_client_userdb(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_facts *out);
/* WAITS. Appends the names of all users, each with a newline, sorted, each once. ERR_UNSUPPORTED: no
 * userdb can list. */
enum err auth_client_list(
	struct op *op, struct ipc_client *auth, struct str service, struct buf *out);
/* WAITS. Names are wildcards, separated by spaces; "" is everybody. */
enum err auth_client_cache_flush(
	struct op *op, struct ipc_client *auth, struct str names, uint64_t *out_count);
/* WAITS. */
enum err auth_client_cache_status(
	struct op *op, struct ipc_client *auth, bool resets, struct auth_cache_status *out);

/* ---- the other end ---- */

/* Answers one IPC_AUTH_* message. Delays failures (auth_failure_delay). What tools ask is answered to
 * root and to our own user alone. WAITS. */
enum err auth_serve_message(struct op *op, struct auth *a, const uint8_t *ticket_key,
	const struct ipc_peer *peer, struct ipc_message *request, struct ipc_message *reply);
