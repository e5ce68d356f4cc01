/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of LIST against names: the first byte says how long the reference and the pattern are. */
#include "service/imap/list_match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = { (const char *)data, size };
	if (size < 2)
		return 0;
	uint8_t lengths = (uint8_t)str_take(&rest, 1).p[0];
	struct str reference = str_take(&rest, lengths >> 6);
	struct str text = str_take(&rest, lengths & 63);
	struct arena arena;
	arena_init(&arena, 0);
	struct list_pattern p = list_pattern_make(&arena, reference, text, '/');
	struct list_pattern any = list_pattern_make(&arena, STR(""), STR("*"), '/');
	bool is_match = list_pattern_matches(&p, rest);
	/* What matches once matches again, and everything that matches also matches "*". */
	ASSERT(list_pattern_matches(&p, rest) == is_match);
	ASSERT(!is_match || list_pattern_matches(&any, rest));
	/* A wildcard at the end only adds names. */
	struct list_pattern wider =
		list_pattern_make(&arena, reference, str_printf(&arena, "%.*s*", STRF(text)), '/');
	ASSERT(!is_match || list_pattern_matches(&wider, rest));
	arena_done(&arena);
	return 0;
}
