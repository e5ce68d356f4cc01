/* SPDX-License-Identifier: Apache-2.0 */
/* task/task_private.h - what the files of task/ share: the loop, its tasks, and the debugger's view.
 *
 * A task is in exactly one of these states:
 *
 *   QUEUED --room--> READY --loop--> RUNNING --wait--> WAITING --wake--> READY ...
 *                                       \--end--> FREE (its struct is reused; serial changes)
 *
 * Invariants: 1. loop->current is the one RUNNING task, or NULL on the loop's own stack.
 *             2. A READY task is once in the ring; a WAITING one at most in one wait queue, and
 *                whoever wakes it takes it out of that queue and unsets its timer.
 *             3. A stack belongs to a task from its first run to its end.
 *             4. Task structs live until loop_close(), so that old handles may be looked at.
 *
 * tools/gdb/tasks.py reads loop_list, loop.tasks, task.context and task.stack: keep it in step. */
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/base.h"
#include "base/list.h"
#include "task/context_private.h"
#include "task/task.h"

#define RUNNING_MAX_DEFAULT 4096
#define POLL_EVENTS_MAX     256
#define SIGNAL_NUMBER_MAX   64
#define WATCHDOG_FRAMES_MAX 32

enum task_state { TASK_FREE, TASK_QUEUED, TASK_READY, TASK_RUNNING, TASK_WAITING };

struct task {
	struct context context; /* first: the debugger and the entry code look here */
	struct stack *stack;    /* owned; NULL before the first run */
	uint64_t serial;        /* of the handle; changes at the end */
	enum task_state state;
	const char *name;
	task_fn *fn;
	void *arg;
	struct list all;       /* in loop->tasks */
	struct list link;      /* in a wait queue, loop->queued or loop->free_tasks */
	struct timer timeout;  /* of the current wait */
	enum err wake_error;   /* what the current wait returns */
	unsigned watch_events; /* WATCH_* bits the current watch_wait() wants */
	unsigned shields;
	bool is_cancelled;
	bool is_ended;
	/* borrowed: outlive their use (task_set_doing) */
	struct str user;
	struct str doing;
};

struct signal_handler {
	signal_fn *fn;
	void *arg;
};

struct loop {
	struct context context; /* the loop's own stack while a task runs */
	struct loop *next;      /* in loop_list */
	struct task *current;

	struct list tasks;  /* all that live */
	struct list queued; /* those above running_max, in order */
	struct list free_tasks;
	struct task **ready; /* ring of ready_cap (power of two) */
	size_t ready_head, ready_count, ready_cap;
	uint64_t next_serial;
	unsigned running, running_max;
	bool is_virtual, is_seeded, is_stopping, is_closing;
	uint64_t random_state;

	struct stack *stack_pool;
	size_t stack_bytes;

	struct timer **heap; /* heap[1] fires first; heap[0] is unused */
	size_t heap_count, heap_cap;
	uint64_t timer_order;

	int epoll_fd;
	struct epoll_event events[POLL_EVENTS_MAX]; /* the batch being handed out */
	int event_at, event_count;
	struct list soon; /* watches to call back without a new edge */

	struct watch done_watch; /* an eventfd */
	struct list done_jobs;   /* guarded by the offload mutex */
	unsigned tellers;        /* threads about to write to done_watch; guarded by it as well */

	struct watch signal_watch; /* a signalfd */
	sigset_t signal_set;
	struct signal_handler signals[SIGNAL_NUMBER_MAX + 1];

	int64_t watchdog_us; /* 0: off */
	watchdog_fn *watchdog;
	/* Samples of a turn that lasts; written by the signal's handler on this thread. */
	timer_t sampler;
	bool has_sampler;
	uint64_t sampled_switch; /* stats.switches at the last sample */
	unsigned sample_count;   /* of that turn */
	void *frames[WATCHDOG_FRAMES_MAX];
	int frame_count;
	int64_t run_start_ns; /* coarse, of the current task's turn */
	struct crash_slot *crash_slot;
	bool crash_slot_is_set;

	struct loop_stats stats;
};

/* The loop of this thread; NULL: none. */
extern __thread struct loop *loop_current;
/* All loops of the process, for the debugger. */
extern struct loop *loop_list;

/* scheduler.c */
void scheduler_init(struct loop *l);
void scheduler_done(struct loop *l);
void scheduler_run(struct loop *l); /* one round of ready tasks */
struct task *scheduler_start(const char *name, task_fn *fn, void *arg, bool may_queue);
void scheduler_cancel_all(struct loop *l);
struct task *task_from_handle(struct task_handle h); /* NULL: ended */
struct task_handle task_handle_of(struct task *t);
void task_main(struct task *t); /* what a fresh context runs */
/* Suspends the running task until task_wake(); returns its error. */
enum err task_suspend(void);
void task_wake(struct task *t, enum err error);
/* The loop's own random stream: the same for the same seed. */
uint64_t loop_random_below(struct loop *l, uint64_t limit);

/* wait.c: as wait_queue_wait(), until `until_us` at the latest; q may be NULL. Records failures. */
enum err wait_until(struct op *op, struct wait_queue *q, int64_t until_us);
struct task *wait_queue_first(struct wait_queue *q); /* NULL: empty */
void wait_queue_fail_all(struct wait_queue *q, enum err error);

/* timer.c */
void timer_fire_due(struct loop *l, int64_t now);
int64_t timer_next_us(const struct loop *l); /* TIME_NEVER: none */

/* watch.c */
void watch_poll(struct loop *l, int timeout_ms);
void watch_call_soon(struct loop *l);

/* offload.c */
enum err offload_attach(struct op *op, struct loop *l);
void offload_detach(struct loop *l);

/* signal.c */
/* For a thread about to be made: all blocked but faults, which their handlers must see. */
void signal_block_most(sigset_t *before);
void signal_done(struct loop *l);

/* watchdog.c */
int64_t coarse_now_ns(void);
void watchdog_done(struct loop *l);
void watchdog_check(struct loop *l, const struct task *t, const char *name, bool has_ended);
void crash_slot_write(struct loop *l, const struct task *t);
void crash_slot_clear(struct loop *l);
const char *task_describe(void); /* for assert_set_doing() */
