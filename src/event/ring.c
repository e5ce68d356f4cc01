/* SPDX-License-Identifier: Apache-2.0 */
/* The ring in its file: a header, then slots of equal size. Invariant: whoever sees a slot's number twice,
 * before and after copying it, has copied what belongs to that number. */
#include "event/ring.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event_private.h"

#define RING_MAGIC 0x31474e4952504d50u

struct slot {
	_Atomic uint64_t number; /* from 1; 0: empty, or being written */
	int64_t wall_us;
	uint32_t level, process_bytes, text_bytes;
	char process[36];
	char text[960];
};
struct ring {
	_Atomic uint64_t magic;
	_Atomic uint64_t next; /* lines written since the file was made */
	struct slot slots[EVENT_RING_LINES];
};

static struct ring *ring; /* of this process; NULL: none */

static struct ring *map_file(struct str path, bool is_writer)
{
	AUTO_ARENA(arena, 0);
	struct stat st;
	int flags = is_writer ? O_RDWR | O_CREAT : O_RDONLY;
	AUTO_FD(fd, open(str_dup_z(&arena, path), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	/* Of another size: of another version, or new. It is made longer before it is made valid. */
	bool is_new = st.st_size != sizeof(struct ring);
	if (is_new &&
		(!is_writer || ftruncate(fd, 0) < 0 || ftruncate(fd, sizeof(struct ring)) < 0))
		return NULL;
	void *p = mmap(NULL, sizeof(struct ring), is_writer ? PROT_READ | PROT_WRITE : PROT_READ,
		MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

void event_ring_open(struct str path)
{
	event_ring_close();
	ring = map_file(path, true);
	if (!ring)
		return;
	/* A file of zeros is an empty ring; anything else but ours becomes one. */
	if (atomic_load(&ring->magic) == RING_MAGIC)
		return;
	for (size_t i = 0; i < EVENT_RING_LINES; i++)
		atomic_store(&ring->slots[i].number, 0);
	atomic_store(&ring->magic, RING_MAGIC);
}

void event_ring_close(void)
{
	if (ring)
		munmap(ring, sizeof(*ring));
	ring = NULL;
}

static uint32_t copy_text(char *to, size_t room, struct str a, struct str b)
{
	struct str first = str_slice(a, 0, room);
	struct str second = str_slice(b, 0, room - first.n);
	if (first.n)
		memcpy(to, first.p, first.n);
	if (second.n)
		memcpy(to + first.n, second.p, second.n);
	return (uint32_t)(first.n + second.n);
}

void event_ring_add(const struct event_record *r, struct str process)
{
	if (!ring)
		return;
	uint64_t number = atomic_fetch_add(&ring->next, 1) + 1;
	struct slot *slot = &ring->slots[number % EVENT_RING_LINES];
	atomic_store(&slot->number, 0);
	slot->wall_us = r->wall_us;
	slot->level = r->level;
	slot->process_bytes = copy_text(slot->process, sizeof(slot->process), process, STR(""));
	slot->text_bytes = copy_text(slot->text, sizeof(slot->text), r->prefix, r->text);
	atomic_store(&slot->number, number);
}

/* ---- reading ---- */

static struct str escaped(struct arena *arena, const char *bytes, uint32_t n, size_t most)
{
	AUTO_BUF(out, 0);
	event_put_escaped(&out, (struct str){ bytes, MIN(n, most) });
	return buf_dup(arena, &out);
}

struct numbered {
	uint64_t number;
	struct event_ring_line line;
};

static bool read_slot(struct op *op, struct slot *from, struct numbered *out)
{
	struct slot copy;
	uint64_t before = atomic_load(&from->number);
	memcpy(&copy, from, sizeof(copy));
	atomic_thread_fence(memory_order_acquire);
	if (before == 0 || atomic_load(&from->number) != before || copy.level > EVENT_FATAL)
		return false;
	*out = (struct numbered){
		.number = before,
		.line = {
			.wall_us = copy.wall_us,
			.level = (enum event_level)copy.level,
			.process = escaped(op->arena, copy.process, copy.process_bytes,
				sizeof(copy.process)),
			.text = escaped(op->arena, copy.text, copy.text_bytes, sizeof(copy.text)),
		},
	};
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = ((const struct numbered *)a)->number;
	uint64_t right = ((const struct numbered *)b)->number;
	return (left > right) - (left < right);
}

enum err event_ring_read(struct op *op, struct str path, int64_t since_wall_us,
	struct event_ring_line **out_lines, size_t *out_count)
{
	struct ring *r = map_file(path, false);
	if (!r || atomic_load(&r->magic) != RING_MAGIC) {
		if (r)
			munmap(r, sizeof(*r));
		return op_fail(op, ERR_NOT_FOUND, "no lines are kept in %.*s", STRF(path));
	}
	struct numbered *found = ARENA_NEW_ARRAY(op->arena, struct numbered, EVENT_RING_LINES);
	size_t count = 0;
	for (size_t i = 0; i < EVENT_RING_LINES; i++)
		if (read_slot(op, &r->slots[i], &found[count]) &&
			found[count].line.wall_us >= since_wall_us)
			count++;
	munmap(r, sizeof(*r));
	qsort(found, count, sizeof(*found), by_number);
	*out_lines = ARENA_NEW_ARRAY(op->arena, struct event_ring_line, count + 1);
	for (size_t i = 0; i < count; i++)
		(*out_lines)[i] = found[i].line;
	*out_count = count;
	return ERR_NONE;
}
