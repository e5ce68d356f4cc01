/* SPDX-License-Identifier: Apache-2.0 */
/* doveadm metacache pull: a user's local state from the host that had him before.
 *
 *   here: hold him -> call the other host -> "metacache send" -> his files -> let go [-> "metacache sent"]
 *   there: end his sessions -> close him -> hold him -> send -> let go
 *
 * The source keeps everybody from opening him while it sends; afterwards his heads say where he is. Whether the
 * files are current the next opening decides (store README, invariant 5). Spec: storage sheet §12.5,
 * cluster sheet §18.4. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "event/event.h"
#include "ipc/ipc.h"
#include "main/mail_admin_private.h"
#include "net/net.h"
#include "service/doveadm/doveadm_service.h"
#include "service/imap/imap.h"
#include "store/metacache.h"
#include "store/store.h"
#include "task/task.h"

#define PIECE_BYTES (256 << 10)
#define PIECE_US    (10 * US_PER_SEC) /* a reader who takes nothing for so long has gone */
#define INPUT_BYTES 4096
#define AGAIN_US    (US_PER_SEC / 10)
#define KICK_US     (20 * US_PER_SEC)
/* Of a source, which ends sessions before it answers, and then sends: the user waits here meanwhile. */
#define ANSWER_US (KICK_US + 40 * US_PER_SEC)
#define STALL_US  (30 * US_PER_SEC)

static struct event *pull_event(const struct admin_call *c, const char *type, struct str host)
{
	struct event *event = event_new(NULL, "metacache");
	event_set_str(event, "user", c->user);
	event_set_str(event, "type", str_from(type));
	if (host.n > 0)
		event_set_str(event, "source_host", host);
	return event;
}

static void say_finished(struct event *event, const struct op *op, enum err e, const char *what,
	uint64_t files, uint64_t bytes)
{
	event_set_int(event, "exit_code", e);
	event_set_int(event, "files", (int64_t)files);
	event_set_int(event, "bytes", (int64_t)bytes);
	if (e != ERR_NONE)
		event_set_str(event, "error", str_from(op->failure.text));
	if (e == ERR_NONE)
		event_send(event, EVENT_INFO, "metacache_pull_finished",
			"%s: %" PRIu64 " files, %" PRIu64 " bytes", what, files, bytes);
	else
		event_send(event, EVENT_WARNING, "metacache_pull_finished", "%s: %s", what,
			op->failure.text);
	event_unref(event);
}

/* ---- the source ---- */

struct sending {
	struct metacache_parcel *parcel;
	struct event *event;
	int fd;
};

/* WAITS. */
static enum err send_parcel(struct op *op, struct sending *s)
{
	struct stream *out;
	AUTO_BUF(piece, 0);
	int fd = s->fd;
	s->fd = -1;
	TRY(stream_new(op, fd, INPUT_BYTES, &out));
	enum err e = ERR_NONE;
	do {
		buf_clear(&piece);
		op->deadline_us = now_us() + PIECE_US;
		e = metacache_parcel_read(op, s->parcel, &piece, PIECE_BYTES);
		if (e == ERR_NONE && piece.n > 0)
			e = stream_write(op, out, buf_str(&piece));
		if (e == ERR_NONE)
			e = stream_flush(op, out);
	} while (e == ERR_NONE && piece.n > 0);
	stream_abandon(out);
	return e;
}

static void sending_task(void *arg)
{
	struct sending *s = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, TIME_NEVER);
	uint64_t files = metacache_parcel_files(s->parcel);
	uint64_t bytes = metacache_parcel_bytes(s->parcel);
	enum err e = send_parcel(&op, s);
	metacache_parcel_free(s->parcel);
	say_finished(s->event, &op, e, "local state sent to another host", files, bytes);
	mem_free(s);
}

/* WAITS. Sessions and deliveries that come meanwhile are waited for as well; then nobody can open him. */
static enum err end_and_pack(struct op *op, struct admin_call *c, struct metacache_parcel **out)
{
	bool latest_only = mail_admin_has_option(c, STR("latest-only"));
	int64_t deadline_us = op->deadline_us, until_us = MIN(deadline_us, now_us() + KICK_US);
	enum err e = ERR_CONFLICT;
	while (e == ERR_CONFLICT && now_us() < until_us) {
		op_forgive(op);
		if (!*c->imap)
			return op_fail(op, ERR_UNAVAILABLE, "the worker stops");
		imap_kick(*c->imap, c->user);
		op->deadline_us = until_us;
		e = user_wait_idle(op, c->store, c->user);
		op->deadline_us = deadline_us;
		if (e == ERR_NONE)
			e = metacache_pack(op, c->store, c->user, latest_only, out);
		if (e == ERR_CONFLICT && task_sleep(op, AGAIN_US) != ERR_NONE)
			break;
	}
	return op_within(op, e, "closing %.*s", STRF(c->user));
}

enum err mail_pull_send(struct op *op, struct admin_call *c)
{
	struct metacache_parcel *parcel;
	int pair[2];
	struct event *event = pull_event(c, "server", STR(""));
	event_send(event, EVENT_DEBUG, "metacache_pull_started", "sending local state");
	enum err e = end_and_pack(op, c, &parcel);
	if (e == ERR_NONE && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		e = op_fail_errno(op, "socketpair");
		metacache_parcel_free(parcel);
	}
	if (e != ERR_NONE) {
		say_finished(event, op, e, "local state not sent", 0, 0);
		return e;
	}
	struct sending *s = MEM_NEW(struct sending);
	*s = (struct sending){ .parcel = parcel, .event = event, .fd = pair[0] };
	ipc_put_int(c->reply, "stream", (int64_t)metacache_parcel_bytes(parcel));
	ipc_put_fd(c->reply, pair[1]);
	close(pair[1]);
	task_start("metacache-send", sending_task, s);
	return ERR_NONE;
}

enum err mail_pull_sent(struct op *op, struct admin_call *c)
{
	enum err e = metacache_drop_sent(op, c->store, c->user);
	buf_putf(&c->out, "%.*s\t%s\n", STRF(c->user), e == ERR_NONE ? "done" : err_name(e));
	return e;
}

/* ---- the destination ---- */

static enum err read_bytes(struct op *op, void *arg, char *out, size_t max, size_t *out_n)
{
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + STALL_US);
	enum err e = doveadm_client_read(op, arg, out, max, out_n);
	op->deadline_us = deadline_us;
	return e;
}

/* WAITS. "stream", and how many bytes. */
static enum err read_promise(struct op *op, struct doveadm_client *source, uint64_t *out_bytes)
{
	struct str line;
	bool has_ended = false;
	int64_t deadline_us = op->deadline_us;
	op->deadline_us = MIN(deadline_us, now_us() + ANSWER_US);
	enum err e = doveadm_client_line(op, source, &line, &has_ended);
	op->deadline_us = deadline_us;
	TRY(e);
	if (has_ended || !doveadm_parse_stream(line, out_bytes))
		return op_fail(op, ERR_INVALID, "the other host sends no local state");
	return ERR_NONE;
}

/* WAITS. What is left of the output: nothing but the status. */
static enum err take_status(struct op *op, struct doveadm_client *source)
{
	struct str line;
	bool has_ended = false;
	while (!has_ended)
		TRY(doveadm_client_line(op, source, &line, &has_ended));
	return ERR_NONE;
}

/* WAITS. */
static enum err take_parcel(struct op *op, struct admin_call *c, struct doveadm_client *source,
	struct metacache_held *held, struct metacache_received *out)
{
	struct metacache_source from = { .read = read_bytes, .arg = source };
	struct str args[1] = { STR("--latest-only") };
	size_t count = mail_admin_has_option(c, STR("latest-only"));
	TRY(doveadm_client_send(op, source, c->user, STR("metacache send"), args, count));
	TRY(read_promise(op, source, &from.bytes));
	TRY(metacache_receive(op, held, &from, out));
	return take_status(op, source);
}

/* WAITS. */
static enum err pull(struct op *op, struct admin_call *c, struct doveadm_client *source,
	struct metacache_received *out)
{
	struct metacache_held *held;
	TRY(metacache_hold(op, c->store, c->user, &held));
	enum err e = take_parcel(op, c, source, held, out);
	metacache_let_go(held);
	if (e != ERR_NONE || !mail_admin_has_option(c, STR("clean")))
		return e;
	TRY(doveadm_client_send(op, source, c->user, STR("metacache sent"), NULL, 0));
	return op_within(op, take_status(op, source), "pulled, but not removed there");
}

enum err mail_pull(struct op *op, struct admin_call *c)
{
	struct metacache_received got = { 0 };
	struct doveadm_client *source = NULL;
	struct str host = mail_admin_option_value(c, STR("source="));
	struct event *event = pull_event(c, "client", host);
	event_send(event, EVENT_DEBUG, "metacache_pull_started", "pulling local state from %.*s",
		STRF(host));
	enum err e = doveadm_dial(op, config_scope(c->config, NULL), host, &source);
	if (e == ERR_NONE)
		e = pull(op, c, source, &got);
	doveadm_client_close(source);
	buf_putf(&c->out, "%.*s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", STRF(c->user),
		e == ERR_NONE ? "done" : err_name(e), got.mailboxes, got.files, got.bytes);
	say_finished(event, op, e, "local state pulled from another host", got.files, got.bytes);
	return e;
}
