/* SPDX-License-Identifier: Apache-2.0 */
/* The master: one child per planned process, started again with back-off when it dies.
 *
 * Child:  waiting -> starting -> serving -> (dead -> waiting)   until the stop; then
 *         told to drain -> told to stop -> dead. Who talks to other roles drains first; then all
 *         stop at once: the workers' last words to clients still pass the relays in login.
 * Invariants: 1. descriptors for children are made above FD_BASE, so that placing them at their fixed
 *                numbers never overwrites one that is still needed.
 *             2. the shared page and the ticket key live as long as the master: children come and go. */
#include "main/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "event/event.h"
#include "main/pid_file.h"
#include "main/processes.h"
#include "net/net.h"
#include "task/task.h"

#define FD_BASE          200
#define ARGS_MAX         (8 + 2 * ROLE_LISTENERS_MAX)
#define BACKOFF_FIRST_US (100 * US_PER_MS)
#define BACKOFF_MAX_US   (60 * US_PER_SEC)
#define LIVED_LONG_US    (10 * US_PER_SEC)
#define STOP_ROLE_US     (30 * US_PER_SEC)
#define EXIT_FATAL       89

struct master;
struct child {
	struct master *master;
	const struct process_plan *plan;
	pid_t pid; /* 0: not running */
	int control_fd;
	struct watch control;
	struct timer restart;
	int64_t started_us, backoff_us;
	bool is_serving, is_drained;
};
struct master {
	struct config *config;
	struct process_plans plans;
	struct child children[PROCESSES_MAX];
	struct shared_page *shared;
	int config_fd, shared_fd, key_fd, ready_fd;
	bool is_ready, is_stopping;
	struct wait_queue changed; /* a child died or drained */
};

/* ---- starting a child ---- */

static enum err move_high(struct op *op, int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, FD_BASE);
	if (high < 0)
		return op_fail_errno(op, "duplicate a descriptor");
	close(*fd);
	*fd = high;
	return ERR_NONE;
}

/* In the new process: only async-signal-safe calls. */
static _Noreturn void exec_child(
	const struct master *m, const struct child *c, int control, char *const *args)
{
	const struct {
		int from, to;
	} places[] = {
		{ m->config_fd, ROLE_FD_CONFIG },
		{ control, ROLE_FD_CONTROL },
		{ m->shared_fd, ROLE_FD_SHARED },
		{ m->key_fd, ROLE_FD_TICKET_KEY },
	};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
		if (places[i].to == ROLE_FD_TICKET_KEY && !c->plan->role->needs_ticket_key)
			close(ROLE_FD_TICKET_KEY);
		else if (dup2(places[i].from, places[i].to) < 0)
			_exit(EXIT_FATAL);
	}
	for (size_t i = 0; i < c->plan->listener_count; i++) {
		if (dup2(c->plan->listeners[i].fd, ROLE_FD_LISTENERS + (int)i) < 0)
			_exit(EXIT_FATAL);
	}
	execv("/proc/self/exe", args);
	_exit(EXIT_FATAL);
}

static char **make_args(struct arena *a, const struct process_plan *plan)
{
	char **args = ARENA_NEW_ARRAY(a, char *, ARGS_MAX);
	size_t n = 0;
	args[n++] = str_dup_z(a, STR("pombal"));
	args[n++] = str_dup_z(a, STR("--role"));
	args[n++] = str_dup_z(a, str_from(plan->role->name));
	args[n++] = str_dup_z(a, STR("--slot"));
	args[n++] = str_dup_z(a, str_printf(a, "%u", plan->slot));
	for (size_t i = 0; i < plan->listener_count; i++) {
		const struct role_listener *l = &plan->listeners[i];
		args[n++] = str_dup_z(a, STR("--listen"));
		args[n++] = str_dup_z(
			a, str_printf(a, "%s:%s", l->protocol, l->is_tls ? "tls" : "plain"));
	}
	return args;
}

static void check_all_ready(struct master *m)
{
	if (m->is_ready)
		return;
	for (size_t i = 0; i < m->plans.count; i++) {
		if (!m->children[i].is_serving)
			return;
	}
	m->is_ready = true;
	event_send(NULL, EVENT_INFO, "master_started",
		"Pombal serves: %zu processes, %u mail workers", m->plans.count,
		m->plans.worker_count);
	master_tell_ready(m->ready_fd);
}

static void on_control(struct watch *w, unsigned events, void *arg)
{
	struct child *c = arg;
	char byte;
	(void)events;
	while (recv(w->fd, &byte, 1, MSG_DONTWAIT) == 1) {
		if (byte == CONTROL_READY) {
			c->is_serving = true;
			check_all_ready(c->master);
		} else if (byte == CONTROL_DRAINED) {
			c->is_drained = true;
			wait_queue_wake_all(&c->master->changed);
		}
	}
	watch_forget(w, WATCH_READ); /* the child's end is seen by SIGCHLD */
}

static enum err start_child(struct op *op, struct child *c)
{
	struct master *m = c->master;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return op_fail_errno(op, "make a control socket");
	AUTO_FD(child_end, ends[1]);
	c->control_fd = ends[0];
	TRY(move_high(op, &child_end));
	char **args = make_args(op->arena, c->plan);
	pid_t pid = fork();
	if (pid == 0)
		exec_child(m, c, child_end, args);
	if (pid < 0) {
		enum err e = op_fail_errno(op, "fork for role %s", c->plan->role->name);
		file_close_fd(&c->control_fd);
		return e;
	}
	c->pid = pid;
	c->started_us = now_us();
	c->is_serving = false;
	return watch_open(op, &c->control, c->control_fd, on_control, c);
}

static void restart_timer(void *arg)
{
	struct child *c = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (c->master->is_stopping || start_child(&op, c) == ERR_NONE)
		return;
	event_send_failure(NULL, EVENT_ERROR, "child_start_failed", &op, "starting a process");
	timer_set(&c->restart, now_us() + BACKOFF_MAX_US);
}

/* ---- the death of a child ---- */

static void log_death(const struct child *c, int status)
{
	const char *role = c->plan->role->name;
	const struct crash_slot *slot = &c->master->shared->slots[c->plan->slot];
	bool knows_user = c->plan->role == &role_mail && slot->pid == c->pid && slot->user[0];
	if (WIFSIGNALED(status)) {
		event_send(NULL, EVENT_ERROR, "child_killed",
			"service(%s): child %d killed with signal %d (%score "
			"dumped)%s%.255s%s%.255s",
			role, (int)c->pid, WTERMSIG(status), WCOREDUMP(status) ? "" : "no ",
			knows_user ? ", was serving user " : "", knows_user ? slot->user : "",
			knows_user ? ": " : "", knows_user ? slot->doing : "");
	} else if (WEXITSTATUS(status) != 0 || !c->master->is_stopping) {
		event_send(NULL, EVENT_ERROR, "child_exited",
			"service(%s): child %d returned error %d", role, (int)c->pid,
			WEXITSTATUS(status));
	}
}

static void child_died(struct child *c, int status)
{
	struct master *m = c->master;
	log_death(c, status);
	watch_close(&c->control);
	close(c->control_fd);
	c->pid = 0;
	c->is_serving = false;
	wait_queue_wake_all(&m->changed);
	if (m->is_stopping)
		return;
	if (now_us() - c->started_us >= LIVED_LONG_US) {
		c->backoff_us = 0; /* it worked: start again at once */
	} else {
		c->backoff_us = MIN(MAX(c->backoff_us * 2, BACKOFF_FIRST_US), BACKOFF_MAX_US);
		event_send(NULL, EVENT_WARNING, "child_throttled",
			"service(%s): command startup failed, throttling for %.3f secs",
			c->plan->role->name, (double)c->backoff_us / (double)US_PER_SEC);
	}
	timer_set(&c->restart, now_us() + c->backoff_us);
}

static void on_child_signal(int signal_number, void *arg)
{
	struct master *m = arg;
	int status;
	pid_t pid;
	(void)signal_number;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < m->plans.count; i++) {
			if (m->children[i].pid == pid)
				child_died(&m->children[i], status);
		}
	}
}

/* ---- stopping ---- */

static void tell_children(struct master *m, char command)
{
	for (size_t i = 0; i < m->plans.count; i++) {
		struct child *c = &m->children[i];
		/* A child that is gone is noticed by its death, not here. */
		if (c->pid > 0)
			(void)send(c->control_fd, &command, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static size_t count_draining(const struct master *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->plans.count; i++) {
		const struct child *c = &m->children[i];
		n += c->pid > 0 && c->is_serving && c->plan->role->drain && !c->is_drained;
	}
	return n;
}

static void drain_children(struct master *m)
{
	const char drain = CONTROL_DRAIN;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + STOP_ROLE_US);
	for (size_t i = 0; i < m->plans.count; i++) {
		struct child *c = &m->children[i];
		if (c->pid > 0 && c->plan->role->drain)
			(void)send(c->control_fd, &drain, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	/* Whoever does not manage is stopped all the same. */
	while (count_draining(m) > 0 && wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
}

static size_t count_running(const struct master *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->plans.count; i++)
		n += m->children[i].pid > 0;
	return n;
}

static void kill_child(const struct child *c)
{
	event_send(NULL, EVENT_ERROR, "child_stop_failed",
		"service(%s): child %d did not stop in time and is killed", c->plan->role->name,
		(int)c->pid);
	kill(c->pid, SIGKILL);
}

static void stop_task(void *arg)
{
	struct master *m = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	event_send(NULL, EVENT_INFO, "master_stopping", "Pombal stops");
	drain_children(m);
	tell_children(m, CONTROL_STOP);
	op_init(&op, &arena, NULL, now_us() + STOP_ROLE_US);
	while (count_running(m) > 0 && wait_queue_wait(&op, &m->changed) == ERR_NONE)
		continue;
	for (size_t i = 0; i < m->plans.count; i++) {
		if (m->children[i].pid > 0)
			kill_child(&m->children[i]);
	}
	loop_stop();
}

static void on_stop_signal(int signal_number, void *arg)
{
	struct master *m = arg;
	(void)signal_number;
	if (m->is_stopping)
		return;
	m->is_stopping = true;
	task_start("stop", stop_task, m);
}

static void on_log_signal(int signal_number, void *arg)
{
	(void)signal_number;
	event_log_reopen();
	tell_children(arg, CONTROL_REOPEN_LOG);
}

/* ---- the start ---- */

static enum err make_memory_file(struct op *op, const char *name, struct str content, int *out_fd)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return op_fail_errno(op, "create memory file %s", name);
	enum err e = file_write_all(op, fd, content);
	if (e == ERR_NONE && fcntl(fd, F_ADD_SEALS,
				     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		e = op_fail_errno(op, "seal memory file %s", name);
	if (e == ERR_NONE)
		e = move_high(op, &fd);
	if (e != ERR_NONE) {
		close(fd);
		return e;
	}
	*out_fd = fd;
	return ERR_NONE;
}

static enum err make_shared_descriptors(struct op *op, struct master *m)
{
	const struct config_scope *global = config_scope(m->config, NULL);
	uint8_t key[TICKET_KEY_BYTES];
	AUTO_BUF(snapshot, 0);
	config_write_snapshot(m->config, &snapshot);
	TRY(make_memory_file(op, "pombal-config", buf_str(&snapshot), &m->config_fd));
	random_bytes(key, sizeof(key));
	enum err e = make_memory_file(op, "pombal-ticket-key",
		(struct str){ (const char *)key, sizeof(key) }, &m->key_fd);
	mem_wipe(key, sizeof(key));
	TRY(e);
	TRY(shared_page_create(op, (uint32_t)config_u64(global, SET_mail_shard_count),
		m->plans.worker_count, &m->shared_fd, &m->shared));
	return move_high(op, &m->shared_fd);
}

static enum err start(struct op *op, struct master *m)
{
	TRY(pid_file_take(op, m->config));
	TRY(master_prepare_state(op, m->config));
	TRY(process_plans_make(op, m->config, &m->plans));
	TRY(make_shared_descriptors(op, m));
	for (size_t p = 0; p < m->plans.count; p++) {
		struct process_plan *plan = &m->plans.items[p];
		/* Login processes share the descriptors of the first, which is moved once. */
		bool is_copy = plan->role == &role_login && plan->slot > 0;
		if (is_copy)
			memcpy(plan->listeners, plan[-1].listeners, sizeof(plan->listeners));
		for (size_t i = 0; i < plan->listener_count && !is_copy; i++)
			TRY(move_high(op, &plan->listeners[i].fd));
	}
	TRY(loop_on_signal(op, SIGCHLD, on_child_signal, m));
	TRY(loop_on_signal(op, SIGTERM, on_stop_signal, m));
	TRY(loop_on_signal(op, SIGINT, on_stop_signal, m));
	TRY(loop_on_signal(op, SIGUSR1, on_log_signal, m));
	TRY(loop_on_signal(op, SIGHUP, on_log_signal, m));
	for (size_t p = 0; p < m->plans.count; p++) {
		struct child *c = &m->children[p];
		c->master = m;
		c->plan = &m->plans.items[p];
		timer_init(&c->restart, restart_timer, c);
		TRY(start_child(op, c));
	}
	return ERR_NONE;
}

int master_run(const struct master_args *args)
{
	static struct master master; /* large, and there is one */
	struct master *m = &master;
	*m = (struct master){ .config = args->config, .ready_fd = args->ready_fd };
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	enum err e = role_open_log(&op, m->config, STR("master"));
	if (e == ERR_NONE)
		e = loop_open(&op, NULL);
	if (e == ERR_NONE)
		e = start(&op, m);
	if (e != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "master_start_failed", &op, "starting");
		fprintf(stderr, "pombal: Fatal: %s\n", op.failure.text);
		return EXIT_FATAL;
	}
	loop_run();
	loop_close();
	pid_file_drop(m->config);
	process_plans_close(&m->plans);
	event_send(NULL, EVENT_INFO, "master_stopped", "Pombal has stopped");
	event_log_close();
	return 0;
}
