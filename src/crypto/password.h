/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password.h - is this the password? Hashes as they stand in password databases.
 *
 * Stored:  "{SCHEME}data", or data alone, which is of the database's default scheme. SCHEME may end
 *          in ".HEX", ".B64" or ".BASE64": then data is encoded so. Names ignore case. Without an
 *          ending, digests may be in base64 or hex: their length tells.
 * Weak:    schemes that are cracked in minutes; refused unless the caller allows them.
 * Rules:   everything here is a pure function that may take long (that is what these hashes are
 *          for): call it in an offload job. There is no op; ERR_* alone says what is wrong.
 *          Copies of the password are wiped.
 * To add a scheme: write its two functions in one of password_*.c, add a row to password_schemes[]
 *          and its known answers to password_test.c.
 * Spec:    sheet core §6.2. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* How a scheme's data is written. */
enum password_form {
	PASSWORD_TEXT,   /* as it is */
	PASSWORD_BASE64, /* bytes, usually in base64 */
	PASSWORD_HEX,    /* bytes, usually in hex */
};
struct password_input {
	struct str plain; /* no NUL, at most PASSWORD_MAX_BYTES */
	struct str user;  /* for schemes that hash the name too */
	bool allows_weak;
};
#define PASSWORD_MAX_BYTES 512

struct password_scheme {
	const char *name; /* without braces, upper case */
	bool is_weak;
	enum password_form form;
	size_t digest_bytes; /* bytes of a digest without salt: tells hex from base64 */
	/* `data` as bytes. ERR_INVALID: it is not of this scheme. ERR_DENIED: it is of a weak kind. */
	enum err (*verify)(const struct password_input *in, struct str data, bool *out_ok);
	/* Adds data as bytes. rounds 0: the scheme's default. ERR_INVALID: rounds out of range. NULL:
	 * such hashes are not made any more. */
	enum err (*hash)(const struct password_input *in, unsigned rounds, struct buf *out);
};

/* Ends with a row without name. */
extern const struct password_scheme password_schemes[];
/* NULL if there is none. */
const struct password_scheme *password_scheme_find(struct str name);

struct password_context {
	struct str default_scheme; /* of data without {SCHEME} */
	struct str user;
	bool allows_weak; /* auth_allow_weak_schemes */
};
/* *out_ok: the password is right. Errors are about what is stored, not about the password:
 * ERR_UNSUPPORTED: unknown scheme. ERR_DENIED: a weak one. ERR_INVALID: data is malformed. */
enum err password_verify(
	struct str plain, struct str stored, const struct password_context *context, bool *out_ok);

/* Adds "{SCHEME}data" with a new salt. `scheme` may end in ".HEX" and the like. rounds 0: the scheme's
 * default. ERR_UNSUPPORTED: unknown scheme, or one that hashes are not made of. ERR_INVALID: rounds out
 * of range, or a password that cannot be hashed (NUL, too long). */
enum err password_hash(
	struct str scheme, struct str plain, struct str user, unsigned rounds, struct buf *out);
