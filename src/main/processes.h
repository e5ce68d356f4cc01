/* SPDX-License-Identifier: Apache-2.0 */
/* main/processes.h - which processes there are and which sockets they listen on, from the
 * configuration. */
#pragma once

#include "main/role.h"

#define PROCESSES_MAX 128

/* One process to be: what the master starts and starts again. */
struct process_plan {
	const struct role *role;
	uint32_t slot;
	/* Listeners: descriptors belong to the plan and are shared by processes of one role. */
	struct role_listener listeners[ROLE_LISTENERS_MAX];
	size_t listener_count;
};
struct process_plans {
	struct process_plan items[PROCESSES_MAX];
	size_t count;
	uint32_t worker_count;
};
/* Binds every listener of the services that the configuration switches on. ERR_INVALID and the
 * classes of bind() name listener and address. */
enum err process_plans_make(struct op *op, struct config *config, struct process_plans *out);
void process_plans_close(struct process_plans *plans);
