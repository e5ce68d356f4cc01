/* SPDX-License-Identifier: Apache-2.0 */
/* main/doveadm.h - what a command of doveadm is given, and the table of all of them.
 *
 * Life:   main() finds the command's row by its words ("auth cache flush"), run() does the work and
 *         returns the exit status; the configuration, once asked for, is freed by main().
 * To add a command: write it in doveadm_GROUP.c, declare it below, add a row to the table in doveadm.c;
 * the help comes from there. */
#pragma once

#include "base/base.h"
#include "config/config.h"

/* Exit statuses, as sysexits(3) has them. */
#define EXIT_FAILED     1 /* the command was understood, and refused */
#define EXIT_USAGE      64
#define EXIT_DATA_ERROR 65 /* also: still in use; not within the time given */
#define EXIT_NO_USER    67
#define EXIT_NOT_FOUND  68
#define EXIT_TEMP_FAIL  75
#define EXIT_DENIED     77
#define EXIT_FATAL      89

struct doveadm {
	struct op *op;
	const char *config_path; /* -c; NULL: the default one */
	const char *host;        /* -S before the command; NULL: this one */
	struct config *config;   /* NULL until doveadm_need_config() */
	bool reads_files; /* set by a command before that: it needs what settings of type file hold */
	const char *name; /* of the command */
	int arg_count;
	char **args;      /* behind the command's words */
	bool wants_usage; /* set by a command that was called wrongly: main() prints the help */
};
struct doveadm_command {
	const char *name;              /* words with one space between them: "auth test" */
	int (*run)(struct doveadm *d); /* returns the exit status */
	const char *usage;             /* its arguments */
	const char *help;
};

/* Reads the configuration if that has not happened. */
enum err doveadm_need_config(struct doveadm *d);
/* Prints the operation's failure on stderr and returns `status`. */
int doveadm_fail(const struct doveadm *d, int status);
/* Marks a wrong call and returns EXIT_USAGE. */
int doveadm_usage(struct doveadm *d);
/* Runs `task` on a loop of its own until it calls loop_stop(). */
enum err doveadm_run_task(struct doveadm *d, void (*task)(void *arg), void *arg);
/* From the terminal without echo, or the first line of a pipe; zero-terminated in `out`. False: none. */
bool doveadm_read_password(const char *prompt, char *out, size_t size);

/* ---- commands, by file ---- */

int doveadm_stop(struct doveadm *d); /* doveadm_master.c */
int doveadm_log_reopen(struct doveadm *d);
int doveadm_log_errors(struct doveadm *d);
int doveadm_log_find(struct doveadm *d);
int doveadm_log_test(struct doveadm *d);
int doveadm_reload(struct doveadm *d);
int doveadm_upgrade(struct doveadm *d);
int doveadm_process_status(struct doveadm *d);
int doveadm_service_status(struct doveadm *d);
int doveadm_quarantine_list(struct doveadm *d);
int doveadm_quarantine_release(struct doveadm *d);
int doveadm_mail(struct doveadm *d);      /* doveadm_mail.c: all of main/mail_command.h */
int doveadm_pw(struct doveadm *d);        /* doveadm_pw.c */
int doveadm_auth_test(struct doveadm *d); /* doveadm_auth.c */
int doveadm_auth_login(struct doveadm *d);
int doveadm_auth_lookup(struct doveadm *d);
int doveadm_auth_cache_flush(struct doveadm *d);
int doveadm_auth_cache_status(struct doveadm *d);
int doveadm_user(struct doveadm *d);         /* doveadm_user.c */
int doveadm_dictmap_init(struct doveadm *d); /* doveadm_dictmap.c */
int doveadm_dictmap_status(struct doveadm *d);
int doveadm_fs_get(struct doveadm *d); /* doveadm_fs.c */
int doveadm_fs_put(struct doveadm *d);
int doveadm_fs_copy(struct doveadm *d);
int doveadm_fs_stat(struct doveadm *d);
int doveadm_fs_metadata(struct doveadm *d);
int doveadm_fs_delete(struct doveadm *d);
int doveadm_fs_iter(struct doveadm *d);
int doveadm_fs_iter_dirs(struct doveadm *d);
int doveadm_fscache_rescan(struct doveadm *d);
