/* SPDX-License-Identifier: Apache-2.0 */
/* Users in an SQL database: one row, whose columns are fields (core §6.10). */
#include "config/expand.h"

#include "auth/drivers_private.h"
#include "base/number.h"

struct sql_database {
	struct sql *sql;
	struct str query, iterate_query;
	const struct config_scope *scope;
	bool is_passdb;
};

static enum err check_query(
	struct op *op, const struct config_scope *scope, bool is_passdb, struct str query)
{
	const char *name = is_passdb ? "passdb_sql_query" : "userdb_sql_query";
	bool is_cached =
		config_size(scope, SET_auth_cache_size) > 0 &&
		config_bool(scope, is_passdb ? SET_passdb_use_cache : SET_userdb_use_cache);
	if (query.n == 0)
		return op_fail(op, ERR_INVALID, "%s must be set", name);
	TRY(op_within(op, config_expand_check(op, query), "%s", name));
	/* Its one answer would be everybody's. */
	if (is_cached && config_expand_is_plain(query))
		return op_fail(
			op, ERR_INVALID, "%s has no %%{variable}: it cannot be cached", name);
	return ERR_NONE;
}

static enum err sql_database_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	struct str query =
		config_str(scope, is_passdb ? SET_passdb_sql_query : SET_userdb_sql_query);
	struct sql *sql;
	TRY(check_query(op, scope, is_passdb, query));
	TRY(sql_open(op, scope, &sql));
	struct sql_database *d = MEM_NEW(struct sql_database);
	*d = (struct sql_database){
		.sql = sql,
		.query = query,
		.iterate_query = config_str(scope, SET_userdb_sql_iterate_query),
		.scope = scope,
		.is_passdb = is_passdb,
	};
	*out = d;
	return ERR_NONE;
}

static void sql_database_close(void *state)
{
	struct sql_database *d = state;
	sql_close(d->sql);
	mem_free(d);
}

static enum err make_statement(struct op *op, const struct sql_database *d,
	const struct auth_flow *flow, struct sql_statement *out)
{
	struct config_vars vars;
	auth_flow_vars(op, flow, &vars);
	return sql_template(op, d->query, &vars, out);
}

static enum err sql_database_lookup(
	struct op *op, void *state, const struct auth_flow *flow, struct auth_record *out)
{
	const struct sql_database *d = state;
	struct sql_statement statement;
	struct sql_result result;
	struct auth_record r = { 0 };
	TRY(make_statement(op, d, flow, &statement));
	TRY(sql_run(op, d->sql, &statement, 2, &result));
	if (result.row_count == 0)
		return op_fail(op, ERR_NOT_FOUND, "the query found no row");
	if (result.row_count > 1)
		return op_fail(op, ERR_UNAVAILABLE, "the query found several rows for one user");
	for (size_t i = 0; i < result.column_count; i++) {
		if (result.values[i].p)
			auth_fields_append(
				op->arena, &r.fields, result.columns[i], result.values[i]);
	}
	if (d->is_passdb && !auth_fields_has(&r.fields, STR("password")) &&
		!auth_fields_has(&r.fields, STR("password_noscheme")) &&
		!auth_fields_has(&r.fields, STR("nopassword")) &&
		!auth_fields_has(&r.fields, STR("noauthenticate")) &&
		flow->mode == AUTH_MODE_PASSWORD && !flow->is_verified)
		return op_fail(op, ERR_UNAVAILABLE,
			"the row has neither password nor password_noscheme nor nopassword");
	*out = r;
	return ERR_NONE;
}

static enum err sql_database_key(
	struct op *op, void *state, const struct auth_flow *flow, struct buf *out)
{
	struct sql_statement s;
	TRY(make_statement(op, state, flow, &s));
	number_put_counted(out, s.text);
	for (size_t i = 0; i < s.param_count; i++)
		number_put_counted(out, s.params[i]);
	return ERR_NONE;
}

static ssize_t find_column(const struct sql_result *r, struct str name)
{
	for (size_t i = 0; i < r->column_count; i++) {
		if (str_eq_ci(r->columns[i], name))
			return (ssize_t)i;
	}
	return -1;
}

static enum err sql_database_iterate(struct op *op, void *state, struct buf *out)
{
	const struct sql_database *d = state;
	struct sql_statement statement = { .text = d->iterate_query };
	struct sql_result r;
	if (d->iterate_query.n == 0)
		return op_fail(op, ERR_UNSUPPORTED, "userdb_sql_iterate_query is not set");
	TRY(sql_run(op, d->sql, &statement, 0, &r));
	ssize_t user = find_column(&r, STR("user")), domain = find_column(&r, STR("domain"));
	if (user < 0)
		user = find_column(&r, STR("username"));
	if (user < 0)
		return op_fail(op, ERR_UNAVAILABLE,
			"userdb_sql_iterate_query has no column `user` or `username`");
	for (size_t i = 0; i < r.row_count; i++) {
		struct str name = r.values[i * r.column_count + (size_t)user];
		struct str host =
			domain < 0 ? STR("") : r.values[i * r.column_count + (size_t)domain];
		if (name.n == 0)
			continue;
		buf_put(out, name);
		if (host.n > 0)
			buf_putf(out, "@%.*s", STRF(host));
		buf_put_byte(out, '\n');
	}
	return ERR_NONE;
}

const struct auth_driver auth_sql = {
	.name = "sql",
	.variables = "sql",
	.is_for_passdb = true,
	.is_for_userdb = true,
	.open = sql_database_open,
	.close = sql_database_close,
	.lookup = sql_database_lookup,
	.cache_key = sql_database_key,
	.iterate = sql_database_iterate,
};
