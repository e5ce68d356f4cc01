/* SPDX-License-Identifier: Apache-2.0 */
/* What tools ask the auth process: fields of a user, all users, the cache. */
#include <sys/mman.h>
#include <unistd.h>

#include "auth/client.h"
#include "auth/message_private.h"
#include "auth/serve_private.h"
#include "base/file.h"

static enum err serve_inspect(
	struct op *op, struct auth *a, const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_request r = auth_message_get_request(request);
	struct auth_result result;
	bool is_userdb = ipc_get_bool(request, "userdb");
	TRY(is_userdb ? auth_lookup(op, a, &r, &result) : auth_inspect(op, a, &r, &result));
	ipc_put_str(reply, "user", result.user);
	if (is_userdb)
		auth_message_put_fields(reply, "key", "value", result.fields, result.field_count);
	else
		auth_message_put_fields(
			reply, "key", "value", result.login_fields, result.login_field_count);
	return ERR_NONE;
}

/* The names go in a memory file: a message would be too small. */
static enum err serve_list(
	struct op *op, struct auth *a, const struct ipc_message *request, struct ipc_message *reply)
{
	AUTO_BUF(names, 0);
	struct str service = STR("");
	(void)ipc_get_str(request, "service", &service); /* absent: nobody's in particular */
	TRY(auth_list(op, a, service, &names));
	int fd = memfd_create("users", MFD_CLOEXEC);
	if (fd < 0)
		return op_fail_errno(op, "memfd_create");
	enum err e = file_write_all(op, fd, buf_str(&names));
	if (e == ERR_NONE)
		ipc_put_fd(reply, fd);
	close(fd);
	return e;
}

static void serve_status(
	struct auth *a, const struct ipc_message *request, struct ipc_message *reply)
{
	struct auth_cache_status s = auth_cache_figures(a, ipc_get_bool(request, "reset"));
	ipc_put_int(reply, "hits", (int64_t)s.hits);
	ipc_put_int(reply, "misses", (int64_t)s.misses);
	ipc_put_int(reply, "pos_entries", (int64_t)s.positive_count);
	ipc_put_int(reply, "neg_entries", (int64_t)s.negative_count);
	ipc_put_int(reply, "pos_size", (int64_t)s.positive_bytes);
	ipc_put_int(reply, "neg_size", (int64_t)s.negative_bytes);
	ipc_put_int(reply, "max_size", (int64_t)s.max_bytes);
}

enum err auth_serve_tool(struct op *op, struct auth *a, const struct ipc_peer *peer,
	struct ipc_message *request, struct ipc_message *reply)
{
	struct str patterns = STR("");
	if (peer->uid != 0 && peer->uid != geteuid())
		return op_fail(op, ERR_DENIED, "user %u may not ask this of auth", peer->uid);
	switch ((int)request->type) {
	case IPC_AUTH_INSPECT:
		return serve_inspect(op, a, request, reply);
	case IPC_AUTH_LIST:
		return serve_list(op, a, request, reply);
	case IPC_AUTH_CACHE_FLUSH:
		(void)ipc_get_str(request, "users", &patterns); /* absent: everybody */
		ipc_put_int(reply, "count", (int64_t)auth_cache_flush(a, patterns));
		return ERR_NONE;
	case IPC_AUTH_CACHE_STATUS:
		serve_status(a, request, reply);
		return ERR_NONE;
	default:
		return op_fail(op, ERR_UNSUPPORTED, "auth does not take messages of type %d",
			(int)request->type);
	}
}
