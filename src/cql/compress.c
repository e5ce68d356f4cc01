/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of frames under LZ4: the length of the plain body in 4 bytes, then one block.
 * Spec: CQL binary protocol v4, §5. */
#include <lz4.h>

#include "base/number.h"
#include "cql/codec_private.h"

/* A block of LZ4 grows by at most this factor when it is expanded. */
#define EXPANSION_MAX 255

bool cql_lz4_compress(struct buf *out, struct str body)
{
	ASSERT(body.n <= LZ4_MAX_INPUT_SIZE);
	if (body.n < 16)
		return false;
	/* Where it gains less than its length field nothing is gained. */
	size_t max = body.n - sizeof(uint32_t), before = out->n;
	cql_put_int(out, (int32_t)body.n);
	char *to = buf_reserve(out, max);
	int n = LZ4_compress_default(body.p, to, (int)body.n, (int)max);
	if (n <= 0) {
		buf_truncate(out, before);
		return false;
	}
	buf_grew(out, (size_t)n);
	return true;
}

bool cql_lz4_expand(struct buf *out, struct str body, size_t max)
{
	int32_t n;
	if (!cql_cut_int(&body, &n) || n < 0 || (size_t)n > max || body.n > INT32_MAX)
		return false;
	if ((size_t)n / EXPANSION_MAX > body.n)
		return false;
	if (n == 0)
		return true;
	char *to = buf_reserve(out, (size_t)n);
	if (LZ4_decompress_safe(body.p, to, (int)body.n, n) != n)
		return false;
	buf_grew(out, (size_t)n);
	return true;
}
