/* SPDX-License-Identifier: Apache-2.0 */
/* objects/posix_journal.c - writing the journal of this opening, on offload threads.
 *
 * Two files, used in turn:
 *
 *   FREE ── first commit of an epoch ──> ACTIVE ── full, the other one is free ──> OLD ── syncfs ──> FREE
 *
 * A file is locked (OFD) as long as its opening lives; making files and recovering exclude each
 * other by a lock of their own, so that nobody takes a journal away that was just made. */
#include "objects/posix_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "objects/posix_journal_private.h"

struct journal {
	const struct tree *tree; /* borrowed: it owns us */
	_Atomic bool is_broken;
	_Atomic bool is_needed; /* files could not be synced: only the journal has them for sure */
	_Atomic bool has_old;   /* the file that is not active is OLD */
	/* the committer's */
	struct buf gathered;
	uint64_t token; /* 0: the files are not made yet */
	int fds[2];
	unsigned active;
	uint64_t epoch, end;
};

struct journal *journal_new(const struct tree *t)
{
	struct journal *j = MEM_NEW(struct journal);
	j->tree = t;
	j->fds[0] = j->fds[1] = -1;
	return j;
}

bool journal_is_usable(const struct journal *j)
{
	return !atomic_load_explicit(&j->is_broken, memory_order_relaxed);
}

void journal_file_name(char out[JOURNAL_NAME_MAX], uint64_t token, unsigned number)
{
	snprintf(out, JOURNAL_NAME_MAX, JOURNAL_PREFIX "%016" PRIx64 "-%u", token, number);
}

/* -1 and errno. Blocks. Closing it unlocks. */
int journal_lock_all(const struct tree *t)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(
		tree_root_fd(t), JOURNAL_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &lock) < 0)
		file_close_fd(&fd);
	return fd;
}

/* ---- commits ---- */

static bool make_file(struct journal *j, unsigned number)
{
	char name[JOURNAL_NAME_MAX], header[JOURNAL_HEADER_BYTES];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	journal_file_name(name, j->token, number);
	journal_header_encode(header);
	int fd = openat(tree_root_fd(j->tree), name,
		O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	j->fds[number] = fd;
	return fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 &&
	       pwrite(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	       fdatasync(fd) == 0;
}

static bool make_files(struct journal *j)
{
	AUTO_FD(all, journal_lock_all(j->tree));
	j->token = random_u64() | 1;
	j->end = JOURNAL_HEADER_BYTES;
	j->epoch = 1;
	return all >= 0 && make_file(j, 0) && make_file(j, 1) && fsync(tree_root_fd(j->tree)) == 0;
}

static void switch_files(struct journal *j)
{
	if (j->end < tree_settings(j->tree)->journal_bytes || atomic_load(&j->has_old))
		return;
	j->active ^= 1;
	j->end = JOURNAL_HEADER_BYTES;
	j->epoch++;
	atomic_store(&j->has_old, true);
}

static bool write_group(struct journal *j, struct str records)
{
	char head[JOURNAL_GROUP_BYTES];
	errno = EIO;
	if (!journal_is_usable(j) || (j->token == 0 && !make_files(j)))
		return false;
	switch_files(j);
	journal_group_encode(head, j->epoch, records);
	struct iovec parts[2] = { { head, sizeof(head) },
		{ (char *)(uintptr_t)records.p, records.n } };
	ssize_t size = (ssize_t)(sizeof(head) + records.n);
	errno = ENOSPC; /* of a short write */
	if (pwritev(j->fds[j->active], parts, 2, (off_t)j->end) != size ||
		fdatasync(j->fds[j->active]) < 0)
		return false;
	j->end += (uint64_t)size;
	return true;
}

void journal_add(struct journal *j, const struct journal_record *r)
{
	journal_record_encode(&j->gathered, r);
}

enum err journal_commit(struct op *op, struct journal *j)
{
	if (j->gathered.n == 0)
		return ERR_NONE;
	bool is_written = write_group(j, buf_str(&j->gathered));
	int failure = errno;
	buf_clear(&j->gathered);
	if (is_written)
		return ERR_NONE;
	atomic_store(&j->is_broken, true);
	errno = failure;
	return op_fail_errno(op, "write the journal of objects");
}

bool journal_is_overfull(const struct journal *j)
{
	return j->end >= 2 * tree_settings(j->tree)->journal_bytes;
}

bool journal_wants_retirement(const struct journal *j)
{
	return atomic_load(&j->has_old) && journal_is_usable(j);
}

/* What the old file says is made durable in place; then it is free. The commits beside it cannot
 * switch files before that. */
void journal_retire(struct journal *j)
{
	static const char nothing[JOURNAL_GROUP_BYTES];
	/* If it fails both files stay as they are, and are read again at the next opening: a failure is
	 * told once, so that no later sync can say that all is well. */
	if (syncfs(tree_root_fd(j->tree)) < 0) {
		atomic_store(&j->is_needed, true);
		atomic_store(&j->is_broken, true);
		return;
	}
	/* Saves reading it again; nobody relies on it. */
	(void)!pwrite(j->fds[j->active ^ 1], nothing, sizeof(nothing), JOURNAL_HEADER_BYTES);
	atomic_store(&j->has_old, false);
}

void journal_close(struct journal *j)
{
	char name[JOURNAL_NAME_MAX];
	/* Without the sync the files stay for the next opening. */
	if (j->token != 0 && syncfs(tree_root_fd(j->tree)) == 0 && !atomic_load(&j->is_needed)) {
		for (unsigned i = 0; i < 2; i++) {
			journal_file_name(name, j->token, i);
			(void)unlinkat(tree_root_fd(j->tree), name, 0); /* read again: harmless */
		}
	}
	file_close_fd(&j->fds[0]);
	file_close_fd(&j->fds[1]);
	buf_done(&j->gathered);
	mem_free(j);
}
