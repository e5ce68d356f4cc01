/* SPDX-License-Identifier: Apache-2.0 */
/* The spooled mail behind its head, as one run of bytes.
 *
 * The process that spooled the mail talks to the network and is not trusted: what it can still change
 * is never mapped, since a file that is cut short under a mapping kills its reader (SIGBUS), and a
 * mail that changes while it is parsed is none. So:
 *   in the message    copied behind the head;
 *   small             read into memory behind the head;
 *   sealed (memfd)    mapped: it can neither shrink nor change. The head lies on the pages before it,
 *                     flush with their end, so that both are contiguous without a copy;
 *   a file on disk    read into memory, by a thread of the disk pool. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "deliver/deliver_private.h"
#include "task/task.h"

static enum err wrong_size(struct op *op, const struct delivery *d)
{
	return op_fail(op, ERR_UNAVAILABLE, "the spooled mail does not have its %" PRIu64 " bytes",
		d->size_bytes);
}

/* ---- reading ---- */

static enum err read_here(struct op *op, const struct delivery *d, struct deliver_mail *out)
{
	size_t size = (size_t)d->size_bytes, total = d->head.n + size;
	char *memory = mem_resize(NULL, total + 1);
	if (d->head.n)
		memcpy(memory, d->head.p, d->head.n);
	if (d->fd < 0 && size > 0)
		memcpy(memory + d->head.n, d->mail.p,
			size); /* as long as it says: deliver_receive() */
	else if (d->fd >= 0 && file_pread_all(op, d->fd, memory + d->head.n, size, 0) != ERR_NONE) {
		mem_free(memory);
		return wrong_size(op, d);
	}
	*out = (struct deliver_mail){ .message = { memory, total }, .memory = memory };
	return ERR_NONE;
}

struct read_job {
	struct offload_job job; /* first: the pool knows only this */
	/* owned */
	int fd;
	char *memory;
	size_t head_bytes, mail_bytes;
	bool is_complete;
};

static void read_job_run(struct offload_job *job)
{
	struct read_job *r = (struct read_job *)job;
	size_t done = 0;
	while (done < r->mail_bytes) {
		ssize_t n = pread(
			r->fd, r->memory + r->head_bytes + done, r->mail_bytes - done, (off_t)done);
		if (n <= 0)
			return;
		done += (size_t)n;
	}
	r->is_complete = true;
}

static void read_job_release(struct offload_job *job)
{
	struct read_job *r = (struct read_job *)job;
	close(r->fd);
	mem_free(r->memory);
	mem_free(r);
}

static enum err read_offloaded(struct op *op, const struct delivery *d, struct deliver_mail *out)
{
	int fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return op_fail(op, ERR_UNAVAILABLE, "no descriptor is left to read the spool");
	struct read_job *r = MEM_NEW(struct read_job);
	size_t total = d->head.n + (size_t)d->size_bytes;
	*r = (struct read_job){
		.job = { .run = read_job_run, .release = read_job_release },
		.fd = fd,
		.memory = mem_resize(NULL, total),
		.head_bytes = d->head.n,
		.mail_bytes = (size_t)d->size_bytes,
	};
	if (d->head.n)
		memcpy(r->memory, d->head.p, d->head.n);
	TRY(offload(op, OFFLOAD_DISK, &r->job));
	bool is_complete = r->is_complete;
	if (is_complete) {
		*out = (struct deliver_mail){
			.message = { r->memory, total },
			.memory = r->memory,
		};
		r->memory = NULL;
	}
	read_job_release(&r->job);
	return is_complete ? ERR_NONE : wrong_size(op, d);
}

/* ---- mapping ---- */

static bool is_sealed(int fd)
{
	const int needed = F_SEAL_SHRINK | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & needed) == needed;
}

static size_t whole_pages(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) / page * page;
}

static enum err map(struct op *op, const struct delivery *d, struct deliver_mail *out)
{
	struct stat st;
	size_t size = (size_t)d->size_bytes, front = whole_pages(d->head.n);
	if (fstat(d->fd, &st) < 0 || st.st_size < 0 || (uint64_t)st.st_size != d->size_bytes)
		return wrong_size(op, d);
	size_t total = front + whole_pages(size);
	char *base = mmap(NULL, total, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return op_fail(op, ERR_UNAVAILABLE, "no memory to map a mail of %zu bytes", size);
	if (mmap(base + front, size, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, d->fd, 0) ==
		MAP_FAILED) {
		munmap(base, total);
		return op_fail(op, ERR_UNAVAILABLE, "cannot map a mail of %zu bytes", size);
	}
	char *start = base + front - d->head.n;
	if (d->head.n)
		memcpy(start, d->head.p, d->head.n);
	*out = (struct deliver_mail){
		.message = { start, d->head.n + size },
		.mapping = base,
		.mapping_bytes = total,
	};
	return ERR_NONE;
}

enum err deliver_mail_open(struct op *op, const struct delivery *d, struct deliver_mail *out)
{
	if (d->size_bytes > DELIVER_MAIL_BYTES_MAX)
		return op_fail(
			op, ERR_LIMIT, "a mail of %" PRIu64 " bytes is too large", d->size_bytes);
	ASSERT(d->fd >= 0 || d->mail.n == d->size_bytes);
	if (d->fd < 0 || d->size_bytes < DELIVER_MAP_BYTES_MIN)
		return read_here(op, d, out);
	return is_sealed(d->fd) ? map(op, d, out) : read_offloaded(op, d, out);
}

void deliver_mail_close(struct deliver_mail *m)
{
	mem_free(m->memory);
	if (m->mapping)
		munmap(m->mapping, m->mapping_bytes);
	*m = (struct deliver_mail){ 0 };
}
