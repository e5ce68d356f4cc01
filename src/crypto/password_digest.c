/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password_digest.c - schemes on digests: plain, salted, iterated. Data is bytes: digest, then
 * salt. Spec: sheet core §6.2; RFC 2307 (SSHA), RFC 8018 (PBKDF2), RFC 2831 (DIGEST-MD5). */
#include "base/codec.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/digest.h"
#include "crypto/password_private.h"
#include "crypto/scram.h"

#define SALT_BYTES     16
#define PBKDF2_BYTES   20
#define PBKDF2_ROUNDS  5000
#define ITERATIONS_MAX 10000000

static struct str bytes_of(const void *p, size_t n)
{
	return (struct str){ p, n };
}

/* ---- digest(password), digest(password salt) ---- */

static enum err verify(const struct password_input *in, struct str data, const char *name,
	bool is_salted, bool *out_ok)
{
	AUTO_SECRET(text);
	uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
	(void)buf_reserve(&text, in->plain.n + data.n + 1); /* in one piece */
	buf_put(&text, in->plain);
	size_t n = crypto_digest(str_from(name), STR(""), digest);
	if (data.n < n || (!is_salted && data.n != n))
		return ERR_INVALID;
	buf_put(&text, str_slice(data, n, data.n));
	(void)crypto_digest(str_from(name), buf_str(&text), digest);
	*out_ok = mem_equal_const_time(digest, data.p, n);
	return ERR_NONE;
}

static enum err hash(const struct password_input *in, unsigned rounds, const char *name,
	bool is_salted, struct buf *out)
{
	AUTO_SECRET(text);
	uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
	char salt[SALT_BYTES];
	if (rounds != 0)
		return ERR_INVALID;
	random_bytes(salt, sizeof(salt));
	(void)buf_reserve(&text, in->plain.n + sizeof(salt));
	buf_put(&text, in->plain);
	if (is_salted)
		buf_put(&text, bytes_of(salt, sizeof(salt)));
	size_t n = crypto_digest(str_from(name), buf_str(&text), digest);
	buf_put(out, bytes_of(digest, n));
	if (is_salted)
		buf_put(out, bytes_of(salt, sizeof(salt)));
	return ERR_NONE;
}

#define DIGEST_SCHEME(scheme, digest_name, is_salted)                                              \
	enum err password_##scheme##_verify(                                                       \
		const struct password_input *in, struct str data, bool *out_ok)                    \
	{                                                                                          \
		return verify(in, data, digest_name, is_salted, out_ok);                           \
	}                                                                                          \
	enum err password_##scheme##_hash(                                                         \
		const struct password_input *in, unsigned rounds, struct buf *out)                 \
	{                                                                                          \
		return hash(in, rounds, digest_name, is_salted, out);                              \
	}
DIGEST_SCHEME(sha1, "sha1", false)
DIGEST_SCHEME(sha256, "sha256", false)
DIGEST_SCHEME(sha512, "sha512", false)
DIGEST_SCHEME(ssha, "sha1", true)
DIGEST_SCHEME(ssha256, "sha256", true)
DIGEST_SCHEME(ssha512, "sha512", true)
DIGEST_SCHEME(md5, "md5", false)
DIGEST_SCHEME(smd5, "md5", true)

/* ---- DIGEST-MD5: MD5(user:realm:password) ---- */

enum err password_digest_md5_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	AUTO_SECRET(text);
	uint8_t digest[CRYPTO_DIGEST_BYTES_MAX];
	struct str realm = in->user, user;
	if (rounds != 0 || in->user.n == 0)
		return ERR_INVALID;
	if (!str_cut(&realm, '@', &user)) {
		user = in->user;
		realm = STR("");
	}
	(void)buf_reserve(&text, in->user.n + in->plain.n + 3);
	buf_put(&text, user);
	buf_put_byte(&text, ':');
	buf_put(&text, realm);
	buf_put_byte(&text, ':');
	buf_put(&text, in->plain);
	return buf_add(out, bytes_of(digest, crypto_digest(STR("md5"), buf_str(&text), digest)));
}

enum err password_digest_md5_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_SECRET(expected);
	TRY(password_digest_md5_hash(in, 0, &expected));
	*out_ok = data.n == expected.n && mem_equal_const_time(data.p, expected.p, data.n);
	return ERR_NONE;
}

/* ---- PBKDF2: "$1$salt$rounds$hex", HMAC-SHA-1 ---- */

enum err password_pbkdf2_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_BUF(stored, 0);
	struct str rest = data, salt, rounds_text;
	uint32_t rounds;
	uint8_t key[PBKDF2_BYTES];
	if (!str_skip(&rest, STR("$1$")) || !str_cut(&rest, '$', &salt) ||
		!str_cut(&rest, '$', &rounds_text) || !number_parse_u32(rounds_text, &rounds) ||
		rounds == 0 || rounds > ITERATIONS_MAX || !hex_decode(&stored, rest) ||
		stored.n != sizeof(key))
		return ERR_INVALID;
	if (!crypto_key_derive(STR("sha1"), in->plain, salt, rounds, key, sizeof(key)))
		return ERR_INVALID;
	*out_ok = mem_equal_const_time(key, stored.p, sizeof(key));
	return ERR_NONE;
}

enum err password_pbkdf2_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	AUTO_BUF(salt, 0);
	uint8_t raw[SALT_BYTES / 2], key[PBKDF2_BYTES];
	if (rounds > ITERATIONS_MAX)
		return ERR_INVALID;
	rounds = rounds ? rounds : PBKDF2_ROUNDS;
	random_bytes(raw, sizeof(raw));
	hex_encode(&salt, bytes_of(raw, sizeof(raw)));
	if (!crypto_key_derive(STR("sha1"), in->plain, buf_str(&salt), rounds, key, sizeof(key)))
		return ERR_INVALID;
	buf_putf(out, "$1$%.*s$%u$", STRF(buf_str(&salt)), rounds);
	hex_encode(out, bytes_of(key, sizeof(key)));
	return ERR_NONE;
}

/* ---- SCRAM: "rounds,salt,stored key,server key" ---- */

static enum err scram_verify(const struct scram_digest *d, const struct password_input *in,
	struct str data, bool *out_ok)
{
	AUTO_BUF(salt, 0);
	struct scram_keys stored, keys;
	uint32_t rounds;
	if (!scram_stored_parse(d, data, &rounds, &salt, &stored))
		return ERR_INVALID;
	scram_keys_derive(d, in->plain, buf_str(&salt), rounds, &keys);
	*out_ok = mem_equal_const_time(keys.stored, stored.stored, d->bytes);
	return ERR_NONE;
}

static enum err scram_hash(const struct scram_digest *d, const struct password_input *in,
	unsigned rounds, struct buf *out)
{
	struct scram_keys keys;
	uint8_t salt[SALT_BYTES];
	if (rounds != 0 && (rounds < SCRAM_ROUNDS_MIN || rounds > SCRAM_ROUNDS_MAX))
		return ERR_INVALID;
	rounds = rounds ? rounds : SCRAM_ROUNDS_MIN;
	random_bytes(salt, sizeof(salt));
	scram_keys_derive(d, in->plain, bytes_of(salt, sizeof(salt)), rounds, &keys);
	scram_stored_put(d, rounds, bytes_of(salt, sizeof(salt)), &keys, out);
	return ERR_NONE;
}

enum err password_scram_sha1_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	return scram_verify(&scram_sha1, in, data, out_ok);
}

enum err password_scram_sha1_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return scram_hash(&scram_sha1, in, rounds, out);
}

enum err password_scram_sha256_verify(
	const struct password_input *in, struct str data, bool *out_ok)
{
	return scram_verify(&scram_sha256, in, data, out_ok);
}

enum err password_scram_sha256_hash(
	const struct password_input *in, unsigned rounds, struct buf *out)
{
	return scram_hash(&scram_sha256, in, rounds, out);
}
