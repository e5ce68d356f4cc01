/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand.h - %{variables} in texts: "%{user | domain | default('local')}".
 *
 * A template is text with pipelines in %{ }: a source (variable, provider:key, literal('x')) and
 * filters. `%%{` is a literal `%{`; any other % is itself. The syntax is that of the sheet's §2.
 * A variable that the caller knows but has no value for is an error only if no default() follows.
 * Limits: 64 KiB of output, 64 filters in a pipeline, no recursion. */
#pragma once

#include "base/base.h"

struct config_var {
	struct str name;  /* "user", or with its provider "userdb:quota" */
	struct str value; /* p == NULL: known, but without a value here */
};

struct config_vars {
	const struct config_var *items;
	size_t count;
	const char *const *environment; /* for %{env:NAME}; may be NULL */
	/* Asked for names that `items` lacks; false: unknown. May be NULL. */
	bool (*find)(void *ctx, struct str name, struct str *out_value);
	void *ctx;
	/* Applied to every %{} result unless it ends in `safe` (SQL, LDAP quoting). May be NULL. */
	struct str (*escape)(void *ctx, struct arena *arena, struct str value);
};

/* The expanded text, in op->arena; a template without variables is returned as it is.
 * ERR_INVALID: syntax, unknown names, missing values, bad arguments; the text says which. */
enum err config_expand(
	struct op *op, struct str template, const struct config_vars *vars, struct str *out);

/* Only the syntax: names of variables are not looked at, those of filters are. */
enum err config_expand_check(struct op *op, struct str template);

/* True if the text has no variables, so that expanding it is the identity. */
bool config_expand_is_plain(struct str template);
