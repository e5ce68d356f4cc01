/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/digest.h - algorithms by the names that administrators write: digests, CBC ciphers and keys
 * from passwords, for %{user | sha1} and its kind. New code of our own uses crypto.h.
 *
 * Rules:  as crypto.h: no state, any thread. What a name or a length can get wrong is answered with 0
 *         or false; the library's own failures abort.
 * Spec:   RFC 1321, RFC 2104, FIPS 180-4, RFC 8018 (PBKDF2), NIST SP 800-38A (CBC). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define CRYPTO_DIGEST_BYTES_MAX 64
#define CRYPTO_IV_BYTES_MAX     16
#define CRYPTO_CIPHER_KEY_MAX   32

/* The digest called `name` (md5, sha1, sha224, sha256, sha384, sha512; any case) of `in`: its length in
 * bytes, or 0 when there is none of that name. */
size_t crypto_digest(struct str name, struct str in, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]);

/* The same of several runs of bytes, one after the other. */
size_t crypto_digest_parts(struct str name, const struct str *parts, size_t part_count,
	uint8_t out[CRYPTO_DIGEST_BYTES_MAX]);
/* The keyed digest (RFC 2104) of `in` with the digest called `name`: its length, or 0. */
size_t crypto_hmac(
	struct str name, struct str key, struct str in, uint8_t out[CRYPTO_DIGEST_BYTES_MAX]);

/* Key and IV lengths of a cipher: aes-128-cbc, aes-192-cbc, aes-256-cbc. False: unknown. */
bool crypto_cipher_sizes(struct str name, size_t *key_bytes, size_t *iv_bytes);

/* CBC with padding; appends to *out. False, and nothing added: unknown name, lengths that do not fit it, or
 * (opening) a text that was not made with this key. */
bool crypto_cipher_seal(
	struct str name, struct str key, struct str iv, struct str plain, struct buf *out);
bool crypto_cipher_open(
	struct str name, struct str key, struct str iv, struct str sealed, struct buf *out);

/* PBKDF2 with HMAC of the named digest. False: unknown digest, or no rounds. */
bool crypto_key_derive(struct str digest, struct str password, struct str salt, uint32_t rounds,
	uint8_t *out, size_t out_bytes);
