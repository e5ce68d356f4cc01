/* SPDX-License-Identifier: Apache-2.0 */
/* Counting what is there: a user whom the account does not know, in the background after his login; and
 * everybody, once a day and after a crash. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "event/event.h"
#include "store/metacache_private.h"

#define LOG_READ_MAX   (256u << 20)
#define PATH_MAX_BYTES 4096
#define SHELVES        256 /* directories below local_dir, by the first byte of the hash */

/* ---- looking at a user's directory, on a pool thread ---- */

struct look_job {
	struct offload_job job; /* first */
	char *dir;
	bool with_pending;
	struct counted_mailbox *mailboxes; /* owned */
	size_t count, capacity;
	uint64_t root_bytes;
	bool exists;
};

uint64_t metacache_blocks(uint64_t bytes)
{
	return (bytes + METACACHE_BLOCK - 1) / METACACHE_BLOCK * METACACHE_BLOCK;
}

static uint64_t blocks_of(const struct stat *st)
{
	return metacache_blocks(S_ISDIR(st->st_mode) ? 1 : (uint64_t)MAX(st->st_size, 0));
}

/* Flag changes in a log that no row has. What cannot be read holds none: nobody could adopt them. */
static uint64_t pending_in(int dir, struct catalog_guid guid)
{
	struct op op;
	struct log_header header;
	struct log_record r;
	uint64_t pending = 0;
	char path[64];
	AUTO_BUF(file, 0);
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/log", dir);
	if (file_read(&op, path, LOG_READ_MAX, &file) != ERR_NONE)
		return 0;
	struct str rest = buf_str(&file);
	if (log_header_cut(&rest, &header) != ERR_NONE ||
		memcmp(&header.mailbox, &guid, sizeof(guid)) != 0)
		return 0;
	while (log_record_cut(&rest, header.serial, &r)) {
		pending += r.type == LOG_PENDING;
		if (r.type == LOG_JOURNALLED)
			pending -= MIN(pending, r.number);
	}
	return pending;
}

static bool guid_of_name(const char *name, struct catalog_guid *out)
{
	AUTO_BUF(bytes, 0);
	if (!hex_decode(&bytes, str_from(name)) || bytes.n != sizeof(out->bytes))
		return false;
	memcpy(out->bytes, bytes.p, sizeof(out->bytes));
	return true;
}

static void look_at_mailbox(struct look_job *j, int parent, const char *name)
{
	struct counted_mailbox box = { .bytes = METACACHE_BLOCK };
	struct stat st;
	struct dirent *entry;
	if (!guid_of_name(name, &box.guid))
		return;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		file_close_fd(&fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		box.bytes += blocks_of(&st);
		box.is_special |= strcmp(entry->d_name, METACACHE_MARKER) == 0;
	}
	box.pending = j->with_pending ? pending_in(fd, box.guid) : 0;
	(void)closedir(dir);
	if (j->count == j->capacity) {
		j->capacity = MAX(2 * j->capacity, 16);
		j->mailboxes = mem_resize(j->mailboxes, j->capacity * sizeof(*j->mailboxes));
	}
	j->mailboxes[j->count++] = box;
}

static void look_run(struct offload_job *job)
{
	struct look_job *j = CONTAINER_OF(job, struct look_job, job);
	struct stat st;
	struct dirent *entry;
	int fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		file_close_fd(&fd);
		return;
	}
	j->exists = true;
	j->root_bytes = METACACHE_BLOCK;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.' ||
			fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			look_at_mailbox(j, fd, entry->d_name);
		else
			j->root_bytes += blocks_of(&st);
	}
	(void)closedir(dir);
}

static void look_release(struct offload_job *job)
{
	struct look_job *j = CONTAINER_OF(job, struct look_job, job);
	mem_free(j->mailboxes);
	mem_free(j->dir);
	mem_free(j);
}

enum err metacache_look(struct op *op, const char *dir, bool with_pending, struct counted *out)
{
	struct look_job *j = MEM_NEW(struct look_job);
	j->job.run = look_run;
	j->job.release = look_release;
	j->dir = str_new_z(str_from(dir));
	j->with_pending = with_pending;
	TRY(offload(op, OFFLOAD_DISK, &j->job));
	*out = (struct counted){
		.count = j->count, .root_bytes = j->root_bytes, .exists = j->exists
	};
	out->mailboxes = ARENA_NEW_ARRAY(op->arena, struct counted_mailbox, MAX(j->count, 1));
	if (j->count > 0)
		memcpy(out->mailboxes, j->mailboxes, j->count * sizeof(*j->mailboxes));
	look_release(&j->job);
	return ERR_NONE;
}

void metacache_apply(struct metacache *c, struct cache_user *u, const struct counted *found)
{
	uint64_t bytes[CACHE_PRIORITIES] = { [CACHE_ROOT] = found->root_bytes };
	struct user *open = map_get(&c->store->users, u->name);
	for (size_t i = 0; i < found->count; i++) {
		const struct counted_mailbox *box = &found->mailboxes[i];
		if (!open || !user_find_mailbox(open, box->guid))
			bytes[box->is_special ? CACHE_SPECIAL : CACHE_OTHER] += box->bytes;
	}
	struct mailbox *m, *next;
	if (open)
		LIST_FOR_EACH(m, next, &open->mailboxes, struct mailbox, link)
	bytes[m->cached_priority] += m->cached_bytes;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		cache_set_bytes(&c->account, u, (enum cache_priority)p, bytes[p]);
	u->is_counted = true;
	u->seen_round = c->round;
}

/* WAITS. */
static enum err count_user(struct op *op, struct metacache *c, struct str name)
{
	struct counted found;
	struct arena_mark mark = arena_mark(op->arena);
	struct cache_user *u = metacache_pin(c, name);
	char *dir = user_dir(c->store, name);
	enum err e = metacache_look(op, dir, false, &found);
	if (e == ERR_NONE)
		metacache_apply(c, u, &found);
	/* Who was never here while we know of him: his files were used last when they were written, which
	 * is not looked up; the oldest is right for room, since nobody came since. */
	metacache_unpin(c, u);
	mem_free(dir);
	arena_rewind(op->arena, mark);
	return e;
}

/* ---- those whom the account does not know ---- */

struct uncounted {
	struct list link;
	char *name;
};

void metacache_count_stop(struct metacache *c)
{
	struct uncounted *u;
	while ((u = LIST_FIRST(&c->uncounted, struct uncounted, link)) != NULL) {
		list_remove(&u->link);
		mem_free(u->name);
		mem_free(u);
	}
}

static void count_task(void *arg)
{
	struct metacache *c = arg;
	struct uncounted *u;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->store->event, TIME_NEVER);
	while ((u = LIST_FIRST(&c->uncounted, struct uncounted, link)) != NULL) {
		list_remove(&u->link);
		if (count_user(&op, c, str_from(u->name)) != ERR_NONE)
			op_forgive(&op); /* the next recount finds him */
		mem_free(u->name);
		mem_free(u);
	}
	c->is_counting = false;
	metacache_tell(c);
	store_background_end(c->store);
}

void metacache_count_soon(struct metacache *c, struct str name)
{
	/* Without a file and a limit nobody asks how much there is. */
	if (c->is_stopping || (!c->userdb && c->settings.max_bytes == 0))
		return;
	struct uncounted *u = MEM_NEW(struct uncounted);
	u->name = str_new_z(name);
	list_add_last(&c->uncounted, &u->link);
	if (c->is_counting)
		return;
	c->is_counting = true;
	store_background(c->store, "metacache-count", count_task, c);
}

/* ---- everybody ---- */

struct shelf_job {
	struct offload_job job; /* first */
	char *dir;
	struct buf names; /* each ends with a zero byte */
	const struct metacache_settings *settings;
};

static void shelf_run(struct offload_job *job)
{
	struct shelf_job *j = CONTAINER_OF(job, struct shelf_job, job);
	const struct metacache_settings *s = j->settings;
	struct dirent *entry;
	DIR *dir = opendir(j->dir);
	while (dir && (entry = readdir(dir)) != NULL) {
		struct str name = str_from(entry->d_name);
		if (str_eq(name, STR(".")) || str_eq(name, STR("..")) ||
			(s->owns && !s->owns(name, s->owns_arg)))
			continue;
		buf_put(&j->names, (struct str){ name.p, name.n + 1 });
	}
	if (dir)
		(void)closedir(dir);
}

static void shelf_release(struct offload_job *job)
{
	struct shelf_job *j = CONTAINER_OF(job, struct shelf_job, job);
	buf_done(&j->names);
	mem_free(j->dir);
	mem_free(j);
}

/* WAITS. Whom this worker serves of one of the directories. */
static enum err rescan_shelf(struct op *op, struct metacache *c, unsigned shelf)
{
	struct shelf_job *j = MEM_NEW(struct shelf_job);
	AUTO_BUF(path, 0);
	AUTO_BUF(names, 0);
	struct str rest, name;
	buf_putf(&path, "%s/%02x", c->store->local_dir, shelf);
	j->job.run = shelf_run;
	j->job.release = shelf_release;
	j->dir = str_new_z(buf_str(&path));
	j->settings = &c->settings;
	task_shield(); /* the job looks at our settings */
	enum err e = offload(op, OFFLOAD_DISK, &j->job);
	task_unshield();
	TRY(e);
	buf_put(&names, buf_str(&j->names));
	shelf_release(&j->job);
	rest = buf_str(&names);
	while (str_cut(&rest, '\0', &name) && !c->is_stopping)
		TRY(count_user(op, c, name));
	return ERR_NONE;
}

/* Who has no directory any more, and did not come meanwhile. */
static void forget_unseen(struct metacache *c)
{
	size_t at = SIZE_MAX;
	struct cache_user *u;
	while ((u = cache_walk(&c->account, &at)) != NULL)
		if (u->seen_round != c->round && u->pins == 0 &&
			upload_cancel(&c->queue, &u->upload))
			cache_forget(&c->account, u);
}

enum err metacache_rescan(struct op *op, struct store *s, size_t *out_users, uint64_t *out_bytes)
{
	struct metacache *c = s->metacache;
	if (c->is_rescanning)
		return op_fail(op, ERR_CONFLICT, "local state is being counted just now");
	c->is_rescanning = true;
	c->round++;
	enum err e = ERR_NONE;
	for (unsigned shelf = 0; shelf < SHELVES && e == ERR_NONE && !c->is_stopping; shelf++)
		e = rescan_shelf(op, c, shelf);
	c->is_rescanning = false;
	if (e == ERR_NONE && c->is_stopping)
		e = op_fail(op, ERR_CANCELLED, "the store is closing");
	TRY(e);
	forget_unseen(c);
	metacache_tell(c);
	*out_users = c->account.users.count;
	*out_bytes = metacache_figures(s).own_bytes;
	event_send(s->event, EVENT_INFO, "metacache_rescan_finished",
		"Local state counted: %zu users, %" PRIu64 " bytes", *out_users, *out_bytes);
	return ERR_NONE;
}

static void rescan_task(void *arg)
{
	struct metacache *c = arg;
	struct op op;
	size_t users;
	uint64_t bytes;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, c->store->event, TIME_NEVER);
	enum err e = metacache_rescan(&op, c->store, &users, &bytes);
	if (e != ERR_NONE && e != ERR_CANCELLED && e != ERR_CONFLICT)
		event_send_failure(
			c->store->event, EVENT_WARNING, NULL, &op, "counting local state");
	if (c->settings.rescan_interval_us > 0 && !c->is_stopping)
		timer_set(&c->rescan_timer, now_us() + c->settings.rescan_interval_us);
	store_background_end(c->store);
}

void metacache_rescan_due(void *arg)
{
	struct metacache *c = arg;
	store_background(c->store, "metacache-rescan", rescan_task, c);
}
