/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/ipc.h - messages between roles: typed, versioned, with descriptors, over UNIX seqpacket
 * sockets.
 *
 * A message is a type, a request number and fields (key -> bytes or integer). Unknown fields are
 * ignored, so roles of neighbouring versions understand each other.
 *
 * Life:   server: ipc_serve(listening fd) -> handler runs in a task of its own per message.
 *         client: ipc_connect(path) -> ipc_call() from any number of tasks; reconnects by itself.
 * Trust:  the server learns the peer's uid and pid from the kernel (SO_PEERCRED).
 * Limits: 64 KiB and 4 descriptors a message; 1,000 requests in flight a connection, further ones wait.
 * Cost:   one sendmsg and one recvmsg per message each way. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "net/address.h"

#define IPC_VERSION 1

/* All message types of the house; a reply has the type of its request. To add one: name it here and
 * write its pair of functions beside the folder that owns its meaning (docs/howto/add-a-command.md). */
enum ipc_type {
	IPC_AUTH_VERIFY = 1,    /* login -> auth: check credentials, get a ticket (auth/client.h) */
	IPC_AUTH_LOOKUP = 2,    /* login -> auth: does this recipient exist, get a ticket */
	IPC_SESSION = 3,        /* login -> mail: a connection and its ticket (ipc/handover.h) */
	IPC_MOVED_SESSION = 15, /* mail -> mail: a session of before an upgrade (main/moving.h) */
	IPC_MASTER = 16,        /* doveadm -> master: a command (main/master.h) */
	IPC_MAIL_ADMIN = 17,    /* doveadm -> mail: a command (main/mail_admin.h) */
	IPC_DELIVER = 4,     /* login -> mail: a spooled mail and its ticket (deliver/deliver.h) */
	IPC_AUTH_BEGIN = 20, /* login -> auth: a SASL exchange starts (auth/client.h) */
	IPC_AUTH_RESPOND = 21,      /* its next message */
	IPC_AUTH_FORGET = 22,       /* the client gave it up */
	IPC_AUTH_INSPECT = 23,      /* doveadm -> auth: what the databases know of a user */
	IPC_AUTH_LIST = 24,         /* all users, in pages */
	IPC_AUTH_CACHE_FLUSH = 25,  /* forget what was cached */
	IPC_AUTH_CACHE_STATUS = 26, /* figures of the cache */
};

#define IPC_FDS_MAX 4

/* A message being built or read. Everything borrowed lives in the op's arena. */
struct ipc_message {
	enum ipc_type type;
	uint32_t number;   /* set by ipc */
	enum err result;   /* replies: class of the outcome */
	bool is_logged;    /* replies: who failed has told the log, with all that is known */
	struct buf fields; /* owned, encoded; see ipc_put_*, ipc_get_* */
	int fds[IPC_FDS_MAX];
	size_t fd_count;
};
void ipc_message_init(struct ipc_message *m, enum ipc_type type);
void ipc_message_done(struct ipc_message *m); /* closes descriptors that were not taken */

/* Keys are short static names. Repeated keys make lists. */
void ipc_put_str(struct ipc_message *m, const char *key, struct str value);
void ipc_put_int(struct ipc_message *m, const char *key, int64_t value);
void ipc_put_fd(struct ipc_message *m, int fd); /* dup'ed */
void ipc_put_address(struct ipc_message *m, const char *key, const struct address *a);
bool ipc_get_str(const struct ipc_message *m, const char *key, struct str *out);
bool ipc_get_int(const struct ipc_message *m, const char *key, int64_t *out);
/* An absent integer is false; an absent or damaged address is none. */
bool ipc_get_bool(const struct ipc_message *m, const char *key);
struct address ipc_get_address(const struct ipc_message *m, const char *key);
/* The i-th value of a repeated key. */
bool ipc_get_str_at(const struct ipc_message *m, const char *key, size_t i, struct str *out);
int ipc_take_fd(struct ipc_message *m, size_t i); /* -1 if there is none */

/* ---- server ---- */

struct ipc_peer {
	uint32_t uid;
	int32_t pid;
};
/* WAITS. Fills `reply` (initialised, same type). A failure is sent as its class, with op's client
 * text. */
typedef enum err ipc_handler(struct op *op, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply, void *arg);

struct ipc_server;
enum err ipc_serve(struct op *op, int listen_fd, const char *name, ipc_handler *handler, void *arg,
	struct ipc_server **out);
/* At an upgrade another process, which has the same listening socket, takes over: this one accepts no
 * more, answers what was begun, and sends callers of everything else there (nobody sees an error). */
void ipc_server_retire(struct ipc_server *s); /* NULL is fine */
/* WAITS, after a retirement, until every caller has his answer; not longer than the op lasts. */
void ipc_server_finish(struct op *op, struct ipc_server *s);
void ipc_server_close(struct ipc_server *s);

/* ---- client ---- */

struct ipc_client;
/* Connects on first use and again after a break. */
struct ipc_client *ipc_client_new(struct str path);
void ipc_client_free(struct ipc_client *c);
/* WAITS. Sends and waits for the reply. ERR_UNAVAILABLE: no connection or it broke before the reply
 * (the request may or may not have been carried out). A server that was replaced by another process is
 * no break: the request goes to the new one. Other errors: reply->result. */
enum err ipc_call(struct op *op, struct ipc_client *c, struct ipc_message *request,
	struct ipc_message *reply);
