/* SPDX-License-Identifier: Apache-2.0 */
/* Every role in one process on one loop: for tests, debugging and tiny hosts. The roles are the same
 * code and talk over the same sockets; only the walls between them are missing. */
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/random.h"
#include "event/event.h"
#include "main/master.h"
#include "main/pid_file.h"
#include "main/processes.h"
#include "task/task.h"

#define STOP_TIME_US (20 * US_PER_SEC)
#define EXIT_FATAL   89

struct all_in_one {
	struct config *config;
	int ready_fd, shared_fd;
	struct process_plans plans;
	struct sockets sockets;
	struct shared_page *shared;
	struct process_page page;
	struct role_context contexts[PROCESSES_MAX];
	void *states[PROCESSES_MAX];
	size_t started; /* the first of the plan; those that have stopped have no state */
	bool is_stopping, has_failed;
};

/* One login is enough for one loop, and one worker: more would be walls that are not there. */
static void keep_one_of_each(struct process_plans *plans)
{
	size_t kept = 0;
	for (size_t i = 0; i < plans->count; i++) {
		if (plans->items[i].slot == 0)
			plans->items[kept++] = plans->items[i];
	}
	plans->count = kept;
}

static enum err become_mail_user(struct op *op, struct config *config)
{
	const struct config_scope *global = config_scope(config, NULL);
	if (geteuid() != 0)
		return ERR_NONE;
	const char *name = str_dup_z(op->arena, config_str(global, SET_mail_uid));
	const struct passwd *pw = getpwnam(name);
	if (!pw)
		return op_fail(op, ERR_INVALID, "mail_uid: no user %s on this host", name);
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;
	/* The internal group may read the password files; the login group may use the roles' sockets. */
	gid_t groups[2] = { gid, gid };
	const enum config_setting names[2] = { SET_default_internal_group, SET_default_login_user };
	for (int i = 0; i < 2; i++) {
		const struct group *gr =
			getgrnam(str_dup_z(op->arena, config_str(global, names[i])));
		if (gr)
			groups[i] = gr->gr_gid;
	}
	if (setgroups(2, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0)
		return op_fail_errno(op, "become user %s", name);
	return ERR_NONE;
}

static void stop_one(struct all_in_one *a, size_t i)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	if (a->states[i])
		a->plans.items[i].role->stop(&op, a->states[i]);
	a->states[i] = NULL;
}

static void drain_one(struct all_in_one *a, size_t i)
{
	const struct role *role = a->plans.items[i].role;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	if (role->drain)
		role->drain(&op, a->states[i]);
}

static void stop_task(void *arg)
{
	struct all_in_one *a = arg;
	event_send(NULL, EVENT_INFO, "master_stopping", "Pombal stops");
	for (size_t i = a->started; i-- > 0;)
		drain_one(a, i);
	/* The worker before the rest: its last words to clients still pass the relays of login. */
	for (size_t i = 0; i < a->started; i++) {
		if (a->plans.items[i].role == &role_mail)
			stop_one(a, i);
	}
	for (size_t i = a->started; i-- > 0;)
		stop_one(a, i);
	loop_stop();
}

static void stop(struct all_in_one *a)
{
	if (a->is_stopping)
		return;
	a->is_stopping = true;
	alarm(3 * STOP_TIME_US / US_PER_SEC + 10);
	task_start("stop", stop_task, a);
}

static void on_signal(int signal_number, void *arg)
{
	(void)signal_number;
	stop(arg);
}

static void on_log_signal(int signal_number, void *arg)
{
	(void)signal_number;
	(void)arg;
	event_log_reopen();
}

static void start_task(void *arg)
{
	struct all_in_one *a = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 60 * US_PER_SEC);
	while (a->started < a->plans.count && !a->is_stopping) {
		size_t i = a->started;
		const struct process_plan *plan = &a->plans.items[i];
		if (plan->role->start(&op, &a->contexts[i], &a->states[i]) != ERR_NONE) {
			event_send_failure(NULL, EVENT_FATAL, "role_start_failed", &op, "starting");
			a->has_failed = true;
			stop(a);
			return;
		}
		a->started++;
	}
	event_send(NULL, EVENT_INFO, "master_started", "Pombal serves, all in one process");
	master_tell_ready(a->ready_fd);
}

/* A role owns its descriptors. */
static enum err take_listeners(
	struct op *op, const struct process_plan *plan, struct role_context *c)
{
	memcpy(c->listeners, plan->listeners, sizeof(c->listeners));
	c->listener_count = plan->listener_count;
	for (size_t i = 0; i < c->listener_count; i++) {
		c->listeners[i].fd = dup(c->listeners[i].fd);
		if (c->listeners[i].fd < 0)
			return op_fail_errno(op, "duplicate a listener");
	}
	return ERR_NONE;
}

static enum err prepare(struct op *op, struct all_in_one *a)
{
	const struct config_scope *global = config_scope(a->config, NULL);
	uint8_t key[TICKET_KEY_BYTES];
	TRY(role_open_log(op, a->config, STR("pombal")));
	TRY(pid_file_take(op, a->config));
	TRY(master_prepare_state(op, a->config));
	sockets_begin(&a->sockets);
	TRY(process_plans_make(op, a->config, &a->sockets, 1, &a->plans));
	sockets_commit(&a->sockets);
	keep_one_of_each(&a->plans);
	TRY(become_mail_user(op, a->config));
	TRY(shared_page_create(op, (uint32_t)config_u64(global, SET_mail_shard_count), 1,
		&a->shared_fd, &a->shared));
	random_bytes(key, sizeof(key));
	for (size_t i = 0; i < a->plans.count; i++) {
		struct role_context *c = &a->contexts[i];
		const struct process_plan *plan = &a->plans.items[i];
		c->config = a->config;
		c->shared = a->shared;
		c->page = &a->page;
		c->slot = plan->slot;
		c->has_ticket_key = true;
		memcpy(c->ticket_key, key, sizeof(key));
		role_tls_seed(key, c->tls_seed);
		TRY(take_listeners(op, plan, c));
	}
	TRY(loop_open(op, NULL));
	TRY(loop_on_signal(op, SIGTERM, on_signal, a));
	TRY(loop_on_signal(op, SIGINT, on_signal, a));
	TRY(loop_on_signal(op, SIGUSR1, on_log_signal, a));
	return loop_on_signal(op, SIGHUP, on_log_signal, a);
}

int all_in_one_run(const struct master_args *args)
{
	static struct all_in_one process; /* large, and there is one */
	struct all_in_one *a = &process;
	*a = (struct all_in_one){ .config = args->config, .ready_fd = args->ready_fd };
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (prepare(&op, a) != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "master_start_failed", &op, "starting");
		fprintf(stderr, "pombal: Fatal: %s\n", op.failure.text);
		return EXIT_FATAL;
	}
	task_start("start", start_task, a);
	loop_run();
	loop_close();
	sockets_close(&a->sockets);
	pid_file_drop(a->config);
	event_send(NULL, EVENT_INFO, "master_stopped", "Pombal has stopped");
	event_log_close();
	return a->has_failed ? EXIT_FATAL : 0;
}
