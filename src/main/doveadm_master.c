/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for the running master, by signals to the process in its pid file. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "main/doveadm.h"
#include "main/pid_file.h"

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
