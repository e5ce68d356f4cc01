/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_config.c - the configuration language.
 *
 * A configuration that loads must survive a snapshot unchanged, every place in it must resolve, and what is
 * printed of it must load again. Inputs with "<" or "!include" are left out: they would read files; host
 * names are not looked up. */
#include "base/base.h"
#include "config/config.h"
#include "config/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX 16384

static void walk(const struct config_scope *scope, unsigned depth)
{
	for (unsigned block = 0; block < BLOCK_COUNT && depth < 2; block++) {
		size_t count = config_block_count(scope, (enum config_block)block);
		for (size_t i = 0; i < count && i < 2; i++)
			walk(config_block_at(scope, (enum config_block)block, i), depth + 1);
	}
}

static void survive_snapshot(struct op *op, const struct config *cfg)
{
	struct config *copy;
	AUTO_BUF(first, 0);
	AUTO_BUF(second, 0);
	config_write_snapshot(cfg, CONFIG_READER_ALL, &first);
	enum err e = config_read_snapshot(op, buf_str(&first), &copy);
	ASSERT(e == ERR_NONE);
	config_write_snapshot(copy, CONFIG_READER_ALL, &second);
	ASSERT(str_eq(buf_str(&first), buf_str(&second)));
	walk(config_scope(copy, &(struct config_place){ .protocol = STR("imap") }), 0);
	config_unref(copy);
}

static void print(struct op *op, struct config *cfg)
{
	struct config_problems problems;
	struct config *again;
	struct config_show_args show = { .with_secrets = true };
	AUTO_BUF(out, 0);
	const struct config_scope *scope = config_scope(cfg, NULL);
	config_show(cfg, &show, &out);
	struct config_load_args args = {
		.text = buf_str(&out), .is_offline = true, .skips_checks = true
	};
	if (str_find_byte(buf_str(&out), '<') < 0 &&
		config_load(op, &args, &problems, &again) == ERR_NONE)
		config_unref(again);
	config_show_place(scope, &show, &out);
	enum err e = config_explain(op, scope, STR("ssl"), &show, &out);
	ASSERT(e == ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct config_problems problems;
	struct config *cfg;
	AUTO_ARENA(arena, 0);
	struct op op;
	if (size > INPUT_BYTES_MAX || str_find_byte(text, '<') >= 0 ||
		str_find(text, STR("!include")) >= 0)
		return 0;
	op_init(&op, &arena, NULL, TIME_NEVER);
	/* Files of type FILE are paths alone: reads_files is off. */
	struct config_load_args args = { .text = text, .is_offline = true };
	enum err e = config_load(&op, &args, &problems, &cfg);
	AUTO_BUF(told, 0);
	config_problems_print(&problems, &told);
	config_notes_print(&problems, &told);
	if (e != ERR_NONE)
		return 0;
	survive_snapshot(&op, cfg);
	print(&op, cfg);
	config_unref(cfg);
	return 0;
}
