/* SPDX-License-Identifier: Apache-2.0 */
#include "sql/sql.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/test.h"
#include "config/config.h"
#include "config/expand.h"
#include "task/task.h"

struct fixture {
	struct arena arena;
	struct op op;
	char path[64];
	struct config *config;
	struct sql *sql;
};

static struct sql_statement make(struct op *op, const char *template)
{
	const struct config_var items[] = {
		{ STR("user"), STR("o'neil@x.test") },
		{ STR("n"), STR("7") },
	};
	const struct config_vars vars = { .items = items, .count = ARRAY_COUNT(items) };
	struct sql_statement s;
	assert_ok(sql_template(op, str_from(template), &vars, &s));
	return s;
}

static void variables_become_parameters(void **state)
{
	(void)state;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct sql_statement s = make(&op, "SELECT 'it''s' WHERE a='%{user}' AND b=%{n}");
	assert_str(s.text, STR("SELECT 'it''s' WHERE a=? AND b=?"));
	assert_int_equal(s.param_count, 2);
	assert_str(s.params[0], STR("o'neil@x.test"));
	assert_str(s.params[1], STR("7"));
	s = make(&op, "SELECT 'x''%{user | username}-%{n}' FROM t%{n | safe}");
	assert_str(s.text, STR("SELECT ? FROM t7"));
	assert_str(s.params[0], STR("x'o'neil-7"));
	s = make(&op, "SELECT '%{user | regexp(\"'\", 'q}')}'");
	assert_str(s.params[0], STR("oq}neil@x.test"));

	struct config_vars none = { 0 };
	assert_err(sql_template(&op, STR("SELECT 'a"), &none, &s), ERR_INVALID);
	assert_err(sql_template(&op, STR("SELECT %{user"), &none, &s), ERR_INVALID);
	assert_err(sql_template(&op, STR("SELECT %{nobody}"), &none, &s), ERR_INVALID);
}

static void make_database(const char *path)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "CREATE TABLE users (name TEXT, home TEXT, n INTEGER);"
				 "INSERT INTO users VALUES ('o''neil@x.test', NULL, 7);"
				 "INSERT INTO users VALUES ('b', '/b', 8);",
				 NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

static void script(void *arg)
{
	struct fixture *f = arg;
	struct sql_result r;
	struct sql_statement s =
		make(&f->op, "SELECT name, home, n FROM users WHERE name = '%{user}' AND n = %{n}");
	assert_ok(sql_run(&f->op, f->sql, &s, 2, &r));
	assert_int_equal(r.row_count, 1);
	assert_int_equal(r.column_count, 3);
	assert_str(r.columns[1], STR("home"));
	assert_null(r.values[1].p);
	assert_str(r.values[2], STR("7"));
	s = make(&f->op, "SELECT name FROM users");
	assert_ok(sql_run(&f->op, f->sql, &s, 1, &r));
	assert_int_equal(r.row_count, 1);
	assert_ok(sql_run(&f->op, f->sql, &s, 0, &r));
	assert_int_equal(r.row_count, 2);
	s = make(&f->op, "SELECT nothing FROM nowhere");
	assert_err(sql_run(&f->op, f->sql, &s, 0, &r), ERR_UNAVAILABLE);
	s = make(&f->op, "");
	assert_err(sql_run(&f->op, f->sql, &s, 0, &r), ERR_UNAVAILABLE);
	loop_stop();
}

static void statements_on_a_real_file(void **state)
{
	(void)state;
	struct fixture f = { .path = "/tmp/pombal-sql-XXXXXX" };
	struct config_problems problems;
	int fd = mkstemp(f.path);
	assert_true(fd >= 0);
	close(fd);
	make_database(f.path);
	arena_init(&f.arena, 0);
	op_init(&f.op, &f.arena, NULL, TIME_NEVER);
	struct config_load_args args = { .text = str_printf(&f.arena,
						 "dovecot_config_version = 3.1.0\n"
						 "dovecot_storage_version = 3.1.0\n"
						 "sqlite_path = %s\n",
						 f.path) };
	assert_ok(config_load(&f.op, &args, &problems, &f.config));
	assert_ok(sql_open(&f.op, config_scope(f.config, NULL), &f.sql));
	assert_ok(loop_open(&f.op, NULL));
	task_start("script", script, &f);
	loop_run();
	loop_close();
	sql_close(f.sql);
	config_unref(f.config);
	arena_done(&f.arena);
	unlink(f.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_become_parameters),
		cmocka_unit_test(statements_on_a_real_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
