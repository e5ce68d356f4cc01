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

#include "base/file.h"
#include "base/number.h"
#include "event/event.h"
#include "main/role.h"
#include "net/net.h"
#include "task/task.h"

#define SNAPSHOT_BYTES_MAX (64 << 20)
#define STOP_TIME_US       (20 * US_PER_SEC)
#define EXIT_FATAL         89

struct child {
	const struct role *role;
	struct role_context context;
	void *state;
	bool is_started;
	bool is_stopping, may_finish;
	struct wait_queue told; /* may_finish */
	struct watch control;
};

static void watchdog_report(
	const char *task_name, struct str user, struct str doing, int64_t ran_us)
{
	event_send(NULL, EVENT_WARNING, "task_ran_long",
		"task %s ran %" PRId64 " ms without a wait (user %.*s, %.*s)", task_name,
		ran_us / US_PER_MS, STRF(user), STRF(doing));
}

/* "--listen imap:tls" or "--listen lmtp:plain"; the i-th is descriptor ROLE_FD_LISTENERS + i. */
static bool parse_listener(struct str text, struct role_context *context)
{
	struct str protocol;
	if (context->listener_count == ROLE_LISTENERS_MAX || !str_cut(&text, ':', &protocol) ||
		protocol.n >= sizeof(context->listeners[0].protocol))
		return false;
	struct role_listener *l = &context->listeners[context->listener_count];
	*l = (struct role_listener){
		.is_tls = str_eq(text, STR("tls")),
		.fd = ROLE_FD_LISTENERS + (int)context->listener_count,
	};
	memcpy(l->protocol, protocol.p, protocol.n);
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
		else if (strcmp(args[i], "--role") != 0)
			return false;
	}
	return child->role != NULL;
}

static enum err read_config(struct op *op, struct config **out)
{
	struct stat st;
	if (fstat(ROLE_FD_CONFIG, &st) < 0 || st.st_size <= 0 || st.st_size > SNAPSHOT_BYTES_MAX)
		return op_fail(op, ERR_INVALID,
			"descriptor %d is not a configuration: roles are started by the master",
			ROLE_FD_CONFIG);
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, ROLE_FD_CONFIG, 0);
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
	if (setgroups(0, NULL) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0)
		return op_fail_errno(op, "become user %s", name);
	return ERR_NONE;
}

static enum err prepare(struct op *op, struct child *child)
{
	struct role_context *context = &child->context;
	TRY(read_config(op, &context->config));
	TRY(shared_page_map(op, ROLE_FD_SHARED, &context->shared));
	if (child->role->needs_ticket_key)
		TRY(read_ticket_key(op, context));
	struct str title = str_printf(op->arena, "%s-%u", child->role->name, context->slot);
	/* For ps and top: the program was started as /proc/self/exe. At most 15 bytes are kept. */
	prctl(PR_SET_NAME, str_printf(op->arena, "pombal-%s", child->role->name).p);
	TRY(role_open_log(op, context->config, title));
	TRY(drop_privileges(op, child));
	/* After the change of user, which clears it; a master that died meanwhile is seen as the end of
	 * the control socket. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (int fd = ROLE_FD_CONFIG; fd < ROLE_FD_LISTENERS + (int)context->listener_count; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* some are not open: no harm */
	return ERR_NONE;
}

static void drain(struct child *child)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	char drained = CONTROL_DRAINED;
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	if (child->role->drain)
		child->role->drain(&op, child->state);
	/* A master that is gone is seen as the end of the socket. */
	(void)send(child->control.fd, &drained, 1, MSG_NOSIGNAL);
	op_init(&op, &arena, NULL, now_us() + STOP_TIME_US);
	while (!child->may_finish && wait_queue_wait(&op, &child->told) == ERR_NONE)
		continue;
}

static void stop_task(void *arg)
{
	struct child *child = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	alarm(3 * STOP_TIME_US / US_PER_SEC + 10); /* a stop that hangs ends all the same */
	if (child->is_started) {
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

static void on_control(struct watch *w, unsigned events, void *arg)
{
	struct child *child = arg;
	char command;
	(void)events;
	for (;;) {
		ssize_t n = recv(w->fd, &command, 1, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch_forget(w, WATCH_READ);
			return;
		}
		if (n <= 0 || command == CONTROL_STOP) {
			stop(child, true);
			return;
		}
		if (command == CONTROL_DRAIN)
			stop(child, false);
		if (command == CONTROL_REOPEN_LOG)
			event_log_reopen();
	}
}

static void start_task(void *arg)
{
	struct child *child = arg;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, now_us() + 60 * US_PER_SEC);
	enum err e = child->role->start(&op, &child->context, &child->state);
	if (e != ERR_NONE) {
		event_send_failure(NULL, EVENT_FATAL, "role_start_failed", &op, "starting");
		event_log_close();
		_exit(EXIT_FATAL);
	}
	child->is_started = true;
	char ready = CONTROL_READY;
	if (send(child->control.fd, &ready, 1, MSG_NOSIGNAL) != 1)
		stop(child, true);
}

static enum err run(struct op *op, struct child *child)
{
	TRY(prepare(op, child));
	TRY(loop_open(op, NULL));
	loop_set_watchdog(50 * US_PER_MS, watchdog_report);
	ASSERT(child->context.slot < SHARED_SLOTS_MAX);
	if (child->role == &role_mail) {
		struct crash_slot *slot = &child->context.shared->slots[child->context.slot];
		slot->pid = getpid();
		loop_set_crash_slot(slot);
	}
	TRY(loop_on_signal(op, SIGTERM, on_signal, child));
	TRY(loop_on_signal(op, SIGINT, on_signal, child));
	TRY(watch_open(op, &child->control, ROLE_FD_CONTROL, on_control, child));
	task_start("start", start_task, child);
	loop_run();
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
