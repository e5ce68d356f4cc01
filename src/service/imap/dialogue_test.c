/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the dialogues (dialogue.h) against real sessions over socket pairs, in one process: with
 * everything in memory and virtual time; the same with every byte sent by itself and tasks in a
 * seeded order; with posix objects, SQLite and real time. Each dialogue has a user of its own. */
#include "service/imap/dialogue_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "catalog/catalog.h"
#include "objects/objects.h"

#define DIALOGUES 512

struct dialogue_kit dialogue_kit;

/* ---- the server ---- */

enum err dialogue_open_server(struct op *op)
{
	struct store_settings settings = { .writer_slot = 1,
		.separator = '/',
		.flags_journal = STORE_FLAGS_SYNC,
		.idle_user_us = 60 * US_PER_SEC,
		.cached_users_max = 100,
		.keyword_bytes_max = 50,
		.mailboxes_max = 1000,
		.message_bytes_max = 1 << 20 };
	struct objects *objects;
	struct catalog *catalog;
	settings.local_dir = str_printf(op->arena, "%s/local", dialogue_kit.dir);
	struct str stack = str_printf(op->arena, "posix(%s/objects)", dialogue_kit.dir);
	struct str tables = str_printf(op->arena, "sqlite(%s/catalog,2)", dialogue_kit.dir);
	TRY(objects_open_text(op, dialogue_kit.is_virtual ? STR("mem") : stack, &objects));
	enum err e = catalog_open_text(op, dialogue_kit.is_virtual ? STR("mem") : tables, &catalog);
	if (e != ERR_NONE) {
		objects_close(objects);
		return e;
	}
	TRY(store_open(op, &settings, objects, catalog, &dialogue_kit.store));
	return imap_open(op, dialogue_kit.config, &dialogue_kit.imap);
}

enum err dialogue_close_server(struct op *op)
{
	imap_close(op, dialogue_kit.imap);
	return store_close(op, dialogue_kit.store);
}

enum err dialogue_load_config(struct op *op, struct str settings, struct config **out)
{
	struct config_problems problems;
	struct config_load_args args = { .skips_unknown = true };
	AUTO_BUF(text, 0);
	buf_put(&text, STR("dovecot_config_version = 3.1.0\n"));
	buf_put(&text, STR("dovecot_storage_version = 3.1.0\n"));
	dialogue_put_lines(&text, settings);
	buf_put(&text, STR("\n"));
	args.text = buf_str(&text);
	return config_load(op, &args, &problems, out);
}

/* ---- the settings ---- */

static void open_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + DIALOGUE_PATIENCE_US);
	dialogue_kit.setup_error = dialogue_open_server(&op);
	if (dialogue_kit.setup_error != ERR_NONE)
		print_error("cannot open: %s\n", op.failure.text);
	loop_stop();
}

static void close_task(void *arg)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)arg;
	op_init(&op, &arena, NULL, now_us() + DIALOGUE_PATIENCE_US);
	dialogue_kit.setup_error = dialogue_close_server(&op);
	if (dialogue_kit.setup_error != ERR_NONE)
		print_error("cannot close: %s\n", op.failure.text);
	loop_stop();
}

static int set_up(void **state)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)state;
	op_init(&op, &arena, NULL, TIME_NEVER);
	const struct loop_settings loop = { .is_virtual = dialogue_kit.is_virtual,
		.seed = dialogue_kit.setting == BYTE_BY_BYTE ? 7 : 0 };
	(void)snprintf(dialogue_kit.dir, sizeof(dialogue_kit.dir), "/tmp/imap-dialogues-XXXXXX");
	if (!mkdtemp(dialogue_kit.dir) || loop_open(&op, &loop) != ERR_NONE)
		return -1;
	if (dialogue_load_config(&op, STR(""), &dialogue_kit.config) != ERR_NONE) {
		print_error("configuration: %s\n", op.failure.text);
		return -1;
	}
	(void)task_start("open", open_task, NULL);
	loop_run();
	return dialogue_kit.setup_error == ERR_NONE ? 0 : -1;
}

static int tear_down(void **state)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	(void)state;
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)task_start("close", close_task, NULL);
	loop_run();
	loop_close();
	config_unref(dialogue_kit.config);
	return dialogue_kit.setup_error == ERR_NONE &&
			       file_remove_tree(&op, dialogue_kit.dir) == ERR_NONE
		       ? 0
		       : -1;
}

static size_t add_dialogues(struct CMUnitTest *tests, size_t count, const struct dialogue *d)
{
	for (; d->name; d++) {
		bool is_possible = d->needs == NEEDS_NOTHING ||
				   (d->needs == NEEDS_VIRTUAL_TIME) == dialogue_kit.is_virtual;
		ASSERT(count < DIALOGUES);
		if (is_possible)
			tests[count++] = (struct CMUnitTest){ .name = d->name,
				.test_func = dialogue_run,
				.initial_state = (void *)(uintptr_t)d };
	}
	return count;
}

static const struct dialogue *const tables[] = { dialogues_any, dialogues_tree, dialogues_list,
	dialogues_select, dialogues_append, dialogues_fetch, dialogues_search, dialogues_store,
	dialogues_copy, dialogues_receiving, dialogues_changing, dialogues_finding,
	dialogues_together, dialogues_condstore, dialogues_resync, dialogues_options,
	dialogues_settings, dialogues_slow, dialogues_moving };

static size_t count_dialogues(void)
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
		for (const struct dialogue *d = tables[i]; d->name; d++)
			count++;
	}
	return count;
}

static int run_all(enum dialogue_setting setting, const char *name)
{
	static struct CMUnitTest tests[DIALOGUES];
	size_t count = 0;
	dialogue_kit.setting = setting;
	dialogue_kit.is_virtual = setting != ON_DISK;
	for (size_t i = 0; i < ARRAY_COUNT(tables); i++)
		count = add_dialogues(tests, count, tables[i]);
	return _cmocka_run_group_tests(name, tests, count, set_up, tear_down);
}

/* Arguments: a pattern of cmocka for the names of the dialogues to run. */
int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	print_message("%zu named dialogues\n", count_dialogues());
	int failed = run_all(IN_MEMORY, "dialogues in memory");
	failed += run_all(BYTE_BY_BYTE, "dialogues byte by byte, in a seeded order");
	return failed + run_all(ON_DISK, "dialogues on posix and SQLite");
}
