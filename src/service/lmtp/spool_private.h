/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/spool_private.h - a mail on its way in: bytes go in at the end; what comes out is bytes that
 * fit into a message to a worker, or a descriptor that can be given to it.
 *
 * Life:   spool_init() -> { spool_reserve() -> spool_grew() }... -> spool_finish() -> spool_done().
 * Where:  128 KiB are gathered in memory before they are written. A small mail stays there. Another goes to
 *         a memory file; when
 *         it grows above 1 MiB it moves to a nameless file in the spool directory, if there is one.
 * Sealed: a finished memory file can neither change nor shrink, so a worker may map it.
 * Limits: memory of one spool 256 KiB; memory files of all spools together SPOOL_TOTAL_BYTES_MAX.
 * Cost:   a small mail: nothing. One below 128 KiB: memfd_create, write, fcntl (seals), close. A larger one: a write more
 *         for each 128 KiB; above 1 MiB open, sendfile and close once. */
#pragma once

#include "base/base.h"

#define SPOOL_GATHER_BYTES    ((size_t)128 * 1024)
#define SPOOL_MEMORY_FILE_MAX (UINT64_C(1) << 20)
#define SPOOL_TOTAL_BYTES_MAX (UINT64_C(1) << 30)

struct spool {
	/* owned */
	struct buf gathered; /* what is not in the file yet */
	int fd;              /* -1: no file yet */
	/* borrowed */
	int dir;           /* -1: memory alone */
	uint64_t *account; /* bytes that all spools of the process have in memory */
	uint64_t accounted_bytes;
	uint64_t size_bytes;
	bool is_on_disk;
};

void spool_init(struct spool *s, int dir, uint64_t *account);
void spool_done(struct spool *s);
/* Room for `n` bytes; spool_grew() tells how many were written there. */
char *spool_reserve(struct spool *s, size_t n);
/* ERR_LIMIT, ERR_UNAVAILABLE: no room; the spool is of no use any more. */
enum err spool_grew(struct op *op, struct spool *s, size_t n);
/* The mail is complete. Up to `small_max` bytes are left in *out_bytes, and *out_fd is -1; otherwise
 * everything is in the file, which is sealed if it can be. Both borrowed until spool_done(). */
enum err spool_finish(
	struct op *op, struct spool *s, size_t small_max, struct str *out_bytes, int *out_fd);
