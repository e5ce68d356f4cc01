/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress_private.h - stored forms of compressed bodies as pure functions, for compress.c and the
 * fuzz target: docs/formats/objects.md, "compress". */
#pragma once

#include "base/buf.h"
#include "base/op.h"
#include "base/str.h"

/* Larger bodies are neither written nor read. */
#define COMPRESS_CONTENT_MAX ((size_t)256 * 1024 * 1024)
#define COMPRESS_FIRST_BYTES 18 /* enough for compress_detect() and compress_frame_size() */

enum compress_method { COMPRESS_NONE, COMPRESS_ZSTD, COMPRESS_LZ4, COMPRESS_GZ, COMPRESS_BZ2 };

/* How a stored body is compressed, by its first COMPRESS_FIRST_BYTES. */
enum compress_method compress_detect(struct str stored);

/* ---- all methods ---- */

/* Appends the content of a stored body. Blocks. ERR_CORRUPT: it is cut short, followed by anything or
 * fails its checksum; ERR_LIMIT: more than `max` bytes come out. */
enum err compress_read(
	struct op *op, enum compress_method m, struct str stored, size_t max, struct buf *out);
/* Appends the stored form. Blocks. `level`: compression level, or bzip2's block size. */
void compress_write(
	enum compress_method m, int level, const struct str *parts, size_t count, struct buf *out);

/* ---- zstd, which says its size ---- */

/* The content size that the frame's header states. ERR_CORRUPT: no good header; ERR_LIMIT: above
 * COMPRESS_CONTENT_MAX. */
enum err compress_frame_size(struct op *op, struct str stored, size_t *out);
/* Fills `bytes` with the content, which must have exactly `size` bytes. ERR_CORRUPT otherwise, also
 * when the frame is cut short, followed by anything, or fails its checksum. `dctx`: a ZSTD_DCtx. */
enum err compress_frame_read(
	struct op *op, void *dctx, struct str stored, char *bytes, size_t size);
/* One frame of all parts; returns its size. `out` has room for compress_frame_room(size) bytes. `cctx`: a
 * ZSTD_CCtx. */
size_t compress_frame_write(
	void *cctx, int level, const struct str *parts, size_t count, size_t size, char *out);
size_t compress_frame_room(size_t size);
