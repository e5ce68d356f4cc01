/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of S3 servers: each reader takes any bytes; what it makes of them is within its limits. */
#include "objects/s3_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_MAX ((size_t)64 << 20)

static void read_page(struct op *op, struct str in)
{
	struct s3_page page;
	if (s3_page_read(op, in, &page) != ERR_NONE)
		return;
	ASSERT(!page.is_truncated || page.next.n > 0);
	for (size_t i = 0; i < page.count; i++)
		ASSERT(page.items[i].key.n > 0 && page.items[i].key.n <= in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ARENA(arena, MEMORY_MAX);
	struct op op;
	struct s3_error error;
	struct s3_refused *refused;
	struct str id, in = { (const char *)data, size };
	size_t count;
	op_init(&op, &arena, NULL, TIME_NEVER);
	read_page(&op, in);
	if (s3_error_read(&op, in, &error))
		ASSERT(error.code.n > 0);
	if (s3_refused_read(&op, in, &refused, &count) == ERR_NONE)
		ASSERT(count <= size);
	if (s3_upload_id_read(&op, in, &id) == ERR_NONE)
		ASSERT(id.n > 0 && id.n <= size);
	enum err e = s3_outcome_read(&op, in, STR("CopyObjectResult"), &error);
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT || (e == ERR_UNAVAILABLE && error.code.n > 0));
	return 0;
}
