/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of tasks: mapped on demand, a guard page below each, the last used ones kept warm.
 *
 * An overflow hits the guard page and ends the process by SIGSEGV instead of corrupting memory.
 * Pages that were never touched cost nothing, so a big reservation is cheap. */
#include "task/task_private.h"

#ifndef POMBAL_TASK_THREADS

#include <sys/mman.h>
#include <unistd.h>

#include "task/sanitizer_private.h"

/* Above this many unused stacks, the next one goes back to the kernel. */
#define STACK_POOL_MAX 256

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct stack *stack_map(size_t bytes)
{
	size_t guard = page_bytes();
	char *low = mmap(NULL, bytes + guard, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	ASSERT(low != MAP_FAILED);
	ASSERT(mprotect(low, guard, PROT_NONE) == 0);

	struct stack *s = MEM_NEW(struct stack);
	s->base = low + guard;
	s->bytes = bytes;
	s->valgrind_id = sanitizer_stack_mapped(s->base, s->bytes);
	return s;
}

static void stack_unmap(struct stack *s)
{
	size_t guard = page_bytes();
	sanitizer_stack_unmapping(s->base, s->bytes, s->valgrind_id);
	ASSERT(munmap(s->base - guard, s->bytes + guard) == 0);
	mem_free(s);
}

/* Pages that were ever touched are resident: asking the kernel is exact to a page and touches none.
 */
static void note_high_water(struct loop *l, const struct stack *s)
{
#ifdef POMBAL_DEBUG
	unsigned char resident[1024];
	size_t page = page_bytes(), count = s->bytes / page, i = 0;
	if (count > sizeof resident || mincore(s->base, s->bytes, resident) != 0)
		return;
	while (i < count && !(resident[i] & 1))
		i++;
	l->stats.stack_high_water_bytes = MAX(l->stats.stack_high_water_bytes, (count - i) * page);
#else
	(void)l;
	(void)s;
#endif
}

struct stack *stack_take(struct loop *l)
{
	struct stack *s = l->stack_pool;
	if (s) {
		l->stack_pool = s->next;
		l->stats.stacks_pooled--;
	} else {
		s = stack_map(l->stack_bytes);
		l->stats.stacks_mapped++;
	}
	sanitizer_stack_begins(s->base, s->bytes);
	return s;
}

void stack_give(struct loop *l, struct stack *s)
{
	sanitizer_stack_ends(s->base, s->bytes);
	note_high_water(l, s);
	if (l->stats.stacks_pooled >= STACK_POOL_MAX) {
		stack_unmap(s);
		l->stats.stacks_mapped--;
		return;
	}
	s->next = l->stack_pool;
	l->stack_pool = s;
	l->stats.stacks_pooled++;
}

void stack_pool_done(struct loop *l)
{
	while (l->stack_pool) {
		struct stack *s = l->stack_pool;
		l->stack_pool = s->next;
		stack_unmap(s);
	}
	l->stats.stacks_pooled = l->stats.stacks_mapped = 0;
}

#else

/* A thread brings its own stack; a translation unit needs a declaration. */
extern int stack_is_the_threads_own;

#endif
