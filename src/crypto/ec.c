/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ec.c - elliptic-curve keys and chunked sealing by OpenSSL's EVP interface: see ec.h. */
#include "crypto/ec.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "crypto/crypto.h"

#define PEM_TEXT_MAX ((size_t)64 * 1024)

struct ec_key {
	EVP_PKEY *pair; /* owned */
};

/* ---- keys ---- */

static bool curve_is_known(const EVP_PKEY *pair)
{
	static const char *const groups[] = { "prime256v1", "secp384r1", "secp521r1" };
	char name[32];
	if (EVP_PKEY_is_a(pair, "X25519") || EVP_PKEY_is_a(pair, "X448"))
		return true;
	if (!EVP_PKEY_is_a(pair, "EC") ||
		EVP_PKEY_get_group_name(pair, name, sizeof(name), NULL) != 1)
		return false;
	for (size_t i = 0; i < ARRAY_COUNT(groups); i++)
		if (strcmp(name, groups[i]) == 0)
			return true;
	return false;
}

static struct ec_key *key_from(EVP_PKEY *pair)
{
	struct ec_key *k = MEM_NEW(struct ec_key);
	k->pair = pair;
	return k;
}

/* Never asks a terminal. */
static int password_give(char *out, int room, int is_writing, void *arg)
{
	const struct str *password = arg;
	(void)is_writing;
	if (password->n == 0 || password->n > (size_t)room)
		return -1;
	memcpy(out, password->p, password->n);
	return (int)password->n;
}

/* What is wrong with a text that has something in it and gave no key. */
static const char *key_problem(struct str pem, const EVP_PKEY *pair, bool is_private)
{
	if (pair)
		return "its curve is none of P-256, P-384, P-521, X25519 and X448";
	if (str_find(pem, STR("-----BEGIN")) < 0)
		return "it is no PEM text";
	if (is_private && str_find(pem, STR("ENCRYPTED")) >= 0)
		return "its password is missing or wrong";
	return is_private ? "no private key is in it" : "no public key is in it";
}

static struct ec_key *key_cut(
	struct str *pem, bool is_private, struct str password, const char **problem)
{
	EVP_PKEY *pair = NULL;
	*problem = NULL;
	if (str_trim(*pem).n == 0)
		return NULL;
	if (pem->n > PEM_TEXT_MAX) {
		*problem = "it is larger than 64 KiB";
		return NULL;
	}
	BIO *bio = BIO_new_mem_buf(pem->p, (int)pem->n);
	ASSERT(bio);
	if (is_private)
		pair = PEM_read_bio_PrivateKey(bio, NULL, password_give, &password);
	else
		pair = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	size_t left = (size_t)BIO_pending(bio);
	BIO_free(bio);
	ERR_clear_error();
	if (!pair || !curve_is_known(pair)) {
		*problem = key_problem(*pem, pair, is_private);
		EVP_PKEY_free(pair);
		return NULL;
	}
	*pem = str_slice(*pem, pem->n - left, pem->n);
	return key_from(pair);
}

struct ec_key *ec_key_cut_public(struct str *pem, const char **problem)
{
	return key_cut(pem, false, STR_NONE, problem);
}

struct ec_key *ec_key_cut_private(struct str *pem, struct str password, const char **problem)
{
	return key_cut(pem, true, password, problem);
}

struct ec_key *ec_key_fresh(const struct ec_key *like)
{
	EVP_PKEY *pair = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, like->pair, NULL);
	ASSERT(ctx);
	int ok = EVP_PKEY_keygen_init(ctx);
	if (EVP_PKEY_is_a(like->pair, "EC")) {
		char group[32];
		ok &= EVP_PKEY_get_group_name(like->pair, group, sizeof(group), NULL);
		OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
						OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			OSSL_PARAM_construct_end() };
		ok &= EVP_PKEY_CTX_set_params(ctx, params);
	}
	ok &= EVP_PKEY_generate(ctx, &pair);
	ASSERT(ok == 1 && pair);
	EVP_PKEY_CTX_free(ctx);
	return key_from(pair);
}

void ec_key_free(struct ec_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pair);
	mem_free(k);
}

void ec_key_id(const struct ec_key *k, uint8_t out[EC_ID_BYTES])
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k->pair, &der);
	ASSERT(n > 0);
	crypto_sha256((struct str){ (const char *)der, (size_t)n }, out);
	OPENSSL_free(der);
}

size_t ec_key_public(const struct ec_key *k, uint8_t out[EC_PUBLIC_MAX])
{
	unsigned char *bytes = NULL;
	size_t n = EVP_PKEY_get1_encoded_public_key(k->pair, &bytes);
	ASSERT(n > 0 && n <= EC_PUBLIC_MAX);
	memcpy(out, bytes, n);
	OPENSSL_free(bytes);
	return n;
}

/* NULL: the bytes are no public half on our curve. */
static EVP_PKEY *peer_new(const struct ec_key *ours, struct str theirs)
{
	EVP_PKEY *peer = EVP_PKEY_new();
	ASSERT(peer);
	if (theirs.n == 0 || theirs.n > EC_PUBLIC_MAX ||
		EVP_PKEY_copy_parameters(peer, ours->pair) != 1 ||
		EVP_PKEY_set1_encoded_public_key(peer, (const unsigned char *)theirs.p, theirs.n) !=
			1) {
		EVP_PKEY_free(peer);
		return NULL;
	}
	return peer;
}

size_t ec_agree(const struct ec_key *ours, struct str theirs, uint8_t out[EC_SECRET_MAX])
{
	EVP_PKEY *peer = peer_new(ours, theirs);
	size_t n = EC_SECRET_MAX;
	if (peer) {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ours->pair, NULL);
		ASSERT(ctx);
		/* set_peer checks that the point is on the curve and not the neutral one. */
		if (EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1 ||
			EVP_PKEY_derive(ctx, out, &n) != 1)
			n = 0;
		EVP_PKEY_CTX_free(ctx);
		EVP_PKEY_free(peer);
	} else {
		n = 0;
	}
	ERR_clear_error();
	return n;
}

void crypto_hkdf(
	struct str secret, struct str salt, struct str info, uint8_t *out, size_t out_bytes)
{
	uint8_t key[CRYPTO_SHA256_BYTES], block[CRYPTO_SHA256_BYTES + 256 + 1];
	size_t block_bytes = 0;
	ASSERT(info.n <= 256 && out_bytes <= (size_t)255 * CRYPTO_SHA256_BYTES);
	crypto_hmac_sha256(salt, secret, key);
	for (unsigned i = 1; out_bytes > 0; i++) {
		if (info.n)
			memcpy(block + block_bytes, info.p, info.n);
		block[block_bytes + info.n] = (uint8_t)i;
		uint8_t made[CRYPTO_SHA256_BYTES];
		crypto_hmac_sha256((struct str){ (const char *)key, sizeof(key) },
			(struct str){ (const char *)block, block_bytes + info.n + 1 }, made);
		memcpy(block, made, sizeof(made));
		block_bytes = sizeof(made);
		size_t n = MIN(out_bytes, sizeof(made));
		memcpy(out, made, n);
		out += n;
		out_bytes -= n;
		mem_wipe(made, sizeof(made));
	}
	mem_wipe(key, sizeof(key));
	mem_wipe(block, sizeof(block));
}

/* ---- many chunks with one key ---- */

struct aead {
	EVP_CIPHER_CTX *ctx; /* owned */
};

static struct {
	EVP_CIPHER *aes256_gcm, *chacha20_poly1305;
} ciphers;

static void fetch_ciphers(void)
{
	ciphers.aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	ciphers.chacha20_poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	ASSERT(ciphers.aes256_gcm && ciphers.chacha20_poly1305);
}

struct aead *aead_new(
	enum aead_algorithm algorithm, const uint8_t key[AEAD_KEY_BYTES], bool is_sealing)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, fetch_ciphers); /* cannot fail with a valid `once` */
	struct aead *a = MEM_NEW(struct aead);
	a->ctx = EVP_CIPHER_CTX_new();
	ASSERT(a->ctx);
	const EVP_CIPHER *cipher =
		algorithm == AEAD_AES_256_GCM ? ciphers.aes256_gcm : ciphers.chacha20_poly1305;
	int ok = EVP_CipherInit_ex2(a->ctx, cipher, key, NULL, is_sealing, NULL);
	ASSERT(ok == 1);
	return a;
}

void aead_free(struct aead *a)
{
	EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
	mem_free(a);
}

void aead_seal(
	struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str plain, uint8_t *out)
{
	int n = 0, end = 0;
	ASSERT(plain.n <= INT_MAX);
	int ok = EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, -1, NULL);
	if (plain.n > 0)
		ok &= EVP_CipherUpdate(
			a->ctx, out, &n, (const unsigned char *)plain.p, (int)plain.n);
	ok &= EVP_CipherFinal_ex(a->ctx, out + n, &end);
	ok &= EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + plain.n);
	ASSERT(ok == 1 && (size_t)n + (size_t)end == plain.n);
}

bool aead_open(
	struct aead *a, const uint8_t nonce[AEAD_NONCE_BYTES], struct str sealed, uint8_t *out)
{
	uint8_t tag[AEAD_TAG_BYTES];
	int n = 0, end = 0;
	if (sealed.n < AEAD_TAG_BYTES || sealed.n > INT_MAX)
		return false;
	struct str body = str_take(&sealed, sealed.n - AEAD_TAG_BYTES);
	memcpy(tag, sealed.p, sizeof(tag)); /* what is left */
	int ok = EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, -1, NULL);
	ok &= EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag);
	if (body.n > 0)
		ok &= EVP_CipherUpdate(a->ctx, out, &n, (const unsigned char *)body.p, (int)body.n);
	ASSERT(ok == 1);
	if (EVP_CipherFinal_ex(a->ctx, out + n, &end) == 1)
		return true;
	ERR_clear_error();
	if (body.n > 0)
		mem_wipe(out, body.n);
	return false;
}
