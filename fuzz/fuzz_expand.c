/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_expand.c - %{variables}: whatever expands stays within the limit, and what expands has passed the
 * check that files get. */
#include "base/base.h"
#include "config/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX  4096
#define OUTPUT_BYTES_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_var variables[] = {
		{ STR("user"), STR("joe@example.com") },
		{ STR("port"), STR("143") },
		{ STR("list"), STR("a\tb\0011") },
		{ STR("bytes"), { "\0\377\200%{", 5 } },
		{ STR("missing"), { NULL, 0 } },
	};
	struct config_vars vars = { .items = variables, .count = ARRAY_COUNT(variables) };
	struct str text = { (const char *)data, size }, out;
	AUTO_ARENA(arena, 0);
	struct op op;
	/* Thousands of rounds are slow on purpose. */
	if (size > INPUT_BYTES_MAX || str_find(text, STR("rounds")) >= 0)
		return 0;
	op_init(&op, &arena, NULL, TIME_NEVER);
	bool is_valid = config_expand_check(&op, text) == ERR_NONE;
	if (config_expand(&op, text, &vars, &out) == ERR_NONE) {
		ASSERT(is_valid);
		ASSERT(out.n <= MAX(text.n, (size_t)OUTPUT_BYTES_MAX));
	}
	return 0;
}
