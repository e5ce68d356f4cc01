/* SPDX-License-Identifier: Apache-2.0 */
/* main/processes.h - which processes there are and which sockets they listen on, from the
 * configuration. */
#pragma once

#include "main/role.h"
#include "main/sockets.h"

#define PROCESSES_MAX 128
#define WORKERS_MAX   64

/* One process to be: what the master starts and starts again. */
struct process_plan {
	const struct role *role;
	uint32_t slot;
	struct role_listener
		listeners[ROLE_LISTENERS_MAX]; /* descriptors are those of the sockets */
	size_t listener_count;
};
struct process_plans {
	struct process_plan items[PROCESSES_MAX];
	size_t count;
	uint32_t worker_count;
};
/* Takes or binds every listener of the services that the configuration switches on, between
 * sockets_begin() and sockets_commit(). ERR_INVALID and the classes of bind() name listener and
 * address. `worker_count`: 0, or how many mail workers there are already. */
enum err process_plans_make(struct op *op, struct config *config, struct sockets *sockets,
	uint32_t worker_count, struct process_plans *out);
/* The plan of one more mail worker, beyond those of the configuration: for a quarantine. */
enum err process_plan_extra(struct op *op, struct config *config, struct sockets *sockets,
	uint32_t slot, struct process_plan *out);
/* The socket on which the master takes commands. */
enum err process_bind_master(
	struct op *op, struct config *config, struct sockets *sockets, int *out_fd);
