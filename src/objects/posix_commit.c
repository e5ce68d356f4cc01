/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_commit.c - puts and removals that share a sync, on the loop.
 *
 *   posix_commit() -> queue -> commit task: takes all, one offload job makes the files and commits
 *   the journal -> waiters woken -> again, until the queue is empty
 *
 * The commit task belongs to the queue and holds it: a waiter whose deadline passes leaves, his
 * request is carried out all the same, and so it is when the store is closed meanwhile. */
#include "objects/posix_journal.h"
#include "objects/posix_private.h"

#define GROUP_MAX   128
#define GROUP_BYTES ((size_t)4 << 20)

struct commit_queue {
	unsigned refs;
	struct tree *tree; /* referenced */
	struct list waiting;
	bool is_committing, is_retiring;
	struct wait_queue retired;
};

struct group_job {
	struct offload_job job; /* first */
	struct tree *tree;      /* borrowed: of the queue, which the commit task holds */
	size_t count;
	struct posix_job *members[GROUP_MAX];
};

struct commit_queue *commit_queue_new(struct tree *t)
{
	struct commit_queue *q = MEM_NEW(struct commit_queue);
	q->refs = 1;
	q->tree = t;
	tree_ref(t);
	list_init(&q->waiting);
	return q;
}

void commit_queue_unref(struct commit_queue *q)
{
	if (--q->refs > 0)
		return;
	tree_unref(q->tree);
	mem_free(q);
}

/* On an offload thread. */
static void group_run(struct offload_job *job)
{
	struct group_job *g = CONTAINER_OF(job, struct group_job, job);
	struct journal *journal = tree_journal(g->tree);
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	for (size_t i = 0; i < g->count; i++)
		g->members[i]->result = posix_job_try(g->members[i]);
	enum err e = journal_commit(&op, journal);
	for (size_t i = 0; i < g->count && e != ERR_NONE; i++) {
		struct posix_job *j = g->members[i];
		if (j->result == ERR_NONE && j->is_journalled)
			j->result = op_fail(&j->op, e, "%s", op.failure.text);
	}
}

static void group_release(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct group_job, job));
}

static void answer(struct posix_job *j)
{
	j->is_done = true;
	if (j->is_left)
		posix_job_release(&j->job);
	else
		wait_queue_wake_one(&j->waiter);
}

/* WAITS. The front of the queue. */
static void commit_group(struct op *op, struct commit_queue *q)
{
	struct posix_job *members[GROUP_MAX], *j, *next;
	struct group_job *g = MEM_NEW(struct group_job);
	size_t bytes = 0, count = 0;
	g->job.run = group_run;
	g->job.release = group_release;
	g->tree = q->tree;
	LIST_FOR_EACH(j, next, &q->waiting, struct posix_job, link)
	{
		if (count == GROUP_MAX || bytes > GROUP_BYTES)
			break;
		list_remove(&j->link);
		bytes += j->size;
		members[count++] = j;
	}
	memcpy(g->members, members, count * sizeof(members[0]));
	g->count = count;
	if (offload(op, OFFLOAD_DISK, &g->job) == ERR_NONE) {
		group_release(&g->job);
	} else {
		for (size_t i = 0; i < count; i++)
			members[i]->result =
				op_fail(&members[i]->op, op->failure.class, "%s", op->failure.text);
		op_forgive(op);
	}
	for (size_t i = 0; i < count; i++)
		answer(members[i]);
}

/* ---- the sync that makes a journal file free ---- */

struct retire_job {
	struct offload_job job; /* first */
	struct tree *tree;      /* referenced */
};

static void retire_run(struct offload_job *job)
{
	journal_retire(tree_journal(CONTAINER_OF(job, struct retire_job, job)->tree));
}

static void retire_release(struct offload_job *job)
{
	struct retire_job *j = CONTAINER_OF(job, struct retire_job, job);
	tree_unref(j->tree);
	mem_free(j);
}

static void retire_task(void *arg)
{
	struct commit_queue *q = arg;
	struct retire_job *j = MEM_NEW(struct retire_job);
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	j->job.run = retire_run;
	j->job.release = retire_release;
	j->tree = q->tree;
	tree_ref(q->tree);
	task_shield();
	if (offload(&op, OFFLOAD_DISK, &j->job) == ERR_NONE)
		retire_release(&j->job);
	else
		op_forgive(&op); /* tried again after the next commit */
	task_unshield();
	q->is_retiring = false;
	wait_queue_wake_all(&q->retired);
	commit_queue_unref(q);
}

/* ---- the task ---- */

/* WAITS when the disk is slower with the sync than we are with the journal: it must not grow
 * without end, since the next opening has to read it. */
static void retire_if_full(struct op *op, struct commit_queue *q)
{
	struct journal *journal = tree_journal(q->tree);
	if (!q->is_retiring && journal_wants_retirement(journal)) {
		q->is_retiring = true;
		q->refs++;
		task_start("objects journal", retire_task, q);
	}
	while (q->is_retiring && journal_is_overfull(journal))
		(void)wait_queue_wait(op, &q->retired); /* no deadline, not cancellable */
}

static void commit_task(void *arg)
{
	struct commit_queue *q = arg;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	task_shield();
	while (!list_is_empty(&q->waiting)) {
		commit_group(&op, q);
		retire_if_full(&op, q);
	}
	task_unshield();
	q->is_committing = false;
	commit_queue_unref(q);
}

enum err posix_commit(struct op *op, struct commit_queue *q, struct posix_job *j)
{
	list_add_last(&q->waiting, &j->link);
	if (!q->is_committing) {
		q->is_committing = true;
		q->refs++;
		task_start("objects commit", commit_task, q);
	}
	enum err e = ERR_NONE;
	while (e == ERR_NONE && !j->is_done)
		e = wait_queue_wait(op, &j->waiter);
	if (j->is_done) {
		op_forgive(op);
		return ERR_NONE;
	}
	j->is_left = true;
	return e;
}
