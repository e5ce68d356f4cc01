/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/lmtp.h - receiving mail from MTAs (RFC 2033), in the login role: the dialogue and the
 * spool are here, the mail itself is parsed only by the worker that owns the recipient.
 *
 * Life:   lmtp_open() -> lmtp_accept() for each connection, lmtp_reload() -> lmtp_close().
 * Flow:   RCPT asks auth whether the user exists; after the end of the mail it travels to each
 *         recipient's worker (deliver/deliver.h), one after the other per user, different users in
 *         parallel; replies go out in the order of RCPT, each as soon as it and those before are known.
 * Peers:  the UNIX socket, loopback, and lmtp_trusted_networks; others are refused with 554. Those in
 *         login_trusted_networks may say for whom they speak (XCLIENT).
 * Offers: PIPELINING, ENHANCEDSTATUSCODES, 8BITMIME, CHUNKING, SIZE, VRFY; STARTTLS if ssl is not "no";
 *         SMTPUTF8 with mail_utf8_extensions; XCLIENT and XRCPTFORWARD to those who may. BINARYMIME is
 *         not offered: IMAP could not give such a mail to clients as it is.
 * Limits: lines of 8 KiB, 10 invalid commands in a row, 1000 recipients, 5 minutes of silence, 5 minutes
 *         for the deliveries of a mail, lmtp_max_mail_size (at most 1 GiB), 1 MiB read beyond it.
 * Memory: below 1 KiB for an idle connection; while a mail comes in 64 KiB of input, 256 KiB of spool
 *         and a memory file (spool_private.h); between its pieces no task is held.
 * Cost:   a mail of 25 kB to one recipient, from a client that pipelines: 14 to 16 system calls here; a mail
 *         that is too large for a message between roles adds 6 for its memory file. Each further
 *         recipient adds 4 to 6. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct config;
struct lmtp;
struct peers;
struct tls_context;

struct lmtp_settings {
	struct config *config; /* referenced */
	/* borrowed */
	struct tls_context *tls; /* NULL: no STARTTLS */
	struct peers *peers;
	int spool_dir; /* directory for big spools (O_TMPFILE); -1: memory alone */
};
/* ERR_INVALID: hostname or postmaster_address cannot be expanded. */
enum err lmtp_open(struct op *op, const struct lmtp_settings *settings, struct lmtp **out);
/* Connections from now on live by `config` (referenced); those that exist keep what they have.
 * ERR_INVALID as lmtp_open(): nothing was changed. */
enum err lmtp_reload(struct op *op, struct lmtp *l, struct config *config);
/* How connections begin at a listener. */
struct lmtp_door {
	bool is_tls;           /* with a handshake */
	bool has_proxy_header; /* with what a load balancer says about its client */
};
/* Takes `fd`; from the loop, no wait. */
void lmtp_accept(struct lmtp *l, const struct lmtp_door *door, int fd, const struct address *peer);
/* WAITS. Says 421 to those between mails; lets mails that are on their way end until the op's
 * deadline. */
void lmtp_close(struct op *op, struct lmtp *l);
