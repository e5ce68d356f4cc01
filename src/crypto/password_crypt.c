/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password_crypt.c - schemes on libcrypt.
 *
 * libcrypt is used through crypt_rn(), which keeps its state in our memory (32 KiB: on the heap). */
#include <crypt.h>

#include "base/random.h"
#include "crypto/password_private.h"

#define SALT_BYTES 16

static void put_z(struct buf *out, struct str s)
{
	(void)buf_reserve(out, s.n + 1); /* in one piece: growing would leave copies behind */
	buf_put(out, s);
	buf_put_byte(out, '\0');
}

/* What crypt(3) makes of `plain` with the salt and method of `setting`. */
static enum err crypt_digest(struct str plain, struct str setting, struct buf *out)
{
	AUTO_SECRET(plain_z);
	AUTO_SECRET(setting_z);

	if (str_has_nul(setting))
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

static enum err compare(const struct password_input *in, struct str data, bool *out_ok)
{
	AUTO_SECRET(expected);

	TRY(crypt_digest(in->plain, data, &expected));
	*out_ok = expected.n == data.n && mem_equal_const_time(expected.p, data.p, data.n);
	return ERR_NONE;
}

/* Traditional DES has no "$id$"; MD5 in three flavours; NT hashes have no salt. */
static bool is_weak(struct str data)
{
	return !str_starts(data, STR("$")) || str_starts(data, STR("$1$")) ||
	       str_starts(data, STR("$md5")) || str_starts(data, STR("$3$"));
}

enum err password_crypt_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	if (data.n == 0)
		return ERR_INVALID;
	return is_weak(data) && !in->allows_weak ? ERR_DENIED : compare(in, data, out_ok);
}

enum err password_bcrypt_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	bool is_bcrypt = str_starts(data, STR("$2y$")) || str_starts(data, STR("$2b$")) ||
			 str_starts(data, STR("$2a$"));
	return is_bcrypt ? compare(in, data, out_ok) : ERR_INVALID;
}

enum err password_sha256_crypt_verify(
	const struct password_input *in, struct str data, bool *out_ok)
{
	return str_starts(data, STR("$5$")) ? compare(in, data, out_ok) : ERR_INVALID;
}

enum err password_sha512_crypt_verify(
	const struct password_input *in, struct str data, bool *out_ok)
{
	return str_starts(data, STR("$6$")) ? compare(in, data, out_ok) : ERR_INVALID;
}

enum err password_des_crypt_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	return data.n == 13 ? compare(in, data, out_ok) : ERR_INVALID;
}

enum err password_md5_crypt_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	return str_starts(data, STR("$1$")) ? compare(in, data, out_ok) : ERR_INVALID;
}

/* ---- making them ---- */

static enum err hash(
	const struct password_input *in, const char *prefix, unsigned rounds, struct buf *out)
{
	char salt[SALT_BYTES];
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];

	random_bytes(salt, sizeof(salt));
	if (!crypt_gensalt_rn(
		    prefix, rounds, salt, (int)sizeof(salt), setting, (int)sizeof(setting)))
		return ERR_INVALID;
	return crypt_digest(in->plain, str_from(setting), out);
}

enum err password_bcrypt_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	if (rounds != 0 && (rounds < 4 || rounds > 31))
		return ERR_INVALID;
	return hash(in, "$2y$", rounds ? rounds : 5, out);
}

enum err password_crypt_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return password_bcrypt_hash(in, rounds, out);
}

static bool are_sha_rounds(unsigned rounds)
{
	return rounds == 0 || (rounds >= 1000 && rounds <= 999999999);
}

enum err password_sha256_crypt_hash(
	const struct password_input *in, unsigned rounds, struct buf *out)
{
	return are_sha_rounds(rounds) ? hash(in, "$5$", rounds, out) : ERR_INVALID;
}

enum err password_sha512_crypt_hash(
	const struct password_input *in, unsigned rounds, struct buf *out)
{
	return are_sha_rounds(rounds) ? hash(in, "$6$", rounds, out) : ERR_INVALID;
}

enum err password_des_crypt_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return rounds == 0 ? hash(in, "", 0, out) : ERR_INVALID;
}

enum err password_md5_crypt_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return rounds == 0 ? hash(in, "$1$", 0, out) : ERR_INVALID;
}
