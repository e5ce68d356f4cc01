/* SPDX-License-Identifier: Apache-2.0 */
/* The databases that know everybody: one password or none, and fields made from the user's name (the
 * chain adds those of `fields`). */
#include "auth/drivers_private.h"

struct static_database {
	struct str password;
	bool allows_all_users;
};

static enum err static_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	struct static_database *s = MEM_NEW(struct static_database);
	(void)op; /* templates are checked when they are used: they need a user */
	if (is_passdb)
		s->password = config_str(scope, SET_passdb_static_password);
	else
		s->allows_all_users = config_bool(scope, SET_userdb_static_allow_all_users);
	*out = s;
	return ERR_NONE;
}

static void static_close(void *state)
{
	mem_free(state);
}

static enum err static_lookup(
	struct op *op, void *state, const struct auth_flow *flow, struct auth_record *out)
{
	const struct static_database *s = state;
	struct auth_record r = { 0 };
	struct str password;
	if (s->password.n > 0) {
		TRY(auth_expand(op, flow, s->password, &password));
		auth_fields_append(op->arena, &r.fields, STR("password"), password);
	}
	*out = r;
	return ERR_NONE;
}

static bool static_asks_passdb(void *state)
{
	return !((const struct static_database *)state)->allows_all_users;
}

const struct auth_driver auth_static = {
	.name = "static",
	.is_for_passdb = true,
	.is_for_userdb = true,
	.open = static_open,
	.close = static_close,
	.lookup = static_lookup,
	.asks_passdb = static_asks_passdb,
};
