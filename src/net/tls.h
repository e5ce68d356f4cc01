/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.h - contexts of TLS: certificates and rules shared by many streams.
 *
 * A *context* has certificates and rules. A *front* has none: it is what listeners hold, and for
 * each handshake it asks who the client wants to talk to and takes the context for that. So
 * contexts are replaced at a reload while the front stays, and with it the tickets that clients hold.
 *
 * Tickets: sessions are resumed without the expensive part of a handshake (RFC 5077, RFC 8446 §2.2).
 *         Their keys are derived from a seed that all login processes share and from the time, so
 *         that a ticket of one is good in all. A key makes tickets for TLS_TICKET_PERIOD_US and is
 *         accepted for TLS_TICKET_OLD_PERIODS more. A session is resumed only under the same certificate and the
 *         same rules about clients' certificates.
 * Never:  compression, renegotiation, anything older than the settings say. */
#pragma once

#include "base/base.h"
#include "net/address.h"

struct tls_context;

#define TLS_TICKET_SEED_BYTES  32
#define TLS_TICKET_PERIOD_US   (4 * 3600 * US_PER_SEC)
#define TLS_TICKET_OLD_PERIODS 2

struct tls_certificate {
	struct str chain_pem; /* leaf first */
	struct str key_pem;
	struct str key_password; /* "": the key needs none */
};
enum tls_ask {
	TLS_ASK_NOTHING,
	TLS_ASK_CERTIFICATE, /* a client may show one; see stream_tls_peer() for what it is worth */
};
struct tls_settings {
	struct tls_certificate certificate;
	struct tls_certificate alt; /* of another algorithm; chain empty: none */
	struct str min_protocol;    /* "TLSv1.2" (also ""), "TLSv1.3", or "ANY" for tests */
	struct str cipher_list;     /* up to TLS 1.2; "": forward secret AEAD alone */
	struct str cipher_suites;   /* of TLS 1.3; "": the library's */
	struct str groups;          /* "X25519:P-256"; "": the library's, X25519 first */
	struct str dh_pem;          /* "": the library's groups */
	bool prefers_server;        /* its order of ciphers counts, not the client's */
	bool has_no_tickets;
	enum tls_ask ask;
	struct str authorities_pem; /* who may sign clients' certificates; and revocation lists */
	bool requires_crl;
	struct str name_field; /* of a client's certificate: his user name; "": commonName */
};
/* ERR_INVALID says which setting is wrong, and how. */
enum err tls_context_new(
	struct op *op, const struct tls_settings *settings, struct tls_context **out);
enum err tls_context_new_client(struct op *op, struct str ca_pem, struct tls_context **out);

/* The rules of a client that shows a certificate, or trusts in another way. */
struct tls_client_settings {
	struct str
		authorities_pem; /* with authorities_dir "": the system's list when both are "" */
	struct str authorities_dir;         /* hashed names, as OpenSSL wants them */
	struct tls_certificate certificate; /* shown if asked for; chain empty: none */
	bool accepts_any;                   /* no certificate is checked */
};
enum err tls_context_new_client_of(
	struct op *op, const struct tls_client_settings *settings, struct tls_context **out);

/* The context for a client who connected to `local` and asked for `name` ("": for nobody). Borrowed.
 * NULL: refuse. */
typedef struct tls_context *tls_choose_fn(void *arg, const struct address *local, struct str name);
struct tls_context *tls_context_new_front(
	const uint8_t seed[TLS_TICKET_SEED_BYTES], tls_choose_fn *choose, void *arg);

struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* NULL is fine */

/* The host name in the body of a ClientHello's server_name extension; "" if there is none that could
 * be one. Total over any bytes. Spec: RFC 6066 §3. */
struct str tls_name_in(struct str extension);
