/* SPDX-License-Identifier: Apache-2.0 */
/* Tagged replies, and the only place where classes of failure become IMAP's words (RFC 5530 §3, sheet
 * protocols §4.5). */
#include "service/imap/imap_private.h"

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
		imap_put_tagged(x->out, x->tag, "OK", code, text);
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
	imap_put_tagged(x->out, x->tag, "OK", code, text);
}

void imap_reply_no(struct imap_run *x, struct str code, struct str text)
{
	x->session->bad_commands = 0;
	imap_put_tagged(x->out, x->tag, "NO", code, text);
}

void imap_reply_bad(struct imap_run *x, struct str text)
{
	struct imap_session *s = x->session;
	struct str whole = text;
	if (x->name.n > 0)
		whole = str_printf(x->op->arena, "Error in IMAP command %.*s: %.*s",
			(int)MIN(x->name.n, 40), x->name.p, STRF(text));
	imap_put_tagged(x->out, x->tag, "BAD", STR_NONE, whole);
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
