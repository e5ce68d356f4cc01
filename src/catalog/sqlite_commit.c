/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/sqlite_commit.c - the queue of batches of one shard, and the task that commits them; on
 * the loop.
 *
 *   committer_write() -> queue -> commit task: takes all, one offload job writes them in one
 *   transaction -> waiters woken -> again, until the queue is empty
 *
 * The commit task belongs to the shard: a waiter whose deadline passes leaves, its batch is written
 * all the same.
 *
 * The WAL starts anew only when all of it stands in the database. Above CHECKPOINT_PAGES a checkpoint
 * runs beside the commits and moves nearly all; the commit task then moves the small rest, which
 * came meanwhile, between two commits. */
#include "catalog/sqlite_private.h"
#include "task/task.h"

#define GROUP_REQUESTS_MAX 256
#define GROUP_BYTES_MAX    ((size_t)8 << 20)
#define CHECKPOINT_PAGES   1000

/* ---- batches ---- */

struct waiting_write {
	struct write_request request; /* first; its texts are in `memory` */
	struct arena memory;
	bool is_done;
	bool is_left; /* the waiter is gone: the commit task frees it */
	struct wait_queue waiter;
};

static struct waiting_write *waiting_write_new(
	struct str user, const struct catalog_change *changes, size_t count)
{
	struct waiting_write *w = MEM_NEW(struct waiting_write);
	arena_init(&w->memory, 0);
	w->request.user = str_dup(&w->memory, user);
	w->request.count = count;
	w->request.changes = ARENA_NEW_ARRAY(&w->memory, struct catalog_change, count);
	for (size_t i = 0; i < count; i++) {
		struct catalog_change *change = &w->request.changes[i];
		*change = changes[i];
		change->key = str_dup(&w->memory, change->key);
		change->value = str_dup(&w->memory, change->value);
		change->object = str_dup(&w->memory, change->object);
		change->row.value = str_dup(&w->memory, change->row.value);
	}
	w->request.bytes = w->memory.used_bytes;
	return w;
}

static void waiting_write_free(struct waiting_write *w)
{
	arena_done(&w->memory);
	mem_free(w->request.failure);
	mem_free(w);
}

/* Its requests live until the commit task has read the results: that task is shielded and has no
 * deadline, so the job is never abandoned while it runs. */
struct commit_job {
	struct offload_job job; /* first */
	struct shard *shard;
	size_t count;
	unsigned commits; /* out */
	struct write_request *requests[GROUP_REQUESTS_MAX];
};

static void commit_run(struct offload_job *job)
{
	struct commit_job *j = CONTAINER_OF(job, struct commit_job, job);
	j->commits = shard_write(j->shard, j->requests, j->count);
}

static void commit_release(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct commit_job, job));
}

static void waiting_write_answer(struct waiting_write *w)
{
	w->is_done = true;
	if (w->is_left)
		waiting_write_free(w);
	else
		wait_queue_wake_one(&w->waiter);
}

/* WAITS. Writes the front of the queue. */
static void commit_group(struct op *op, struct committer *c)
{
	struct write_request *requests[GROUP_REQUESTS_MAX];
	size_t count = 0, bytes = 0;
	struct commit_job *j = MEM_NEW(struct commit_job);
	j->job.run = commit_run;
	j->job.release = commit_release;
	j->shard = c->shard;
	struct write_request *request, *next;
	LIST_FOR_EACH(request, next, &c->queue, struct write_request, link)
	{
		if (count == GROUP_REQUESTS_MAX || bytes > GROUP_BYTES_MAX)
			break;
		list_remove(&request->link);
		bytes += request->bytes;
		requests[count++] = request;
	}
	memcpy(j->requests, requests, count * sizeof(requests[0]));
	j->count = count;
	if (offload(op, OFFLOAD_DISK, &j->job) == ERR_NONE) {
		*c->commits += j->commits;
		commit_release(&j->job);
	} else {
		for (size_t i = 0; i < count; i++) {
			requests[i]->result = op->failure.class;
			requests[i]->failure = str_new_z(str_from(op->failure.text));
		}
		op_forgive(op);
	}
	for (size_t i = 0; i < count; i++)
		waiting_write_answer(CONTAINER_OF(requests[i], struct waiting_write, request));
}

/* ---- checkpoints ---- */

struct checkpoint_job {
	struct offload_job job; /* first */
	struct shard *shard;
	bool is_rest;
};

static void checkpoint_run(struct offload_job *job)
{
	struct checkpoint_job *j = CONTAINER_OF(job, struct checkpoint_job, job);
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	/* A failure here hurts nobody yet: the WAL holds everything; the next commits will tell. */
	if (shard_checkpoint(&op, j->shard, j->is_rest) != ERR_NONE)
		op_forgive(&op);
}

static void checkpoint_release(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct checkpoint_job, job));
}

/* WAITS. */
static void checkpoint(struct op *op, struct committer *c, bool is_rest)
{
	struct checkpoint_job *j = MEM_NEW(struct checkpoint_job);
	j->job.run = checkpoint_run;
	j->job.release = checkpoint_release;
	j->shard = c->shard;
	j->is_rest = is_rest;
	if (offload(op, OFFLOAD_DISK, &j->job) == ERR_NONE)
		checkpoint_release(&j->job);
	else
		op_forgive(op); /* tried again after the next commit */
}

static void checkpoint_task(void *arg)
{
	struct committer *c = arg;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	task_shield();
	checkpoint(&op, c, false);
	task_unshield();
	c->is_checkpointing = false;
	c->has_rest = true;
}

/* WAITS for the rest of a checkpoint. */
static void checkpoint_if_long(struct op *op, struct committer *c)
{
	if (c->is_checkpointing)
		return;
	if (c->has_rest) {
		checkpoint(op, c, true);
		c->has_rest = false;
	} else if (c->shard->wal_pages > CHECKPOINT_PAGES) {
		c->is_checkpointing = true;
		task_start("catalog checkpoint", checkpoint_task, c);
	}
}

/* ---- the task ---- */

static void commit_task(void *arg)
{
	struct committer *c = arg;
	struct op op;
	op_init(&op, NULL, NULL, TIME_NEVER);
	task_shield();
	while (!list_is_empty(&c->queue)) {
		commit_group(&op, c);
		checkpoint_if_long(&op, c);
	}
	task_unshield();
	c->is_committing = false;
}

enum err committer_write(struct op *op, struct committer *c, struct str user,
	const struct catalog_change *changes, size_t count)
{
	struct waiting_write *w = waiting_write_new(user, changes, count);
	list_add_last(&c->queue, &w->request.link);
	if (!c->is_committing) {
		c->is_committing = true;
		task_start("catalog commit", commit_task, c);
	}
	enum err e = ERR_NONE;
	while (e == ERR_NONE && !w->is_done)
		e = wait_queue_wait(op, &w->waiter);
	if (!w->is_done) {
		w->is_left = true;
		return e;
	}
	e = w->request.result;
	if (e != ERR_NONE)
		(void)op_fail(op, e, "%s", w->request.failure);
	else
		op_forgive(op);
	waiting_write_free(w);
	return e;
}

void committer_init(struct committer *c, struct shard *shard, uint64_t *commits)
{
	*c = (struct committer){ .shard = shard, .commits = commits };
	list_init(&c->queue);
}

bool committer_is_busy(const struct committer *c)
{
	return c->is_committing || c->is_checkpointing;
}
