/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/shared.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

#define SHARED_MAGIC  0x504d4254u
#define PROCESS_MAGIC 0x504d5031u

static enum err map(struct op *op, int fd, size_t bytes, int protection, void **out)
{
	void *p = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return op_fail_errno(op, "map memory shared by the roles");
	*out = p;
	return ERR_NONE;
}

/* A zeroed memory file of a size that stays. */
static enum err create(struct op *op, const char *name, size_t bytes, int *out_fd, void **out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return op_fail_errno(op, "create memory shared by the roles");
	enum err e = ERR_NONE;
	/* The mode keeps other users from opening it anew through /proc. */
	if (ftruncate(fd, (off_t)bytes) < 0 || fchmod(fd, 0600) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		e = op_fail_errno(op, "size memory shared by the roles");
	if (e == ERR_NONE)
		e = map(op, fd, bytes, PROT_READ | PROT_WRITE, out);
	if (e != ERR_NONE) {
		close(fd);
		return e;
	}
	*out_fd = fd;
	return ERR_NONE;
}

/* ---- the table ---- */

static enum err open_for_reading(struct op *op, int fd, int *out_fd)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return op_fail_errno(op, "open %s", path);
	*out_fd = reader;
	return ERR_NONE;
}

enum err shared_page_create(struct op *op, uint32_t shard_count, uint32_t worker_count, int *out_fd,
	struct shared_page **out)
{
	if (shard_count == 0 || shard_count > SHARED_SHARDS_MAX || worker_count == 0 ||
		worker_count > SHARED_SLOTS_MAX)
		return op_fail(op, ERR_INVALID,
			"%u shards on %u mail workers: at least one of each, at most %d and %d",
			shard_count, worker_count, SHARED_SHARDS_MAX, SHARED_SLOTS_MAX);
	int fd;
	void *memory = NULL;
	TRY(create(op, "pombal-shared", sizeof(struct shared_page), &fd, &memory));
	struct shared_page *page = memory;
	ASSERT(page);
	enum err e = open_for_reading(op, fd, out_fd);
	close(fd); /* our mapping stays */
	if (e != ERR_NONE) {
		shared_page_unmap(page);
		return e;
	}
	page->magic = SHARED_MAGIC;
	page->shard_count = shard_count;
	page->worker_count = worker_count;
	for (uint32_t i = 0; i < shard_count; i++)
		page->worker_of_shard[i] = (uint16_t)(i % worker_count);
	page->generation = 2;
	*out = page;
	return ERR_NONE;
}

enum err shared_page_map(struct op *op, int fd, const struct shared_page **out)
{
	void *memory = NULL;
	TRY(map(op, fd, sizeof(struct shared_page), PROT_READ, &memory));
	const struct shared_page *page = memory;
	ASSERT(page);
	if (page->magic != SHARED_MAGIC || page->shard_count == 0 ||
		page->shard_count > SHARED_SHARDS_MAX) {
		shared_page_unmap(page);
		return op_fail(op, ERR_CORRUPT, "descriptor %d is not the roles' shared page", fd);
	}
	*out = page;
	return ERR_NONE;
}

void shared_page_unmap(const struct shared_page *page)
{
	if (page)
		munmap((void *)(uintptr_t)page, sizeof(*page));
}

void shared_set_worker(struct shared_page *page, uint32_t shard, uint32_t worker)
{
	ASSERT(shard < page->shard_count && worker < SHARED_SLOTS_MAX);
	__atomic_fetch_add(&page->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&page->worker_of_shard[shard], (uint16_t)worker, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page->generation, 1, __ATOMIC_SEQ_CST);
}

uint32_t shared_shard_of(const struct shared_page *page, struct str user)
{
	return (uint32_t)(hash_stable(user) % page->shard_count);
}

uint32_t shared_worker_of_shard(const struct shared_page *page, uint32_t shard)
{
	for (;;) {
		uint32_t before = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
		uint32_t worker = __atomic_load_n(&page->worker_of_shard[shard], __ATOMIC_ACQUIRE);
		uint32_t after = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
		if (before == after && before % 2 == 0)
			return worker;
	}
}

uint32_t shared_worker_of(const struct shared_page *page, struct str user)
{
	return shared_worker_of_shard(page, shared_shard_of(page, user));
}

/* ---- the page of a process ---- */

enum err process_page_create(struct op *op, int *out_fd, struct process_page **out)
{
	void *memory = NULL;
	TRY(create(op, "pombal-process", sizeof(struct process_page), out_fd, &memory));
	struct process_page *page = memory;
	ASSERT(page);
	page->magic = PROCESS_MAGIC;
	*out = page;
	return ERR_NONE;
}

enum err process_page_map(struct op *op, int fd, struct process_page **out)
{
	void *memory = NULL;
	TRY(map(op, fd, sizeof(struct process_page), PROT_READ | PROT_WRITE, &memory));
	struct process_page *page = memory;
	ASSERT(page);
	if (page->magic != PROCESS_MAGIC) {
		process_page_unmap(page);
		return op_fail(op, ERR_CORRUPT, "descriptor %d is not the page of a process", fd);
	}
	*out = page;
	return ERR_NONE;
}

void process_page_unmap(struct process_page *page)
{
	if (page)
		munmap(page, sizeof(*page));
}
