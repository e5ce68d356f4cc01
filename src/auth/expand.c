/* SPDX-License-Identifier: Apache-2.0 */
/* What templates of databases may say about a request: %{user}, %{protocol}, addresses. */
#include "config/expand.h"
#include "auth/auth_private.h"

enum err auth_expand(
	struct op *op, const struct auth_request *request, struct str template, struct str *out)
{
	const struct config_var items[] = {
		{ STR("user"), request->user },
		{ STR("protocol"), request->service },
		{ STR("service"), request->service },
		{ STR("mechanism"), request->mechanism },
		{ STR("session"), request->session_id },
		{ STR("remote_ip"), address_dup(op->arena, &request->remote) },
		{ STR("local_ip"), address_dup(op->arena, &request->local) },
	};
	const struct config_vars vars = { .items = items, .count = ARRAY_COUNT(items) };
	return config_expand(op, template, &vars, out);
}

enum err auth_expand_fields(struct op *op, const struct config_scope *scope,
	enum config_setting setting, const struct auth_request *request, struct auth_field **out,
	size_t *out_count)
{
	struct config_item item;
	size_t count = 0, at = 0, n = 0;
	while (config_list_next(scope, setting, &at, &item))
		count++;
	struct auth_field *fields = ARENA_NEW_ARRAY(op->arena, struct auth_field, count + 1);
	at = 0;
	while (config_list_next(scope, setting, &at, &item)) {
		struct auth_field *f = &fields[n++];
		f->key = item.key;
		TRY(op_within(op, auth_expand(op, request, item.value, &f->value), "field %.*s",
			STRF(item.key)));
	}
	*out = fields;
	*out_count = n;
	return ERR_NONE;
}
