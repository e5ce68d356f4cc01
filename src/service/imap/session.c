/* SPDX-License-Identifier: Apache-2.0 */
/* A session's life: it parks while its client is silent; a task serves what arrives; the mailbox's
 * change wakes it while it idles.
 *
 *   handed over -> served <-> parked -> ended
 *                    ^           |
 *                    +-- input, mailbox changed (IDLE), timer
 *
 * Cost: a command costs one read() and one write() beside what it asks of the store. */
#include <sys/socket.h>
#include <unistd.h>

#include "auth/ticket.h"
#include "ipc/handover.h"
#include "service/imap/imap_private.h"

/* What a running command may still take when the worker stops. */
#define CLOSE_PATIENCE_US (10 * US_PER_SEC)

static void session_ready(void *arg);

static void session_free(struct imap_session *s)
{
	struct imap *imap = s->imap;
	timer_cancel(&s->idle);
	range_set_done(&s->saved_uids);
	list_remove(&s->link);
	imap_append_drop(s);
	imap_unselect(s);
	stream_abandon(s->stream);
	user_unref(s->user);
	event_unref(s->event);
	s->magic = 0;
	mem_free(s);
	imap->session_count--;
	wait_queue_wake_all(&imap->emptied);
}

static void log_end(const struct imap_session *s)
{
	struct stream_counters n = { 0 };
	if (s->stream)
		n = stream_counters(s->stream);
	event_set_int(s->event, "net_in_bytes", (int64_t)n.bytes_in);
	event_set_int(s->event, "net_out_bytes", (int64_t)n.bytes_out);
	event_send(s->event, EVENT_INFO, "mail_user_session_finished",
		"Disconnected: %s in=%" PRIu64 " out=%" PRIu64 " deleted=%" PRIu64
		" expunged=%" PRIu64 " hdr_count=%" PRIu64 " body_count=%" PRIu64,
		s->closing_reason, n.bytes_in, n.bytes_out, s->deleted, s->expunged,
		s->fetched_headers, s->fetched_bodies);
}

/* WAITS. Says the last words, logs, frees. */
static void session_end(struct op *op, struct imap_session *s)
{
	log_end(s);
	struct stream *stream = s->stream;
	s->stream = NULL;
	/* Parsing the client's fate is pointless here: it is gone or going. */
	op->deadline_us = MIN(op->deadline_us, now_us() + 5 * US_PER_SEC);
	(void)stream_close(op, stream);
	session_free(s);
}

/* ---- commands ---- */

static void run_command(struct op *op, struct imap_session *s, struct str text)
{
	struct imap_cursor cursor;
	struct imap_command parsed;
	struct imap_run x = {
		.op = op, .session = s, .cursor = &cursor, .out = stream_output(s->stream)
	};
	imap_cursor_init(&cursor, op->arena, text);
	if (imap_cut_command(&cursor, &parsed) != ERR_NONE) {
		x.tag = imap_frame_tag(&imap_limits_user, text);
		imap_reply_bad_arguments(&x);
		return;
	}
	x.tag = parsed.tag;
	x.name = parsed.name;
	x.is_uid = parsed.is_uid;
	const struct imap_command_row *row = imap_command_find(parsed.name);
	if (!row || (parsed.is_uid && !(row->flags & IMAP_HAS_UID_FORM))) {
		imap_reply_bad(&x, STR("Unknown command."));
		return;
	}
	if ((row->flags & IMAP_NEEDS_SELECTED) && !s->view) {
		imap_reply_bad(&x, STR("No mailbox selected."));
		return;
	}
	op->doing = row->name;
	task_set_doing(user_name(s->user), row->name);
	row->run(&x);
}

void imap_idle_end(struct op *op, struct imap_session *s)
{
	struct str tag = str_dup(op->arena, str_from(s->idle_tag));
	s->idle_tag[0] = '\0';
	if (s->view)
		view_on_change(s->view, NULL, NULL);
	imap_sync(op, s, true);
	imap_put_tagged(stream_output(s->stream), tag, "OK", STR_NONE, STR("Idle completed."));
}

/* RFC 2177: anything but DONE ends IDLE too, with BAD. */
static void idle_refuse(struct op *op, struct imap_session *s)
{
	struct str tag = str_dup(op->arena, str_from(s->idle_tag));
	s->idle_tag[0] = '\0';
	if (s->view)
		view_on_change(s->view, NULL, NULL);
	imap_put_tagged(stream_output(s->stream), tag, "BAD", STR_NONE, STR("Expected DONE."));
}

static void idle_line(struct op *op, struct imap_session *s, struct str line)
{
	if (str_eq_ci(str_trim_right(line), STR("DONE"))) {
		imap_idle_end(op, s);
		return;
	}
	idle_refuse(op, s);
}

static void frame_error(struct imap_session *s, struct str text)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, s->event, TIME_NEVER);
	struct imap_run x = {
		.op = &op,
		.session = s,
		.tag = s->append ? imap_append_tag(s) : imap_frame_tag(&imap_limits_user, text),
		.out = stream_output(s->stream),
	};
	imap_reply_bad(&x, str_from(s->frame.error));
}

/* Acts on what the framing found. False: more input is needed. */
static bool act(struct op *op, struct imap_session *s, enum imap_frame_result found)
{
	struct imap_frame *f = &s->frame;
	struct str text = str_slice(stream_input(s->stream), 0, f->used);
	switch (found) {
	case IMAP_FRAME_MORE:
		return false;
	case IMAP_FRAME_SKIP:
		stream_consume(s->stream, f->used);
		return true;
	case IMAP_FRAME_LITERAL:
		if (f->literal.is_message) {
			imap_append_literal(op, s, str_dup(op->arena, text));
			return true;
		}
		if (f->literal.is_sync)
			imap_put_continue(stream_output(s->stream), STR("OK"));
		imap_frame_accept(f);
		return true;
	case IMAP_FRAME_COMPLETE:
		text = str_dup(op->arena, text);
		stream_consume(s->stream, f->used);
		if (s->idle_tag[0])
			idle_line(op, s, text);
		else if (s->append)
			imap_append_finish(op, s, text);
		else
			run_command(op, s, text);
		return true;
	case IMAP_FRAME_ERROR:
		if (s->idle_tag[0]) /* an endless line */
			idle_refuse(op, s);
		else
			frame_error(s, text);
		imap_append_drop(s);
		stream_consume(s->stream, f->used);
		return true;
	case IMAP_FRAME_FATAL:
		imap_put_untagged(stream_output(s->stream), "BYE", STR_NONE, str_from(f->error));
		s->closing_reason = "Cannot follow the client's input";
		return true;
	}
	UNREACHABLE();
}

/* Serves what is buffered and what else has arrived, each command with an op of its own. */
static void serve_input(struct arena *arena, struct imap_session *s)
{
	struct op op;
	bool got;
	while (!s->closing_reason && !s->imap->is_closing) {
		arena_reset(arena);
		op_init(&op, arena, s->event, now_us() + IMAP_IDLE_OUT_US);
		enum imap_frame_result found =
			imap_frame_feed(&s->frame, &imap_limits_user, stream_input(s->stream));
		if (act(&op, s, found)) {
			op.deadline_us = now_us() + IMAP_PROGRESS_US;
			if (!s->closing_reason && stream_write_check(&op, s->stream) != ERR_NONE)
				s->closing_reason = "Connection lost while sending";
			task_breathe();
			continue;
		}
		enum err e = stream_read_ready(&op, s->stream, &got);
		if (e == ERR_NONE && !got)
			return;
		if (e == ERR_LIMIT)
			s->closing_reason = "Command line too long";
		else if (e != ERR_NONE)
			s->closing_reason = "Connection closed";
	}
}

/* ---- parking ---- */

static void set_timer(struct imap_session *s)
{
	int64_t wait_us = IMAP_IDLE_OUT_US;
	if (s->idle_tag[0] && s->imap->idle_notify_us > 0)
		wait_us = MIN(wait_us, s->imap->idle_notify_us);
	timer_set(&s->idle, now_us() + wait_us);
}

static void say_bye_if_closing(struct imap_session *s)
{
	if (!s->imap->is_closing || s->closing_reason)
		return;
	imap_put_untagged(stream_output(s->stream), "BYE", STR_NONE, STR("Server shutting down."));
	s->closing_reason = "Server shutting down";
}

static void session_task(void *arg)
{
	struct imap_session *s = arg;
	struct arena arena;
	struct op op;
	bool is_parked = false;
	CHECK(s, IMAP_SESSION_MAGIC);
	arena_init(&arena, IMAP_COMMAND_ARENA);
	task_set_doing(user_name(s->user), STR("serving"));
	while (!is_parked) {
		if (s->is_woken && s->idle_tag[0]) {
			arena_reset(&arena);
			op_init(&op, &arena, s->event, now_us() + IMAP_PROGRESS_US);
			imap_sync(&op, s, true);
		}
		s->is_woken = false;
		serve_input(&arena, s);
		say_bye_if_closing(s);
		arena_reset(&arena);
		op_init(&op, &arena, s->event, now_us() + IMAP_PROGRESS_US);
		if (stream_flush(&op, s->stream) != ERR_NONE && !s->closing_reason)
			s->closing_reason = "Connection lost while sending";
		if (s->closing_reason) {
			session_end(&op, s);
			break;
		}
		set_timer(s);
		/* A change that came while this task ran is told now, not at the next one. */
		is_parked = !s->is_woken && !s->imap->is_closing &&
			    stream_park(s->stream, session_ready, s);
	}
	if (is_parked)
		s->task = (struct task_handle){ 0 }; /* until then nobody may start another one */
	arena_done(&arena);
}

static void session_ready(void *arg)
{
	struct imap_session *s = arg;
	CHECK(s, IMAP_SESSION_MAGIC);
	s->task = task_start("imap", session_task, s);
}

/* From the loop, no wait. */
static void session_wake(struct imap_session *s)
{
	if (task_is_alive(s->task))
		return;
	stream_unpark(s->stream);
	session_ready(s);
}

static void session_timer(void *arg)
{
	struct imap_session *s = arg;
	if (task_is_alive(s->task))
		return; /* it sets the timer again when it parks */
	if (s->idle_tag[0]) {
		imap_put_untagged(stream_output(s->stream), "OK", STR_NONE, STR("Still here"));
	} else {
		imap_put_untagged(stream_output(s->stream), "BYE", STR_NONE,
			STR("Disconnected for inactivity."));
		s->closing_reason = "Inactivity";
	}
	session_wake(s);
}

/* ---- IDLE ---- */

static void mailbox_changed(void *arg)
{
	struct imap_session *s = arg;
	CHECK(s, IMAP_SESSION_MAGIC);
	s->is_woken = true;
	session_wake(s);
}

/* RFC 2177 */
void imap_command_idle(struct imap_run *x)
{
	struct imap_session *s = x->session;
	if (imap_parse_none(x->cursor) != ERR_NONE || x->tag.n > IMAP_TAG_MAX) {
		imap_reply_bad_arguments(x);
		return;
	}
	memcpy(s->idle_tag, x->tag.p, x->tag.n);
	s->idle_tag[x->tag.n] = '\0';
	imap_frame_expect_line(&s->frame);
	imap_put_continue(x->out, STR("idling"));
	imap_sync(x->op, s, true);
	if (s->view)
		view_on_change(s->view, mailbox_changed, s);
}

/* ---- beginning ---- */

static size_t sessions_like(
	const struct imap *imap, const struct user *u, const struct address *remote)
{
	const struct imap_session *s, *next;
	size_t n = 0;
	LIST_FOR_EACH(s, next, &imap->sessions, const struct imap_session, link)
	{
		n += s->user == u && address_equal_ip(&s->remote, remote);
	}
	return n;
}

static void greet(struct imap_session *s, const struct handover *h)
{
	AUTO_BUF(code, 0);
	if (h->wants_capability) {
		buf_put(&code, STR("CAPABILITY "));
		buf_put(&code, buf_str(&s->imap->capability));
	}
	imap_put_tagged(stream_output(s->stream), h->reply_tag, "OK",
		code.n ? buf_str(&code) : STR_NONE, STR("Logged in"));
}

static struct event *make_event(const struct handover *h, struct user *u)
{
	AUTO_ARENA(arena, 0);
	struct event *e = event_new(NULL, "imap");
	struct str user = user_name(u);
	event_set_str(e, "user", user);
	event_set_str(e, "session", h->session_id);
	event_set_str(e, "remote_ip", address_dup(&arena, &h->remote));
	event_set_prefix(e, str_printf(&arena, "imap(%.*s)<%d><%.*s>: ", STRF(user), (int)getpid(),
				    STRF(h->session_id)));
	if (h->client_id.n > 0)
		event_send(e, EVENT_INFO, "imap_id_received", "ID sent: %.*s", STRF(h->client_id));
	return e;
}

enum err imap_session_start(struct op *op, struct imap *imap, const struct handover *h,
	const struct ticket *ticket, struct user *u)
{
	(void)ticket; /* per-user settings come with the features that have them */
	if (imap->is_closing) {
		close(h->fd);
		return op_fail(op, ERR_UNAVAILABLE, "this worker is stopping");
	}
	if (imap->userip_max > 0 && sessions_like(imap, u, &h->remote) >= imap->userip_max) {
		close(h->fd);
		(void)op_fail(op, ERR_LIMIT, "too many sessions of this user and address");
		op_tell_client(op,
			"Maximum number of connections from user+IP exceeded "
			"(mail_max_userip_connections=%u)",
			imap->userip_max);
		return ERR_LIMIT;
	}
	struct stream *stream;
	TRY(stream_new(op, h->fd, IMAP_INPUT_MAX, &stream));
	stream_set_addresses(stream, h->local, h->remote);
	if (h->input.n > 0) {
		enum err e = stream_prepend_input(op, stream, h->input);
		if (e != ERR_NONE) {
			stream_abandon(stream);
			return e;
		}
	}
	struct imap_session *s = MEM_NEW(struct imap_session);
	s->magic = IMAP_SESSION_MAGIC;
	s->imap = imap;
	s->user = user_ref(u);
	s->stream = stream;
	s->remote = h->remote;
	s->event = make_event(h, u);
	memcpy(s->session_id, h->session_id.p, MIN(h->session_id.n, sizeof(s->session_id) - 1));
	imap_frame_init(&s->frame);
	range_set_init(&s->saved_uids);
	timer_init(&s->idle, session_timer, s);
	list_add_last(&imap->sessions, &s->link);
	imap->session_count++;
	greet(s, h);
	session_ready(s);
	return ERR_NONE;
}

/* ---- the service ---- */

size_t imap_session_count(const struct imap *imap)
{
	return imap->session_count;
}

void imap_close(struct op *op, struct imap *imap)
{
	struct imap_session *s, *next;
	AUTO_ARENA(arena, 0);
	struct op patience;
	imap->is_closing = true;
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		/* One that runs a command answers it first, then sees that it is over. */
		session_wake(s);
	}
	op_init(&patience, &arena, NULL, MIN(op->deadline_us, now_us() + CLOSE_PATIENCE_US));
	while (imap->session_count > 0 && wait_queue_wait(&patience, &imap->emptied) == ERR_NONE)
		continue;
	/* Clients that do not take their answers, or do not send their mail to its end. */
	LIST_FOR_EACH(s, next, &imap->sessions, struct imap_session, link)
	{
		task_cancel(s->task);
	}
	while (imap->session_count > 0 && wait_queue_wait(op, &imap->emptied) == ERR_NONE)
		continue;
	if (imap->session_count > 0)
		return; /* out of time: the process ends now, and its sessions with it */
	buf_done(&imap->capability);
	mem_free(imap);
}
