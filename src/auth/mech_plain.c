/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms that show the password. Spec: RFC 4616, draft-murchison-sasl-login. */
#include "auth/mechanism_private.h"
#include "wire/sasl.h"

static enum err verify(struct op *op, struct auth_dialogue *d)
{
	enum err e = auth_verify(op, d->auth, &d->request, &d->result);
	d->is_done = e == ERR_NONE;
	return e;
}

static enum err plain_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	struct sasl_plain plain;
	(void)out_data; /* it has nothing to say */
	if (sasl_plain_parse(message, &plain) != ERR_NONE)
		return auth_dialogue_malformed(op, d);
	d->request.user = plain.authcid;
	d->request.password = plain.password;
	d->request.authzid = plain.authzid;
	return verify(op, d);
}

static enum err login_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	struct sasl_login *login = d->state;
	if (!login)
		d->state = login = ARENA_NEW(d->arena, struct sasl_login);
	if (message.p && sasl_login_step(login, str_dup(d->arena, message)) != ERR_NONE)
		return auth_dialogue_malformed(op, d);
	if (!login->is_done) {
		*out_data = sasl_login_prompt(login);
		return ERR_NONE;
	}
	d->request.user = login->user;
	d->request.password = login->password;
	return verify(op, d);
}

const struct auth_mechanism auth_mech_plain = {
	.name = { "PLAIN", 5 },
	.flags = MECHANISM_SHOWS_PASSWORD,
	.step = plain_step,
};
const struct auth_mechanism auth_mech_login = {
	.name = { "LOGIN", 5 },
	.flags = MECHANISM_SHOWS_PASSWORD | MECHANISM_SERVER_FIRST,
	.step = login_step,
};
