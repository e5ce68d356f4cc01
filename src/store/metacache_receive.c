/* SPDX-License-Identifier: Apache-2.0 */
/* A user's local files from another host (metacache.h).
 *
 *   hold him -> files into <user's directory>/.pull/<id>/ -> all of them whole? -> each mailbox takes the
 *   place of what was here -> let go
 *
 * What comes is hostile until it was checked: ids and kinds become names here, every file has its length and checksum,
 * and whether the files are current his next opening decides, as of any local files. A mailbox whose log here
 * has flags that no row has keeps its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/number.h"
#include "store/format/parcel.h"
#include "store/metacache_private.h"

#define PIECE_BYTES   (256u << 10)
#define FILES_PER_BOX 4
#define PATH_BYTES    4096

struct receipt {
	struct op *op;
	struct user *held;
	const struct metacache_source *source;
	uint64_t left; /* bytes of the parcel */
	char *dir;     /* of what arrives; owned */
	int fd;        /* the file that arrives; -1: none */
	uint32_t crc;
	uint8_t *piece; /* owned; PIECE_BYTES */
	struct metacache_received done;
};

/* ---- bytes ---- */

/* WAITS. Exactly n, at most PIECE_BYTES. */
static enum err take(struct receipt *r, uint8_t *out, size_t n)
{
	if (n > r->left)
		return op_fail(r->op, ERR_CORRUPT, "a file is longer than the parcel");
	r->left -= n;
	for (size_t at = 0, got; at < n; at += got) {
		TRY(r->source->read(r->op, r->source->arg, (char *)out + at, n - at, &got));
		if (got == 0)
			return op_fail(r->op, ERR_UNAVAILABLE, "the parcel ended too early");
	}
	return ERR_NONE;
}

/* ---- writing, on a pool thread ---- */

struct write_job {
	struct offload_job job; /* first */
	char *path;             /* owned; NULL: the file is open */
	int fd;                 /* moved back */
	uint8_t *bytes;         /* owned; moved back */
	size_t n;
	enum err result;
	char text[OP_FAILURE_TEXT_MAX];
};

static void write_run(struct offload_job *job)
{
	struct write_job *j = CONTAINER_OF(job, struct write_job, job);
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	j->result = ERR_NONE;
	if (j->path) {
		const char *slash = strrchr(j->path, '/');
		struct str dir = str_slice(str_from(j->path), 0, (size_t)(slash - j->path));
		j->result = file_make_dirs(&op, str_dup_z(&arena, dir), 0700);
		if (j->result == ERR_NONE)
			j->fd = open(j->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600);
		if (j->result == ERR_NONE && j->fd < 0)
			j->result = op_fail_errno(&op, "create %s", j->path);
	}
	if (j->result == ERR_NONE && j->n > 0)
		j->result = file_write_all(&op, j->fd, (struct str){ (char *)j->bytes, j->n });
	memcpy(j->text, op.failure.text, sizeof(j->text));
}

static void write_release(struct offload_job *job)
{
	struct write_job *j = CONTAINER_OF(job, struct write_job, job);
	file_close_fd(&j->fd);
	mem_free(j->bytes);
	mem_free(j->path);
	mem_free(j);
}

/* WAITS. `path`: creates the file first. */
static enum err put(struct receipt *r, const char *path, size_t n)
{
	struct write_job *j = MEM_NEW(struct write_job);
	j->job.run = write_run;
	j->job.release = write_release;
	j->path = path ? str_new_z(str_from(path)) : NULL;
	j->fd = r->fd;
	j->bytes = r->piece;
	j->n = n;
	r->fd = -1;
	r->piece = NULL;
	TRY(offload(r->op, OFFLOAD_DISK, &j->job));
	r->fd = j->fd;
	r->piece = j->bytes;
	j->fd = -1;
	j->bytes = NULL;
	enum err e = j->result;
	if (e != ERR_NONE)
		e = op_fail(r->op, ERR_UNAVAILABLE, "%s", j->text);
	write_release(&j->job);
	return e;
}

/* ---- one file ---- */

static enum err take_checksum(struct receipt *r)
{
	uint8_t bytes[PARCEL_CHECKSUM_BYTES];
	TRY(take(r, bytes, sizeof(bytes)));
	if (get_le32(bytes) != r->crc)
		return op_fail(r->op, ERR_CORRUPT, "the checksum of a file is wrong");
	return ERR_NONE;
}

/* WAITS. */
static enum err take_file(struct receipt *r, const struct parcel_header *h)
{
	char path[PATH_BYTES];
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)h->mailbox.bytes, sizeof(h->mailbox.bytes) });
	int n = snprintf(path, sizeof(path), "%s/%.*s/%s", r->dir, STRF(buf_str(&hex)),
		parcel_file_name(h->kind));
	if (n < 0 || (size_t)n >= sizeof(path))
		return op_fail(r->op, ERR_LIMIT, "%s: too long a path", r->dir);
	TRY(put(r, path, 0));
	for (uint64_t left = h->bytes; left > 0;) {
		size_t piece = (size_t)MIN(left, PIECE_BYTES);
		TRY(take(r, r->piece, piece));
		r->crc = hash_crc32c(r->crc, (struct str){ (const char *)r->piece, piece });
		TRY(put(r, NULL, piece));
		left -= piece;
	}
	file_close_fd(&r->fd);
	r->done.files++;
	r->done.bytes += h->bytes;
	return take_checksum(r);
}

/* WAITS. Until the end that counts as many files as there were. */
static enum err take_files(struct receipt *r)
{
	uint64_t most = (uint64_t)FILES_PER_BOX * r->held->store->settings.mailboxes_max;
	for (;;) {
		uint8_t bytes[PARCEL_HEADER_BYTES];
		struct parcel_header h;
		TRY(take(r, bytes, sizeof(bytes)));
		if (parcel_header_decode(bytes, &h) != ERR_NONE)
			return op_fail(r->op, ERR_CORRUPT, "a header that makes no sense");
		r->crc = hash_crc32c(0, (struct str){ (const char *)bytes, sizeof(bytes) });
		if (h.kind != PARCEL_END && r->done.files >= most)
			return op_fail(r->op, ERR_LIMIT, "more than %" PRIu64 " files", most);
		if (h.kind != PARCEL_END) {
			TRY(take_file(r, &h));
			continue;
		}
		TRY(take_checksum(r));
		if (r->left > 0 || h.bytes != r->done.files)
			return op_fail(r->op, ERR_CORRUPT, "not the files that were promised");
		return ERR_NONE;
	}
}

/* ---- into place ---- */

struct place_job {
	struct offload_job job;                   /* first */
	char *dir, *fresh;                        /* owned */
	char (*kept)[2 * CATALOG_GUID_BYTES + 1]; /* owned; mailboxes that keep their own */
	size_t kept_count, placed;
	enum err result;
	char text[OP_FAILURE_TEXT_MAX];
};

static bool keeps(const struct place_job *j, const char *name)
{
	for (size_t i = 0; i < j->kept_count; i++)
		if (strcmp(j->kept[i], name) == 0)
			return true;
	return false;
}

static enum err place(struct op *op, struct place_job *j, const char *name)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	int a = snprintf(from, sizeof(from), "%s/%s", j->fresh, name);
	int b = snprintf(to, sizeof(to), "%s/%s", j->dir, name);
	if (a < 0 || b < 0 || (size_t)a >= sizeof(from) || (size_t)b >= sizeof(to))
		return op_fail(op, ERR_LIMIT, "%s: too long a path", j->dir);
	TRY(file_remove_tree(op, to));
	if (rename(from, to) != 0)
		return op_fail_errno(op, "rename %s", from);
	j->placed++;
	return ERR_NONE;
}

/* What is left of it, or was kept, goes with the directory of what arrived. */
static void place_run(struct offload_job *job)
{
	struct place_job *j = CONTAINER_OF(job, struct place_job, job);
	struct op op;
	struct dirent *entry;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	j->result = ERR_NONE;
	DIR *dir = opendir(j->fresh);
	while (dir && j->result == ERR_NONE && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' && !keeps(j, entry->d_name))
			j->result = place(&op, j, entry->d_name);
	if (dir)
		(void)closedir(dir);
	memcpy(j->text, op.failure.text, sizeof(j->text));
}

static void place_release(struct offload_job *job)
{
	struct place_job *j = CONTAINER_OF(job, struct place_job, job);
	mem_free(j->dir);
	mem_free(j->fresh);
	mem_free(j->kept);
	mem_free(j);
}

/* WAITS. Never left halfway: what took its place when he was let go would be under who opens him. */
static enum err place_to_the_end(struct op *op, struct place_job *j)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = TIME_NEVER;
	task_shield();
	enum err e = offload(op, OFFLOAD_DISK, &j->job);
	task_unshield();
	op->deadline_us = deadline_us;
	return e;
}

/* WAITS. */
static enum err place_all(struct receipt *r)
{
	struct counted found;
	TRY(metacache_look(r->op, r->held->dir, true, &found));
	struct place_job *j = MEM_NEW(struct place_job);
	j->job.run = place_run;
	j->job.release = place_release;
	j->dir = str_new_z(str_from(r->held->dir));
	j->fresh = str_new_z(str_from(r->dir));
	j->kept = mem_new(MAX(found.count, 1) * sizeof(*j->kept));
	for (size_t i = 0; i < found.count; i++) {
		AUTO_BUF(hex, 0);
		if (found.mailboxes[i].pending == 0)
			continue;
		hex_encode(&hex, (struct str){ (const char *)found.mailboxes[i].guid.bytes,
					 CATALOG_GUID_BYTES });
		(void)snprintf(
			j->kept[j->kept_count++], sizeof(*j->kept), "%.*s", STRF(buf_str(&hex)));
	}
	TRY(place_to_the_end(r->op, j));
	enum err e = j->result;
	if (e != ERR_NONE)
		e = op_fail(r->op, ERR_UNAVAILABLE, "%s", j->text);
	r->done.mailboxes = j->placed;
	place_release(&j->job);
	return e;
}

/* ---- all of it ---- */

/* WAITS. Whatever happened: what was not placed goes. */
static void clean_up(struct receipt *r)
{
	struct op own;
	AUTO_ARENA(arena, 0);
	op_init(&own, &arena, NULL, TIME_NEVER);
	file_close_fd(&r->fd);
	mem_free(r->piece);
	if (local_remove_dir(&own, r->dir) != ERR_NONE)
		op_forgive(&own); /* the next pull begins with that, and so does forgetting him */
	mem_free(r->dir);
}

static enum err receive(struct receipt *r)
{
	TRY(local_remove_dir(r->op, r->dir)); /* of one that was killed */
	TRY(take_files(r));
	return place_all(r);
}

enum err metacache_hold(
	struct op *op, struct store *s, struct str name, struct metacache_held **out)
{
	struct user *held;
	TRY(user_hold(op, s, name, &held));
	*out = (struct metacache_held *)held;
	return ERR_NONE;
}

void metacache_let_go(struct metacache_held *held)
{
	struct user *u = (struct user *)held;
	metacache_count_soon(u->store->metacache, u->name);
	user_let_go(u);
}

enum err metacache_receive(struct op *op, struct metacache_held *held,
	const struct metacache_source *source, struct metacache_received *out)
{
	struct user *u = (struct user *)held;
	struct receipt r = {
		.op = op, .held = u, .source = source, .left = source->bytes, .fd = -1
	};
	r.dir = str_new_z(str_printf(op->arena, "%s/.pull", u->dir));
	r.piece = mem_new(PIECE_BYTES);
	enum err e = receive(&r);
	clean_up(&r);
	if (e == ERR_NONE)
		*out = r.done;
	return e;
}
