/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs next: the ring of ready tasks, their start, end and cancellation.
 *
 * States and invariants: task_private.h. In seeded order the next one is drawn from the whole ring,
 * which is what lets the simulation try orders that real timing seldom shows. */
#include "task/task_private.h"

/* A task that ran this long gives way in task_breathe(). */
#define BREATHE_NS (2 * 1000 * 1000)
/* One round runs at least so many ready tasks before the loop polls again, */
#define ROUND_TASKS_MIN 64
/* but is not longer than this. */
#define ROUND_NS (1000 * 1000)

void scheduler_init(struct loop *l)
{
	list_init(&l->tasks);
	list_init(&l->queued);
	list_init(&l->free_tasks);
	l->next_serial = 1;
}

void scheduler_done(struct loop *l)
{
	struct task *t, *tmp;
	ASSERT(list_is_empty(&l->tasks));
	LIST_FOR_EACH(t, tmp, &l->free_tasks, struct task, link)
	mem_free(t);
	mem_free(l->ready);
}

/* splitmix64: small, and every seed is a good one. */
uint64_t loop_random_below(struct loop *l, uint64_t limit)
{
	uint64_t z = l->random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return z % limit; /* the bias is far below what an order could show */
}

/* ---- the ring ---- */

static void ready_grow(struct loop *l)
{
	size_t cap = l->ready_cap ? l->ready_cap * 2 : 64;
	struct task **ring = mem_new_array(cap, sizeof *ring);
	for (size_t i = 0; i < l->ready_count; i++)
		ring[i] = l->ready[(l->ready_head + i) & (l->ready_cap - 1)];
	mem_free(l->ready);
	l->ready = ring;
	l->ready_cap = cap;
	l->ready_head = 0;
}

static void ready_push(struct loop *l, struct task *t)
{
	if (l->ready_count == l->ready_cap)
		ready_grow(l);
	l->ready[(l->ready_head + l->ready_count) & (l->ready_cap - 1)] = t;
	l->ready_count++;
	t->state = TASK_READY;
}

static struct task *ready_pop(struct loop *l)
{
	struct task **head = &l->ready[l->ready_head];
	struct task *t = *head;
	if (l->is_seeded) {
		size_t at = l->ready_head + (size_t)loop_random_below(l, l->ready_count);
		struct task **drawn = &l->ready[at & (l->ready_cap - 1)];
		t = *drawn;
		*drawn = *head;
	}
	l->ready_head = (l->ready_head + 1) & (l->ready_cap - 1);
	l->ready_count--;
	return t;
}

/* ---- start and end ---- */

static void timeout_passed(void *arg)
{
	task_wake(arg, ERR_TIMEOUT);
}

static struct task *task_take(struct loop *l)
{
	struct task *t = LIST_FIRST(&l->free_tasks, struct task, link);
	if (!t)
		return MEM_NEW(struct task);
	list_remove(&t->link);
	*t = (struct task){ 0 };
	return t;
}

struct task *scheduler_start(const char *name, task_fn *fn, void *arg, bool may_queue)
{
	struct loop *l = loop_current;
	ASSERT(l != NULL && fn != NULL);
	struct task *t = task_take(l);
	t->serial = l->next_serial++;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	t->is_cancelled = l->is_closing;
	timer_init(&t->timeout, timeout_passed, t);
	list_add_last(&l->tasks, &t->all);
	l->stats.tasks_live++;

	if (may_queue && l->running >= l->running_max) {
		t->state = TASK_QUEUED;
		list_add_last(&l->queued, &t->link);
		l->stats.tasks_queued++;
	} else {
		l->running++;
		ready_push(l, t);
	}
	return t;
}

struct task_handle task_start(const char *name, task_fn *fn, void *arg)
{
	return task_handle_of(scheduler_start(name, fn, arg, true));
}

static void admit_queued(struct loop *l)
{
	struct task *t;
	while (l->running < l->running_max &&
		(t = LIST_FIRST(&l->queued, struct task, link)) != NULL) {
		list_remove(&t->link);
		l->stats.tasks_queued--;
		l->running++;
		ready_push(l, t);
	}
}

static void task_end(struct loop *l, struct task *t)
{
	context_release(l, t);
	list_remove(&t->all);
	t->state = TASK_FREE;
	t->serial = 0;
	list_add_first(&l->free_tasks, &t->link);
	l->stats.tasks_live--;
	l->running--;
	admit_queued(l);
}

/* Runs on the task's own stack, as its outermost function. */
void task_main(struct task *t)
{
	t->fn(t->arg);
	ASSERT(t->shields == 0);
	t->is_ended = true;
}

static void run_one(struct loop *l, struct task *t)
{
	const char *name = t->name;
	t->state = TASK_RUNNING;
	l->current = t;
	l->stats.switches++;
	if (l->crash_slot)
		crash_slot_write(l, t);
	l->run_start_ns = coarse_now_ns();
	context_resume(l, t);
	l->current = NULL;

	bool has_ended = t->is_ended;
	if (l->watchdog_us)
		watchdog_check(l, t, name, has_ended);
	if (has_ended)
		task_end(l, t);
}

void scheduler_run(struct loop *l)
{
	size_t budget = MAX(l->ready_count, ROUND_TASKS_MIN);
	int64_t start_ns = coarse_now_ns();
	bool is_late = false;
	while (l->ready_count && budget-- && !is_late) {
		run_one(l, ready_pop(l));
		/* Not in virtual time: a run would depend on the machine. */
		is_late = l->run_start_ns - start_ns >= ROUND_NS && !l->is_virtual;
	}
	crash_slot_clear(l);
}

/* ---- suspending and waking ---- */

enum err task_suspend(void)
{
	struct loop *l = loop_current;
	struct task *t = l->current;
	t->state = TASK_WAITING;
	context_suspend(l, t);
	return t->wake_error;
}

void task_wake(struct task *t, enum err error)
{
	ASSERT(t->state == TASK_WAITING);
	list_remove(&t->link);
	timer_cancel(&t->timeout);
	t->wake_error = error;
	ready_push(loop_current, t);
}

void task_yield(void)
{
	struct loop *l = loop_current;
	struct task *t = l->current;
	ASSERT(t != NULL);
	ready_push(l, t);
	context_suspend(l, t);
}

void task_breathe(void)
{
	struct loop *l = loop_current;
	if (l->is_virtual) {
		/* Real time would make a run depend on the machine. */
		if (l->is_seeded && loop_random_below(l, 8) == 0)
			task_yield();
		return;
	}
	if (coarse_now_ns() - l->run_start_ns >= BREATHE_NS)
		task_yield();
}

/* ---- handles and cancellation ---- */

struct task *task_from_handle(struct task_handle h)
{
	return h.task && h.serial && h.task->serial == h.serial ? h.task : NULL;
}

struct task_handle task_handle_of(struct task *t)
{
	return t ? (struct task_handle){ t, t->serial } : (struct task_handle){ 0 };
}

struct task_handle task_self(void)
{
	return task_handle_of(loop_current ? loop_current->current : NULL);
}

bool task_is_alive(struct task_handle h)
{
	return task_from_handle(h) != NULL;
}

static void cancel(struct task *t)
{
	t->is_cancelled = true;
	if (t->state == TASK_WAITING && t->shields == 0)
		task_wake(t, ERR_CANCELLED);
}

void task_cancel(struct task_handle h)
{
	struct task *t = task_from_handle(h);
	if (t)
		cancel(t);
}

void scheduler_cancel_all(struct loop *l)
{
	struct task *t, *tmp;
	LIST_FOR_EACH(t, tmp, &l->tasks, struct task, all)
	cancel(t);
}

bool task_is_cancelled(void)
{
	const struct task *t = loop_current->current;
	ASSERT(t != NULL);
	return t->is_cancelled && t->shields == 0;
}

void task_shield(void)
{
	struct task *t = loop_current->current;
	ASSERT(t != NULL);
	t->shields++;
}

void task_unshield(void)
{
	struct task *t = loop_current->current;
	ASSERT(t != NULL && t->shields > 0);
	t->shields--;
}
