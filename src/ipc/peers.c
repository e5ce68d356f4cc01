/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/peers.h"

void peers_init(struct peers *p, const struct shared_page *shared, struct str auth_socket,
	peers_mail_socket_fn *mail_socket, void *arg)
{
	AUTO_ARENA(arena, 0);
	*p = (struct peers){ .shared = shared, .auth = ipc_client_new(auth_socket) };
	for (uint32_t slot = 0; slot < shared->worker_count; slot++)
		p->mail[slot] = ipc_client_new(mail_socket(&arena, slot, arg));
}

void peers_done(struct peers *p)
{
	ipc_client_free(p->auth);
	for (uint32_t slot = 0; slot < SHARED_SLOTS_MAX; slot++)
		ipc_client_free(p->mail[slot]);
	*p = (struct peers){ 0 };
}

struct ipc_client *peers_mail(const struct peers *p, struct str user)
{
	return p->mail[shared_worker_of(p->shared, user)];
}
