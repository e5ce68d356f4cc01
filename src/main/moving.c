/* SPDX-License-Identifier: Apache-2.0 */
#include "main/moving.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "event/event.h"
#include "service/imap/frozen.h"
#include "service/imap/imap.h"
#include "task/task.h"

#define SENDERS 16
/* A message has room for this and its other fields. */
#define BYTES_MAX (60 << 10)
#define SETTLE_US (500 * US_PER_MS)
#define STEP_US   (20 * US_PER_MS)
#define ONE_US    (20 * US_PER_SEC)

struct traveller {
	struct list link;
	int fd; /* owned */
	struct buf bytes;
};
struct moving {
	struct ipc_client *successor;
	struct list waiting;
	size_t count; /* waiting or being sent */
	unsigned senders;
};

struct moving *moving_new(struct str socket)
{
	struct moving *m = MEM_NEW(struct moving);
	m->successor = ipc_client_new(socket);
	list_init(&m->waiting);
	return m;
}

static void traveller_free(struct traveller *t)
{
	list_remove(&t->link);
	if (t->fd >= 0)
		close(t->fd);
	buf_done(&t->bytes);
	mem_free(t);
}

/* As imap_freeze() gives it. */
static enum err collect(void *arg, int fd, struct str bytes)
{
	struct moving *m = arg;
	struct traveller *t = MEM_NEW(struct traveller);
	t->fd = fd;
	buf_put(&t->bytes, bytes);
	list_add_last(&m->waiting, &t->link);
	m->count++;
	return ERR_NONE;
}

void moving_collect(struct op *op, struct moving *m, struct imap *imap)
{
	int64_t until_us = now_us() + SETTLE_US;
	for (;;) {
		size_t given;
		if (imap_freeze(op, imap, collect, m, &given) != ERR_NONE ||
			imap_session_count(imap) == 0 || now_us() >= until_us ||
			task_sleep(op, STEP_US) != ERR_NONE)
			return;
	}
}

/* ---- sending ---- */

static void say_goodbye(const struct traveller *t)
{
	static const char bye[] = "* BYE Server shutting down.\r\n";
	/* A client that does not take even this sees the end of the connection. */
	if (send(t->fd, bye, sizeof(bye) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static enum err send_one(struct op *op, struct moving *m, const struct traveller *t)
{
	struct ipc_message request, reply;
	if (t->bytes.n > BYTES_MAX)
		return op_fail(op, ERR_LIMIT, "a session of %zu bytes cannot move", t->bytes.n);
	ipc_message_init(&request, IPC_MOVED_SESSION);
	ipc_message_init(&reply, IPC_MOVED_SESSION);
	ipc_put_str(&request, "session", buf_str(&t->bytes));
	ipc_put_fd(&request, t->fd);
	enum err e = ipc_call(op, m->successor, &request, &reply);
	ipc_message_done(&request);
	ipc_message_done(&reply);
	return e;
}

static void sender_task(void *arg)
{
	struct moving *m = arg;
	struct traveller *t;
	while ((t = LIST_FIRST(&m->waiting, struct traveller, link)) != NULL) {
		AUTO_ARENA(arena, 0);
		struct op op;
		list_remove(&t->link);
		op_init(&op, &arena, NULL, now_us() + ONE_US);
		if (send_one(&op, m, t) != ERR_NONE) {
			event_send_failure(NULL, EVENT_WARNING, NULL, &op, "moving a session");
			say_goodbye(t);
		}
		traveller_free(t);
		m->count--;
	}
	m->senders--;
}

void moving_start(struct moving *m)
{
	for (size_t i = 0; i < MIN(m->count, SENDERS); i++) {
		m->senders++;
		task_start("move-sessions", sender_task, m);
	}
}

size_t moving_count(const struct moving *m)
{
	return m->count;
}

void moving_free(struct moving *m)
{
	struct traveller *t, *next;
	if (!m || m->senders > 0)
		return; /* the process ends with those who still use it */
	LIST_FOR_EACH(t, next, &m->waiting, struct traveller, link)
	traveller_free(t);
	ipc_client_free(m->successor);
	mem_free(m);
}

/* ---- the successor ---- */

enum err moving_user(struct op *op, const struct ipc_message *request, struct str *out)
{
	struct str bytes;
	struct imap_frozen f;
	if (!ipc_get_str(request, "session", &bytes) || !imap_frozen_parse(bytes, &f))
		return op_fail(op, ERR_INVALID, "a session moved here without its bytes");
	*out = f.user;
	imap_frozen_done(&f);
	return ERR_NONE;
}

enum err moving_take(
	struct op *op, struct ipc_message *request, struct imap *imap, struct store *store)
{
	struct str bytes;
	int fd = ipc_take_fd(request, 0);
	if (fd < 0 || !ipc_get_str(request, "session", &bytes)) {
		if (fd >= 0)
			close(fd);
		return op_fail(op, ERR_INVALID, "a session moved here without its connection");
	}
	return imap_session_thaw(op, imap, store, bytes, fd);
}
