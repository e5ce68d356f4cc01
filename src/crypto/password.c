/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password.c - password schemes on libcrypt: see password.h.
 *
 * libcrypt is used through crypt_rn(), which keeps its state in our memory (32 KiB: on the heap). */
#include "crypto/password.h"

#include <crypt.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/mem.h"
#include "base/random.h"

#define PASSWORD_MAX_BYTES CRYPT_MAX_PASSPHRASE_SIZE
#define SALT_BYTES         16

static void wipe_buf(struct buf *b)
{
	if (b->p)
		mem_wipe(b->p, b->cap);
	buf_done(b);
}

/* A zero-terminated copy that is wiped at the end of its scope. */
static void put_z(struct buf *out, struct str s)
{
	(void)buf_reserve(out, s.n + 1); /* in one piece: growing would leave copies behind */
	buf_put(out, s);
	buf_put_byte(out, '\0');
}
#define AUTO_SECRET(name) __attribute__((cleanup(wipe_buf))) struct buf name = { 0 }

static enum err plain_verify(struct str plain, struct str data, bool *out_ok)
{
	*out_ok = plain.n == data.n && mem_equal_const_time(plain.p, data.p, plain.n);
	return ERR_NONE;
}

static enum err plain_hash(struct str plain, unsigned rounds, struct buf *out)
{
	if (rounds != 0)
		return ERR_INVALID;
	return buf_add(out, plain);
}

/* What crypt(3) makes of `plain` with the salt and method of `setting`. */
static enum err crypt_digest(struct str plain, struct str setting, struct buf *out)
{
	AUTO_SECRET(plain_z);
	AUTO_SECRET(setting_z);

	if (str_has_nul(plain) || str_has_nul(setting) || plain.n > PASSWORD_MAX_BYTES)
		return ERR_INVALID;
	put_z(&plain_z, plain);
	put_z(&setting_z, setting);
	struct crypt_data *state = MEM_NEW(struct crypt_data);
	const char *hashed = crypt_rn(plain_z.p, setting_z.p, state, (int)sizeof(*state));
	enum err e = hashed ? buf_add(out, str_from(hashed)) : ERR_INVALID;
	mem_wipe(state, sizeof(*state));
	mem_free(state);
	return e;
}

static enum err crypt_compare(struct str plain, struct str data, bool *out_ok)
{
	AUTO_SECRET(expected);

	if (plain.n > PASSWORD_MAX_BYTES) { /* nobody could have set it */
		*out_ok = false;
		return ERR_NONE;
	}
	TRY(crypt_digest(plain, data, &expected));
	*out_ok = expected.n == data.n && mem_equal_const_time(expected.p, data.p, data.n);
	return ERR_NONE;
}

static bool is_bcrypt(struct str data)
{
	return str_starts(data, STR("$2y$")) || str_starts(data, STR("$2b$")) ||
	       str_starts(data, STR("$2a$"));
}

static enum err bcrypt_verify(struct str plain, struct str data, bool *out_ok)
{
	return is_bcrypt(data) ? crypt_compare(plain, data, out_ok) : ERR_INVALID;
}

static enum err sha256_verify(struct str plain, struct str data, bool *out_ok)
{
	return str_starts(data, STR("$5$")) ? crypt_compare(plain, data, out_ok) : ERR_INVALID;
}

static enum err sha512_verify(struct str plain, struct str data, bool *out_ok)
{
	return str_starts(data, STR("$6$")) ? crypt_compare(plain, data, out_ok) : ERR_INVALID;
}

/* Traditional DES has no "$id$"; MD5 in three flavours; NT hashes have no salt. */
static bool is_weak_crypt(struct str data)
{
	return !str_starts(data, STR("$")) || str_starts(data, STR("$1$")) ||
	       str_starts(data, STR("$md5")) || str_starts(data, STR("$3$"));
}

static enum err crypt_verify(struct str plain, struct str data, bool *out_ok)
{
	if (data.n == 0)
		return ERR_INVALID;
	return is_weak_crypt(data) ? ERR_UNSUPPORTED : crypt_compare(plain, data, out_ok);
}

static enum err crypt_hash(struct str plain, const char *prefix, unsigned rounds, struct buf *out)
{
	char salt[SALT_BYTES];
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	random_bytes(salt, sizeof(salt));
	if (!crypt_gensalt_rn(
		    prefix, rounds, salt, (int)sizeof(salt), setting, (int)sizeof(setting)))
		return ERR_INVALID;
	return crypt_digest(plain, str_from(setting), out);
}

static enum err bcrypt_hash(struct str plain, unsigned rounds, struct buf *out)
{
	if (rounds != 0 && (rounds < 4 || rounds > 31))
		return ERR_INVALID;
	return crypt_hash(plain, "$2y$", rounds ? rounds : 5, out);
}

static bool are_sha_rounds(unsigned rounds)
{
	return rounds == 0 || (rounds >= 1000 && rounds <= 999999999);
}

static enum err sha256_hash(struct str plain, unsigned rounds, struct buf *out)
{
	return are_sha_rounds(rounds) ? crypt_hash(plain, "$5$", rounds, out) : ERR_INVALID;
}

static enum err sha512_hash(struct str plain, unsigned rounds, struct buf *out)
{
	return are_sha_rounds(rounds) ? crypt_hash(plain, "$6$", rounds, out) : ERR_INVALID;
}

const struct password_scheme password_schemes[] = {
	{ "PLAIN", plain_verify, plain_hash },
	{ "CLEAR", plain_verify, plain_hash },
	{ "CLEARTEXT", plain_verify, plain_hash },
	{ "CRYPT", crypt_verify, bcrypt_hash },
	{ "BLF-CRYPT", bcrypt_verify, bcrypt_hash },
	{ "SHA256-CRYPT", sha256_verify, sha256_hash },
	{ "SHA512-CRYPT", sha512_verify, sha512_hash },
	{ NULL, NULL, NULL },
};

const struct password_scheme *password_scheme_find(struct str name)
{
	for (const struct password_scheme *s = password_schemes; s->name; s++)
		if (str_eq_ci(str_from(s->name), name))
			return s;
	return NULL;
}

/* Takes "{SCHEME}" off the front of *stored. */
static struct str cut_scheme(struct str *stored, struct str default_scheme)
{
	struct str rest = *stored;
	struct str scheme;

	if (!str_skip(&rest, STR("{")) || !str_cut(&rest, '}', &scheme))
		return default_scheme;
	*stored = rest;
	return scheme;
}

typedef bool decode_fn(struct buf *out, struct str in);

/* Takes ".HEX" and the like off the end of *scheme; NULL if data is not encoded. */
static decode_fn *cut_encoding(struct str *scheme)
{
	static const struct {
		struct str suffix;
		decode_fn *decode;
	} encodings[] = {
		{ { ".HEX", 4 }, hex_decode },
		{ { ".B64", 4 }, base64_decode },
		{ { ".BASE64", 7 }, base64_decode },
	};

	for (size_t i = 0; i < ARRAY_COUNT(encodings); i++) {
		struct str suffix = encodings[i].suffix;
		if (scheme->n < suffix.n)
			continue;
		if (str_eq_ci(str_slice(*scheme, scheme->n - suffix.n, scheme->n), suffix)) {
			scheme->n -= suffix.n;
			return encodings[i].decode;
		}
	}
	return NULL;
}

enum err password_verify(
	struct str plain, struct str stored, struct str default_scheme, bool *out_ok)
{
	AUTO_SECRET(decoded);
	struct str name = cut_scheme(&stored, default_scheme);
	decode_fn *decode = cut_encoding(&name);
	const struct password_scheme *scheme = password_scheme_find(name);

	if (!scheme)
		return ERR_UNSUPPORTED;
	if (decode) {
		(void)buf_reserve(&decoded, stored.n); /* in one piece */
		if (!decode(&decoded, stored))
			return ERR_INVALID;
		stored = buf_str(&decoded);
	}
	if (str_has_nul(plain)) { /* crypt(3) would stop there and compare a part */
		*out_ok = false;
		return ERR_NONE;
	}
	return scheme->verify(plain, stored, out_ok);
}

enum err password_hash(struct str scheme_name, struct str plain, unsigned rounds, struct buf *out)
{
	const struct password_scheme *scheme = password_scheme_find(scheme_name);
	AUTO_SECRET(data);

	if (!scheme)
		return ERR_UNSUPPORTED;
	if (str_has_nul(plain) || plain.n > PASSWORD_MAX_BYTES)
		return ERR_INVALID;
	TRY(scheme->hash(plain, rounds, &data));
	return buf_addf(out, "{%s}%.*s", scheme->name, STRF(buf_str(&data)));
}
