/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/shared.h - the page that the master shares with all roles: who serves which shard, and what
 * each worker is doing.
 *
 * The master creates it and is the only one who writes the shard table; a role writes only its own
 * crash slot. Readers of the table retry while `generation` is odd or changes. */
#pragma once

#include "base/base.h"
#include "task/task.h"

#define SHARED_SHARDS_MAX 1024
#define SHARED_SLOTS_MAX  256

struct shared_page {
	uint32_t magic;
	uint32_t generation; /* of the table; odd while it is written */
	uint32_t shard_count;
	uint32_t worker_count;
	uint16_t worker_of_shard[SHARED_SHARDS_MAX];
	struct crash_slot slots[SHARED_SLOTS_MAX]; /* by slot number of the child */
};

/* Creates the page in a memory file (sealed against resizing) and maps it. */
enum err shared_page_create(struct op *op, uint32_t shard_count, uint32_t worker_count, int *out_fd,
	struct shared_page **out);
enum err shared_page_map(struct op *op, int fd, struct shared_page **out);
void shared_page_unmap(struct shared_page *page);
/* The worker that serves `user` now. */
uint32_t shared_worker_of(const struct shared_page *page, struct str user);
