/* SPDX-License-Identifier: Apache-2.0 */
/* The master's children: started, heard, and started again with back-off when they die. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event.h"
#include "main/crash.h"
#include "main/environment.h"
#include "main/master_private.h"

#define ARGS_MAX         (10 + 2 * ROLE_LISTENERS_MAX)
#define BACKOFF_FIRST_US (100 * US_PER_MS)
#define BACKOFF_MAX_US   (60 * US_PER_SEC)
#define LIVED_LONG_US    (10 * US_PER_SEC)

/* ---- life of the struct ---- */

struct child *child_new(struct master *m, const struct process_plan *plan)
{
	struct child *c = MEM_NEW(struct child);
	c->master = m;
	c->plan = *plan;
	c->control_fd = c->page_fd = -1;
	list_add_last(&m->children, &c->link);
	return c;
}

void child_free(struct child *c)
{
	ASSERT(c->pid == 0);
	timer_cancel(&c->restart);
	list_remove(&c->link);
	process_page_unmap(c->page);
	file_close_fd(&c->page_fd);
	mem_free(c->reload_error);
	mem_free(c);
}

struct child *child_find(struct master *m, const struct role *role, uint32_t slot)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (!c->is_leaving && c->plan.role == role && c->plan.slot == slot)
			return c;
	}
	return NULL;
}

/* ---- its process ---- */

static enum err move_high(struct op *op, int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, ROLE_FD_MASTER_BASE);
	if (high < 0)
		return op_fail_errno(op, "duplicate a descriptor");
	close(*fd);
	*fd = high;
	return ERR_NONE;
}

/* In the new process: only async-signal-safe calls. */
static _Noreturn void exec_child(const struct master *m, const struct child *c, int control,
	char *const *args, char *const *environment)
{
	const struct {
		int from, to;
	} places[] = {
		{ m->config_fds.of[c->plan.role->reader], ROLE_FD_CONFIG },
		{ control, ROLE_FD_CONTROL },
		{ m->shared_fd, ROLE_FD_SHARED },
		{ c->plan.role->needs_tls_seed ? m->seed_fd : m->key_fd, ROLE_FD_TICKET_KEY },
		{ c->page_fd, ROLE_FD_PAGE },
	};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
		if (places[i].to == ROLE_FD_TICKET_KEY && !c->plan.role->needs_ticket_key &&
			!c->plan.role->needs_tls_seed)
			close(ROLE_FD_TICKET_KEY);
		else if (dup2(places[i].from, places[i].to) < 0)
			_exit(EXIT_EXEC);
	}
	for (size_t i = 0; i < c->plan.listener_count; i++) {
		if (dup2(c->plan.listeners[i].fd, ROLE_FD_LISTENERS + (int)i) < 0)
			_exit(EXIT_EXEC);
	}
	execve("/proc/self/exe", args, environment);
	_exit(EXIT_EXEC);
}

static char **make_args(struct arena *a, const struct process_plan *plan)
{
	/* The role overwrites it with its state, for ps. */
	static const char title[] = "[initializing]                                  ";
	char **args = ARENA_NEW_ARRAY(a, char *, ARGS_MAX);
	size_t n = 0;
	args[n++] = str_dup_z(a, STR("pombal"));
	args[n++] = str_dup_z(a, STR("--role"));
	args[n++] = str_dup_z(a, str_from(plan->role->name));
	args[n++] = str_dup_z(a, STR("--slot"));
	args[n++] = str_dup_z(a, str_printf(a, "%u", plan->slot));
	for (size_t i = 0; i < plan->listener_count; i++) {
		args[n++] = str_dup_z(a, STR("--listen"));
		args[n++] = str_dup_z(a, role_listener_name(a, &plan->listeners[i]));
	}
	args[n++] = str_dup_z(a, STR("--title"));
	args[n++] = str_dup_z(a, str_from(title));
	return args;
}

static enum err renew_page(struct op *op, struct child *c)
{
	process_page_unmap(c->page);
	c->page = NULL;
	file_close_fd(&c->page_fd);
	TRY(process_page_create(op, &c->page_fd, &c->page));
	return move_high(op, &c->page_fd);
}

static void restart_timer(void *arg);

enum err child_start(struct op *op, struct child *c)
{
	struct master *m = c->master;
	int ends[2];
	timer_init(&c->restart, restart_timer, c);
	TRY(renew_page(op, c));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return op_fail_errno(op, "make a control socket");
	AUTO_FD(child_end, ends[1]);
	c->control_fd = ends[0];
	enum err e = move_high(op, &child_end);
	char **args = make_args(op->arena, &c->plan);
	char **environment = environment_of_children(op, m->config, m->args.environment);
	pid_t pid = e == ERR_NONE ? fork() : -1;
	if (pid == 0)
		exec_child(m, c, child_end, args, environment);
	if (pid < 0) {
		if (e == ERR_NONE)
			e = op_fail_errno(op, "fork for role %s", c->plan.role->name);
		file_close_fd(&c->control_fd);
		return e;
	}
	c->pid = pid;
	c->started_us = now_us();
	c->stalled_us = c->excused_us = 0;
	c->is_serving = c->is_drained = false;
	c->config_number = m->config_number;
	return child_watch(op, c);
}

static void restart_timer(void *arg)
{
	struct child *c = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (c->master->is_stopping || child_start(&op, c) == ERR_NONE)
		return;
	event_send_failure(NULL, EVENT_ERROR, "child_start_failed", &op, "starting a process");
	timer_set(&c->restart, now_us() + BACKOFF_MAX_US);
}

/* ---- what it says ---- */

static void hear(struct child *c, const struct control_message *m)
{
	if (m->command == CONTROL_READY) {
		c->is_serving = true;
		child_catch_up(c);
		c->backoff_us = MIN(c->backoff_us, BACKOFF_MAX_US);
	} else if (m->command == CONTROL_DRAINED) {
		c->is_drained = true;
	} else if (m->command == CONTROL_RELOADED) {
		mem_free(c->reload_error);
		c->reload_error = m->text.n > 0 ? str_new_z(m->text) : NULL;
		c->is_answering = false;
	}
	wait_queue_wake_all(&c->master->changed);
}

static void on_control(struct watch *w, unsigned events, void *arg)
{
	struct child *c = arg;
	bool has_one = true;
	(void)events;
	while (has_one) {
		AUTO_ARENA(arena, 0);
		struct op op;
		struct control_message m;
		op_init(&op, &arena, NULL, TIME_NEVER);
		if (control_receive(&op, w->fd, &m, &has_one) != ERR_NONE)
			break; /* its end is seen by SIGCHLD */
		if (!has_one)
			break;
		for (size_t i = 0; i < m.fd_count; i++)
			close(m.fds[i]); /* children send none */
		hear(c, &m);
	}
	watch_forget(w, WATCH_READ);
}

enum err child_watch(struct op *op, struct child *c)
{
	timer_init(&c->restart, restart_timer, c);
	return watch_open(op, &c->control, c->control_fd, on_control, c);
}

void child_tell(const struct child *c, enum control_command command, struct str text)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (c->pid > 0)
		(void)control_send(&op, c->control_fd,
			&(struct control_message){ .command = command, .text = text });
}

void children_tell(struct master *m, enum control_command command)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	child_tell(c, command, STR_NONE);
}

/* Adds an opened log file; what cannot be opened is not sent, and stays as it is in the children. */
static void add_log_file(struct control_message *message, struct buf *paths, struct str path)
{
	AUTO_ARENA(arena, 0);
	if (path.n == 0 || path.p[0] != '/' || str_starts(path, STR("/dev/")))
		return;
	int fd = open(str_dup_z(&arena, path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return;
	message->fds[message->fd_count++] = fd;
	buf_putf(paths, "%.*s\n", STRF(path));
}

void children_reopen_logs(struct master *m, struct config *config)
{
	const enum config_setting settings[] = { SET_log_path, SET_info_log_path,
		SET_debug_log_path };
	struct control_message message = { .command = CONTROL_REOPEN_LOG };
	struct child *c, *next;
	AUTO_BUF(paths, 0);
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (size_t i = 0; i < ARRAY_COUNT(settings); i++)
		add_log_file(&message, &paths, config_str(config_scope(config, NULL), settings[i]));
	message.text = buf_str(&paths);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->pid > 0 && control_send(&op, c->control_fd, &message) != ERR_NONE)
			event_send_failure(NULL, EVENT_WARNING, NULL, &op, "opening logs anew");
	}
	for (size_t i = 0; i < message.fd_count; i++)
		close(message.fds[i]);
}

void child_retire(struct child *c, int64_t time_us)
{
	AUTO_ARENA(arena, 0);
	c->is_leaving = true;
	c->is_drained = false;
	child_tell(c, CONTROL_RETIRE, str_printf(&arena, "%" PRId64, time_us));
}

bool children_are_serving(const struct master *m)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (!c->is_leaving && !c->is_serving)
			return false;
	}
	return true;
}

/* ---- its death ---- */

static const char *status_words(int status)
{
	switch (status) {
	case EXIT_LOG_OPEN:
		return " (Can't open log file)";
	case EXIT_EXEC:
		return " (exec() failed)";
	case EXIT_FATAL:
		return " (Fatal failure)";
	default:
		return "";
	}
}

static void log_death(const struct child *c, int status)
{
	const char *role = c->plan.role->name;
	const struct crash_slot *slot = &c->page->crash;
	bool knows_user = slot->pid == c->pid && slot->user[0];
	AUTO_BUF(where, 0);
	crash_describe(&c->page->report, &where);
	if (WIFSIGNALED(status)) {
		event_send(NULL, EVENT_ERROR, "child_killed",
			"service(%s): child %d killed with signal %d (%score "
			"dumped)%s%.255s%s%.255s%s%.*s",
			role, (int)c->pid, WTERMSIG(status), WCOREDUMP(status) ? "" : "no ",
			knows_user ? ", was serving user " : "", knows_user ? slot->user : "",
			knows_user ? ": " : "", knows_user ? slot->doing : "",
			where.n > 0 ? "; " : "", STRF(buf_str(&where)));
	} else if (WEXITSTATUS(status) != 0 || (!c->master->is_stopping && !c->is_leaving)) {
		event_send(NULL, EVENT_ERROR, "child_exited",
			"service(%s): child %d returned error %d%s", role, (int)c->pid,
			WEXITSTATUS(status), status_words(WEXITSTATUS(status)));
	}
}

static void note_crash(struct child *c, int status)
{
	struct crash_slot *slot = &c->page->crash;
	slot->user[sizeof(slot->user) - 1] = '\0'; /* the process may have written anything */
	slot->doing[sizeof(slot->doing) - 1] = '\0';
	log_death(c, status);
	if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
		c->failures++;
		c->last_status = status;
		c->last_failure_wall_us = now_wall_us();
	}
	if (WIFSIGNALED(status) && c->plan.role == &role_mail && slot->pid == c->pid)
		quarantine_note_crash(c, str_from(slot->user));
}

static void start_again(struct child *c)
{
	bool has_lived = now_us() - c->started_us >= LIVED_LONG_US;
	c->backoff_us =
		has_lived ? 0 : MIN(MAX(c->backoff_us * 2, BACKOFF_FIRST_US), BACKOFF_MAX_US);
	if (!has_lived)
		event_send(NULL, EVENT_WARNING, "child_throttled",
			"service(%s): command startup failed, throttling for %.3f secs",
			c->plan.role->name, (double)c->backoff_us / (double)US_PER_SEC);
	timer_set(&c->restart, now_us() + c->backoff_us);
}

static void child_died(struct child *c, int status)
{
	struct master *m = c->master;
	bool is_gone = c->is_leaving;
	note_crash(c, status);
	watch_close(&c->control);
	file_close_fd(&c->control_fd);
	c->pid = 0;
	c->is_serving = c->is_answering = false;
	c->is_drained = true;
	wait_queue_wake_all(&m->changed);
	if (m->is_stopping)
		return;
	if (is_gone)
		child_free(c);
	else
		start_again(c);
}

void children_reap(struct master *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c, *next, *found = NULL;
		if (pid == m->trial_pid) {
			m->trial_pid = 0;
			m->trial_status = status;
			wait_queue_wake_all(&m->changed);
		}
		LIST_FOR_EACH(c, next, &m->children, struct child, link)
		{
			if (c->pid == pid)
				found = c;
		}
		if (found)
			child_died(found, status);
	}
}
