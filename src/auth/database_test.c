/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers on real files: passwd-file with its fields and paths, SQL with the cache before it, chains of
 * user databases, reload. */
#include "auth/test_kit_private.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/pombal-authdb-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void write_file(struct auth_test *t, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_ok(file_replace(&t->op, path, str_from(text), 0600));
}

static void remove_files(const char *const *names)
{
	char path[128];
	for (; *names; names++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *names);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void run(const char *config, void (*script)(struct auth_test *t))
{
	AUTO_ARENA(arena, 0);
	struct str text = str_from(config), part;
	AUTO_BUF(whole, 0);
	while (str_cut(&text, '$', &part)) { /* "$" stands for the directory */
		buf_put(&whole, part);
		buf_put(&whole, str_from(dir));
	}
	buf_put(&whole, text);
	auth_test_run(str_dup_z(&arena, buf_str(&whole)), script);
}

static struct str field(const struct auth_result *r, const char *key)
{
	return auth_test_field(r->fields, r->field_count, key);
}

static enum err look_up(struct auth_test *t, const char *user, struct auth_result *out)
{
	struct auth_request r = { .user = str_from(user), .service = STR("lmtp") };
	return auth_lookup(&t->op, t->auth, &r, out);
}

/* ---- passwd-file ---- */

static void script_passwd_file(struct auth_test *t)
{
	struct auth_result r;
	AUTO_BUF(names, 0);
	write_file(t, "a.test",
		"# comment\nu@a.test:{PLAIN}x:10:20:gecos:/home/u:/bin/sh:"
		"userdb_quota/User quota=1 userdb_quota_storage_size=5G forward_k=v nodelay\n"
		"bare@a.test:{PLAIN}x\n");
	assert_ok(auth_test_verify(t, "u@a.test", "x", &r));
	assert_str(auth_test_field(r.login_fields, r.login_field_count, "forward_k"), STR("v"));
	assert_str(field(&r, "uid"), STR("10"));
	assert_str(field(&r, "gid"), STR("20"));
	assert_str(field(&r, "home"), STR("/home/u"));
	assert_str(field(&r, "quota_storage_size"), STR("5G"));
	assert_str(field(&r, "extra"), STR("a.test /home/u"));
	assert_null(field(&r, "forward_k").p);
	assert_err(auth_test_verify(t, "u@a.test", "y", &r), ERR_DENIED);
	assert_true(r.skips_delay);
	assert_err(auth_test_verify(t, "bare@a.test", "y", &r), ERR_DENIED);
	assert_false(r.skips_delay);
	/* No file for the domain, and none that a name could climb to. */
	assert_err(auth_test_verify(t, "u@b.test", "x", &r), ERR_DENIED);
	assert_err(auth_test_verify(t, "u@..", "x", &r), ERR_DENIED);
	assert_err(look_up(t, "nobody@a.test", &r), ERR_NOT_FOUND);
	assert_ok(look_up(t, "u@a.test", &r));
	assert_err(auth_list(&t->op, t->auth, STR(""), &names), ERR_UNSUPPORTED);
	/* A new file counts after a second. */
	write_file(t, "a.test", "u@a.test:{PLAIN}changed::::/new:\n");
	assert_ok(task_sleep(&t->op, 2 * US_PER_SEC));
	assert_ok(auth_test_verify(t, "u@a.test", "changed", &r));
	assert_str(field(&r, "home"), STR("/new"));
}

static void passwd_files_by_domain(void **state)
{
	(void)state;
	make_dir();
	run("auth_username_chars =\n"
	    "passdb passwd-file {\n passwd_file_path = $/%{user | domain}\n}\n"
	    "userdb passwd-file {\n passwd_file_path = $/%{user | domain}\n"
	    " fields {\n  extra = %{user | domain} %{passwd_file:home}\n }\n}\n",
		script_passwd_file);
	remove_files((const char *const[]){ "a.test", NULL });
}

/* ---- SQL ---- */

static void sql(const char *text)
{
	char path[128];
	sqlite3 *db;
	snprintf(path, sizeof(path), "%s/users", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void script_sql(struct auth_test *t)
{
	struct auth_result r;
	AUTO_BUF(names, 0);
	assert_ok(auth_test_verify(t, "a", "x", &r));
	assert_str(field(&r, "home"), STR("/home/a"));
	assert_str(field(&r, "mail"), STR("from a"));
	assert_err(auth_test_verify(t, "twice", "x", &r), ERR_UNAVAILABLE);
	assert_err(auth_test_verify(t, "none", "x", &r), ERR_UNAVAILABLE); /* NULL password */
	assert_ok(auth_test_verify(t, "free", "anything", &r));
	assert_err(auth_test_verify(t, "z", "x", &r), ERR_DENIED);
	assert_err(look_up(t, "z", &r), ERR_NOT_FOUND);
	assert_ok(auth_list(&t->op, t->auth, STR(""), &names));
	assert_true(str_find(buf_str(&names), STR("a@dom\n")) >= 0);

	/* The cache: an old password fits until it is flushed, a new one is looked for. */
	sql("UPDATE users SET password = '{PLAIN}new' WHERE name = 'a'");
	assert_ok(auth_test_verify(t, "a", "x", &r));
	assert_ok(auth_test_verify(t, "a", "new", &r));
	assert_err(auth_test_verify(t, "a", "x", &r), ERR_DENIED);
	/* The database goes away: what is old is used when it fails, and not before. */
	assert_ok(task_sleep(&t->op, 3601 * US_PER_SEC));
	sql("ALTER TABLE users RENAME TO hidden");
	assert_ok(auth_test_verify(t, "a", "new", &r));
	assert_err(auth_test_verify(t, "a", "other", &r), ERR_DENIED);
	assert_true(auth_cache_flush(t->auth, STR("a")) > 0);
	assert_err(auth_test_verify(t, "a", "new", &r), ERR_UNAVAILABLE);
	sql("ALTER TABLE hidden RENAME TO users");
	assert_ok(auth_test_verify(t, "a", "new", &r));
}

static void sql_users_with_the_cache(void **state)
{
	(void)state;
	make_dir();
	sql("CREATE TABLE users (name TEXT, password TEXT, nopassword TEXT);"
	    "INSERT INTO users VALUES ('a', '{PLAIN}x', NULL), ('twice', 'x', NULL),"
	    "('twice', 'x', NULL), ('none', NULL, NULL), ('free', NULL, 'y')");
	run("sqlite_path = $/users\nauth_cache_size = 1M\n"
	    "passdb sql {\n"
	    " query = SELECT password, nopassword FROM users WHERE name = '%{user}'\n}\n"
	    "userdb sql {\n query = SELECT '/home/' || name AS home, name FROM users "
	    "WHERE name = '%{user}'\n"
	    " iterate_query = SELECT name AS username, 'dom' AS domain FROM users\n"
	    " fields {\n  mail = from %{sql:name}\n }\n}\n",
		script_sql);
	remove_files((const char *const[]){ "users", NULL });
}

/* ---- userdb chains, reload ---- */

static void script_userdbs(struct auth_test *t)
{
	struct auth_result r;
	assert_ok(auth_test_verify(t, "u", "x", &r));
	assert_str(field(&r, "home"), STR("/first"));
	assert_str(field(&r, "second"), STR("yes"));
	assert_null(field(&r, "third").p);
	assert_str(r.user, STR("renamed"));
}

static void user_databases_in_a_chain(void **state)
{
	(void)state;
	auth_test_run("passdb static {\n passdb_static_password = x\n}\n"
		      "userdb a {\n driver = static\n userdb_result_success = continue-ok\n"
		      " userdb_static_allow_all_users = yes\n fields {\n  home = /first\n }\n}\n"
		      "userdb b {\n driver = static\n userdb_result_success = continue\n"
		      " fields {\n  second = yes\n  home:default = /second\n"
		      "  user = renamed\n }\n}\n"
		      "userdb c {\n driver = static\n userdb_skip = found\n"
		      " fields {\n  third = yes\n }\n}\n"
		      "userdb d {\n driver = static\n fields {\n  tempfail = y\n  third = x\n"
		      " }\n}\n",
		script_userdbs);
}

static void script_reload(struct auth_test *t)
{
	struct auth_result r;
	struct config *config = auth_test_config(
		t, "passdb static {\n passdb_static_password = y\n}\nuserdb static {\n}\n");
	struct config *bad = auth_test_config(t, "passdb static {\n}\n");
	assert_ok(auth_test_verify(t, "u", "x", &r));
	assert_ok(auth_reload(&t->op, t->auth, config));
	assert_err(auth_test_verify(t, "u", "x", &r), ERR_DENIED);
	assert_ok(auth_test_verify(t, "u", "y", &r));
	assert_err(auth_reload(&t->op, t->auth, bad), ERR_INVALID);
	assert_ok(auth_test_verify(t, "u", "y", &r));
	config_unref(config);
	config_unref(bad);
}

static void reload_takes_good_ones_alone(void **state)
{
	(void)state;
	auth_test_run("passdb static {\n passdb_static_password = x\n}\nuserdb static {\n}\n",
		script_reload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwd_files_by_domain),
		cmocka_unit_test(sql_users_with_the_cache),
		cmocka_unit_test(user_databases_in_a_chain),
		cmocka_unit_test(reload_takes_good_ones_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
