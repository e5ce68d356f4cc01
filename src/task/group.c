/* SPDX-License-Identifier: Apache-2.0 */
/* Fan-out: members run at the same time, the first error cancels the others, and the one who
 * started them always waits for all of them: no task outlives what it borrowed. */
#include "task/task_private.h"

struct task_group {
	struct op *op;       /* borrowed: the parent's */
	struct list members; /* those that have not ended */
	struct wait_queue all_ended;
	struct op failure; /* the first one's */
	enum err error;
	bool is_cancelled;
};

struct member {
	struct op op;
	struct task_group *group;
	struct task_handle task;
	struct list link;
	task_group_fn *fn;
	void *arg;
};

struct task_group *task_group_new(struct op *op)
{
	struct task_group *g = MEM_NEW(struct task_group);
	g->op = op;
	list_init(&g->members);
	return g;
}

static void cancel_members(struct task_group *g)
{
	struct member *m, *tmp;
	g->is_cancelled = true;
	LIST_FOR_EACH(m, tmp, &g->members, struct member, link)
	task_cancel(m->task);
}

static void member_main(void *arg)
{
	struct member *m = arg;
	struct task_group *g = m->group;
	enum err e = m->fn(&m->op, m->arg);
	list_remove(&m->link);
	if (e != ERR_NONE && g->error == ERR_NONE) {
		g->error = e;
		g->failure = m->op;
		cancel_members(g);
	}
	mem_free(m);
	if (list_is_empty(&g->members))
		wait_queue_wake_one(&g->all_ended);
}

void task_group_start(struct task_group *g, const char *name, task_group_fn *fn, void *arg)
{
	struct member *m = MEM_NEW(struct member);
	op_init(&m->op, g->op->arena, g->op->event, g->op->deadline_us);
	m->op.doing = g->op->doing;
	m->group = g;
	m->fn = fn;
	m->arg = arg;
	/* Never queued: the parent would wait, holding its place, for members that wait for a place. */
	m->task = task_handle_of(scheduler_start(name, member_main, m, false));
	list_add_last(&g->members, &m->link);
	if (g->is_cancelled)
		task_cancel(m->task);
}

enum err task_group_finish(struct op *op, struct task_group *g)
{
	/* Members obey the deadline themselves; this only waits for them. */
	struct op patient;
	op_init(&patient, op->arena, op->event, TIME_NEVER);
	enum err e = ERR_NONE;
	if (!list_is_empty(&g->members))
		e = wait_queue_wait(&patient, &g->all_ended);
	if (!list_is_empty(&g->members)) {
		cancel_members(g);
		task_shield();
		while (!list_is_empty(&g->members))
			(void)!wait_queue_wait(&patient, &g->all_ended); /* shielded, no deadline */
		task_unshield();
	}
	if (g->error != ERR_NONE) {
		e = g->error;
		op->failure = g->failure.failure;
	} else if (e != ERR_NONE) {
		op->failure = patient.failure;
	}
	mem_free(g);
	return e;
}
