/* SPDX-License-Identifier: Apache-2.0 */
/* Frames inside of other formats, as those of compressed bodies. */
#include "objects/frame.h"

#include "objects/compress_private.h"

#define FRAME_LEVEL 3

void frame_pack(struct str content, struct buf *out)
{
	compress_write(COMPRESS_ZSTD, FRAME_LEVEL, &content, 1, out);
}

enum err frame_unpack(struct op *op, struct str frame, size_t size, struct buf *out)
{
	size_t said;
	if (compress_detect(frame) != COMPRESS_ZSTD)
		return op_fail(op, ERR_CORRUPT, "not a compressed frame");
	enum err e = compress_frame_size(op, frame, &said);
	if (e != ERR_NONE || said != size)
		return op_fail(op, ERR_CORRUPT, "a frame that does not have %zu bytes", size);
	return compress_read(op, COMPRESS_ZSTD, frame, size, out);
}
