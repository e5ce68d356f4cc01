/* SPDX-License-Identifier: Apache-2.0 */
/* Asking user databases in their order: the same machine as for passwords (core §6.4). */
#include "auth/auth_private.h"

static enum err try_database(struct op *op, struct auth_flow *flow, const struct auth_database *db)
{
	struct auth_asked asked;
	struct auth_fields before = auth_fields_dup(op->arena, &flow->userdb);
	enum err e = ERR_NONE;
	if (flow->mode == AUTH_MODE_EXISTS && db->driver->asks_passdb &&
		db->driver->asks_passdb(db->state))
		e = auth_chain_exists(op, flow);
	if (e == ERR_NONE)
		e = auth_database_ask(op, flow, db, false, &asked);
	if (e == ERR_NONE)
		e = auth_import_userdb(op, flow, db, &asked.record);
	if (e != ERR_NONE)
		flow->userdb = before;
	return e;
}

static enum auth_outcome outcome_of(enum err e)
{
	if (e == ERR_NONE)
		return OUTCOME_SUCCESS;
	return e == ERR_NOT_FOUND ? OUTCOME_FAILURE : OUTCOME_INTERNAL;
}

enum err auth_chain_userdb(struct op *op, struct auth_flow *flow, struct auth_result *result)
{
	struct auth_walk w = { 0 };
	struct op_failure failure = { 0 };
	bool is_found = false;
	for (size_t i = 0; i < flow->chain->userdb_count && !w.is_over; i++) {
		const struct auth_database *db = &flow->chain->userdbs[i];
		if ((db->skip == SKIP_WHEN_SUCCESS && w.is_success) ||
			(db->skip == SKIP_WHEN_NOT && !w.is_success))
			continue;
		enum err e = try_database(op, flow, db);
		if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
			return e;
		if (outcome_of(e) == OUTCOME_INTERNAL)
			failure = op->failure;
		auth_walk_apply(&w, db->rules[outcome_of(e)], outcome_of(e), &is_found);
	}
	if (!w.is_success && w.has_internal_failure)
		return op_fail(op, ERR_UNAVAILABLE, "%s", failure.text);
	if (!w.is_success)
		return op_fail(op, ERR_NOT_FOUND, "no userdb knows the user");
	struct str user = flow->user;
	if (auth_fields_get(&flow->userdb, STR("user"), &user)) {
		TRY(auth_name_check(op, user));
		auth_fields_remove(&flow->userdb, STR("user"));
	}
	result->user = user;
	result->fields = flow->userdb.items;
	result->field_count = flow->userdb.count;
	return ERR_NONE;
}
