/* SPDX-License-Identifier: Apache-2.0 */
/* objects/compress_private.h - reading stored frames as a pure function, for compress.c and the fuzz
 * target. */
#pragma once

#include "base/op.h"
#include "base/str.h"

/* Larger bodies are neither written nor read. */
#define COMPRESS_CONTENT_MAX ((size_t)256 * 1024 * 1024)

/* Does it begin as a zstd frame does? */
bool compress_is_frame(struct str stored);
/* The content size that the frame's header states; the first 18 bytes are enough. ERR_CORRUPT: no
 * good header; ERR_LIMIT: above COMPRESS_CONTENT_MAX. */
enum err compress_frame_size(struct op *op, struct str stored, size_t *out);
/* Fills `bytes` with the content, which must have exactly `size` bytes. ERR_CORRUPT otherwise, also
 * when the frame is cut short, followed by anything, or fails its checksum. */
enum err compress_frame_read(struct op *op, struct str stored, char *bytes, size_t size);
