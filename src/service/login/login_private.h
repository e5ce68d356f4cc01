/* SPDX-License-Identifier: Apache-2.0 */
/* service/login/login_private.h - a connection before login, for this folder alone. */
#pragma once

#include "auth/client.h"
#include "base/list.h"
#include "config/config.h"
#include "event/event.h"
#include "ipc/handover.h"
#include "ipc/peers.h"
#include "net/net.h"
#include "net/serving.h"
#include "service/login/login.h"
#include "task/task.h"
#include "wire/imap.h"

#define LOGIN_IDLE_US         (180 * US_PER_SEC)
#define LOGIN_INPUT_MAX       16384
#define LOGIN_BAD_MAX         3
#define LOGIN_CLIENT_ID_BYTES 1024

struct login {
	struct config *config;
	const struct config_scope *scope; /* of protocol imap */
	struct peers *peers;
	struct tls_context *tls;
	struct list connections; /* oldest first */
	size_t count, limit;
	bool is_closing;
	struct wait_queue emptied;
	bool offers_plain, offers_login, allows_cleartext, needs_tls;
	struct str greeting;
};

/* Life: accepted -> [TLS handshake] -> greeting -> commands, in bursts -> handed over | closed. */
struct login_connection {
	struct login *login;
	struct list link;
	struct serving serving;
	/* owned */
	int fd; /* until the stream is made; then -1 */
	struct stream *stream;
	struct event *event;
	char *client_id; /* fields of ID for the log; NULL: none */
	/* state of the dialogue */
	struct imap_frame frame;
	struct address local, remote;
	char session_id[32];
	uint8_t bad_commands;
	uint8_t auth_attempts;
	bool is_implicit_tls, is_secured, is_greeted;
	bool asked_capability;
	const char *closing_reason; /* static; NULL: goes on */
};

/* What the client wants to be. */
struct login_attempt {
	struct str tag, user, password, authzid;
	const char *mechanism; /* static */
};

/* connection.c */
/* WAITS. On success the connection has left: the caller returns without touching it again. Otherwise
 * the answer is queued and the dialogue goes on. */
bool login_try(struct op *op, struct login_connection *c, const struct login_attempt *attempt);

/* dialogue.c */
void login_put_greeting(struct login_connection *c);
/* WAITS. Serves the complete commands that are buffered. False: the connection was handed over. */
bool login_serve_input(struct op *op, struct login_connection *c);
/* Is the mechanism offered on this connection? */
bool login_may_use_cleartext(const struct login_connection *c);

/* failure.c */
/* The tagged NO for a failed attempt: the only place that maps classes to IMAP's codes. */
void login_put_failure(struct buf *out, struct str tag, enum err e, const struct op *op);
