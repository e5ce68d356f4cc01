/* SPDX-License-Identifier: Apache-2.0 */
/* auth/mechanism_private.h - SASL mechanisms as drivers, for this folder alone.
 *
 * An exchange lives in the auth process between a client's messages: bounded in number and in age
 * (exchange.c). The mechanism sees one message at a time. */
#pragma once

#include "auth/auth.h"

enum auth_mechanism_flag {
	MECHANISM_SHOWS_PASSWORD = 1, /* only over what hides it, unless auth_allow_cleartext */
	MECHANISM_NEEDS_CERT = 2,
	MECHANISM_NEEDS_BINDING = 4,
	MECHANISM_SERVER_FIRST = 8, /* the server has the first word */
};

/* One client's way through a mechanism. */
struct auth_dialogue {
	struct auth *auth;
	const struct auth_mechanism *mechanism;
	struct arena *arena;         /* of the whole exchange */
	struct auth_request request; /* in the arena */
	void *state;                 /* the mechanism's; NULL at first, in the arena */
	/* What came out, set by step() before it fails or says is_done; in the op's arena. */
	struct auth_result result;
	bool is_done;
};

/* To add a mechanism: write mech_x.c, declare it here, list it in mechanism.c. */
struct auth_mechanism {
	struct str name; /* upper case */
	unsigned flags;
	/* WAITS. Takes a message; sets what to say next (empty at first) or is_done. With
	 * MECHANISM_SERVER_FIRST the first call may have no message: `message.p` is NULL. */
	enum err (*step)(
		struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data);
};
extern const struct auth_mechanism auth_mech_plain;
extern const struct auth_mechanism auth_mech_login;
extern const struct auth_mechanism auth_mech_scram_sha1, auth_mech_scram_sha1_plus;
extern const struct auth_mechanism auth_mech_scram_sha256, auth_mech_scram_sha256_plus;
extern const struct auth_mechanism auth_mech_external, auth_mech_anonymous;

/* NULL if there is none of that name (in any case). */
const struct auth_mechanism *auth_mechanism_find(struct str name);
/* The client's message is not of this mechanism: sets the refusal. */
enum err auth_dialogue_malformed(struct op *op, struct auth_dialogue *d);

/* Are there mechanisms with channel binding for who asks so? */
bool auth_offers_binding(const struct auth *a, const struct auth_request *request);

/* exchange.c: exchanges that wait for their client's next message. */
struct auth_exchanges;
struct auth_exchanges *auth_exchanges_new(void);
void auth_exchanges_free(struct auth_exchanges *table);
size_t auth_exchanges_count(const struct auth_exchanges *table);
struct ipc_message;
struct ipc_peer;
/* WAITS. One message of an exchange, and what came of it. */
struct auth_turn {
	struct auth_request request; /* as far as it is known, for logs; in op's arena */
	struct auth_result result;
	bool is_done;
	struct str data; /* what to say */
	struct str id;   /* of the exchange, when it is not done */
	uint64_t guess;  /* auth_penalty_guess() of what was tried */
};
enum err auth_exchange_begin(struct op *op, struct auth *a, const struct ipc_peer *peer,
	const struct auth_request *request, bool has_initial, struct str initial,
	struct auth_turn *out);
enum err auth_exchange_respond(struct op *op, struct auth *a, const struct ipc_peer *peer,
	struct str id, struct str response, struct auth_turn *out);
void auth_exchange_forget(struct auth *a, const struct ipc_peer *peer, struct str id);
