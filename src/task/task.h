/* SPDX-License-Identifier: Apache-2.0 */
/* task/task.h - straight-line code that waits: tasks on one loop per thread.
 *
 * A task is a stackful coroutine. It runs until it waits in a call marked WAITS (or ends); between
 * two waits nothing else in the process touches the state of its users and mailboxes, so that state
 * needs no locks between threads. What was read before a wait is read again after it.
 *
 * Life:    loop_open() -> task_start()... -> loop_run() -> loop_stop() -> loop_close().
 *
 * Parked:  a connection that waits for its client holds no task: it registers a watch or timer
 *          whose callback starts one when there is something to do.
 *
 * Rules:   callbacks (watch, timer, signal) run on the loop's own stack and must not wait. Every
 *          wait obeys op->deadline_us (ERR_TIMEOUT) and task_cancel() (ERR_CANCELLED). Tasks never
 *          move between threads. Never wait between an SSL call and its error check.
 *
 * Order:   ready tasks run first in, first out, or in a seeded order (simulation).
 *
 * Cost:    a switch is about 50 ns, starting a task from the pool about 100 ns; no system calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/op.h"

struct buf;

/* ---- the loop ---- */

struct loop_settings {
	bool is_virtual;    /* time moves only when nothing is ready: to the next timer */
	uint64_t seed;      /* non-zero: ready tasks and offloaded results come in a seeded order */
	size_t stack_bytes; /* 0: 256 KiB (four times as much in instrumented builds) */
	unsigned
		running_max; /* 0: 4096; further tasks queue until one ends (members of groups: never) */
};

/* One loop per thread. `settings` may be NULL. SIGPIPE is ignored from now on: a peer that left is
 * an error where we write. Virtual time starts at fixed values: who wants others calls
 * clock_set_virtual() after this. */
enum err loop_open(struct op *op, const struct loop_settings *settings);
/* Runs until loop_stop(), and may be called again after it. In virtual time it also ends when nothing is left that could happen. */
void loop_run(void);
void loop_stop(void);
/* Cancels what still runs, runs it to its end, frees everything. */
void loop_close(void);
bool loop_is_stopping(void);

struct loop_stats {
	size_t tasks_live, tasks_queued, stacks_mapped, stacks_pooled;
	size_t stack_high_water_bytes; /* deepest use of any stack so far (debug builds) */
	uint64_t switches, polls, timers_fired, offloaded;
};
struct loop_stats loop_stats(void);

/* ---- tasks ---- */

struct task; /* the debugger's and the scheduler's view: task_private.h */

/* Names a task also after it ended; a stale handle is harmless everywhere. Zeroed: no task. */
struct task_handle {
	struct task *task;
	uint64_t serial;
};
typedef void task_fn(void *arg);

/* Queues a task; it first runs from the loop. `name` is static text. May be called from callbacks.
 */
struct task_handle task_start(const char *name, task_fn *fn, void *arg);
/* The running task; zeroed on the loop's own stack. */
struct task_handle task_self(void);
bool task_is_alive(struct task_handle t);
/* The task's current or next wait returns ERR_CANCELLED, and so does each wait after it. */
void task_cancel(struct task_handle t);
bool task_is_cancelled(void); /* of the running task */
/* Shields the running task from task_cancel() for clean-up and commits (nests). */
void task_shield(void);
void task_unshield(void);

/* What this task is doing, for the watchdog, crash slots and gdb. Borrowed: static or outliving. */
void task_set_doing(struct str user, struct str doing);

/* WAITS. Lets others run; cheap (a coarse clock) unless this task ran for 2 ms or more. Loops over
 * messages call it every round. In virtual time chance decides instead of the clock. */
void task_breathe(void);
/* WAITS. Always goes to the end of the queue. */
void task_yield(void);
/* WAITS. ERR_NONE after `us`; ERR_TIMEOUT/ERR_CANCELLED earlier. */
enum err task_sleep(struct op *op, int64_t us);

/* ---- waiting for each other ---- */

/* Tasks that wait for something to change. A zeroed queue is valid. It may be freed only empty. */
struct wait_queue {
	struct list waiters;
};
/* WAITS. Until woken: then check the condition again, as with a condition variable. */
enum err wait_queue_wait(struct op *op, struct wait_queue *q);
void wait_queue_wake_one(struct wait_queue *q);
void wait_queue_wake_all(struct wait_queue *q);

/* Guards what must hold across a wait. First come, first served. Zeroed: unlocked. */
struct task_mutex {
	struct task_handle owner;
	struct wait_queue waiters;
};
/* WAITS. */
enum err task_mutex_lock(struct op *op, struct task_mutex *m);
void task_mutex_unlock(struct task_mutex *m);

/* Fan-out: start some, wait for all; the first error cancels the rest.
 * Each child gets an op of its own (arena shared with the parent op, same deadline and event). */
struct task_group;
typedef enum err task_group_fn(struct op *op, void *arg);
struct task_group *task_group_new(struct op *op);
void task_group_start(struct task_group *g, const char *name, task_group_fn *fn, void *arg);
/* WAITS for every child, also after an error or cancellation; frees the group. The first error,
 * with its text in the parent's op. */
enum err task_group_finish(struct op *op, struct task_group *g);

/* ---- timers: callbacks on the loop's stack ---- */

typedef void timer_fn(void *arg);
struct timer {
	int64_t at_us;     /* TIME_NEVER: not set */
	uint64_t order;    /* ties fire in the order of setting */
	size_t heap_index; /* 0: not in the heap */
	timer_fn *fn;
	void *arg;
};
void timer_init(struct timer *t, timer_fn *fn, void *arg);
/* At `at_us` (monotonic); replaces an earlier setting. O(log n). */
void timer_set(struct timer *t, int64_t at_us);
void timer_cancel(struct timer *t); /* harmless when not set */

/* ---- descriptors ---- */

enum watch_event {
	WATCH_READ = 1,   /* input, end of input or error */
	WATCH_WRITE = 2,  /* room for output, or error */
	WATCH_HANGUP = 4, /* the peer ended its side, or error: stays set, watch_forget() or not */
};
struct watch;
/* Called once per edge with what became ready (WATCH_* bits). */
typedef void watch_fn(struct watch *w, unsigned events, void *arg);

/* A descriptor known to the loop: edge-triggered. WATCH_WRITE is told from the first watch_forget() or
 * watch_wait() that names it.
 * Use: try the system call; on EAGAIN call watch_forget(), then watch_wait(), and try again.
 * Embedded in its user, who does not move it while it is open. */
struct watch {
	int fd;         /* borrowed; -1: not open */
	unsigned ready; /* WATCH_* bits seen since the last watch_forget() */
	watch_fn *fn;   /* may be NULL */
	void *arg;
	struct wait_queue readers;
	struct wait_queue writers;
	struct list soon; /* private: watch_on() with an event already known */
	bool wants_write; /* private: it was asked for */
};
/* Registers `fd` (non-blocking). `fn` may be NULL or set later with watch_on(). */
enum err watch_open(struct op *op, struct watch *w, int fd, watch_fn *fn, void *arg);
/* Replaces the callback (NULL: none). If an event is already known it is called from the loop soon.
 */
void watch_on(struct watch *w, watch_fn *fn, void *arg);
/* Call when the system call said EAGAIN: the next edge counts. */
void watch_forget(struct watch *w, unsigned events);
/* WAITS until one of `events` (WATCH_* bits) is ready. */
enum err watch_wait(struct op *op, struct watch *w, unsigned events);
/* Unregisters; waiters return ERR_CANCELLED. The descriptor stays the caller's to close. */
void watch_close(struct watch *w);

/* Signals arrive as callbacks on the loop (signalfd); blocked for the thread and its offload
 * threads. */
typedef void signal_fn(int signal_number, void *arg);
enum err loop_on_signal(struct op *op, int signal_number, signal_fn *fn, void *arg);

/* ---- offload: blocking calls, fsync, password hashes, long computations ---- */

enum offload_pool {
	OFFLOAD_DISK,    /* fsync, cold reads, SQLite */
	OFFLOAD_CPU,     /* hashes, compression, big parses */
	OFFLOAD_LIBRARY, /* libraries that block on the network */
};
#define OFFLOAD_POOL_COUNT (OFFLOAD_LIBRARY + 1)

/* A job owns everything it touches. Embed it first in a struct with arguments and results. */
struct offload_job {
	void (*run)(struct offload_job *job);     /* on a pool thread; no waits, no loop calls */
	void (*release)(struct offload_job *job); /* frees the job; see offload() */
	/* private to task/ */
	struct list link;
	struct wait_queue waiter;
	struct loop *loop;
	uint32_t state;
	enum offload_pool pool;
};
/* WAITS. ERR_NONE: it ran; the caller reads its results and then calls job->release() itself.
 * Any error (deadline, cancelled): the job was abandoned and releases itself when it has run, or at
 * once if it had not started; the caller must not touch it again.
 * In virtual time the job runs inline, at a seeded later moment. */
enum err offload(struct op *op, enum offload_pool pool, struct offload_job *job);

/* What a thread does with a file: it waits for nothing; its failure is told to `op`, which is the job's own. */
typedef enum err offload_file_fn(struct op *op, const char *path, struct buf *content);
/* WAITS. Calls `fn` on a thread of the disk pool. The bytes of *content (NULL: there are none) are moved there, and
 * back on success; after an error *content is empty and its bytes were wiped. Errors: those of `fn` with their text,
 * and those of offload(). */
enum err offload_file(struct op *op, offload_file_fn *fn, struct str path, struct buf *content);
/* Threads of a pool (default: DISK 8, CPU number of cores, LIBRARY 16). Before first use. */
void offload_set_threads(enum offload_pool pool, unsigned count);

/* ---- watchdog ---- */

/* Reports each task that ran `limit_us` without a wait: called on the loop, after the fact, with where
 * it was when it had run that long. Off in virtual time.
 * Cost: nothing at a switch beyond the coarse clock; while the thread computes, a signal (SIGPROF) for
 * each half of the limit. */
struct watchdog_report {
	const char *task_name;
	struct str user, doing; /* empty if the task has ended meanwhile */
	int64_t ran_us;
	/* Return addresses, innermost first; none if it waited in the kernel instead of computing. */
	void *const *frames;
	size_t frame_count;
};
typedef void watchdog_fn(const struct watchdog_report *report);
void loop_set_watchdog(int64_t limit_us, watchdog_fn *fn); /* fn NULL: off */

/* The shared-memory slot that tells the master what this process was doing when it died. Written at
 * every switch to a task that named a user. */
struct crash_slot {
	uint32_t generation; /* odd while being written */
	int32_t pid;
	char user[256];
	char doing[256];
};
void loop_set_crash_slot(struct crash_slot *slot); /* borrowed, in shared memory; NULL: none */
