/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/lmtp_private.h - a connection, its transaction and recipients, for this folder alone. */
#pragma once

#include "auth/client.h"
#include "base/list.h"
#include "base/map.h"
#include "config/config.h"
#include "deliver/deliver.h"
#include "event/event.h"
#include "ipc/peers.h"
#include "net/net.h"
#include "net/serving.h"
#include "service/lmtp/lmtp.h"
#include "service/lmtp/spool_private.h"
#include "task/task.h"
#include "wire/smtp.h"

#define LMTP_IDLE_US           (300 * US_PER_SEC)
#define LMTP_HANDSHAKE_US      (60 * US_PER_SEC)
#define LMTP_DELIVERY_US       (300 * US_PER_SEC) /* senders wait ten minutes: RFC 5321 §4.5.3.2.6 */
#define LMTP_LOOKUP_US         (60 * US_PER_SEC)
#define LMTP_SLOT_WAIT_US      (30 * US_PER_SEC)
#define LMTP_TICKET_FRESH_US   (20 * US_PER_SEC) /* of the 30 s that a ticket lives */
#define LMTP_INPUT_MAX         65536
#define LMTP_BAD_MAX           10
#define LMTP_RECIPIENTS_MAX    1000
#define LMTP_LANES_MAX         16         /* users whose deliveries run at once */
#define LMTP_DRAIN_BYTES_MAX   (1u << 20) /* read of a refused mail before the line is cut */
#define LMTP_OP_BYTES_MAX      (16u << 20)
#define LMTP_TRANSACTION_BYTES (8u << 20)

/* What the configuration says to those who stand in one place; shared by them, and kept by connections
 * when the configuration is replaced. */
struct lmtp_rules {
	uint32_t refs;
	struct lmtp_rules *next; /* in lmtp->rules; each holds a reference */
	/* owned */
	struct config *config; /* a reference */
	char *hostname;
	char *postmaster; /* where mail for a bare <postmaster> goes that is no user */
	/* borrowed from config */
	const struct config_scope *scope;
	struct str greeting, delimiters;
	unsigned workarounds; /* enum smtp_workaround */
	unsigned user_limit;  /* 0: none */
	uint64_t mail_bytes_max;
	bool adds_received, is_quota_temporary, is_verbose, offers_utf8, offers_tls;
	enum {
		LMTP_DELIVERED_TO_NONE,
		LMTP_DELIVERED_TO_FINAL,
		LMTP_DELIVERED_TO_ORIGINAL
	} delivered_to;
};

struct lmtp {
	/* borrowed */
	struct peers *peers;
	struct tls_context *tls; /* NULL: no STARTTLS */
	int spool_dir;
	/* owned */
	struct lmtp_rules *rules; /* the first: those of nowhere special; then of places met */
	struct list connections;
	struct map slots;       /* user -> struct lmtp_slot */
	uint64_t spooled_bytes; /* in memory */
	size_t count, limit;
	bool is_closing;
	struct wait_queue emptied;
	int64_t ticket_fresh_us;
};

/* Somebody a mail goes to. */
struct lmtp_recipient {
	struct lmtp_recipient *next;         /* in the order of RCPT */
	struct lmtp_recipient *next_of_user; /* while delivering */
	struct lmtp_recipient *next_user;    /* of the first of each user: the next one's first */
	struct str path;                     /* as given, without brackets */
	struct str name;                     /* what auth knew him by */
	struct str detail;
	struct str user, ticket;
	struct str original_type, original; /* of ORCPT; "" without one */
	unsigned notify;                    /* enum smtp_notify */
	int64_t ticket_us;                  /* when it was made; 0: it is spent */
	uint32_t number;  /* of the connection's recipients, from 1: session id "x:R1" */
	struct str reply; /* complete line; empty: delivery has not ended */
};

/* From MAIL to the last reply. All strings are in its arena. */
struct lmtp_transaction {
	struct arena arena;
	struct spool spool;
	struct str sender; /* "" for the null sender */
	struct str envid;
	enum smtp_ret ret;
	enum smtp_body body;
	bool is_utf8; /* replies and trace may hold UTF-8 */
	struct lmtp_recipient *first, *last;
	size_t recipient_count, refused_count;
	struct str mail; /* when it is small and complete; borrowed from the spool */
	int mail_fd;     /* when it is not small; -1: `mail` is all */
	struct smtp_data data;
	bool is_receiving;                /* after 354 */
	bool is_chunked;                  /* a BDAT was taken */
	bool has_failed;                  /* a chunk was refused: only RSET helps */
	const struct smtp_reply *refusal; /* why the mail will not be taken; NULL: it will */
	int64_t received_wall_us, started_us;
};

/* A chunk of BDAT on its way in. */
struct lmtp_chunk {
	bool is_open;
	bool is_last;
	uint64_t size, left;
	const struct smtp_reply
		*refusal; /* it is skipped, and this is the answer; NULL: it is taken */
};

/* Whom a trusted peer speaks for (XCLIENT). */
struct lmtp_client {
	/* owned */
	char *helo;  /* NULL: not told */
	char *login; /* NULL: not authenticated */
	bool is_tls;
	int64_t timeout_us; /* what he is willing to wait; 0: not told */
};

/* Life: accepted -> greeting -> parked <-> served by a task (net/serving.h) -> closed. Also a mail that
 * comes in slowly parks between its pieces. */
struct lmtp_connection {
	struct lmtp *lmtp;
	struct lmtp_rules *rules; /* a reference */
	struct list link;
	struct serving serving; /* its timer ends a silent client; off while mails are delivered */
	/* owned */
	int fd; /* until the stream is made; then -1 */
	struct stream *stream;
	struct event *event;
	char *session_id;
	char *helo;                           /* NULL: no LHLO yet */
	struct lmtp_client *client;           /* NULL: the peer speaks for himself */
	struct lmtp_transaction *transaction; /* NULL: none */
	/* state of the dialogue */
	struct smtp_line line;
	struct lmtp_chunk chunk;
	uint64_t drained_bytes; /* of mail that was refused */
	struct address remote;
	struct lmtp_door door;
	uint32_t recipient_number;
	uint8_t bad_commands;
	bool is_greeted, may_speak_for_others;
	const char *closing_reason; /* static; NULL: goes on */
};

/* rules.c */
/* The first rules of a configuration. ERR_INVALID: a name cannot be expanded. */
enum err lmtp_rules_new(struct op *op, struct config *config, struct lmtp_rules **out);
struct lmtp_rules *lmtp_rules_ref(struct lmtp_rules *r);
void lmtp_rules_unref(struct lmtp_rules *r); /* NULL is fine */
/* Changes c->rules to those of where it stands now (addresses, name in TLS). What cannot be expanded
 * there is logged, and the rules stay. */
void lmtp_rules_find(struct op *op, struct lmtp_connection *c);

/* connection.c */
struct lmtp_connection *lmtp_connection_new(
	struct lmtp *l, const struct lmtp_door *door, int fd, const struct address *peer);
/* Ends it now, or its burst of work soon. */
void lmtp_connection_end(struct lmtp_connection *c, const struct serving_end *why);
/* Copies `id`; log lines begin with it. */
void lmtp_connection_set_session(struct lmtp_connection *c, struct str id);
/* WAITS. The handshake; afterwards nothing is known of the client (RFC 3207 §4.2). */
enum err lmtp_connection_start_tls(struct op *op, struct lmtp_connection *c);
extern const struct serving_end lmtp_shutting_down;

/* dialogue.c */
void lmtp_put_greeting(struct lmtp_connection *c);
/* WAITS. Serves what the client has sent, until there is no more of it or closing_reason is set. */
void lmtp_serve_input(struct op *op, struct lmtp_connection *c);
/* 421, and the end. */
void lmtp_say_goodbye(struct lmtp_connection *c, const char *enhanced, const char *text);
/* One line to the client, in UTF-8 if the transaction is. */
void lmtp_reply(struct lmtp_connection *c, unsigned code, const char *enhanced, const char *text);
/* The same; too many of them in a row end the connection. */
void lmtp_reply_bad(struct lmtp_connection *c, const struct smtp_reply *why);
void lmtp_end_transaction(struct lmtp_connection *c);

/* commands.c: the table of commands; WAITS. */
typedef void lmtp_command_fn(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command);
lmtp_command_fn *lmtp_command_find(enum smtp_verb verb); /* never NULL */

/* xclient.c */
lmtp_command_fn lmtp_command_xclient;
void lmtp_client_free(struct lmtp_client *client); /* NULL is fine */

/* mail.c: the mail itself, after DATA and in chunks */
lmtp_command_fn lmtp_command_bdat;
/* WAITS. Takes the buffered input as mail; after its end all recipients are served and answered. */
void lmtp_receive_data(struct op *op, struct lmtp_connection *c);
void lmtp_receive_chunk(struct op *op, struct lmtp_connection *c);
/* Input is mail now, not commands. */
bool lmtp_is_receiving(const struct lmtp_connection *c);

/* transaction.c */
struct lmtp_transaction *lmtp_transaction_new(struct lmtp *l, const struct smtp_command *mail);
void lmtp_transaction_free(struct lmtp_transaction *t);
/* NULL: no room for more recipients. */
struct lmtp_recipient *lmtp_transaction_add(
	struct lmtp_transaction *t, const struct lmtp_recipient *recipient);
/* Takes a piece of the mail, with its dots; true at its end. Sets t->refusal when it cannot be taken. */
bool lmtp_transaction_receive(struct op *op, struct lmtp_transaction *t, struct str in,
	uint64_t bytes_max, size_t *out_used);
/* Takes bytes of a chunk as they are. Sets t->refusal when they cannot be taken. */
void lmtp_transaction_append(
	struct op *op, struct lmtp_transaction *t, struct str in, uint64_t bytes_max);
/* Everything is in the spool: it may be delivered. False: t->refusal says what to answer. */
bool lmtp_transaction_seal(struct op *op, struct lmtp_transaction *t);
/* Sends smtp_server_transaction_finished. */
void lmtp_transaction_report(const struct lmtp_connection *c);

/* recipient.c */
/* WAITS. Asks auth who `path` is and fills in *out, strings in op's arena. ERR_NOT_FOUND, ERR_INVALID:
 * nobody. */
enum err lmtp_recipient_find(struct op *op, struct lmtp_connection *c,
	const struct smtp_command *rcpt, struct lmtp_recipient *out);
/* WAITS. Another ticket if the recipient's is spent or may be too old when it arrives. */
enum err lmtp_recipient_refresh(struct op *op, struct lmtp_connection *c, struct lmtp_recipient *r);
struct str lmtp_recipient_session(
	struct arena *arena, const struct lmtp_connection *c, const struct lmtp_recipient *r);
/* Sends smtp_server_transaction_rcpt_finished for the line that answered. */
void lmtp_recipient_report(const struct lmtp_connection *c, const struct lmtp_recipient *r);

/* fan_out.c */
/* WAITS. Delivers the sealed mail to all recipients and answers for each, in order. */
void lmtp_fan_out(struct op *op, struct lmtp_connection *c);

/* slot.c: at most so many deliveries of this process for one user at a time. */
struct lmtp_slot;
/* WAITS up to LMTP_SLOT_WAIT_US. `limit` 0: none. ERR_UNAVAILABLE, with text for the client: too many. */
enum err lmtp_slot_take(
	struct op *op, struct lmtp *l, struct str user, unsigned limit, struct lmtp_slot **out);
void lmtp_slot_give(struct lmtp *l, struct lmtp_slot *slot);

/* trace.c */
/* Return-Path, Delivered-To, Received: what stands before the mail of this recipient. */
void lmtp_put_head(
	struct buf *out, const struct lmtp_connection *c, const struct lmtp_recipient *r);

/* reply.c */
enum lmtp_stage { LMTP_AT_RCPT, LMTP_AT_DELIVERY };
/* The only place that maps classes to LMTP's codes. */
void lmtp_put_failure(struct buf *out, const struct lmtp_connection *c, enum lmtp_stage stage,
	const struct lmtp_recipient *r, enum err e, const struct op *op);
void lmtp_put_refusal(struct buf *out, const struct lmtp_connection *c,
	const struct lmtp_recipient *r, const struct smtp_reply *why);
void lmtp_put_saved(struct buf *out, const struct lmtp_connection *c,
	const struct lmtp_recipient *r, struct str session_id);
