/* SPDX-License-Identifier: Apache-2.0 */
/* Processes whose loop does not turn: reported, made to say where they are (SIGABRT: the crash handler
 * prints a back-trace), and ended, so that their users are served again.
 *
 * Stalled:  turning --limit passed--> SIGABRT sent --GRACE_US--> SIGKILL sent.
 *
 * Nobody is blamed for time in which he could not run: stopped, held by a debugger, or we ourselves did
 * not run. Whoever waits for a disk at this moment is left alone: a new process would wait as well. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "event/event.h"
#include "main/master_private.h"

/* We did not run that long: the machine slept, was overloaded, or we are debugged. */
#define OWN_DELAY_US (5 * US_PER_SEC)
#define GRACE_US     (5 * US_PER_SEC)
/* Without a turn for that long: worth a look at what it does. */
#define LOOK_US    (2 * US_PER_SEC)
#define STAT_BYTES 512

/* Its state as proc(5) calls it; '?': unknown. */
static char state_of(pid_t pid)
{
	char path[32], text[STAT_BYTES];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return '?';
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	struct str rest = { text, n > 0 ? (size_t)n : 0 };
	/* The name before it may hold anything. */
	ssize_t at = str_find_last_byte(rest, ')');
	return at >= 0 && (size_t)at + 2 < rest.n ? text[at + 2] : '?';
}

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

static void look_at(struct child *c, int64_t now, int64_t limit_us)
{
	/* The page is the process's own: it may say what it likes. */
	int64_t turned_us = MIN(c->page->turned_us, now);
	if (turned_us <= 0 || now - turned_us < LOOK_US)
		return;
	char state = state_of(c->pid);
	if (state == 'T' || state == 't')
		c->excused_us = now;
	int64_t for_us = now - MAX(turned_us, c->excused_us);
	if (for_us >= limit_us && state != 'D')
		stalled(c, for_us);
}

void master_watch(struct master *m)
{
	int64_t now = now_us(), was_us = m->last_watch_us;
	int64_t limit_us = config_time_us(config_scope(m->config, NULL), SET_process_stall_limit);
	struct child *c, *next;
	m->last_watch_us = now;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (now - was_us >= OWN_DELAY_US)
			c->excused_us = now;
		if (c->pid > 0 && limit_us > 0)
			look_at(c, now, limit_us);
	}
}
