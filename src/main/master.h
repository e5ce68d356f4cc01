/* SPDX-License-Identifier: Apache-2.0 */
/* main/master.h - the process that starts as root and parses nothing from the network.
 *
 * Signals: TERM, INT stop; HUP reads the configuration again; USR1 opens the logs anew; USR2 upgrades:
 * executes the program's file anew, in the same process, keeping every socket.
 *
 * Commands of doveadm arrive on base_dir/ipc/master (root alone): IPC_MASTER with "command" and
 * "argument"; the reply has "failed" and "text". */
#pragma once

#include "config/config.h"

struct master_args {
	struct config *config;
	int ready_fd; /* "READY\n" is written there once everything serves; -1: nobody waits */
	/* For a reload, borrowed for the life of the process: as in config_load_args. */
	const char *config_path;
	const char *const *overrides, *const *environment;
	/* For an upgrade: the program's file, our own arguments (NULL-terminated), and what the process
	 * before the upgrade left (-1: this is a start). */
	const char *program;
	char **argv;
	int upgrade_fd;
};
/* Binds, starts, supervises until SIGTERM or SIGINT. Returns the exit status. */
int master_run(const struct master_args *args);
/* All roles in this process, on one loop. */
int all_in_one_run(const struct master_args *args);

/* Tells whoever waits for the start. */
void master_tell_ready(int ready_fd);
/* Directories of state, owned by the user that reads mail. */
enum err master_prepare_state(struct op *op, struct config *config);
