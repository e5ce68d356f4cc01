/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/peers.h - the other roles as seen by a process that faces clients: auth, and the mail workers by
 * user. */
#pragma once

#include "ipc/ipc.h"
#include "ipc/shared.h"

/* Path of a worker's socket, by slot. */
typedef struct str peers_mail_socket_fn(struct arena *a, uint32_t slot, void *arg);
struct peers {
	/* owned */
	struct ipc_client *auth;
	struct ipc_client *mail[SHARED_SLOTS_MAX]; /* by worker slot; NULL: not needed so far */
	/* borrowed */
	const struct shared_page *shared;
	peers_mail_socket_fn *mail_socket;
	void *arg;
};
void peers_init(struct peers *p, const struct shared_page *shared, struct str auth_socket,
	peers_mail_socket_fn *mail_socket, void *arg);
void peers_done(struct peers *p);
/* The worker that serves `user` now; borrowed. */
struct ipc_client *peers_mail(struct peers *p, struct str user);
