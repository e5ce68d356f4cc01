/* SPDX-License-Identifier: Apache-2.0 */
/* Stored bodies of the compress driver: any bytes give a body within the limit, or an error; what each
 * method makes of the input comes back. */
#include "objects/compress_private.h"

#include "base/base.h"

#define CONTENT_TRIED_MAX ((size_t)1 << 20) /* more is legal, but slow to try */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(struct op *op, enum compress_method m, struct str body)
{
	struct buf stored, again;
	const struct str parts[] = { str_slice(body, 0, body.n / 3),
		str_slice(body, body.n / 3, body.n) };
	buf_init(&stored, 0);
	buf_init(&again, 0);
	compress_write(m, 1, parts, 2, &stored);
	ASSERT(compress_detect(buf_str(&stored)) == m);
	enum err e = compress_read(op, m, buf_str(&stored), body.n, &again);
	ASSERT(e == ERR_NONE && str_eq(buf_str(&again), body));
	buf_done(&stored);
	buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;
	struct str stored = { (const char *)data, size };
	enum compress_method m = compress_detect(stored);
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (m != COMPRESS_NONE) {
		struct buf body;
		buf_init(&body, 0);
		enum err e = compress_read(&op, m, stored, CONTENT_TRIED_MAX, &body);
		ASSERT(e == ERR_NONE || e == ERR_CORRUPT || e == ERR_LIMIT);
		ASSERT(e != ERR_NONE || body.n <= CONTENT_TRIED_MAX);
		buf_done(&body);
	}
	there_and_back(&op, COMPRESS_ZSTD + (size & 3), stored);
	return 0;
}
