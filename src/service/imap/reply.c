/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged replies, and the only place where classes of failure become IMAP's words (RFC 5530 §3, sheet
 * protocols §4.5). */
#include "service/imap/imap_private.h"

#define ARGS_SHOWN_MAX 1024

/* ---- imap_command_finished (sheet core §9.2) ---- */

void imap_measure_input(struct imap_session *s, size_t bytes)
{
	if (s->measure.began_us == 0)
		s->measure.began_us = now_us();
	s->measure.in_bytes += bytes;
}

/* All that this process put for the client. */
static uint64_t produced_bytes(const struct imap_session *s)
{
	return stream_counters(s->stream).bytes_out + stream_output(s->stream)->n;
}

/* The arguments only of commands that we know: others may be a LOGIN that came twice. */
static void set_command_fields(struct event *e, struct imap_run *x)
{
	const struct imap_command_row *row = imap_command_find(x->name);
	struct str name = row ? row->name : STR("unknown");
	if (row && x->is_uid)
		name = str_printf(x->op->arena, "UID %.*s", STRF(name));
	event_set_str(e, "cmd_tag", x->tag);
	event_set_str(e, "cmd_name", name);
	event_set_str(e, "cmd_input_name", x->name);
	if (row && x->args.n > 0)
		event_set_str(e, "cmd_args", str_slice(x->args, 0, MIN(x->args.n, ARGS_SHOWN_MAX)));
}

static void tell_finished(struct imap_run *x, const char *status, struct str reply, uint64_t out)
{
	const struct imap_measure *m = &x->session->measure;
	int64_t running_us = m->began_us > 0 ? now_us() - m->began_us : 0;
	struct event *e = event_new(x->session->event, "imap");
	set_command_fields(e, x);
	event_set_str(e, "tagged_reply_state", str_from(status));
	event_set_str(e, "tagged_reply", reply);
	event_set_int(e, "last_run_time", (now_wall_us() - running_us) / US_PER_SEC);
	event_set_int(e, "running_usecs", running_us);
	event_set_int(e, "duration", running_us);
	event_set_int(e, "net_in_bytes", (int64_t)m->in_bytes);
	event_set_int(e, "net_out_bytes", (int64_t)out);
	event_send(
		e, EVENT_DEBUG, "imap_command_finished", "%.*s: %.*s", STRF(x->name), STRF(reply));
	event_unref(e);
}

void imap_put_reply(struct imap_run *x, const char *status, struct str code, struct str text)
{
	struct imap_session *s = x->session;
	size_t from = x->out->n;
	imap_put_tagged(x->out, x->tag, status, code, text);
	uint64_t produced = produced_bytes(s);
	if (event_is_wanted(s->event, EVENT_DEBUG)) {
		size_t skip = MIN(from + x->tag.n + 1, x->out->n);
		struct str reply = str_trim_right(str_slice(buf_str(x->out), skip, x->out->n));
		tell_finished(x, status, reply, produced - s->measure.out_mark);
	}
	s->measure = (struct imap_measure){ .out_mark = produced };
}

/* ---- replies ---- */

/* WAITS. Tells what changed, as far as the command lets numbers change (RFC 3501 §7.4.1). */
static void tell_changes(struct imap_run *x)
{
	const struct imap_command_row *row = imap_command_find(x->name);
	struct imap_session *s = x->session;
	bool keeps_seqs = row && (row->flags & IMAP_KEEPS_SEQS) && (!x->is_uid || x->names_seqs);
	s->bad_commands = 0;
	s->may_tell_mails = row && (row->flags & IMAP_TELLS_MAILS);
	if (s->view && row && !(row->flags & IMAP_NO_SYNC))
		imap_sync(x->op, s, !keeps_seqs);
}

void imap_reply_ok(struct imap_run *x, struct str code, struct str text)
{
	tell_changes(x);
	if (!x->session->closing_reason)
		imap_put_reply(x, "OK", code, text);
}

void imap_reply_ok_modseq(struct imap_run *x, struct str text)
{
	struct imap_session *s = x->session;
	tell_changes(x);
	if (s->closing_reason)
		return;
	struct str code = STR_NONE;
	if (s->view && (s->enabled & IMAP_HAS_CONDSTORE))
		code = str_printf(
			x->op->arena, "HIGHESTMODSEQ %" PRIu64, view_highest_modseq(s->view));
	imap_put_reply(x, "OK", code, text);
}

void imap_reply_no(struct imap_run *x, struct str code, struct str text)
{
	x->session->bad_commands = 0;
	imap_put_reply(x, "NO", code, text);
}

void imap_reply_bad(struct imap_run *x, struct str text)
{
	struct imap_session *s = x->session;
	struct str whole = text;
	if (x->name.n > 0)
		whole = str_printf(x->op->arena, "Error in IMAP command %.*s: %.*s",
			(int)MIN(x->name.n, 40), x->name.p, STRF(text));
	imap_put_reply(x, "BAD", STR_NONE, whole);
	if (++s->bad_commands >= IMAP_BAD_MAX) {
		imap_put_untagged(x->out, "BYE", STR_NONE, STR("Too many invalid IMAP commands."));
		s->closing_reason = "Too many invalid commands";
	}
}

void imap_reply_bad_arguments(struct imap_run *x)
{
	imap_reply_bad(x, str_from(x->cursor->error ? x->cursor->error : "Invalid arguments."));
}

void imap_failure_words(const struct op *op, enum err e, struct str *out_code, struct str *out_text)
{
	static const struct {
		const char *code, *text;
	} words[ERR_COUNT] = {
		[ERR_NOT_FOUND] = { "NONEXISTENT", "It doesn't exist." },
		[ERR_EXISTS] = { "ALREADYEXISTS", "It exists already." },
		[ERR_DENIED] = { "NOPERM", "Permission denied." },
		[ERR_LIMIT] = { "LIMIT", "A limit was reached." },
		[ERR_INVALID] = { "CANNOT", "Not possible." },
		[ERR_CONFLICT] = { "INUSE", "Changed by another session, try again." },
		[ERR_UNAVAILABLE] = { "UNAVAILABLE", "Temporarily unavailable, try again later." },
		[ERR_TIMEOUT] = { "UNAVAILABLE", "Timed out, try again later." },
		[ERR_CANCELLED] = { "UNAVAILABLE", "Interrupted." },
		[ERR_CORRUPT] = { "SERVERBUG", "Stored data is damaged, see the server's log." },
		[ERR_UNSUPPORTED] = { "CANNOT", "Not supported." },
	};
	ASSERT(e != ERR_NONE);
	*out_code = str_from(words[e].code);
	*out_text = op->failure.client_text[0] ? str_from(op->failure.client_text)
					       : str_from(words[e].text);
}

void imap_reply_failure(struct imap_run *x, enum err e)
{
	struct str code, text;
	bool is_ours = e == ERR_UNAVAILABLE || e == ERR_TIMEOUT || e == ERR_CORRUPT;
	if (is_ours)
		event_send_failure(x->session->event, EVENT_ERROR, "imap_command_failed", x->op,
			str_dup_z(x->op->arena, x->name));
	imap_failure_words(x->op, e, &code, &text);
	imap_reply_no(x, code, text);
}

void imap_reply_target_failure(struct imap_run *x, enum err e, struct str mailbox)
{
	if (e == ERR_NOT_FOUND)
		imap_reply_no_mailbox(x, STR("TRYCREATE"), mailbox);
	else
		imap_reply_failure(x, e);
}

enum err imap_check_output(struct op *op, struct imap_session *s)
{
	int64_t deadline_us = op->deadline_us;
	if (stream_output(s->stream)->n < IMAP_BURST_BYTES)
		return ERR_NONE;
	op->deadline_us = now_us() + IMAP_PROGRESS_US;
	enum err e = stream_write_check(op, s->stream);
	op->deadline_us = deadline_us;
	if (e != ERR_NONE && !s->closing_reason)
		s->closing_reason = "Connection lost while sending";
	return e;
}
