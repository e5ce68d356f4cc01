/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the administrators' protocol: any bytes are taken or refused, and what was put comes back. */
#include "wire/doveadm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round(struct arena *arena, struct str text)
{
	AUTO_BUF(out, 0);
	struct str back;
	doveadm_put_field(&out, text);
	struct str rest = buf_str(&out);
	ASSERT(out.n == 0 || (doveadm_cut_field(arena, &rest, &back) && str_eq(back, text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size }, line, words;
	struct arena arena;
	struct op op;
	struct doveadm_line parsed;
	enum err e;
	uint64_t n;
	arena_init(&arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	check_round(&arena, text);
	while (text.n > 0) {
		if (!str_cut_line(&text, &line)) {
			line = text;
			text = STR_NONE;
		}
		if (doveadm_parse_line(&op, line, &parsed) == ERR_NONE)
			ASSERT(parsed.arg_count <= DOVEADM_ARGS_MAX);
		op_forgive(&op);
		(void)doveadm_parse_status(&arena, line, &e, &words); /* only to be total */
		(void)doveadm_parse_stream(line, &n);
	}
	arena_done(&arena);
	return 0;
}
