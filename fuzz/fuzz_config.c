/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_config.c - the configuration language, %{variables} and snapshots.
 *
 * The first byte chooses what the rest is. A configuration that loads must survive a snapshot unchanged,
 * and every place in it must resolve. Inputs with "<" or "!include" are left out: they would read files. */
#include "base/base.h"
#include "config/config.h"
#include "config/expand.h"
#include "config/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX 16384

static void walk(const struct config_scope *scope, unsigned depth)
{
	for (unsigned block = 0; block < BLOCK_COUNT && depth < 4; block++) {
		size_t count = config_block_count(scope, (enum config_block)block);
		for (size_t i = 0; i < count && i < 4; i++)
			walk(config_block_at(scope, (enum config_block)block, i), depth + 1);
	}
}

static void load(struct op *op, struct str text)
{
	struct config_problems problems;
	struct config *cfg, *copy;
	struct config_load_args args = { .text = text };
	if (str_find_byte(text, '<') >= 0 || str_find(text, STR("!include")) >= 0)
		return;
	if (config_load(op, &args, &problems, &cfg) != ERR_NONE)
		return;
	AUTO_BUF(first, 0);
	AUTO_BUF(second, 0);
	config_write_snapshot(cfg, &first);
	enum err e = config_read_snapshot(op, buf_str(&first), &copy);
	ASSERT(e == ERR_NONE);
	config_write_snapshot(copy, &second);
	ASSERT(str_eq(buf_str(&first), buf_str(&second)));
	walk(config_scope(copy, &(struct config_place){ .protocol = STR("imap") }), 0);
	struct config_show_args show = { .with_defaults = true };
	config_show(cfg, &show, &second);
	config_unref(cfg);
	config_unref(copy);
}

static void expand(struct op *op, struct str text)
{
	static const struct config_var user = { STR("user"), STR("joe@example.com") };
	struct config_vars vars = { .items = &user, .count = 1 };
	struct str out;
	enum err e = config_expand(op, text, &vars, &out);
	if (e == ERR_NONE)
		ASSERT(out.n <= MAX(text.n, (size_t)64 * 1024));
}

static void read_snapshot(struct op *op, struct str bytes)
{
	struct config *cfg;
	if (config_read_snapshot(op, bytes, &cfg) == ERR_NONE) {
		walk(config_scope(cfg, NULL), 0);
		config_unref(cfg);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > INPUT_BYTES_MAX)
		return 0;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	struct str rest = { (const char *)data + 1, size - 1 };
	if (data[0] % 3 == 0)
		load(&op, rest);
	else if (data[0] % 3 == 1)
		expand(&op, rest);
	else
		read_snapshot(&op, rest);
	return 0;
}
