/* SPDX-License-Identifier: Apache-2.0 */
/* What is told about a delivery: mail_delivery_started, mail_delivery_finished, and the log line by
 * deliver_log_format. Spec: sheet core §2.5 (variables), §9.2 (fields).
 *
 * Variables are looked up when the format asks for them: most formats want the Message-ID alone. */
#include "config/config.h"
#include "config/expand.h"
#include "deliver/deliver_private.h"
#include "message/address.h"
#include "message/header.h"
#include "message/words.h"
#include "store/store.h"

/* Fields are looked for in this much of the mail. */
#define HEADER_BYTES_MAX  (64 * 1024)
#define SUBJECT_BYTES_MAX 160 /* longer ones make no better log line */

void deliver_settings_read(const struct config_scope *scope, struct deliver_settings *out)
{
	unsigned options = 0;
	if (config_bool(scope, SET_lmtp_save_to_detail_mailbox))
		options |= DELIVER_TO_DETAIL;
	if (config_bool(scope, SET_lda_mailbox_autocreate))
		options |= DELIVER_CREATES_MAILBOX;
	if (config_bool(scope, SET_lda_mailbox_autosubscribe))
		options |= DELIVER_SUBSCRIBES_MAILBOX;
	*out = (struct deliver_settings){
		.options = options,
		.log_format = config_str(scope, SET_deliver_log_format),
	};
}

/* ---- what the mail says ---- */

static struct str field(struct arena *arena, struct str message, struct str name)
{
	struct message_field found;
	if (!message_field_find(str_slice(message, 0, HEADER_BYTES_MAX), name, &found))
		return STR("");
	return str_trim(message_field_unfold(arena, found.value));
}

static struct str message_id(struct arena *arena, struct str message)
{
	struct str id = field(arena, message, STR("Message-ID"));
	return id.n > 0 ? str_slice(id, 0, 1000) : STR("unspecified");
}

static struct str subject(struct arena *arena, struct str message)
{
	AUTO_BUF(text, 4 * SUBJECT_BYTES_MAX);
	message_words_decode(&text, field(arena, message, STR("Subject")));
	size_t n = MIN(text.n, (size_t)SUBJECT_BYTES_MAX);
	while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	buf_truncate(&text, n);
	return buf_dup(arena, &text);
}

/* The first address of From. */
static struct str from(struct arena *arena, struct str message)
{
	struct message_addresses list;
	struct message_address address;
	struct str result = STR("");
	message_addresses_init(&list, field(arena, message, STR("From")));
	while (result.n == 0 && message_address_next(&list, &address))
		if (address.kind == MESSAGE_ADDRESS && address.mailbox.n > 0)
			result = str_printf(
				arena, "%.*s@%.*s", STRF(address.mailbox), STRF(address.host));
	message_addresses_done(&list);
	return result;
}

/* With a CR before each LF. */
static size_t virtual_size(struct str message)
{
	size_t size = message.n;
	struct str rest = message;
	ssize_t at;
	while ((at = str_find_byte(rest, '\n')) >= 0) {
		size += at == 0 || rest.p[at - 1] != '\r';
		(void)str_take(&rest, (size_t)at + 1);
	}
	return size;
}

/* ---- events ---- */

void deliver_report_begin(struct deliver_report *r, struct op *op, struct user *u,
	const struct delivery *d, struct str message)
{
	struct str user = user_name(u);
	*r = (struct deliver_report){
		.event = event_new(op->event, "local-delivery"),
		.d = d,
		.arena = op->arena,
		.message = message,
		.user = user,
		.started_us = now_us(),
	};
	event_set_str(r->event, "user", user);
	event_set_str(r->event, "session", d->session_id);
	event_set_str(r->event, "protocol", STR("lmtp"));
	event_set_str(r->event, "mail_from", d->sender);
	event_set_str(r->event, "rcpt_to", d->recipient);
	event_set_prefix(r->event,
		str_printf(op->arena, "lmtp(%.*s)<%.*s>: ", STRF(user), STRF(d->session_id)));
	event_set_int(r->event, "message_size", (int64_t)message.n);
	if (!event_is_wanted(r->event, EVENT_DEBUG))
		return;
	event_set_str(r->event, "message_id", message_id(op->arena, message));
	event_set_str(r->event, "message_subject", subject(op->arena, message));
	event_set_str(r->event, "message_from", from(op->arena, message));
	event_set_int(r->event, "message_vsize", (int64_t)virtual_size(message));
	event_send(r->event, EVENT_DEBUG, "mail_delivery_started", "Delivery begins");
}

static struct str milliseconds(const struct deliver_report *r, int64_t us)
{
	return str_printf(r->arena, "%" PRId64, MAX(us, 0) / US_PER_MS);
}

static struct str bytes(const struct deliver_report *r, size_t n)
{
	return str_printf(r->arena, "%zu", n);
}

/* A value of deliver_log_format; see config/expand.h. */
static bool find_variable(void *ctx, struct str name, struct str *out)
{
	const struct deliver_report *r = ctx;
	if (str_eq(name, STR("msgid")))
		*out = message_id(r->arena, r->message);
	else if (str_eq(name, STR("subject")))
		*out = subject(r->arena, r->message);
	else if (str_eq(name, STR("from")))
		*out = from(r->arena, r->message);
	else if (str_eq(name, STR("from_envelope")))
		*out = r->d->sender;
	else if (str_eq(name, STR("to_envelope")))
		*out = r->d->recipient;
	else if (str_eq(name, STR("size")))
		*out = bytes(r, r->message.n);
	else if (str_eq(name, STR("vsize")))
		*out = bytes(r, virtual_size(r->message));
	else if (str_eq(name, STR("delivery_time")))
		*out = milliseconds(r, now_us() - r->started_us);
	else if (str_eq(name, STR("session_time")))
		*out = milliseconds(r, now_wall_us() - r->d->received_wall_us);
	else if (str_eq(name, STR("storage_id")))
		*out = STR("");
	else if (str_eq(name, STR("message")))
		*out = r->outcome;
	else if (str_eq(name, STR("user")))
		*out = r->user;
	else if (str_eq(name, STR("session")))
		*out = r->d->session_id;
	else
		return false;
	return true;
}

void deliver_report_end(struct deliver_report *r, struct op *op, struct str format, enum err e,
	const struct delivery_result *result)
{
	static const struct config_var none[] = { { .name = { "home", 4 } } };
	struct op_failure why = op->failure;
	if (e != ERR_NONE) {
		r->outcome = str_printf(r->arena, "failed to save mail: %s", why.text);
		event_set_str(r->event, "error", str_from(why.text));
	} else {
		r->outcome = str_printf(r->arena, "saved mail to %.*s", STRF(result->mailbox));
		event_set_str(r->event, "mailbox", result->mailbox);
		event_set_int(r->event, "uid", result->uid);
	}
	struct config_vars vars = {
		.items = none, .count = ARRAY_COUNT(none), .find = find_variable, .ctx = r
	};
	struct str line;
	/* A format that cannot be expanded must not hide what became of the mail. */
	if (config_expand(op, format, &vars, &line) != ERR_NONE)
		line = str_printf(r->arena, "%.*s (deliver_log_format: %s)", STRF(r->outcome),
			op->failure.text);
	op->failure = why;
	event_set_str(r->event, "message_id", message_id(r->arena, r->message));
	event_send(r->event, e == ERR_NONE ? EVENT_INFO : EVENT_WARNING, "mail_delivery_finished",
		"%.*s", STRF(line));
	event_unref(r->event);
}
