/* SPDX-License-Identifier: Apache-2.0 */
/* A new configuration for running processes: all of them take it, or none does.
 *
 * Order: read and check -> bind what is new -> each child takes it, or the ones that did take the old
 * one back -> close what is not wanted. Listeners that stay are never closed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "config/show.h"
#include "event/event.h"
#include "main/master_private.h"
#include "main/notify.h"

/* Where things are, and whose: one process that is started again alone would look elsewhere than the
 * others. A reload that changes them is refused. */
static const struct {
	enum config_setting id;
	const char *name;
} of_the_place[] = {
	{ SET_base_dir, "base_dir" },
	{ SET_state_dir, "state_dir" },
	{ SET_default_login_user, "default_login_user" },
	{ SET_default_internal_user, "default_internal_user" },
	{ SET_mail_uid, "mail_uid" },
};

/* What processes are born with: a reload says so and goes on with the old value. */
static const struct {
	enum config_setting id;
	const char *name;
} of_the_start[] = {
	{ SET_log_path, "log_path" },
	{ SET_info_log_path, "info_log_path" },
	{ SET_debug_log_path, "debug_log_path" },
	{ SET_log_debug, "log_debug" },
	{ SET_mail_worker_count, "mail_worker_count" },
	{ SET_mail_shard_count, "mail_shard_count" },
};

/* Where mails are and what opens them, by the beginnings of names: mail workers open their stores once,
 * and one that is started again alone would look elsewhere than the others. Refused. */
static const char *const of_storage[] = { "obox", "dict_server", "cassandra_", "crypt_" };

/* What mail workers read when they open their stores: a reload says so. */
static const char *const of_opening[] = { "namespace", "metacache_", "mail_max_keyword_length",
	"http_client_", "ssl_client_" };

enum err master_memory_file(struct op *op, const char *name, struct str content, int *out_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return op_fail_errno(op, "create memory file %s", name);
	enum err e = file_write_all(op, fd, content);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	if (e == ERR_NONE && fcntl(fd, F_ADD_SEALS, seals) < 0)
		e = op_fail_errno(op, "seal memory file %s", name);
	int high = e == ERR_NONE ? fcntl(fd, F_DUPFD_CLOEXEC, ROLE_FD_MASTER_BASE) : -1;
	if (e == ERR_NONE && high < 0)
		e = op_fail_errno(op, "duplicate memory file %s", name);
	close(fd);
	TRY(e);
	*out_fd = high;
	return ERR_NONE;
}

void snapshots_close(struct snapshots *s)
{
	for (unsigned i = 0; i < CONFIG_READER_COUNT; i++)
		file_close_fd(&s->of[i]);
}

enum err snapshots_write(struct op *op, const struct config *config, struct snapshots *out)
{
	struct snapshots made = SNAPSHOTS_CLOSED;
	enum err e = ERR_NONE;
	for (unsigned i = 0; i < CONFIG_READER_COUNT && e == ERR_NONE; i++) {
		AUTO_BUF(snapshot, 0);
		config_write_snapshot(config, (enum config_reader)i, &snapshot);
		e = master_memory_file(op, "pombal-config", buf_str(&snapshot), &made.of[i]);
		mem_wipe(snapshot.p, snapshot.n);
	}
	if (e != ERR_NONE)
		snapshots_close(&made);
	else
		*out = made;
	return e;
}

/* ---- one attempt ---- */

struct attempt {
	struct config *config;
	struct process_plans plans;
	struct snapshots config_fds;
};

static void warn_of_start_settings(const struct master *m, struct config *next, struct buf *out)
{
	const struct config_scope *before = config_scope(m->config, NULL);
	const struct config_scope *after = config_scope(next, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(of_the_start); i++) {
		enum config_setting id = of_the_start[i].id;
		if (!str_eq(config_str(before, id), config_str(after, id)))
			buf_putf(out, "Warning: %s takes effect at the next start\n",
				of_the_start[i].name);
	}
}

/* What stands outermost in the configuration under names that begin with `name`, as text, without what
 * workers read anew each time. */
static void put_items(struct config *config, struct str name, struct buf *out)
{
	const struct config_show_args args = {
		.with_defaults = true, .with_hidden = true, .with_secrets = true
	};
	AUTO_BUF(all, 0);
	bool is_wanted = false;
	config_show_place(config_scope(config, NULL), &args, &all);
	struct str rest = buf_str(&all), line;
	while (str_cut_line(&rest, &line)) {
		if (line.n > 0 && line.p[0] != ' ' && line.p[0] != '}')
			is_wanted = str_starts(line, name);
		if (!is_wanted || str_starts(str_trim(line), STR("obox_garbage_")))
			continue;
		buf_put(out, line);
		buf_put_byte(out, '\n');
	}
	mem_wipe(all.p, all.n);
}

static bool has_changed(const struct master *m, struct config *next, const char *name)
{
	AUTO_BUF(before, 0);
	AUTO_BUF(after, 0);
	put_items(m->config, str_from(name), &before);
	put_items(next, str_from(name), &after);
	bool is_same = str_eq(buf_str(&before), buf_str(&after));
	mem_wipe(before.p, before.n);
	mem_wipe(after.p, after.n);
	return !is_same;
}

/* Names that stand for several end with '_'. */
static const char *rest_of_name(const char *name)
{
	return name[strlen(name) - 1] == '_' ? "*" : "";
}

static void warn_of_opening(const struct master *m, struct config *next, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_COUNT(of_opening); i++) {
		if (has_changed(m, next, of_opening[i]))
			buf_putf(out,
				"Warning: %s%s takes effect for mail workers at the next start\n",
				of_opening[i], rest_of_name(of_opening[i]));
	}
}

static enum err check_storage(struct op *op, const struct master *m, struct config *next)
{
	for (size_t i = 0; i < ARRAY_COUNT(of_storage); i++) {
		if (has_changed(m, next, of_storage[i]))
			return op_fail(op, ERR_INVALID,
				"%s%s cannot change while Pombal runs: stop it, then start it",
				of_storage[i], rest_of_name(of_storage[i]));
	}
	return ERR_NONE;
}

static enum err check_places(struct op *op, const struct master *m, struct config *next)
{
	const struct config_scope *before = config_scope(m->config, NULL);
	const struct config_scope *after = config_scope(next, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(of_the_place); i++) {
		enum config_setting id = of_the_place[i].id;
		if (!str_eq(config_str(before, id), config_str(after, id)))
			return op_fail(op, ERR_INVALID,
				"%s cannot change while Pombal runs: stop it, then start it",
				of_the_place[i].name);
	}
	return check_storage(op, m, next);
}

static enum err read_files(struct op *op, struct master *m, struct config **out, struct buf *text)
{
	struct config_problems problems = { 0 };
	struct config_load_args args = {
		.path = m->args.config_path,
		.overrides = m->args.overrides,
		.environment = m->args.environment,
		.reads_files = true,
	};
	enum err e = config_load(op, &args, &problems, out);
	config_problems_print(&problems, text);
	if (e != ERR_NONE && problems.count == 0)
		buf_putf(text, "%s\n", op->failure.text);
	return e;
}

static struct process_plan *find_plan(struct process_plans *plans, const struct process_plan *like)
{
	for (size_t i = 0; i < plans->count; i++) {
		if (plans->items[i].role == like->role && plans->items[i].slot == like->slot)
			return &plans->items[i];
	}
	return NULL;
}

/* Sends the configuration, and the listeners of those who face clients. */
static void send_reload(
	struct child *c, const struct snapshots *config_fds, const struct process_plan *plan)
{
	AUTO_ARENA(arena, 0);
	AUTO_BUF(names, 0);
	struct op op;
	struct control_message m = { .command = CONTROL_RELOAD,
		.fds = { config_fds->of[c->plan.role->reader] },
		.fd_count = 1 };
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (size_t i = 0; plan->role->is_confined && i < plan->listener_count; i++) {
		const struct role_listener *l = &plan->listeners[i];
		m.fds[m.fd_count++] = l->fd;
		buf_putf(&names, "%.*s ", STRF(role_listener_name(&arena, l)));
	}
	m.text = buf_str(&names);
	mem_free(c->reload_error);
	c->reload_error = NULL;
	c->is_answering = control_send(&op, c->control_fd, &m) == ERR_NONE;
	if (!c->is_answering)
		c->reload_error = str_new_z(str_from(op.failure.text));
}

static bool takes_part(const struct child *c)
{
	return c->pid > 0 && c->is_serving && !c->is_leaving && c->plan.role->reload;
}

static bool is_waiting(struct master *m)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->is_answering)
			return true;
	}
	return false;
}

/* WAITS for everybody's answer; a child that died meanwhile starts with what counts then. `number` is
 * that of the configuration. */
static enum err ask_children(struct op *op, struct master *m, const struct snapshots *config_fds,
	uint32_t number, struct process_plans *plans, struct buf *text)
{
	struct child *c, *next;
	enum err e = ERR_NONE;
	struct op until;
	op_init(&until, op->arena, NULL, now_us() + RELOAD_TIME_US);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		const struct process_plan *plan = find_plan(plans, &c->plan);
		if (!takes_part(c))
			continue;
		c->config_number = number;
		send_reload(c, config_fds, plan ? plan : &c->plan);
	}
	while (is_waiting(m) && wait_queue_wait(&until, &m->changed) == ERR_NONE)
		continue;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		const char *why = c->is_answering ? "no answer in time" : c->reload_error;
		c->is_answering = false;
		if (!takes_part(c) || !why)
			continue;
		buf_putf(text, "Error: %s-%u: %s\n", c->plan.role->name, c->plan.slot, why);
		e = op_fail(op, ERR_INVALID, "%s-%u: %s", c->plan.role->name, c->plan.slot, why);
	}
	return e;
}

static enum err try_it(struct op *op, struct master *m, struct attempt *a, struct buf *text)
{
	TRY(read_files(op, m, &a->config, text));
	warn_of_start_settings(m, a->config, text);
	warn_of_opening(m, a->config, text);
	enum err e = check_places(op, m, a->config);
	if (e == ERR_NONE)
		e = process_plans_make(
			op, a->config, &m->sockets, m->plans.worker_count, &a->plans);
	if (e == ERR_NONE)
		e = snapshots_write(op, a->config, &a->config_fds);
	if (e != ERR_NONE) {
		buf_putf(text, "Error: %s\n", op->failure.text);
		return e;
	}
	e = ask_children(op, m, &a->config_fds, m->config_number + 1, &a->plans, text);
	if (e != ERR_NONE) {
		AUTO_BUF(ignored, 0);
		struct op back;
		op_init(&back, op->arena, NULL, TIME_NEVER);
		/* They had it a moment ago: what fails now is told when it is used. */
		if (ask_children(&back, m, &m->config_fds, m->config_number, &m->plans, &ignored) !=
			ERR_NONE)
			event_send_failure(NULL, EVENT_ERROR, NULL, &back,
				"going back to the running configuration");
	}
	return e;
}

/* ---- success ---- */

static void add_children(struct op *op, struct master *m)
{
	for (size_t i = 0; i < m->plans.count; i++) {
		const struct process_plan *plan = &m->plans.items[i];
		struct child *c = child_find(m, plan->role, plan->slot);
		if (c) {
			c->plan = *plan;
			continue;
		}
		if (child_start(op, child_new(m, plan)) != ERR_NONE)
			event_send_failure(
				NULL, EVENT_ERROR, "child_start_failed", op, "starting a process");
	}
}

static void remove_children(struct master *m)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->is_leaving || c->plan.role == &role_mail || find_plan(&m->plans, &c->plan))
			continue;
		if (c->pid > 0)
			child_retire(c, config_time_us(config_scope(m->config, NULL),
						SET_upgrade_relay_time));
		else
			child_free(c);
	}
}

/* What it says is in its own log lines: it was started with a configuration that counts no more. */
void child_catch_up(struct child *c)
{
	struct master *m = c->master;
	const struct process_plan *plan = find_plan(&m->plans, &c->plan);
	if (!takes_part(c) || c->config_number == m->config_number)
		return;
	c->config_number = m->config_number;
	send_reload(c, &m->config_fds, plan ? plan : &c->plan);
	c->is_answering = false; /* nobody waits for it */
}

static void use(struct op *op, struct master *m, struct attempt *a)
{
	struct child *c, *next;
	config_unref(m->config);
	snapshots_close(&m->config_fds);
	m->config = a->config;
	m->config_fds = a->config_fds;
	m->config_number++;
	m->plans = a->plans;
	sockets_commit(&m->sockets);
	add_children(op, m);
	remove_children(m);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	child_catch_up(c);
}

/* The sockets that are no listeners of services. */
static enum err keep_own_sockets(struct op *op, struct master *m)
{
	int fd;
	struct process_plan plan;
	TRY(process_bind_master(op, m->config, &m->sockets, &fd));
	for (size_t i = 0; i < QUARANTINES_MAX; i++) {
		if (m->quarantines[i].is_used)
			TRY(process_plan_extra(
				op, m->config, &m->sockets, m->quarantines[i].slot, &plan));
	}
	return ERR_NONE;
}

enum err master_reload(struct op *op, struct master *m, struct buf *out)
{
	struct attempt *a = ARENA_NEW(op->arena, struct attempt);
	a->config_fds = (struct snapshots)SNAPSHOTS_CLOSED;
	TRY(task_mutex_lock(op, &m->changing));
	notify_reloading();
	sockets_begin(&m->sockets);
	enum err e = m->is_stopping ? op_fail(op, ERR_UNAVAILABLE, "Pombal is stopping")
				    : keep_own_sockets(op, m);
	if (e == ERR_NONE)
		e = try_it(op, m, a, out);
	if (e == ERR_NONE && m->is_stopping)
		e = op_fail(op, ERR_UNAVAILABLE, "Pombal is stopping");
	if (e == ERR_NONE) {
		use(op, m, a);
		event_send(NULL, EVENT_INFO, "master_reloaded", "the configuration was read again");
	} else {
		sockets_rollback(&m->sockets);
		config_unref(a->config);
		snapshots_close(&a->config_fds);
		event_send(NULL, EVENT_ERROR, "master_reload_failed",
			"the running configuration stays in use: %s", op->failure.text);
	}
	notify_ready(e == ERR_NONE ? STR("Serving")
				   : STR("Serving; the last reload failed, see the log"));
	task_mutex_unlock(&m->changing);
	return e;
}
