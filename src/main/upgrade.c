/* SPDX-License-Identifier: Apache-2.0 */
/* The program is executed anew in the master's process: same process number, same sockets, so that
 * systemd and pid files stay true and no connection is refused.
 *
 * 1. A trial run of the new program must accept the configuration.
 * 2. exec(): sockets, the ticket key, the lock of the pid file and the children's control sockets
 *    stay open; a memory file names them, a line each (upgrade_adopt).
 * 3. auth: a new process serves, then the old one leaves. mail: the old ones let go of their users,
 *    then new ones start; who calls meanwhile waits in the socket. login: new ones accept, then the old
 *    ones stop to, and stay as relays for `upgrade_relay_time` at most.
 *
 * The state file is text, so that neighbouring versions understand each other; unknown lines are
 * skipped. */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "event/event.h"
#include "main/master_private.h"
#include "main/notify.h"
#include "main/pid_file.h"

#define STATE_BYTES_MAX (64 << 10)
#define ARGUMENTS_MAX   200
#define REPLACE_US      (60 * US_PER_SEC)
/* For what was begun, and for sessions to move to their new worker. */
#define LET_GO_US        (120 * US_PER_SEC)
#define TRIAL_US         (60 * US_PER_SEC)
#define TRIAL_TEXT_BYTES 4096

/* ---- the trial ---- */

/* Our own arguments without those that belong to one start; `more` are added. */
static char **arguments(
	struct arena *a, const struct master *m, const char *more, const char *value)
{
	char **out = ARENA_NEW_ARRAY(a, char *, ARGUMENTS_MAX + 4);
	size_t n = 0;
	for (size_t i = 0; m->args.argv[i] && n < ARGUMENTS_MAX; i++) {
		const char *word = m->args.argv[i];
		if (strcmp(word, "--ready-fd") == 0 || strcmp(word, "--upgrade-fd") == 0)
			i++; /* and its value */
		else
			out[n++] = str_dup_z(a, str_from(word));
	}
	out[n++] = str_dup_z(a, str_from(more));
	if (value)
		out[n++] = str_dup_z(a, str_from(value));
	return out;
}

static _Noreturn void exec_trial(const struct master *m, int out_fd, char *const *args)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(out_fd, STDERR_FILENO) < 0)
		_exit(EXIT_EXEC);
	execv(m->args.program, args);
	_exit(EXIT_EXEC);
}

static struct str read_what_it_said(struct arena *a, int fd)
{
	char text[TRIAL_TEXT_BYTES];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	return n > 0 ? str_trim(str_dup(a, (struct str){ text, (size_t)n })) : STR_NONE;
}

/* WAITS for its end, which comes in time or by us. */
static enum err wait_for_trial(struct op *op, struct master *m)
{
	struct op until = *op;
	until.deadline_us = MIN(op->deadline_us, now_us() + TRIAL_US);
	while (m->trial_pid > 0) {
		enum err e = wait_queue_wait(&until, &m->changed);
		if (e == ERR_NONE)
			continue;
		kill(m->trial_pid, SIGKILL);
		m->trial_pid = 0; /* reaped like any other */
		return op_fail(op, e, "the trial of %s did not end in time", m->args.program);
	}
	return ERR_NONE;
}

enum err upgrade_check(struct op *op, struct master *m)
{
	char **args = arguments(op->arena, m, "--check", NULL);
	if (m->trial_pid > 0)
		return op_fail(op, ERR_CONFLICT, "another trial of %s runs", m->args.program);
	/* A file and no pipe: however much it says, it ends. */
	AUTO_FD(said, memfd_create("pombal-trial", MFD_CLOEXEC));
	if (said < 0)
		return op_fail_errno(op, "create a memory file");
	m->trial_status = -1;
	m->trial_pid = fork();
	if (m->trial_pid == 0)
		exec_trial(m, said, args);
	if (m->trial_pid < 0) {
		m->trial_pid = 0;
		return op_fail_errno(op, "fork for a trial of %s", m->args.program);
	}
	TRY(wait_for_trial(op, m));
	if (m->trial_status != 0) {
		struct str why = read_what_it_said(op->arena, said);
		return op_fail(op, ERR_INVALID,
			"%s does not start, so the running program stays: %.*s", m->args.program,
			STRF(why));
	}
	return ERR_NONE;
}

/* ---- the old program's side ---- */

static void write_state(const struct master *m, struct buf *out)
{
	struct child *c, *next;
	buf_putf(out, "key %d\npid %d\n", m->key_fd, pid_file_fd());
	for (size_t i = 0; i < m->sockets.count; i++)
		buf_putf(out, "socket %d %d\n", m->sockets.items[i].fd,
			m->sockets.items[i].is_given);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->pid > 0)
			buf_putf(out, "child %d %s %u %d %d %d %d\n", (int)c->pid,
				c->plan.role->name, c->plan.slot, c->control_fd, c->page_fd,
				c->is_leaving, c->is_drained);
	}
}

static void set_inheritable(const struct master *m, bool is_inheritable)
{
	int flags = is_inheritable ? 0 : FD_CLOEXEC;
	struct child *c, *next;
	(void)fcntl(m->key_fd, F_SETFD, flags);
	(void)fcntl(pid_file_fd(), F_SETFD, flags);
	for (size_t i = 0; i < m->sockets.count; i++)
		(void)fcntl(m->sockets.items[i].fd, F_SETFD, flags);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->pid <= 0)
			continue;
		(void)fcntl(c->control_fd, F_SETFD, flags);
		(void)fcntl(c->page_fd, F_SETFD, flags);
	}
}

static enum err execute(struct op *op, struct master *m)
{
	AUTO_BUF(state, 0);
	int fd;
	write_state(m, &state);
	TRY(master_memory_file(op, "pombal-upgrade", buf_str(&state), &fd));
	(void)fcntl(fd, F_SETFD, 0);
	char **args = arguments(op->arena, m, "--upgrade-fd", str_printf(op->arena, "%d", fd).p);
	event_send(NULL, EVENT_INFO, "master_upgrading", "executing %s anew", m->args.program);
	notify_restore_environment();
	set_inheritable(m, true);
	execv(m->args.program, args);
	enum err e = op_fail_errno(op, "execute %s", m->args.program);
	set_inheritable(m, false);
	close(fd);
	return e;
}

enum err master_upgrade(struct op *op, struct master *m)
{
	if (m->is_stopping || m->is_upgrading)
		return op_fail(op, ERR_CONFLICT, "Pombal is %s",
			m->is_stopping ? "stopping" : "being upgraded");
	TRY(task_mutex_lock(op, &m->changing));
	enum err e = upgrade_check(op, m);
	if (e == ERR_NONE && !m->is_stopping) {
		notify_reloading();
		e = execute(op, m);
		notify_ready(STR("Serving; the last upgrade failed, see the log"));
	}
	task_mutex_unlock(&m->changing);
	return e;
}

/* ---- the new program's side ---- */

static bool cut_number(struct str *rest, int *out)
{
	struct str word;
	uint32_t number;
	if (!str_cut_word(rest, &word) || !number_parse_u32(word, &number) || number > INT_MAX)
		return false;
	*out = (int)number;
	return true;
}

static enum err adopt_page(struct op *op, struct child *c)
{
	if (process_page_map(op, c->page_fd, &c->page) == ERR_NONE)
		return ERR_NONE;
	/* Of another version: what it says is not understood. */
	file_close_fd(&c->page_fd);
	return process_page_create(op, &c->page_fd, &c->page);
}

static enum err adopt_child(struct op *op, struct master *m, struct str rest)
{
	struct str name;
	struct process_plan plan = { 0 };
	int pid, slot, control, page, is_leaving, is_drained;
	if (!cut_number(&rest, &pid) || !str_cut_word(&rest, &name) || !cut_number(&rest, &slot) ||
		!cut_number(&rest, &control) || !cut_number(&rest, &page) ||
		!cut_number(&rest, &is_leaving) || !cut_number(&rest, &is_drained))
		return op_fail(op, ERR_INVALID, "upgrade: a child's line is not understood");
	plan.role = role_find(name);
	plan.slot = (uint32_t)slot;
	if (!plan.role) {       /* the new program has no such role */
		close(control); /* ends the process */
		close(page);
		return ERR_NONE;
	}
	struct child *c = child_new(m, &plan);
	c->pid = pid;
	c->control_fd = control;
	c->page_fd = page;
	c->started_us = now_us();
	c->is_old = is_leaving == 0;
	c->is_leaving = true;
	c->is_drained = is_drained;
	c->is_serving = true;
	(void)fcntl(control, F_SETFD, FD_CLOEXEC);
	(void)fcntl(page, F_SETFD, FD_CLOEXEC);
	TRY(adopt_page(op, c));
	return child_watch(op, c);
}

static enum err adopt_line(struct op *op, struct master *m, struct str line)
{
	struct str word;
	int fd, is_given;
	if (!str_cut_word(&line, &word))
		return ERR_NONE;
	if (str_eq(word, STR("child")))
		return adopt_child(op, m, line);
	if (!cut_number(&line, &fd))
		return ERR_NONE;
	if (str_eq(word, STR("socket")) && cut_number(&line, &is_given))
		return sockets_adopt(op, &m->sockets, fd, is_given);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (str_eq(word, STR("key")))
		m->key_fd = fd;
	else if (str_eq(word, STR("pid")))
		pid_file_adopt(fd);
	return ERR_NONE;
}

enum err upgrade_adopt(struct op *op, struct master *m, int state_fd)
{
	struct stat st;
	if (fstat(state_fd, &st) < 0 || st.st_size <= 0 || st.st_size > STATE_BYTES_MAX)
		return op_fail(op, ERR_INVALID, "--upgrade-fd is for the master's own use");
	char *text = ARENA_NEW_ARRAY(op->arena, char, (size_t)st.st_size);
	TRY(file_pread_all(op, state_fd, text, (size_t)st.st_size, 0));
	close(state_fd);
	struct str rest = { text, (size_t)st.st_size }, line;
	while (str_cut(&rest, '\n', &line))
		TRY(adopt_line(op, m, line));
	return ERR_NONE;
}

/* ---- old processes for new ---- */

static bool is_role_serving(struct master *m, const struct role *role)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role == role && !c->is_leaving && !c->is_serving)
			return false;
	}
	return true;
}

static bool has_let_go(struct master *m, const struct role *role)
{
	struct child *c, *next;
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role == role && c->is_old && c->pid > 0 && !c->is_drained)
			return false;
	}
	return true;
}

/* WAITS until the new processes of the role serve. Those that do not start are tried again by their
 * timers, while the old ones serve. */
static void start_new(struct master *m, const struct role *role)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + REPLACE_US);
	for (size_t i = 0; i < m->plans.count && !m->is_stopping; i++) {
		const struct process_plan *plan = &m->plans.items[i];
		if (plan->role == role && child_start(&op, child_new(m, plan)) != ERR_NONE)
			event_send_failure(
				NULL, EVENT_ERROR, "child_start_failed", &op, "starting a process");
	}
	while (!m->is_stopping && !is_role_serving(m, role) &&
		wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
}

/* WAITS until the old processes of the role have let go of what the new ones need. */
static void retire_old(struct master *m, const struct role *role, int64_t time_us)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct child *c, *next;
	op_init(&op, &arena, NULL, now_us() + REPLACE_US);
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role == role && c->is_old && !m->is_stopping)
			child_retire(c, time_us);
	}
	while (!m->is_stopping && !has_let_go(m, role) &&
		wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
	if (m->is_stopping)
		return; /* the stop is theirs as well */
	LIST_FOR_EACH(c, next, &m->children, struct child, link)
	{
		if (c->plan.role != role || !c->is_old || c->pid == 0 || c->is_drained)
			continue;
		event_send(NULL, EVENT_ERROR, "child_stop_failed",
			"service(%s): child %d did not leave its place in time and is killed",
			role->name, (int)c->pid);
		kill(c->pid, SIGKILL);
	}
	while (!m->is_stopping && !has_let_go(m, role)) {
		op_init(&op, &arena, NULL, TIME_NEVER);
		if (wait_queue_wait(&op, &m->changed) != ERR_NONE)
			break;
	}
}

/* No reload meanwhile: it would start processes in places that are not free yet. */
void upgrade_replace(struct master *m)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (task_mutex_lock(&op, &m->changing) != ERR_NONE)
		return;
	int64_t relay_us = config_time_us(config_scope(m->config, NULL), SET_upgrade_relay_time);
	start_new(m, &role_auth);
	retire_old(m, &role_auth, LET_GO_US);
	retire_old(m, &role_mail, LET_GO_US);
	start_new(m, &role_mail);
	start_new(m, &role_login);
	start_new(m, &role_doveadm);
	retire_old(m, &role_doveadm, LET_GO_US);
	retire_old(m, &role_login, relay_us);
	m->is_upgrading = false;
	if (!m->is_stopping)
		event_send(NULL, EVENT_INFO, "master_upgraded", "the new program serves");
	task_mutex_unlock(&m->changing);
}
