/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm - the administrator's tool.
 *
 * To add a command: write command_x(), add a row to commands[]; the help comes from there. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "auth/client.h"
#include "crypto/password.h"
#include "main/pid_file.h"
#include "main/role.h"
#include "task/task.h"

#define EXIT_USAGE     64
#define EXIT_NOT_FOUND 68
#define EXIT_TEMP_FAIL 75
#define EXIT_DENIED    77
#define EXIT_FATAL     89
#define PASSWORD_BYTES 1024

extern char **environ;

struct tool {
	struct op *op;
	const char *config_path;
	struct config *config; /* NULL until need_config() */
	int arg_count;
	char **args; /* behind the command */
	bool wants_usage;
};

static int fail(const struct tool *t, int status)
{
	fprintf(stderr, "doveadm: Error: %s\n", t->op->failure.text);
	return status;
}

static enum err need_config(struct tool *t)
{
	struct config_problems problems;
	struct config_load_args args = {
		.path = t->config_path ? t->config_path : config_default_path(),
		.environment = (const char *const *)environ,
	};
	if (!args.path)
		return op_fail(t->op, ERR_NOT_FOUND, "no configuration: give one with -c");
	return config_load(t->op, &args, &problems, &t->config);
}

/* ---- stop, log reopen ---- */

static int signal_master(struct tool *t, int signal_number)
{
	pid_t pid;
	if (need_config(t) != ERR_NONE || pid_file_read(t->op, t->config, &pid) != ERR_NONE)
		return fail(t, EXIT_FATAL);
	if (kill(pid, signal_number) < 0) {
		fprintf(stderr, "doveadm: Error: signal master %d: %m\n", (int)pid);
		return EXIT_FATAL;
	}
	return 0;
}

static int command_stop(struct tool *t)
{
	pid_t pid;
	int status = signal_master(t, SIGTERM);
	for (int i = 0; status == 0 && i < 1200; i++) {
		if (pid_file_read(t->op, t->config, &pid) != ERR_NONE)
			return 0;
		usleep(50 * 1000);
	}
	return status;
}

static int command_log(struct tool *t)
{
	if (t->arg_count != 1 || strcmp(t->args[0], "reopen") != 0) {
		t->wants_usage = true;
		return EXIT_USAGE;
	}
	return signal_master(t, SIGUSR1);
}

/* ---- pw ---- */

/* From the terminal without echo, or the first line of a pipe. */
static bool read_password(const char *prompt, char *out, size_t size)
{
	struct termios before, silent;
	bool is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (is_terminal) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		fputs(prompt, stderr);
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	bool is_read = fgets(out, (int)size, stdin) != NULL;
	if (is_terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fputc('\n', stderr);
	}
	out[strcspn(out, "\r\n")] = '\0';
	return is_read;
}

static int command_pw(struct tool *t)
{
	const char *scheme = "SHA512-CRYPT", *given = NULL;
	char password[PASSWORD_BYTES];
	AUTO_BUF(hash, 0);
	for (int i = 0; i < t->arg_count; i++) {
		if (strcmp(t->args[i], "-s") == 0 && i + 1 < t->arg_count) {
			scheme = t->args[++i];
		} else if (strcmp(t->args[i], "-p") == 0 && i + 1 < t->arg_count) {
			given = t->args[++i];
		} else {
			t->wants_usage = true;
			return EXIT_USAGE;
		}
	}
	if (!given && !read_password("Enter new password: ", password, sizeof(password))) {
		fputs("doveadm: Error: no password was given\n", stderr);
		return EXIT_USAGE;
	}
	enum err e = password_hash(str_from(scheme), str_from(given ? given : password), 0, &hash);
	mem_wipe(password, sizeof(password));
	if (e != ERR_NONE) {
		fprintf(stderr, "doveadm: Error: cannot hash with scheme %s (%s); schemes:", scheme,
			err_name(e));
		for (size_t i = 0; password_schemes[i].name; i++)
			fprintf(stderr, " %s", password_schemes[i].name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	printf("%.*s\n", STRF(buf_str(&hash)));
	return 0;
}

/* ---- auth test ---- */

struct auth_question {
	struct tool *tool;
	struct auth_request request;
	struct auth_answer answer;
	enum err result;
};

static void ask_auth(void *arg)
{
	struct auth_question *q = arg;
	struct op *op = q->tool->op;
	struct ipc_client *auth = ipc_client_new(role_socket_auth(op->arena, q->tool->config));
	op->deadline_us = now_us() + 30 * US_PER_SEC;
	q->result = auth_client_verify(op, auth, &q->request, &q->answer);
	ipc_client_free(auth);
	loop_stop();
}

static int command_auth(struct tool *t)
{
	char password[PASSWORD_BYTES] = "";
	if (t->arg_count < 2 || t->arg_count > 3 || strcmp(t->args[0], "test") != 0) {
		t->wants_usage = true;
		return EXIT_USAGE;
	}
	if (t->arg_count == 2 && !read_password("Password: ", password, sizeof(password)))
		return EXIT_USAGE;
	struct auth_question q = {
		.tool = t,
		.request = {
			.user = str_from(t->args[1]),
			.password = str_from(t->arg_count == 3 ? t->args[2] : password),
			.mechanism = STR("PLAIN"),
			.service = STR("doveadm"),
			.is_secured = true,
		},
	};
	if (need_config(t) != ERR_NONE || loop_open(t->op, NULL) != ERR_NONE)
		return fail(t, EXIT_FATAL);
	task_start("auth-test", ask_auth, &q);
	loop_run();
	loop_close();
	if (q.result == ERR_NONE) {
		printf("passdb: %s auth succeeded\nuser=%.*s\n", t->args[1], STRF(q.answer.user));
		return 0;
	}
	if (q.result == ERR_DENIED || q.result == ERR_INVALID) {
		printf("passdb: %s auth failed\n", t->args[1]);
		return EXIT_DENIED;
	}
	return fail(t, EXIT_TEMP_FAIL);
}

/* ---- the table ---- */

static const struct {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(struct tool *t);
} commands[] = {
	{ "stop", "", "stops the master and waits until it has ended", command_stop },
	{ "log", "reopen", "makes all processes open their log files anew", command_log },
	{ "pw", "[-s SCHEME] [-p PASSWORD]", "makes a password hash for a users file", command_pw },
	{ "auth", "test USER [PASSWORD]", "asks the running auth process", command_auth },
};

static int print_usage(void)
{
	fputs("usage: doveadm [-c FILE] COMMAND ...\n", stderr);
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
		fprintf(stderr, "  %-5s %-26s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct tool tool = { .op = &op };
	int at = 1;
	op_init(&op, &arena, NULL, TIME_NEVER);
	signal(SIGPIPE, SIG_IGN);
	if (at + 1 < argc && strcmp(argv[at], "-c") == 0) {
		tool.config_path = argv[at + 1];
		at += 2;
	}
	if (at >= argc)
		return print_usage();
	tool.arg_count = argc - at - 1;
	tool.args = argv + at + 1;
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (strcmp(argv[at], commands[i].name) != 0)
			continue;
		int status = commands[i].run(&tool);
		config_unref(tool.config);
		return tool.wants_usage ? print_usage() : status;
	}
	return print_usage();
}
