/* SPDX-License-Identifier: Apache-2.0 */
/* What templates of databases may say about a request. Spec: core §2.5, row "auth". */
#include "config/expand.h"

#include "auth/auth_private.h"

/* "passdb:F", "userdb:F", and the columns of the answer at hand: "sql:F". */
static bool find_field(void *ctx, struct str name, struct str *out)
{
	const struct auth_flow *flow = ctx;
	const struct auth_fields *fields;
	*out = STR_NONE; /* a field that nobody set has no value: default() may give it one */
	if (str_skip(&name, STR("passdb:")))
		fields = &flow->passdb;
	else if (str_skip(&name, STR("userdb:")))
		fields = flow->userdb.count > 0 ? &flow->userdb : &flow->prefetched;
	else if (flow->record && flow->record_prefix.n > 0 && str_skip(&name, flow->record_prefix))
		fields = &flow->record->fields;
	else
		return false;
	(void)auth_fields_get(fields, name, out);
	return true;
}

static struct str domain(struct str user, bool is_last)
{
	ssize_t at = is_last ? str_find_last_byte(user, '@') : str_find_byte(user, '@');
	return at < 0 ? STR("") : str_slice(user, (size_t)at + 1, user.n);
}

static struct str port(struct arena *a, const struct address *address)
{
	return str_printf(a, "%u", address->port);
}

static struct str or_none(struct str s)
{
	return s.n > 0 ? s : STR_NONE;
}

void auth_flow_vars(struct op *op, const struct auth_flow *flow, struct config_vars *out)
{
	const struct auth_request *r = flow->request;
	struct str auth_user = flow->master_user.n ? flow->master_user : flow->user;
	struct str local = address_dup(op->arena, &r->local);
	struct str remote = address_dup(op->arena, &r->remote);
	const struct address real = auth_real_remote(r);
	const struct config_var items[] = {
		{ STR("user"), flow->user },
		{ STR("original_user"), flow->original_user },
		{ STR("auth_user"), auth_user },
		{ STR("owner_user"), flow->user },
		{ STR("login_user"), or_none(flow->login_user) },
		{ STR("master_user"), or_none(flow->master_user) },
		{ STR("domain_first"), domain(flow->user, false) },
		{ STR("domain_last"), domain(flow->user, true) },
		{ STR("password"), or_none(r->password) },
		{ STR("protocol"), r->service },
		{ STR("service"), r->service },
		{ STR("mechanism"), r->mechanism },
		{ STR("session"), r->session_id },
		{ STR("secured"), r->is_tls       ? STR("TLS")
				  : r->is_secured ? STR("secured")
						  : STR("") },
		{ STR("cert"), r->has_cert ? STR("valid") : STR("") },
		{ STR("local_name"), or_none(r->local_name) },
		{ STR("local_ip"), local },
		{ STR("remote_ip"), remote },
		{ STR("real_local_ip"), local },
		{ STR("real_remote_ip"), address_dup(op->arena, &real) },
		{ STR("local_port"), port(op->arena, &r->local) },
		{ STR("remote_port"), port(op->arena, &r->remote) },
		{ STR("client_id"), STR_NONE },
	};
	struct config_var *copy = ARENA_NEW_ARRAY(op->arena, struct config_var, ARRAY_COUNT(items));
	memcpy(copy, items, sizeof(items));
	*out = (struct config_vars){
		.items = copy,
		.count = ARRAY_COUNT(items),
		.find = find_field,
		.ctx = (void *)(uintptr_t)flow, /* only read: see find_field() */
	};
}

enum err auth_expand(
	struct op *op, const struct auth_flow *flow, struct str template, struct str *out)
{
	struct config_vars vars;
	/* A copy: answers outlive the configuration when it is reloaded meanwhile. */
	if (config_expand_is_plain(template)) {
		*out = str_dup(op->arena, template);
		return ERR_NONE;
	}
	auth_flow_vars(op, flow, &vars);
	return config_expand(op, template, &vars, out);
}
