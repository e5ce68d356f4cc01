/* SPDX-License-Identifier: Apache-2.0 */
/* Telling a client what happened in its mailbox (RFC 3501 §5.2, §7.3, §7.4.1).
 *
 * Order: FLAGS when keywords are new, then EXPUNGE lines (VANISHED after ENABLE QRESYNC), then EXISTS
 * and RECENT, then FETCH lines for changed flags, numbered as after the expunges. */
#include "service/imap/imap_private.h"

static void mailbox_flags(const struct imap_session *s, struct imap_flags *out)
{
	const struct str *keywords;
	size_t count = mailbox_keywords(s->mailbox, &keywords);
	*out = (struct imap_flags){
		.system = MAIL_STORABLE_FLAGS,
		/* The writer only reads them. */
		.keywords = (struct str *)(uintptr_t)keywords,
		.keyword_count = count,
	};
}

void imap_put_flags_lists(struct imap_session *s)
{
	struct buf *out = stream_output(s->stream);
	struct imap_flags flags;
	mailbox_flags(s, &flags);
	s->keywords_told = (uint8_t)flags.keyword_count;
	buf_put(out, STR("* FLAGS "));
	imap_put_flag_list(out, &flags);
	buf_put(out, STR("\r\n"));
	if (s->is_read_only) {
		imap_put_untagged(out, "OK", STR("PERMANENTFLAGS ()"), STR("Read-only mailbox."));
		return;
	}
	buf_put(out, STR("* OK [PERMANENTFLAGS "));
	imap_put_permanent_flags(out, &flags, flags.keyword_count < MAILBOX_KEYWORDS_MAX);
	buf_put(out, STR("] Flags permitted.\r\n"));
}

void imap_put_mail_flags(struct buf *out, const struct imap_session *s, const struct mail *mail)
{
	static const struct {
		unsigned bit;
		struct str name;
	} system_flags[] = {
		{ MAIL_ANSWERED, { "\\Answered", 9 } },
		{ MAIL_FLAGGED, { "\\Flagged", 8 } },
		{ MAIL_DELETED, { "\\Deleted", 8 } },
		{ MAIL_SEEN, { "\\Seen", 5 } },
		{ MAIL_DRAFT, { "\\Draft", 6 } },
		{ MAIL_RECENT, { "\\Recent", 7 } },
	};
	const struct str *keywords;
	bool is_first = true;
	buf_put_byte(out, '(');
	for (size_t i = 0; i < ARRAY_COUNT(system_flags); i++) {
		if (!(mail->flags & system_flags[i].bit))
			continue;
		if (!is_first)
			buf_put_byte(out, ' ');
		buf_put(out, system_flags[i].name);
		is_first = false;
	}
	size_t count = mail->keywords ? mailbox_keywords(s->mailbox, &keywords) : 0;
	for (size_t i = 0; i < count; i++) {
		if (!(mail->keywords & (UINT64_C(1) << i)))
			continue;
		if (!is_first)
			buf_put_byte(out, ' ');
		buf_put(out, keywords[i]);
		is_first = false;
	}
	buf_put_byte(out, ')');
}

void imap_put_flags_line(struct imap_session *s, const struct mail *mail, bool with_uid)
{
	struct buf *out = stream_output(s->stream);
	buf_put(out, STR("* "));
	buf_put_u64_dec(out, mail->seq);
	buf_put(out, STR(" FETCH ("));
	if (with_uid || (s->enabled & IMAP_HAS_CONDSTORE)) {
		buf_put(out, STR("UID "));
		buf_put_u64_dec(out, mail->uid);
		buf_put_byte(out, ' ');
	}
	buf_put(out, STR("FLAGS "));
	imap_put_mail_flags(out, s, mail);
	if (s->enabled & IMAP_HAS_CONDSTORE)
		buf_putf(out, " MODSEQ (%" PRIu64 ")", mail->modseq);
	buf_put(out, STR(")\r\n"));
}

void imap_put_modseq_line(struct imap_session *s, const struct mail *mail)
{
	buf_putf(stream_output(s->stream),
		"* %" PRIu32 " FETCH (UID %" PRIu32 " MODSEQ (%" PRIu64 "))\r\n", mail->seq,
		mail->uid, mail->modseq);
}

/* WAITS. */
static enum err put_expunges(
	struct op *op, struct imap_session *s, const struct view_changes *changes)
{
	s->counters.expunged += changes->expunged_count;
	if (s->enabled & IMAP_HAS_QRESYNC) {
		struct range_set uids;
		range_set_init(&uids);
		for (size_t i = changes->expunged_count;
			i-- > 0;) /* they come from the highest down */
			range_set_add(&uids, changes->expunged_uids[i], changes->expunged_uids[i]);
		enum err e = imap_put_vanished(op, s, &uids, false);
		range_set_done(&uids);
		return e;
	}
	for (size_t i = 0; i < changes->expunged_count; i++) {
		imap_put_number_line(
			stream_output(s->stream), changes->expunged_seqs[i], "EXPUNGE");
		TRY(imap_check_output(op, s));
	}
	return ERR_NONE;
}

/* WAITS. A keyword made while the output waited is told before it is used. */
static enum err put_changed_flags(
	struct op *op, struct imap_session *s, const struct view_changes *changes)
{
	const struct str *keywords;
	struct mail mail;
	for (size_t i = 0; i < changes->changed_count; i++) {
		if (!view_get(s->view, changes->changed_seqs[i], &mail))
			continue;
		if (mailbox_keywords(s->mailbox, &keywords) != s->keywords_told)
			imap_put_flags_lists(s);
		imap_put_flags_line(s, &mail, true);
		TRY(imap_check_output(op, s));
		task_breathe();
	}
	return ERR_NONE;
}

/* imap_client_workarounds = delay-newmail: some old clients do not expect EXISTS elsewhere. */
static bool holds_back_mails(const struct imap_session *s)
{
	return s->settings->delays_newmail && !s->may_tell_mails && !s->idle_tag[0];
}

void imap_sync(struct op *op, struct imap_session *s, bool may_expunge)
{
	struct view_changes changes;
	struct buf *out = stream_output(s->stream);
	if (!s->view || s->closing_reason)
		return;
	if (view_is_gone(s->view)) {
		imap_put_untagged(out, "BYE", STR_NONE, STR("Mailbox was deleted under you."));
		s->closing_reason = "Mailbox was deleted";
		return;
	}
	if (view_sync(op, s->view, may_expunge, &changes) != ERR_NONE) {
		/* The client would see numbers that mean nothing: it must begin anew. */
		event_send_failure(s->event, EVENT_ERROR, NULL, op, "synchronising a mailbox");
		imap_put_untagged(out, "BYE", STR("UNAVAILABLE"), STR("Cannot read the mailbox."));
		s->closing_reason = "Mailbox cannot be read";
		return;
	}
	if (changes.keywords_changed)
		imap_put_flags_lists(s);
	if (changes.expunged_count > 0 && put_expunges(op, s, &changes) != ERR_NONE)
		return; /* nobody is there to be told */
	s->has_untold_mails = s->has_untold_mails || changes.exists_changed;
	if (s->has_untold_mails && (!holds_back_mails(s) || changes.expunged_count > 0)) {
		imap_put_number_line(out, changes.exists, "EXISTS");
		imap_put_number_line(out, changes.recent, "RECENT");
		s->has_untold_mails = false;
	}
	/* An error is the session's closing_reason. */
	(void)put_changed_flags(op, s, &changes);
}
