/* SPDX-License-Identifier: Apache-2.0 */
/* A child of the master: takes its descriptors, gives up its privileges, runs its role on a loop until
 * the master says stop or is gone. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/account.h"
#include "base/file.h"
#include "base/number.h"
#include "event/event.h"
#include "main/control.h"
#include "main/crash.h"
#include "main/long_task.h"
#include "main/role.h"
#include "main/sandbox.h"
#include "net/net.h"
#include "task/task.h"

#define SNAPSHOT_BYTES_MAX (64 << 20)
#define STOP_TIME_US       (20 * US_PER_SEC)
#define HEARTBEAT_US       US_PER_SEC
#define RETIRE_STEP_US     (200 * US_PER_MS)
#define TITLE_BYTES        48
#define RUNNING_MIN        4096
#define RUNNING_MOST       100000

struct child {
	const struct role *role;
	struct role_context context;
	void *state;
	bool is_started;
	bool is_stopping, may_finish;
	struct wait_queue told; /* may_finish */
	struct watch control;
	struct timer heartbeat;
	char *title; /* TITLE_BYTES of our arguments, for ps; NULL: none */
	/* A reload that is asked for; the newest counts. */
	struct role_context next;
	bool is_reloading, has_next;
	int64_t retire_us;
};

/* The i-th --listen is descriptor ROLE_FD_LISTENERS + i. */
static bool parse_listener(struct str text, struct role_context *context)
{
	size_t i = context->listener_count;
	if (i == ROLE_LISTENERS_MAX ||
		!role_parse_listener(text, ROLE_FD_LISTENERS + (int)i, &context->listeners[i]))
		return false;
	context->listener_count++;
	return true;
}

static bool parse_args(int arg_count, char **args, struct child *child)
{
	for (int i = 0; i + 1 < arg_count; i += 2) {
		struct str value = str_from(args[i + 1]);
		if (strcmp(args[i], "--role") == 0)
			child->role = role_find(value);
		else if (strcmp(args[i], "--slot") == 0 &&
			 number_parse_u32(value, &child->context.slot))
			continue;
		else if (strcmp(args[i], "--listen") == 0 && parse_listener(value, &child->context))
			continue;
		else if (strcmp(args[i], "--title") == 0 && value.n >= TITLE_BYTES)
			child->title = args[i + 1];
		else if (strcmp(args[i], "--role") != 0)
			return false;
	}
	return child->role != NULL;
}

static enum err read_config(struct op *op, int fd, struct config **out)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > SNAPSHOT_BYTES_MAX)
		return op_fail(op, ERR_INVALID,
			"descriptor %d is not a configuration: roles are started by the master",
			fd);
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return op_fail_errno(op, "map the configuration");
	enum err e = config_read_snapshot(op, (struct str){ bytes, (size_t)st.st_size }, out);
	munmap(bytes, (size_t)st.st_size);
	return e;
}

static enum err read_ticket_key(struct op *op, struct role_context *context)
{
	TRY(file_pread_all(op, ROLE_FD_TICKET_KEY, context->ticket_key, TICKET_KEY_BYTES, 0));
	context->has_ticket_key = true;
	return ERR_NONE;
}

/* Becomes the role's user for good. Without root there is only one user and nothing to give up. */
static enum err drop_privileges(struct op *op, struct child *child)
{
	const struct role *role = child->role;
	if (geteuid() != 0 || role->user_setting == SET_COUNT)
		return ERR_NONE;
	const struct config_scope *global = config_scope(child->context.config, NULL);
	const char *name = str_dup_z(op->arena, config_str(global, role->user_setting));
	const struct passwd *pw = getpwnam(name);
	if (!pw)
		return op_fail(op, ERR_INVALID,
			"role %s needs the user %s: create it (useradd -r %s)", role->name, name,
			name);
	return op_within(
		op, sandbox_become(op, pw->pw_uid, pw->pw_gid, role->is_confined), "user %s", name);
}

static enum err prepare(struct op *op, struct child *child)
{
	struct role_context *context = &child->context;
	TRY(read_config(op, ROLE_FD_CONFIG, &context->config));
	TRY(shared_page_map(op, ROLE_FD_SHARED, &context->shared));
	TRY(process_page_map(op, ROLE_FD_PAGE, &context->page));
	context->is_alone = true;
	if (child->role->needs_ticket_key)
		TRY(read_ticket_key(op, context));
	if (child->role->needs_tls_seed)
		TRY(file_pread_all(
			op, ROLE_FD_TICKET_KEY, context->tls_seed, sizeof(context->tls_seed), 0));
	/* For ps and top: the program was started as /proc/self/exe. At most 15 bytes are kept. */
	prctl(PR_SET_NAME, str_printf(op->arena, "pombal-%s", child->role->name).p);
	TRY(role_open_log(op, context->config,
		str_printf(op->arena, "%s-%u", child->role->name, context->slot)));
	TRY(drop_privileges(op, child));
	/* After the change of user, which clears it; a master that died meanwhile is seen as the end of
	 * the control socket. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	crash_prepare(&context->page->report);
	for (int fd = ROLE_FD_CONFIG; fd < ROLE_FD_LISTENERS + (int)context->listener_count; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* some are not open: no harm */
	return ERR_NONE;
}

/* A master that is gone is seen as the end of the socket. */
static void tell_master(struct child *child, enum control_command command, struct str text)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (control_send(&op, child->control.fd,
		    &(struct control_message){ .command = command, .text = text }) != ERR_NONE)
		event_send_failure(NULL, EVENT_WARNING, NULL, &op, "telling the master");
}

static void drain(struct child *child)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	if (child->role->drain)
		child->role->drain(&op, child->state);
	tell_master(child, CONTROL_DRAINED, STR_NONE);
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	while (!child->may_finish && wait_queue_wait(&op, &child->told) == ERR_NONE)
		continue;
}

/* Serves who is left, until they have gone, time is over, or the master stops altogether. */
static void retire(struct child *child)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	int64_t until_us = now_us() + MIN(child->retire_us, TIME_NEVER - now_us());
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	if (child->role->retire)
		child->role->retire(&op, child->state);
	tell_master(child, CONTROL_DRAINED, STR_NONE);
	op_init(&op, &arena, NULL, TIME_NEVER);
	while (!child->may_finish && child->role->clients(child->state) > 0 &&
		now_us() < until_us && task_sleep(&op, RETIRE_STEP_US) == ERR_NONE)
		continue;
}

static void stop_task(void *arg)
{
	struct child *child = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	if (child->is_started && child->retire_us > 0)
		retire(child);
	alarm(3 * STOP_TIME_US / US_PER_SEC + 10); /* a stop that hangs ends all the same */
	if (child->is_started) {
		if (child->retire_us == 0)
			drain(child);
		op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
		child->role->stop(&op, child->state);
	}
	loop_stop();
}

/* `may_finish`: also the second half. */
static void stop(struct child *child, bool may_finish)
{
	if (may_finish) {
		child->may_finish = true;
		wait_queue_wake_all(&child->told);
	}
	if (child->is_stopping)
		return;
	child->is_stopping = true;
	task_start("stop", stop_task, child);
}

static void on_signal(int signal_number, void *arg)
{
	(void)signal_number;
	stop(arg, true);
}

/* ---- reload ---- */

/* The context with what the master sent in place of the old. On failure its descriptors are closed. */
static enum err read_next(struct op *op, const struct child *child, struct control_message *m,
	struct role_context *out)
{
	struct str rest = m->text, word;
	struct role_context next = child->context;
	enum err e = m->fd_count > 0 ? read_config(op, m->fds[0], &next.config)
				     : op_fail(op, ERR_INVALID, "a reload without configuration");
	next.listener_count = 0;
	for (size_t i = 1; i < m->fd_count && e == ERR_NONE; i++) {
		struct role_listener *l = &next.listeners[next.listener_count++];
		if (i > ROLE_LISTENERS_MAX || !str_cut_word(&rest, &word) ||
			!role_parse_listener(word, m->fds[i], l)) {
			config_unref(next.config);
			e = op_fail(op, ERR_INVALID, "listeners without names");
		}
	}
	/* What is used moved into `next`, but for the configuration, which was read. */
	for (size_t i = 0; i < m->fd_count && (i == 0 || e != ERR_NONE); i++)
		close(m->fds[i]);
	if (e == ERR_NONE)
		*out = next;
	return e;
}

static void reload_task(void *arg)
{
	struct child *child = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	while (child->has_next && !child->is_stopping) {
		struct role_context next = child->next;
		child->has_next = false;
		op_init(&op, &arena, NULL, now_us() + 60 * US_PER_SEC);
		enum err e = child->role->reload(&op, child->state, &next);
		if (e == ERR_NONE) {
			config_unref(child->context.config);
			child->context = next;
			account_set_limit(role_memory_limit(child->role, next.config));
			tell_master(child, CONTROL_RELOADED, STR_NONE);
		} else {
			config_unref(next.config);
			tell_master(child, CONTROL_RELOADED, str_from(op.failure.text));
		}
	}
	child->is_reloading = false;
}

static void on_reload(struct op *op, struct child *child, struct control_message *m)
{
	struct role_context next;
	if (read_next(op, child, m, &next) != ERR_NONE) {
		tell_master(child, CONTROL_RELOADED, str_from(op->failure.text));
		return;
	}
	child->next = next; /* the master waits for each answer: none is overwritten */
	child->has_next = true;
	if (!child->is_reloading) {
		child->is_reloading = true;
		task_start("reload", reload_task, child);
	}
}

/* ---- the master's commands ---- */

static void take_log_files(struct control_message *m)
{
	struct str rest = m->text, path;
	for (size_t i = 0; i < m->fd_count; i++) {
		if (str_cut(&rest, '\n', &path))
			event_log_give_file(path, m->fds[i]);
		else
			close(m->fds[i]);
	}
}

static void obey(struct op *op, struct child *child, struct control_message *m)
{
	uint64_t us;
	switch (m->command) {
	case CONTROL_STOP:
		stop(child, true);
		break;
	case CONTROL_DRAIN:
		stop(child, false);
		break;
	case CONTROL_REOPEN_LOG:
		take_log_files(m);
		event_log_reopen();
		break;
	case CONTROL_RELOAD:
		on_reload(op, child, m);
		break;
	case CONTROL_RETIRE:
		if (!number_parse_u64(m->text, &us) || us > INT64_MAX)
			us = 1;
		child->retire_us = MAX((int64_t)us, 1);
		stop(child, false);
		break;
	case CONTROL_READY:
	case CONTROL_DRAINED:
	case CONTROL_RELOADED:
		break; /* not for us */
	}
}

static void on_control(struct watch *w, unsigned events, void *arg)
{
	struct child *child = arg;
	(void)events;
	for (;;) {
		AUTO_ARENA(arena, 0);
		struct op op;
		struct control_message m;
		bool has_one;
		op_init(&op, &arena, NULL, TIME_NEVER);
		if (control_receive(&op, w->fd, &m, &has_one) != ERR_NONE) {
			watch_forget(w, WATCH_READ);
			stop(child, true);
			return;
		}
		if (!has_one) {
			watch_forget(w, WATCH_READ);
			return;
		}
		obey(&op, child, &m);
	}
}

/* ---- how it is ---- */

static void show_title(struct child *child, uint64_t clients)
{
	if (!child->title ||
		!config_bool(config_scope(child->context.config, NULL), SET_verbose_proctitle))
		return;
	char text[TITLE_BYTES] = "[idling]";
	if (clients > 0)
		(void)snprintf(text, sizeof(text), "[%" PRIu64 " clients]", clients);
	memset(child->title, ' ', strlen(child->title));
	memcpy(child->title, text, strlen(text));
}

static void heartbeat(void *arg)
{
	struct child *child = arg;
	struct process_page *page = child->context.page;
	uint64_t clients = child->is_started && !child->is_stopping
				   ? child->role->clients(child->state)
				   : page->clients;
	if (clients != page->clients || page->turned_us == 0)
		show_title(child, clients);
	/* Starting may block, for as long as the disk takes to put right what a crash left. */
	page->turned_us = child->is_started ? now_us() : 0;
	page->clients = clients;
	page->memory_bytes = account_used();
	if (account_relieve())
		event_send(NULL, EVENT_WARNING, "memory_account_tight",
			"memory: %" PRIu64 " of %" PRIu64
			" bytes are used: new work is refused (vsz_limit)",
			account_used(), account_limit());
	timer_set(&child->heartbeat, now_us() + HEARTBEAT_US);
}

/* Paths of sockets are short from here on, and the same inside of the new root directory. */
static enum err stand_beside_sockets(struct op *op, const struct child *child)
{
	struct str base = config_str(config_scope(child->context.config, NULL), SET_base_dir);
	const char *dir = str_printf(op->arena, "%.*s/ipc", STRF(base)).p;
	if (chdir(dir) < 0)
		return op_fail_errno(op, "change to %s", dir);
	return ERR_NONE;
}

static enum err confine(struct op *op, const struct child *child)
{
	const struct role *role = child->role;
	struct sandbox_rules rules = { .kind = SANDBOX_GUARDED, .spool_dir = -1 };
	struct sandbox_walls walls;
	if (role->is_confined)
		rules = (struct sandbox_rules){ .kind = SANDBOX_CLOSED,
			.root = ".",
			.spool_dir = role->spool_dir(child->state) };
	TRY(op_within(op, sandbox_enter(op, &rules, &walls), "sandbox"));
	bool is_whole =
		walls.has_landlock && walls.has_seccomp && (walls.has_root || !role->is_confined);
	event_send(NULL, is_whole ? EVENT_DEBUG : EVENT_INFO, "sandbox_entered",
		"Sandbox: %s, %s, %s",
		walls.has_root      ? "root directory of its own"
		: role->is_confined ? "no root directory of its own"
				    : "root directory of the host",
		walls.has_landlock ? "Landlock" : "no Landlock",
		walls.has_seccomp ? "system calls filtered" : "system calls not filtered");
	return ERR_NONE;
}

static void start_task(void *arg)
{
	struct child *child = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 60 * US_PER_SEC);
	enum err e = child->role->is_confined ? stand_beside_sockets(&op, child) : ERR_NONE;
	if (e == ERR_NONE)
		e = child->role->start(&op, &child->context, &child->state);
	if (e == ERR_NONE)
		e = confine(&op, child);
	if (e != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "role_start_failed", &op, "starting");
		event_log_close();
		_exit(EXIT_FATAL);
	}
	child->is_started = true;
	child->context.page->turned_us = now_us(); /* from now on it is watched */
	tell_master(child, CONTROL_READY, STR_NONE);
}

/* A client that is stuck in its handshake holds a task: all of them may, and others run all the same. */
static unsigned running_max(const struct child *child)
{
	const struct config_scope *service =
		config_block_get(config_scope(child->context.config, NULL), BLOCK_service,
			str_from(child->role->service));
	uint64_t clients = service ? config_u64(service, SET_service_client_limit) : 0;
	return (unsigned)MIN(MAX(clients, RUNNING_MIN) + RUNNING_MIN, RUNNING_MOST);
}

static enum err run(struct op *op, struct child *child)
{
	TRY(prepare(op, child));
	struct loop_settings settings = { .running_max = running_max(child) };
	TRY(loop_open(op, &settings));
	loop_set_watchdog(LONG_TASK_US, long_task_report);
	ASSERT(child->context.slot < SHARED_SLOTS_MAX);
	if (child->role == &role_mail)
		loop_set_crash_slot(&child->context.page->crash);
	account_set_limit(role_memory_limit(child->role, child->context.config));
	timer_init(&child->heartbeat, heartbeat, child);
	heartbeat(child);
	TRY(loop_on_signal(op, SIGTERM, on_signal, child));
	TRY(loop_on_signal(op, SIGINT, on_signal, child));
	TRY(watch_open(op, &child->control, ROLE_FD_CONTROL, on_control, child));
	task_start("start", start_task, child);
	loop_run();
	timer_cancel(&child->heartbeat);
	watch_close(&child->control);
	loop_close();
	return ERR_NONE;
}

int role_main(int arg_count, char **args)
{
	struct child child = { 0 };
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	assert_prepare();
	signal(SIGPIPE, SIG_IGN);
	if (!parse_args(arg_count, args, &child)) {
		fprintf(stderr, "pombal: --role is for the master's own use\n");
		return 64;
	}
	if (run(&op, &child) != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "role_start_failed", &op, "starting");
		return EXIT_FATAL;
	}
	config_unref(child.context.config);
	event_log_close();
	return 0;
}
