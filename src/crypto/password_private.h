/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/password_private.h - the schemes, for the table in password.c: see struct password_scheme. */
#pragma once

#include "base/mem.h"
#include "crypto/password.h"

/* A buffer that is wiped at the end of its scope. */
void password_wipe(struct buf *b);
#define AUTO_SECRET(name) __attribute__((cleanup(password_wipe))) struct buf name = { 0 }

#define PASSWORD_SCHEME(name)                                                                      \
	enum err password_##name##_verify(                                                         \
		const struct password_input *in, struct str data, bool *out_ok);                   \
	enum err password_##name##_hash(                                                           \
		const struct password_input *in, unsigned rounds, struct buf *out)

/* password_crypt.c */
PASSWORD_SCHEME(crypt);
PASSWORD_SCHEME(bcrypt);
PASSWORD_SCHEME(sha256_crypt);
PASSWORD_SCHEME(sha512_crypt);
PASSWORD_SCHEME(des_crypt);
PASSWORD_SCHEME(md5_crypt);
/* password_argon2.c */
PASSWORD_SCHEME(argon2i);
PASSWORD_SCHEME(argon2id);
/* password_digest.c */
PASSWORD_SCHEME(sha1);
PASSWORD_SCHEME(sha256);
PASSWORD_SCHEME(sha512);
PASSWORD_SCHEME(ssha);
PASSWORD_SCHEME(ssha256);
PASSWORD_SCHEME(ssha512);
PASSWORD_SCHEME(md5);
PASSWORD_SCHEME(smd5);
PASSWORD_SCHEME(digest_md5);
PASSWORD_SCHEME(pbkdf2);
PASSWORD_SCHEME(scram_sha1);
PASSWORD_SCHEME(scram_sha256);
/* password_old.c */
PASSWORD_SCHEME(md4);
PASSWORD_SCHEME(cram_md5);
