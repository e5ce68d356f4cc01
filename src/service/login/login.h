/* SPDX-License-Identifier: Apache-2.0 */
/* service/login/login.h - clients before they have proved who they are: TLS, the protocol's dialogue up
 * to the password, and the handover to the worker that serves the user.
 *
 * Life:   login_open() -> login_accept() for each connection -> login_close().
 * States: greeting -> commands <-> (waiting for auth) -> handed over | closed.
 *         A plain connection leaves this process; a TLS connection stays as a relay (net/net.h).
 * Limits: 8 KiB lines, 3 invalid commands, 3 minutes, SASL replies of 8 KiB.
 * Trust:  nothing that a client says here is believed by others: the worker believes the ticket alone. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct config;
struct login;
struct peers;
struct tls_context;

struct login_settings {
	struct config *config; /* borrowed, like the rest */
	struct peers *peers;
	struct tls_context *tls; /* NULL: no TLS */
};
enum err login_open(struct op *op, const struct login_settings *settings, struct login **out);
/* Takes `fd`, accepted on a listener of `protocol` ("imap"); from the loop, no wait. */
void login_accept(
	struct login *l, struct str protocol, int fd, const struct address *peer, bool is_tls);
/* WAITS. Ends connections that are not logged in; relays go on (net/net.h: relay_count()). */
void login_close(struct op *op, struct login *l);
size_t login_count(const struct login *l); /* connections before login */
