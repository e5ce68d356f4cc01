/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that mail workers answer (main/mail_admin.h). The master says which worker it is. */
#include <stdio.h>
#include <unistd.h>

#include "base/number.h"
#include "ipc/ipc.h"
#include "main/doveadm.h"
#include "main/role.h"
#include "task/task.h"

#define COMMAND_US (5 * 60 * US_PER_SEC)

struct mail_call {
	struct doveadm *d;
	const char *command, *titles; /* the line of names */
	struct str user, mailbox;     /* "": not about a user; all of his */
	enum err result;              /* of the command; why stands in the op's failure */
};

/* ---- asking ---- */

/* WAITS. The slots of the workers to ask, one a line. */
static enum err ask_master(struct op *op, const struct mail_call *c, struct str *out_slots)
{
	struct ipc_client *master = ipc_client_new(role_socket_master(op->arena, c->d->config));
	struct ipc_message request, reply;
	struct str text = STR("");
	ipc_message_init(&request, IPC_MASTER);
	ipc_message_init(&reply, IPC_MASTER);
	ipc_put_str(&request, "command", STR("mail workers"));
	ipc_put_str(&request, "argument", c->user);
	enum err e = ipc_call(op, master, &request, &reply);
	if (e == ERR_NONE)
		(void)ipc_get_str(&reply, "text", &text); /* absent: none serves */
	*out_slots = str_dup(op->arena, text);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	ipc_client_free(master);
	return op_within(op, e, "asking the master for mail workers");
}

/* Prints the lines; the failure is that of the command. */
static enum err take_reply(struct op *op, const struct ipc_message *reply)
{
	struct str text = STR(""), error = STR("no reason given");
	int64_t failed = ERR_NONE;
	(void)ipc_get_str(reply, "text", &text); /* absent: nothing to say */
	(void)ipc_get_int(reply, "failed", &failed);
	(void)ipc_get_str(reply, "error", &error); /* the default stands */
	fwrite(text.p, 1, text.n, stdout);
	if (failed <= ERR_NONE || failed >= ERR_COUNT)
		return ERR_NONE;
	return op_fail(op, (enum err)failed, "%.*s", STRF(error));
}

/* WAITS. */
static enum err ask_worker(struct op *op, const struct mail_call *c, uint32_t slot)
{
	struct ipc_client *worker = ipc_client_new(role_socket_mail(op->arena, c->d->config, slot));
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_MAIL_ADMIN);
	ipc_message_init(&reply, IPC_MAIL_ADMIN);
	ipc_put_str(&request, "command", str_from(c->command));
	if (c->user.n > 0) {
		ipc_put_str(&request, "user", c->user);
		ipc_put_str(&request, "mailbox", c->mailbox);
	}
	enum err e = ipc_call(op, worker, &request, &reply);
	if (e == ERR_NONE)
		e = take_reply(op, &reply);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	ipc_client_free(worker);
	return e;
}

static enum err ask(struct op *op, const struct mail_call *c)
{
	struct str slots, line;
	enum err worst = ERR_NONE;
	uint32_t slot;
	TRY(ask_master(op, c, &slots));
	printf("%s\n", c->titles);
	while (str_cut_line(&slots, &line)) {
		enum err e = number_parse_u32(line, &slot) ? ask_worker(op, c, slot) : ERR_NONE;
		worst = e == ERR_NONE ? worst : e;
	}
	return worst;
}

static void ask_task(void *arg)
{
	struct mail_call *c = arg;
	struct op *op = c->d->op;
	op->deadline_us = now_us() + COMMAND_US;
	c->result = ask(op, c);
	loop_stop();
}

static int exit_status(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return EXIT_NOT_FOUND;
	if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CONFLICT)
		return EXIT_TEMP_FAIL;
	return e == ERR_DENIED ? EXIT_DENIED : EXIT_FAILED;
}

static int run(struct mail_call *c)
{
	if (doveadm_need_config(c->d) != ERR_NONE ||
		doveadm_run_task(c->d, ask_task, c) != ERR_NONE)
		return doveadm_fail(c->d, EXIT_FATAL);
	fflush(stdout);
	return c->result == ERR_NONE ? 0 : doveadm_fail(c->d, exit_status(c->result));
}

/* ---- the commands ---- */

int doveadm_storage_status(struct doveadm *d)
{
	struct mail_call c = { .d = d,
		.command = "storage status",
		.titles = "worker\tstore\tdriver\treads\twrites\tdeletes\tbytes_read\t"
			  "bytes_written\tfailures\tstate\tfailing_since\tfailure",
		.user = STR(""),
		.mailbox = STR("") };
	return d->arg_count == 0 ? run(&c) : doveadm_usage(d);
}

static int run_for_user(struct doveadm *d, const char *command)
{
	struct mail_call c = { .d = d,
		.command = command,
		.titles = "mailbox\tresult\tmessages\tuid_validity\tuid_next\thighest_modseq\t"
			  "failure",
		.mailbox = STR("") };
	int option;
	opterr = 0;
	optind = 1;
	/* getopt() wants a word before the arguments: the command's last one stands there. */
	while ((option = getopt(d->arg_count + 1, d->args - 1, "u:")) != -1) {
		if (option != 'u')
			return doveadm_usage(d);
		c.user = str_from(optarg);
	}
	if (c.user.n == 0 || optind < d->arg_count)
		return doveadm_usage(d);
	if (optind == d->arg_count)
		c.mailbox = str_from(d->args[optind - 1]);
	return run(&c);
}

int doveadm_mailbox_verify(struct doveadm *d)
{
	return run_for_user(d, "mailbox verify");
}

int doveadm_force_resync(struct doveadm *d)
{
	return run_for_user(d, "force-resync");
}
