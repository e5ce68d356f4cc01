/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm - the administrator's tool: the table of its commands, and what they share (main/doveadm.h). */
#include "main/doveadm.h"

#include <signal.h>
#include <stdio.h>

#include "task/task.h"

extern char **environ;

static const struct doveadm_command commands[] = {
	{ "stop", doveadm_stop, "", "stops the master and waits until it has ended" },
	{ "reload", doveadm_reload, "", "makes the master read the configuration again" },
	{ "upgrade", doveadm_upgrade, "",
		"puts a new version of the program in place of the running" },
	{ "process status", doveadm_process_status, "[ROLE]", "lists the processes" },
	{ "service status", doveadm_service_status, "[ROLE]", "sums them up by role" },
	{ "quarantine list", doveadm_quarantine_list, "",
		"lists users with a worker of their own" },
	{ "quarantine release", doveadm_quarantine_release, "USER",
		"puts a user back to the others" },
	{ "storage status", doveadm_mail, "",
		"asks each mail worker whether it reaches its stores, and what it asked of them" },
	{ "mailbox verify", doveadm_mail, "-u USER [MAILBOX]",
		"compares mailboxes with what the catalog says" },
	{ "mailbox rebuild", doveadm_mail, "[--verify | --drop-lost] (-u USER | -A) [MASK]",
		"puts missing rows back and makes mailboxes anew from bases and journal; --verify: "
		"only compares" },
	{ "force-resync", doveadm_mail, "-u USER [MAILBOX]",
		"makes a user's local state anew from the catalog, then compares" },
	{ "dictmap rebuild", doveadm_mail, "(-u USER | -A) --from-storage [--dry-run]",
		"makes what a lost catalog knew of users again, from their objects" },
	{ "obox audit", doveadm_mail, "-u USER | -A",
		"compares the list of stored objects with what the catalog says" },
	{ "obox user delete", doveadm_mail, "-u USER",
		"deletes a user's objects, rows and local state" },
	{ "obox user wait", doveadm_mail, "-u USER [-t SECONDS]",
		"waits until a user has no session" },
	{ "metacache status", doveadm_mail, "[-b] [--roots]",
		"says how much local state there is, by last access, and what is uploaded" },
	{ "metacache list", doveadm_mail, "[-f username] [USER-MASK...]",
		"lists users with local state" },
	{ "metacache flush", doveadm_mail, "(-u USER | -A) [-i]",
		"uploads what no base holds; -i: what only this host has" },
	{ "metacache flushall", doveadm_mail, "[-i] [USER-MASK...]",
		"the same for all users of whom the host has local state" },
	{ "metacache clean", doveadm_mail, "(-u USER | -A) [-d DAYS] [-p PRIORITY]",
		"removes local state that was flushed and not used for DAYS" },
	{ "metacache remove", doveadm_mail, "USER-MASK...",
		"makes mail workers forget users; their files stay" },
	{ "metacache refresh", doveadm_mail, "(-u USER | -A)",
		"makes a user's next opening ask the catalog for everything" },
	{ "metacache rescan", doveadm_mail, "", "counts local state anew" },
	{ "metacache pull", doveadm_mail, "(-u USER | -A) [--latest-only] [--clean] HOST[:PORT]",
		"fetches a user's local state from the host that had him before, whose sessions "
		"end" },
	{ "log reopen", doveadm_log_reopen, "", "makes all processes open their log files anew" },
	{ "log errors", doveadm_log_errors, "[-s UNIX-TIME]",
		"prints the last warnings and errors of all processes" },
	{ "log find", doveadm_log_find, "", "says where the lines of each level go" },
	{ "log test", doveadm_log_test, "", "writes a line of each level" },
	{ "pw", doveadm_pw, "[-l] [-s SCHEME] [-p PASSWORD] [-r ROUNDS] [-u USER] [-t HASH] [-V]",
		"makes a password hash, or tests one" },
	{ "auth test", doveadm_auth_test,
		"[-M MASTER] [-A MECHANISM] [-x KEY=VALUE] USER [PASSWORD]",
		"asks the running auth process whether a password is right" },
	{ "auth login", doveadm_auth_login,
		"[-M MASTER] [-A MECHANISM] [-x KEY=VALUE] USER [PASSWORD]",
		"the same, and what the user databases know" },
	{ "auth lookup", doveadm_auth_lookup, "[-f FIELD] [-x KEY=VALUE] USER...",
		"prints what the password databases know of users" },
	{ "auth cache flush", doveadm_auth_cache_flush, "[USER-MASK...]",
		"makes auth forget what it has cached" },
	{ "auth cache status", doveadm_auth_cache_status, "[reset]",
		"prints figures of the cache" },
	{ "user", doveadm_user, "[-f FIELD | -e TEMPLATE] [-x KEY=VALUE] (USER | MASK)... | -A",
		"prints what the user databases know, or all names that match" },
	{ "dictmap init", doveadm_dictmap_init,
		"[--dry-run] [--replication N | CENTRE:N,...] [--shards N]",
		"makes keyspace and tables of the catalog in Cassandra" },
	{ "dictmap status", doveadm_dictmap_status, "",
		"prints what the catalog in Cassandra is made of" },
	{ "fs get", doveadm_fs_get, "STACK PATH", "prints an object of a stack (obox, metacache)" },
	{ "fs put", doveadm_fs_put, "[-h DIGEST] [-m KEY=VALUE]... STACK FILE PATH",
		"stores a file as an object" },
	{ "fs copy", doveadm_fs_copy, "STACK PATH PATH", "copies an object" },
	{ "fs stat", doveadm_fs_stat, "STACK PATH", "prints the size of an object's content" },
	{ "fs metadata", doveadm_fs_metadata, "STACK PATH", "prints what is kept beside it" },
	{ "fs delete", doveadm_fs_delete, "[-R] [-n COUNT] STACK PATH...",
		"deletes objects; -R: all below paths, COUNT at once" },
	{ "fs iter-dirs", doveadm_fs_iter_dirs, "STACK PATH",
		"lists what has objects below itself" },
	{ "fs iter", doveadm_fs_iter, "[-C] [-O] STACK PATH", "lists the objects in a path" },
	{ "fscache rescan", doveadm_fscache_rescan, "DIRECTORY [MAX-AGE]",
		"counts a cache directory anew; removes what was not used for that long" },
};

int doveadm_fail(const struct doveadm *d, int status)
{
	fprintf(stderr, "doveadm: Error: %s\n", d->op->failure.text);
	return status;
}

int doveadm_usage(struct doveadm *d)
{
	d->wants_usage = true;
	return EXIT_USAGE;
}

enum err doveadm_need_config(struct doveadm *d)
{
	struct config_problems problems;
	struct config_load_args args = {
		.path = d->config_path ? d->config_path : config_default_path(),
		.environment = (const char *const *)environ,
		.reads_files = d->reads_files,
	};
	if (d->config)
		return ERR_NONE;
	if (!args.path)
		return op_fail(d->op, ERR_NOT_FOUND, "no configuration: give one with -c");
	enum err e = config_load(d->op, &args, &problems, &d->config);
	if (e == ERR_NONE || problems.error_count == 0)
		return e;
	AUTO_BUF(text, 0);
	config_problems_print(&problems, &text);
	fwrite(text.p, 1, text.n, stderr);
	return op_fail(d->op, e, "the configuration has errors, see above");
}

enum err doveadm_run_task(struct doveadm *d, void (*task)(void *arg), void *arg)
{
	TRY(loop_open(d->op, NULL));
	task_start("doveadm", task, arg);
	loop_run();
	loop_close();
	return ERR_NONE;
}

/* How many words of the command line are the command's name; 0: it is another one. */
static int words_matching(const char *name, char **words, int count)
{
	struct str rest = str_from(name), word;
	int matched = 0;
	while (str_cut_word(&rest, &word)) {
		if (matched == count || !str_eq(word, str_from(words[matched])))
			return 0;
		matched++;
	}
	return matched;
}

static int print_usage(void)
{
	fputs("usage: doveadm [-c FILE] [-S HOST[:PORT]] COMMAND ...\n"
	      "With -S, also behind the command, commands about mail are run at another host.\n",
		stderr);
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
		fprintf(stderr, "  %s %s\n      %s\n", commands[i].name, commands[i].usage,
			commands[i].help);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct doveadm d = { .op = &op };
	int at = 1;
	op_init(&op, &arena, NULL, TIME_NEVER);
	signal(SIGPIPE, SIG_IGN);
	for (; at + 1 < argc; at += 2) {
		if (strcmp(argv[at], "-c") == 0)
			d.config_path = argv[at + 1];
		else if (strcmp(argv[at], "-S") == 0)
			d.host = argv[at + 1];
		else
			break;
	}
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		int words = words_matching(commands[i].name, argv + at, argc - at);
		if (words == 0)
			continue;
		d.name = commands[i].name;
		d.arg_count = argc - at - words;
		d.args = argv + at + words;
		if (d.host && commands[i].run != doveadm_mail)
			return print_usage();
		int status = commands[i].run(&d);
		config_unref(d.config);
		return d.wants_usage ? print_usage() : status;
	}
	return print_usage();
}
