/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: a binary heap by (time, order of setting). heap[0] is unused, so that a heap_index of 0
 * says "not set". */
#include "task/task_private.h"

static bool fires_before(const struct timer *a, const struct timer *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void place(struct loop *l, struct timer *t, size_t at)
{
	l->heap[at] = t;
	t->heap_index = at;
}

/* Moves `t` from the free place `at` up to where it belongs. */
static void sift_up(struct loop *l, struct timer *t, size_t at)
{
	while (at > 1 && fires_before(t, l->heap[at / 2])) {
		place(l, l->heap[at / 2], at);
		at /= 2;
	}
	place(l, t, at);
}

static void sift_down(struct loop *l, struct timer *t, size_t at)
{
	for (;;) {
		size_t child = at * 2;
		if (child > l->heap_count)
			break;
		if (child < l->heap_count && fires_before(l->heap[child + 1], l->heap[child]))
			child++;
		if (!fires_before(l->heap[child], t))
			break;
		place(l, l->heap[child], at);
		at = child;
	}
	place(l, t, at);
}

void timer_init(struct timer *t, timer_fn *fn, void *arg)
{
	*t = (struct timer){ .at_us = TIME_NEVER, .fn = fn, .arg = arg };
}

void timer_set(struct timer *t, int64_t at_us)
{
	struct loop *l = loop_current;
	timer_cancel(t);
	if (at_us == TIME_NEVER)
		return;
	if (l->heap_count + 1 >= l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
		l->heap = mem_resize(l->heap, l->heap_cap * sizeof *l->heap);
	}
	t->at_us = at_us;
	t->order = l->timer_order++;
	l->heap_count++;
	sift_up(l, t, l->heap_count);
}

void timer_cancel(struct timer *t)
{
	struct loop *l = loop_current;
	if (t->heap_index == 0)
		return;
	size_t hole = t->heap_index;
	struct timer *last = l->heap[l->heap_count--];
	ASSERT(hole <= l->heap_count + 1);
	t->heap_index = 0;
	t->at_us = TIME_NEVER;
	if (last == t)
		return;
	if (hole > 1 && fires_before(last, l->heap[hole / 2]))
		sift_up(l, last, hole);
	else
		sift_down(l, last, hole);
}

int64_t timer_next_us(const struct loop *l)
{
	return l->heap_count ? l->heap[1]->at_us : TIME_NEVER;
}

/* Those set by the callbacks themselves wait for the next round, so a timer that sets itself to
 * "now" cannot keep the loop from its descriptors. */
void timer_fire_due(struct loop *l, int64_t now)
{
	uint64_t order_end = l->timer_order;
	while (l->heap_count && l->heap[1]->at_us <= now && l->heap[1]->order < order_end) {
		struct timer *t = l->heap[1];
		timer_cancel(t);
		l->stats.timers_fired++;
		t->fn(t->arg);
	}
}
