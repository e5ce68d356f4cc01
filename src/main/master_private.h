/* SPDX-License-Identifier: Apache-2.0 */
/* main/master_private.h - what the files of the master share: its children and its state.
 *
 * Child:  waiting -> starting -> serving -> (dead -> waiting)   until it leaves:
 *         retiring (a newer process has its place) or told to drain, told to stop -> dead -> gone.
 * Invariants: 1. the shared page and the ticket key live as long as the master: children come and go.
 *             2. a mail worker's place is taken only when the one before has let go of its users.
 *             3. descriptors for children stand at ROLE_FD_MASTER_BASE or above. */
#pragma once

#include <sys/types.h>

#include "base/list.h"
#include "main/control.h"
#include "main/master.h"
#include "main/processes.h"
#include "main/sockets.h"
#include "task/task.h"

#define RELOAD_TIME_US  (30 * US_PER_SEC)
#define QUARANTINES_MAX 16
#define CRASHES_MAX     64

struct master;
struct ipc_message;
struct ipc_server;

struct child {
	struct master *master;
	struct list link;
	struct process_plan plan;
	/* owned */
	pid_t pid; /* 0: not running */
	int control_fd, page_fd;
	struct process_page *page;
	struct watch control;
	struct timer restart;
	char *reload_error; /* of the last reload; NULL: it went well */
	/* how it goes */
	int64_t started_us, backoff_us;
	int64_t excused_us;     /* until then it, or we, could not run: nobody is blamed for that */
	int64_t stalled_us;     /* since when we know that its loop does not turn; 0: it does */
	uint32_t config_number; /* of the configuration that it has */
	bool is_serving, is_drained;
	bool is_leaving;   /* not started again */
	bool is_old;       /* of the generation before an upgrade */
	bool is_answering; /* a reload was sent, the answer is not there */
	/* for `doveadm service status` */
	uint64_t failures;
	int last_status;
	int64_t last_failure_wall_us;
};

/* A user who made his worker crash, for the time of CRASH_MEMORY_US. */
struct crash_record {
	uint64_t user_hash;
	int64_t at_us;
};
/* A shard that has a worker of its own because of one of its users. */
struct quarantine {
	char user[256];
	uint32_t shard, home_slot, slot;
	bool is_used;
};

/* Memory files with a snapshot of the configuration for each reader; -1: none. */
struct snapshots {
	int of[CONFIG_READER_COUNT];
};
#define SNAPSHOTS_CLOSED                                                                           \
	{                                                                                          \
		{                                                                                  \
			-1, -1, -1, -1                                                             \
		}                                                                                  \
	}
_Static_assert(CONFIG_READER_COUNT == 4, "all begin closed");

struct master {
	struct master_args args;
	struct config *config;
	uint32_t config_number;
	struct sockets sockets;
	struct process_plans plans;
	struct list children;
	struct shared_page *shared;
	struct snapshots config_fds;
	int shared_fd, key_fd, seed_fd, ready_fd;
	bool is_ready, is_stopping, is_upgrading;
	struct wait_queue changed;  /* a child died, drained, served, answered */
	struct task_mutex changing; /* one reload or upgrade at a time */
	struct ipc_server *server;
	pid_t trial_pid; /* of a new program; 0: none runs */
	int trial_status;
	char *upgrade_error; /* of the last attempt by doveadm; NULL: none */
	struct timer watch_timer;
	int64_t last_watch_us;
	struct crash_record crashes[CRASHES_MAX];
	size_t next_crash;
	struct quarantine quarantines[QUARANTINES_MAX];
};

/* ---- children.c ---- */

/* A child without process; `plan` is copied. */
struct child *child_new(struct master *m, const struct process_plan *plan);
/* Starts its process. */
enum err child_start(struct op *op, struct child *c);
/* Sends a command; a child that is gone is noticed by its death, not here. */
void child_tell(const struct child *c, enum control_command command, struct str text);
struct child *child_find(struct master *m, const struct role *role, uint32_t slot);
/* Lets a newer process take its place: it serves who is left for `time_us` at most. */
void child_retire(struct child *c, int64_t time_us);
void child_free(struct child *c);
/* Takes over a process that runs already (upgrade.c). */
enum err child_watch(struct op *op, struct child *c);
void children_reap(struct master *m);
/* All that shall serve do. */
bool children_are_serving(const struct master *m);
void children_tell(struct master *m, enum control_command command);
/* Opens the log files of `config` for all children, who may not. */
void children_reopen_logs(struct master *m, struct config *config);

/* ---- reload.c ---- */

/* WAITS. Reads the files again. On failure `out` has a line for each problem, and all stays as it was;
 * on success it has warnings. */
enum err master_reload(struct op *op, struct master *m, struct buf *out);
/* A child that was starting during a reload takes what counts now. */
void child_catch_up(struct child *c);
/* On failure none is left open. */
enum err snapshots_write(struct op *op, const struct config *config, struct snapshots *out);
void snapshots_close(struct snapshots *s);
enum err master_memory_file(struct op *op, const char *name, struct str content, int *out_fd);

/* ---- stop.c ---- */

/* Begins the stop in a task of its own; again: nothing. */
void master_stop(struct master *m);

/* ---- quarantine.c ---- */

/* A mail worker died while it served `user`, who may be nobody. */
void quarantine_note_crash(struct child *c, struct str user);
/* WAITS. ERR_NOT_FOUND: the user is in none. */
enum err quarantine_release(struct op *op, struct master *m, struct str user);

/* ---- watch.c ---- */

/* Looks after processes whose loop does not turn. */
void master_watch(struct master *m);

/* ---- upgrade.c ---- */

/* WAITS. Executes the program anew; returns only on failure. */
enum err master_upgrade(struct op *op, struct master *m);
/* WAITS. Does the new program take the configuration? */
enum err upgrade_check(struct op *op, struct master *m);
/* What the process before the upgrade left: sockets, key, children. */
enum err upgrade_adopt(struct op *op, struct master *m, int state_fd);
/* In a task: puts new processes in the places of the old. */
void upgrade_replace(struct master *m);

/* ---- admin.c ---- */

enum err admin_open(struct op *op, struct master *m, int listen_fd);
