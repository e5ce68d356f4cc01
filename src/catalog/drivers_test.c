/* SPDX-License-Identifier: Apache-2.0 */
/* What single drivers promise beyond the contract: one owner a shard, batches that do not poison
 * others, damaged files, a disk without room, the n-th failure. */
#include "catalog/catalog.h"

#include "base/test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/config.h"
#include "task/task.h"

struct place {
	struct op *op;
	struct catalog *catalog;
	const char *dir;
	struct str text;
	void (*body)(struct place *p);
};

static const struct str user = { "u", 1 };

static void place_task(void *arg)
{
	struct place *p = arg;
	p->body(p);
	catalog_close(p->op, p->catalog);
	loop_stop();
}

static void run(void (*body)(struct place *p))
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	char dir[] = "/tmp/catalog-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct place p = { .op = &op, .dir = dir, .body = body };
	p.text = str_printf(&arena, "sqlite(%s,1)", dir);
	assert_ok(loop_open(&op, NULL));
	task_start("test", place_task, &p);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&op, dir));
}

static struct catalog *open_again(struct place *p)
{
	struct catalog *c = NULL;
	assert_ok(catalog_open_text(p->op, p->text, &c));
	return c;
}

static enum err write_head(struct op *op, struct catalog *c, struct str key, struct str value)
{
	struct catalog_change change = { .kind = CATALOG_PUT_HEAD, .key = key, .value = value };
	return catalog_write(op, c, user, &change, 1);
}

static size_t head_count(struct place *p)
{
	struct catalog_head *heads;
	size_t count = 0;
	assert_ok(catalog_read_heads(p->op, p->catalog, user, &heads, &count));
	return count;
}

static const char *path(struct place *p, const char *name)
{
	return str_printf(p->op->arena, "%s/%s%c", p->dir, name, '\0').p;
}

/* What an operator could do with the sqlite3 program. */
static void execute(struct place *p, const char *sql)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path(p, "00.sqlite"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void texts(struct place *p)
{
	const char *bad[] = { "", "nothing", "fault", "fault:", "fault:fault:mem", "mem(0)",
		"mem(x)", "mem(4", "sqlite", "sqlite()", "sqlite(relative)", "sqlite(/tmp/x,0)",
		"sqlite(/tmp/x,9999)", "sqlite(/tmp/x,maybe)", "sqlite(/tmp/%{user},4)" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		assert_err(catalog_open_text(p->op, str_from(bad[i]), &p->catalog), ERR_INVALID);
	assert_null(p->catalog);
}
static void only_sound_texts_open(void **state)
{
	(void)state;
	run(texts);
}

/* Our own trouble never looks as if the user did not exist. */
static void vanished(struct place *p)
{
	struct catalog_head *heads;
	size_t count;
	struct str text = str_printf(p->op->arena, "sqlite(%s/gone,1)", p->dir);
	assert_ok(catalog_open_text(p->op, text, &p->catalog));
	assert_ok(file_remove_tree(p->op, path(p, "gone")));
	assert_err(catalog_read_heads(p->op, p->catalog, user, &heads, &count), ERR_UNAVAILABLE);
	assert_true(str_find(str_from(p->op->failure.text), STR("gone/00.sqlite")) >= 0);
	assert_int_equal(mkdir(path(p, "gone"), 0700), 0);
	assert_ok(write_head(p->op, p->catalog, STR("a"), STR("1")));
	assert_int_equal(head_count(p), 1);
}
static void a_directory_that_vanished_is_temporary(void **state)
{
	(void)state;
	run(vanished);
}

static enum err open_config(struct place *p, const char *text)
{
	struct config *cfg;
	struct config_problems problems;
	struct config_load_args args = { .text = str_printf(p->op->arena,
						 "dovecot_config_version = 2.4.0\n"
						 "dovecot_storage_version = 2.4.0\n"
						 "state_dir = %s\n%s",
						 p->dir, text) };
	assert_ok(config_load(p->op, &args, &problems, &cfg));
	const struct config_scope *scope =
		config_block_get(config_scope(cfg, NULL), BLOCK_obox, STR_NONE);
	catalog_close(p->op, p->catalog);
	p->catalog = NULL;
	enum err e = catalog_open(p->op, scope, &p->catalog);
	config_unref(cfg);
	return e;
}

static void configured(struct place *p)
{
	const char *usual = "@fs_defaults = local\n@fs_dictmap_defaults = sqlite\n"
			    "mail_shard_count = 1\n";
	assert_ok(open_config(p, usual));
	assert_ok(write_head(p->op, p->catalog, STR("a"), STR("1")));
	assert_int_equal(access(path(p, "catalog/00.sqlite"), F_OK), 0);
	assert_err(open_config(p, "@fs_defaults = local\n"), ERR_INVALID);
	assert_err(open_config(p, "@fs_defaults = local\n@fs_dictmap_defaults = sqlite\n"),
		ERR_INVALID);
	assert_true(str_find(str_from(p->op->failure.text), STR("created with 1 shards")) >= 0);
}
static void the_configuration_names_the_files(void **state)
{
	(void)state;
	run(configured);
}

/* Which cluster is meant is found on the way dictmap -> dict proxy -> dict_server; no node is needed. */
static void configured_cluster(struct place *p)
{
	const char *usual = "@fs_defaults = local\n@fs_dictmap_defaults = cassandra\n"
			    "cassandra_hosts = 127.0.0.1\ncassandra_port = 1\n"
			    "cassandra_connect_timeout = 50ms\n";
	assert_ok(open_config(p, usual));
	assert_int_equal(catalog_shard_count(p->catalog), 16);
	assert_false(catalog_is_atomic(p->catalog));
	assert_err(write_head(p->op, p->catalog, STR("a"), STR("1")), ERR_UNAVAILABLE);
	assert_err(open_config(p, "@fs_defaults = local\n@fs_dictmap_defaults = cassandra\n"),
		ERR_INVALID); /* no hosts */
	assert_err(open_config(p, "@fs_defaults = local\nfs_dictmap {\ndict proxy {\n"
				  "name = other\n}\n}\n"),
		ERR_INVALID);
	assert_true(str_find(str_from(p->op->failure.text), STR("name = other")) >= 0);
	assert_err(open_config(p, "@fs_defaults = local\nfs_dictmap {\ndict redis {\n}\n}\n"),
		ERR_UNSUPPORTED);
	assert_err(open_config(p, str_printf(p->op->arena, "%sfs_dictmap_dict_prefix = %0300d\n%c",
					  usual, 7, '\0')
					  .p),
		ERR_INVALID);
}
static void the_configuration_names_the_cluster(void **state)
{
	(void)state;
	run(configured_cluster);
}

static void owner(struct place *p)
{
	p->catalog = open_again(p);
	assert_ok(write_head(p->op, p->catalog, STR("a"), STR("1")));
	struct catalog *second = open_again(p);
	assert_err(write_head(p->op, second, STR("b"), STR("2")), ERR_UNAVAILABLE);
	struct str pid = str_printf(p->op->arena, "process %d,", (int)getpid());
	assert_true(str_find(str_from(p->op->failure.text), pid) >= 0);
	struct catalog_head *heads;
	size_t count;
	assert_err(catalog_read_heads(p->op, second, user, &heads, &count), ERR_UNAVAILABLE);
	catalog_close(p->op, p->catalog);
	p->catalog = second; /* may have it now */
	assert_ok(write_head(p->op, p->catalog, STR("b"), STR("2")));
	assert_int_equal(head_count(p), 2);
}
static void a_second_opener_is_told_who_has_the_shard(void **state)
{
	(void)state;
	run(owner);
}

/* ---- checksums ---- */

static enum err ignore_row(struct op *op, const struct catalog_row *row, void *arg)
{
	(void)op;
	(void)row;
	(void)arg;
	return ERR_NONE;
}

static enum err read_all(struct place *p)
{
	struct catalog_head *heads;
	struct catalog_garbage *entries;
	size_t count;
	const struct catalog_guid mailbox = { { 0 } };
	const struct catalog_name after = { { 0 } };
	TRY(catalog_read_heads(p->op, p->catalog, user, &heads, &count));
	TRY(catalog_read_garbage(p->op, p->catalog, 0, NULL, 9, &entries, &count));
	/* A damaged entry is told beside those that are not: the collector goes on. */
	for (size_t i = 0; i < count; i++)
		if (entries[i].is_damaged)
			return op_fail(p->op, ERR_CORRUPT, "the garbage of user %.*s is damaged",
				STRF(entries[i].user));
	return catalog_read_rows(p->op, p->catalog, user, mailbox, 0, 0, after, ignore_row, NULL);
}

static void write_one_of_each(struct place *p)
{
	struct catalog_change changes[] = {
		{ .kind = CATALOG_PUT_HEAD, .key = STR("k"), .value = STR("value") },
		{ .kind = CATALOG_PUT_ROW,
			.row = { .kind = CATALOG_APPEND,
				.name = { { 1 } },
				.value = STR("value") } },
		{ .kind = CATALOG_PUT_GARBAGE,
			.object = STR("o"),
			.queued = { { 1 } },
			.row = { .bucket = 3 } },
	};
	assert_ok(catalog_write(p->op, p->catalog, user, changes, ARRAY_COUNT(changes)));
}

static void checked(struct place *p)
{
	static const char *const damages[] = {
		"UPDATE user_heads SET value = CAST('valve' AS BLOB)",
		"UPDATE user_heads SET key = 'l'",
		"UPDATE user_mailbox_rows SET value = CAST('valve' AS BLOB)",
		"UPDATE user_mailbox_rows SET name = x'02000000000000000000000000000000'",
		"UPDATE gc_queue SET bucket = 4",
		"UPDATE gc_queue SET name = x'02000000000000000000000000000000'",
	};
	p->catalog = open_again(p);
	for (size_t i = 0; i < ARRAY_COUNT(damages); i++) {
		write_one_of_each(p);
		assert_ok(read_all(p));
		execute(p, damages[i]);
		assert_err(read_all(p), ERR_CORRUPT);
		assert_true(
			str_find(str_from(p->op->failure.text), STR("of user u is damaged")) >= 0);
		execute(p, "DELETE FROM user_heads; DELETE FROM user_mailbox_rows;"
			   "DELETE FROM gc_queue");
	}
	/* A file from before there were checksums, and a program that knows none. */
	write_one_of_each(p);
	catalog_close(p->op, p->catalog);
	execute(p, "ALTER TABLE user_heads DROP COLUMN checksum;"
		   "ALTER TABLE user_mailbox_rows DROP COLUMN checksum;"
		   "ALTER TABLE gc_queue DROP COLUMN checksum");
	p->catalog = open_again(p);
	assert_ok(read_all(p));
	execute(p, "UPDATE user_heads SET value = CAST('valve' AS BLOB)");
	assert_ok(read_all(p));
	write_one_of_each(p);
	execute(p, "UPDATE user_heads SET value = CAST('valve' AS BLOB)");
	assert_err(read_all(p), ERR_CORRUPT);
}
static void damaged_rows_are_found(void **state)
{
	(void)state;
	run(checked);
}

/* ---- one bad batch among good ones ---- */

struct writer {
	struct catalog *catalog;
	struct str key;
	enum err result;
};

static enum err write_key(struct op *op, void *arg)
{
	struct writer *w = arg;
	w->result = write_head(op, w->catalog, w->key, STR("v"));
	return ERR_NONE;
}

static void poison(struct place *p)
{
	p->catalog = open_again(p);
	assert_ok(write_head(p->op, p->catalog, STR("first"), STR("v")));
	execute(p, "CREATE TRIGGER poison BEFORE INSERT ON user_heads WHEN NEW.key = 'k5'"
		   " BEGIN SELECT RAISE(ABORT, 'poisoned'); END");
	struct writer writers[12];
	struct task_group *g = task_group_new(p->op);
	for (size_t i = 0; i < ARRAY_COUNT(writers); i++) {
		writers[i] = (struct writer){ .catalog = p->catalog,
			.key = str_printf(p->op->arena, "k%zu", i) };
		task_group_start(g, "writer", write_key, &writers[i]);
	}
	assert_ok(task_group_finish(p->op, g));
	for (size_t i = 0; i < ARRAY_COUNT(writers); i++)
		assert_err(writers[i].result, i == 5 ? ERR_UNAVAILABLE : ERR_NONE);
	assert_int_equal(head_count(p), 12);

	/* Whole batches alone: nothing of one that failed in its middle is there. */
	const struct catalog_change batch[] = {
		{ .kind = CATALOG_PUT_HEAD, .key = STR("before"), .value = STR("v") },
		{ .kind = CATALOG_PUT_HEAD, .key = STR("k5"), .value = STR("v") },
	};
	assert_err(catalog_write(p->op, p->catalog, user, batch, 2), ERR_UNAVAILABLE);
	assert_true(str_find(str_from(p->op->failure.text), STR("poisoned")) >= 0);
	assert_int_equal(head_count(p), 12);
}
static void a_failing_batch_does_not_poison_the_others(void **state)
{
	(void)state;
	run(poison);
}

/* ---- damage ---- */

static void not_a_database(struct place *p)
{
	struct buf noise = { 0 };
	for (int i = 0; i < 20000; i++)
		buf_put_byte(&noise, (char)(i * 7));
	assert_ok(file_replace(p->op, path(p, "00.sqlite"), buf_str(&noise), 0600));
	buf_done(&noise);
	p->catalog = open_again(p);
	assert_err(write_head(p->op, p->catalog, STR("a"), STR("1")), ERR_CORRUPT);
	assert_true(str_find(str_from(p->op->failure.text), STR("00.sqlite")) >= 0);
	/* It stays as it is, for whoever repairs it. */
	struct stat st;
	assert_int_equal(stat(path(p, "00.sqlite"), &st), 0);
	assert_int_equal(st.st_size, 20000);
}
static void a_damaged_file_is_reported_and_kept(void **state)
{
	(void)state;
	run(not_a_database);
}

static void damaged_pages(struct place *p)
{
	p->catalog = open_again(p);
	struct str value = { arena_alloc(p->op->arena, 3000), 3000 };
	for (int i = 0; i < 50; i++)
		assert_ok(
			write_head(p->op, p->catalog, str_printf(p->op->arena, "key%d", i), value));
	catalog_close(p->op, p->catalog);
	AUTO_FD(fd, open(path(p, "00.sqlite"), O_WRONLY | O_CLOEXEC));
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 8192 * 6; at < st.st_size; at += 8192)
		assert_int_equal(pwrite(fd, "garbage garbage garbage", 23, at), 23);
	p->catalog = open_again(p);
	struct catalog_head *heads;
	size_t count;
	assert_err(catalog_read_heads(p->op, p->catalog, user, &heads, &count), ERR_CORRUPT);
}
static void damaged_pages_are_found(void **state)
{
	(void)state;
	run(damaged_pages);
}

static void newer(struct place *p)
{
	p->catalog = open_again(p);
	assert_ok(write_head(p->op, p->catalog, STR("a"), STR("1")));
	catalog_close(p->op, p->catalog);
	execute(p, "UPDATE catalog_meta SET value = 99 WHERE key = 'schema'");
	p->catalog = open_again(p);
	assert_err(write_head(p->op, p->catalog, STR("a"), STR("1")), ERR_UNSUPPORTED);
	catalog_close(p->op, p->catalog);
	execute(p, "UPDATE catalog_meta SET value = 1 WHERE key = 'schema';"
		   "UPDATE catalog_meta SET value = 3 WHERE key = 'shard'");
	p->catalog = open_again(p);
	assert_err(write_head(p->op, p->catalog, STR("a"), STR("1")), ERR_UNAVAILABLE);
}
static void files_of_other_versions_and_shards_are_refused(void **state)
{
	(void)state;
	run(newer);
}

static void no_room(struct place *p)
{
	p->catalog = open_again(p);
	struct str value = { arena_alloc(p->op->arena, 100000), 100000 };
	assert_ok(write_head(p->op, p->catalog, STR("before"), STR("1")));
	struct rlimit before, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 100000, before.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	enum err e = write_head(p->op, p->catalog, STR("big"), value);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_err(e, ERR_UNAVAILABLE);
	assert_int_equal(head_count(p), 1);
	assert_ok(write_head(p->op, p->catalog, STR("big"), value));
	assert_int_equal(head_count(p), 2);
}
static void a_write_that_finds_no_room_fails_alone(void **state)
{
	(void)state;
	run(no_room);
}

/* ---- the WAL ---- */

static void long_wal(struct place *p)
{
	p->catalog = open_again(p);
	struct str value = { arena_alloc(p->op->arena, 500000), 500000 };
	for (int i = 0; i < 60; i++)
		assert_ok(write_head(p->op, p->catalog, STR("same"), value));
	assert_int_equal(head_count(p), 1);
	struct stat st;
	assert_int_equal(stat(path(p, "00.sqlite-wal"), &st), 0);
	assert_true(st.st_size < 60 * 500000); /* it was begun anew meanwhile */
}
static void the_wal_is_moved_into_the_database_on_the_way(void **state)
{
	(void)state;
	run(long_wal);
}

/* ---- fault ---- */

static void nth(struct place *p)
{
	p->text = STR("fault:mem(2)");
	p->catalog = open_again(p);
	catalog_fault_set(p->catalog, &(struct catalog_fault_plan){ .fail_at = 2 });
	assert_ok(write_head(p->op, p->catalog, STR("1"), STR("1")));
	assert_err(write_head(p->op, p->catalog, STR("2"), STR("2")), ERR_UNAVAILABLE);
	assert_int_equal(head_count(p), 1);
	catalog_fault_set(
		p->catalog, &(struct catalog_fault_plan){ .fail_at = 1, .fail_after_doing = true });
	assert_err(write_head(p->op, p->catalog, STR("2"), STR("2")), ERR_UNAVAILABLE);
	assert_int_equal(head_count(p), 2);
	catalog_fault_set(
		p->catalog, &(struct catalog_fault_plan){ .fail_at = 2, .fail_from_there = true });
	assert_int_equal(head_count(p), 2);
	struct catalog_head *heads;
	size_t count;
	for (int i = 0; i < 3; i++)
		assert_err(catalog_read_heads(p->op, p->catalog, user, &heads, &count),
			ERR_UNAVAILABLE);
	catalog_fault_set(p->catalog, &(struct catalog_fault_plan){ .delay_us = 20 * US_PER_MS });
	p->op->deadline_us = now_us() + US_PER_MS;
	assert_err(write_head(p->op, p->catalog, STR("3"), STR("3")), ERR_TIMEOUT);
}
static void the_nth_request_fails_before_or_after(void **state)
{
	(void)state;
	run(nth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_sound_texts_open),
		cmocka_unit_test(a_directory_that_vanished_is_temporary),
		cmocka_unit_test(the_configuration_names_the_files),
		cmocka_unit_test(the_configuration_names_the_cluster),
		cmocka_unit_test(a_second_opener_is_told_who_has_the_shard),
		cmocka_unit_test(damaged_rows_are_found),
		cmocka_unit_test(a_failing_batch_does_not_poison_the_others),
		cmocka_unit_test(a_damaged_file_is_reported_and_kept),
		cmocka_unit_test(damaged_pages_are_found),
		cmocka_unit_test(files_of_other_versions_and_shards_are_refused),
		cmocka_unit_test(a_write_that_finds_no_room_fails_alone),
		cmocka_unit_test(the_wal_is_moved_into_the_database_on_the_way),
		cmocka_unit_test(the_nth_request_fails_before_or_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
