/* SPDX-License-Identifier: Apache-2.0 */
/* A file read, written or removed by a thread of the disk pool. The job owns path, content and the operation that
 * the failure is told to, so that it may be abandoned. */
#include "task/task.h"

#include "base/buf.h"
#include "base/clock.h"

struct file_job {
	struct offload_job job; /* first */
	offload_file_fn *fn;
	char *path;
	struct buf content;
	struct op_failure failure;
	enum err result;
};

static void file_job_run(struct offload_job *job)
{
	struct file_job *j = CONTAINER_OF(job, struct file_job, job);
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	j->result = j->fn(&op, j->path, &j->content);
	j->failure = op.failure;
}

static void file_job_release(struct offload_job *job)
{
	struct file_job *j = CONTAINER_OF(job, struct file_job, job);
	if (j->content.n > 0)
		mem_wipe(j->content.p, j->content.n);
	buf_done(&j->content);
	mem_free(j->path);
	mem_free(j);
}

enum err offload_file(struct op *op, offload_file_fn *fn, struct str path, struct buf *content)
{
	struct file_job *j = MEM_NEW(struct file_job);
	j->job.run = file_job_run;
	j->job.release = file_job_release;
	j->fn = fn;
	j->path = str_new_z(path);
	if (content) {
		j->content = *content;
		*content = (struct buf){ 0 };
	}
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	enum err e = j->result;
	if (e != ERR_NONE) {
		e = op_fail(op, e, "%s", j->failure.text);
	} else if (content) {
		*content = j->content;
		j->content = (struct buf){ 0 };
	}
	file_job_release(&j->job);
	return e;
}
