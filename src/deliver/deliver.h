/* SPDX-License-Identifier: Apache-2.0 */
/* deliver/deliver.h - one mail into one user's mailbox, and the message that carries it from the
 * process that received it to the worker that owns the user.
 *
 * Receiver's side: deliver_client_send(). Worker's side: deliver_receive() -> deliver_run().
 * Spec: sheet protocols §8 (headers put before the mail, replies by class). */
#pragma once

#include "base/base.h"
#include "ipc/ipc.h"
#include "net/address.h"

struct user;

struct delivery {
	struct str ticket;     /* for service "lmtp" */
	struct str session_id; /* with ":R<n>" for the n-th recipient */
	struct str sender;     /* reverse-path without brackets; "" is the null sender */
	struct str recipient;  /* as given at RCPT */
	struct str detail;     /* after the recipient delimiter; "" for none */
	struct str head;       /* Return-Path, Delivered-To, Received: complete lines with CRLF */
	int fd;                /* the spooled mail, from offset 0, read-only for the receiver */
	uint64_t size_bytes;
	int64_t received_wall_us;
};
struct delivery_result {
	struct str mailbox; /* where it was saved */
	uint32_t uid;
};
/* WAITS. Carries it to the worker and waits until it is durable. Classes: LIMIT (quota), NOT_FOUND,
 * DENIED, INVALID: permanent; UNAVAILABLE, TIMEOUT, CONFLICT...: temporary (uncertain: may be saved). */
enum err deliver_client_send(struct op *op, struct ipc_client *worker, const struct delivery *d,
	struct delivery_result *out);

/* Worker: reads the message; strings are borrowed from it; d->fd is taken. */
enum err deliver_receive(struct op *op, struct ipc_message *request, struct delivery *out);
/* WAITS until durable. Maps the spool, saves head + mail to INBOX (or the detail's mailbox when
 * `uses_detail` and it exists). */
enum err deliver_run(struct op *op, struct user *u, const struct delivery *d, bool uses_detail,
	struct delivery_result *out);
void deliver_reply(struct ipc_message *reply, const struct delivery_result *result);
