/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that mail workers answer (main/mail_admin.h), of this host or, with -S, of another. The master says
 * which worker it is. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "ipc/ipc.h"
#include "main/doveadm_auth.h"
#include "main/mail_command.h"
#include "main/role.h"
#include "service/doveadm/doveadm_service.h"
#include "task/task.h"

struct doveadm_mail_call {
	struct doveadm *d;
	struct mail_call asked;
	struct doveadm_client *remote; /* NULL: this host */
	enum err result;               /* of the command; why stands in the op's failure */
};

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
	mail_call_put(&c->asked, user, &request);
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

/* WAITS. As it was called, but for where and about whom. */
static enum err ask_remote(struct op *op, const struct doveadm_mail_call *c, struct str user)
{
	struct str args[DOVEADM_ARGS_MAX], line;
	size_t count = 0;
	bool has_ended = false;
	for (int i = 0; i < c->d->arg_count; i++) {
		if (count == DOVEADM_ARGS_MAX)
			return op_fail(op, ERR_LIMIT, "too many arguments");
		args[count++] = str_from(c->d->args[i]);
	}
	TRY(doveadm_client_send(
		op, c->remote, user, str_from(c->asked.command->name), args, count));
	for (;;) {
		struct arena_mark mark = arena_mark(op->arena);
		TRY(doveadm_client_line(op, c->remote, &line, &has_ended));
		if (has_ended)
			return ERR_NONE;
		printf("%.*s\n", STRF(line));
		arena_rewind(op->arena, mark);
	}
}

/* WAITS. About a user, or nobody. */
static enum err ask(struct op *op, const struct doveadm_mail_call *c, struct str user)
{
	if (c->remote)
		return ask_remote(op, c, user);
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
		op->deadline_us = now_us() + a->call->asked.lasts_us;
		enum err e = ask(op, a->call, user);
		if (e != ERR_NONE)
			fprintf(stderr, "doveadm: Error: %.*s: %s\n", STRF(user), op->failure.text);
		worst = e == ERR_NONE ? worst : e;
	}
	return worst == ERR_NONE ? worst : op_fail(op, worst, "not for all users, see above");
}

/* WAITS. */
static enum err dial(struct op *op, struct doveadm_mail_call *c)
{
	const struct config_scope *global = config_scope(c->d->config, NULL);
	if (c->asked.host.n == 0)
		return ERR_NONE;
	return doveadm_dial(op, global, c->asked.host, &c->remote);
}

static void ask_task(void *arg)
{
	struct asking *a = arg;
	struct doveadm_mail_call *c = a->call;
	struct op *op = c->d->op;
	op->deadline_us = now_us() + c->asked.lasts_us;
	c->result = dial(op, c);
	if (c->result == ERR_NONE) {
		printf("%s\n", c->asked.command->titles);
		c->result = c->asked.is_for_all ? ask_for_all(op, a) : ask(op, c, c->asked.user);
	}
	doveadm_client_close(c->remote);
	loop_stop();
}

static enum err list_users(struct op *op, struct ipc_client *auth, void *arg)
{
	return auth_client_list(op, auth, STR("doveadm"), arg);
}

static int usual_status(enum err e)
{
	if (e == ERR_NOT_FOUND)
		return EXIT_NOT_FOUND;
	if (e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CONFLICT)
		return EXIT_TEMP_FAIL;
	return e == ERR_DENIED ? EXIT_DENIED : EXIT_FAILED;
}

/* Not flushed, or in use, is told apart from what may work later by itself. */
static int exit_status(const struct mail_command *command, enum err e)
{
	if (command->exits == EXITS_OF_METACACHE &&
		(e == ERR_INVALID || e == ERR_CONFLICT || e == ERR_EXISTS))
		return EXIT_DATA_ERROR;
	if (command->exits != EXITS_OF_OBOX)
		return usual_status(e);
	if (e == ERR_EXISTS || e == ERR_CONFLICT || e == ERR_TIMEOUT)
		return EXIT_DATA_ERROR;
	return e == ERR_NOT_FOUND ? EXIT_NO_USER : usual_status(e);
}

static int run(struct doveadm_mail_call *c)
{
	struct doveadm *d = c->d;
	struct asking a = { .call = c };
	d->reads_files = c->asked.host.n > 0; /* certificates */
	enum err e = doveadm_need_config(d);
	if (e == ERR_NONE && c->asked.is_for_all)
		e = doveadm_ask_auth(d, list_users, &a.users);
	if (e == ERR_NONE)
		e = doveadm_run_task(d, ask_task, &a);
	buf_done(&a.users);
	if (e != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	fflush(stdout);
	return c->result == ERR_NONE ? 0
				     : doveadm_fail(d, exit_status(c->asked.command, c->result));
}

int doveadm_mail(struct doveadm *d)
{
	struct doveadm_mail_call c = { .d = d };
	const struct mail_command *command = mail_command_find(str_from(d->name));
	ASSERT(command);
	/* The word before the arguments is the command's last one, which getopt(3) passes over. */
	bool is_right = mail_call_read(command, STR(""), d->arg_count + 1, d->args - 1, &c.asked);
	if (d->host && c.asked.host.n == 0)
		c.asked.host = str_from(d->host);
	int status = is_right ? run(&c) : doveadm_usage(d);
	mail_call_done(&c.asked);
	return status;
}
