/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/scram.h - the computations of SCRAM (RFC 5802 §3), over SHA-1 or SHA-256 (RFC 7677).
 *
 * Rules:  pure functions. scram_keys_derive() takes milliseconds: call it in an offload job. Passwords
 *         are taken as they are: who wants SASLprep does it before. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define SCRAM_KEY_BYTES_MAX 32
#define SCRAM_ROUNDS_MIN    4096
#define SCRAM_ROUNDS_MAX    10000000

struct scram_digest {
	struct str name; /* as in the mechanism's name: "SHA-1", "SHA-256" */
	struct str digest;
	size_t bytes;
};
extern const struct scram_digest scram_sha1, scram_sha256;

/* What a server keeps of a password: it proves nothing to other servers. */
struct scram_keys {
	uint8_t stored[SCRAM_KEY_BYTES_MAX], server[SCRAM_KEY_BYTES_MAX];
};
void scram_keys_derive(const struct scram_digest *d, struct str password, struct str salt,
	uint32_t rounds, struct scram_keys *out);
/* Does the client's proof show that he knows the password? Constant time. */
bool scram_proof_is_right(const struct scram_digest *d, const struct scram_keys *keys,
	struct str auth_message, struct str proof);
/* What proves to the client that the server knows the keys: d->bytes. */
void scram_server_signature(const struct scram_digest *d, const struct scram_keys *keys,
	struct str auth_message, uint8_t out[SCRAM_KEY_BYTES_MAX]);

/* As stored in databases: "rounds,salt,stored key,server key", the last three in base64. The salt is
 * added to `salt`. False: malformed. */
bool scram_stored_parse(const struct scram_digest *d, struct str data, uint32_t *out_rounds,
	struct buf *salt, struct scram_keys *out);
void scram_stored_put(const struct scram_digest *d, uint32_t rounds, struct str salt,
	const struct scram_keys *keys, struct buf *out);
