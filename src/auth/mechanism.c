/* SPDX-License-Identifier: Apache-2.0 */
/* The list of mechanisms, and which of them may be used where. */
#include "auth/auth_private.h"
#include "auth/client.h"
#include "auth/mechanism_private.h"
#include "config/config.h"

/* In the order of a capability list: what shows less comes first. */
static const struct auth_mechanism *const mechanisms[] = {
	&auth_mech_scram_sha256_plus,
	&auth_mech_scram_sha1_plus,
	&auth_mech_scram_sha256,
	&auth_mech_scram_sha1,
	&auth_mech_external,
	&auth_mech_plain,
	&auth_mech_login,
	&auth_mech_anonymous,
};

const struct auth_mechanism *auth_mechanism_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(mechanisms); i++) {
		if (str_eq_ci(mechanisms[i]->name, name))
			return mechanisms[i];
	}
	return NULL;
}

bool auth_mechanism_next(size_t *at, struct str *out_name)
{
	if (*at >= ARRAY_COUNT(mechanisms))
		return false;
	*out_name = mechanisms[(*at)++]->name;
	return true;
}

static bool is_configured(const struct config_scope *scope, struct str name)
{
	struct config_item item;
	size_t at = 0;
	while (config_list_next(scope, SET_auth_mechanisms, &at, &item)) {
		if (str_eq_ci(item.key, name))
			return true;
	}
	return false;
}

bool auth_mechanism_offered(
	const struct config_scope *scope, struct str name, bool is_secured, bool has_cert)
{
	const struct auth_mechanism *m = auth_mechanism_find(name);
	if (!m || !is_configured(scope, name))
		return false;
	if ((m->flags & MECHANISM_SHOWS_PASSWORD) && !is_secured &&
		!config_bool(scope, SET_auth_allow_cleartext))
		return false;
	if ((m->flags & MECHANISM_NEEDS_BINDING) && !is_secured)
		return false;
	return has_cert || !(m->flags & MECHANISM_NEEDS_CERT);
}

bool auth_offers_binding(const struct auth *a, const struct auth_request *request)
{
	return auth_may_use_mechanism(a, request, &auth_mech_scram_sha256_plus) ||
	       auth_may_use_mechanism(a, request, &auth_mech_scram_sha1_plus);
}

enum err auth_dialogue_malformed(struct op *op, struct auth_dialogue *d)
{
	d->result.refusal = AUTH_REFUSAL_MALFORMED;
	return op_fail(op, ERR_INVALID, "not a message of %.*s", STRF(d->mechanism->name));
}
