/* SPDX-License-Identifier: Apache-2.0 */
/* STORE: changes flags and answers with the flags of every mail it named, changed or not, unless
 * .SILENT was asked. What others changed meanwhile is told in any case.
 *
 * With CONDSTORE .SILENT still tells the new modseqs, and mails that failed UNCHANGEDSINCE are told as
 * they are, so that the client can try again at once.
 * Spec: RFC 3501 §6.4.6; RFC 7162 §3.1.3; sheet protocols §4.14 */
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

/* WAITS. An error: the client is gone. `modified` are told with their flags in any case. */
static enum err put_new_flags(struct imap_run *x, const struct range_set *seqs,
	const struct range_set *modified, bool is_silent)
{
	struct imap_session *s = x->session;
	struct range_set_iter it = { 0 };
	struct mail mail;
	uint32_t seq;
	while (range_set_next(seqs, &it, &seq)) {
		bool is_there = view_get(s->view, seq, &mail) && !mail.is_expunged;
		if (is_there && is_silent && !range_set_has(modified, seq))
			imap_put_modseq_line(s, &mail);
		else if (is_there)
			imap_put_flags_line(s, &mail, x->is_uid);
		TRY(imap_check_output(x->op, s));
		task_breathe();
	}
	return ERR_NONE;
}

/* "MODIFIED 7,9" in the numbers that the command uses; nothing when none failed. */
static struct str modified_code(struct imap_run *x, const struct range_set *modified)
{
	struct range_set_iter it = { 0 };
	struct range_set uids;
	struct mail mail;
	uint32_t seq;
	AUTO_BUF(code, 0);
	if (range_set_is_empty(modified))
		return STR_NONE;
	buf_put(&code, STR("MODIFIED "));
	range_set_init(&uids);
	while (x->is_uid && range_set_next(modified, &it, &seq)) {
		if (view_get(x->session->view, seq, &mail))
			range_set_add(&uids, mail.uid, mail.uid);
	}
	range_set_print(x->is_uid ? &uids : modified, &code);
	range_set_done(&uids);
	return buf_dup(x->op->arena, &code);
}

/* Those that others expunged take no flags, and failed no test. True: there are some. */
static bool drop_expunged(
	const struct view *v, const struct range_set *seqs, struct range_set *modified)
{
	struct range_set_iter it = { 0 };
	struct mail mail;
	bool has_expunged = false;
	uint32_t seq;
	while (range_set_next(seqs, &it, &seq)) {
		if (!view_get(v, seq, &mail) || !mail.is_expunged)
			continue;
		has_expunged = true;
		range_set_remove(modified, seq, seq);
	}
	return has_expunged;
}

/* WAITS. A client that is told EXPUNGE with the reply needs no more; the others must not take silence
 * for success (RFC 2180 §4.2). */
static void reply(struct imap_run *x, struct str code, bool is_silent, bool has_expunged)
{
	struct str text = code.n > 0 ? STR("Conditional store failed.") : STR("Store completed.");
	if (has_expunged && !x->is_uid) {
		text = STR("Some of the messages no longer exist.");
		code = code.n > 0 ? code : STR("EXPUNGEISSUED");
	}
	if (has_expunged && !x->is_uid && !is_silent)
		imap_reply_no(x, code, text);
	else
		imap_reply_ok(x, code, text);
}

/* WAITS. */
static void answer(struct imap_run *x, const struct imap_store *store, const struct range_set *seqs,
	struct range_set *modified)
{
	struct imap_session *s = x->session;
	bool has_expunged = drop_expunged(s->view, seqs, modified);
	struct str code = modified_code(x, modified);
	if (!store->is_silent || (s->enabled & IMAP_HAS_CONDSTORE)) {
		/* New keywords must be known before they are used; the numbers of `seqs` must stay. */
		imap_sync(x->op, s, false);
		if (s->closing_reason ||
			put_new_flags(x, seqs, modified, store->is_silent) != ERR_NONE)
			return;
	}
	reply(x, code, store->is_silent, has_expunged);
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
		.unchanged_since = store->has_unchanged_since ? store->unchanged_since : UINT64_MAX,
		.is_silent = true, /* we tell it ourselves, for unchanged mails too */
	};
	uint64_t deleted = count_deleted(s->view, seqs, store);
	struct range_set modified;
	range_set_init(&modified);
	enum err e = view_store_flags(x->op, s->view, seqs, &change, &modified);
	if (e == ERR_NOT_FOUND) {
		imap_reply_no(x, STR("EXPUNGEISSUED"),
			STR("Some of the requested messages no longer exist."));
	} else if (e != ERR_NONE) {
		imap_reply_failure(x, e);
	} else {
		s->counters.deleted += deleted;
		answer(x, store, seqs, &modified);
	}
	range_set_done(&modified);
}

void imap_command_store(struct imap_run *x)
{
	struct imap_store store;
	struct range_set seqs;
	if (imap_parse_store(x->cursor, &store) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	range_set_init(&seqs);
	if (imap_resolve_set(x, &store.set, x->is_uid, &seqs)) {
		if (store.has_unchanged_since)
			imap_enable_condstore(x);
		if (x->session->is_read_only && store.has_unchanged_since)
			imap_reply_no(x, STR_NONE, STR("CONDSTORE failed: Mailbox is read-only."));
		else if (x->session->is_read_only)
			imap_reply_ok(x, STR_NONE, STR("Store ignored with read-only mailbox."));
		else if (range_set_is_empty(&seqs))
			imap_reply_ok(x, STR_NONE, STR("Store completed."));
		else if (store.mode == IMAP_STORE_REMOVE || imap_check_keywords(x, &store.flags))
			store_flags(x, &store, &seqs);
	}
	range_set_done(&seqs);
}
