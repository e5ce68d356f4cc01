/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for the running master: as messages on its socket (main/master.h), but for stop and log
 * reopen, which are signals to the process in its pid file. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ipc/ipc.h"
#include "main/doveadm.h"
#include "main/pid_file.h"
#include "main/role.h"
#include "task/task.h"

#define COMMAND_US (5 * 60 * US_PER_SEC)

/* ---- signals ---- */

static int signal_master(struct doveadm *d, int signal_number)
{
	pid_t pid;
	if (doveadm_need_config(d) != ERR_NONE || pid_file_read(d->op, d->config, &pid) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	if (kill(pid, signal_number) < 0) {
		fprintf(stderr, "doveadm: Error: signal master %d: %m\n", (int)pid);
		return EXIT_FATAL;
	}
	return 0;
}

int doveadm_stop(struct doveadm *d)
{
	pid_t pid;
	int status = signal_master(d, SIGTERM);
	for (int i = 0; status == 0 && i < 1200; i++) {
		if (pid_file_read(d->op, d->config, &pid) != ERR_NONE)
			return 0;
		usleep(50 * 1000);
	}
	return status;
}

int doveadm_log_reopen(struct doveadm *d)
{
	if (d->arg_count != 0)
		return doveadm_usage(d);
	return signal_master(d, SIGUSR1);
}

/* ---- messages ---- */

struct call {
	struct doveadm *d;
	const char *command, *argument;
	struct str text; /* in the op's arena */
	bool has_failed;
	enum err result;
};

static void call_task(void *arg)
{
	struct call *c = arg;
	struct op *op = c->d->op;
	struct ipc_client *master = ipc_client_new(role_socket_master(op->arena, c->d->config));
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_MASTER);
	ipc_message_init(&reply, IPC_MASTER);
	op->deadline_us = now_us() + COMMAND_US;
	ipc_put_str(&request, "command", str_from(c->command));
	ipc_put_str(&request, "argument", str_from(c->argument));
	c->result = ipc_call(op, master, &request, &reply);
	if (c->result == ERR_NONE) {
		struct str text = STR_NONE;
		(void)ipc_get_str(&reply, "text", &text); /* absent: nothing to say */
		c->text = str_dup(op->arena, text);
		c->has_failed = ipc_get_bool(&reply, "failed");
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	ipc_client_free(master);
	loop_stop();
}

static int print_answer(struct doveadm *d, const struct call *c)
{
	if (c->result != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	fwrite(c->text.p ? c->text.p : "", 1, c->text.n, c->has_failed ? stderr : stdout);
	return c->has_failed ? EXIT_FAILED : 0;
}

/* Tells the master; what it says goes to stdout, or to stderr when it refuses. */
static int tell_master(struct doveadm *d, const char *command, const char *argument)
{
	struct call c = { .d = d, .command = command, .argument = argument };
	if (doveadm_need_config(d) != ERR_NONE || doveadm_run_task(d, call_task, &c) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	return print_answer(d, &c);
}

static const char *argument(const struct doveadm *d)
{
	return d->arg_count > 0 ? d->args[0] : "";
}

int doveadm_reload(struct doveadm *d)
{
	return d->arg_count == 0 ? tell_master(d, "reload", "") : doveadm_usage(d);
}

/* The connection breaks when the master becomes the new program; then that answers, unless it is
 * stopped in the middle. */
int doveadm_upgrade(struct doveadm *d)
{
	pid_t pid;
	struct call c = { .d = d, .command = "wait", .argument = "", .result = ERR_UNAVAILABLE };
	int64_t until_us = now_us() + COMMAND_US;
	if (d->arg_count != 0)
		return doveadm_usage(d);
	int status = tell_master(d, "upgrade", "");
	while (status == 0 && c.result == ERR_UNAVAILABLE && now_us() < until_us) {
		usleep(100 * 1000);
		if (pid_file_read(d->op, d->config, &pid) != ERR_NONE ||
			doveadm_run_task(d, call_task, &c) != ERR_NONE)
			return doveadm_fail(d, EXIT_FATAL);
	}
	return status == 0 ? print_answer(d, &c) : status;
}

int doveadm_process_status(struct doveadm *d)
{
	return d->arg_count <= 1 ? tell_master(d, "process status", argument(d)) : doveadm_usage(d);
}

int doveadm_service_status(struct doveadm *d)
{
	return d->arg_count <= 1 ? tell_master(d, "service status", argument(d)) : doveadm_usage(d);
}

int doveadm_quarantine_list(struct doveadm *d)
{
	return d->arg_count == 0 ? tell_master(d, "quarantine list", "") : doveadm_usage(d);
}

int doveadm_quarantine_release(struct doveadm *d)
{
	return d->arg_count == 1 ? tell_master(d, "quarantine release", argument(d))
				 : doveadm_usage(d);
}
