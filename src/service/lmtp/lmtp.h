/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/lmtp.h - receiving mail from MTAs (RFC 2033), in the login role: the dialogue and the
 * spool are here, the mail itself is parsed only by the worker that owns the recipient.
 *
 * Life:   lmtp_open() -> lmtp_accept() for each connection -> lmtp_close().
 * Flow:   RCPT asks auth whether the user exists; after the final dot the spooled mail travels to each
 *         recipient's worker (deliver/deliver.h), one after the other per user, different users in
 *         parallel; replies go out in the order of RCPT, each as soon as it and those before are known.
 * Peers:  the UNIX socket, loopback, and lmtp_trusted_networks; others are refused with 554. */
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
enum err lmtp_open(struct op *op, const struct lmtp_settings *settings, struct lmtp **out);
/* Takes `fd`; from the loop, no wait. */
void lmtp_accept(struct lmtp *l, int fd, const struct address *peer);
/* WAITS. Lets transactions in flight end until the op's deadline, says 421 to the rest. */
void lmtp_close(struct op *op, struct lmtp *l);
