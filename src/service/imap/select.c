/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing a mailbox and leaving it (RFC 3501 §6.3.1, §6.3.2, §6.4.1, §6.4.2; RFC 3691).
 *
 * A SELECT that fails leaves nothing selected, and has said so: [CLOSED] comes first (RFC 7162
 * §3.2.11). */
#include "service/imap/imap_private.h"

static enum err open_mailbox(struct imap_run *x, struct str name, bool is_read_only)
{
	struct imap_session *s = x->session;
	struct mailbox *mailbox;
	TRY(mailbox_open(x->op, s->user, name, &mailbox));
	enum err e = view_open(x->op, mailbox, !is_read_only, &s->view);
	if (e != ERR_NONE) {
		mailbox_unref(mailbox);
		return e;
	}
	s->mailbox = mailbox;
	s->is_read_only = is_read_only;
	return ERR_NONE;
}

/* The order of sheet protocols §4.10. */
static void put_mailbox_data(struct imap_run *x)
{
	struct imap_session *s = x->session;
	struct mailbox_status status;
	view_status(s->view, &status);
	imap_put_flags_lists(s);
	imap_put_number_line(x->out, view_exists(s->view), "EXISTS");
	imap_put_number_line(x->out, view_recent(s->view), "RECENT");
	if (status.first_unseen_seq > 0)
		buf_putf(x->out, "* OK [UNSEEN %u] First unseen.\r\n", status.first_unseen_seq);
	buf_putf(x->out, "* OK [UIDVALIDITY %u] UIDs valid\r\n", status.uid_validity);
	buf_putf(x->out, "* OK [UIDNEXT %u] Predicted next UID\r\n", status.uid_next);
	buf_putf(x->out, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest\r\n",
		view_highest_modseq(s->view));
	imap_put_untagged(
		x->out, "OK", imap_mailboxid_code(x->op->arena, &status.guid), STR("Mailbox"));
}

static void select_mailbox(struct imap_run *x, bool is_read_only)
{
	struct imap_session *s = x->session;
	struct imap_select what;
	if (imap_parse_select(x->cursor, &what) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	if (what.is_qresync && !(s->enabled & IMAP_HAS_QRESYNC)) {
		imap_reply_bad(x, STR("QRESYNC is not enabled."));
		return;
	}
	if (s->view) {
		imap_unselect(s);
		imap_put_untagged(x->out, "OK", STR("CLOSED"), STR("Previous mailbox closed."));
	}
	what.mailbox = imap_given_name(x, what.mailbox);
	enum err e = open_mailbox(x, what.mailbox, is_read_only);
	if (e == ERR_NOT_FOUND) {
		imap_reply_no_mailbox(x, STR("NONEXISTENT"), what.mailbox);
		return;
	}
	if (e != ERR_NONE) {
		imap_reply_failure(x, e);
		return;
	}
	range_set_clear(&s->saved_uids); /* RFC 5182 §2.1 */
	if (what.is_condstore)
		s->enabled |= IMAP_HAS_CONDSTORE;
	put_mailbox_data(x);
	if (what.is_qresync && imap_put_resync(x, &what) != ERR_NONE)
		return; /* nobody is there to be told */
	if (is_read_only)
		imap_reply_ok(x, STR("READ-ONLY"), STR("Examine completed."));
	else
		imap_reply_ok(x, STR("READ-WRITE"), STR("Select completed."));
}

void imap_command_select(struct imap_run *x)
{
	select_mailbox(x, false);
}

void imap_command_examine(struct imap_run *x)
{
	select_mailbox(x, true);
}

/* CLOSE has no NO (RFC 3501 §6.4.2): what could not be expunged is told by the way. */
static void expunge_silently(struct imap_run *x)
{
	struct imap_session *s = x->session;
	struct str code, text;
	struct mailbox_status status;
	view_status(s->view, &status);
	if (status.deleted == 0 || view_is_gone(s->view))
		return;
	enum err e = view_expunge(x->op, s->view, NULL);
	if (e == ERR_NONE) {
		s->counters.expunged += status.deleted;
	} else if (e != ERR_NOT_FOUND) { /* the mailbox may go meanwhile */
		event_send_failure(s->event, EVENT_ERROR, NULL, x->op, "expunging at CLOSE");
		imap_failure_words(x->op, e, &code, &text);
		imap_put_untagged(x->out, "NO", code, text);
	}
}

void imap_command_close(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	if (!x->session->is_read_only)
		expunge_silently(x);
	imap_unselect(x->session);
	imap_reply_ok(x, STR_NONE, STR("Close completed."));
}

void imap_command_unselect(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	imap_unselect(x->session);
	imap_reply_ok(x, STR_NONE, STR("Unselect completed."));
}

void imap_command_check(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE)
		imap_reply_bad_arguments(x);
	else
		imap_reply_ok(x, STR_NONE, STR("Check completed."));
}
