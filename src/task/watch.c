/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: epoll, edge-triggered, registered once.
 *
 * `ready` remembers an edge until the user says, by watch_forget(), that the kernel had nothing
 * more. Nobody polls between a system call's EAGAIN and that, so no edge is lost.
 *
 * Room for output is asked for when somebody misses it: a UNIX socket has such an edge whenever its
 * peer reads, and a new connection has one at once, each of which would wake the loop for nothing. */
#include "task/task_private.h"

#include <errno.h>
#include <unistd.h>

#define EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

enum err watch_open(struct op *op, struct watch *w, int fd, watch_fn *fn, void *arg)
{
	*w = (struct watch){ .fd = fd, .fn = fn, .arg = arg };
	struct epoll_event ev = { .events = EVENTS, .data.ptr = w };
	if (epoll_ctl(loop_current->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		w->fd = -1;
		return op_fail_errno(op, "watch descriptor %d", fd);
	}
	return ERR_NONE;
}

void watch_on(struct watch *w, watch_fn *fn, void *arg)
{
	struct loop *l = loop_current;
	w->fn = fn;
	w->arg = arg;
	list_remove(&w->soon);
	if (fn && (w->ready & (WATCH_READ | WATCH_WRITE)))
		list_add_last(&l->soon, &w->soon);
}

/* What is there already comes as an edge as well. */
static void want_write(struct watch *w)
{
	struct epoll_event ev = { .events = EVENTS | EPOLLOUT, .data.ptr = w };
	if (w->wants_write || w->fd < 0)
		return;
	ASSERT(epoll_ctl(loop_current->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) == 0);
	w->wants_write = true;
}

void watch_forget(struct watch *w, unsigned events)
{
	if (events & WATCH_WRITE)
		want_write(w);
	w->ready &= ~(events & (WATCH_READ | WATCH_WRITE));
}

enum err watch_wait(struct op *op, struct watch *w, unsigned events)
{
	struct task *t = loop_current->current;
	ASSERT(w->fd >= 0);
	if (w->ready & events)
		return ERR_NONE;
	ASSERT(t != NULL);
	if (events & WATCH_WRITE)
		want_write(w);
	t->watch_events = events;
	return wait_queue_wait(op, events == WATCH_WRITE ? &w->writers : &w->readers);
}

void watch_close(struct watch *w)
{
	struct loop *l = loop_current;
	if (w->fd < 0)
		return;
	/* Needed even before close(): a duplicate in another process keeps the registration alive. */
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL); /* fails only if closed already */
	w->fd = -1;
	list_remove(&w->soon);
	for (int i = l->event_at; i < l->event_count; i++)
		if (l->events[i].data.ptr == w)
			l->events[i].data.ptr = NULL;
	wait_queue_fail_all(&w->readers, ERR_CANCELLED);
	wait_queue_fail_all(&w->writers, ERR_CANCELLED);
}

/* ---- the loop's side ---- */

static void wake_waiters(struct wait_queue *q, unsigned events)
{
	struct task *t, *tmp;
	if (!wait_queue_first(q))
		return;
	LIST_FOR_EACH(t, tmp, &q->waiters, struct task, link)
	if (t->watch_events & events)
		task_wake(t, ERR_NONE);
}

static unsigned bits_from_epoll(uint32_t events)
{
	unsigned bits = 0;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		bits |= WATCH_READ;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		bits |= WATCH_WRITE;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		bits |= WATCH_HANGUP;
	return bits;
}

static void watch_event(struct watch *w, uint32_t events)
{
	unsigned bits = bits_from_epoll(events);
	w->ready |= bits;
	wake_waiters(&w->readers, bits);
	wake_waiters(&w->writers, bits);
	if (w->fn)
		w->fn(w, bits, w->arg); /* may free w */
}

void watch_poll(struct loop *l, int timeout_ms)
{
	l->stats.polls++;
	int n = epoll_wait(l->epoll_fd, l->events, POLL_EVENTS_MAX, timeout_ms);
	if (n < 0) {
		ASSERT(errno == EINTR);
		return;
	}
	l->event_count = n;
	l->event_at = 0;
	while (l->event_at < l->event_count) {
		struct epoll_event *ev = &l->events[l->event_at++];
		if (ev->data.ptr)
			watch_event(ev->data.ptr, ev->events);
	}
	l->event_count = 0;
}

void watch_call_soon(struct loop *l)
{
	struct watch *w, *last;
	if (list_is_empty(&l->soon))
		return;
	/* One turn each: a callback may ask for the next turn at once. */
	last = CONTAINER_OF(l->soon.prev, struct watch, soon);
	bool is_last = false;
	while (!is_last && (w = LIST_FIRST(&l->soon, struct watch, soon)) != NULL) {
		is_last = w == last;
		list_remove(&w->soon);
		if (w->fn && (w->ready & (WATCH_READ | WATCH_WRITE)))
			w->fn(w, w->ready, w->arg);
	}
}
