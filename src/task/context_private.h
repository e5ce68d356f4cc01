/* SPDX-License-Identifier: Apache-2.0 */
/* task/context_private.h - how a task runs beside the loop: the seam between the two backends.
 *
 * context_switch.c: a stack of its own and a switch of a few instructions (the normal one).
 * context_thread.c: a thread of its own; a baton says whose turn it is (-Dtask_threads=true): slower
 *                   by two orders of magnitude, but plain to every debugger. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct task;

#ifdef POMBAL_TASK_THREADS

#include <pthread.h>
#include <semaphore.h>

struct context {
	struct loop *loop; /* NULL: no thread yet */
	pthread_t thread;
	sem_t turn; /* posted: this context may run */
};

#else

struct context {
	void *sp;           /* saved stack pointer; the registers are pushed below it */
	void *fake_stack;   /* ASan's, while suspended */
	void *fiber;        /* TSan's */
	const void *bottom; /* ASan: of the stack this context runs on */
	size_t bytes;
};

/* A run of pages with a guard page below. */
struct stack {
	struct stack *next; /* in the pool */
	char *base;         /* lowest usable byte */
	size_t bytes;
	unsigned valgrind_id;
};
/* From the pool or fresh. Aborts when the kernel refuses: loop_settings.running_max bounds them. */
struct stack *stack_take(struct loop *l);
void stack_give(struct loop *l, struct stack *s);
void stack_pool_done(struct loop *l);

/* switch_*.S: saves the caller's registers on its stack and *save_sp, goes on at load_sp. */
void context_swap(void **save_sp, void *load_sp);
/* Layout of a suspended stack, in words from its sp (also in tools/gdb/tasks.py). */
#if defined(__x86_64__)
#define CONTEXT_SAVED_WORDS 8 /* mxcsr+x87, r15 r14 r13 r12 rbx, rbp, return address */
#elif defined(__aarch64__)
#define CONTEXT_SAVED_WORDS 22 /* x29 x30, x19..x28, d8..d15, fpcr, padding */
#else
#error "no stack switch for this processor: write switch_<cpu>.S or build with -Dtask_threads=true"
#endif

#endif

void context_loop_init(struct loop *l);
void context_loop_done(struct loop *l);
/* Loop's side: lets `t` (fresh or suspended) run until it suspends or ends. */
void context_resume(struct loop *l, struct task *t);
/* Task's side: back to the loop; returns when resumed. */
void context_suspend(struct loop *l, struct task *t);
/* Loop's side: the task has ended, its stack or thread goes. */
void context_release(struct loop *l, struct task *t);
/* Reserved address space of one task (for the high-water mark): see loop_settings.stack_bytes. */
size_t context_stack_bytes_default(void);
