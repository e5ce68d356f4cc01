/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite as an SQL database of the administrator's: the file must exist, its journal is left as it is
 * unless the configuration says otherwise. */
#include <sqlite3.h>

#include "base/clock.h"
#include "sql/sql_private.h"

#define STEPS_BETWEEN_LOOKS 10000

static enum err fail(struct op *op, sqlite3 *db, const char *doing)
{
	return op_fail(op, ERR_UNAVAILABLE, "%s %s: %s", doing, sqlite3_db_filename(db, NULL),
		sqlite3_errmsg(db));
}

static enum err pragma(struct op *op, sqlite3 *db, const char *name, struct str value)
{
	if (value.n == 0 || str_eq(value, STR("default")))
		return ERR_NONE;
	struct str text = str_printf(op->arena, "PRAGMA %s = %.*s", name, STRF(value));
	return sqlite3_exec(db, text.p, NULL, NULL, NULL) == SQLITE_OK ? ERR_NONE
								       : fail(op, db, text.p);
}

static enum err sqlite_connect(struct op *op, const struct sql_target *target, void **out)
{
	sqlite3 *db;
	int flags = (target->is_readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
		    SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(target->path, &db, flags, NULL) != SQLITE_OK) {
		enum err e = op_fail(
			op, ERR_UNAVAILABLE, "open %s: %s", target->path, sqlite3_errmsg(db));
		sqlite3_close(db);
		return e;
	}
	int64_t busy_ms = target->busy_timeout_us / US_PER_MS;
	sqlite3_busy_timeout(db, (int)MIN(busy_ms, 600 * 1000));
	enum err e = pragma(op, db, "journal_mode", target->journal_mode);
	if (e == ERR_NONE)
		e = pragma(op, db, "synchronous", target->synchronous);
	if (e != ERR_NONE) {
		sqlite3_close(db);
		return e;
	}
	*out = db;
	return ERR_NONE;
}

static void sqlite_disconnect(void *connection)
{
	sqlite3_close(connection);
}

/* Ends a statement whose caller has left. */
static int is_late(void *op_)
{
	const struct op *op = op_;
	return now_us() > op->deadline_us;
}

static struct str *column_names(struct arena *a, sqlite3_stmt *statement, size_t count)
{
	struct str *names = ARENA_NEW_ARRAY(a, struct str, count + 1);
	for (size_t i = 0; i < count; i++)
		names[i] = str_dup(a, str_from(sqlite3_column_name(statement, (int)i)));
	return names;
}

static struct str column_value(struct arena *a, sqlite3_stmt *statement, size_t column)
{
	if (sqlite3_column_type(statement, (int)column) == SQLITE_NULL)
		return STR_NONE;
	const char *bytes = sqlite3_column_blob(statement, (int)column);
	int n = sqlite3_column_bytes(statement, (int)column);
	return n > 0 && bytes ? str_dup(a, (struct str){ bytes, (size_t)n }) : STR("");
}

static enum err read_rows(
	struct op *op, sqlite3 *db, sqlite3_stmt *statement, size_t row_max, struct sql_result *out)
{
	struct sql_result r = { .column_count = (size_t)sqlite3_column_count(statement) };
	struct str *values = NULL;
	size_t room = 0;
	int status;
	r.columns = column_names(op->arena, statement, r.column_count);
	while ((status = sqlite3_step(statement)) == SQLITE_ROW) {
		size_t count = r.row_count * r.column_count;
		if (count + r.column_count > room) {
			size_t more = 2 * room + 16 * r.column_count;
			values = arena_grow(
				op->arena, values, room * sizeof(*values), more * sizeof(*values));
			room = more;
		}
		for (size_t c = 0; c < r.column_count; c++)
			values[count + c] = column_value(op->arena, statement, c);
		r.row_count++;
		if (op->arena->used_bytes > SQL_RESULT_BYTES_MAX)
			return op_fail(op, ERR_LIMIT, "the result is larger than %d bytes",
				SQL_RESULT_BYTES_MAX);
		if (r.row_count == row_max)
			break;
	}
	if (status != SQLITE_DONE && status != SQLITE_ROW)
		return fail(op, db, "query");
	r.values = values;
	*out = r;
	return ERR_NONE;
}

static enum err bind(
	struct op *op, sqlite3 *db, sqlite3_stmt *statement, const struct sql_statement *s)
{
	if ((size_t)sqlite3_bind_parameter_count(statement) != s->param_count)
		return op_fail(op, ERR_INVALID, "the query has %d parameters, not %zu: %.*s",
			sqlite3_bind_parameter_count(statement), s->param_count, STRF(s->text));
	for (size_t i = 0; i < s->param_count; i++) {
		if (sqlite3_bind_text64(statement, (int)i + 1, s->params[i].p ? s->params[i].p : "",
			    s->params[i].n, SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
			return fail(op, db, "bind");
	}
	return ERR_NONE;
}

static enum err sqlite_run(struct op *op, void *connection, const struct sql_statement *s,
	size_t row_max, struct sql_result *out)
{
	sqlite3 *db = connection;
	sqlite3_stmt *statement = NULL;
	sqlite3_progress_handler(db, STEPS_BETWEEN_LOOKS, is_late, op);
	if (sqlite3_prepare_v2(db, s->text.p, (int)s->text.n, &statement, NULL) != SQLITE_OK)
		return fail(op, db, "prepare");
	if (!statement)
		return op_fail(op, ERR_INVALID, "the query is empty");
	enum err e = bind(op, db, statement, s);
	if (e == ERR_NONE)
		e = read_rows(op, db, statement, row_max, out);
	sqlite3_finalize(statement);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	return e;
}

const struct sql_driver sql_sqlite = {
	.name = "sqlite",
	.connect = sqlite_connect,
	.run = sqlite_run,
	.disconnect = sqlite_disconnect,
};
