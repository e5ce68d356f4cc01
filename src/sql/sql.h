/* SPDX-License-Identifier: Apache-2.0 */
/* sql/sql.h - asking an SQL database, whichever it is: statements with bound parameters, rows as text.
 *
 * Life:   sql_open(scope) -> sql_run() from any task -> sql_close().
 * Rules:  values never become part of a statement's text: they are parameters ("?"). sql_template()
 *         makes such a statement from an administrator's query with %{variables}.
 *         Calls block, so they run on offload threads, each with a connection of its own; a few idle
 *         connections are kept.
 * Limits: SQL_RESULT_BYTES_MAX a result.
 * To add a database: write x.c with a driver, declare it in sql_private.h, list it in sql.c. */
#pragma once

#include "base/base.h"

struct config_scope;
struct config_vars;
struct sql;

#define SQL_RESULT_BYTES_MAX (256 << 20)

struct sql_statement {
	struct str text; /* with "?" for each parameter */
	const struct str *params;
	size_t param_count;
};
struct sql_result {
	const struct str *columns; /* their names, as the database says them */
	size_t column_count;
	/* row r, column c at [r * column_count + c]; p == NULL is SQL's NULL */
	const struct str *values;
	size_t row_count;
};

/* The database that sql_driver and its settings name in `scope`. Connects at the first statement.
 * ERR_UNSUPPORTED: no such driver here. ERR_INVALID: a setting is wrong. */
enum err sql_open(struct op *op, const struct config_scope *scope, struct sql **out);
void sql_close(struct sql *s); /* NULL is fine; waits for nobody */

/* WAITS. At most row_max rows (further ones are not read); 0: all. The result is in op's arena.
 * ERR_UNAVAILABLE: no connection, or the database says no; the text is its own. */
enum err sql_run(struct op *op, struct sql *s, const struct sql_statement *statement,
	size_t row_max, struct sql_result *out);

/* From "... WHERE name = '%{user | username}'" to "... WHERE name = ?" and its values: a literal with
 * variables in it, or a variable outside of literals, becomes a parameter. `%{x | safe}` outside of
 * literals is put into the text as it is. In op's arena. ERR_INVALID: the template. */
enum err sql_template(struct op *op, struct str template, const struct config_vars *vars,
	struct sql_statement *out);
