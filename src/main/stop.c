/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the master: who talks to other roles drains first; then all stop at once: the workers'
 * last words to clients still pass the relays in login. */
#include <signal.h>

#include "event/event.h"
#include "main/master_private.h"
#include "main/notify.h"

#define STOP_ROLE_US (30 * US_PER_SEC)

static size_t count_draining(const struct master *m)
{
	size_t n = 0;
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	n += c->pid > 0 && c->is_serving && c->plan.role->drain && !c->is_drained;
	return n;
}

static void drain_children(struct master *m)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct child *c, *next;
	op_init(&op, &arena, NULL, now_us() + STOP_ROLE_US);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role->drain)
			child_tell(c, CONTROL_DRAIN, STR_NONE);
	}
	/* Whoever does not manage is stopped all the same. */
	while (count_draining(m) > 0 && wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
}

static size_t count_running(const struct master *m)
{
	size_t n = 0;
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	n += c->pid > 0;
	return n;
}

static void kill_child(const struct child *c)
{
	event_send(NULL, EVENT_ERROR, "child_stop_failed",
		"service(%s): child %d did not stop in time and is killed", c->plan.role->name,
		(int)c->pid);
	kill(c->pid, SIGKILL);
}

static void stop_task(void *arg)
{
	struct master *m = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	struct child *c, *next;
	event_send(NULL, EVENT_INFO, "master_stopping", "Pombal stops");
	drain_children(m);
	children_tell(m, CONTROL_STOP);
	op_init(&op, &arena, NULL, now_us() + STOP_ROLE_US);
	while (count_running(m) > 0 && wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->pid > 0)
			kill_child(c);
	}
	loop_stop();
}

void master_stop(struct master *m)
{
	if (m->is_stopping)
		return;
	m->is_stopping = true;
	notify_stopping();
	task_start("stop", stop_task, m);
}
