/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/handover.h"

enum err handover_send(struct op *op, struct ipc_client *worker, const struct handover *h)
{
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_SESSION);
	ipc_message_init(&reply, IPC_SESSION);
	ipc_put_str(&request, "protocol", h->protocol);
	ipc_put_str(&request, "ticket", h->ticket);
	ipc_put_str(&request, "session", h->session_id);
	ipc_put_str(&request, "tag", h->reply_tag);
	ipc_put_str(&request, "input", h->input);
	ipc_put_address(&request, "local", &h->local);
	ipc_put_address(&request, "remote", &h->remote);
	ipc_put_int(&request, "tls", h->is_tls);
	ipc_put_int(&request, "secured", h->is_secured);
	ipc_put_int(&request, "wants_capability", h->wants_capability);
	ipc_put_str(&request, "tls_protocol", h->tls_protocol);
	ipc_put_str(&request, "tls_cipher", h->tls_cipher);
	ipc_put_str(&request, "client_id", h->client_id);
	ipc_put_fd(&request, h->fd);
	enum err e = ipc_call(op, worker, &request, &reply);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

enum err handover_receive(struct op *op, struct ipc_message *request, struct handover *out)
{
	struct handover h = { .fd = -1 };
	if (!ipc_get_str(request, "protocol", &h.protocol) ||
		!ipc_get_str(request, "ticket", &h.ticket) ||
		!ipc_get_str(request, "session", &h.session_id))
		return op_fail(op, ERR_INVALID,
			"a session was handed over without protocol, ticket or id");
	/* The rest has harmless defaults: empty, none, false. */
	(void)ipc_get_str(request, "tag", &h.reply_tag);
	(void)ipc_get_str(request, "input", &h.input);
	(void)ipc_get_str(request, "tls_protocol", &h.tls_protocol);
	(void)ipc_get_str(request, "tls_cipher", &h.tls_cipher);
	(void)ipc_get_str(request, "client_id", &h.client_id);
	h.local = ipc_get_address(request, "local");
	h.remote = ipc_get_address(request, "remote");
	h.is_tls = ipc_get_bool(request, "tls");
	h.is_secured = ipc_get_bool(request, "secured");
	h.wants_capability = ipc_get_bool(request, "wants_capability");
	h.fd = ipc_take_fd(request, 0);
	if (h.fd < 0)
		return op_fail(op, ERR_INVALID, "a session was handed over without its connection");
	*out = h;
	return ERR_NONE;
}
