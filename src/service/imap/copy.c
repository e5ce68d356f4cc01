/* SPDX-License-Identifier: Apache-2.0 */
/* COPY, MOVE, EXPUNGE and UID EXPUNGE: whole or not at all.
 *
 * Order for MOVE: untagged OK with COPYUID, then the EXPUNGEs, then the tagged OK, so that a client
 * knows the new UIDs before the old mails go (RFC 6851 §4.3).
 * Spec: RFC 3501 §6.4.3, §6.4.7, RFC 4315, RFC 6851; sheet protocols §4.17, §4.18 */
#include "service/imap/imap_private.h"

/* In the order given, which both sets of COPYUID share: "1:3,9,5". */
static void put_uids(struct buf *out, const uint32_t *uids, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t first = i++;
		while (i < count && uids[i] == uids[i - 1] + 1)
			i++;
		if (first > 0)
			buf_put_byte(out, ',');
		buf_put_u64_dec(out, uids[first]);
		if (i - first > 1) {
			buf_put_byte(out, ':');
			buf_put_u64_dec(out, uids[i - 1]);
		}
	}
}

static struct str copyuid_code(struct arena *arena, const struct copy_result *result)
{
	AUTO_BUF(code, 0);
	buf_putf(&code, "COPYUID %" PRIu32 " ", result->uid_validity);
	put_uids(&code, result->source_uids, result->count);
	buf_put_byte(&code, ' ');
	put_uids(&code, result->target_uids, result->count);
	return buf_dup(arena, &code);
}

static void reply_copied(struct imap_run *x, const struct copy_result *result, bool is_move)
{
	struct str code = copyuid_code(x->op->arena, result);
	if (!is_move) {
		imap_reply_ok(x, code, STR("Copy completed."));
		return;
	}
	imap_put_untagged(x->out, "OK", code, STR("Moved UIDs."));
	imap_reply_ok_modseq(x, STR("Move completed."));
}

struct imap_target {
	struct mailbox *mailbox; /* a reference */
	bool is_trash;           /* for the session's log line */
};

static bool is_trash(struct imap_run *x, struct str name)
{
	struct tree_entry entry;
	if (tree_lookup(x->op, x->session->user, name, &entry) == ERR_NONE)
		return str_find(entry.special_use, STR("\\Trash")) >= 0;
	op_forgive(x->op);
	return false;
}

/* WAITS. */
static void copy_to(struct imap_run *x, const struct imap_target *to, const struct range_set *seqs,
	bool is_move)
{
	struct copy_result result;
	if (range_set_is_empty(seqs)) {
		imap_reply_ok(x, STR_NONE, STR("No messages found."));
		return;
	}
	enum err e = view_copy(x->op, x->session->view, seqs, to->mailbox, is_move, &result);
	if (e == ERR_NOT_FOUND)
		imap_reply_no(x, STR("EXPUNGEISSUED"),
			STR("Some of the requested messages no longer exist."));
	else if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else {
		if (to->is_trash)
			x->session->counters.trashed += result.count;
		reply_copied(x, &result, is_move);
	}
}

static void run_copy(struct imap_run *x, bool is_move)
{
	struct imap_session *s = x->session;
	struct imap_copy copy;
	struct range_set seqs;
	struct imap_target to;
	if (imap_parse_copy(x->cursor, &copy) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	copy.mailbox = imap_given_name(x, copy.mailbox);
	range_set_init(&seqs);
	if (imap_resolve_set(x, &copy.set, x->is_uid, &seqs)) {
		enum err e = ERR_NONE;
		if (is_move && s->is_read_only)
			imap_reply_no(x, STR("CANNOT"), STR("Mailbox is read-only."));
		else if ((e = mailbox_open(x->op, s->user, copy.mailbox, &to.mailbox)) != ERR_NONE)
			imap_reply_target_failure(x, e, copy.mailbox);
		else {
			to.is_trash = is_trash(x, copy.mailbox);
			copy_to(x, &to, &seqs, is_move);
			mailbox_unref(to.mailbox);
		}
	}
	range_set_done(&seqs);
}

void imap_command_copy(struct imap_run *x)
{
	run_copy(x, false);
}

void imap_command_move(struct imap_run *x)
{
	run_copy(x, true);
}

/* WAITS. `only_uids` may be NULL. */
static void expunge(struct imap_run *x, const struct range_set *only_uids)
{
	enum err e = ERR_NONE;
	if (x->session->is_read_only)
		imap_reply_ok(x, STR_NONE, STR("Expunge ignored: Mailbox is read-only."));
	else if ((e = view_expunge(x->op, x->session->view, only_uids)) != ERR_NONE)
		imap_reply_failure(x, e);
	else
		imap_reply_ok_modseq(x, STR("Expunge completed."));
}

void imap_command_expunge(struct imap_run *x)
{
	struct imap_sequence_set set;
	struct range_set uids;
	if (!x->is_uid) {
		if (imap_parse_none(x->cursor) != ERR_NONE)
			imap_reply_bad_arguments(x);
		else
			expunge(x, NULL);
		return;
	}
	if (imap_parse_uid_expunge(x->cursor, &set) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	range_set_init(&uids);
	imap_resolve_uids(x, &set, &uids);
	expunge(x, &uids);
	range_set_done(&uids);
}
