/* SPDX-License-Identifier: Apache-2.0 */
/* CONDSTORE and QRESYNC where they are not part of FETCH, STORE or SEARCH: enabling them, and telling
 * a client what went while it was away.
 *
 * Spec: RFC 5161; RFC 7162 §3.1 (what enables), §3.2.5 (SELECT), §3.2.6 and §3.2.10 (VANISHED) */
#include "service/imap/imap_private.h"

#define RANGES_A_LINE 500 /* of VANISHED: no client must take a line of any length */

void imap_enable_condstore(struct imap_run *x)
{
	struct imap_session *s = x->session;
	if (s->enabled & IMAP_HAS_CONDSTORE)
		return;
	s->enabled |= IMAP_HAS_CONDSTORE;
	if (!s->view)
		return;
	struct str code =
		str_printf(x->op->arena, "HIGHESTMODSEQ %" PRIu64, view_highest_modseq(s->view));
	imap_put_untagged(x->out, "OK", code, STR("Highest"));
}

/* ---- ENABLE ---- */

/* RFC 5161 §3.1: unknown words are ignored; told is what became enabled just now. */
void imap_command_enable(struct imap_run *x)
{
	struct imap_session *s = x->session;
	struct imap_enable enable;
	if (imap_parse_enable(x->cursor, &enable) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	unsigned before = s->enabled, told = 0;
	AUTO_BUF(line, 0);
	buf_put(&line, STR("* ENABLED"));
	for (size_t i = 0; i < enable.count; i++) {
		bool is_qresync = str_eq_ci(enable.words[i], STR("QRESYNC"));
		bool is_condstore = str_eq_ci(enable.words[i], STR("CONDSTORE"));
		unsigned what = is_qresync     ? IMAP_HAS_QRESYNC
				: is_condstore ? IMAP_HAS_CONDSTORE
					       : 0;
		if (what == 0 || ((before | told) & what))
			continue;
		imap_enable_condstore(x); /* QRESYNC has it in any case */
		s->enabled |= what;
		told |= what;
		buf_put(&line, is_qresync ? STR(" QRESYNC") : STR(" CONDSTORE"));
	}
	buf_put(&line, STR("\r\n"));
	buf_put(x->out, buf_str(&line));
	imap_reply_ok(x, STR_NONE, STR("Enabled."));
}

/* ---- VANISHED ---- */

enum err imap_put_vanished(
	struct op *op, struct imap_session *s, const struct range_set *uids, bool is_earlier)
{
	for (size_t from = 0; from < uids->count; from += RANGES_A_LINE) {
		struct buf *out = stream_output(s->stream);
		/* Only printed. */
		const struct range_set part = { .ranges = uids->ranges + from,
			.count = MIN(uids->count - from, (size_t)RANGES_A_LINE) };
		buf_put(out, is_earlier ? STR("* VANISHED (EARLIER) ") : STR("* VANISHED "));
		range_set_print(&part, out);
		buf_put(out, STR("\r\n"));
		TRY(imap_check_output(op, s));
	}
	return ERR_NONE;
}

enum err imap_put_vanished_since(struct imap_run *x, uint64_t modseq, const struct range_set *uids)
{
	struct range_set gone;
	range_set_init(&gone);
	view_vanished(x->session->view, modseq, uids, &gone);
	enum err e = imap_put_vanished(x->op, x->session, &gone, true);
	range_set_done(&gone);
	return e;
}

/* ---- SELECT (QRESYNC ...) ---- */

/* The greatest UID that client and mailbox agree about: it stands at the same place for both, so the
 * client knows what went before it (RFC 7162 §3.2.5.2). 0: none. */
static uint32_t agreed_uid(struct imap_run *x, const struct imap_select *what)
{
	struct range_set seqs, uids;
	struct range_set_iter at_seq = { 0 }, at_uid = { 0 };
	uint32_t seq, uid, agreed = 0;
	struct mail mail;
	if (!what->has_match)
		return 0;
	range_set_init(&seqs);
	range_set_init(&uids);
	imap_sequence_set_resolve(x->op->arena, &what->match_seqs, 0, &seqs);
	imap_sequence_set_resolve(x->op->arena, &what->match_uids, 0, &uids);
	while (range_set_next(&seqs, &at_seq, &seq) && range_set_next(&uids, &at_uid, &uid)) {
		if (!view_get(x->session->view, seq, &mail) || mail.uid != uid)
			break;
		agreed = uid;
	}
	range_set_done(&seqs);
	range_set_done(&uids);
	return agreed;
}

/* WAITS. */
static enum err put_changed_since(
	struct imap_run *x, uint64_t modseq, const struct range_set *known_uids)
{
	struct imap_session *s = x->session;
	struct range_set_iter it = { 0 };
	struct range_set seqs;
	struct mail mail;
	uint32_t seq;
	enum err e = ERR_NONE;
	range_set_init(&seqs);
	view_uids_to_seqs(s->view, known_uids, &seqs);
	while (e == ERR_NONE && range_set_next(&seqs, &it, &seq)) {
		if (!view_get(s->view, seq, &mail) || mail.modseq <= modseq)
			continue;
		imap_put_flags_line(s, &mail, true);
		e = imap_check_output(x->op, s);
		task_breathe();
	}
	range_set_done(&seqs);
	return e;
}

enum err imap_put_resync(struct imap_run *x, const struct imap_select *what)
{
	struct imap_session *s = x->session;
	struct range_set known, vanishable;
	struct mailbox_status status;
	view_status(s->view, &status);
	if (what->uid_validity != status.uid_validity)
		return ERR_NONE; /* the client sees that it knows another mailbox */
	range_set_init(&known);
	range_set_init(&vanishable);
	if (what->has_known_uids)
		imap_sequence_set_resolve(x->op->arena, &what->known_uids, 0, &known);
	else if (status.uid_next > 1)
		range_set_add(&known, 1, status.uid_next - 1);
	range_set_add_set(&vanishable, &known);
	uint32_t agreed = agreed_uid(x, what);
	if (agreed > 0)
		range_set_remove(&vanishable, 1, agreed);
	enum err e = imap_put_vanished_since(x, what->modseq, &vanishable);
	if (e == ERR_NONE)
		e = put_changed_since(x, view_settle_modseq(s->view, what->modseq), &known);
	range_set_done(&known);
	range_set_done(&vanishable);
	return e;
}
