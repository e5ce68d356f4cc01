/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress_zstd.c - bodies as zstd frames (RFC 8878): one frame with content size and checksum. */
#include <zstd.h>

#include "base/assert.h"
#include "objects/compress_private.h"

enum err compress_frame_size(struct op *op, struct str stored, size_t *out)
{
	unsigned long long size = ZSTD_getFrameContentSize(stored.p, stored.n);
	if (size == ZSTD_CONTENTSIZE_ERROR)
		return op_fail(op, ERR_CORRUPT, "compressed object has a broken frame header");
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		return op_fail(op, ERR_CORRUPT, "compressed object does not say its size");
	if (size > COMPRESS_CONTENT_MAX)
		return op_fail(op, ERR_LIMIT,
			"compressed object of %llu bytes, at most %zu are read", size,
			COMPRESS_CONTENT_MAX);
	*out = (size_t)size;
	return ERR_NONE;
}

enum err compress_frame_read(struct op *op, void *dctx, struct str stored, char *bytes, size_t size)
{
	size_t frame = ZSTD_findFrameCompressedSize(stored.p, stored.n);
	if (ZSTD_isError(frame) || frame != stored.n)
		return op_fail(op, ERR_CORRUPT, "compressed object is cut short or has a tail");
	size_t got = ZSTD_decompressDCtx(dctx, bytes, size, stored.p, stored.n);
	if (ZSTD_isError(got))
		return op_fail(op, ERR_CORRUPT, "compressed object: %s", ZSTD_getErrorName(got));
	if (got != size)
		return op_fail(op, ERR_CORRUPT, "compressed object holds %zu bytes instead of %zu",
			got, size);
	return ERR_NONE;
}

size_t compress_frame_room(size_t size)
{
	return ZSTD_compressBound(size);
}

size_t compress_frame_write(
	void *cctx, int level, const struct str *parts, size_t count, size_t size, char *out)
{
	ZSTD_outBuffer to = { out, ZSTD_compressBound(size), 0 };
	size_t r = ZSTD_CCtx_reset(cctx, ZSTD_reset_session_and_parameters);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
	ASSERT(!ZSTD_isError(r));
	r = ZSTD_CCtx_setPledgedSrcSize(cctx, size);
	ASSERT(!ZSTD_isError(r));
	for (size_t i = 0; i + 1 < count; i++) {
		ZSTD_inBuffer from = { parts[i].p, parts[i].n, 0 };
		while (from.pos < from.size) {
			r = ZSTD_compressStream2(cctx, &to, &from, ZSTD_e_continue);
			ASSERT(!ZSTD_isError(r));
		}
	}
	ZSTD_inBuffer last = { count ? parts[count - 1].p : NULL, count ? parts[count - 1].n : 0,
		0 };
	r = ZSTD_compressStream2(cctx, &to, &last, ZSTD_e_end);
	ASSERT(r == 0); /* there is room, so it is done in one call */
	return to.pos;
}
