/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking and long work on bounded pools of threads; the task that asked waits on its loop.
 *
 *   QUEUED --thread--> RUNNING --> DONE (in loop->done_jobs; an eventfd tells the loop) --> waiter
 *      \--waiter gives up: released    \--waiter gives up--> ABANDONED --ran--> released
 *
 * Invariants: 1. job->state, the queues and loop->done_jobs change only under `pools_mutex`.
 *             2. A pool thread touches a loop only for a job that was not abandoned: its waiter keeps the
 *                loop alive until the job is in loop->done_jobs, loop->tellers from there on.
 *             3. A waiter that got ERR_NONE owns the job; after any other error it is not its own.
 *
 * In virtual time there are no threads: a job runs on the loop at a moment drawn from the seed. */
#include "task/task_private.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum job_state { JOB_QUEUED = 1, JOB_RUNNING, JOB_DONE, JOB_ABANDONED };

/* In virtual time a job takes 1 us to this long. */
#define VIRTUAL_JOB_US_MAX 2000

struct pool {
	const char *name;
	struct list jobs;
	pthread_cond_t has_jobs;
	unsigned threads_max;            /* 0: number of processors */
	unsigned threads, idle, waiting; /* waiting: jobs in the queue */
};

static struct pool pools[OFFLOAD_POOL_COUNT] = {
	[OFFLOAD_DISK] = { .name = "disk", .has_jobs = PTHREAD_COND_INITIALIZER, .threads_max = 8 },
	[OFFLOAD_CPU] = { .name = "cpu", .has_jobs = PTHREAD_COND_INITIALIZER },
	[OFFLOAD_LIBRARY] = { .name = "library",
		.has_jobs = PTHREAD_COND_INITIALIZER,
		.threads_max = 16 },
};
static pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t nobody_left = PTHREAD_COND_INITIALIZER; /* a thread or teller less */
static unsigned loops_attached; /* threads leave when the last one goes */

static void lock(void)
{
	ASSERT(pthread_mutex_lock(&pools_mutex) == 0);
}

static void unlock(void)
{
	ASSERT(pthread_mutex_unlock(&pools_mutex) == 0);
}

static void take_from_queue(struct offload_job *job)
{
	list_remove(&job->link);
	pools[job->pool].waiting--;
}

/* ---- pool threads ---- */

/* Called and returns locked; the loop is woken unlocked, since it wants the mutex at once. */
static void tell_loop(struct offload_job *job)
{
	struct loop *l = job->loop;
	bool was_empty = list_is_empty(&l->done_jobs);
	uint64_t one = 1;
	list_add_last(&l->done_jobs, &job->link);
	if (!was_empty)
		return;
	l->tellers++;
	unlock();
	ASSERT(write(l->done_watch.fd, &one, sizeof one) == (ssize_t)sizeof one);
	lock();
	if (--l->tellers == 0)
		ASSERT(pthread_cond_broadcast(&nobody_left) == 0);
}

/* Called and returns locked. */
static void run_job(struct offload_job *job)
{
	take_from_queue(job);
	job->state = JOB_RUNNING;
	unlock();
	job->run(job);
	lock();
	if (job->state == JOB_ABANDONED) {
		unlock();
		job->release(job);
		lock();
		return;
	}
	job->state = JOB_DONE;
	tell_loop(job);
}

static void *thread_main(void *arg)
{
	struct pool *p = arg;
	lock();
	while (loops_attached) {
		struct offload_job *job = LIST_FIRST(&p->jobs, struct offload_job, link);
		if (job) {
			run_job(job);
			continue;
		}
		p->idle++;
		ASSERT(pthread_cond_wait(&p->has_jobs, &pools_mutex) == 0);
		p->idle--;
	}
	p->threads--;
	ASSERT(pthread_cond_broadcast(&nobody_left) == 0);
	unlock();
	return NULL;
}

static bool add_thread(struct pool *p)
{
	sigset_t before;
	pthread_t thread;
	pthread_attr_t attr;
	ASSERT(pthread_attr_init(&attr) == 0);
	ASSERT(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0);
	signal_block_most(&before);
	bool is_running = pthread_create(&thread, &attr, thread_main, p) == 0;
	ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	(void)pthread_attr_destroy(&attr); /* cannot fail */
	if (is_running) {
		char name[16];
		(void)snprintf(name, sizeof name, "offload-%s", p->name); /* cut is fine */
		(void)pthread_setname_np(thread, name);                   /* for ps and gdb only */
		p->threads++;
	}
	return is_running;
}

static unsigned threads_max(const struct pool *p)
{
	long cpus = p->threads_max ? 0 : sysconf(_SC_NPROCESSORS_ONLN);
	return p->threads_max ? p->threads_max : (unsigned)MAX(cpus, 1);
}

/* Called locked, returns unlocked. False: there is no thread that could ever run it. A thread is woken
 * after unlocking: it would only wake to wait for the mutex. */
static bool queue_job(struct offload_job *job)
{
	struct pool *p = &pools[job->pool];
	bool has_thread = true;
	job->state = JOB_QUEUED;
	list_add_last(&p->jobs, &job->link);
	p->waiting++;
	/* A thread that was signalled counts as idle until it runs: so compare, don't just look. */
	if (p->waiting > p->idle && p->threads < threads_max(p))
		has_thread = add_thread(p) || p->threads > 0;
	if (!has_thread)
		take_from_queue(job);
	unlock();
	ASSERT(pthread_cond_signal(&p->has_jobs) == 0);
	return has_thread;
}

/* ---- the waiter's side ---- */

/* The waiter gives up. True: the job has run after all, and is the waiter's. */
static bool abandon(struct offload_job *job)
{
	bool has_run = false, is_ours = false;
	lock();
	switch ((enum job_state)job->state) {
	case JOB_QUEUED:
		take_from_queue(job);
		is_ours = true;
		break;
	case JOB_RUNNING:
		job->state = JOB_ABANDONED;
		break;
	case JOB_DONE:
		list_remove(&job->link); /* if the loop did not take it yet */
		has_run = true;
		break;
	case JOB_ABANDONED:
		UNREACHABLE();
	}
	unlock();
	if (is_ours)
		job->release(job);
	return has_run;
}

static void run_virtual(void *arg)
{
	struct offload_job *job = arg;
	job->run(job);
	job->state = JOB_DONE;
	wait_queue_wake_one(&job->waiter);
}

static enum err offload_virtual(struct op *op, struct offload_job *job)
{
	struct timer moment;
	timer_init(&moment, run_virtual, job);
	int64_t delay_us = 1 + (int64_t)loop_random_below(job->loop, VIRTUAL_JOB_US_MAX);
	timer_set(&moment, now_us() + delay_us);
	enum err e = wait_queue_wait(op, &job->waiter);
	if (e == ERR_NONE)
		return ERR_NONE;
	if (job->state == JOB_DONE) {
		op_forgive(op);
		return ERR_NONE;
	}
	timer_cancel(&moment);
	job->release(job);
	return e;
}

enum err offload(struct op *op, enum offload_pool pool, struct offload_job *job)
{
	struct loop *l = loop_current;
	job->pool = pool;
	job->loop = l;
	job->link = (struct list){ 0 };
	job->waiter = (struct wait_queue){ 0 };
	job->state = JOB_QUEUED;
	l->stats.offloaded++;
	if (l->is_virtual)
		return offload_virtual(op, job);

	lock();
	bool is_queued = queue_job(job);
	if (!is_queued) {
		job->release(job);
		return op_fail(
			op, ERR_UNAVAILABLE, "cannot start a thread for %s jobs", pools[pool].name);
	}
	enum err e = wait_queue_wait(op, &job->waiter);
	if (e != ERR_NONE && abandon(job)) {
		op_forgive(op);
		return ERR_NONE;
	}
	return e;
}

void offload_set_threads(enum offload_pool pool, unsigned count)
{
	lock();
	pools[pool].threads_max = count;
	unlock();
}

/* ---- the loop's side ---- */

static struct offload_job *take_done(struct loop *l)
{
	lock();
	struct offload_job *job = LIST_FIRST(&l->done_jobs, struct offload_job, link);
	if (job)
		list_remove(&job->link);
	unlock();
	return job;
}

/* Seeded order needs nothing here: the woken tasks are drawn from the ring. */
static void jobs_done(struct watch *w, unsigned events, void *arg)
{
	struct loop *l = arg;
	struct offload_job *job;
	(void)events;
	/* Each write is an edge, whatever was not read: the number grows until the loop ends. */
	watch_forget(w, WATCH_READ);
	while ((job = take_done(l)) != NULL)
		wait_queue_wake_one(&job->waiter);
}

enum err offload_attach(struct op *op, struct loop *l)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return op_fail_errno(op, "eventfd");
	enum err e = watch_open(op, &l->done_watch, fd, jobs_done, l);
	if (e != ERR_NONE) {
		close(fd);
		return e;
	}
	lock();
	for (size_t i = 0; i < ARRAY_COUNT(pools); i++)
		if (!pools[i].jobs.next)
			list_init(&pools[i].jobs);
	loops_attached++;
	unlock();
	return ERR_NONE;
}

static bool has_idle_threads(void)
{
	for (size_t i = 0; i < ARRAY_COUNT(pools); i++)
		if (pools[i].idle)
			return true;
	return false;
}

/* Waits for those who are telling this loop, and for idle threads of the last loop; one that is busy with an abandoned job leaves after it.
 */
void offload_detach(struct loop *l)
{
	int fd = l->done_watch.fd;
	lock();
	loops_attached--;
	for (size_t i = 0; i < ARRAY_COUNT(pools) && !loops_attached; i++)
		ASSERT(pthread_cond_broadcast(&pools[i].has_jobs) == 0);
	while (l->tellers || (!loops_attached && has_idle_threads()))
		ASSERT(pthread_cond_wait(&nobody_left, &pools_mutex) == 0);
	unlock();
	watch_close(&l->done_watch);
	close(fd);
}
