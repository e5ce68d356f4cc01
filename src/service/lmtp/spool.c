/* SPDX-License-Identifier: Apache-2.0 */
/* Writes go to the page cache alone, nothing is synced: a mail is promised to nobody before its worker
 * has made it durable. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/file.h"
#include "service/lmtp/spool_private.h"

void spool_init(struct spool *s, int dir, uint64_t *account)
{
	*s = (struct spool){ .fd = -1, .dir = dir, .account = account };
}

static void forget_account(struct spool *s)
{
	if (s->account)
		*s->account -= s->accounted_bytes;
	s->accounted_bytes = 0;
}

void spool_done(struct spool *s)
{
	file_close_fd(&s->fd);
	buf_done(&s->gathered);
	forget_account(s);
}

char *spool_reserve(struct spool *s, size_t n)
{
	return buf_reserve(&s->gathered, n);
}

static enum err copy_file(struct op *op, int from, int to, uint64_t size_bytes)
{
	off_t at = 0;
	while ((uint64_t)at < size_bytes) {
		ssize_t n = sendfile(to, from, &at, (size_t)(size_bytes - (uint64_t)at));
		if (n < 0)
			return op_fail_errno(op, "copy a spooled mail to mail_temp_dir");
		if (n == 0)
			return op_fail(op, ERR_UNAVAILABLE, "a spooled mail became shorter");
	}
	return ERR_NONE;
}

/* Moves `written` bytes, which are in the memory file, to a nameless file in the directory. */
static enum err move_to_disk(struct op *op, struct spool *s, uint64_t written)
{
	AUTO_FD(fd, openat(s->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
	if (fd < 0)
		return op_fail_errno(op, "make a file in mail_temp_dir");
	if (s->fd >= 0)
		TRY(copy_file(op, s->fd, fd, written));
	file_close_fd(&s->fd);
	s->fd = fd;
	fd = -1;
	s->is_on_disk = true;
	forget_account(s);
	return ERR_NONE;
}

static enum err open_memory_file(struct op *op, struct spool *s)
{
	s->fd = memfd_create("pombal-spool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0)
		return op_fail_errno(op, "make a memory file for a mail");
	return ERR_NONE;
}

static enum err write_out(struct op *op, struct spool *s)
{
	uint64_t written = s->size_bytes - s->gathered.n;
	if (!s->is_on_disk && s->dir >= 0 && s->size_bytes > SPOOL_MEMORY_FILE_MAX &&
		move_to_disk(op, s, written) != ERR_NONE) {
		/* The directory is of no use: memory has to do. */
		op_forgive(op);
		s->dir = -1;
	}
	if (s->fd < 0)
		TRY(open_memory_file(op, s));
	TRY(file_write_all(op, s->fd, buf_str(&s->gathered)));
	buf_clear(&s->gathered);
	return ERR_NONE;
}

enum err spool_grew(struct op *op, struct spool *s, size_t n)
{
	buf_grew(&s->gathered, n);
	s->size_bytes += n;
	if (!s->is_on_disk && s->account) {
		*s->account += n;
		s->accounted_bytes += n;
		if (*s->account > SPOOL_TOTAL_BYTES_MAX)
			return op_fail(op, ERR_LIMIT,
				"mails being received take more than %" PRIu64 " MiB of memory",
				SPOOL_TOTAL_BYTES_MAX >> 20);
	}
	return s->gathered.n >= SPOOL_GATHER_BYTES ? write_out(op, s) : ERR_NONE;
}

enum err spool_finish(
	struct op *op, struct spool *s, size_t small_max, struct str *out_bytes, int *out_fd)
{
	bool is_small = s->fd < 0 && s->gathered.n <= small_max;
	if (is_small) {
		*out_bytes = buf_str(&s->gathered);
		*out_fd = -1;
		return ERR_NONE;
	}
	if (s->gathered.n > 0 || s->fd < 0)
		TRY(write_out(op, s));
	buf_done(&s->gathered);
	if (!s->is_on_disk && fcntl(s->fd, F_ADD_SEALS,
				      F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return op_fail_errno(op, "seal a spooled mail");
	*out_bytes = STR("");
	*out_fd = s->fd;
	return ERR_NONE;
}
