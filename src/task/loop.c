/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: ready tasks, due timers, the kernel's events, again.
 *
 * While tasks are ready the kernel is asked once per round of at least 64 switches, so that tasks
 * that hand work to each other cost no system calls. In virtual time the clock jumps to the next
 * timer when neither tasks nor the kernel have anything. */
#include "task/task_private.h"

#include <pthread.h>
#include <unistd.h>

__thread struct loop *loop_current;
struct loop *loop_list;
static pthread_mutex_t loop_list_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Where virtual clocks start: fixed, so that runs are the same. */
#define VIRTUAL_START_US      (1000 * US_PER_SEC)
#define VIRTUAL_START_WALL_US (INT64_C(1700000000) * US_PER_SEC)

static void loop_list_add(struct loop *l)
{
	ASSERT(pthread_mutex_lock(&loop_list_mutex) == 0);
	l->next = loop_list;
	loop_list = l;
	assert_set_doing(task_describe);
	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail */
	ASSERT(pthread_mutex_unlock(&loop_list_mutex) == 0);
}

static void loop_list_remove(struct loop *l)
{
	ASSERT(pthread_mutex_lock(&loop_list_mutex) == 0);
	struct loop **at = &loop_list;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	ASSERT(pthread_mutex_unlock(&loop_list_mutex) == 0);
}

static void apply_settings(struct loop *l, const struct loop_settings *s)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = s->stack_bytes ? s->stack_bytes : context_stack_bytes_default();
	l->stack_bytes = (bytes + page - 1) / page * page;
	l->running_max = s->running_max ? s->running_max : RUNNING_MAX_DEFAULT;
	l->is_seeded = s->seed != 0;
	l->random_state = s->seed;
	l->is_virtual = s->is_virtual;
	if (l->is_virtual)
		clock_set_virtual(VIRTUAL_START_US, VIRTUAL_START_WALL_US);
}

static void loop_free(struct loop *l)
{
	scheduler_done(l);
	context_loop_done(l);
	mem_free(l->heap);
	close(l->epoll_fd);
	if (l->is_virtual)
		clock_set_real();
	loop_list_remove(l);
	loop_current = NULL;
	mem_free(l);
}

enum err loop_open(struct op *op, const struct loop_settings *settings)
{
	ASSERT(loop_current == NULL);
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		return op_fail_errno(op, "epoll_create1");
	struct loop *l = MEM_NEW(struct loop);
	l->epoll_fd = epoll_fd;
	l->signal_watch.fd = -1;
	l->done_watch.fd = -1;
	sigemptyset(&l->signal_set);
	list_init(&l->soon);
	list_init(&l->done_jobs);
	scheduler_init(l);
	context_loop_init(l);
	apply_settings(l, settings ? settings : &(struct loop_settings){ 0 });
	loop_list_add(l);
	loop_current = l;
	enum err e = offload_attach(op, l);
	if (e != ERR_NONE)
		loop_free(l);
	return e;
}

static bool has_work(const struct loop *l)
{
	return l->ready_count || !list_is_empty(&l->soon);
}

/* Milliseconds until the next timer, rounded up; -1: none. */
static int poll_timeout_ms(const struct loop *l)
{
	int64_t next = timer_next_us(l);
	if (has_work(l) || l->is_virtual)
		return 0;
	if (next == TIME_NEVER)
		return -1;
	int64_t us = next - now_us();
	return us <= 0 ? 0 : (int)MIN((us + US_PER_MS - 1) / US_PER_MS, 3600 * 1000);
}

/* Virtual time: nothing is ready, so whatever comes next comes from a timer. False: none is set. */
static bool jump_to_next_timer(struct loop *l)
{
	int64_t next = timer_next_us(l), now = now_us();
	if (next == TIME_NEVER)
		return false;
	if (next > now)
		clock_advance(next - now);
	return true;
}

/* One turn. False: virtual time has come to an end. */
static bool loop_round(struct loop *l)
{
	scheduler_run(l);
	watch_call_soon(l);
	if (l->heap_count)
		timer_fire_due(l, now_us());
	bool is_over = l->is_closing ? list_is_empty(&l->tasks) : l->is_stopping;
	if (is_over)
		return true;
	watch_poll(l, poll_timeout_ms(l));
	if (l->is_virtual && !has_work(l))
		return jump_to_next_timer(l);
	return true;
}

void loop_run(void)
{
	struct loop *l = loop_current;
	ASSERT(l != NULL && l->current == NULL);
	while (!l->is_stopping && loop_round(l)) {
	}
	l->is_stopping = false;
}

void loop_stop(void)
{
	loop_current->is_stopping = true;
}

bool loop_is_stopping(void)
{
	return loop_current->is_stopping || loop_current->is_closing;
}

void loop_close(void)
{
	struct loop *l = loop_current;
	ASSERT(l != NULL && l->current == NULL);
	l->is_closing = true;
	scheduler_cancel_all(l);
	while (!list_is_empty(&l->tasks)) {
		bool may_go_on = loop_round(l);
		ASSERT(may_go_on || list_is_empty(&l->tasks)); /* a shielded task waits for ever */
	}
	watchdog_done(l);
	offload_detach(l);
	signal_done(l);
	loop_free(l);
}

struct loop_stats loop_stats(void)
{
	return loop_current->stats;
}
