/* SPDX-License-Identifier: Apache-2.0 */
/* wire/sasl.c - messages of PLAIN and LOGIN. */
#include "wire/sasl.h"

#include "base/base.h"
#include "base/codec.h"
#include "base/unicode.h"

enum err sasl_response_decode(struct arena *arena, struct str line, struct str *out)
{
	if (str_eq(line, STR("*")))
		return ERR_CANCELLED;
	if (line.n > SASL_RESPONSE_MAX || !arena_has_room(arena, line.n))
		return ERR_LIMIT;
	AUTO_BUF(decoded, 0);
	/* Enough at once: growing would leave copies behind. */
	(void)buf_reserve(&decoded, line.n + 1);
	bool is_base64 = base64_decode(&decoded, line);
	if (is_base64)
		*out = buf_dup(arena, &decoded);
	mem_wipe(decoded.p, decoded.cap);
	return is_base64 ? ERR_NONE : ERR_INVALID;
}

void sasl_put_line(struct buf *out, struct str message)
{
	base64_encode(out, message);
}

static bool is_name(struct str s)
{
	return s.n <= SASL_NAME_MAX && !str_has_nul(s) && utf8_is_valid(s);
}

static bool is_password(struct str s)
{
	return s.n <= SASL_PASSWORD_MAX && !str_has_nul(s) && utf8_is_valid(s);
}

enum err sasl_plain_parse(struct str message, struct sasl_plain *out)
{
	struct sasl_plain plain;
	struct str rest = message;
	if (!str_cut(&rest, '\0', &plain.authzid) || !str_cut(&rest, '\0', &plain.authcid))
		return ERR_INVALID;
	plain.password = rest;
	if (plain.authcid.n == 0 || !is_name(plain.authzid) || !is_name(plain.authcid) ||
		!is_password(plain.password))
		return ERR_INVALID;
	*out = plain;
	return ERR_NONE;
}

void sasl_plain_put(struct buf *out, const struct sasl_plain *plain)
{
	buf_put(out, plain->authzid);
	buf_put_byte(out, '\0');
	buf_put(out, plain->authcid);
	buf_put_byte(out, '\0');
	buf_put(out, plain->password);
}

struct str sasl_login_prompt(const struct sasl_login *login)
{
	return login->has_user ? STR("Password:") : STR("Username:");
}

enum err sasl_login_step(struct sasl_login *login, struct str message)
{
	ASSERT(!login->is_done);
	if (!login->has_user) {
		if (message.n == 0 || !is_name(message))
			return ERR_INVALID;
		login->user = message;
		login->has_user = true;
		return ERR_NONE;
	}
	if (!is_password(message))
		return ERR_INVALID;
	login->password = message;
	login->is_done = true;
	return ERR_NONE;
}
