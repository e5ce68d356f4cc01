/* SPDX-License-Identifier: Apache-2.0 */
/* Stored frames of the compress driver: any bytes give a body of the stated size, or an error. */
#include "objects/compress_private.h"

#include "base/base.h"

#define SIZE_TRIED_MAX ((size_t)16 << 20) /* larger claims are legal, but slow to try */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;
	struct str stored = { (const char *)data, size };
	size_t body_size;
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (!compress_is_frame(stored))
		return 0;
	if (compress_frame_size(&op, stored, &body_size) != ERR_NONE)
		return 0;
	ASSERT(body_size <= COMPRESS_CONTENT_MAX);
	if (body_size > SIZE_TRIED_MAX)
		return 0;
	char *body = mem_resize(NULL, MAX(body_size, 1));
	enum err e = compress_frame_read(&op, stored, body, body_size);
	ASSERT(e == ERR_NONE || e == ERR_CORRUPT);
	mem_free(body);
	return 0;
}
