/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/crypto.c - digests and sealed messages by OpenSSL's EVP interface: see crypto.h.
 *
 * The algorithms are fetched once: a fetch by name costs more than hashing a short text. */
#include "crypto/crypto.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/random.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16

static struct {
	EVP_MD *sha256;
	EVP_MD *sha512;
	EVP_CIPHER *aes256_gcm;
} algorithms;

static void fetch_algorithms(void)
{
	algorithms.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algorithms.sha512 = EVP_MD_fetch(NULL, "SHA512", NULL);
	algorithms.aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	ASSERT(algorithms.sha256 && algorithms.sha512 && algorithms.aes256_gcm);
}

void crypto_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, fetch_algorithms); /* cannot fail with a valid `once` */
}

static void digest(const EVP_MD *algorithm, struct str in, uint8_t *out)
{
	int ok = EVP_Digest(in.p, in.n, out, NULL, algorithm, NULL);

	ASSERT(ok == 1);
}

void crypto_sha256(struct str in, uint8_t out[CRYPTO_SHA256_BYTES])
{
	crypto_prepare();
	digest(algorithms.sha256, in, out);
}

void crypto_sha512(struct str in, uint8_t out[CRYPTO_SHA512_BYTES])
{
	crypto_prepare();
	digest(algorithms.sha512, in, out);
}

void crypto_sha256_parts(
	const struct str *parts, size_t part_count, uint8_t out[CRYPTO_SHA256_BYTES])
{
	crypto_prepare();
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	ASSERT(md != NULL);
	int ok = EVP_DigestInit_ex2(md, algorithms.sha256, NULL);
	for (size_t i = 0; i < part_count; i++)
		ok &= EVP_DigestUpdate(md, parts[i].p, parts[i].n);
	ok &= EVP_DigestFinal_ex(md, out, NULL);
	ASSERT(ok == 1);
	EVP_MD_CTX_free(md);
}

void crypto_hmac_sha256(struct str key, struct str in, uint8_t out[CRYPTO_SHA256_BYTES])
{
	unsigned n = CRYPTO_SHA256_BYTES;

	crypto_prepare();
	ASSERT(key.n <= INT_MAX);
	const void *key_bytes = key.n > 0 ? key.p : ""; /* NULL would mean "the key of before" */
	const uint8_t *done = HMAC(algorithms.sha256, key_bytes, (int)key.n,
		(const unsigned char *)in.p, in.n, out, &n);
	ASSERT(done != NULL && n == CRYPTO_SHA256_BYTES);
}

/* Starts work on a message: key, nonce and context are in. */
static EVP_CIPHER_CTX *gcm_new(
	const uint8_t *key, const uint8_t *nonce, struct str context, bool is_sealing)
{
	EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
	int n;

	ASSERT(gcm != NULL && context.n <= INT_MAX);
	int ok = EVP_CipherInit_ex2(gcm, algorithms.aes256_gcm, key, nonce, is_sealing, NULL);
	ASSERT(ok == 1);
	if (context.n > 0) {
		ok = EVP_CipherUpdate(
			gcm, NULL, &n, (const unsigned char *)context.p, (int)context.n);
		ASSERT(ok == 1);
	}
	return gcm;
}

/* Turns `in` into as many bytes at `out`. */
static void gcm_update(EVP_CIPHER_CTX *gcm, struct str in, uint8_t *out)
{
	int n = 0;

	if (in.n == 0)
		return;
	ASSERT(in.n <= INT_MAX);
	int ok = EVP_CipherUpdate(gcm, out, &n, (const unsigned char *)in.p, (int)in.n);
	ASSERT(ok == 1 && (size_t)n == in.n);
}

void crypto_seal(
	const uint8_t key[CRYPTO_KEY_BYTES], struct str context, struct str plain, struct buf *out)
{
	int n = 0;

	crypto_prepare();
	ASSERT(plain.n <= INT_MAX);
	uint8_t *nonce = (uint8_t *)buf_reserve(out, plain.n + CRYPTO_SEAL_BYTES);
	uint8_t *body = nonce + NONCE_BYTES;
	uint8_t *tag = body + plain.n;
	random_bytes(nonce, NONCE_BYTES);
	EVP_CIPHER_CTX *gcm = gcm_new(key, nonce, context, true);
	gcm_update(gcm, plain, body);
	int ok = EVP_CipherFinal_ex(gcm, tag, &n);
	ASSERT(ok == 1 && n == 0);
	ok = EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag);
	ASSERT(ok == 1);
	EVP_CIPHER_CTX_free(gcm);
	buf_grew(out, plain.n + CRYPTO_SEAL_BYTES);
}

bool crypto_open(
	const uint8_t key[CRYPTO_KEY_BYTES], struct str context, struct str sealed, struct buf *out)
{
	uint8_t tag[TAG_BYTES];
	int n = 0;

	if (sealed.n < CRYPTO_SEAL_BYTES || sealed.n > INT_MAX)
		return false;
	crypto_prepare();
	struct str nonce = str_take(&sealed, NONCE_BYTES);
	struct str body = str_take(&sealed, sealed.n - TAG_BYTES);
	memcpy(tag, sealed.p, TAG_BYTES); /* what is left */
	EVP_CIPHER_CTX *gcm = gcm_new(key, (const uint8_t *)nonce.p, context, false);
	uint8_t *plain = (uint8_t *)buf_reserve(out, body.n);
	gcm_update(gcm, body, plain);
	int ok = EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag);
	ASSERT(ok == 1);
	bool is_genuine = EVP_CipherFinal_ex(gcm, plain + body.n, &n) == 1;
	EVP_CIPHER_CTX_free(gcm);
	if (is_genuine)
		buf_grew(out, body.n);
	else
		mem_wipe(plain, body.n); /* nobody may see what was not authenticated */
	return is_genuine;
}
