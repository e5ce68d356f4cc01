/* SPDX-License-Identifier: Apache-2.0 */
/* STORE: changes flags and answers with the flags of every mail it named, changed or not, unless
 * .SILENT was asked. What others changed meanwhile is told in any case.
 *
 * Spec: RFC 3501 §6.4.6; sheet protocols §4.14. UNCHANGEDSINCE belongs to CONDSTORE, which is not
 * offered. */
#include "service/imap/imap_private.h"

_Static_assert((unsigned)IMAP_FLAG_ANSWERED == MAIL_ANSWERED &&
		       (unsigned)IMAP_FLAG_FLAGGED == MAIL_FLAGGED &&
		       (unsigned)IMAP_FLAG_DELETED == MAIL_DELETED &&
		       (unsigned)IMAP_FLAG_SEEN == MAIL_SEEN &&
		       (unsigned)IMAP_FLAG_DRAFT == MAIL_DRAFT &&
		       (unsigned)IMAP_FLAG_RECENT == MAIL_RECENT,
	"flags of the wire are those of the store");

bool imap_check_keywords(struct imap_run *x, const struct imap_flags *flags)
{
	for (size_t i = 0; i < flags->keyword_count; i++) {
		if (flags->keywords[i].n <= IMAP_KEYWORD_BYTES_MAX)
			continue;
		imap_reply_no(x, STR("LIMIT"), STR("Keyword is too long."));
		return false;
	}
	return true;
}

static enum flags_change change_of(enum imap_store_mode mode)
{
	switch (mode) {
	case IMAP_STORE_REPLACE:
		return FLAGS_REPLACE;
	case IMAP_STORE_ADD:
		return FLAGS_ADD;
	case IMAP_STORE_REMOVE:
		return FLAGS_REMOVE;
	}
	UNREACHABLE();
}

/* For the session's log line: how many become \Deleted. */
static uint64_t count_deleted(
	const struct view *v, const struct range_set *seqs, const struct imap_store *store)
{
	struct range_set_iter it = { 0 };
	struct mail mail;
	uint64_t count = 0;
	uint32_t seq;
	if (!(store->flags.system & IMAP_FLAG_DELETED) || store->mode == IMAP_STORE_REMOVE)
		return 0;
	while (range_set_next(seqs, &it, &seq))
		count += view_get(v, seq, &mail) && !(mail.flags & MAIL_DELETED);
	return count;
}

/* WAITS. An error: the client is gone. */
static enum err put_new_flags(struct imap_run *x, const struct range_set *seqs)
{
	struct imap_session *s = x->session;
	struct range_set_iter it = { 0 };
	struct mail mail;
	uint32_t seq;
	while (range_set_next(seqs, &it, &seq)) {
		if (view_get(s->view, seq, &mail) && !mail.is_expunged)
			imap_put_flags_line(s, &mail, x->is_uid);
		TRY(imap_check_output(x));
		task_breathe();
	}
	return ERR_NONE;
}

/* WAITS. */
static void store_flags(
	struct imap_run *x, const struct imap_store *store, const struct range_set *seqs)
{
	struct imap_session *s = x->session;
	const struct store_flags change = {
		.change = change_of(store->mode),
		.flags = store->flags.system & MAIL_STORABLE_FLAGS,
		.keywords = store->flags.keywords,
		.keyword_count = store->flags.keyword_count,
		.unchanged_since = UINT64_MAX,
		.is_silent = true, /* we tell it ourselves, for unchanged mails too */
	};
	uint64_t deleted = count_deleted(s->view, seqs, store);
	enum err e = view_store_flags(x->op, s->view, seqs, &change, NULL);
	if (e == ERR_NOT_FOUND) {
		imap_reply_no(x, STR("EXPUNGEISSUED"),
			STR("Some of the requested messages no longer exist."));
		return;
	}
	if (e != ERR_NONE) {
		imap_reply_failure(x, e);
		return;
	}
	s->deleted += deleted;
	if (!store->is_silent) {
		/* New keywords must be known before they are used; the numbers of `seqs` must stay. */
		imap_sync(x->op, s, false);
		if (s->closing_reason || put_new_flags(x, seqs) != ERR_NONE)
			return;
	}
	imap_reply_ok(x, STR_NONE, STR("Store completed."));
}

void imap_command_store(struct imap_run *x)
{
	struct imap_store store;
	struct range_set seqs;
	if (imap_parse_store(x->cursor, &store) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	if (store.has_unchanged_since) {
		imap_reply_bad(x, STR("Unknown STORE modifier UNCHANGEDSINCE"));
		return;
	}
	range_set_init(&seqs);
	if (imap_resolve_set(x, &store.set, x->is_uid, &seqs)) {
		if (x->session->is_read_only)
			imap_reply_ok(x, STR_NONE, STR("Store ignored with read-only mailbox."));
		else if (range_set_is_empty(&seqs))
			imap_reply_ok(x, STR_NONE, STR("Store completed."));
		else if (store.mode == IMAP_STORE_REMOVE || imap_check_keywords(x, &store.flags))
			store_flags(x, &store, &seqs);
	}
	range_set_done(&seqs);
}
