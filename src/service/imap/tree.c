/* SPDX-License-Identifier: Apache-2.0 */
/* Changing and asking the tree of mailboxes (RFC 3501 §6.3.3 to §6.3.7, §6.3.10; RFC 6154 §3).
 *
 * Which names may exist is the store's business; here its refusals get their response codes. */
#include "base/codec.h"
#include "service/imap/imap_private.h"

void imap_reply_no_mailbox(struct imap_run *x, struct str code, struct str name)
{
	AUTO_BUF(text, 0);
	buf_put(&text, STR("Mailbox doesn't exist: "));
	mutf7_encode(&text, str_slice(name, 0, 256));
	imap_reply_no(x, code, buf_str(&text));
}

/* "x/" is the name of a directory: x (RFC 3501 §6.3.3). */
static struct str without_separator(const struct imap_run *x, struct str name)
{
	if (name.n > 1 && name.p[name.n - 1] == x->session->settings->separator)
		name.n--;
	return imap_name_nfc(x->op->arena, name);
}

/* ---- CREATE, DELETE, RENAME ---- */

/* WAITS. With its MAILBOXID (RFC 8474 §4.1), unless it has gone already. */
static void reply_created(struct imap_run *x, struct str name)
{
	struct mailbox_status status;
	struct str code = STR_NONE;
	if (mailbox_status(x->op, x->session->user, name, &status) == ERR_NONE)
		code = imap_mailboxid_code(x->op->arena, &status.guid);
	else
		op_forgive(x->op);
	imap_reply_ok(x, code, STR("Create completed."));
}

void imap_command_create(struct imap_run *x)
{
	struct imap_create what;
	enum err e = imap_parse_create(x->cursor, &what);
	if (e == ERR_UNSUPPORTED) {
		imap_reply_no(x, STR("USEATTR"), str_from(x->cursor->error));
		return;
	}
	if (e != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	if ((what.special_use & (what.special_use - 1)) != 0) {
		imap_reply_no(x, STR("USEATTR"), STR("A mailbox has at most one special use."));
		return;
	}
	AUTO_BUF(special_use, 0);
	imap_put_special_use(&special_use, what.special_use);
	what.mailbox = without_separator(x, what.mailbox);
	e = tree_create(x->op, x->session->user, what.mailbox, buf_str(&special_use));
	if (e == ERR_CONFLICT && what.special_use != 0)
		imap_reply_no(x, STR("USEATTR"), STR("Another mailbox has this special use."));
	else if (e == ERR_EXISTS)
		imap_reply_no(x, STR("ALREADYEXISTS"), STR("Mailbox already exists"));
	else if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		reply_created(x, what.mailbox);
}

/* A session whose own mailbox went can't go on: its message numbers mean nothing any more. */
static void end_if_deleted(struct imap_run *x)
{
	struct imap_session *s = x->session;
	bool is_gone = s->view && view_is_gone(s->view);
	if (is_gone)
		imap_unselect(s);
	imap_reply_ok(x, STR_NONE, STR("Delete completed."));
	if (!is_gone || s->closing_reason)
		return;
	imap_put_untagged(x->out, "BYE", STR_NONE,
		STR("Selected mailbox was deleted, we have to disconnect."));
	s->closing_reason = "Selected mailbox was deleted";
}

/* A name that is no mailbox (RFC 3501 §6.3.4, RFC 5530 §3). */
static bool has_children(struct imap_run *x, struct str name)
{
	struct tree_entry entry;
	op_forgive(x->op);
	enum err e = tree_lookup(x->op, x->session->user, name, &entry);
	op_forgive(x->op);
	return e == ERR_NONE && (entry.flags & TREE_HAS_CHILDREN);
}

void imap_command_delete(struct imap_run *x)
{
	struct str name;
	if (imap_parse_mailbox(x->cursor, &name) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	name = imap_given_name(x, name);
	if (str_eq(name, STR("INBOX"))) {
		imap_reply_no(x, STR("CANNOT"), STR("INBOX can't be deleted."));
		return;
	}
	enum err e = tree_remove(x->op, x->session->user, name);
	if (e == ERR_NOT_FOUND && has_children(x, name))
		imap_reply_no(x, STR("HASCHILDREN"), STR("This name only has children."));
	else if (e == ERR_NOT_FOUND)
		imap_reply_no_mailbox(x, STR("NONEXISTENT"), name);
	else if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		end_if_deleted(x);
}

void imap_command_rename(struct imap_run *x)
{
	struct imap_rename what;
	if (imap_parse_rename(x->cursor, &what) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	what.from = imap_given_name(x, what.from);
	what.to = imap_given_name(x, what.to);
	enum err e = tree_rename(x->op, x->session->user, what.from, what.to);
	if (e == ERR_NOT_FOUND)
		imap_reply_no_mailbox(x, STR("NONEXISTENT"), what.from);
	else if (e == ERR_EXISTS)
		imap_reply_no(x, STR("ALREADYEXISTS"), STR("Target mailbox already exists"));
	else if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		imap_reply_ok(x, STR_NONE, STR("Rename completed."));
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

void imap_command_subscribe(struct imap_run *x)
{
	struct str name;
	struct tree_entry entry;
	if (imap_parse_mailbox(x->cursor, &name) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	name = without_separator(x, name);
	enum err e = tree_lookup(x->op, x->session->user, name, &entry);
	if (e == ERR_NOT_FOUND || (e == ERR_NONE && (entry.flags & TREE_NONEXISTENT))) {
		imap_reply_no_mailbox(x, STR("NONEXISTENT"), name);
		return;
	}
	if (e == ERR_NONE)
		e = tree_subscribe(x->op, x->session->user, name, true);
	if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		imap_reply_ok(x, STR_NONE, STR("Subscribe completed."));
}

/* Succeeds also for what is not subscribed or does not exist. */
void imap_command_unsubscribe(struct imap_run *x)
{
	struct str name;
	if (imap_parse_mailbox(x->cursor, &name) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	enum err e = tree_subscribe(x->op, x->session->user, without_separator(x, name), false);
	if (e != ERR_NONE)
		imap_reply_failure(x, e);
	else
		imap_reply_ok(x, STR_NONE, STR("Unsubscribe completed."));
}

/* ---- STATUS ---- */

static void put_item(struct buf *out, bool *is_first, const char *name, uint64_t value)
{
	if (!*is_first)
		buf_put_byte(out, ' ');
	*is_first = false;
	buf_put(out, str_from(name));
	buf_put_byte(out, ' ');
	buf_put_u64_dec(out, value);
}

/* What is not a plain number: RFC 7889 §3.1, RFC 8474 §4.3. */
static void put_other_items(
	struct imap_run *x, uint32_t items, bool *is_first, const struct mailbox_status *status)
{
	if (items & IMAP_STATUS_APPENDLIMIT)
		put_item(x->out, is_first, "APPENDLIMIT", x->session->settings->message_bytes_max);
	if (items & IMAP_STATUS_MAILBOXID) {
		buf_put(x->out, *is_first ? STR("") : STR(" "));
		buf_put(x->out, imap_mailboxid_code(x->op->arena, &status->guid));
	}
}

struct str imap_mailboxid_code(struct arena *arena, const struct mailbox_guid *guid)
{
	AUTO_BUF(code, 0);
	buf_put(&code, STR("MAILBOXID ("));
	hex_encode(&code, (struct str){ (const char *)guid->bytes, sizeof(guid->bytes) });
	buf_put_byte(&code, ')');
	return buf_dup(arena, &code);
}

void imap_put_status_line(
	struct imap_run *x, struct str name, uint32_t items, const struct mailbox_status *status)
{
	const struct {
		uint32_t item;
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ IMAP_STATUS_MESSAGES, "MESSAGES", status->messages },
		{ IMAP_STATUS_RECENT, "RECENT", status->recent },
		{ IMAP_STATUS_UIDNEXT, "UIDNEXT", status->uid_next },
		{ IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", status->uid_validity },
		{ IMAP_STATUS_UNSEEN, "UNSEEN", status->unseen },
		{ IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", status->highest_modseq },
		{ IMAP_STATUS_SIZE, "SIZE", status->bytes_virtual },
		{ IMAP_STATUS_DELETED, "DELETED", status->deleted },
	};
	bool is_first = true;
	buf_put(x->out, STR("* STATUS "));
	imap_put_mailbox(x->out, name);
	buf_put(x->out, STR(" ("));
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		if (items & numbers[i].item)
			put_item(x->out, &is_first, numbers[i].name, numbers[i].value);
	}
	put_other_items(x, items, &is_first, status);
	buf_put(x->out, STR(")\r\n"));
}

static bool is_selected(const struct imap_session *s, const struct mailbox_guid *guid)
{
	if (!s->mailbox)
		return false;
	struct mailbox_guid own = mailbox_guid(s->mailbox);
	return memcmp(&own, guid, sizeof(own)) == 0;
}

void imap_command_status(struct imap_run *x)
{
	struct imap_status what;
	struct mailbox_status status;
	if (imap_parse_status(x->cursor, &what) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	what.mailbox = imap_given_name(x, what.mailbox);
	enum err e = mailbox_status(x->op, x->session->user, what.mailbox, &status);
	if (e == ERR_NOT_FOUND) {
		imap_reply_no_mailbox(x, STR("NONEXISTENT"), what.mailbox);
		return;
	}
	if (e != ERR_NONE) {
		imap_reply_failure(x, e);
		return;
	}
	if (what.items & IMAP_STATUS_HIGHESTMODSEQ)
		imap_enable_condstore(x);
	imap_put_status_line(x, what.mailbox, what.items, &status);
	/* RFC 3501 §6.3.10: clients should not ask about what they have selected. */
	if (is_selected(x->session, &status.guid))
		imap_reply_ok(x, STR("CLIENTBUG"), STR("Status on selected mailbox completed."));
	else
		imap_reply_ok(x, STR_NONE, STR("Status completed."));
}
