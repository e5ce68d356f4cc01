/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that mail workers answer (main/mail_admin.h). The master says which worker it is. */
#include "main/doveadm_mail.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "ipc/ipc.h"
#include "main/doveadm_auth.h"
#include "main/role.h"
#include "task/task.h"

#define COMMAND_US  (5 * 60 * US_PER_SEC)
#define OPTIONS_MAX 8

/* ---- asking ---- */

/* WAITS. The slots of the workers to ask, one a line. */
static enum err ask_master(
	struct op *op, const struct doveadm_mail_call *c, struct str user, struct str *out_slots)
{
	struct ipc_client *master = ipc_client_new(role_socket_master(op->arena, c->d->config));
	struct ipc_message request, reply;
	struct str text = STR("");
	ipc_message_init(&request, IPC_MASTER);
	ipc_message_init(&reply, IPC_MASTER);
	ipc_put_str(&request, "command", STR("mail workers"));
	ipc_put_str(&request, "argument", user);
	enum err e = ipc_call(op, master, &request, &reply);
	if (e == ERR_NONE)
		(void)ipc_get_str(&reply, "text", &text); /* absent: none serves */
	*out_slots = str_dup(op->arena, text);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	ipc_client_free(master);
	return op_within(op, e, "asking the master for mail workers");
}

/* Lines that were too many for a message. */
static void print_file(int fd)
{
	char bytes[4096];
	ssize_t n;
	for (off_t at = 0; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		fwrite(bytes, 1, (size_t)n, stdout);
}

/* Prints the lines; the failure is that of the command. */
static enum err take_reply(struct op *op, struct ipc_message *reply)
{
	AUTO_FD(fd, ipc_take_fd(reply, 0));
	struct str text = STR(""), error = STR("no reason given");
	int64_t failed = ERR_NONE;
	(void)ipc_get_str(reply, "text", &text); /* absent: nothing to say */
	(void)ipc_get_int(reply, "failed", &failed);
	(void)ipc_get_str(reply, "error", &error); /* the default stands */
	if (fd >= 0)
		print_file(fd);
	else
		fwrite(text.p, 1, text.n, stdout);
	if (failed <= ERR_NONE || failed >= ERR_COUNT)
		return ERR_NONE;
	return op_fail(op, (enum err)failed, "%.*s", STRF(error));
}

/* WAITS. */
static enum err ask_worker(
	struct op *op, const struct doveadm_mail_call *c, struct str user, uint32_t slot)
{
	struct ipc_client *worker = ipc_client_new(role_socket_mail(op->arena, c->d->config, slot));
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_MAIL_ADMIN);
	ipc_message_init(&reply, IPC_MAIL_ADMIN);
	ipc_put_str(&request, "command", str_from(c->command));
	ipc_put_str(&request, "options", buf_str(&c->options));
	if (user.n > 0) {
		ipc_put_str(&request, "user", user);
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

/* WAITS. Where all roles are one process there is no master, and one worker. */
static enum err ask_alone(struct op *op, const struct doveadm_mail_call *c, struct str user)
{
	struct op_failure why = op->failure;
	op_forgive(op);
	enum err e = ask_worker(op, c, user, 0);
	if (e != ERR_UNAVAILABLE)
		return e;
	return op_fail(op, e, "%s", why.text);
}

/* WAITS. About a user, or nobody. */
static enum err ask(struct op *op, const struct doveadm_mail_call *c, struct str user)
{
	struct str slots, line;
	enum err worst = ask_master(op, c, user, &slots);
	uint32_t slot;
	if (worst == ERR_UNAVAILABLE)
		return ask_alone(op, c, user);
	TRY(worst);
	while (str_cut_line(&slots, &line)) {
		enum err e =
			number_parse_u32(line, &slot) ? ask_worker(op, c, user, slot) : ERR_NONE;
		worst = e == ERR_NONE ? worst : e;
	}
	return worst;
}

struct asking {
	struct doveadm_mail_call *call;
	struct buf users; /* names, one a line */
};

/* WAITS. One that fails does not keep the others from their turn. */
static enum err ask_for_all(struct op *op, const struct asking *a)
{
	struct str rest = buf_str(&a->users), user;
	enum err worst = ERR_NONE;
	while (str_cut_line(&rest, &user)) {
		op->deadline_us = now_us() + a->call->lasts_us;
		enum err e = ask(op, a->call, user);
		if (e != ERR_NONE)
			fprintf(stderr, "doveadm: Error: %.*s: %s\n", STRF(user), op->failure.text);
		worst = e == ERR_NONE ? worst : e;
	}
	return worst == ERR_NONE ? worst : op_fail(op, worst, "not for all users, see above");
}

static void ask_task(void *arg)
{
	struct asking *a = arg;
	struct doveadm_mail_call *c = a->call;
	struct op *op = c->d->op;
	op->deadline_us = now_us() + c->lasts_us;
	printf("%s\n", c->titles);
	c->result = c->is_for_all ? ask_for_all(op, a) : ask(op, c, c->user);
	loop_stop();
}

static enum err list_users(struct op *op, struct ipc_client *auth, void *arg)
{
	return auth_client_list(op, auth, STR("doveadm"), arg);
}

static int exit_status(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return EXIT_NOT_FOUND;
	if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CONFLICT)
		return EXIT_TEMP_FAIL;
	return e == ERR_DENIED ? EXIT_DENIED : EXIT_FAILED;
}

int doveadm_mail_run(struct doveadm_mail_call *c)
{
	struct asking a = { .call = c };
	if (c->lasts_us == 0)
		c->lasts_us = COMMAND_US;
	enum err e = doveadm_need_config(c->d);
	if (e == ERR_NONE && c->is_for_all)
		e = doveadm_ask_auth(c->d, list_users, &a.users);
	if (e == ERR_NONE)
		e = doveadm_run_task(c->d, ask_task, &a);
	buf_done(&a.users);
	buf_done(&c->options);
	if (e != ERR_NONE)
		return doveadm_fail(c->d, EXIT_FATAL);
	fflush(stdout);
	return c->result == ERR_NONE ? 0 : doveadm_fail(c->d, exit_status(c->result));
}

bool doveadm_mail_options(
	struct doveadm_mail_call *c, const char *letters, const char *const *words)
{
	struct option options[OPTIONS_MAX + 1] = { 0 };
	struct doveadm *d = c->d;
	uint32_t seconds;
	int letter;
	for (size_t i = 0; words[i]; i++) {
		ASSERT(i < OPTIONS_MAX);
		options[i] = (struct option){ words[i], no_argument, NULL, 0 };
	}
	opterr = 0;
	optind = 1;
	/* getopt_long() wants a word before the arguments: the command's last one stands there. */
	int at = 0;
	while ((letter = getopt_long(d->arg_count + 1, d->args - 1, letters, options, &at)) != -1) {
		if (letter == 'u')
			c->user = str_from(optarg);
		else if (letter == 'A')
			c->is_for_all = true;
		else if (letter == 't' && number_parse_u32(str_from(optarg), &seconds))
			c->lasts_us = MAX(seconds, 1) * US_PER_SEC;
		else if (letter == 0)
			buf_putf(&c->options, "%s ", words[at]);
		else
			return false;
	}
	if (optind == d->arg_count)
		c->mailbox = str_from(d->args[optind - 1]);
	return optind >= d->arg_count && (c->user.n > 0) != c->is_for_all;
}

/* ---- the commands ---- */

static const char *const no_words[] = { NULL };

int doveadm_storage_status(struct doveadm *d)
{
	struct doveadm_mail_call c = { .d = d,
		.command = "storage status",
		.titles = "worker\tstore\tdriver\treads\twrites\tdeletes\tbytes_read\t"
			  "bytes_written\tfailures\tstate\tfailing_since\tfailure",
		.user = STR(""),
		.mailbox = STR("") };
	return d->arg_count == 0 ? doveadm_mail_run(&c) : doveadm_usage(d);
}

static int run_for_user(struct doveadm *d, const char *command, const char *const *words)
{
	struct doveadm_mail_call c = { .d = d,
		.command = command,
		.titles = "mailbox\tresult\tmessages\tuid_validity\tuid_next\thighest_modseq\t"
			  "failure",
		.mailbox = STR("") };
	return doveadm_mail_options(&c, "u:", words) ? doveadm_mail_run(&c) : doveadm_usage(d);
}

int doveadm_mailbox_verify(struct doveadm *d)
{
	return run_for_user(d, "mailbox verify", no_words);
}

int doveadm_force_resync(struct doveadm *d)
{
	return run_for_user(d, "force-resync", no_words);
}

int doveadm_mailbox_rebuild(struct doveadm *d)
{
	static const char *const words[] = { "verify", NULL };
	return run_for_user(d, "mailbox rebuild", words);
}
