/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: queues and the mutex. Each suspension except task_yield() goes through wait_until(), so
 * deadlines and cancellation are handled in one place. */
#include "task/task_private.h"

static enum err fail_wait(struct op *op, enum err e, const struct task *t)
{
	if (e == ERR_CANCELLED)
		return op_fail(op, e, "task %s was cancelled", t->name);
	return op_fail(op, e, "deadline passed while task %s was waiting", t->name);
}

enum err wait_until(struct op *op, struct wait_queue *q, int64_t until_us)
{
	struct task *t = loop_current->current;
	ASSERT(t != NULL); /* callbacks on the loop's stack must not wait */
	if (task_is_cancelled())
		return fail_wait(op, ERR_CANCELLED, t);
	if (until_us != TIME_NEVER) {
		if (until_us <= now_us())
			return fail_wait(op, ERR_TIMEOUT, t);
		timer_set(&t->timeout, until_us);
	}
	if (q) {
		if (!q->waiters.next)
			list_init(&q->waiters);
		list_add_last(&q->waiters, &t->link);
	}
	enum err e = task_suspend();
	return e == ERR_NONE ? ERR_NONE : fail_wait(op, e, t);
}

enum err task_sleep(struct op *op, int64_t us)
{
	int64_t until_us;
	if (add_overflows(now_us(), us, &until_us))
		until_us = TIME_NEVER;
	enum err e = wait_until(op, NULL, MIN(until_us, op->deadline_us));
	if (e == ERR_TIMEOUT && until_us <= op->deadline_us) {
		op_forgive(op);
		return ERR_NONE;
	}
	return e;
}

/* ---- queues ---- */

enum err wait_queue_wait(struct op *op, struct wait_queue *q)
{
	return wait_until(op, q, op->deadline_us);
}

struct task *wait_queue_first(struct wait_queue *q)
{
	return q->waiters.next ? LIST_FIRST(&q->waiters, struct task, link) : NULL;
}

void wait_queue_wake_one(struct wait_queue *q)
{
	struct task *t = wait_queue_first(q);
	if (t)
		task_wake(t, ERR_NONE);
}

/* Nobody runs meanwhile, so whom this wakes cannot queue again before it returns. */
void wait_queue_fail_all(struct wait_queue *q, enum err error)
{
	struct task *t;
	while ((t = wait_queue_first(q)) != NULL)
		task_wake(t, error);
}

void wait_queue_wake_all(struct wait_queue *q)
{
	wait_queue_fail_all(q, ERR_NONE);
}

/* ---- mutex ---- */

enum err task_mutex_lock(struct op *op, struct task_mutex *m)
{
	if (!m->owner.task) {
		m->owner = task_self();
		ASSERT(m->owner.task != NULL);
		return ERR_NONE;
	}
	ASSERT(task_is_alive(m->owner)); /* ended without unlocking */
	ASSERT(m->owner.task != loop_current->current);
	/* Whoever unlocks makes us the owner before it wakes us. */
	return wait_queue_wait(op, &m->waiters);
}

void task_mutex_unlock(struct task_mutex *m)
{
	ASSERT(m->owner.task && m->owner.task == loop_current->current);
	struct task *next = wait_queue_first(&m->waiters);
	m->owner = task_handle_of(next);
	if (next)
		task_wake(next, ERR_NONE);
}
