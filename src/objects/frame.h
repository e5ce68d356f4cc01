/* SPDX-License-Identifier: Apache-2.0 */
/* objects/frame.h - compressed bytes inside of other formats: one zstd frame with its size and a checksum. Pure
 * functions, which never wait. */
#pragma once

#include "base/base.h"

/* Appends the frame. */
void frame_pack(struct str content, struct buf *out);
/* Appends the content, which has exactly `size` bytes: who asks has limited that. ERR_CORRUPT otherwise, also
 * when the frame is cut short, followed by anything, or fails its checksum; `out` is as before then. */
enum err frame_unpack(struct op *op, struct str frame, size_t size, struct buf *out);
