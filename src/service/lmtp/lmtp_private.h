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
#include "service/lmtp/lmtp.h"
#include "service/lmtp/spool_private.h"
#include "task/task.h"
#include "wire/smtp.h"

#define LMTP_IDLE_US           (300 * US_PER_SEC)
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

struct lmtp {
	/* borrowed */
	struct config *config;
	const struct config_scope *scope; /* of protocol lmtp */
	struct peers *peers;
	int spool_dir;
	/* owned */
	char *hostname;
	char *postmaster; /* where mail for a bare <postmaster> goes that is no user */
	struct list connections;
	struct map slots;       /* user -> struct lmtp_slot */
	uint64_t spooled_bytes; /* in memory */
	size_t count, limit;
	bool is_closing;
	struct wait_queue emptied;
	/* settings */
	struct str greeting, delimiters;
	unsigned workarounds; /* enum smtp_workaround */
	unsigned user_limit;  /* 0: none */
	uint64_t mail_bytes_max;
	int64_t ticket_fresh_us;
	bool adds_received, adds_delivered_to, is_quota_temporary;
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
	int64_t ticket_us; /* when it was made; 0: it is spent */
	uint32_t number;   /* of the connection's recipients, from 1: session id "x:R1" */
	struct str reply;  /* complete line; empty: delivery has not ended */
};

/* From MAIL to the last reply. All strings are in its arena. */
struct lmtp_transaction {
	struct arena arena;
	struct spool spool;
	struct str sender; /* "" for the null sender */
	struct lmtp_recipient *first, *last;
	size_t recipient_count;
	struct smtp_data data;
	bool is_receiving;                /* after 354 */
	const struct smtp_reply *refusal; /* why the mail will not be taken; NULL: it will */
	uint64_t drained_bytes;
	int64_t received_wall_us;
};

/* Life: accepted -> greeting -> parked <-> served by a task -> closed. Also a mail that comes in slowly
 * parks between its pieces. */
struct lmtp_connection {
	struct lmtp *lmtp;
	struct list link;
	struct timer idle;       /* ends a silent client; off while mails are delivered */
	struct task_handle task; /* zeroed while parked */
	/* owned */
	int fd; /* until the stream is made; then -1 */
	struct stream *stream;
	struct event *event;
	char *helo;                           /* NULL: no LHLO yet */
	struct lmtp_transaction *transaction; /* NULL: none */
	/* state of the dialogue */
	struct smtp_line line;
	struct address remote;
	char session_id[32];
	uint32_t recipient_number;
	uint8_t bad_commands;
	bool is_greeted;
	const char *closing_reason; /* static; NULL: goes on */
};

/* dialogue.c */
void lmtp_put_greeting(struct lmtp_connection *c);
/* WAITS. Serves what the client has sent, until there is no more of it or closing_reason is set. */
void lmtp_serve_input(struct op *op, struct lmtp_connection *c);
/* 421, and the end. */
void lmtp_say_goodbye(struct lmtp_connection *c, const char *enhanced, const char *text);

/* transaction.c */
struct lmtp_transaction *lmtp_transaction_new(struct lmtp *l, const struct smtp_path *sender);
void lmtp_transaction_free(struct lmtp_transaction *t);
/* NULL: no room for more recipients. */
struct lmtp_recipient *lmtp_transaction_add(
	struct lmtp_transaction *t, const struct lmtp_recipient *recipient);
/* Takes a piece of the mail; true at its end. Sets t->refusal when it cannot be taken. */
bool lmtp_transaction_receive(struct op *op, struct lmtp_transaction *t, struct str in,
	uint64_t bytes_max, size_t *out_used);
/* The mail as a descriptor, borrowed. False: t->refusal says what to answer. */
bool lmtp_transaction_seal(struct op *op, struct lmtp_transaction *t, int *out_fd);

/* recipient.c */
/* WAITS. Asks auth who `path` is and fills in *out, strings in op's arena. ERR_NOT_FOUND, ERR_INVALID:
 * nobody. */
enum err lmtp_recipient_find(struct op *op, struct lmtp_connection *c, const struct smtp_path *path,
	struct lmtp_recipient *out);
/* WAITS. Another ticket if the recipient's is spent or may be too old when it arrives. */
enum err lmtp_recipient_refresh(struct op *op, struct lmtp_connection *c, struct lmtp_recipient *r);
struct str lmtp_recipient_session(
	struct arena *arena, const struct lmtp_connection *c, const struct lmtp_recipient *r);

/* fan_out.c */
/* WAITS. Delivers the mail in `fd` to all recipients and answers for each, in order. */
void lmtp_fan_out(struct op *op, struct lmtp_connection *c, int fd);

/* slot.c: at most so many deliveries of this process for one user at a time. */
struct lmtp_slot;
/* WAITS up to LMTP_SLOT_WAIT_US. ERR_UNAVAILABLE, with text for the client: too many. */
enum err lmtp_slot_take(struct op *op, struct lmtp *l, struct str user, struct lmtp_slot **out);
void lmtp_slot_give(struct lmtp *l, struct lmtp_slot *slot);

/* trace.c */
/* Return-Path, Delivered-To, Received: what stands before the mail of this recipient. */
void lmtp_put_head(
	struct buf *out, const struct lmtp_connection *c, const struct lmtp_recipient *r);

/* reply.c */
enum lmtp_stage { LMTP_AT_RCPT, LMTP_AT_DELIVERY };
/* The only place that maps classes to LMTP's codes. */
void lmtp_put_failure(struct buf *out, const struct lmtp *l, enum lmtp_stage stage,
	const struct lmtp_recipient *r, enum err e, const struct op *op);
void lmtp_put_saved(struct buf *out, const struct lmtp_recipient *r, struct str session_id);
