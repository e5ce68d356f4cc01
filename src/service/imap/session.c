/* SPDX-License-Identifier: Apache-2.0 */
/* A session's life: it parks while its client is silent or slow; a task serves what arrives; the
 * mailbox's change wakes it while it idles.
 *
 *   handed over -> served <-> parked -> ended        (net/serving.h)
 *
 * A parked session waits for input, or, when it is blocked, for room in the client's window: then it
 * holds at most a burst of output and where its FETCH or APPEND stands.
 * Timer: half an hour of silence, the next "Still here" of IDLE, a minute without progress. */
#include <sys/socket.h>
#include <unistd.h>

#include "auth/ticket.h"
#include "base/account.h"
#include "config/expand.h"
#include "ipc/handover.h"
#include "service/imap/imap_private.h"

#define SESSION_BYTES (64u << 10) /* that a session which does something may hold */

static const struct serving_end inactive = { "Inactivity", "Disconnected for inactivity.", NULL };
static const struct serving_end stuck = { "No progress", NULL, NULL };

/* ---- the end ---- */

void imap_session_free(struct imap_session *s)
{
	struct imap *imap = s->imap;
	serving_done(&s->serving);
	range_set_done(&s->saved_uids);
	list_remove(&s->link);
	imap_append_drop(s);
	imap_fetch_drop(s);
	imap_unselect(s);
	stream_abandon(s->stream);
	user_unref(s->user);
	event_unref(s->event);
	imap_settings_unref(s->settings);
	s->magic = 0;
	mem_free(s);
	imap->session_count--;
	wait_queue_wake_all(&imap->emptied);
}

static struct str number(struct arena *arena, uint64_t n)
{
	return str_printf(arena, "%" PRIu64, n);
}

/* The text of imap_logout_format, or why it cannot be made. */
static struct str logout_text(
	struct op *op, const struct imap_session *s, const struct stream_counters *n)
{
	struct arena *a = op->arena;
	const struct imap_counters *c = &s->counters;
	const struct config_var vars[] = {
		{ STR("input"), number(a, n->bytes_in) },
		{ STR("output"), number(a, n->bytes_out) },
		{ STR("deleted"), number(a, c->deleted) },
		{ STR("expunged"), number(a, c->expunged) },
		{ STR("autoexpunged"), STR("0") },
		{ STR("trashed"), number(a, c->trashed) },
		{ STR("appended"), number(a, c->appended) },
		{ STR("fetch_hdr_count"), number(a, c->headers) },
		{ STR("fetch_hdr_bytes"), number(a, c->header_bytes) },
		{ STR("fetch_body_count"), number(a, c->bodies) },
		{ STR("fetch_body_bytes"), number(a, c->body_bytes) },
		{ STR("user"), user_name(s->user) },
		{ STR("session"), str_from(s->session_id) },
	};
	const struct config_vars all = { .items = vars, .count = ARRAY_COUNT(vars) };
	struct str text;
	enum err e = config_expand(
		op, config_str(s->settings->scope, SET_imap_logout_format), &all, &text);
	return e == ERR_NONE ? text : str_from(op->failure.text);
}

static void log_end(const struct imap_session *s)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	struct stream_counters n = stream_counters(s->stream);
	n.bytes_in += s->counters.bytes_in;
	n.bytes_out += s->counters.bytes_out;
	op_init(&op, &arena, s->event, TIME_NEVER);
	event_set_int(s->event, "net_in_bytes", (int64_t)n.bytes_in);
	event_set_int(s->event, "net_out_bytes", (int64_t)n.bytes_out);
	event_send(s->event, EVENT_INFO, "mail_user_session_finished", "Disconnected: %s %.*s",
		s->closing_reason, STRF(logout_text(&op, s, &n)));
}

/* WAITS. What is queued leaves if the client takes it soon; logs, frees. */
static void session_end(struct op *op, struct imap_session *s)
{
	log_end(s);
	struct stream *stream = s->stream;
	s->stream = NULL;
	op->deadline_us = MIN(op->deadline_us, now_us() + 5 * US_PER_SEC);
	/* The client is gone or going: its fate changes nothing here. */
	(void)stream_close(op, stream);
	imap_session_free(s);
}

/* Decided by a timer or the worker: no wait. */
static void ended(void *owner, const struct serving_end *why)
{
	struct imap_session *s = owner;
	/* In the middle of a mail a line would be taken for part of it. */
	bool may_speak = !s->fetch && !s->is_blocked && !s->closing_reason;
	if (may_speak && why->told)
		imap_put_untagged(
			stream_output(s->stream), "BYE", str_from(why->code), str_from(why->told));
	if (may_speak)
		serving_say(&s->serving);
	if (!s->closing_reason)
		s->closing_reason = why->reason;
	log_end(s);
	imap_session_free(s);
}

/* ---- bursts ---- */

static uint64_t moved_bytes(const struct imap_session *s)
{
	struct stream_counters n = stream_counters(s->stream);
	return n.bytes_in + n.bytes_out;
}

static bool is_slow(const struct imap_session *s)
{
	return s->is_blocked || s->fetch || s->append;
}

/* Whether a slow client has neither sent nor taken anything for too long. */
static bool is_stuck(const struct imap_session *s)
{
	return s->progress == moved_bytes(s) && now_us() >= s->progress_us + IMAP_PROGRESS_US;
}

static void set_timer(struct imap_session *s)
{
	int64_t wait_us = IMAP_IDLE_OUT_US;
	if (s->idle_tag[0] && s->settings->idle_notify_us > 0)
		wait_us = MIN(wait_us, s->settings->idle_notify_us);
	if (!is_slow(s) || s->progress != moved_bytes(s))
		s->progress_us = now_us();
	s->progress = moved_bytes(s);
	if (is_slow(s))
		wait_us = MAX(s->progress_us + IMAP_PROGRESS_US - now_us(), 0);
	serving_expire_in(&s->serving, wait_us);
}

/* WAITS for a moment. False: the output of the last burst still stands. */
static bool send_output(struct op *op, struct imap_session *s)
{
	op->deadline_us = now_us() + IMAP_PATIENCE_US;
	enum err e = stream_flush(op, s->stream);
	s->is_blocked = e == ERR_TIMEOUT;
	if (e != ERR_NONE && e != ERR_TIMEOUT && !s->closing_reason)
		s->closing_reason = "Connection lost while sending";
	return e == ERR_NONE;
}

/* WAITS. A blocked client must take what there is before anything else is done for it. */
static bool was_unblocked(struct op *op, struct imap_session *s)
{
	bool is_done = true, got = true;
	if (!s->is_blocked)
		return true;
	enum err e = stream_flush_ready(op, s->stream, &is_done);
	/* What it sends meanwhile is kept, so that the stream may park. */
	while (e == ERR_NONE && !is_done && got && !s->closing_reason) {
		enum err r = stream_read_ready(op, s->stream, &got);
		/* Full, or at its end: a stream that cannot park, so it is waited for. */
		if (r == ERR_LIMIT || r == ERR_NOT_FOUND)
			return send_output(op, s);
		if (r != ERR_NONE)
			s->closing_reason = "Connection closed";
	}
	if (e != ERR_NONE)
		s->closing_reason = "Connection lost while sending";
	s->is_blocked = !is_done;
	return e == ERR_NONE && is_done && !s->closing_reason;
}

static void say_bye_if_closing(struct imap_session *s)
{
	if (!s->imap->is_closing || s->closing_reason)
		return;
	if (!is_slow(s) || (s->append && !s->is_blocked))
		imap_put_untagged(
			stream_output(s->stream), "BYE", STR_NONE, STR("Server shutting down."));
	s->closing_reason = "Server shutting down";
}

/* WAITS. */
static void serve_burst(struct arena *arena, struct imap_session *s)
{
	struct op op;
	op_init(&op, arena, s->event, now_us() + IMAP_PROGRESS_US);
	if (!was_unblocked(&op, s)) {
		if (is_stuck(s) && !s->closing_reason)
			s->closing_reason = stuck.reason;
		return;
	}
	if (s->fetch)
		imap_fetch_resume(s);
	if (s->fetch || s->closing_reason)
		return;
	if (s->is_woken && s->idle_tag[0]) {
		s->is_woken = false;
		imap_sync(&op, s, true);
	}
	imap_serve_input(arena, s);
}

static bool serve(struct arena *arena, void *owner)
{
	struct imap_session *s = owner;
	struct op op;
	CHECK(s, IMAP_SESSION_MAGIC);
	serving_expire_never(&s->serving);
	task_set_doing(user_name(s->user), STR("serving"));
	serve_burst(arena, s);
	say_bye_if_closing(s);
	if (task_is_cancelled())
		return true;
	arena_reset(arena);
	op_init(&op, arena, s->event, now_us() + IMAP_PATIENCE_US);
	if (!s->is_blocked && !s->closing_reason)
		(void)send_output(&op, s); /* an error is the closing_reason */
	if (s->closing_reason) {
		op.deadline_us = now_us() + IMAP_PROGRESS_US;
		session_end(&op, s);
		return false;
	}
	set_timer(s);
	return true;
}

static void expired(void *owner)
{
	struct imap_session *s = owner;
	if (is_slow(s) && !is_stuck(s)) {
		set_timer(s);
	} else if (is_slow(s)) {
		serving_end(&s->serving, &stuck);
	} else if (s->idle_tag[0]) {
		imap_put_untagged(stream_output(s->stream), "OK", STR_NONE, STR("Still here"));
		serving_wake(&s->serving);
	} else {
		serving_end(&s->serving, &inactive);
	}
}

static const struct serving_kind imap_serving = {
	.task_name = "imap",
	.arena_bytes_max = IMAP_COMMAND_ARENA,
	.serve = serve,
	.expired = expired,
	.end = ended,
};

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
		buf_put(&code, buf_str(&s->settings->capability));
	}
	imap_put_tagged(stream_output(s->stream), h->reply_tag, "OK",
		code.n ? buf_str(&code) : STR_NONE, STR("Logged in"));
	s->measure.out_mark = stream_output(s->stream)->n;
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

/* May this user have one more from there? */
static enum err admit(
	struct op *op, const struct imap *imap, const struct handover *h, const struct user *u)
{
	uint32_t max = imap->settings->userip_max;
	if (imap->is_closing)
		return op_fail(op, ERR_UNAVAILABLE, "this worker is stopping");
	TRY(account_admit(op, SESSION_BYTES));
	if (max == 0 || sessions_like(imap, u, &h->remote) < max)
		return ERR_NONE;
	(void)op_fail(op, ERR_LIMIT, "too many sessions of this user and address");
	op_tell_client(op,
		"Maximum number of connections from user+IP exceeded "
		"(mail_max_userip_connections=%u)",
		max);
	return ERR_LIMIT;
}

/* The rest of what a session is, with its stream. */
static struct imap_session *session_new(
	struct imap *imap, const struct handover *h, struct user *u, struct stream *stream)
{
	struct imap_session *s = MEM_NEW(struct imap_session);
	s->magic = IMAP_SESSION_MAGIC;
	s->imap = imap;
	s->settings = imap_settings_ref(imap->settings);
	s->user = user_ref(u);
	s->stream = stream;
	s->remote = h->remote;
	s->event = make_event(h, u);
	memcpy(s->session_id, h->session_id.p, MIN(h->session_id.n, sizeof(s->session_id) - 1));
	imap_frame_init(&s->frame);
	range_set_init(&s->saved_uids);
	serving_init(&s->serving, &imap_serving, s, &s->stream);
	list_add_last(&imap->sessions, &s->link);
	imap->session_count++;
	return s;
}

enum err imap_session_make(struct op *op, struct imap *imap, const struct handover *h,
	struct user *u, struct imap_session **out)
{
	struct stream *stream;
	/* A command, and what a client sends behind it. */
	size_t input_max = imap->settings->limits.command_bytes + (8u << 10);
	TRY(stream_new(op, h->fd, MAX(input_max, h->input.n), &stream));
	stream_set_addresses(stream, h->local, h->remote);
	enum err e = h->input.n > 0 ? stream_prepend_input(op, stream, h->input) : ERR_NONE;
	if (e != ERR_NONE) {
		stream_abandon(stream);
		return e;
	}
	*out = session_new(imap, h, u, stream);
	return ERR_NONE;
}

enum err imap_session_start(struct op *op, struct imap *imap, const struct handover *h,
	const struct ticket *ticket, struct user *u)
{
	struct imap_session *s;
	(void)ticket; /* per-user settings come with the features that have them */
	enum err e = admit(op, imap, h, u);
	if (e != ERR_NONE) {
		close(h->fd);
		return e;
	}
	TRY(imap_session_make(op, imap, h, u, &s));
	greet(s, h);
	serving_start(&s->serving);
	return ERR_NONE;
}
