/* SPDX-License-Identifier: Apache-2.0 */
/* net/net_private.h - the inside of a stream, the seam between plain sockets and TLS, new UNIX sockets.
 *
 * Invariants: 1. watch.ready says what has not been exhausted: a bit is forgotten only when the
 *                kernel had nothing more, and set by the next edge; it starts as "try it".
 *             2. Once is_ended or broken_why is set it stays.
 *             3. OpenSSL's error queue is read and emptied right after each of its calls; nothing
 *                waits in between (the queue belongs to the thread, not to the task). */
#pragma once

#include <openssl/ssl.h>

#include "net/net.h"
#include "net/tls.h"
#include "task/task.h"

struct sockaddr_un;
/* A new socket, and the address of `path`. ERR_INVALID: the path is too long. */
enum err unix_socket(
	struct op *op, const char *path, int type, struct sockaddr_un *out, int *out_fd);

struct stream {
	struct watch watch;
	/* owned */
	struct buf input;
	struct buf output;
	SSL *ssl;                       /* NULL: plain */
	struct tls_context *tls;        /* the references that keep ssl's settings: as given, */
	struct tls_context *tls_chosen; /* and the one chosen by the client's words; may be NULL */
	size_t input_max;
	struct address local, peer;
	struct stream_counters counters;
	const char *broken_why; /* static text; NULL: in order */
	stream_ready_fn *on_ready;
	void *on_ready_arg;
	unsigned read_wants;  /* the WATCH_* bit a read that got nothing waits for */
	unsigned write_wants; /* the same for a write: with TLS it may be input */
	bool is_ended;        /* the peer ended its side */
	bool wants_more;      /* a read found nothing new since the input last changed */
};

/* What became of one attempt. */
enum io_result {
	IO_DONE,   /* *out_n bytes moved */
	IO_AGAIN,  /* none now; read_wants or write_wants says what to wait for */
	IO_ENDED,  /* reading: end of input, is_ended is set */
	IO_FAILED, /* broken_why is set */
};

/* stream_io.c: one system call or SSL call, never waits. n > 0. */
enum io_result stream_io_read(struct stream *s, char *out, size_t n, size_t *out_n);
enum io_result stream_io_write(struct stream *s, struct str bytes, size_t *out_n);
/* Is there something to read (also an end or an error)? Reads nothing. */
bool stream_io_has_input(struct stream *s);
/* Ends our side: close_notify, then FIN. Best effort. */
void stream_io_end_output(struct stream *s);
/* Sends what is queued, as far as it goes: IO_DONE when nothing is left. */
enum io_result stream_io_flush(struct stream *s);
enum err stream_fail(struct op *op, const struct stream *s); /* because broken_why is set */

/* stream.c */
enum err net_set_nonblocking(struct op *op, int fd);

/* tls_stream.c: the same over s->ssl. */
enum io_result tls_io_read(struct stream *s, char *out, size_t n, size_t *out_n);
enum io_result tls_io_write(struct stream *s, struct str bytes, size_t *out_n);
bool tls_io_has_input(struct stream *s);
void tls_io_end_output(struct stream *s);
/* Reads and empties OpenSSL's error queue: static text. */
const char *tls_take_error(void);

/* What tickets of one period are sealed with. */
struct ticket_key {
	uint8_t name[16], cipher[32], mac[32];
};

/* tls.c: settings that a context has beside OpenSSL's own. */
struct tls_context {
	SSL_CTX *ctx;
	unsigned references;
	/* what a chosen context changes in a handshake that has begun */
	int min_version;
	bool prefers_server, has_tickets;
	char *groups; /* NULL: the library's */
	int verify_mode;
	uint8_t session_scope[SSL_MAX_SID_CTX_LENGTH]; /* sessions are resumed within one alone */
	int name_nid;                                  /* field of a client's certificate */
	/* a front's */
	tls_choose_fn *choose; /* NULL: no front */
	void *choose_arg;
	uint8_t ticket_seed[TLS_TICKET_SEED_BYTES];
	struct ticket_key ticket_keys[TLS_TICKET_OLD_PERIODS + 1];
	int64_t tickets_period; /* of the first key; the others are older. -1: none yet */
};

/* tls_load.c: certificates, keys and lists from PEM into a context. */
enum err tls_load_certificate(
	struct op *op, SSL_CTX *ctx, const struct tls_certificate *certificate);
enum err tls_load_dh(struct op *op, SSL_CTX *ctx, struct str pem);
/* Certificates and revocation lists; they also name to clients who is trusted. */
enum err tls_load_authorities(struct op *op, SSL_CTX *ctx, struct str pem, bool requires_crl);

/* tls_front.c */
bool tls_is_host_name(struct str name);
void tls_front_prepare(struct tls_context *front);
