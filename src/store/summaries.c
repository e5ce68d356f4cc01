/* SPDX-License-Identifier: Apache-2.0 */
/* The local summary file: records of checksum:4 and the summary, in the order of saving. Places stand
 * in the index. Reading takes a window at once, since a FETCH walks the mailbox; a page that is not
 * in memory is read by an offload job. A damaged or missing summary is made again from the mail.
 * Places in an old snapshot may point into a file that was compacted since: the checksum, which the
 * UID is part of, tells. */
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/number.h"
#include "message/summary.h"

#define PARSE_INLINE_MAX (128u << 10)
#define CRC_BYTES        4
#define WINDOW_BYTES     (64u << 10)
#define SUMMARIES_SLACK  (256u << 10) /* compacting begins above it */

/* ---- making ---- */

struct summary_job {
	struct offload_job job; /* first */
	struct str mail;        /* borrowed: the caller is shielded and waits without deadline */
	struct buf summary;
	uint64_t size_virtual;
};

static void summary_run(struct offload_job *job)
{
	struct summary_job *j = CONTAINER_OF(job, struct summary_job, job);
	struct message_tree tree;
	AUTO_ARENA(arena, 64u << 20);
	message_parse(&arena, j->mail, &tree);
	message_summary_encode(&j->summary, j->mail, &tree);
	j->size_virtual = tree.whole.virtual_size;
}

static void summary_release(struct offload_job *job)
{
	(void)job; /* on the stack of who waits */
}

void summary_make(struct str mail, struct buf *out, uint64_t *out_size_virtual)
{
	struct summary_job j = { .job = { .run = summary_run, .release = summary_release },
		.mail = mail };
	if (mail.n <= PARSE_INLINE_MAX) {
		summary_run(&j.job);
	} else {
		struct op op;
		op_init(&op, NULL, NULL, TIME_NEVER);
		task_shield();
		enum err e = offload(&op, OFFLOAD_CPU, &j.job);
		ASSERT(e == ERR_NONE); /* no deadline, not cancellable */
		task_unshield();
	}
	buf_put(out, buf_str(&j.summary));
	buf_done(&j.summary);
	*out_size_virtual = j.size_virtual;
}

/* ---- keeping ---- */

void summary_keep(struct mailbox *m, uint32_t uid, struct str summary)
{
	struct local *l = &m->local;
	uint32_t position;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (l->summary_fd < 0 || l->is_compacting || summary.n == 0 ||
		summary.n > UINT32_MAX - CRC_BYTES || !index_find(m->index, uid, &position))
		return;
	AUTO_BUF(record, 0);
	char crc[CRC_BYTES];
	put_le32(crc, hash_crc32c(uid, summary));
	buf_put(&record, (struct str){ crc, sizeof(crc) });
	buf_put(&record, summary);
	if (file_write_all(&op, l->summary_fd, buf_str(&record)) != ERR_NONE) {
		file_close_fd(&l->summary_fd); /* no places after a partial record */
		return;
	}
	uint32_t length = (uint32_t)record.n;
	index_set_summary(m->index, position, l->summary_bytes, length);
	local_add(m, &(struct log_record){ .type = LOG_SUMMARY,
			     .uid = uid,
			     .offset = l->summary_bytes,
			     .length = length });
	l->summary_bytes += length;
}

/* ---- reading ---- */

struct read_job {
	struct offload_job job; /* first */
	int fd;                 /* a duplicate */
	uint64_t offset;
	size_t length, got;
	char *bytes;
};

static void read_run(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	while (j->got < j->length) {
		ssize_t n = pread(
			j->fd, j->bytes + j->got, j->length - j->got, (off_t)(j->offset + j->got));
		if (n > 0)
			j->got += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return;
	}
}

static void read_release(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	file_close_fd(&j->fd);
	mem_free(j->bytes);
	mem_free(j);
}

/* WAITS. The window from the disk. */
static enum err window_load(struct op *op, struct local *l, uint64_t offset, size_t length)
{
	struct read_job *j = MEM_NEW(struct read_job);
	j->job.run = read_run;
	j->job.release = read_release;
	j->fd = fcntl(l->summary_fd, F_DUPFD_CLOEXEC, 3); /* if not: nothing is read */
	j->offset = offset;
	j->length = length;
	j->bytes = mem_new(length);
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	mem_free(l->window);
	l->window = j->bytes;
	l->window_offset = offset;
	l->window_bytes = j->got;
	j->bytes = NULL;
	read_release(&j->job);
	return ERR_NONE;
}

static bool window_has(const struct local *l, uint64_t offset, size_t length)
{
	return l->window && offset >= l->window_offset &&
	       offset - l->window_offset <= l->window_bytes &&
	       length <= l->window_bytes - (offset - l->window_offset);
}

static enum err window_read(struct op *op, struct local *l, uint64_t offset, size_t length)
{
	size_t wanted = MAX(length, WINDOW_BYTES);
	char *bytes = mem_new(wanted);
	struct iovec part = { bytes, wanted };
	ssize_t got = preadv2(l->summary_fd, &part, 1, (off_t)offset, RWF_NOWAIT);
	if (got < (ssize_t)length) {
		mem_free(bytes);
		return window_load(op, l, offset, wanted);
	}
	mem_free(l->window);
	l->window = bytes;
	l->window_offset = offset;
	l->window_bytes = (size_t)got;
	return ERR_NONE;
}

enum err summary_read(struct op *op, struct mailbox *m, const struct snapshot_cold *cold,
	uint32_t uid, struct str *out)
{
	struct local *l = &m->local;
	uint64_t offset = cold->summary_offset;
	size_t length = cold->summary_length;
	if (l->summary_fd < 0 || length <= CRC_BYTES)
		return op_fail(op, ERR_NOT_FOUND, "no local summary of UID %" PRIu32, uid);
	if (!window_has(l, offset, length))
		TRY(window_read(op, l, offset, length));
	if (!window_has(l, offset, length))
		return op_fail(op, ERR_NOT_FOUND, "summary of UID %" PRIu32 " is cut off", uid);
	const char *at = l->window + (offset - l->window_offset);
	struct str summary = { at + CRC_BYTES, length - CRC_BYTES };
	if (hash_crc32c(uid, summary) != get_le32(at))
		return op_fail(op, ERR_NOT_FOUND, "summary of UID %" PRIu32 " is damaged", uid);
	*out = str_dup(op->arena, summary);
	return ERR_NONE;
}

/* ---- compaction: what expunged mails left behind goes ---- */

struct kept_summary {
	uint32_t uid, length;
	uint64_t offset, fresh_offset; /* fresh: UINT64_MAX if it could not be read */
};

struct compact_job {
	struct offload_job job; /* first */
	int old_fd, fresh_fd;   /* owned */
	char *path, *fresh_path;
	struct kept_summary *kept;
	size_t count;
	uint64_t bytes; /* of the new file */
	bool is_done;
};

static bool copy_summary(
	struct op *op, struct compact_job *j, struct kept_summary *k, struct buf *room)
{
	buf_clear(room);
	char *at = buf_reserve(room, k->length);
	k->fresh_offset = UINT64_MAX;
	if (file_pread_all(op, j->old_fd, at, k->length, k->offset) != ERR_NONE)
		return true; /* made again when it is asked for */
	k->fresh_offset = j->bytes;
	j->bytes += k->length;
	return file_write_all(op, j->fresh_fd, (struct str){ at, k->length }) == ERR_NONE;
}

static void compact_run(struct offload_job *job)
{
	struct compact_job *j = CONTAINER_OF(job, struct compact_job, job);
	struct op op;
	AUTO_ARENA(arena, 0);
	AUTO_BUF(room, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)unlink(j->fresh_path); /* of who was killed here */
	j->fresh_fd = open(j->fresh_path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (j->fresh_fd < 0 || j->old_fd < 0)
		return;
	for (size_t i = 0; i < j->count; i++)
		if (!copy_summary(&op, j, &j->kept[i], &room))
			return;
	j->is_done = rename(j->fresh_path, j->path) == 0;
}

static void compact_release(struct offload_job *job)
{
	struct compact_job *j = CONTAINER_OF(job, struct compact_job, job);
	file_close_fd(&j->old_fd);
	file_close_fd(&j->fresh_fd);
	mem_free(j->path);
	mem_free(j->fresh_path);
	mem_free(j->kept);
	mem_free(j);
}

static struct compact_job *compact_job_new(struct mailbox *m)
{
	struct compact_job *j = MEM_NEW(struct compact_job);
	struct local *l = &m->local;
	uint32_t total = index_count(m->index);
	j->job.run = compact_run;
	j->job.release = compact_release;
	j->fresh_fd = -1;
	j->old_fd = fcntl(l->summary_fd, F_DUPFD_CLOEXEC, 3); /* if not: nothing is done */
	AUTO_BUF(path, 0);
	buf_putf(&path, "%s/summaries", l->dir);
	j->path = str_new_z(buf_str(&path));
	buf_put(&path, STR(".new"));
	j->fresh_path = str_new_z(buf_str(&path));
	j->kept = mem_new_array(MAX(total, 1), sizeof(*j->kept));
	for (uint32_t at = 0; at < total; at++) {
		const struct snapshot_cold *cold = index_cold(m->index, at);
		if (cold->summary_length > CRC_BYTES)
			j->kept[j->count++] =
				(struct kept_summary){ .uid = index_hot(m->index, at)->uid,
					.length = cold->summary_length,
					.offset = cold->summary_offset };
	}
	return j;
}

/* Points the records at the new places. */
static void compact_adopt(struct mailbox *m, struct compact_job *j)
{
	struct local *l = &m->local;
	uint32_t at;
	file_close_fd(&l->summary_fd);
	l->summary_fd = j->fresh_fd;
	j->fresh_fd = -1;
	l->summary_bytes = j->bytes;
	mem_free(l->window);
	l->window = NULL;
	l->window_bytes = 0;
	for (size_t i = 0; i < j->count; i++) {
		const struct kept_summary *k = &j->kept[i];
		bool is_read = k->fresh_offset != UINT64_MAX;
		if (index_find(m->index, k->uid, &at))
			index_set_summary(m->index, at, is_read ? k->fresh_offset : 0,
				is_read ? k->length : 0);
	}
}

enum err summaries_compact(struct op *op, struct mailbox *m)
{
	struct local *l = &m->local;
	uint64_t living = 0;
	uint32_t total = index_count(m->index);
	if (l->summary_fd < 0 || l->is_compacting || l->summary_bytes < SUMMARIES_SLACK)
		return ERR_NONE;
	for (uint32_t at = 0; at < total; at++)
		living += index_cold(m->index, at)->summary_length;
	if (l->summary_bytes < 2 * living + SUMMARIES_SLACK)
		return ERR_NONE;
	struct compact_job *j = compact_job_new(m);
	l->is_compacting = true;
	enum err e = offload(op, OFFLOAD_DISK, &j->job);
	l->is_compacting = false;
	TRY(e);
	if (j->is_done)
		compact_adopt(m, j);
	compact_release(&j->job);
	return ERR_NONE;
}
