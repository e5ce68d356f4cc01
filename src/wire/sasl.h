/* SPDX-License-Identifier: Apache-2.0 */
/* wire/sasl.h - the messages of the SASL mechanisms PLAIN and LOGIN, and their base64 on the wire.
 *
 * Rules:  pure functions. Decoded secrets lie in the caller's arena, which he wipes or drops; copies
 *         made on the way are wiped here.
 * Spec:   RFC 4616 (PLAIN), draft-murchison-sasl-login (LOGIN), RFC 4648 §4 (base64) */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define SASL_RESPONSE_MAX 8192 /* bytes of base64 in one line */
#define SASL_NAME_MAX     255
#define SASL_PASSWORD_MAX 1024

/* A response line, without its end, to bytes. "*" is ERR_CANCELLED (the client gives up), bad base64
 * ERR_INVALID, too long ERR_LIMIT. An empty line is an empty response. The "=" that stands for an
 * empty initial response is the protocol parser's business. */
enum err sasl_response_decode(struct arena *arena, struct str line, struct str *out);
/* The other way: a challenge or response to one line without its end. */
void sasl_put_line(struct buf *out, struct str message);

struct sasl_plain {
	struct str authzid; /* empty: the same as authcid */
	struct str authcid; /* never empty */
	struct str password;
};
/* authzid NUL authcid NUL password; UTF-8; names within SASL_NAME_MAX. Slices of `message`. */
enum err sasl_plain_parse(struct str message, struct sasl_plain *out);
void sasl_plain_put(struct buf *out, const struct sasl_plain *plain);

/* LOGIN: the server asks for the name, then the password. An initial response is the name.
 *
 * Life: zeroed -> while not is_done: send sasl_login_prompt() -> sasl_login_step() */
struct sasl_login {
	bool has_user;
	bool is_done;
	struct str user; /* borrowed: the messages */
	struct str password;
};
/* "Username:" or "Password:", to be sent with sasl_put_line(). */
struct str sasl_login_prompt(const struct sasl_login *login);
enum err sasl_login_step(struct sasl_login *login, struct str message);
