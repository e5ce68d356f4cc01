/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/digest.c - algorithms by name, by OpenSSL's EVP interface: see digest.h.
 * To add a digest or cipher: a row in its table. */
#include "crypto/digest.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/assert.h"
#include "base/mem.h"

typedef const EVP_MD *digest_fn(void);
typedef const EVP_CIPHER *cipher_fn(void);

static const struct {
	struct str name;
	digest_fn *find;
} digests[] = {
	{ { "md5", 3 }, EVP_md5 },
	{ { "sha1", 4 }, EVP_sha1 },
	{ { "sha224", 6 }, EVP_sha224 },
	{ { "sha256", 6 }, EVP_sha256 },
	{ { "sha384", 6 }, EVP_sha384 },
	{ { "sha512", 6 }, EVP_sha512 },
};

static const struct {
	struct str name;
	cipher_fn *find;
} ciphers[] = {
	{ { "aes-128-cbc", 11 }, EVP_aes_128_cbc },
	{ { "aes-192-cbc", 11 }, EVP_aes_192_cbc },
	{ { "aes-256-cbc", 11 }, EVP_aes_256_cbc },
};

static const EVP_MD *find_digest(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(digests); i++) {
		if (str_eq_ci(digests[i].name, name))
			return digests[i].find();
	}
	return NULL;
}

static const EVP_CIPHER *find_cipher(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(ciphers); i++) {
		if (str_eq_ci(ciphers[i].name, name))
			return ciphers[i].find();
	}
	return NULL;
}

size_t crypto_digest(struct str name, struct str in, uint8_t out[CRYPTO_DIGEST_BYTES_MAX])
{
	const EVP_MD *algorithm = find_digest(name);
	unsigned n = 0;

	if (!algorithm)
		return 0;
	int ok = EVP_Digest(in.p, in.n, out, &n, algorithm, NULL);
	ASSERT(ok == 1 && n <= CRYPTO_DIGEST_BYTES_MAX);
	return n;
}

size_t crypto_digest_parts(struct str name, const struct str *parts, size_t part_count,
	uint8_t out[CRYPTO_DIGEST_BYTES_MAX])
{
	const EVP_MD *algorithm = find_digest(name);
	unsigned n = 0;

	if (!algorithm)
		return 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	ASSERT(md != NULL);
	int ok = EVP_DigestInit_ex2(md, algorithm, NULL);
	for (size_t i = 0; i < part_count; i++)
		ok &= EVP_DigestUpdate(md, parts[i].p, parts[i].n);
	ok &= EVP_DigestFinal_ex(md, out, &n);
	ASSERT(ok == 1 && n <= CRYPTO_DIGEST_BYTES_MAX);
	EVP_MD_CTX_free(md);
	return n;
}

size_t crypto_hmac(
	struct str name, struct str key, struct str in, uint8_t out[CRYPTO_DIGEST_BYTES_MAX])
{
	const EVP_MD *algorithm = find_digest(name);
	unsigned n = CRYPTO_DIGEST_BYTES_MAX;

	if (!algorithm)
		return 0;
	ASSERT(key.n <= INT_MAX);
	const void *key_bytes = key.n > 0 ? key.p : ""; /* NULL would mean "the key of before" */
	const uint8_t *done =
		HMAC(algorithm, key_bytes, (int)key.n, (const unsigned char *)in.p, in.n, out, &n);
	ASSERT(done != NULL && n <= CRYPTO_DIGEST_BYTES_MAX);
	return n;
}

bool crypto_cipher_sizes(struct str name, size_t *key_bytes, size_t *iv_bytes)
{
	const EVP_CIPHER *algorithm = find_cipher(name);

	if (!algorithm)
		return false;
	*key_bytes = (size_t)EVP_CIPHER_get_key_length(algorithm);
	*iv_bytes = (size_t)EVP_CIPHER_get_iv_length(algorithm);
	return true;
}

static bool run(struct str name, struct str key, struct str iv, struct str in, bool is_sealing,
	struct buf *out)
{
	size_t key_bytes, iv_bytes;
	int n = 0, rest = 0;

	if (!crypto_cipher_sizes(name, &key_bytes, &iv_bytes) || key.n != key_bytes ||
		iv.n != iv_bytes || in.n > INT_MAX - CRYPTO_IV_BYTES_MAX)
		return false;
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	ASSERT(cipher != NULL);
	int ok = EVP_CipherInit_ex2(cipher, find_cipher(name), (const uint8_t *)key.p,
		(const uint8_t *)iv.p, is_sealing, NULL);
	ASSERT(ok == 1);
	uint8_t *at = (uint8_t *)buf_reserve(out, in.n + CRYPTO_IV_BYTES_MAX);
	if (in.n > 0) {
		ok = EVP_CipherUpdate(cipher, at, &n, (const uint8_t *)in.p, (int)in.n);
		ASSERT(ok == 1);
	}
	bool is_whole = EVP_CipherFinal_ex(cipher, at + n, &rest) == 1;
	EVP_CIPHER_CTX_free(cipher);
	if (is_whole)
		buf_grew(out, (size_t)n + (size_t)rest);
	else
		mem_wipe(at, in.n);
	return is_whole;
}

bool crypto_cipher_seal(
	struct str name, struct str key, struct str iv, struct str plain, struct buf *out)
{
	return run(name, key, iv, plain, true, out);
}

bool crypto_cipher_open(
	struct str name, struct str key, struct str iv, struct str sealed, struct buf *out)
{
	return run(name, key, iv, sealed, false, out);
}

bool crypto_key_derive(struct str digest, struct str password, struct str salt, uint32_t rounds,
	uint8_t *out, size_t out_bytes)
{
	const EVP_MD *algorithm = find_digest(digest);

	if (!algorithm || rounds == 0 || rounds > INT_MAX || password.n > INT_MAX ||
		salt.n > INT_MAX || out_bytes > INT_MAX)
		return false;
	int ok = PKCS5_PBKDF2_HMAC(password.n ? password.p : "", (int)password.n,
		(const uint8_t *)(salt.n ? salt.p : ""), (int)salt.n, (int)rounds, algorithm,
		(int)out_bytes, out);
	ASSERT(ok == 1);
	return true;
}
