/* SPDX-License-Identifier: Apache-2.0 */
/* The databases that know everybody: one password or none, and fields made from the user's name. */
#include "auth/drivers_private.h"

struct static_database {
	const struct config_scope *scope;
	bool is_passdb, allows_all_users;
};

static enum err static_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	struct static_database *s = MEM_NEW(struct static_database);
	(void)op; /* every value is checked when it is used: templates need a user */
	s->scope = scope;
	s->is_passdb = is_passdb;
	s->allows_all_users = !is_passdb && config_bool(scope, SET_userdb_static_allow_all_users);
	*out = s;
	return ERR_NONE;
}

static void static_close(void *state)
{
	mem_free(state);
}

/* Moves what is about the password out of the fields. */
static void take_password_fields(struct auth_record *r)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->field_count; i++) {
		const struct auth_field *f = &r->fields[i];
		if (str_eq(f->key, STR("password")))
			r->password = f->value;
		else if (str_eq(f->key, STR("nopassword")))
			r->needs_no_password = true;
		else
			r->fields[kept++] = *f;
	}
	r->field_count = kept;
}

static enum err static_lookup(
	struct op *op, void *state, const struct auth_request *request, struct auth_record *out)
{
	const struct static_database *s = state;
	struct auth_record r = { 0 };
	TRY(auth_expand_fields(op, s->scope, s->is_passdb ? SET_passdb_fields : SET_userdb_fields,
		request, &r.fields, &r.field_count));
	if (s->is_passdb) {
		take_password_fields(&r);
		struct str password = config_str(s->scope, SET_passdb_static_password);
		if (password.n > 0)
			r.password = password;
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
	.open = static_open,
	.close = static_close,
	.lookup = static_lookup,
	.asks_passdb = static_asks_passdb,
};
