/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of uploads: two heaps, and a rate by the time that the last upload is paid until. */
#include "store/cache/queue.h"

#define BACKOFF_MIN_US US_PER_SEC
#define BACKOFF_MAX_US (5 * 60 * US_PER_SEC)
#define BURST          16

/* ---- heaps ---- */

typedef bool before_fn(const struct upload_entry *a, const struct upload_entry *b);

static bool is_earlier(const struct upload_entry *a, const struct upload_entry *b)
{
	return a->due_us < b->due_us;
}

static bool is_more_urgent(const struct upload_entry *a, const struct upload_entry *b)
{
	return a->class != b->class ? a->class > b->class : is_earlier(a, b);
}

static void put_at(struct upload_heap *h, size_t at, struct upload_entry *e)
{
	h->items[at] = e;
	e->heap_at = at;
}

static void sift_up(struct upload_heap *h, size_t at, before_fn *before)
{
	struct upload_entry *e = h->items[at];
	for (; at > 0 && before(e, h->items[(at - 1) / 2]); at = (at - 1) / 2)
		put_at(h, at, h->items[(at - 1) / 2]);
	put_at(h, at, e);
}

static void sift_down(struct upload_heap *h, size_t at, before_fn *before)
{
	struct upload_entry *e = h->items[at];
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < h->count && before(h->items[child + 1], h->items[child]))
			child++;
		if (child >= h->count || !before(h->items[child], e))
			break;
		put_at(h, at, h->items[child]);
		at = child;
	}
	put_at(h, at, e);
}

static void heap_add(struct upload_heap *h, struct upload_entry *e, before_fn *before)
{
	if (h->count == h->capacity) {
		h->capacity = MAX(2 * h->capacity, 16);
		h->items = mem_resize(h->items, h->capacity * sizeof(struct upload_entry *));
	}
	put_at(h, h->count++, e);
	sift_up(h, h->count - 1, before);
}

static void heap_remove(struct upload_heap *h, struct upload_entry *e, before_fn *before)
{
	size_t at = e->heap_at;
	ASSERT(at < h->count && h->items[at] == e);
	struct upload_entry *last = h->items[--h->count];
	if (last == e)
		return;
	put_at(h, at, last);
	sift_up(h, at, before);
	sift_down(h, last->heap_at, before);
}

/* ---- states ---- */

static void enter(struct upload_queue *q, struct upload_entry *e, enum upload_state state)
{
	e->state = (uint8_t)state;
	if (state == UPLOAD_WAITING)
		heap_add(&q->waiting, e, is_earlier);
	else if (state == UPLOAD_READY)
		heap_add(&q->ready, e, is_more_urgent);
}

static void leave(struct upload_queue *q, struct upload_entry *e)
{
	if (e->state == UPLOAD_WAITING)
		heap_remove(&q->waiting, e, is_earlier);
	else if (e->state == UPLOAD_READY)
		heap_remove(&q->ready, e, is_more_urgent);
	e->state = UPLOAD_RESTING;
}

void upload_queue_init(struct upload_queue *q, uint32_t parallel_max, uint32_t per_second)
{
	*q = (struct upload_queue){ .parallel_max = MAX(parallel_max, 1) };
	if (per_second > 0)
		q->interval_us = MAX(US_PER_SEC / per_second, 1);
	q->burst_us = BURST * q->interval_us;
	q->paid_us = INT64_MIN;
}

void upload_queue_done(struct upload_queue *q)
{
	mem_free(q->waiting.items);
	mem_free(q->ready.items);
	q->waiting = q->ready = (struct upload_heap){ 0 };
}

void upload_plan(
	struct upload_queue *q, struct upload_entry *e, enum upload_class class, int64_t due_us)
{
	if (class == UPLOAD_NONE)
		return;
	if (e->state == UPLOAD_RUNNING) {
		e->wanted_us = e->wanted == UPLOAD_NONE ? due_us : MIN(e->wanted_us, due_us);
		e->wanted = MAX(e->wanted, (uint8_t) class);
		return;
	}
	bool is_new = e->state == UPLOAD_RESTING;
	if (!is_new && e->class >= class && e->due_us <= due_us)
		return;
	leave(q, e);
	e->class = is_new ? (uint8_t) class : MAX(e->class, (uint8_t) class);
	e->due_us = is_new ? due_us : MIN(e->due_us, due_us);
	enter(q, e, UPLOAD_WAITING);
}

static void ripen(struct upload_queue *q, int64_t at_us)
{
	while (q->waiting.count > 0 && q->waiting.items[0]->due_us <= at_us) {
		struct upload_entry *e = q->waiting.items[0];
		leave(q, e);
		enter(q, e, UPLOAD_READY);
	}
}

/* When the most urgent one may begin, if it is due. */
static int64_t allowed_us(const struct upload_queue *q, enum upload_class class)
{
	int64_t rate_us = class == UPLOAD_IMMEDIATE ? INT64_MIN : q->paid_us;
	return MAX(rate_us, q->silent_until_us);
}

static bool has_room(const struct upload_queue *q)
{
	return q->running < (q->backoff_us > 0 ? 1 : q->parallel_max);
}

struct upload_entry *upload_next(struct upload_queue *q, int64_t at_us)
{
	ripen(q, at_us);
	if (q->ready.count == 0 || !has_room(q))
		return NULL;
	struct upload_entry *e = q->ready.items[0];
	if (allowed_us(q, e->class) > at_us)
		return NULL;
	leave(q, e);
	e->state = UPLOAD_RUNNING;
	e->wanted = UPLOAD_NONE;
	q->running++;
	q->paid_us = MAX(q->paid_us, at_us - q->burst_us) + q->interval_us;
	return e;
}

void upload_finish(struct upload_queue *q, struct upload_entry *e, bool is_refused, int64_t at_us)
{
	ASSERT(e->state == UPLOAD_RUNNING && q->running > 0);
	q->running--;
	e->state = UPLOAD_RESTING;
	enum upload_class wanted = e->wanted;
	if (is_refused) {
		/* Those that ran together are refused together: that is one refusal. */
		if (at_us >= q->silent_until_us) {
			q->backoff_us = MAX(MIN(2 * q->backoff_us, BACKOFF_MAX_US), BACKOFF_MIN_US);
			q->silent_until_us = at_us + q->backoff_us;
		}
		upload_plan(q, e, e->class, e->due_us);
	} else {
		q->backoff_us = 0;
		q->silent_until_us = INT64_MIN;
	}
	upload_plan(q, e, wanted, e->wanted_us);
}

bool upload_cancel(struct upload_queue *q, struct upload_entry *e)
{
	if (e->state == UPLOAD_RUNNING)
		return false;
	leave(q, e);
	return true;
}

int64_t upload_wake_us(const struct upload_queue *q, int64_t at_us)
{
	int64_t wake_us = TIME_NEVER;
	if (!has_room(q)) /* the end of one wakes */
		return TIME_NEVER;
	if (q->ready.count > 0)
		wake_us = allowed_us(q, q->ready.items[0]->class);
	if (q->waiting.count > 0) {
		const struct upload_entry *first = q->waiting.items[0];
		wake_us = MIN(wake_us, MAX(first->due_us, allowed_us(q, first->class)));
	}
	return wake_us == TIME_NEVER ? wake_us : MAX(wake_us, at_us);
}
