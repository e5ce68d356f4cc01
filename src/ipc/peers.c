/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/peers.h"

void peers_init(struct peers *p, const struct shared_page *shared, struct str auth_socket,
	peers_mail_socket_fn *mail_socket, void *arg)
{
	*p = (struct peers){
		.auth = ipc_client_new(auth_socket),
		.shared = shared,
		.mail_socket = mail_socket,
		.arg = arg,
	};
}

void peers_done(struct peers *p)
{
	ipc_client_free(p->auth);
	for (uint32_t slot = 0; slot < SHARED_SLOTS_MAX; slot++)
		ipc_client_free(p->mail[slot]);
	*p = (struct peers){ 0 };
}

struct ipc_client *peers_mail(struct peers *p, struct str user)
{
	uint32_t slot = shared_worker_of(p->shared, user);
	ASSERT(slot < SHARED_SLOTS_MAX);
	if (!p->mail[slot]) {
		AUTO_ARENA(arena, 0);
		p->mail[slot] = ipc_client_new(p->mail_socket(&arena, slot, p->arg));
	}
	return p->mail[slot];
}
