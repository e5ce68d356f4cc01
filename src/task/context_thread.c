/* SPDX-License-Identifier: Apache-2.0 */
/* The debugging backend: a task is a thread, and a baton makes sure that only one of them, or the
 * loop, runs at a time. Everything else of task/ is the same code. */
#include "task/task_private.h"

#ifdef POMBAL_TASK_THREADS

#include <errno.h>

size_t context_stack_bytes_default(void)
{
	return (size_t)(1024 * 1024);
}

static void take_turn(sem_t *turn)
{
	while (sem_wait(turn) != 0)
		ASSERT(errno == EINTR);
}

static void give_turn(sem_t *turn)
{
	ASSERT(sem_post(turn) == 0);
}

static void *thread_main(void *arg)
{
	struct task *t = arg;
	struct loop *l = t->context.loop;
	loop_current = l;
	task_main(t);
	give_turn(&l->context.turn);
	return NULL;
}

static void context_start(struct loop *l, struct task *t)
{
	pthread_attr_t attr;
	ASSERT(sem_init(&t->context.turn, 0, 0) == 0);
	ASSERT(pthread_attr_init(&attr) == 0);
	ASSERT(pthread_attr_setstacksize(&attr, l->stack_bytes) == 0);
	t->context.loop = l;
	sigset_t before;
	signal_block_most(&before);
	ASSERT(pthread_create(&t->context.thread, &attr, thread_main, t) == 0);
	ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	(void)pthread_attr_destroy(&attr); /* cannot fail */
}

void context_loop_init(struct loop *l)
{
	ASSERT(sem_init(&l->context.turn, 0, 0) == 0);
}

void context_loop_done(struct loop *l)
{
	(void)sem_destroy(&l->context.turn); /* nobody waits any more */
}

void context_resume(struct loop *l, struct task *t)
{
	if (!t->context.loop)
		context_start(l, t);
	else
		give_turn(&t->context.turn);
	take_turn(&l->context.turn);
	/* The task may have asked for a signal: its own thread blocks it, ours must too. */
	ASSERT(pthread_sigmask(SIG_BLOCK, &l->signal_set, NULL) == 0);
}

void context_suspend(struct loop *l, struct task *t)
{
	give_turn(&l->context.turn);
	take_turn(&t->context.turn);
}

void context_release(struct loop *l, struct task *t)
{
	(void)l;
	ASSERT(pthread_join(t->context.thread, NULL) == 0);
	(void)sem_destroy(&t->context.turn); /* its one waiter has ended */
	t->context.loop = NULL;
}

#endif
