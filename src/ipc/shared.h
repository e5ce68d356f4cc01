/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/shared.h - memory that the master shares with the roles: who serves which shard, and a page for
 * each process in which it says how it is.
 *
 * The table is written by the master alone; the others get a descriptor that cannot be mapped for
 * writing, so that a broken role moves no user. Readers retry while `generation` is odd or changes.
 * A process page is written by its process; the master looks at it now and then, and after the
 * process's death. Nothing in it is trusted: it goes into reports and, by user, into a quarantine. */
#pragma once

#include "base/base.h"
#include "task/task.h"

#define SHARED_SHARDS_MAX 1024
#define SHARED_SLOTS_MAX  256

struct shared_page {
	uint32_t magic;
	uint32_t generation; /* odd while the table is written */
	uint32_t shard_count;
	uint32_t worker_count; /* without those of quarantines */
	uint16_t worker_of_shard[SHARED_SHARDS_MAX];
};

/* Creates the page in a memory file (sealed against resizing) and maps it. `*out_fd` is for readers:
 * it cannot be written to. */
enum err shared_page_create(struct op *op, uint32_t shard_count, uint32_t worker_count, int *out_fd,
	struct shared_page **out);
enum err shared_page_map(struct op *op, int fd, const struct shared_page **out);
void shared_page_unmap(const struct shared_page *page);
/* The master moves a shard. */
void shared_set_worker(struct shared_page *page, uint32_t shard, uint32_t worker);
uint32_t shared_shard_of(const struct shared_page *page, struct str user);
/* The worker that serves a shard, or a user, now. */
uint32_t shared_worker_of_shard(const struct shared_page *page, uint32_t shard);
uint32_t shared_worker_of(const struct shared_page *page, struct str user);

/* What a process found out about its own death (main/crash.h). */
#define CRASH_FRAMES_MAX   32
#define CRASH_BUILD_ID_MAX 20
struct crash_report {
	int32_t signal_number;  /* 0: it has not died of one */
	int32_t syscall_number; /* SIGSYS: what the sandbox refused */
	int32_t code;           /* si_code: 0 and below, somebody sent the signal */
	uint64_t fault_address; /* SIGSEGV, SIGBUS */
	uint32_t frame_count;
	uint32_t build_id_bytes;
	uint64_t frames[CRASH_FRAMES_MAX]; /* innermost first; offsets in the program */
	uint8_t build_id[CRASH_BUILD_ID_MAX];
};

struct process_page {
	uint32_t magic;
	int64_t turned_us; /* monotonic: when the loop last turned; 0: it does not run yet */
	uint64_t clients;  /* connections or sessions now */
	uint64_t memory_bytes;
	struct crash_slot crash; /* of workers: user and operation at this moment */
	struct crash_report report;
};
enum err process_page_create(struct op *op, int *out_fd, struct process_page **out);
enum err process_page_map(struct op *op, int fd, struct process_page **out);
void process_page_unmap(struct process_page *page); /* NULL is fine */
