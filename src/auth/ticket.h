/* SPDX-License-Identifier: Apache-2.0 */
/* auth/ticket.h - the proof that a worker accepts: sealed by auth, carried by login, opened once.
 *
 * The master makes a random key at start and gives it to `auth` and `mail`, never to `login`: a broken
 * login process can neither read nor forge a ticket, so it cannot become another user: without a proof
 * it gets tickets for recipients alone. Sealing instead of sending the ticket to the worker saves a message and a round trip on every login and recipient.
 *
 * Format: version, 12-byte nonce, AES-256-GCM of (expiry, service, user, remote address, fields). */
#pragma once

#include "auth/auth.h"

#define TICKET_KEY_BYTES 32
#define TICKET_LIFE_US   (30 * US_PER_SEC)

/* What a ticket is good for. They are sealed apart: none can be taken for another. */
enum ticket_kind {
	TICKET_LOGIN,     /* he has proved who he is: opens his mail */
	TICKET_RECIPIENT, /* there is such a user: delivers to him, no more */
};
struct ticket {
	enum ticket_kind kind;
	struct str service;
	struct str user;
	struct address remote;
	struct auth_field *fields;
	size_t field_count;
	int64_t expires_wall_us;
};
/* In op's arena. */
enum err ticket_seal(struct op *op, const uint8_t key[TICKET_KEY_BYTES], const struct ticket *t,
	struct str *out);

/* A worker's memory of the tickets it has seen, until they expire. */
struct ticket_gate;
struct ticket_gate *ticket_gate_new(const uint8_t key[TICKET_KEY_BYTES]);
void ticket_gate_free(struct ticket_gate *g);
/* ERR_DENIED: forged, expired, used before, of another kind, or for another service. */
enum err ticket_redeem(struct op *op, struct ticket_gate *g, struct str sealed,
	enum ticket_kind kind, struct str service, struct ticket *out);
