/* SPDX-License-Identifier: Apache-2.0 */
/* net/net.h - byte streams over sockets, plain or TLS, that park at no cost.
 *
 * A stream reads into a buffer from which its user cuts complete commands, and writes through a
 * buffer that leaves in one system call per burst.
 *
 * Life:   stream_new(fd) [-> stream_start_tls()] -> read/write in tasks <-> stream_park() ->
 *         stream_close().
 *
 * Parked: no task and no buffers: a few hundred bytes here plus, for TLS, OpenSSL's session whose
 *         record buffers are released (SSL_MODE_RELEASE_BUFFERS).
 *
 * Rules:  one task at a time uses a stream. All memory is bounded by the limits given.
 *
 * Cost:   one read() per burst of input, one send() or SSL_write() per burst of output, no epoll_ctl
 *         after registration. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/base.h"
#include "net/address.h"

struct stream;
struct watch;
struct tls_context;

/* ---- streams ---- */

/* Takes `fd` (made non-blocking, TCP_NODELAY if it is TCP). `input_max_bytes`: most input that is
 * buffered unconsumed. On failure fd is closed. */
enum err stream_new(struct op *op, int fd, size_t input_max_bytes, struct stream **out);
/* Drops what is buffered, closes the descriptor at once (no TLS goodbye). NULL is fine. */
void stream_abandon(struct stream *s);
/* WAITS. Flushes, says goodbye (TLS close_notify), closes. Frees in any case. */
enum err stream_close(struct op *op, struct stream *s);

/* The unconsumed input; borrowed until the next call on this stream. */
struct str stream_input(const struct stream *s);
void stream_consume(struct stream *s, size_t n);
void stream_set_input_max(struct stream *s, size_t bytes);
/* WAITS until there is more input than before; queued output leaves meanwhile. ERR_NOT_FOUND: the peer ended its side.
 * ERR_LIMIT: the buffer is full: consume first. ERR_UNAVAILABLE: connection broken. */
enum err stream_read_more(struct op *op, struct stream *s);
/* The same without waiting: *out_got says whether there was more. */
enum err stream_read_ready(struct op *op, struct stream *s, bool *out_got);
/* WAITS. Reads exactly n bytes past the buffer (big literals), as they come: 1 .. n bytes into
 * `out`. */
enum err stream_read_some(struct op *op, struct stream *s, char *out, size_t n, size_t *out_n);

/* Queues output. WAITS only when more than 64 KiB is queued and the peer does not take it. */
enum err stream_write(struct op *op, struct stream *s, struct str bytes);
/* The output buffer itself, to print into (buf_put*); call stream_write_check() between bursts. */
struct buf *stream_output(struct stream *s);
/* WAITS if more than 64 KiB is queued. */
enum err stream_write_check(struct op *op, struct stream *s);
/* WAITS until everything left for the kernel. */
enum err stream_flush(struct op *op, struct stream *s);
/* Tries to send without waiting; *out_done false: some is left. */
enum err stream_flush_ready(struct op *op, struct stream *s, bool *out_done);

/* Parks: releases buffers that are empty; calls fn(arg) once, on the loop, when there is input, the
 * peer went away, or queued output can move. stream_unpark() takes it back.
 * Returns false, and does not park, when there is something to do first: unread input, an end or an
 * error to be read, or buffered input after which the caller has not asked for more. So: serve what
 * is complete, stream_read_ready() until it got nothing, park; if false, begin again. */
typedef void stream_ready_fn(void *arg);
bool stream_park(struct stream *s, stream_ready_fn *fn, void *arg);
void stream_unpark(struct stream *s);

struct stream_counters {
	uint64_t bytes_in, bytes_out, reads, writes;
};
struct stream_counters stream_counters(const struct stream *s);
struct address stream_peer(const struct stream *s); /* family 0 for UNIX sockets */
struct address stream_local(const struct stream *s);
/* Overrides what the kernel says (PROXY protocol, relays, trusted forwarding). */
void stream_set_addresses(struct stream *s, struct address local, struct address peer);

/* Hands the descriptor to another process: plain streams only. Unconsumed input moves to `leftover`
 * (arena); the stream is freed. Output must have been flushed. */
int stream_take_fd(struct stream *s, struct arena *a, struct str *out_leftover);
/* Puts bytes before all input not yet read (what a handed-over connection had sent already). */
enum err stream_prepend_input(struct op *op, struct stream *s, struct str bytes);

/* ---- TLS (OpenSSL; the only user): contexts are made in net/tls.h ---- */

/* WAITS. Server handshake. Input buffered before it is an error (ERR_INVALID: STARTTLS injection).
 */
enum err stream_start_tls(struct op *op, struct stream *s, struct tls_context *t);
/* WAITS. Client handshake, checks the name (NULL: any will do) or address. */
enum err stream_connect_tls(
	struct op *op, struct stream *s, struct tls_context *t, const char *name);
bool stream_is_tls(const struct stream *s);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384", SNI; "" without TLS. Borrowed from the session. */
struct str stream_tls_protocol(const struct stream *s);
struct str stream_tls_cipher(const struct stream *s);
struct str stream_tls_server_name(const struct stream *s);
/* The handshake was that of an earlier session's ticket. */
bool stream_tls_is_resumed(const struct stream *s);

/* The client's certificate. One that was shown but did not stand the check counts as shown. */
enum tls_peer { TLS_PEER_NONE, TLS_PEER_UNVERIFIED, TLS_PEER_VERIFIED };
enum tls_peer stream_tls_peer(const struct stream *s);
/* The field of the verified certificate that the context's settings name; "" if there is none. In
 * the arena. */
struct str stream_tls_peer_name(struct arena *arena, const struct stream *s);
/* Why a shown certificate was not verified; static text. */
const char *stream_tls_peer_error(const struct stream *s);
/* The tls-exporter channel binding (RFC 9266 §2). False: no TLS, or a TLS 1.2 session without
 * extended master secret, for which it does not exist. */
#define TLS_BINDING_BYTES 32
bool stream_tls_binding(const struct stream *s, uint8_t out[TLS_BINDING_BYTES]);

/* ---- relay: a TLS client <-> the socket pair whose other end a worker holds ---- */

/* Takes both; copies bytes each way until both ends are done or one breaks; half-close is passed
 * on. Runs parked (no task, no buffers) while nothing moves. Calls done(arg) at the end. */
typedef void relay_done_fn(void *arg, const struct stream_counters *client);
enum err relay_start(
	struct op *op, struct stream *client, int worker_fd, relay_done_fn *done, void *arg);
size_t relay_count(void); /* in this process */

/* ---- listeners and connecting ---- */

struct listener;
typedef void listener_fn(
	int fd, const struct address *peer, void *arg); /* takes fd; must not wait */

/* Binds and listens: TCP (SO_REUSEADDR, IPV6_V6ONLY) or a UNIX path (an old socket file is
 * replaced; mode as given). type SOCK_STREAM or SOCK_SEQPACKET. */
enum err listen_tcp(struct op *op, const struct address *at, int backlog, int *out_fd);
enum err listen_unix(struct op *op, const char *path, int type, unsigned mode, int *out_fd);
/* Accepts on `listen_fd` (taken) from the loop, at most 64 per round; pauses 100 ms on EMFILE. */
enum err listener_open(
	struct op *op, int listen_fd, listener_fn *fn, void *arg, struct listener **out);
void listener_close(struct listener *l);

/* WAITS. */
enum err connect_tcp(struct op *op, const struct address *to, int *out_fd);
enum err connect_unix(struct op *op, const char *path, int type, int *out_fd);

/* ---- seqpacket messages with descriptors: what ipc/ is made of ---- */

#define PACKET_FDS_MAX   4
#define PACKET_BYTES_MAX 65536
struct packet {
	struct str bytes;
	int fds[PACKET_FDS_MAX]; /* owned by the receiver; unused: -1 */
	size_t fd_count;
};
/* WAITS. Sends one message; descriptors stay the caller's. */
enum err packet_send(struct op *op, struct watch *w, const struct packet *p);
/* WAITS. Receives one into the op's arena. ERR_NOT_FOUND: the peer closed. */
enum err packet_receive(struct op *op, struct watch *w, struct packet *out);
