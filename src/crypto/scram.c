/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/scram.c - SCRAM on OpenSSL's HMAC and PBKDF2: see scram.h. */
#include "crypto/scram.h"

#include <openssl/hmac.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/number.h"
#include "crypto/digest.h"

#define SALT_BYTES_MAX 1024

const struct scram_digest scram_sha1 = { { "SHA-1", 5 }, { "sha1", 4 }, 20 };
const struct scram_digest scram_sha256 = { { "SHA-256", 7 }, { "sha256", 6 }, 32 };

static struct str bytes_of(const uint8_t *p, size_t n)
{
	return (struct str){ (const char *)p, n };
}

static void hmac(const struct scram_digest *d, const uint8_t *key, struct str in, uint8_t *out)
{
	unsigned n = SCRAM_KEY_BYTES_MAX;
	const EVP_MD *algorithm = d == &scram_sha1 ? EVP_sha1() : EVP_sha256();
	const uint8_t *done =
		HMAC(algorithm, key, (int)d->bytes, (const unsigned char *)in.p, in.n, out, &n);
	ASSERT(done != NULL && n == d->bytes);
}

static void digest(const struct scram_digest *d, const uint8_t *in, uint8_t *out)
{
	uint8_t whole[CRYPTO_DIGEST_BYTES_MAX];
	size_t n = crypto_digest(d->digest, bytes_of(in, d->bytes), whole);
	ASSERT(n == d->bytes && n <= SCRAM_KEY_BYTES_MAX);
	memcpy(out, whole, n);
}

void scram_keys_derive(const struct scram_digest *d, struct str password, struct str salt,
	uint32_t rounds, struct scram_keys *out)
{
	uint8_t salted[SCRAM_KEY_BYTES_MAX], client[SCRAM_KEY_BYTES_MAX];
	bool is_done = crypto_key_derive(d->digest, password, salt, rounds, salted, d->bytes);
	ASSERT(is_done);
	hmac(d, salted, STR("Client Key"), client);
	digest(d, client, out->stored);
	hmac(d, salted, STR("Server Key"), out->server);
	mem_wipe(salted, sizeof(salted));
	mem_wipe(client, sizeof(client));
}

bool scram_proof_is_right(const struct scram_digest *d, const struct scram_keys *keys,
	struct str auth_message, struct str proof)
{
	uint8_t client[SCRAM_KEY_BYTES_MAX], hashed[SCRAM_KEY_BYTES_MAX];
	if (proof.n != d->bytes)
		return false;
	hmac(d, keys->stored, auth_message, client);
	for (size_t i = 0; i < d->bytes; i++)
		client[i] ^= (uint8_t)proof.p[i];
	digest(d, client, hashed);
	mem_wipe(client, sizeof(client));
	return mem_equal_const_time(hashed, keys->stored, d->bytes);
}

void scram_server_signature(const struct scram_digest *d, const struct scram_keys *keys,
	struct str auth_message, uint8_t out[SCRAM_KEY_BYTES_MAX])
{
	hmac(d, keys->server, auth_message, out);
}

static bool decode_key(const struct scram_digest *d, struct str text, uint8_t *out)
{
	AUTO_BUF(key, 0);
	if (!base64_decode(&key, text) || key.n != d->bytes)
		return false;
	memcpy(out, key.p, key.n);
	mem_wipe(key.p, key.n);
	return true;
}

bool scram_stored_parse(const struct scram_digest *d, struct str data, uint32_t *out_rounds,
	struct buf *salt, struct scram_keys *out)
{
	struct str rest = data, rounds, salt_text, stored;
	if (!str_cut(&rest, ',', &rounds) || !str_cut(&rest, ',', &salt_text) ||
		!str_cut(&rest, ',', &stored))
		return false;
	return number_parse_u32(rounds, out_rounds) && *out_rounds > 0 &&
	       *out_rounds <= SCRAM_ROUNDS_MAX && salt_text.n <= SALT_BYTES_MAX &&
	       base64_decode(salt, salt_text) && decode_key(d, stored, out->stored) &&
	       decode_key(d, rest, out->server);
}

void scram_stored_put(const struct scram_digest *d, uint32_t rounds, struct str salt,
	const struct scram_keys *keys, struct buf *out)
{
	buf_putf(out, "%u,", rounds);
	base64_encode(out, salt);
	buf_put_byte(out, ',');
	base64_encode(out, bytes_of(keys->stored, d->bytes));
	buf_put_byte(out, ',');
	base64_encode(out, bytes_of(keys->server, d->bytes));
}
