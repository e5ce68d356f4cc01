/* SPDX-License-Identifier: Apache-2.0 */
/* main/control.h - packets on the socket between the master and a child: a command, text, descriptors.
 *
 * The end of the socket means the same to a child as CONTROL_STOP; a child's death is seen by SIGCHLD. */
#pragma once

#include "base/base.h"

enum control_command {
	/* child -> master */
	CONTROL_READY = 'R',    /* it serves */
	CONTROL_DRAINED = 'F',  /* after DRAIN: done; after RETIRE: another may take its place */
	CONTROL_RELOADED = 'c', /* text: why not; empty: the new configuration is used */
	/* master -> child */
	CONTROL_DRAIN = 'D',      /* take nothing new, finish what needs other roles */
	CONTROL_STOP = 'S',       /* finish and end */
	CONTROL_REOPEN_LOG = 'L', /* text: paths, a line each; descriptors: those files */
	CONTROL_RELOAD =
		'C', /* descriptors: the configuration, then listeners; text: their names */
	CONTROL_RETIRE =
		'U', /* leave the place to a new process, end when the last client has left;
			       * text: how many microseconds that may take */
};

#define CONTROL_FDS_MAX 40
struct control_message {
	enum control_command command;
	struct str text; /* in the op's arena */
	int fds[CONTROL_FDS_MAX];
	size_t fd_count; /* descriptors are the receiver's */
};
/* Never waits: ERR_UNAVAILABLE when the other side does not take it. */
enum err control_send(struct op *op, int fd, const struct control_message *m);
/* *out_got false: nothing there. ERR_NOT_FOUND: the other side has ended. */
enum err control_receive(struct op *op, int fd, struct control_message *out, bool *out_got);
