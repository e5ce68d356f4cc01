/* SPDX-License-Identifier: Apache-2.0 */
/* main/pid_file.h - base_dir/master.pid: which process is the master, and that there is only one. */
#pragma once

#include <sys/types.h>

#include "config/config.h"

/* Creates the file, locks it for the life of this process and writes our number. ERR_EXISTS: another
 * master runs with this base_dir; the text has its number. */
enum err pid_file_take(struct op *op, struct config *config);
/* The descriptor that holds the lock, for an upgrade, and taking it over. */
int pid_file_fd(void);
void pid_file_adopt(int fd);
/* At a clean stop, by the process that took it. */
void pid_file_drop(struct config *config);
/* ERR_NOT_FOUND: no master runs with this base_dir. */
enum err pid_file_read(struct op *op, struct config *config, pid_t *out);
