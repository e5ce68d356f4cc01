/* SPDX-License-Identifier: Apache-2.0 */
/* What tools ask the auth process, from their end. */
#include <stdlib.h>
#include <unistd.h>

#include "auth/client.h"
#include "auth/message_private.h"

#define LIST_BYTES_MAX (1 << 30)

static enum err inspect(struct op *op, struct ipc_client *auth, const struct auth_request *r,
	bool is_userdb, struct auth_facts *out)
{
	struct ipc_message request, reply;
	struct str user = STR("");
	ipc_message_init(&request, IPC_AUTH_INSPECT);
	ipc_message_init(&reply, IPC_AUTH_INSPECT);
	auth_message_put_request(&request, r);
	ipc_put_int(&request, "userdb", is_userdb);
	enum err e = ipc_call(op, auth, &request, &reply);
	if (e == ERR_NONE) {
		(void)ipc_get_str(&reply, "user", &user); /* auth always says it */
		out->user = str_dup(op->arena, user);
		auth_message_get_fields(
			op->arena, &reply, "key", "value", &out->fields, &out->field_count);
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

enum err auth_client_passdb(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_facts *out)
{
	return inspect(op, auth, request, false, out);
}

enum err auth_client_userdb(struct op *op, struct ipc_client *auth,
	const struct auth_request *request, struct auth_facts *out)
{
	return inspect(op, auth, request, true, out);
}

/* ---- all users ---- */

static int compare(const void *a_, const void *b_)
{
	const struct str *a = a_, *b = b_;
	return str_cmp(*a, *b);
}

static void sort_lines(struct op *op, struct str lines, struct buf *out)
{
	struct str rest = lines, line;
	size_t count = 0;
	while (str_cut_line(&rest, &line))
		count++;
	struct str *names = ARENA_NEW_ARRAY(op->arena, struct str, count + 1);
	rest = lines;
	for (size_t i = 0; str_cut_line(&rest, &line); i++)
		names[i] = line;
	qsort(names, count, sizeof(*names), compare);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && str_eq(names[i], names[i - 1]))
			continue;
		buf_put(out, names[i]);
		buf_put_byte(out, '\n');
	}
}

static enum err read_list(struct op *op, int fd, struct buf *out)
{
	AUTO_BUF(lines, 0);
	off_t size = lseek(fd, 0, SEEK_END);
	if (size < 0 || size > LIST_BYTES_MAX)
		return op_fail(op, ERR_UNAVAILABLE, "the list of users is unreadable");
	char *room = buf_reserve(&lines, (size_t)size + 1);
	ssize_t n = pread(fd, room, (size_t)size, 0);
	if (n != size)
		return op_fail_errno(op, "read the list of users");
	buf_grew(&lines, (size_t)n);
	sort_lines(op, buf_str(&lines), out);
	return ERR_NONE;
}

enum err auth_client_list(
	struct op *op, struct ipc_client *auth, struct str service, struct buf *out)
{
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_AUTH_LIST);
	ipc_message_init(&reply, IPC_AUTH_LIST);
	ipc_put_str(&request, "service", service);
	enum err e = ipc_call(op, auth, &request, &reply);
	if (e == ERR_NONE) {
		int fd = ipc_take_fd(&reply, 0);
		e = fd < 0 ? op_fail(op, ERR_UNAVAILABLE, "auth sent no list")
			   : read_list(op, fd, out);
		if (fd >= 0)
			close(fd);
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

/* ---- the cache ---- */

enum err auth_client_cache_flush(
	struct op *op, struct ipc_client *auth, struct str names, uint64_t *out_count)
{
	struct ipc_message request, reply;
	int64_t count = 0;
	ipc_message_init(&request, IPC_AUTH_CACHE_FLUSH);
	ipc_message_init(&reply, IPC_AUTH_CACHE_FLUSH);
	ipc_put_str(&request, "users", names);
	enum err e = ipc_call(op, auth, &request, &reply);
	if (e == ERR_NONE) {
		(void)ipc_get_int(&reply, "count", &count); /* auth always says it */
		*out_count = (uint64_t)count;
	}
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

static uint64_t number(const struct ipc_message *m, const char *key)
{
	int64_t value = 0;
	(void)ipc_get_int(m, key, &value); /* absent: 0 */
	return (uint64_t)value;
}

enum err auth_client_cache_status(
	struct op *op, struct ipc_client *auth, bool resets, struct auth_cache_status *out)
{
	struct ipc_message request, reply;
	ipc_message_init(&request, IPC_AUTH_CACHE_STATUS);
	ipc_message_init(&reply, IPC_AUTH_CACHE_STATUS);
	ipc_put_int(&request, "reset", resets);
	enum err e = ipc_call(op, auth, &request, &reply);
	if (e == ERR_NONE)
		*out = (struct auth_cache_status){
			.hits = number(&reply, "hits"),
			.misses = number(&reply, "misses"),
			.positive_count = number(&reply, "pos_entries"),
			.negative_count = number(&reply, "neg_entries"),
			.positive_bytes = number(&reply, "pos_size"),
			.negative_bytes = number(&reply, "neg_size"),
			.max_bytes = number(&reply, "max_size"),
		};
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}
