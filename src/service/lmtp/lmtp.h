/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/lmtp.h - receiving mail from MTAs (RFC 2033), in the login role: the dialogue and the
 * spool are here, the mail itself is parsed only by the worker that owns the recipient.
 *
 * Life:   lmtp_open() -> lmtp_accept() for each connection -> lmtp_close().
 * Flow:   RCPT asks auth whether the user exists; after the final dot the spooled mail travels to each
 *         recipient's worker (deliver/deliver.h), one after the other per user, different users in
 *         parallel; replies go out in the order of RCPT, each as soon as it and those before are known.
 * Peers:  the UNIX socket, loopback, and lmtp_trusted_networks; others are refused with 554.
 * Limits: lines of 8 KiB, 10 invalid commands in a row, 1000 recipients, 5 minutes of silence, 5 minutes
 *         for the deliveries of a mail, lmtp_max_mail_size (at most 1 GiB), 1 MiB read beyond it.
 * Memory: below 1 KiB for an idle connection; while a mail comes in 64 KiB of input, 256 KiB of spool
 *         and a memory file (spool_private.h); between its pieces no task is held.
 * Cost:   a mail of 25 kB to one recipient, from a client that pipelines: 20 system calls here: 4
 *         epoll_wait, 3 read, 2 send; memfd_create, write, fcntl, close for the spool; sendmsg and
 *         recvmsg for auth and for the worker, and fcntl, close for the descriptor's copy. Each further
 *         recipient adds 6 to 8. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct config;
struct lmtp;
struct peers;

struct lmtp_settings {
	struct config *config; /* borrowed, like the rest */
	struct peers *peers;
	int spool_dir; /* directory for big spools (O_TMPFILE); -1: memory alone */
};
/* ERR_INVALID: hostname or postmaster_address cannot be expanded. */
enum err lmtp_open(struct op *op, const struct lmtp_settings *settings, struct lmtp **out);
/* Takes `fd`; from the loop, no wait. */
void lmtp_accept(struct lmtp *l, int fd, const struct address *peer);
/* WAITS. Says 421 to those between mails; lets mails that are on their way end until the op's
 * deadline. */
void lmtp_close(struct op *op, struct lmtp *l);
