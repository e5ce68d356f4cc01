/* SPDX-License-Identifier: Apache-2.0 */
/* deliver/deliver.h - one mail into one user's mailbox, and the message that carries it from the
 * process that received it to the worker that owns the user.
 *
 * Life:   receiver: deliver_client_send(). Worker: deliver_receive() -> deliver_run() ->
 *         deliver_reply().
 * Errors: what the sender of the mail is told depends on the class, so classes are chosen with
 *         care: NOT_FOUND, LIMIT and INVALID mean "never for this mail"; whatever may be our own
 *         trouble (disk full, a lost descriptor, a worker that went away) is temporary, and the
 *         mail comes again.
 * Cost:   a small mail travels in the message: sendmsg and recvmsg on either side. A larger one as a
 *         descriptor: fcntl and close besides; the worker reads it with one pread (256 KiB and more in
 *         a sealed memory file: fcntl, fstat and two mmap instead, and no copy) and closes it. Saving
 *         it is the store's cost.
 * Spec:   sheet protocols §8 (headers put before the mail, replies by class). */
#pragma once

#include "base/base.h"
#include "ipc/ipc.h"
#include "net/address.h"

struct config_scope;
struct user;

/* No mail is larger, whatever the configuration says: a mail is one run of memory in the worker. */
#define DELIVER_MAIL_BYTES_MAX (UINT64_C(1) << 30)
/* Small: fits into a message with all that is said about it. */
#define DELIVER_INLINE_BYTES_MAX ((size_t)48 * 1024)

struct delivery {
	struct str ticket;     /* for service "lmtp" */
	struct str session_id; /* with ":R<n>" for the n-th recipient */
	struct str sender;     /* reverse-path without brackets; "" is the null sender */
	struct str recipient;  /* as given at RCPT */
	struct str detail;     /* after the recipient delimiter; "" for none */
	struct str head;       /* Return-Path, Delivered-To, Received: complete lines with CRLF */
	struct str mail;       /* a small one, when fd is -1 */
	int fd; /* the spooled mail, from offset 0, read-only for the receiver; or -1 */
	uint64_t size_bytes; /* of either */
	int64_t received_wall_us;
};
struct delivery_result {
	struct str mailbox; /* where it was saved */
	uint32_t uid;
	bool is_logged; /* of a failure: mail_delivery_finished has told it, set also then */
};
/* WAITS. Carries it to the worker and waits until it is durable. d->fd stays the caller's. Classes:
 * LIMIT (quota), NOT_FOUND, INVALID: permanent. DENIED: the ticket was refused, nothing was saved.
 * UNAVAILABLE, TIMEOUT, CONFLICT...: temporary (uncertain: may be saved). */
enum err deliver_client_send(struct op *op, struct ipc_client *worker, const struct delivery *d,
	struct delivery_result *out);

/* Worker: reads the message; strings are borrowed from it; d->fd becomes the caller's, or is
 * -1. */
enum err deliver_receive(struct op *op, struct ipc_message *request, struct delivery *out);

enum deliver_option {
	DELIVER_TO_DETAIL = 1,          /* to the detail's mailbox, if it exists; else INBOX */
	DELIVER_CREATES_MAILBOX = 2,    /* the detail's mailbox is made when it is missing */
	DELIVER_SUBSCRIBES_MAILBOX = 4, /* and subscribed */
};
struct deliver_settings {
	unsigned options;      /* of enum deliver_option */
	struct str log_format; /* deliver_log_format */
};
/* Borrowed from the scope's configuration. */
void deliver_settings_read(const struct config_scope *scope, struct deliver_settings *out);
/* WAITS until durable. Saves head + mail to INBOX, or where the options say, and sends the events
 * mail_delivery_started and mail_delivery_finished; *out is set in any case. out->mailbox lives in op's arena. */
enum err deliver_run(struct op *op, struct user *u, const struct delivery *d,
	const struct deliver_settings *settings, struct delivery_result *out);
void deliver_reply(struct ipc_message *reply, const struct delivery_result *result);
