/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that metadata and token services hand out, as JSON and as XML: what is taken can stand in a header. */
#include "objects/aws_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		ASSERT(s.p[i] > ' ' && s.p[i] <= '~');
}

static void check(enum err e, const struct aws_fetched *got)
{
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT || e == ERR_UNAVAILABLE);
	if (e != ERR_NONE)
		return;
	ASSERT(got->keys.access_key.n > 0 && got->keys.secret.n > 0);
	check_text(got->keys.access_key);
	check_text(got->keys.secret);
	check_text(got->keys.token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA(arena, 16u << 20);
	struct op op;
	struct aws_fetched got;
	struct str in = { (const char *)data, size };
	op_init(&op, &arena, NULL, TIME_NEVER);
	check(aws_json_read(&op, in, &got), &got);
	check(aws_xml_read(&op, in, &got), &got);
	return 0;
}
