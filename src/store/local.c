/* SPDX-License-Identifier: Apache-2.0 */
/* The local files of a mailbox: `snapshot`, `log`, `summaries` in <user's directory>/<guid>/.
 *
 * All of it may vanish or be damaged: the catalog has the truth, local files only save reading it.
 * The log is written without fsync: after kill -9 the page cache has it, after a power loss what is
 * missing is read again from the catalog. A failed write gives the files up until the next opening,
 * never the operation. */
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/number.h"
#include "base/random.h"

#define LOG_READ_MAX (256u << 20)

/* ---- reading, on a pool thread ---- */

/* The job owns index and files until it has run; then they are moved into the mailbox. */
struct open_job {
	struct offload_job job; /* first */
	struct catalog_guid guid;
	struct index *index;
	struct local local;
	uint8_t boot_id[16];
	int64_t seen_ms; /* of LOG_SEEN; 0: it does not say */
	bool skips_rows; /* the log continues a snapshot that is not there */
	bool is_special; /* to be marked as such, for those who drop local state */
	bool is_new;     /* there was nothing */
};

static bool path_of(const struct local *l, const char *name, char *path, size_t size)
{
	int n = snprintf(path, size, "%s/%s", l->dir, name);
	return n > 0 && (size_t)n < size;
}

/* Maps the snapshot and loads it; on any trouble the index is a new one. */
static void load_snapshot(struct open_job *j)
{
	struct local *l = &j->local;
	char path[4096];
	struct stat st;
	if (!path_of(l, "snapshot", path, sizeof(path)))
		return;
	AUTO_FD(fd, open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0)
		return;
	size_t bytes = (size_t)st.st_size;
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return;
	if (index_load(j->index, map, bytes) == ERR_NONE) {
		l->map = map;
		l->map_bytes = bytes;
		l->snapshot_bytes = bytes;
		return;
	}
	index_free(j->index);
	j->index = index_new(j->guid);
	(void)munmap(map, bytes);
}

static void keep_pending(struct local *l, struct str value)
{
	number_put_varint(&l->pending_values, value.n);
	buf_put(&l->pending_values, value);
	l->pending++;
}

static void drop_journalled(struct local *l, uint64_t count)
{
	struct str rest = buf_str(&l->pending_values);
	uint64_t n;
	while (count > 0 && number_cut_varint(&rest, &n)) {
		(void)str_take(&rest, (size_t)n);
		count--;
		l->pending--;
	}
	buf_drop_front(&l->pending_values, l->pending_values.n - rest.n);
}

/* One record into the index; false if it makes no sense: reading stops there. */
static bool replay(struct open_job *j, const struct log_record *r)
{
	struct local *l = &j->local;
	uint32_t position;
	l->has_clean = r->type == LOG_CLEAN ||
		       (l->has_clean && (r->type == LOG_RECENT || r->type == LOG_SUMMARY ||
						r->type == LOG_SEEN));
	switch (r->type) {
	case LOG_ROW:
		return j->skips_rows || index_fold(j->index, &r->row) == ERR_NONE;
	case LOG_PENDING:
		keep_pending(l, r->value);
		return index_fold_pending(j->index, r->value) == ERR_NONE;
	case LOG_JOURNALLED:
		drop_journalled(l, r->number);
		return true;
	case LOG_WRITER:
		l->writer = (uint32_t)r->number;
		return true;
	case LOG_SEEN:
		j->seen_ms = (int64_t)MIN(r->number, (uint64_t)INT64_MAX);
		return true;
	case LOG_RECENT:
		index_set_recent_uid(j->index, (uint32_t)MIN(r->number, UINT32_MAX));
		return true;
	case LOG_SUMMARY:
		if (index_find(j->index, r->uid, &position))
			index_set_summary(j->index, position, r->offset, r->length);
		return true;
	case LOG_CLEAN:
		l->clean = *r;
		return true;
	}
	return false;
}

static void load_log(struct open_job *j)
{
	struct local *l = &j->local;
	char path[4096];
	struct op op;
	struct log_header header;
	struct catalog_name base = index_cover(j->index);
	AUTO_BUF(file, 0);
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (!path_of(l, "log", path, sizeof(path)) ||
		file_read(&op, path, LOG_READ_MAX, &file) != ERR_NONE)
		return;
	struct str rest = buf_str(&file);
	if (log_header_cut(&rest, &header) != ERR_NONE ||
		memcmp(&header.mailbox, &j->guid, sizeof(j->guid)) != 0)
		return;
	/* An older snapshot's log is fine, all of it was folded. Without the right snapshot rows
	 * would pass for a cover that is not there; flag changes wait for their mails. */
	j->skips_rows = name_cmp(header.base, index_cover(j->index)) > 0;
	struct log_record r;
	struct str good = rest;
	while (log_record_cut(&rest, header.serial, &r) && replay(j, &r))
		good = rest;
	l->serial = header.serial;
	l->log_bytes = file.n - good.n;
	/* What is cut off was damage, or the last words of who was killed while writing. */
	l->is_trusted = good.n == 0 && memcmp(header.boot_id, j->boot_id, sizeof(j->boot_id)) == 0;
	l->has_clean = l->has_clean && good.n == 0 && name_cmp(header.base, base) == 0;
	l->log_fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	/* Noted before it is cut: this opening may fail, and the next finds nothing torn. */
	if (l->log_fd >= 0 && good.n > 0 &&
		(!local_note_gap(path) || ftruncate(l->log_fd, (off_t)l->log_bytes) != 0))
		file_close_fd(&l->log_fd);
}

static void open_run(struct offload_job *job)
{
	struct open_job *j = CONTAINER_OF(job, struct open_job, job);
	struct local *l = &j->local;
	struct op op;
	char path[4096];
	struct stat st;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (file_make_dirs(&op, l->dir, 0700) != ERR_NONE)
		return;
	load_snapshot(j);
	load_log(j);
	if (!path_of(l, "summaries", path, sizeof(path)))
		return;
	l->summary_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (l->summary_fd >= 0 && fstat(l->summary_fd, &st) == 0)
		l->summary_bytes = (uint64_t)st.st_size;
	j->is_new = l->log_fd < 0 && !l->map && l->summary_bytes == 0;
	if (j->is_new && j->is_special && path_of(l, "special", path, sizeof(path)))
		close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)); /* only a hint */
}

static void open_release(struct offload_job *job)
{
	struct open_job *j = CONTAINER_OF(job, struct open_job, job);
	index_free(j->index);
	local_close(&j->local);
	mem_free(j);
}

char *local_dir_of(const struct user *u, struct catalog_guid mailbox)
{
	AUTO_BUF(dir, 0);
	buf_putf(&dir, "%s/", u->dir);
	hex_encode(&dir, (struct str){ (const char *)mailbox.bytes, sizeof(mailbox.bytes) });
	return str_new_z(buf_str(&dir));
}

enum err local_open(struct op *op, struct mailbox *m)
{
	struct open_job *j = MEM_NEW(struct open_job);
	j->job.run = open_run;
	j->job.release = open_release;
	j->guid = m->guid;
	j->index = index_new(m->guid);
	j->local.dir = local_dir_of(m->user, m->guid);
	j->local.log_fd = j->local.summary_fd = -1;
	j->is_special = metacache_is_special(m);
	memcpy(j->boot_id, m->user->store->boot_id, sizeof(j->boot_id));
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	m->index = j->index;
	m->local = j->local;
	j->index = NULL;
	j->local = (struct local){ .log_fd = -1, .summary_fd = -1 };
	m->seen_ms = j->seen_ms;
	/* A cover alone does not tell: own rows raise it, also those of a host that slept before. */
	if (m->seen_ms == 0 && !catalog_is_atomic(m->user->store->catalog) &&
		!name_is_none(index_cover(m->index)))
		local_replace_index(m, index_new(m->guid));
	metacache_mailbox_found(m, j->is_new);
	open_release(&j->job);
	return ERR_NONE;
}

void local_close(struct local *l)
{
	file_close_fd(&l->log_fd);
	file_close_fd(&l->summary_fd);
	buf_done(&l->out);
	buf_done(&l->meanwhile);
	buf_done(&l->pending_values);
	mem_free(l->window);
	mem_free(l->dir);
	if (l->map)
		(void)munmap(l->map, l->map_bytes);
	*l = (struct local){ .log_fd = -1, .summary_fd = -1 };
}

/* ---- writing ---- */

/* A log with a gap is not written any more: the next opening asks the catalog. It stays only for the flag changes
 * that wait in it. */
static void give_up(struct local *l)
{
	char path[4096];
	l->is_broken = true;
	file_close_fd(&l->log_fd);
	if (path_of(l, "log", path, sizeof(path)) && (l->pending == 0 || !local_note_gap(path)))
		(void)unlink(path);
}

void local_add(struct mailbox *m, const struct log_record *record)
{
	struct local *l = &m->local;
	if (l->next_serial != 0) {
		log_record_encode(&l->meanwhile, l->next_serial, record);
		l->misses_journalling |= record->type == LOG_JOURNALLED;
	}
	bool is_of_index = record->type == LOG_ROW || record->type == LOG_SEEN;
	if (l->is_broken || l->log_fd < 0 || (l->is_replaced && is_of_index))
		return;
	l->pending += record->type == LOG_PENDING;
	if (record->type == LOG_JOURNALLED)
		l->pending -= MIN(l->pending, record->number);
	log_record_encode(&l->out, l->serial, record);
}

void local_write(struct mailbox *m)
{
	struct local *l = &m->local;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (l->out.n == 0)
		return;
	if (l->log_fd >= 0 && file_write_all(&op, l->log_fd, buf_str(&l->out)) != ERR_NONE)
		give_up(l);
	l->log_bytes += l->out.n;
	buf_clear(&l->out);
	metacache_note_files(m);
}

void local_add_writer(struct mailbox *m)
{
	local_add(m, &(struct log_record){ .type = LOG_WRITER, .number = m->user->writer });
	local_write(m);
}

void local_add_seen(struct mailbox *m)
{
	local_add(m, &(struct log_record){ .type = LOG_SEEN, .number = (uint64_t)m->seen_ms });
}

void local_replace_index(struct mailbox *m, struct index *x)
{
	struct local *l = &m->local;
	index_free(m->index);
	m->index = x;
	if (l->map)
		(void)munmap(l->map, l->map_bytes);
	l->map = NULL;
	l->snapshot_bytes = 0;
	l->is_trusted = false; /* places of summaries and rows are of the one before */
	l->is_replaced = true;
}

void local_distrust(struct mailbox *m)
{
	struct local *l = &m->local;
	char path[4096];
	bool has_pending = l->pending > 0;
	l->pending = 0;
	give_up(l);
	if (!has_pending)
		return;
	/* They are folded already, and may be in the snapshot: all is read again. */
	local_replace_index(m, index_new(m->guid));
	m->seen_ms = 0;
	buf_clear(&l->pending_values);
	if (path_of(l, "snapshot", path, sizeof(path)))
		(void)unlink(path);
}

/* ---- a new snapshot ---- */

struct rewrite_job {
	struct offload_job job; /* first */
	struct local paths;     /* only dir */
	struct buf snapshot, log;
	int log_fd;
	enum err result;
};

/* Without fsync: after a power loss the checksums tell, and the catalog is read instead. */
static bool replace_file(struct op *op, const struct local *l, const char *path, struct str content)
{
	char fresh[4096];
	if (!path_of(l, "snapshot.new", fresh, sizeof(fresh)))
		return false;
	AUTO_FD(fd, open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	return fd >= 0 && file_write_all(op, fd, content) == ERR_NONE && rename(fresh, path) == 0;
}

static void rewrite_run(struct offload_job *job)
{
	struct rewrite_job *j = CONTAINER_OF(job, struct rewrite_job, job);
	struct op op;
	char path[4096], fresh[4096];
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	j->result = ERR_UNAVAILABLE;
	if (!path_of(&j->paths, "snapshot", path, sizeof(path)))
		return;
	if (j->snapshot.n > 0 && !replace_file(&op, &j->paths, path, buf_str(&j->snapshot)))
		return;
	if (!path_of(&j->paths, "log", path, sizeof(path)) ||
		!path_of(&j->paths, "log.new", fresh, sizeof(fresh)))
		return;
	j->log_fd = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (j->log_fd >= 0 && file_write_all(&op, j->log_fd, buf_str(&j->log)) == ERR_NONE &&
		rename(fresh, path) == 0)
		j->result = ERR_NONE;
}

static void rewrite_release(struct offload_job *job)
{
	struct rewrite_job *j = CONTAINER_OF(job, struct rewrite_job, job);
	buf_done(&j->snapshot);
	buf_done(&j->log);
	mem_free(j->paths.dir);
	file_close_fd(&j->log_fd);
	mem_free(j);
}

/* The first bytes of a log: its header, and flag changes that still wait for their row. */
static void begin_log(struct mailbox *m, uint32_t serial, bool has_snapshot, struct buf *out)
{
	struct log_header header = { .mailbox = m->guid, .serial = serial };
	if (has_snapshot)
		header.base = index_cover(m->index);
	memcpy(header.boot_id, m->user->store->boot_id, sizeof(header.boot_id));
	log_header_encode(out, &header);
	if (m->is_claimed)
		log_record_encode(out, serial,
			&(struct log_record){ .type = LOG_WRITER, .number = m->user->writer });
	if (m->seen_ms > 0)
		log_record_encode(out, serial,
			&(struct log_record){ .type = LOG_SEEN, .number = (uint64_t)m->seen_ms });
	if (m->pending.n == 0)
		return;
	const struct str *words;
	size_t count = index_keywords(m->index, &words);
	AUTO_BUF(value, 0);
	row_flags_encode_head(&value, words, count);
	buf_put(&value, buf_str(&m->pending));
	log_record_encode(
		out, serial, &(struct log_record){ .type = LOG_PENDING, .value = buf_str(&value) });
}

/* The new files take the old ones' place, with what was added meanwhile. */
static bool adopt_files(struct mailbox *m, struct rewrite_job *j)
{
	struct local *l = &m->local;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (j->result != ERR_NONE || l->misses_journalling ||
		file_write_all(&op, j->log_fd, buf_str(&l->meanwhile)) != ERR_NONE)
		return false;
	file_close_fd(&l->log_fd);
	l->log_fd = j->log_fd;
	j->log_fd = -1;
	l->serial = l->next_serial;
	l->log_bytes = j->log.n + l->meanwhile.n;
	l->snapshot_bytes = j->snapshot.n;
	l->pending = m->pending.n > 0;
	m->pending_records = l->pending;
	l->is_broken = false;
	l->is_trusted = true;
	l->is_replaced = false;
	l->has_clean = false;
	buf_clear(&l->out);
	return true;
}

enum err local_rewrite(struct op *op, struct mailbox *m)
{
	struct local *l = &m->local;
	if (now_us() >= op->deadline_us)
		return op_fail(op, ERR_TIMEOUT, "no time left to write local files");
	TRY(summaries_compact(op, m));
	struct rewrite_job *j = MEM_NEW(struct rewrite_job);
	j->job.run = rewrite_run;
	j->job.release = rewrite_release;
	j->log_fd = -1;
	j->paths.dir = str_new_z(str_from(l->dir));
	bool is_new = l->snapshot_bytes == 0 && index_modseq(m->index) == 0;
	uint64_t pending = m->pending_records;
	l->next_serial = (uint32_t)random_u64() | 1;
	l->misses_journalling = false;
	if (!is_new)
		index_save(m->index, flags_stamp_floor(m), &j->snapshot);
	begin_log(m, l->next_serial, !is_new, &j->log);
	/* Never left halfway: files that appear later would lack what was added since. */
	struct op own;
	op_init(&own, NULL, NULL, TIME_NEVER);
	task_shield();
	enum err e = offload(&own, OFFLOAD_DISK, &j->job);
	ASSERT(e == ERR_NONE); /* no deadline, not cancellable */
	task_unshield();
	l->misses_journalling |= m->pending_records != pending;
	if (!adopt_files(m, j))
		give_up(l);
	l->next_serial = 0;
	buf_done(&l->meanwhile);
	rewrite_release(&j->job);
	metacache_note_files(m);
	return ERR_NONE;
}

/* ---- removing ---- */

static enum err remove_tree(struct op *op, const char *path, struct buf *content)
{
	(void)content;
	return file_remove_tree(op, path);
}

enum err local_remove_dir(struct op *op, const char *dir)
{
	/* Never left to itself: it would take what the next opening of the user writes. */
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = TIME_NEVER;
	task_shield();
	enum err e = offload_file(op, remove_tree, str_from(dir), NULL);
	task_unshield();
	op->deadline_us = deadline_us;
	return e;
}

void local_remove(struct op *op, struct user *u, struct catalog_guid mailbox)
{
	char *dir = local_dir_of(u, mailbox);
	if (local_remove_dir(op, dir) != ERR_NONE)
		op_forgive(op); /* only room on the disk is lost */
	metacache_mailbox_removed(u, mailbox);
	mem_free(dir);
}
