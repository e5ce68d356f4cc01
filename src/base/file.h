/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h - small files and descriptors. Blocking: for start-up, tools and offload jobs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/op.h"

/* Adds the whole file to `out`, at most `max_bytes` (ERR_LIMIT above). */
enum err file_read(struct op *op, const char *path, size_t max_bytes, struct buf *out);
/* Temporary file beside it, fsync, rename over, fsync of the directory. */
enum err file_replace(struct op *op, const char *path, struct str content, unsigned mode);
/* All or an error; EINTR and short writes are handled. */
enum err file_write_all(struct op *op, int fd, struct str content);
enum err file_pread_all(struct op *op, int fd, void *out, size_t n, uint64_t offset);
/* Like mkdir -p; existing directories are fine. */
enum err file_make_dirs(struct op *op, const char *path, unsigned mode);
enum err file_sync_dir(struct op *op, const char *path);
/* rm -r that never follows symbolic links; a missing path is fine. */
enum err file_remove_tree(struct op *op, const char *path);

/* Closes *fd if >= 0 and sets it to -1; for AUTO_FD. */
void file_close_fd(int *fd);
#define AUTO_FD(name, value) __attribute__((cleanup(file_close_fd))) int name = (value)
