/* SPDX-License-Identifier: Apache-2.0 */
/* The userdb that has been asked already: the passdb's userdb_* fields (core §6.10). */
#include "auth/drivers_private.h"

static enum err prefetch_open(
	struct op *op, const struct config_scope *scope, bool is_passdb, void **out)
{
	(void)op;
	(void)scope;
	(void)is_passdb;
	*out = NULL;
	return ERR_NONE;
}

static void prefetch_close(void *state)
{
	(void)state;
}

static enum err prefetch_lookup(
	struct op *op, void *state, const struct auth_flow *flow, struct auth_record *out)
{
	(void)state;
	if (flow->prefetched.count == 0)
		return op_fail(op, ERR_NOT_FOUND, "the passdb told nothing about the user");
	out->fields = auth_fields_dup(op->arena, &flow->prefetched);
	return ERR_NONE;
}

const struct auth_driver auth_prefetch = {
	.name = "prefetch",
	.is_for_userdb = true,
	.open = prefetch_open,
	.close = prefetch_close,
	.lookup = prefetch_lookup,
};
