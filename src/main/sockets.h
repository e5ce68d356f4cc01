/* SPDX-License-Identifier: Apache-2.0 */
/* main/sockets.h - every listening socket of the platform, by its address.
 *
 * Sockets come from us (bound), from systemd (LISTEN_FDS) or from the master before an upgrade; who
 * needs an address takes the socket that is there, so that no connection is refused in between.
 *
 * Life:   sockets_adopt()... -> sockets_begin() -> sockets_tcp(), sockets_unix() for all that the
 *         configuration wants -> sockets_commit() or sockets_rollback(); again at each reload. */
#pragma once

#include <sys/socket.h>

#include "base/base.h"
#include "net/address.h"

#define SOCKETS_MAX 512

struct listening_socket {
	char address[128]; /* "127.0.0.1:143", "[::1]:143", "/run/pombal/lmtp" */
	int type;          /* SOCK_STREAM, SOCK_SEQPACKET */
	int fd;            /* owned */
	bool is_wanted;    /* since sockets_begin() */
	bool is_new;       /* made since then */
	bool is_given;     /* by systemd, which keeps its path and its own descriptor */
};
struct sockets {
	struct listening_socket items[SOCKETS_MAX];
	size_t count;
};

/* Takes `fd`, which listens already. ERR_INVALID: it does not. */
enum err sockets_adopt(struct op *op, struct sockets *s, int fd, bool is_given);
/* Those that systemd passed (sd_listen_fds(3)). */
enum err sockets_adopt_environment(struct op *op, struct sockets *s);

void sockets_begin(struct sockets *s);
/* The descriptor is borrowed until a later sockets_commit() that does not want it. */
enum err sockets_tcp(struct op *op, struct sockets *s, const struct address *at, int *out_fd);
enum err sockets_unix(
	struct op *op, struct sockets *s, const char *path, int type, unsigned mode, int *out_fd);
/* Closes what is not wanted any more. */
void sockets_commit(struct sockets *s);
/* Closes what was made since sockets_begin(). */
void sockets_rollback(struct sockets *s);
void sockets_close(struct sockets *s);
