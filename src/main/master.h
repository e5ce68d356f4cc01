/* SPDX-License-Identifier: Apache-2.0 */
/* main/master.h - the process that starts as root and parses nothing from the network. */
#pragma once

#include "config/config.h"

struct master_args {
	struct config *config;
	int ready_fd; /* "READY\n" is written there once everything serves; -1: nobody waits */
};
/* Binds, starts, supervises until SIGTERM or SIGINT. Returns the exit status. */
int master_run(const struct master_args *args);
/* All roles in this process, on one loop. */
int all_in_one_run(const struct master_args *args);

/* Tells whoever waits for the start. */
void master_tell_ready(int ready_fd);
/* Directories of state, owned by the user that reads mail. */
enum err master_prepare_state(struct op *op, struct config *config);
