/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hash.h"

#define SHARED_MAGIC 0x504d4253u

/* NULL: the op has the failure. */
static struct shared_page *map_page(struct op *op, int fd)
{
	void *p = mmap(NULL, sizeof(struct shared_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		return p;
	(void)op_fail_errno(op, "map the roles' shared page"); /* the caller passes on the class */
	return NULL;
}

enum err shared_page_create(struct op *op, uint32_t shard_count, uint32_t worker_count, int *out_fd,
	struct shared_page **out)
{
	if (shard_count == 0 || shard_count > SHARED_SHARDS_MAX || worker_count == 0 ||
		worker_count > SHARED_SLOTS_MAX)
		return op_fail(op, ERR_INVALID,
			"%u shards on %u mail workers: at least one of each, at most %d and %d",
			shard_count, worker_count, SHARED_SHARDS_MAX, SHARED_SLOTS_MAX);
	int fd = memfd_create("pombal-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return op_fail_errno(op, "create the roles' shared page");
	if (ftruncate(fd, sizeof(struct shared_page)) < 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		enum err e = op_fail_errno(op, "size the roles' shared page");
		close(fd);
		return e;
	}
	struct shared_page *page = map_page(op, fd);
	if (!page) {
		close(fd);
		return op->failure.class;
	}
	page->magic = SHARED_MAGIC;
	page->shard_count = shard_count;
	page->worker_count = worker_count;
	for (uint32_t i = 0; i < shard_count; i++)
		page->worker_of_shard[i] = (uint16_t)(i % worker_count);
	page->generation = 2;
	*out_fd = fd;
	*out = page;
	return ERR_NONE;
}

enum err shared_page_map(struct op *op, int fd, struct shared_page **out)
{
	struct shared_page *page = map_page(op, fd);
	if (!page)
		return op->failure.class;
	if (page->magic != SHARED_MAGIC || page->shard_count == 0 ||
		page->shard_count > SHARED_SHARDS_MAX) {
		shared_page_unmap(page);
		return op_fail(op, ERR_CORRUPT, "descriptor %d is not the roles' shared page", fd);
	}
	*out = page;
	return ERR_NONE;
}

void shared_page_unmap(struct shared_page *page)
{
	if (page)
		munmap(page, sizeof(*page));
}

uint32_t shared_worker_of(const struct shared_page *page, struct str user)
{
	uint64_t hash = hash_stable(user);
	for (;;) {
		uint32_t before = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
		uint32_t worker = page->worker_of_shard[hash % page->shard_count];
		uint32_t after = __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE);
		if (before == after && before % 2 == 0)
			return worker;
	}
}
