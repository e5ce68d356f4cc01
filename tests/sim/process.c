/* SPDX-License-Identifier: Apache-2.0 */
/* The lives of backends. A crash freezes the local files as they are at that moment: the next life
 * begins with the copy, whatever the dead one still does to its own while its tasks come to their end. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ledger.h"

/* ---- local files ---- */

static char *new_dir(void)
{
	struct world *w = sim_world;
	AUTO_BUF(path, 0);
	buf_putf(&path, "%s/%d", w->dir, w->dir_count++);
	return str_new_z(buf_str(&path));
}

static void remove_dir(char **dir)
{
	if (*dir)
		sim_must(&sim_world->op, file_remove_tree(&sim_world->op, *dir), "removing files");
	mem_free(*dir);
	*dir = NULL;
}

typedef void file_fn(const char *from, const char *to);

static void copy_file(const char *from, const char *to)
{
	struct op *op = &sim_world->op;
	AUTO_BUF(content, 0);
	sim_must(op, file_read(op, from, 64u << 20, &content), "copying a file");
	AUTO_FD(fd, open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	ASSERT(fd >= 0);
	sim_must(op, file_write_all(op, fd, buf_str(&content)), "copying a file");
}

/* As after a power loss: nothing was synced, so any part may be missing. */
static void spoil_file(const char *from, const char *to)
{
	struct op *op = &sim_world->op;
	AUTO_BUF(content, 0);
	sim_must(op, file_read(op, from, 64u << 20, &content), "copying a file");
	AUTO_FD(fd, open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	ASSERT(fd >= 0);
	size_t cut = (size_t)random_below(content.n + 1);
	switch (random_below(5)) {
	case 0:
		buf_truncate(&content, cut);
		break;
	case 1:
		memset(content.p + cut, 0, content.n - cut);
		break;
	case 2:
		for (size_t i = 0; i < 4 && content.n > 0; i++)
			content.p[random_below(content.n)] ^= (char)(1 + random_below(255));
		break;
	case 3:
		(void)unlink(to);
		return;
	default:
		break;
	}
	sim_must(op, file_write_all(op, fd, buf_str(&content)), "copying a file");
}

/* As of a process that was killed while it wrote: what it had told is there, and a part of what was to come. */
static void tear_file(const char *from, const char *to)
{
	struct op *op = &sim_world->op;
	char part[48];
	copy_file(from, to);
	if (!str_ends(str_from(from), STR("/log")) || sim_chance(50))
		return;
	size_t count = 1 + (size_t)random_below(sizeof(part));
	for (size_t i = 0; i < count; i++)
		part[i] = (char)random_below(256);
	AUTO_FD(fd, open(to, O_WRONLY | O_APPEND | O_CLOEXEC));
	ASSERT(fd >= 0);
	sim_must(op, file_write_all(op, fd, (struct str){ part, count }), "tearing a file");
}

static void copy_tree(const char *from, const char *to, file_fn *fn);

static void copy_entry(const char *from, const char *to, const char *name, file_fn *fn)
{
	AUTO_BUF(a, 0);
	AUTO_BUF(b, 0);
	struct stat st;
	buf_putf(&a, "%s/%s%c", from, name, '\0');
	buf_putf(&b, "%s/%s%c", to, name, '\0');
	if (stat(a.p, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode))
		copy_tree(a.p, b.p, fn);
	else
		fn(a.p, b.p);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* In the order of names: the file system's own is no part of a seed. */
static void copy_tree(const char *from, const char *to, file_fn *fn)
{
	struct dirent **entries;
	int count = scandir(from, &entries, NULL, by_name);
	if (mkdir(to, 0700) != 0)
		sim_fail("mkdir %s", to);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			copy_entry(from, to, entries[i]->d_name, fn);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static char *copied(const char *dir, file_fn *fn)
{
	char *to = new_dir();
	copy_tree(dir, to, fn);
	return to;
}

void backend_keep_old(struct backend *b)
{
	if (!b->dir)
		return;
	remove_dir(&b->old_dir);
	b->old_dir = copied(b->dir, copy_file);
}

void backend_damage(struct backend *b, enum damage damage)
{
	static const char *const words[] = { "", "lost", "as they were once", "after a power loss",
		"torn" };
	char *next = NULL;
	if (damage == DAMAGE_NONE || !b->dir)
		return;
	if (damage >= DAMAGE_POWER)
		sim_did(damage == DAMAGE_POWER ? DID_POWER_LOSS : DID_TEAR);
	if (damage == DAMAGE_OLD && b->old_dir)
		next = copied(b->old_dir, copy_file);
	else if (damage == DAMAGE_POWER)
		next = copied(b->dir, spoil_file);
	else if (damage == DAMAGE_TORN)
		next = copied(b->dir, tear_file);
	sim_trace("%s: local files are %s", b->host, words[damage]);
	remove_dir(&b->dir);
	b->dir = next;
	b->boot += damage != DAMAGE_TORN;
}

void backend_free(struct backend *b)
{
	remove_dir(&b->dir);
	remove_dir(&b->old_dir);
}

/* ---- processes ---- */

static const struct store_default_mailbox defaults[] = {
	{ { "Sent", 4 }, { "\\Sent", 5 }, true, true },
	{ { "Junk", 4 }, { "\\Junk", 5 }, true, false },
};

struct process *process_start(struct backend *b)
{
	struct world *w = sim_world;
	struct process *p = MEM_NEW(struct process);
	p->number = ++w->process_count;
	p->began_us = now_us();
	p->seat = -1;
	p->backend = b;
	p->link.process = p;
	size_t life = 0;
	while (w->lives[life])
		life++;
	w->lives[life] = p;
	if (!b->dir)
		b->dir = new_dir();
	p->dir = str_new_z(str_from(b->dir));
	/* One process lives at a time, and the wall clock is its own; or all hosts have the same. */
	clock_step_wall(b->skew_us - w->skew_us);
	w->skew_us = b->skew_us;
	struct store_settings settings = { .local_dir = str_from(p->dir),
		.object_prefix = STR(""),
		.host = str_from(b->host),
		.separator = '/',
		.flags_journal = w->journal,
		.idle_user_us = 60 * US_PER_SEC,
		.cached_users_max = 100,
		.defaults = defaults,
		.default_count = ARRAY_COUNT(defaults),
		.keyword_bytes_max = 50,
		.mailboxes_max = 1000,
		.message_bytes_max = 64u << 20,
		.refresh_us = w->refresh_us,
		/* Roots in objects, of every third seed. */
		.root_inline_bytes = w->settings.seed % 3 == 0 ? 64 : 0 };
	p->objects = link_objects_new(&p->link);
	p->catalog = link_catalog_new(&p->link);
	sim_must(&w->op, store_open(&w->op, &settings, p->objects, p->catalog, &p->store),
		"opening a store");
	memset(p->store->boot_id, b->boot, sizeof(p->store->boot_id));
	sim_trace("p%d starts on %s, clock %+" PRId64 " ms", p->number, b->host,
		b->skew_us / US_PER_MS);
	return p;
}

struct process *process_of(const struct mailbox *m)
{
	for (size_t i = 0; i < LIVES_MAX; i++)
		if (sim_world->lives[i] && sim_world->lives[i]->store == m->user->store)
			return sim_world->lives[i];
	sim_fail("a mailbox of no process");
}

enum err process_open_user(struct op *op, struct process *p)
{
	if (p->user)
		return ERR_NONE;
	return user_open(op, p->store, SIM_USER, &p->user);
}

void process_wait(struct process *p)
{
	while (p->sessions > 0)
		sim_must(&sim_world->op, wait_queue_wait(&sim_world->op, &p->quiet), "waiting");
}

static void end_sessions(struct process *p)
{
	p->is_ending = true;
	for (int i = 0; i < SIM_SESSIONS; i++)
		task_cancel(p->tasks[i]);
	process_wait(p);
	if (p->user)
		user_unref(p->user);
	p->user = NULL;
}

static void process_free(struct process *p)
{
	for (size_t i = 0; i < LIVES_MAX; i++)
		if (sim_world->lives[i] == p)
			sim_world->lives[i] = NULL;
	mem_free(p->dir);
	mem_free(p);
}

void process_crash(struct process *p)
{
	struct world *w = sim_world;
	struct backend *b = p->backend;
	sim_trace("p%d crashes", p->number);
	w->counters->crashes++;
	p->link.is_dead = true;
	p->link.is_paused = false;
	wait_queue_wake_all(&p->link.resumed);
	if (p->user)
		ledger_note_risk(w->ledger, p);
	mem_free(b->dir);
	b->dir = copied(p->dir, copy_file);
	p->store->is_abandoned = true;
	end_sessions(p);
	sim_must(&w->op, store_abandon(&w->op, p->store, &p->objects, &p->catalog),
		"abandoning a store");
	catalog_close(&w->op, p->catalog);
	objects_close(p->objects);
	sim_must(&w->op, file_remove_tree(&w->op, p->dir), "removing files");
	process_free(p);
}

void process_stop(struct process *p)
{
	struct world *w = sim_world;
	p->is_ending = true;
	process_wait(p);
	sim_trace("p%d stops", p->number);
	w->counters->stops++;
	if (p->user)
		ledger_note_risk(w->ledger, p);
	end_sessions(p);
	sim_must(&w->op, store_close(&w->op, p->store), "closing a store");
	process_free(p);
}
