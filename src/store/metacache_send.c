/* SPDX-License-Identifier: Apache-2.0 */
/* A user's local files for another host (metacache.h): he is held while they are read, so nothing changes and
 * their sizes are known before.
 *
 * Only what the store made is given: directories that are named like mailboxes, and in them the files that
 * it knows. */
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

#define LOG_READ_MAX (256u << 20)
#define NAME_BYTES   (2 * CATALOG_GUID_BYTES + 16)

struct metacache_parcel {
	struct user *held;
	struct parcel_header *files; /* owned; the end is the last */
	size_t count, at;
	uint64_t total, left; /* of the file at `at` */
	int dir, fd;
	uint32_t crc;
	bool is_begun; /* its header was given */
};

/* "<id>/log", below the user's directory. */
static void put_name(struct catalog_guid guid, const char *file, char out[NAME_BYTES])
{
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)guid.bytes, sizeof(guid.bytes) });
	(void)snprintf(out, NAME_BYTES, "%.*s/%s", STRF(buf_str(&hex)), file);
}

/* ---- which files ---- */

struct list_job {
	struct offload_job job; /* first */
	struct metacache_parcel *parcel;
	struct catalog_guid *mailboxes; /* owned */
	size_t mailbox_count;
	char *dir; /* owned */
};

static void add(struct metacache_parcel *p, const struct parcel_header *h)
{
	p->files = mem_resize(p->files, (p->count + 1) * sizeof(*p->files));
	p->files[p->count++] = *h;
	p->total += PARCEL_HEADER_BYTES + PARCEL_CHECKSUM_BYTES;
	p->total += h->kind == PARCEL_END ? 0 : h->bytes;
}

static void list_run(struct offload_job *job)
{
	struct list_job *j = CONTAINER_OF(job, struct list_job, job);
	struct metacache_parcel *p = j->parcel;
	struct stat st;
	char name[NAME_BYTES];
	p->dir = open(j->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (size_t i = 0; p->dir >= 0 && i < j->mailbox_count; i++) {
		for (int k = PARCEL_SNAPSHOT; k < PARCEL_KINDS; k++) {
			put_name(j->mailboxes[i], parcel_file_name((enum parcel_kind)k), name);
			if (fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
				!S_ISREG(st.st_mode) || (uint64_t)st.st_size > PARCEL_FILE_MAX)
				continue;
			add(p, &(struct parcel_header){ .kind = (enum parcel_kind)k,
				       .mailbox = j->mailboxes[i],
				       .bytes = (uint64_t)st.st_size });
		}
	}
	add(p, &(struct parcel_header){ .kind = PARCEL_END, .bytes = p->count });
}

static void parcel_free(struct metacache_parcel *p)
{
	file_close_fd(&p->dir);
	file_close_fd(&p->fd);
	mem_free(p->files);
	mem_free(p);
}

static void list_release(struct offload_job *job)
{
	struct list_job *j = CONTAINER_OF(job, struct list_job, job);
	if (j->parcel)
		parcel_free(j->parcel);
	mem_free(j->mailboxes);
	mem_free(j->dir);
	mem_free(j);
}

/* WAITS. The parcel of a user who is held; it does not hold him yet. */
static enum err list_files(struct op *op, const struct user *held, const struct counted *found,
	struct metacache_parcel **out)
{
	struct list_job *j = MEM_NEW(struct list_job);
	j->job.run = list_run;
	j->job.release = list_release;
	j->dir = str_new_z(str_from(held->dir));
	j->parcel = MEM_NEW(struct metacache_parcel);
	j->parcel->dir = j->parcel->fd = -1;
	j->mailbox_count = found->count;
	j->mailboxes = mem_new(MAX(found->count, 1) * sizeof(*j->mailboxes));
	for (size_t i = 0; i < found->count; i++)
		j->mailboxes[i] = found->mailboxes[i].guid;
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	*out = j->parcel;
	j->parcel = NULL;
	list_release(&j->job);
	return ERR_NONE;
}

/* ---- are they the newest? ---- */

struct cover_job {
	struct offload_job job; /* first */
	char *path;             /* owned */
	struct catalog_name cover;
};

/* The newest row that the files have. A log continues a snapshot whose cover it names. */
static void cover_run(struct offload_job *job)
{
	struct cover_job *j = CONTAINER_OF(job, struct cover_job, job);
	struct op op;
	struct log_header header;
	struct log_record r;
	AUTO_BUF(file, 0);
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (file_read(&op, j->path, LOG_READ_MAX, &file) != ERR_NONE)
		return;
	struct str rest = buf_str(&file);
	if (log_header_cut(&rest, &header) != ERR_NONE)
		return;
	j->cover = header.base;
	while (log_record_cut(&rest, header.serial, &r)) {
		if (r.type == LOG_ROW && name_cmp(r.row.name, j->cover) > 0)
			j->cover = r.row.name;
		if (r.type == LOG_CLEAN && name_cmp(r.cover, j->cover) > 0)
			j->cover = r.cover;
	}
}

static void cover_release(struct offload_job *job)
{
	struct cover_job *j = CONTAINER_OF(job, struct cover_job, job);
	mem_free(j->path);
	mem_free(j);
}

/* WAITS. ERR_EXISTS: a base has what the files have not. */
static enum err check_newest(struct op *op, struct user *held, const struct counted *found)
{
	TRY(user_read_heads(op, held));
	for (size_t i = 0; i < found->count; i++) {
		const struct user_base *base = user_base_of(held, found->mailboxes[i].guid);
		char name[NAME_BYTES];
		if (!base)
			continue;
		struct catalog_name newest = base->head.base.cover;
		put_name(found->mailboxes[i].guid, "log", name);
		struct cover_job *j = MEM_NEW(struct cover_job);
		j->job.run = cover_run;
		j->job.release = cover_release;
		j->path = str_new_z(str_printf(op->arena, "%s/%s", held->dir, name));
		TRY(offload(op, OFFLOAD_DISK, &j->job));
		bool is_newer = name_cmp(newest, j->cover) > 0;
		cover_release(&j->job);
		if (is_newer)
			return op_fail(op, ERR_EXISTS,
				"a base of mailbox %.*s is newer than what this host has",
				2 * CATALOG_GUID_BYTES, name);
	}
	return ERR_NONE;
}

/* ---- the parcel ---- */

static enum err pack_held(struct op *op, struct user *held, bool latest_only, bool *out_pending,
	struct metacache_parcel **out)
{
	struct counted found;
	*out_pending = false;
	TRY(metacache_look(op, held->dir, true, &found));
	for (size_t i = 0; i < found.count; i++)
		*out_pending |= found.mailboxes[i].pending > 0;
	if (*out_pending)
		return ERR_NONE;
	if (latest_only)
		TRY(check_newest(op, held, &found));
	return list_files(op, held, &found, out);
}

static enum err pack_once(struct op *op, struct store *s, struct str name, bool latest_only,
	bool *out_pending, struct metacache_parcel **out)
{
	struct user *held;
	TRY(user_hold(op, s, name, &held));
	*out = NULL;
	enum err e = pack_held(op, held, latest_only, out_pending, out);
	if (e == ERR_NONE && *out)
		(*out)->held = held;
	else
		user_let_go(held);
	return e;
}

enum err metacache_pack(struct op *op, struct store *s, struct str name, bool latest_only,
	struct metacache_parcel **out)
{
	bool is_pending;
	TRY(pack_once(op, s, name, latest_only, &is_pending, out));
	if (!is_pending)
		return ERR_NONE;
	TRY(metacache_adopt(op, s, name));
	TRY(pack_once(op, s, name, latest_only, &is_pending, out));
	if (!is_pending)
		return ERR_NONE;
	return op_fail(op, ERR_CONFLICT, "%.*s has flag changes that the catalog does not have",
		STRF(name));
}

uint64_t metacache_parcel_bytes(const struct metacache_parcel *p)
{
	return p->total;
}

size_t metacache_parcel_files(const struct metacache_parcel *p)
{
	return p->count - 1;
}

void metacache_parcel_free(struct metacache_parcel *p)
{
	user_let_go(p->held);
	parcel_free(p);
}

/* ---- reading it ---- */

struct read_job {
	struct offload_job job; /* first */
	int dir, fd;            /* fd: -1 before it is opened; moved back */
	char name[NAME_BYTES];
	char *bytes; /* owned */
	size_t wanted;
	uint64_t offset;
	bool has_failed;
};

static void read_run(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (j->fd < 0)
		j->fd = openat(j->dir, j->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	j->has_failed =
		j->fd < 0 || file_pread_all(&op, j->fd, j->bytes, j->wanted, j->offset) != ERR_NONE;
}

static void read_release(struct offload_job *job)
{
	struct read_job *j = CONTAINER_OF(job, struct read_job, job);
	file_close_fd(&j->fd);
	file_close_fd(&j->dir);
	mem_free(j->bytes);
	mem_free(j);
}

/* WAITS. The next `n` bytes of the file. */
static enum err read_file(struct op *op, struct metacache_parcel *p, struct buf *out, size_t n)
{
	const struct parcel_header *h = &p->files[p->at];
	struct read_job *j = MEM_NEW(struct read_job);
	j->job.run = read_run;
	j->job.release = read_release;
	j->dir = dup(p->dir);
	j->fd = p->fd;
	p->fd = -1;
	j->wanted = n;
	j->offset = h->bytes - p->left;
	j->bytes = mem_new(n);
	put_name(h->mailbox, parcel_file_name(h->kind), j->name);
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	enum err e = j->has_failed ? op_fail(op, ERR_UNAVAILABLE, "%s cannot be read", j->name)
				   : ERR_NONE;
	p->fd = j->fd;
	j->fd = -1;
	if (e == ERR_NONE)
		buf_put(out, (struct str){ j->bytes, n });
	read_release(&j->job);
	return e;
}

static void put_counted(struct metacache_parcel *p, struct buf *out, size_t from)
{
	p->crc = hash_crc32c(p->crc, str_slice(buf_str(out), from, out->n));
}

static void begin_file(struct metacache_parcel *p, struct buf *out)
{
	uint8_t header[PARCEL_HEADER_BYTES];
	size_t from = out->n;
	const struct parcel_header *h = &p->files[p->at];
	parcel_header_encode(h, header);
	buf_put(out, (struct str){ (const char *)header, sizeof(header) });
	p->crc = 0;
	put_counted(p, out, from);
	p->left = h->kind == PARCEL_END ? 0 : h->bytes;
	p->is_begun = true;
}

static void end_file(struct metacache_parcel *p, struct buf *out)
{
	uint8_t crc[PARCEL_CHECKSUM_BYTES];
	put_le32(crc, p->crc);
	buf_put(out, (struct str){ (const char *)crc, sizeof(crc) });
	file_close_fd(&p->fd);
	p->is_begun = false;
	p->at++;
}

enum err metacache_parcel_read(
	struct op *op, struct metacache_parcel *p, struct buf *out, size_t most)
{
	if (p->held->store->is_closing)
		return op_fail(op, ERR_UNAVAILABLE, "the store is closing");
	while (p->at < p->count && out->n < most) {
		if (!p->is_begun)
			begin_file(p, out);
		if (p->left > 0) {
			size_t n = (size_t)MIN(p->left, most), from = out->n;
			TRY(read_file(op, p, out, n));
			put_counted(p, out, from);
			p->left -= n;
		}
		if (p->left == 0)
			end_file(p, out);
	}
	return ERR_NONE;
}

/* ---- afterwards ---- */

enum err metacache_drop_sent(struct op *op, struct store *s, struct str name)
{
	struct user *held;
	struct counted found;
	bool is_pending = false;
	TRY(user_hold(op, s, name, &held));
	enum err e = metacache_look(op, held->dir, true, &found);
	for (size_t i = 0; e == ERR_NONE && i < found.count; i++)
		is_pending |= found.mailboxes[i].pending > 0;
	if (e == ERR_NONE && is_pending)
		e = op_fail(op, ERR_CONFLICT,
			"%.*s has flag changes that the catalog does not have", STRF(name));
	if (e == ERR_NONE)
		e = local_remove_dir(op, held->dir);
	if (e == ERR_NONE)
		metacache_user_forgotten(s, name);
	user_let_go(held);
	return e;
}
