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
#define LOGIN_TLS_US          (60 * US_PER_SEC) /* for a handshake */
#define LOGIN_NOTICE_US       (30 * US_PER_SEC) /* until a client hears that auth is slow */
#define LOGIN_INPUT_MAX       16384
#define LOGIN_BAD_MAX         3
#define LOGIN_ATTEMPTS_MAX    10
#define LOGIN_SASL_ROUNDS_MAX 16
#define LOGIN_CLIENT_ID_BYTES 1024
#define LOGIN_SESSION_BYTES   64

struct login {
	struct config *config; /* owned reference */
	struct peers *peers;
	struct tls_context *tls;
	struct list connections; /* oldest first */
	size_t count, limit;
	bool is_closing;
	struct wait_queue emptied;
	char host[64]; /* in the text of temporary failures */
};

/* Life: accepted -> [PROXY header] -> [TLS handshake] -> greeting -> commands, in bursts -> handed over |
 * closed. */
struct login_connection {
	struct login *login;
	struct list link;
	struct serving serving;
	/* owned */
	int fd; /* until the stream is made; then -1 */
	struct stream *stream;
	struct event *event;
	struct config *config; /* the reference that keeps `scope` */
	char *client_id;       /* fields of ID for the log; NULL: none */
	char *server_name;     /* that the client wants to talk to (SNI); NULL: none */
	char *proxied_user;    /* name in a certificate that a balancer verified; NULL: none */
	char *closing_detail;  /* NULL: none */
	/* where it stands: settings of its protocol, addresses and name */
	const struct config_scope *scope;
	struct login_door door;
	struct address local, remote;           /* of the client, as far as we are told */
	struct address real_local, real_remote; /* of the socket */
	/* state of the dialogue */
	struct imap_frame frame;
	char session_id[LOGIN_SESSION_BYTES];
	int64_t accepted_us;
	uint8_t bad_commands;
	uint8_t auth_attempts;
	uint8_t auth_accepted; /* of them: the password was right, but nobody took the session */
	bool is_secured, is_tls_proxied, is_greeted;
	bool is_forwarded; /* ID told who the client is: it does so once */
	bool asked_capability;
	bool waits_for_auth;
	const char *closing_reason; /* static; NULL: goes on */
};

/* What the client wants to be. */
struct login_attempt {
	struct str tag;
	struct str user;      /* as given, where we know it; for the log */
	struct str mechanism; /* upper case */
};

/* One command, while it runs. */
struct login_command {
	struct login_connection *c;
	struct imap_cursor *cursor; /* after the name */
	struct str tag;
	struct buf *out;
};
/* What a command did to the connection. */
enum login_outcome { LOGIN_GOES_ON, LOGIN_HANDED_OVER };

/* place.c */
/* Settings and security, by addresses, name and TLS as they are now. */
void login_take_place(struct login_connection *c);
/* Is there TLS, here or at a balancer, or none needed? Without it nobody is let in. */
bool login_may_authenticate(const struct login_connection *c);
/* Are passwords hidden from others well enough? */
bool login_may_use_cleartext(const struct login_connection *c);
bool login_has_certificate(const struct login_connection *c);
/* May `mechanism` be used on this connection? */
bool login_offers(const struct login_connection *c, struct str mechanism);
/* Proxies and webmail, whose words about their clients count. */
bool login_is_trusted(const struct login_connection *c);
bool login_is_tls(const struct login_connection *c); /* here or at a balancer */

/* capability.c: the words behind "CAPABILITY ", and that word too. */
void login_put_capabilities(struct buf *out, const struct login_connection *c);

/* connection.c */
/* WAITS. On an error closing_reason is set, unless the task was cancelled. */
enum err login_start_tls(struct op *op, struct login_connection *c);

/* dialogue.c */
void login_put_greeting(struct op *op, struct login_connection *c);
/* WAITS. Serves the complete commands that are buffered. False: the connection was handed over. */
bool login_serve_input(struct op *op, struct login_connection *c);
/* BAD, and the end when there were too many. */
void login_say_bad(struct login_connection *c, struct str tag, struct str text);
enum login_outcome login_bad_arguments(const struct login_command *x);

/* id.c */
enum login_outcome login_command_id(struct op *op, const struct login_command *x);

/* authenticate.c. All WAIT. */
enum login_outcome login_command_login(struct op *op, const struct login_command *x);
enum login_outcome login_command_authenticate(struct op *op, const struct login_command *x);

/* handover.c */
/* WAITS. Ends an attempt with what auth said (`e`, and `answer` also after a failure): true, and the
 * connection has left: the caller returns without touching it again. Otherwise the answer to the client
 * is queued and the dialogue goes on. */
bool login_conclude(struct op *op, struct login_connection *c, const struct login_attempt *attempt,
	enum err e, const struct auth_answer *answer);

/* failure.c */
/* The tagged NO for a failed attempt: the only place that maps refusals and classes to IMAP's codes. */
void login_put_failure(struct buf *out, const struct login *l, struct str tag, enum err e,
	const struct auth_answer *answer, const struct op *op);
void login_put_privacy_required(struct buf *out, struct str tag, bool was_exposed);

/* log.c */
/* A text with the variables of login (sheet core §2.5), in op's arena; as it is when it cannot be
 * expanded. attempt and answer may be NULL. */
struct str login_expand(struct op *op, const struct login_connection *c, struct str text,
	const struct login_attempt *attempt, const struct auth_answer *answer);
/* What is logged of a success; made while the connection still has its stream. In op's arena. */
struct str login_success_line(struct op *op, const struct login_connection *c,
	const struct login_attempt *attempt, const struct auth_answer *answer);
void login_log_end(struct login_connection *c, const char *reason);
