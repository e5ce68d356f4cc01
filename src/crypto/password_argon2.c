/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password_argon2.c - Argon2 in its usual encoded form, "$argon2id$v=19$m=65536,t=3,p=1$...".
 * Spec: RFC 9106. */
#include <argon2.h>
#include <string.h>

#include "base/random.h"
#include "crypto/password_private.h"

#define SALT_BYTES  16
#define HASH_BYTES  32
#define MEMORY_KIB  65536
#define PASSES      3
#define PASSES_MAX  1000
#define ENCODED_MAX 512

static enum err verify(
	const struct password_input *in, struct str data, argon2_type type, bool *out_ok)
{
	char encoded[ENCODED_MAX];
	if (data.n >= sizeof(encoded) || str_has_nul(data))
		return ERR_INVALID;
	memcpy(encoded, data.p, data.n);
	encoded[data.n] = '\0';
	int status = argon2_verify(encoded, in->plain.p ? in->plain.p : "", in->plain.n, type);
	*out_ok = status == ARGON2_OK;
	return status == ARGON2_OK || status == ARGON2_VERIFY_MISMATCH ? ERR_NONE : ERR_INVALID;
}

static enum err hash(
	const struct password_input *in, unsigned rounds, argon2_type type, struct buf *out)
{
	uint8_t salt[SALT_BYTES];
	char encoded[ENCODED_MAX];
	if (rounds > PASSES_MAX)
		return ERR_INVALID;
	random_bytes(salt, sizeof(salt));
	if (argon2_hash(rounds ? rounds : PASSES, MEMORY_KIB, 1, in->plain.p ? in->plain.p : "",
		    in->plain.n, salt, sizeof(salt), NULL, HASH_BYTES, encoded, sizeof(encoded),
		    type, ARGON2_VERSION_NUMBER) != ARGON2_OK)
		return ERR_INVALID;
	return buf_add(out, str_from(encoded));
}

enum err password_argon2i_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	if (str_starts(data, STR("$argon2id$")))
		return verify(in, data, Argon2_id, out_ok);
	return str_starts(data, STR("$argon2i$")) ? verify(in, data, Argon2_i, out_ok)
						  : ERR_INVALID;
}

enum err password_argon2id_verify(const struct password_input *in, struct str data, bool *out_ok)
{
	return password_argon2i_verify(in, data, out_ok);
}

enum err password_argon2i_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return hash(in, rounds, Argon2_i, out);
}

enum err password_argon2id_hash(const struct password_input *in, unsigned rounds, struct buf *out)
{
	return hash(in, rounds, Argon2_id, out);
}
