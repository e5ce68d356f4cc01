/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password.h - is this the password? Hashes as they stand in password databases.
 *
 * Stored:  "{SCHEME}data", or data alone, which is of the database's default scheme. SCHEME may end
 *          in ".HEX", ".B64" or ".BASE64": then data is encoded so. Names ignore case.
 * Rules:   everything here is a pure function that may take long (that is what these hashes are
 *          for): call it in an offload job. There is no op; ERR_* alone says what is wrong.
 *          Copies of the password are wiped.
 * To add a scheme: write its two functions in password.c, add a row to password_schemes[] and its
 *          known answers to password_test.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct password_scheme {
	const char *name; /* without braces, upper case */
	/* `plain` has no NUL. ERR_INVALID: data is not of this scheme. ERR_UNSUPPORTED: it is of a
	 * kind that we refuse. */
	enum err (*verify)(struct str plain, struct str data, bool *out_ok);
	/* Adds the data. rounds 0: the scheme's default. ERR_INVALID: rounds out of range or
	 * `plain` too long. */
	enum err (*hash)(struct str plain, unsigned rounds, struct buf *out);
};

/* PLAIN CLEAR CLEARTEXT CRYPT BLF-CRYPT SHA256-CRYPT SHA512-CRYPT; ends with a row without name. */
extern const struct password_scheme password_schemes[];
/* NULL if there is none. */
const struct password_scheme *password_scheme_find(struct str name);

/* *out_ok: the password is right. Errors are about what is stored, not about the password:
 * ERR_UNSUPPORTED: unknown scheme, or a weak hash (DES, MD5). ERR_INVALID: data is malformed. */
enum err password_verify(
	struct str plain, struct str stored, struct str default_scheme, bool *out_ok);

/* Adds "{SCHEME}data" with a new salt. rounds 0: the scheme's default. ERR_UNSUPPORTED: unknown
 * scheme. ERR_INVALID: rounds out of range, or a password that cannot be hashed (NUL, > 512
 * bytes). */
enum err password_hash(struct str scheme, struct str plain, unsigned rounds, struct buf *out);
