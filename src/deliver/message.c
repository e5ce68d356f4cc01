/* SPDX-License-Identifier: Apache-2.0 */
/* A delivery as a message between roles. */
#include "deliver/deliver.h"

enum err deliver_client_send(struct op *op, struct ipc_client *worker, const struct delivery *d,
	struct delivery_result *out)
{
	struct ipc_message request, reply;
	struct str mailbox = STR("");
	int64_t uid = 0;
	ipc_message_init(&request, IPC_DELIVER);
	ipc_message_init(&reply, IPC_DELIVER);
	ipc_put_str(&request, "ticket", d->ticket);
	ipc_put_str(&request, "session", d->session_id);
	ipc_put_str(&request, "sender", d->sender);
	ipc_put_str(&request, "recipient", d->recipient);
	ipc_put_str(&request, "detail", d->detail);
	ipc_put_str(&request, "head", d->head);
	ipc_put_int(&request, "size", (int64_t)d->size_bytes);
	ipc_put_int(&request, "received", d->received_wall_us);
	if (d->fd < 0)
		ipc_put_str(&request, "mail", d->mail);
	else
		ipc_put_fd(&request, d->fd);
	enum err e = ipc_call(op, worker, &request, &reply);
	*out = (struct delivery_result){ .mailbox = STR(""), .is_logged = reply.is_logged };
	if (e == ERR_NONE) {
		/* For the log alone: a worker that does not tell has saved the mail all the same. */
		(void)ipc_get_str(&reply, "mailbox", &mailbox);
		(void)ipc_get_int(&reply, "uid", &uid);
		*out = (struct delivery_result){
			.mailbox = str_dup(op->arena, mailbox),
			.uid = (uint32_t)uid,
		};
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

enum err deliver_receive(struct op *op, struct ipc_message *request, struct delivery *out)
{
	struct delivery d = { .fd = -1 };
	int64_t size_bytes;
	/* Not INVALID: the mail may be fine, and it will come again. */
	if (!ipc_get_str(request, "ticket", &d.ticket) ||
		!ipc_get_str(request, "session", &d.session_id) ||
		!ipc_get_str(request, "recipient", &d.recipient) ||
		!ipc_get_int(request, "size", &size_bytes) || size_bytes < 0)
		return op_fail(op, ERR_UNAVAILABLE,
			"a delivery came without ticket, session, recipient or size");
	d.size_bytes = (uint64_t)size_bytes;
	/* The rest has harmless defaults: empty, the null sender, now. */
	(void)ipc_get_str(request, "sender", &d.sender);
	(void)ipc_get_str(request, "detail", &d.detail);
	(void)ipc_get_str(request, "head", &d.head);
	(void)ipc_get_int(request, "received", &d.received_wall_us);
	d.fd = ipc_take_fd(request, 0);
	if (d.fd < 0 && (!ipc_get_str(request, "mail", &d.mail) || d.mail.n != d.size_bytes))
		return op_fail(op, ERR_UNAVAILABLE,
			"a delivery came without its mail: no descriptor was left in the sender?");
	*out = d;
	return ERR_NONE;
}

void deliver_reply(struct ipc_message *reply, const struct delivery_result *result)
{
	ipc_put_str(reply, "mailbox", result->mailbox);
	ipc_put_int(reply, "uid", result->uid);
}
