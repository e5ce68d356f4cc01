/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanisms without a password: EXTERNAL (a client certificate has said who it is) and ANONYMOUS.
 * Spec: RFC 4422 appendix A, RFC 4505. */
#include "auth/auth_private.h"
#include "auth/mechanism_private.h"
#include "wire/sasl.h"

static void set_refusal(struct auth_dialogue *d, enum err e)
{
	if (e != ERR_NONE && d->result.refusal == AUTH_REFUSAL_NONE)
		d->result.refusal = e == ERR_DENIED || e == ERR_INVALID ? AUTH_REFUSAL_CREDENTIALS
									: AUTH_REFUSAL_TEMPORARY;
	auth_count(d->auth, e);
	d->is_done = e == ERR_NONE;
}

/* The message is the user to become; empty: the certificate's. */
static enum err external_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	struct auth_flow flow;
	(void)out_data; /* it has nothing to say */
	if (message.n > SASL_NAME_MAX || str_has_nul(message))
		return auth_dialogue_malformed(op, d);
	d->request.user = d->request.cert_user;
	d->request.authzid = str_dup(d->arena, message);
	if (!d->request.has_cert || d->request.cert_user.n == 0) {
		d->result.refusal = AUTH_REFUSAL_CREDENTIALS;
		return op_fail(op, ERR_DENIED, "no client certificate, or no name in it");
	}
	enum err e = auth_flow_start(op, d->auth, &d->request, AUTH_MODE_KNOWN, &flow);
	if (e == ERR_NONE) {
		e = auth_chain_passdb(op, &flow, &d->result);
		if (e == ERR_NONE)
			e = auth_flow_finish(op, &flow, &d->result);
		auth_flow_end(&flow);
	}
	set_refusal(d, e);
	return e;
}

/* The message is a trace for the log, which does not need it. */
static enum err anonymous_step(
	struct op *op, struct auth_dialogue *d, struct str message, struct str *out_data)
{
	struct auth_flow flow;
	(void)message;
	(void)out_data;
	d->request.user = config_str(d->auth->setup->global, SET_auth_anonymous_username);
	d->request.user = str_dup(d->arena, d->request.user);
	enum err e = auth_flow_start(op, d->auth, &d->request, AUTH_MODE_KNOWN, &flow);
	if (e == ERR_NONE) {
		e = auth_flow_finish(op, &flow, &d->result);
		auth_flow_end(&flow);
	}
	set_refusal(d, e);
	return e;
}

const struct auth_mechanism auth_mech_external = {
	.name = { "EXTERNAL", 8 },
	.flags = MECHANISM_NEEDS_CERT,
	.step = external_step,
};
const struct auth_mechanism auth_mech_anonymous = {
	.name = { "ANONYMOUS", 9 },
	.step = anonymous_step,
};
