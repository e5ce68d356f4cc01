/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to chains of open databases. Protocols whose filters bring databases of their
 * own have a chain of their own; everybody else shares the first. */
#include "auth/drivers_private.h"

const struct auth_driver *const auth_drivers[] = { &auth_passwd_file, &auth_sql, &auth_static,
	&auth_prefetch, NULL };

/* A chain for each, if its scope is not the common one. */
static const char *const services[] = { "imap", "pop3", "lmtp", "submission", "sieve", "doveadm" };

static const struct auth_driver *find_driver(struct str name, bool is_passdb)
{
	for (size_t i = 0; auth_drivers[i]; i++) {
		const struct auth_driver *d = auth_drivers[i];
		if (str_eq(name, str_from(d->name)))
			return (is_passdb ? d->is_for_passdb : d->is_for_userdb) ? d : NULL;
	}
	return NULL;
}

static void read_passdb(struct auth_database *db)
{
	const struct config_scope *scope = db->scope;
	db->is_deny = config_bool(scope, SET_passdb_deny);
	db->is_master = config_bool(scope, SET_passdb_master);
	db->imports_all = config_bool(scope, SET_passdb_fields_import_all);
	db->uses_cache = config_bool(scope, SET_passdb_use_cache);
	db->skip = (enum auth_skip)config_enum(scope, SET_passdb_skip);
	db->rules[OUTCOME_SUCCESS] = (enum auth_rule)config_enum(scope, SET_passdb_result_success);
	db->rules[OUTCOME_FAILURE] = (enum auth_rule)config_enum(scope, SET_passdb_result_failure);
	db->rules[OUTCOME_INTERNAL] =
		(enum auth_rule)config_enum(scope, SET_passdb_result_internalfail);
	db->username_filter = config_str(scope, SET_passdb_username_filter);
	db->default_scheme = config_str(scope, SET_passdb_default_password_scheme);
	if (!config_is_set(scope, SET_passdb_default_password_scheme) &&
		str_eq(str_from(db->driver->name), STR("static")))
		db->default_scheme = STR("PLAIN");
}

static void read_userdb(struct auth_database *db)
{
	const struct config_scope *scope = db->scope;
	db->imports_all = config_bool(scope, SET_userdb_fields_import_all);
	db->uses_cache = config_bool(scope, SET_userdb_use_cache);
	db->skip = (enum auth_skip)config_enum(scope, SET_userdb_skip);
	db->rules[OUTCOME_SUCCESS] = (enum auth_rule)config_enum(scope, SET_userdb_result_success);
	db->rules[OUTCOME_FAILURE] = (enum auth_rule)config_enum(scope, SET_userdb_result_failure);
	db->rules[OUTCOME_INTERNAL] =
		(enum auth_rule)config_enum(scope, SET_userdb_result_internalfail);
}

static enum err open_database(
	struct op *op, const struct config_scope *scope, bool is_passdb, struct auth_database *db)
{
	struct str name = config_scope_name(scope);
	const char *kind = is_passdb ? "passdb" : "userdb";
	struct str driver = config_str(scope, is_passdb ? SET_passdb_driver : SET_userdb_driver);
	*db = (struct auth_database){
		.driver = find_driver(driver, is_passdb),
		.scope = scope,
		.name = name,
		.is_passdb = is_passdb,
	};
	if (!db->driver)
		return op_fail(op, ERR_UNSUPPORTED, "%s %.*s: driver %.*s is not supported%s", kind,
			STRF(name), STRF(driver),
			is_passdb ? " (there are passwd-file, sql, static)"
				  : " (there are passwd-file, sql, static, prefetch)");
	if (is_passdb)
		read_passdb(db);
	else
		read_userdb(db);
	return op_within(op, db->driver->open(op, scope, is_passdb, &db->state), "%s %.*s", kind,
		STRF(name));
}

static enum err open_databases(struct op *op, const struct config_scope *scope,
	enum config_block block, struct auth_database *out, size_t *out_count)
{
	size_t count = config_block_count(scope, block);
	bool is_passdb = block == BLOCK_passdb;
	if (count > AUTH_DATABASES_MAX)
		return op_fail(
			op, ERR_LIMIT, "more than %d databases of one kind", AUTH_DATABASES_MAX);
	for (size_t i = 0; i < count; i++) {
		TRY(open_database(op, config_block_at(scope, block, i), is_passdb, &out[i]));
		*out_count = i + 1;
	}
	if (count == 0)
		return op_fail(op, ERR_INVALID, "no %s is configured: nobody could log in",
			is_passdb ? "passdb" : "userdb");
	return ERR_NONE;
}

static void close_databases(struct auth_database *databases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		databases[i].driver->close(databases[i].state);
		mem_free((void *)(uintptr_t)databases[i].id.p);
		if (databases[i].decoy)
			mem_wipe(databases[i].decoy, strlen(databases[i].decoy));
		mem_free(databases[i].decoy);
	}
}

/* Keys of cached answers begin with this: two databases never share one. */
static void name_databases(
	const struct auth_chain *chain, struct auth_database *databases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF(id, 0);
		buf_putf(&id, "%s/%.*s/%zu/%.*s", databases[i].is_passdb ? "passdb" : "userdb",
			STRF(chain->service), i, STRF(databases[i].name));
		databases[i].id = (struct str){ str_new_z(buf_str(&id)), id.n };
	}
}

static enum err open_chain(
	struct op *op, struct auth_setup *s, const struct config_scope *scope, struct str service)
{
	struct auth_chain *chain = MEM_NEW(struct auth_chain);
	chain->service = service;
	s->chains[s->chain_count++] = chain;
	TRY(open_databases(op, scope, BLOCK_passdb, chain->passdbs, &chain->passdb_count));
	TRY(open_databases(op, scope, BLOCK_userdb, chain->userdbs, &chain->userdb_count));
	name_databases(chain, chain->passdbs, chain->passdb_count);
	name_databases(chain, chain->userdbs, chain->userdb_count);
	return ERR_NONE;
}

/* Are there databases that the common scope does not have? */
static bool has_own_databases(const struct config_scope *scope, const struct config_scope *global,
	enum config_block block)
{
	size_t count = config_block_count(scope, block);
	if (count != config_block_count(global, block))
		return true;
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(config_scope_name(config_block_at(scope, block, i)),
			    config_scope_name(config_block_at(global, block, i))))
			return true;
	}
	return false;
}

static enum err open_chains(struct op *op, struct auth_setup *s)
{
	TRY(open_chain(op, s, s->global, STR("")));
	for (size_t i = 0; i < ARRAY_COUNT(services); i++) {
		struct config_place place = { .protocol = str_from(services[i]) };
		const struct config_scope *scope = config_scope(s->config, &place);
		if (has_own_databases(scope, s->global, BLOCK_passdb) ||
			has_own_databases(scope, s->global, BLOCK_userdb))
			TRY(open_chain(op, s, scope, place.protocol));
	}
	return ERR_NONE;
}

enum err auth_setup_open(struct op *op, struct config *config, struct auth_setup **out)
{
	struct auth_setup *s = MEM_NEW(struct auth_setup);
	const struct config_scope *global = config_scope(config, NULL);
	*s = (struct auth_setup){
		.refs = 1,
		.config = config_ref(config),
		.global = global,
		.username_format = config_str(global, SET_auth_username_format),
		.username_chars = config_str(global, SET_auth_username_chars),
		.username_translation = config_str(global, SET_auth_username_translation),
		.default_domain = config_str(global, SET_auth_default_domain),
		.master_separator = config_str(global, SET_auth_master_user_separator),
		.failure_delay_us = config_time_us(global, SET_auth_failure_delay),
		.internal_failure_delay_us =
			config_time_us(global, SET_auth_internal_failure_delay),
		.is_verbose = config_bool(global, SET_auth_verbose),
		.allows_weak_schemes = config_bool(global, SET_auth_allow_weak_schemes),
	};
	enum err e = open_chains(op, s);
	if (e != ERR_NONE) {
		auth_setup_unref(s);
		return e;
	}
	*out = s;
	return ERR_NONE;
}

void auth_setup_unref(struct auth_setup *s)
{
	if (!s || --s->refs > 0)
		return;
	for (size_t i = 0; i < s->chain_count; i++) {
		close_databases(s->chains[i]->passdbs, s->chains[i]->passdb_count);
		close_databases(s->chains[i]->userdbs, s->chains[i]->userdb_count);
		mem_free(s->chains[i]);
	}
	config_unref(s->config);
	mem_free(s);
}

struct auth_chain *auth_setup_chain(const struct auth_setup *s, struct str service)
{
	for (size_t i = 1; i < s->chain_count; i++) {
		if (str_eq(s->chains[i]->service, service))
			return s->chains[i];
	}
	return s->chains[0];
}
