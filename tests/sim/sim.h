/* SPDX-License-Identifier: Apache-2.0 */
/* sim.h - a deterministic simulation of the real store: a few backends, the catalog and the objects
 * they share, faults between them, users' sessions, and a ledger of what must be true.
 *
 * world    the catalog and the objects that survive, virtual time, the trace
 * process  one life of a backend: a store with its own local directory and its own links
 * link     the way of one process to what is shared: everything that fails, fails here
 * ledger   what clients were promised and told
 *
 * One seed decides everything: the order of tasks, faults, crashes, scripts. A run of a seed is the
 * same each time, down to the hash of its trace. */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "base/random.h"
#include "store/store_private.h"

#define SIM_USER     STR("u1@example.test")
#define SIM_BACKENDS 4
#define SIM_SESSIONS 4
#define LIVES_MAX    4   /* processes that live at once */
#define SIM_TRACE    120 /* lines kept for a failure */

struct sim_settings {
	uint64_t seed;
	int steps;
	bool is_traced;      /* every line is printed */
	bool has_bases;      /* sessions upload bases */
	bool has_no_journal; /* of flags */
	bool has_both;       /* two backends of one user live at once */
};

/* What a whole run counts; in memory that parent and child share. */
enum sim_deed {
	DID_BOTH,
	DID_FREEZE,
	DID_REPLACE,
	DID_RENUMBER,
	DID_CLOCK_NEAR,
	DID_CLOCK_FAR,
	DID_CLOCK_REFUSAL,
	DID_TEAR,
	DID_POWER_LOSS,
	DID_FULL_DISK,
	DID_LONG_SLEEP,
	DID_NIGHTLY,
	DID_FLUSH,
	DID_FORGET,
	DID_RENAME_INBOX,
	DID_JOURNAL_OFF,
	DID_DEEDS
};
struct sim_counters {
	uint64_t seeds, operations, faults, crashes, stops, looks, late, virtual_us, trace_hash;
	uint64_t did[DID_DEEDS];
};

/* ---- the world ---- */

struct ledger;
struct process;
struct world {
	struct sim_settings settings;
	struct sim_counters *counters;
	struct arena arena;
	struct op op; /* of the task that leads the simulation */
	char dir[64];
	struct objects *objects; /* shared, without faults */
	struct catalog *catalog;
	bool is_loose;
	bool disk_is_full;
	int64_t file_bytes_max;
	bool is_both; /* several processes live at once */
	struct process *lives[LIVES_MAX];
	int64_t refresh_us;
	enum store_flags_journal journal;
	struct list late;      /* of struct late_work, by due_us */
	bool is_looking;       /* nothing else happens: what is late waits */
	int64_t late_us;       /* when the last of them came */
	int64_t late_names_us; /* the last change of names */
	int64_t looked_us;
	struct ledger *ledger;
	struct backend {
		char host[16];
		char *dir;       /* owned; its local files; NULL: none */
		char *old_dir;   /* owned; as they were once; NULL: none */
		uint8_t boot;    /* of its boot id */
		int64_t skew_us; /* its wall clock against the catalog's */
	} backends[SIM_BACKENDS];
	int64_t skew_us; /* what the wall clock is ahead of the catalog's now */
	int process_count, dir_count;
	int64_t steps_left;
	/* the trace */
	uint64_t hash;
	uint64_t lines;
	char trace[SIM_TRACE][256];
};
extern struct world *sim_world; /* the one of this process */

__attribute__((format(printf, 1, 2))) void sim_trace(const char *fmt, ...);
/* An invariant does not hold: prints seed, reason and trace, and ends the process. */
__attribute__((format(printf, 1, 2), noreturn)) void sim_fail(const char *fmt, ...);
void sim_print_trace(void);
/* Counts what happened, for the summary. */
void sim_did(enum sim_deed deed);
/* For calls that cannot fail here. */
void sim_must(struct op *op, enum err e, const char *what);
bool sim_chance(unsigned percent);
/* start .. end, more often near the start. */
int64_t sim_time_between(int64_t start_us, int64_t end_us);

/* WAITS. All of one seed, inside a task. */
void world_run(void *arg);

/* ---- links.c: the ways of a process to what is shared ---- */

/* Chances in 1/1000 of each request. */
struct link_faults {
	unsigned refused; /* not carried out, said so */
	unsigned lost;    /* carried out, but the answer is an error */
	unsigned late;    /* an error, carried out later (a catalog that is not atomic, objects) */
	unsigned twice;   /* carried out again later */
	unsigned slow;    /* takes seconds */
};
struct link {
	struct process *process;
	struct link_faults faults;
	int64_t cut_until_us; /* nothing gets through before */
	bool is_dead;         /* the process has ended: what is under way may still arrive */
	bool is_paused;       /* the process stands still */
	struct wait_queue resumed;
	int64_t crash_at; /* the request at which the process dies; 0: none */
	int64_t requests;
};
/* Closing them leaves what is shared alone. */
struct catalog *link_catalog_new(struct link *link);
struct objects *link_objects_new(struct link *link);

/* How a request ends. */
enum link_verdict { LINK_DO, LINK_REFUSE, LINK_LOSE, LINK_LATE, LINK_TWICE };
/* WAITS while the process stands still. */
void link_stand_still(struct link *link);
/* WAITS for the way there. ERR_*: it did not arrive. *out: what becomes of it. */
enum err link_begin(struct op *op, struct link *link, const char *what, enum link_verdict *out);
/* WAITS for the way back. */
enum err link_end(struct op *op, struct link *link, enum link_verdict verdict, enum err e);

/* Work that arrives later: a group of changes, or an object. */
struct late_work {
	struct list link;
	int64_t due_us;
	struct arena arena; /* of all below */
	struct str user;
	struct catalog_change *changes;
	size_t count;
	struct object_put put; /* if it has a key */
	struct str remove_key; /* "": none */
};
struct late_work *late_new(void);
void late_add(struct late_work *work);
/* Carries out what is due; with `all` everything. No wait. */
void late_run(bool all);
void late_free_all(void);
struct process;
/* May rows that were never acknowledged still come, or have come without this process having looked? */
bool late_may_come(const struct process *p);
bool late_came(void); /* since the last look */
bool late_is_beyond_tails(const struct catalog_change *changes, size_t count);
bool late_names_may_come(const struct process *p);

/* ---- process.c ---- */

struct session;
struct process {
	int number;
	int seat; /* which names are its own, where several live; else -1 */
	int64_t began_us;
	bool had_sessions; /* what timed out there may still be under way */
	struct backend *backend;
	struct link link;
	struct store *store;
	struct objects *objects;
	struct catalog *catalog;
	char *dir; /* of its local files; owned */
	struct user *user;
	bool had_full_disk; /* its local files may miss what it told */
	bool is_ending;     /* its sessions come to their end */
	bool is_crashing;   /* a fault wants it to die */
	int sessions;       /* that run */
	struct wait_queue quiet;
	struct task_handle tasks[SIM_SESSIONS];
};
/* WAITS. Starts a process on a backend's local files, and its clock. */
struct process *process_start(struct backend *backend);
/* The one whose store has it. */
struct process *process_of(const struct mailbox *m);
/* WAITS. Opens the user unless he is; ERR_UNAVAILABLE as it comes. */
enum err process_open_user(struct op *op, struct process *p);
/* WAITS until its sessions have ended. */
void process_wait(struct process *p);
/* WAITS. Ends it: at once, or cleanly. Frees it. What its links have under way may arrive later. */
void process_crash(struct process *p);
void process_stop(struct process *p);

/* What becomes of a backend's local files while it is down. */
/* TORN: the last words of a process that was killed; POWER: at another boot. */
enum damage { DAMAGE_NONE, DAMAGE_LOST, DAMAGE_OLD, DAMAGE_POWER, DAMAGE_TORN };
void backend_damage(struct backend *backend, enum damage damage);
void backend_keep_old(struct backend *backend);
void backend_free(struct backend *backend);

/* ---- both.c ---- */

/* WAITS. Some processes live at the same time, each with sessions, for a while. */
void both_live(void);

/* ---- host.c: what happens to the host of a process that lives alone ---- */

/* Now and then its clock is set, or its disk is full for a while. */
void host_turn(struct process *p);
/* All is well again. */
void host_mend(struct process *p);
/* Files cannot grow beyond file_bytes_max: for the store that is a disk without room. */
void host_limit_files(bool is_limited);
/* May rows be written, as far as the clock goes? Some leeway is in it. */
bool host_clock_is_right(void);
/* WAITS. Its user's local state is removed while nobody uses it. */
void host_forget_user(struct process *p);

/* ---- world.c ---- */

struct link_faults random_faults(void);
void prepare_files(struct backend *b);
void end_faults(struct process *p);
void pass_time(void);
/* WAITS. A process on `b` without faults looks at everything. */
void look_from(struct backend *b);
/* WAITS. At once, or cleanly. */
void end_life(struct process *p);

/* ---- sessions.c ---- */

/* Starts sessions that do random things until the world's steps are used up or the process ends. */
void sessions_start(struct process *p, int count);
/* ---- look.c ---- */

/* WAITS. Compares everything with the ledger, through a process without faults. */
void look(struct process *p);
