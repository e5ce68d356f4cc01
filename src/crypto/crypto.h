/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/crypto.h - digests, message authentication and sealed messages.
 *
 * Life:   crypto_prepare() once before a sandbox closes; everything else may be called at any time
 *         from any thread and keeps no state between calls.
 * Rules:  the library's failures (out of memory, a broken installation) abort; what an attacker can
 *         cause is answered with false. Secrets are compared with mem_equal_const_time (base/mem.h),
 *         random bytes come from base/random.h, password hashes are in crypto/password.h.
 * Spec:   FIPS 180-4, RFC 2104, NIST SP 800-38D. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA512_BYTES 64
#define CRYPTO_KEY_BYTES    32

/* Loads the algorithms; later calls read no files. Asked for by the first use in any case. */
void crypto_prepare(void);

void crypto_sha256(struct str in, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_sha512(struct str in, uint8_t out[CRYPTO_SHA512_BYTES]);
/* Of several runs of bytes, one after the other. */
void crypto_sha256_parts(
	const struct str *parts, size_t part_count, uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_hmac_sha256(struct str key, struct str in, uint8_t out[CRYPTO_SHA256_BYTES]);

/* A sealed message can be read and made only with the key (AES-256-GCM). It is nonce, ciphertext,
 * tag: CRYPTO_SEAL_BYTES longer than the plain text. Nonces are random, so one key may seal at most
 * 2^32 messages. `context` is not in the message but must be the same when it is opened: it says
 * what the message is for, so that it cannot be used for something else. */
#define CRYPTO_SEAL_BYTES 28
void crypto_seal(
	const uint8_t key[CRYPTO_KEY_BYTES], struct str context, struct str plain, struct buf *out);
/* False, and nothing added, when it was not sealed with this key and context. */
bool crypto_open(const uint8_t key[CRYPTO_KEY_BYTES], struct str context, struct str sealed,
	struct buf *out);
