/* SPDX-License-Identifier: Apache-2.0 */
/* Asking password databases in their order. Spec: core §6.3, §6.4, §6.12.
 *
 * Databases with deny = yes come first: who is found there is out. A master user is looked up in the
 * databases with master = yes, then the user he wants to be in all others, without a password. */
#include "auth/auth_private.h"

/* What a database's answer can undo. */
struct saved {
	struct auth_fields passdb, prefetched;
	struct str user, login_user;
};

static struct saved save(struct op *op, const struct auth_flow *flow)
{
	return (struct saved){
		.passdb = auth_fields_dup(op->arena, &flow->passdb),
		.prefetched = auth_fields_dup(op->arena, &flow->prefetched),
		.user = flow->user,
		.login_user = flow->login_user,
	};
}

static void restore(struct auth_flow *flow, const struct saved *s)
{
	flow->passdb = s->passdb;
	flow->prefetched = s->prefetched;
	flow->user = s->user;
	flow->login_user = s->login_user;
}

/* ---- one database ---- */

static bool is_plain_default(struct str scheme)
{
	return scheme.n == 0 || str_eq_ci(scheme, STR("PLAIN"));
}

/* The stored password so that it says its scheme. */
static struct str with_scheme(struct op *op, const struct auth_database *db, struct str stored)
{
	if (str_starts(stored, STR("{")))
		return stored;
	struct str scheme =
		is_plain_default(db->default_scheme) ? STR("PLAIN") : db->default_scheme;
	return str_printf(op->arena, "{%.*s}%.*s", STRF(scheme), STRF(stored));
}

/* WAITS. The answer is there; is the client who he says? */
static enum err judge(struct op *op, struct auth_flow *flow, struct auth_database *db,
	struct str stored, bool *out_ok)
{
	bool needs_none = auth_fields_has(&flow->passdb, STR("nopassword"));
	*out_ok = true;
	if (flow->is_verified)
		return ERR_NONE;
	switch (flow->mode) {
	case AUTH_MODE_KNOWN:
	case AUTH_MODE_EXISTS:
		return ERR_NONE;
	case AUTH_MODE_SECRET:
		flow->secret = stored.n ? with_scheme(op, db, stored) : STR("");
		*out_ok = stored.n > 0;
		return ERR_NONE;
	case AUTH_MODE_PASSWORD:
		break;
	}
	if (needs_none && stored.n > 0)
		return op_fail(op, ERR_UNAVAILABLE, "%.*s: nopassword and a password are set",
			STRF(db->id));
	if (needs_none)
		return ERR_NONE;
	*out_ok = false;
	return stored.n ? auth_password_check(op, flow, db, stored, out_ok) : ERR_NONE;
}

/* What a database that says no still may say about how it is told. */
static void keep_failure_fields(struct auth_flow *flow, struct auth_result *result)
{
	struct str reason;
	if (auth_fields_has(&flow->passdb, STR("nodelay")))
		flow->skips_delay = true;
	if (auth_fields_has(&flow->passdb, STR("fail"))) {
		flow->is_failed = true;
		if (auth_fields_get(&flow->passdb, STR("reason"), &reason))
			result->reason = reason;
	}
}

/* WAITS. ERR_NONE: yes; ERR_DENIED or ERR_NOT_FOUND: no; others: it failed. *out_imports_only: it has
 * fields to add and no opinion. */
static enum err try_once(struct op *op, struct auth_flow *flow, struct auth_database *db,
	bool is_fresh, struct auth_asked *asked, bool *out_imports_only, struct auth_result *result)
{
	struct str stored;
	bool is_ok;
	*out_imports_only = false;
	TRY(auth_database_ask(op, flow, db, is_fresh, asked));
	TRY(auth_import_passdb(op, flow, db, &asked->record, &stored));
	keep_failure_fields(flow, result);
	if (flow->is_failed)
		return op_fail(op, ERR_DENIED, "the field `fail` is set");
	if (auth_fields_has(&flow->passdb, STR("noauthenticate"))) {
		auth_fields_remove(&flow->passdb, STR("noauthenticate"));
		auth_fields_remove(&flow->passdb, STR("nopassword")); /* nobody else's business */
		*out_imports_only = true;
		return ERR_NONE;
	}
	TRY(auth_import_check(op, flow));
	TRY(judge(op, flow, db, stored, &is_ok));
	if (asked->has_key && flow->auth->cache && flow->mode == AUTH_MODE_PASSWORD &&
		(is_ok || is_fresh || !asked->was_right))
		auth_cache_note(flow->auth->cache, asked->key, is_ok);
	auth_fields_remove(&flow->passdb, STR("nopassword"));
	return is_ok ? ERR_NONE : op_fail(op, ERR_DENIED, "password mismatch");
}

/* WAITS. A password that fitted before and does not now has perhaps been changed: ask again. */
static enum err try_database(struct op *op, struct auth_flow *flow, struct auth_database *db,
	bool *out_imports_only, struct auth_result *result)
{
	struct auth_asked asked;
	struct saved before = save(op, flow);
	enum err e = try_once(op, flow, db, false, &asked, out_imports_only, result);
	if (e == ERR_DENIED && asked.was_right && flow->mode == AUTH_MODE_PASSWORD) {
		restore(flow, &before);
		before = save(op, flow);
		e = try_once(op, flow, db, true, &asked, out_imports_only, result);
	}
	if (e != ERR_NONE)
		restore(flow, &before);
	if (e == ERR_NOT_FOUND && flow->mode == AUTH_MODE_PASSWORD && !flow->is_verified &&
		!db->is_deny)
		auth_password_pretend(op, flow, db);
	return e;
}

static bool is_for(const struct auth_flow *flow, const struct auth_database *db,
	const struct auth_walk *w, bool is_master)
{
	struct config_item item;
	size_t at = 0;
	bool is_filtered = false;
	struct str mechanism = flow->request->mechanism;
	if (flow->mode == AUTH_MODE_EXISTS || mechanism.n == 0)
		mechanism = STR("lookup");
	if (db->is_deny || db->is_master != is_master ||
		(db->skip == SKIP_WHEN_SUCCESS && w->is_success) ||
		(db->skip == SKIP_WHEN_NOT && !w->is_success) ||
		!auth_name_matches(db->username_filter, flow->user))
		return false;
	while (config_list_next(db->scope, SET_passdb_mechanisms_filter, &at, &item)) {
		if (str_eq_ci(item.key, mechanism))
			return true;
		is_filtered = true;
	}
	return !is_filtered;
}

/* ---- the walk ---- */

static enum auth_outcome outcome_of(enum err e)
{
	if (e == ERR_NONE)
		return OUTCOME_SUCCESS;
	return e == ERR_NOT_FOUND || e == ERR_DENIED ? OUTCOME_FAILURE : OUTCOME_INTERNAL;
}

static enum err nobody(struct op *op, const struct auth_flow *flow)
{
	if (flow->mode == AUTH_MODE_EXISTS)
		return op_fail(op, ERR_NOT_FOUND, "no passdb knows the user");
	return op_fail(op, ERR_DENIED, "unknown user or wrong password");
}

static enum err walk(
	struct op *op, struct auth_flow *flow, bool is_master, struct auth_result *result)
{
	struct auth_walk w = { 0 };
	struct op_failure failure = { 0 };
	size_t asked = 0;
	bool imports_only = false;
	for (size_t i = 0; i < flow->chain->passdb_count && !w.is_over; i++) {
		struct auth_database *db = &flow->chain->passdbs[i];
		if (!is_for(flow, db, &w, is_master))
			continue;
		asked++;
		enum err e = try_database(op, flow, db, &imports_only, result);
		if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
			return e;
		if (flow->is_failed)
			return nobody(op, flow);
		if (imports_only)
			continue;
		if (outcome_of(e) == OUTCOME_INTERNAL)
			failure = op->failure;
		auth_walk_apply(&w, db->rules[outcome_of(e)], outcome_of(e), &flow->is_verified);
	}
	if (w.is_success)
		return ERR_NONE;
	if (w.has_internal_failure)
		return op_fail(op, ERR_UNAVAILABLE, "%s", failure.text);
	if (asked == 0)
		return op_fail(op, ERR_UNAVAILABLE, "All password databases were skipped");
	if (imports_only)
		return op_fail(op, ERR_UNAVAILABLE, "the last passdb has noauthenticate");
	return nobody(op, flow);
}

/* WAITS. Found in a deny database: out. One that fails must not let anybody in. */
static enum err ask_deny(struct op *op, struct auth_flow *flow, struct auth_result *result)
{
	for (size_t i = 0; i < flow->chain->passdb_count; i++) {
		struct auth_database *db = &flow->chain->passdbs[i];
		struct auth_asked asked;
		if (!db->is_deny || !auth_name_matches(db->username_filter, flow->user))
			continue;
		enum err e = auth_database_ask(op, flow, db, false, &asked);
		if (e == ERR_NOT_FOUND)
			continue;
		if (e != ERR_NONE)
			return op_fail(
				op, ERR_UNAVAILABLE, "%.*s: %s", STRF(db->id), op->failure.text);
		struct str reason;
		if (auth_fields_get(&asked.record.fields, STR("reason"), &reason))
			result->reason = reason;
		return op_fail(op, ERR_DENIED, "user is disabled by %.*s", STRF(db->id));
	}
	return ERR_NONE;
}

static bool has_master(const struct auth_chain *chain)
{
	for (size_t i = 0; i < chain->passdb_count; i++) {
		if (chain->passdbs[i].is_master)
			return true;
	}
	return false;
}

/* WAITS. Who he is, then the user he wants to be. */
static enum err walk_master(struct op *op, struct auth_flow *flow, struct auth_result *result)
{
	if (!has_master(flow->chain)) {
		auth_password_pretend(op, flow, &flow->chain->passdbs[0]);
		return op_fail(op, ERR_DENIED, "there is no database of master users");
	}
	flow->user = flow->master_user;
	TRY(walk(op, flow, true, result));
	auth_fields_remove(&flow->passdb, STR("password"));
	struct str secret = flow->secret;
	enum auth_mode mode = flow->mode;
	flow->user = flow->login_user;
	flow->mode = AUTH_MODE_KNOWN;
	enum err e = walk(op, flow, false, result);
	flow->mode = mode;
	flow->secret = secret;
	if (e == ERR_DENIED) {
		result->refusal = AUTH_REFUSAL_AUTHZ;
		return op_fail(op, ERR_DENIED, "master user %.*s cannot become %.*s: unknown user",
			STRF(flow->master_user), STRF(flow->login_user));
	}
	return e;
}

enum err auth_chain_passdb(struct op *op, struct auth_flow *flow, struct auth_result *result)
{
	enum err e;
	if (flow->login_user.n > 0) {
		flow->user = flow->login_user;
		e = ask_deny(op, flow, result);
		if (e == ERR_NONE)
			e = walk_master(op, flow, result);
	} else {
		e = ask_deny(op, flow, result);
		if (e == ERR_NONE)
			e = walk(op, flow, false, result);
	}
	if (e != ERR_NONE && result->refusal == AUTH_REFUSAL_NONE)
		result->refusal =
			e == ERR_DENIED ? AUTH_REFUSAL_CREDENTIALS : AUTH_REFUSAL_TEMPORARY;
	result->skips_delay = flow->skips_delay;
	return e;
}

enum err auth_chain_exists(struct op *op, const struct auth_flow *flow)
{
	struct auth_flow probe = *flow;
	struct auth_result result = { 0 };
	probe.mode = AUTH_MODE_EXISTS;
	probe.passdb = probe.prefetched = (struct auth_fields){ 0 };
	return walk(op, &probe, false, &result);
}
