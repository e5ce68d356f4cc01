/* SPDX-License-Identifier: Apache-2.0 */
/* main/role.h - what a process of the platform is given, and what each role does with it.
 *
 * The master re-executes the program as "pombal --role NAME --slot N" with these descriptors:
 *   3 its snapshot of the configuration   4 the control socket to the master   5 the table of shards
 *   6 the ticket key (auth and mail), or the seed of TLS tickets (login)
 *   7 the page in which the process says how it is
 *   8 ... listening sockets, named by --listen
 * With --all-in-one one process plays every role on one loop with the same context. */
#pragma once

#include "auth/ticket.h"
#include "base/base.h"
#include "config/config.h"
#include "ipc/shared.h"
#include "net/tls.h"

#define ROLE_FD_CONFIG     3
#define ROLE_FD_CONTROL    4
#define ROLE_FD_SHARED     5
#define ROLE_FD_TICKET_KEY 6
#define ROLE_FD_PAGE       7
#define ROLE_FD_LISTENERS  8
#define ROLE_LISTENERS_MAX 32
/* The master's own descriptors for children stand here or above, out of the way of those numbers. */
#define ROLE_FD_MASTER_BASE 200

/* Exit statuses of the master and its children. */
#define EXIT_LOG_OPEN 80
#define EXIT_EXEC     84
#define EXIT_FATAL    89

/* A listening socket and what is spoken on it. */
struct role_listener {
	char protocol[16];     /* "imap", "lmtp", or "ipc" for messages between roles */
	bool is_tls;           /* TLS from the first byte */
	bool has_proxy_header; /* connections begin with one (`haproxy = yes`) */
	int fd;
};
struct role_context {
	struct config *config;
	const struct shared_page *shared;
	struct process_page *page;
	uint32_t slot; /* number of the process within its role */
	bool is_alone; /* it has a process of its own; a confined one stands where the sockets are */
	bool has_ticket_key;
	uint8_t ticket_key[TICKET_KEY_BYTES];
	uint8_t tls_seed[TLS_TICKET_SEED_BYTES]; /* login's; derived from the ticket key */
	struct role_listener listeners[ROLE_LISTENERS_MAX]; /* the role owns their descriptors */
	size_t listener_count;
};

struct role {
	const char *name;
	const char *service; /* of the configuration: whose limits count */
	/* Which user it runs as: the setting that names it; SET_COUNT: stays as it is. */
	enum config_setting user_setting;
	enum config_reader reader; /* what it may know of the configuration */
	bool is_confined; /* closed in, once it has started (main/sandbox.h): no files, no programs */
	bool needs_ticket_key;
	bool needs_tls_seed;
	/* WAITS. Starts serving; runs in a task on the process's loop. */
	enum err (*start)(struct op *op, struct role_context *context, void **out_state);
	/* WAITS. Takes context->config, and its listeners if there are any, in place of the old ones;
	 * on failure everything stays as it was. Connections that are there keep what they have, or are
	 * ended (`shutdown_clients`). */
	enum err (*reload)(struct op *op, void *state, struct role_context *context);
	/* WAITS. At an upgrade: accepts nothing new and lets go of what a successor needs. After it
	 * only what clients() counts is left to be served, until stop(). */
	void (*retire)(struct op *op, void *state);
	/* WAITS. NULL, or the first half of a stop, while all roles serve: takes nothing new and ends
	 * what talks to other roles. */
	void (*drain)(struct op *op, void *state);
	/* WAITS. Stops accepting, ends or finishes what is in flight until the op's deadline, frees.
	 * Nobody that drains talks to the role any more. */
	void (*stop)(struct op *op, void *state);
	/* Of a confined role: the directory in which it makes files; -1: none. */
	int (*spool_dir)(const void *state);
	/* Connections or sessions that it serves now. */
	uint64_t (*clients)(const void *state);
};
/* To add a role: write role_x.c, list it in roles.c, tell processes.c how many there are. */
extern const struct role role_login;
extern const struct role role_auth;
extern const struct role role_mail;
extern const struct role role_doveadm;
extern const struct role *const roles[]; /* NULL-terminated, in the order of starting */
const struct role *role_find(struct str name);

/* Paths of the sockets on which roles take messages, below base_dir. In the arena. */
struct str role_socket_master(struct arena *a, struct config *config);
struct str role_socket_auth(struct arena *a, struct config *config);
struct str role_socket_mail(struct arena *a, struct config *config, uint32_t slot);

/* The child: reads its descriptors, gives up privileges, serves until the master says stop.
 * `args` are those behind the program's name. Returns the exit status. */
int role_main(int arg_count, char **args);

/* The seed of TLS tickets: known to login processes, who cannot find the ticket key from it. */
void role_tls_seed(const uint8_t ticket_key[TICKET_KEY_BYTES], uint8_t out[TLS_TICKET_SEED_BYTES]);

/* A listener's name, as in --listen: "imap:tls:direct", "lmtp:plain:proxy". */
struct str role_listener_name(struct arena *a, const struct role_listener *l);
bool role_parse_listener(struct str text, int fd, struct role_listener *out);

/* Bytes that a process of the role may hold: vsz_limit of the service that it serves; 0: no limit. */
uint64_t role_memory_limit(const struct role *role, struct config *config);

/* Opens the log destinations that the configuration names. */
enum err role_open_log(struct op *op, struct config *config, struct str process_name);
