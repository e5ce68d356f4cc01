/* SPDX-License-Identifier: Apache-2.0 */
/* Processes whose loop does not turn: reported, made to say where they are (SIGABRT: the crash handler
 * prints a back-trace), and ended, so that their users are served again.
 *
 * Stalled:  turning --limit passed--> SIGABRT sent --GRACE_US--> SIGKILL sent. */
#include <signal.h>

#include "event/event.h"
#include "main/master_private.h"

/* When we ourselves did not run (the machine slept, was overloaded, is debugged), nobody is blamed. */
#define OWN_DELAY_US (5 * US_PER_SEC)
#define GRACE_US     (5 * US_PER_SEC)

static void stalled(struct child *c, int64_t for_us)
{
	const struct crash_slot *slot = &c->page->crash;
	if (c->stalled_us == 0) {
		c->stalled_us = now_us();
		event_send(NULL, EVENT_ERROR, "child_stalled",
			"service(%s): the loop of child %d has not turned for %" PRId64
			" s%s%.255s%s%.255s: it is aborted, its back-trace follows",
			c->plan.role->name, (int)c->pid, for_us / US_PER_SEC,
			slot->user[0] ? ", it serves user " : "", slot->user,
			slot->doing[0] ? ": " : "", slot->doing);
		kill(c->pid, SIGABRT);
	} else if (now_us() - c->stalled_us >= GRACE_US) {
		kill(c->pid, SIGKILL);
	}
}

void master_watch(struct master *m)
{
	int64_t now = now_us(), was_us = m->last_watch_us;
	int64_t limit_us = config_time_us(config_scope(m->config, NULL), SET_process_stall_limit);
	struct child *c, *next;
	m->last_watch_us = now;
	if (limit_us == 0 || now - was_us >= OWN_DELAY_US)
		return;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		int64_t turned_us = c->pid > 0 ? c->page->turned_us : 0;
		if (turned_us > 0 && now - turned_us >= limit_us)
			stalled(c, now - turned_us);
	}
}
