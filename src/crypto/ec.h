/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ec.h - key pairs of elliptic curves that two sides make a common secret with, and sealing of
 * many chunks with one key.
 *
 * Life:   ec_key_read_public()/ec_key_read_private()/ec_key_fresh() -> ec_agree() ... -> ec_key_free().
 *         aead_new() -> aead_seal()/aead_open() ... -> aead_free().
 * Rules:  as crypto.h: what files and peers can get wrong is answered with false and a text, the
 *         library's own failures abort. A key may be used by several threads, an aead by one at a time.
 * Spec:   NIST SP 800-56A (ECDH), RFC 7748, RFC 5869 (HKDF), NIST SP 800-38D, RFC 8439. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct ec_key; /* a pair, or only its public half */

#define EC_ID_BYTES   32
#define EC_PUBLIC_MAX 133 /* an uncompressed point on P-521 */
#define EC_SECRET_MAX 66

/* The next key in a PEM text, which is taken off the front. P-256, P-384, P-521, X25519 and X448 are
 * known. NULL: *problem says why (static text), or is NULL at the end of the text. */
struct ec_key *ec_key_cut_public(struct str *pem, const char **problem);
/* The same for a private key, whose password is empty when it needs none. */
struct ec_key *ec_key_cut_private(struct str *pem, struct str password, const char **problem);
/* A new pair on the curve of `like`. */
struct ec_key *ec_key_fresh(const struct ec_key *like);
void ec_key_free(struct ec_key *k); /* NULL is fine */

/* The name of the key: SHA-256 of its public half as DER (RFC 5280 SubjectPublicKeyInfo). */
void ec_key_id(const struct ec_key *k, uint8_t out[EC_ID_BYTES]);
/* The public half as it is sent: an uncompressed point, or the bytes of RFC 7748. Returns the length. */
size_t ec_key_public(const struct ec_key *k, uint8_t out[EC_PUBLIC_MAX]);
/* The common secret of our pair and the other side's public half. Returns its length; 0: those bytes are
 * no public half on this curve. */
size_t ec_agree(const struct ec_key *ours, struct str theirs, uint8_t out[EC_SECRET_MAX]);

/* HKDF with SHA-256. */
void crypto_hkdf(
	struct str secret, struct str salt, struct str info, uint8_t *out, size_t out_bytes);

/* ---- many chunks with one key ---- */

enum aead_algorithm { AEAD_AES_256_GCM = 1, AEAD_CHACHA20_POLY1305 = 2 };
#define AEAD_KEY_BYTES   32
#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES   16

struct aead;
/* For sealing alone or for opening alone. */
struct aead *aead_new(
	enum aead_algorithm algorithm, const uint8_t key[AEAD_KEY_BYTES], bool is_sealing);
void aead_free(struct aead *a);
/* Writes plain.n + AEAD_TAG_BYTES bytes. A nonce must never be used twice with one key. */
void aead_seal(
	struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str plain, uint8_t *out);
/* Writes sealed.n - AEAD_TAG_BYTES bytes. False, and they are wiped: not sealed with this key and nonce. */
bool aead_open(
	struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str sealed, uint8_t *out);
