/* SPDX-License-Identifier: Apache-2.0 */
/* From the sets that clients write to messages of the view.
 *
 * What SEARCH saved for "$" is kept as UIDs: they are never used again, so what was expunged drops out
 * by itself (RFC 5182 §2.1). */
#include "service/imap/imap_private.h"

void imap_resolve_uids(
	struct imap_run *x, const struct imap_sequence_set *set, struct range_set *out)
{
	if (set->is_saved_result)
		range_set_add_set(out, &x->session->saved_uids);
	else
		imap_sequence_set_resolve(x->op->arena, set, view_last_uid(x->session->view), out);
}

void imap_saved_seqs(const struct imap_session *s, struct range_set *out)
{
	view_uids_to_seqs(s->view, &s->saved_uids, out);
}

bool imap_resolve_set(
	struct imap_run *x, const struct imap_sequence_set *set, bool is_uid, struct range_set *out)
{
	struct view *v = x->session->view;
	if (set->is_saved_result) {
		imap_saved_seqs(x->session, out);
		return true;
	}
	if (!is_uid) {
		uint32_t exists = view_exists(v);
		/* Sheet protocols §4.13: message numbers must exist; `*` in an empty mailbox doesn't. */
		if (set->greatest > exists || (set->has_star && exists == 0)) {
			imap_reply_bad(x, STR("Invalid messageset"));
			return false;
		}
		imap_sequence_set_resolve(x->op->arena, set, exists, out);
		return true;
	}
	struct range_set uids;
	range_set_init(&uids);
	imap_resolve_uids(x, set, &uids);
	view_uids_to_seqs(v, &uids, out);
	range_set_done(&uids);
	return true;
}

void imap_unselect(struct imap_session *s)
{
	if (!s->view)
		return;
	view_close(s->view);
	mailbox_unref(s->mailbox);
	s->view = NULL;
	s->mailbox = NULL;
	s->is_read_only = false;
	s->keywords_told = 0;
	s->has_untold_mails = false;
}
