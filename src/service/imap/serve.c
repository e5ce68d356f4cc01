/* SPDX-License-Identifier: Apache-2.0 */
/* From bytes to commands: asks the framing what has come, runs it, and stops when the client does not
 * take its answers.
 *
 * Cost: a command costs one read() and one write() beside what it asks of the store. */
#include "service/imap/imap_private.h"

#define LITERAL_MINUS_BYTES 4096 /* RFC 7888 §5 */

static void run_command(struct op *op, struct imap_session *s, struct str text)
{
	struct imap_cursor cursor;
	struct imap_command parsed;
	struct imap_run x = {
		.op = op, .session = s, .cursor = &cursor, .out = stream_output(s->stream)
	};
	imap_cursor_init(&cursor, op->arena, text);
	if (imap_cut_command(&cursor, &parsed) != ERR_NONE) {
		x.tag = imap_frame_tag(&s->settings->limits, text);
		imap_reply_bad_arguments(&x);
		return;
	}
	x.tag = parsed.tag;
	x.name = parsed.name;
	x.is_uid = parsed.is_uid;
	x.args = str_trim(cursor.rest);
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
	if (row->run != imap_command_fetch && row->run != imap_command_noop)
		s->row = (struct imap_row){ 0 };
	row->run(&x);
}

static void frame_error(struct imap_session *s, struct str text, const char *why)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, s->event, TIME_NEVER);
	struct imap_run x = {
		.op = &op,
		.session = s,
		.tag = s->append ? imap_append_tag(s) : imap_frame_tag(&s->settings->limits, text),
		.out = stream_output(s->stream),
	};
	imap_reply_bad(&x, str_from(why));
}

/* A literal of LITERAL- that is too large to come unasked. */
static void refuse_literal(struct imap_session *s, struct str text)
{
	struct imap_frame *f = &s->frame;
	bool may_skip = !f->literal.is_message && imap_frame_refuse(f, &s->settings->limits);
	if (may_skip) {
		frame_error(s, text, "Non-synchronizing literal is too large.");
		imap_append_drop(s);
		stream_consume(s->stream, f->used);
		return;
	}
	imap_put_untagged(stream_output(s->stream), "BYE", STR("TOOBIG"),
		STR("Non-synchronizing literal is too large."));
	s->closing_reason = "Literal is too large for LITERAL-";
}

static void act_on_literal(struct op *op, struct imap_session *s, struct str text)
{
	struct imap_frame *f = &s->frame;
	if (s->settings->is_literal_minus && !f->literal.is_sync &&
		f->literal.size > LITERAL_MINUS_BYTES) {
		refuse_literal(s, text);
		return;
	}
	if (f->literal.is_message) {
		imap_append_literal(op, s, str_dup(op->arena, text));
		return;
	}
	if (f->literal.is_sync)
		imap_put_continue(stream_output(s->stream), STR("OK"));
	imap_frame_accept(f);
}

static void act_on_command(struct op *op, struct imap_session *s, struct str text)
{
	text = str_dup(op->arena, text);
	imap_measure_input(s, s->frame.used);
	stream_consume(s->stream, s->frame.used);
	if (s->idle_tag[0])
		imap_idle_line(op, s, text);
	else if (s->append)
		imap_append_finish(op, s, text);
	else
		run_command(op, s, text);
}

static void act_on_error(struct op *op, struct imap_session *s, struct str text)
{
	imap_measure_input(s, s->frame.used);
	if (s->idle_tag[0]) /* an endless line */
		imap_idle_refuse(op, s);
	else
		frame_error(s, text, s->frame.error);
	imap_append_drop(s);
	stream_consume(s->stream, s->frame.used);
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
		act_on_literal(op, s, text);
		return true;
	case IMAP_FRAME_COMPLETE:
		act_on_command(op, s, text);
		return true;
	case IMAP_FRAME_ERROR:
		act_on_error(op, s, text);
		return true;
	case IMAP_FRAME_FATAL:
		imap_put_untagged(stream_output(s->stream), "BYE", STR_NONE, str_from(f->error));
		s->closing_reason = "Cannot follow the client's input";
		return true;
	}
	UNREACHABLE();
}

/* WAITS for a moment at most. False: no further command for now. */
static bool may_go_on(struct op *op, struct imap_session *s)
{
	if (s->closing_reason || s->is_blocked || s->fetch)
		return false;
	op->deadline_us = now_us() + IMAP_PATIENCE_US;
	enum err e = stream_write_check(op, s->stream);
	if (e == ERR_TIMEOUT)
		s->is_blocked = true;
	else if (e != ERR_NONE)
		s->closing_reason = "Connection lost while sending";
	return e == ERR_NONE;
}

/* False: there was none, or none will come. */
static bool read_more(struct op *op, struct imap_session *s)
{
	bool got;
	enum err e = stream_read_ready(op, s->stream, &got);
	if (e == ERR_LIMIT)
		s->closing_reason = "Command line too long";
	else if (e != ERR_NONE)
		s->closing_reason = "Connection closed";
	return e == ERR_NONE && got;
}

void imap_serve_input(struct arena *arena, struct imap_session *s)
{
	struct op op;
	while (!s->closing_reason && !s->imap->is_closing && !task_is_cancelled()) {
		arena_reset(arena);
		op_init(&op, arena, s->event, now_us() + IMAP_IDLE_OUT_US);
		if (s->append && imap_append_is_receiving(s)) {
			if (!imap_append_resume(&op, s))
				return;
			continue;
		}
		enum imap_frame_result found =
			imap_frame_feed(&s->frame, &s->settings->limits, stream_input(s->stream));
		if (act(&op, s, found)) {
			if (!may_go_on(&op, s))
				return;
			task_breathe();
		} else if (!read_more(&op, s)) {
			return;
		}
	}
}
