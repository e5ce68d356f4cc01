/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/handover.h - a connection on its way from a login process to the worker that serves its user.
 *
 * Plain connections travel as they are; of a TLS connection the login process keeps the TLS side and
 * hands over one end of a socket pair (net/net.h: relay). The worker believes only the ticket, which
 * auth sealed (auth/ticket.h); everything else here is what the login process says. */
#pragma once

#include "ipc/ipc.h"
#include "net/address.h"

struct handover {
	struct str protocol; /* "imap" */
	struct str ticket;   /* sealed by auth */
	struct str session_id;
	struct str reply_tag; /* the command that the worker answers: IMAP tag of LOGIN */
	struct str input;     /* bytes the client sent already, after that command */
	struct address local, remote;
	bool is_tls, is_secured;
	struct str tls_protocol, tls_cipher;
	struct str client_id;  /* fields of IMAP ID given before login, for the log; may be "" */
	bool wants_capability; /* the client did not ask for capabilities itself */
	int fd;                /* sender: borrowed; receiver: owned */
};

/* WAITS. ERR_NONE: the worker has taken the session and will answer the client. */
enum err handover_send(struct op *op, struct ipc_client *worker, const struct handover *h);
/* On the worker's side: strings live in the message; fd is taken from it (-1 if absent: ERR_INVALID). */
enum err handover_receive(struct op *op, struct ipc_message *request, struct handover *out);
