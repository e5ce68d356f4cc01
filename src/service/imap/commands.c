/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and those that need neither mails nor the tree.
 *
 * To add a command: write imap_command_x() in a file of its subject, declare it in imap_private.h, add
 * a row here and dialogues that name the RFC's section. */
#include "service/imap/imap_private.h"

static const struct imap_command_row commands[] = {
	{ { "CAPABILITY", 10 }, IMAP_NO_SYNC, imap_command_capability }, /* RFC 3501 §6.1.1 */
	{ { "NOOP", 4 }, IMAP_TELLS_MAILS, imap_command_noop },          /* §6.1.2 */
	{ { "LOGOUT", 6 }, IMAP_NO_SYNC, imap_command_logout },          /* §6.1.3 */
	{ { "ID", 2 }, 0, imap_command_id },                             /* RFC 2971 */
	{ { "ENABLE", 6 }, 0, imap_command_enable },                     /* RFC 5161 */
	{ { "NAMESPACE", 9 }, 0, imap_command_namespace },               /* RFC 2342 */
	{ { "IDLE", 4 }, IMAP_NO_SYNC, imap_command_idle },              /* RFC 2177 */
	{ { "SELECT", 6 }, IMAP_NO_SYNC, imap_command_select },          /* RFC 3501 §6.3.1 */
	{ { "EXAMINE", 7 }, IMAP_NO_SYNC, imap_command_examine },        /* §6.3.2 */
	{ { "CREATE", 6 }, 0, imap_command_create },                     /* §6.3.3, RFC 6154 §3 */
	{ { "DELETE", 6 }, 0, imap_command_delete },                     /* §6.3.4 */
	{ { "RENAME", 6 }, 0, imap_command_rename },                     /* §6.3.5 */
	{ { "SUBSCRIBE", 9 }, 0, imap_command_subscribe },               /* §6.3.6 */
	{ { "UNSUBSCRIBE", 11 }, 0, imap_command_unsubscribe },          /* §6.3.7 */
	{ { "LIST", 4 }, 0, imap_command_list },                         /* §6.3.8, RFC 5258 */
	{ { "LSUB", 4 }, 0, imap_command_lsub },                         /* §6.3.9 */
	{ { "STATUS", 6 }, 0, imap_command_status },                     /* §6.3.10 */
	{ { "APPEND", 6 }, 0, imap_command_append },                     /* §6.3.11, RFC 3502 */
	{ { "CHECK", 5 }, IMAP_NEEDS_SELECTED | IMAP_TELLS_MAILS, imap_command_check }, /* §6.4.1 */
	{ { "CLOSE", 5 }, IMAP_NEEDS_SELECTED | IMAP_NO_SYNC, imap_command_close }, /* §6.4.2 */
	{ { "UNSELECT", 8 }, IMAP_NEEDS_SELECTED | IMAP_NO_SYNC,
		imap_command_unselect }, /* RFC 3691 */
	{ { "EXPUNGE", 7 }, IMAP_NEEDS_SELECTED | IMAP_HAS_UID_FORM,
		imap_command_expunge }, /* RFC 3501 §6.4.3, RFC 4315 §2.1 */
	{ { "SEARCH", 6 }, IMAP_NEEDS_SELECTED | IMAP_KEEPS_SEQS | IMAP_HAS_UID_FORM,
		imap_command_search }, /* §6.4.4 */
	{ { "FETCH", 5 }, IMAP_NEEDS_SELECTED | IMAP_KEEPS_SEQS | IMAP_HAS_UID_FORM,
		imap_command_fetch }, /* §6.4.5 */
	{ { "STORE", 5 }, IMAP_NEEDS_SELECTED | IMAP_KEEPS_SEQS | IMAP_HAS_UID_FORM,
		imap_command_store },                                                  /* §6.4.6 */
	{ { "COPY", 4 }, IMAP_NEEDS_SELECTED | IMAP_HAS_UID_FORM, imap_command_copy }, /* §6.4.7 */
	{ { "MOVE", 4 }, IMAP_NEEDS_SELECTED | IMAP_HAS_UID_FORM,
		imap_command_move }, /* RFC 6851 */
};

const struct imap_command_row *imap_command_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
		if (str_eq_ci(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

void imap_command_capability(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	buf_put(x->out, STR("* CAPABILITY "));
	buf_put(x->out, buf_str(&x->session->settings->capability));
	buf_put(x->out, STR("\r\n"));
	imap_reply_ok(x, STR_NONE, STR("Capability completed."));
}

void imap_command_noop(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE)
		imap_reply_bad_arguments(x);
	else
		imap_reply_ok(x, STR_NONE, STR("NOOP completed."));
}

void imap_command_logout(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	imap_put_untagged(x->out, "BYE", STR_NONE, STR("Logging out"));
	imap_reply_ok(x, STR_NONE, STR("Logout completed."));
	x->session->closing_reason = "Logged out";
}

void imap_command_id(struct imap_run *x)
{
	struct imap_id id;
	struct config_item item;
	size_t at = 0;
	bool is_first = true;
	if (imap_parse_id(x->cursor, &id) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	AUTO_BUF(log, 0);
	for (size_t i = 0; i < id.count; i++)
		buf_putf(&log, "%s%.*s=%.*s", i ? ", " : "", STRF(id.pairs[i].key),
			STRF(id.pairs[i].value));
	if (log.n > 0)
		event_send(x->session->event, EVENT_INFO, "imap_id_received", "ID sent: %.*s",
			STRF(buf_str(&log)));
	buf_put(x->out, STR("* ID "));
	while (config_list_next(x->session->settings->scope, SET_imap_id_send, &at, &item)) {
		buf_put(x->out, is_first ? STR("(") : STR(" "));
		imap_put_string(x->out, item.key);
		buf_put_byte(x->out, ' ');
		imap_put_string(x->out, item.value);
		is_first = false;
	}
	buf_put(x->out, is_first ? STR("NIL\r\n") : STR(")\r\n"));
	imap_reply_ok(x, STR_NONE, STR("ID completed."));
}

void imap_command_namespace(struct imap_run *x)
{
	if (imap_parse_none(x->cursor) != ERR_NONE) {
		imap_reply_bad_arguments(x);
		return;
	}
	buf_put(x->out, STR("* NAMESPACE ((\"\" "));
	imap_put_separator(x->out, x->session->settings->separator);
	buf_put(x->out, STR(")) NIL NIL\r\n"));
	imap_reply_ok(x, STR_NONE, STR("Namespace completed."));
}
