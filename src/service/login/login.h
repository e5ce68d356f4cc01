/* SPDX-License-Identifier: Apache-2.0 */
/* service/login/login.h - clients before they have proved who they are: TLS, the protocol's dialogue up
 * to the password, and the handover to the worker that serves the user.
 *
 * Life:   login_open() -> login_accept() for each connection, login_reload() -> login_close().
 * States: [PROXY header] -> [TLS] -> greeting -> commands <-> (waiting for auth) -> handed over | closed.
 *         A plain connection leaves this process; a TLS connection stays as a relay (net/net.h).
 * Limits: 8 KiB lines, 3 invalid commands, 3 minutes, 10 attempts, SASL replies of 8 KiB.
 * Trust:  nothing that a client says here is believed by others: the worker believes the ticket alone. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct config;
struct login;
struct peers;
struct tls_context;

struct login_settings {
	struct config *config;   /* a reference is taken */
	struct peers *peers;     /* borrowed, like the rest */
	struct tls_context *tls; /* the front (net/tls.h); NULL: no TLS */
};
enum err login_open(struct op *op, const struct login_settings *settings, struct login **out);

/* What is known of a connection by the listener on which it came. */
struct login_door {
	struct str protocol; /* "imap"; static */
	bool is_tls;         /* TLS from the first byte */
	bool has_proxy_header;
};
/* Takes `fd`; from the loop, no wait. */
void login_accept(
	struct login *l, const struct login_door *door, int fd, const struct address *peer);
/* Connections from now on follow `config`; those that are there keep what they have. */
enum err login_reload(struct op *op, struct login *l, struct config *config);
/* WAITS. Ends connections that are not logged in; relays go on (net/net.h: relay_count()). */
void login_close(struct op *op, struct login *l);
size_t login_count(const struct login *l); /* connections before login */
