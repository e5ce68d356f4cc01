/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password_old.c - schemes whose algorithms OpenSSL keeps apart: MD4, and MD5's inner state.
 *
 * CRAM-MD5 stores what HMAC-MD5 has computed when it knows the key alone: the states of the outer and
 * the inner digest after one block (RFC 2195, RFC 2104 §4). Only the old interface shows them. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/md5.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <string.h>

#include "base/number.h"
#include "crypto/digest.h"
#include "crypto/password_private.h"

#define DIGEST_BYTES 16
#define BLOCK_BYTES  64

static EVP_MD *md4;

static void fetch_md4(void)
{
	OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
	if (library && OSSL_PROVIDER_load(library, "legacy"))
		md4 = EVP_MD_fetch(library, "MD4", NULL);
}

enum err password_md4_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	(void)pthread_once(&once, fetch_md4); /* fails for a bad `once` alone */
	if (!md4)
		return ERR_UNSUPPORTED; /* OpenSSL's module is not installed */
	if (rounds != 0 ||
		EVP_Digest(in->plain.p ? in->plain.p : "", in->plain.n, digest, &n, md4, NULL) != 1)
		return ERR_INVALID;
	return buf_add(out, (struct str){ (const char *)digest, n });
}

static enum err compare(struct str data, const struct buf *expected, bool *out_ok)
{
	if (data.n != expected->n)
		return ERR_INVALID;
	*out_ok = mem_equal_const_time(data.p, expected->p, data.n);
	return ERR_NONE;
}

enum err password_md4_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_SECRET(expected);
	TRY(password_md4_hash(in, 0, &expected));
	return compare(data, &expected, out_ok);
}

static void put_state(struct buf *out, const uint8_t key[BLOCK_BYTES], uint8_t pad)
{
	MD5_CTX md5;
	uint8_t block[BLOCK_BYTES], state[DIGEST_BYTES];
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	int ok = MD5_Init(&md5) && MD5_Update(&md5, block, sizeof(block));
	ASSERT(ok == 1);
	put_le32(state, md5.A);
	put_le32(state + 4, md5.B);
	put_le32(state + 8, md5.C);
	put_le32(state + 12, md5.D);
	buf_put(out, (struct str){ (const char *)state, sizeof(state) });
	mem_wipe(block, sizeof(block));
	mem_wipe(&md5, sizeof(md5));
}

enum err password_cram_md5_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	uint8_t key[BLOCK_BYTES] = { 0 }, digest[CRYPTO_DIGEST_BYTES_MAX];
	if (rounds != 0)
		return ERR_INVALID;
	if (in->plain.n > sizeof(key))
		memcpy(key, digest, crypto_digest(STR("md5"), in->plain, digest));
	else if (in->plain.n > 0)
		memcpy(key, in->plain.p, in->plain.n);
	put_state(out, key, 0x5c);
	put_state(out, key, 0x36);
	mem_wipe(key, sizeof(key));
	return ERR_NONE;
}

enum err password_cram_md5_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_SECRET(expected);
	TRY(password_cram_md5_hash(in, 0, &expected));
	return compare(data, &expected, out_ok);
}
