/* SPDX-License-Identifier: Apache-2.0 */
/* message/envelope.c - ENVELOPE from one pass over a header block.
 *
 * Of Date, Subject, In-Reply-To and Message-ID the first field counts; the addresses of several From,
 * To ... fields come one after the other. Sender and Reply-To fall back to From.
 * Spec: RFC 3501 §7.4.2, sheet §4.13. */
#include "message/address.h"
#include "message/form_private.h"
#include "message/header.h"
#include "message/imap_form.h"

enum { LIST_FROM, LIST_SENDER, LIST_REPLY_TO, LIST_TO, LIST_CC, LIST_BCC, LIST_COUNT };
enum { TEXT_DATE, TEXT_SUBJECT, TEXT_IN_REPLY_TO, TEXT_MESSAGE_ID, TEXT_COUNT };

static const struct {
	struct str name;
	bool is_list;
	int slot;
} envelope_fields[] = {
	{ { "Date", 4 }, false, TEXT_DATE },
	{ { "Subject", 7 }, false, TEXT_SUBJECT },
	{ { "In-Reply-To", 11 }, false, TEXT_IN_REPLY_TO },
	{ { "Message-ID", 10 }, false, TEXT_MESSAGE_ID },
	{ { "From", 4 }, true, LIST_FROM },
	{ { "Sender", 6 }, true, LIST_SENDER },
	{ { "Reply-To", 8 }, true, LIST_REPLY_TO },
	{ { "To", 2 }, true, LIST_TO },
	{ { "Cc", 2 }, true, LIST_CC },
	{ { "Bcc", 3 }, true, LIST_BCC },
};

struct envelope {
	struct str texts[TEXT_COUNT];
	struct buf lists[LIST_COUNT]; /* wire form without the outer parentheses */
};

static struct str nil_if_empty(struct str s)
{
	return s.n > 0 ? s : STR_NONE;
}

static struct str or_default(struct str s, struct str instead)
{
	return s.p ? s : instead;
}

static void address_put(struct form *form, const struct message_address *address)
{
	struct buf *out = form->out;

	buf_put_byte(out, '(');
	if (address->kind == MESSAGE_ADDRESS) {
		form_value_put(form, nil_if_empty(address->name));
		buf_put_byte(out, ' ');
		form_value_put(form, nil_if_empty(address->route));
		buf_put_byte(out, ' ');
		form_value_put(form, or_default(address->mailbox, STR("MISSING_MAILBOX")));
		buf_put_byte(out, ' ');
		form_value_put(form, or_default(address->host, STR("MISSING_DOMAIN")));
	} else {
		buf_put(out, STR("NIL NIL "));
		form_value_put(
			form, address->kind == MESSAGE_GROUP_START ? address->name : STR_NONE);
		buf_put(out, STR(" NIL"));
	}
	buf_put_byte(out, ')');
	form->text_left -= MIN(form->text_left, FORM_ADDRESS_COST);
}

/* Writes the addresses of one field to `to`, not to form->out. */
static void list_collect(struct form *form, struct buf *to, struct str value)
{
	struct message_addresses list;
	struct message_address address;
	struct buf *out = form->out;

	if (form->text_left == 0)
		return;
	form->out = to;
	message_addresses_init(&list, value);
	while (message_address_next(&list, &address)) {
		address_put(form, &address);
		if (form->text_left == 0)
			list.rest.n = 0; /* what is left closes an open group */
	}
	message_addresses_done(&list);
	form->out = out;
}

static void field_collect(
	struct form *form, struct envelope *env, const struct message_field *field)
{
	for (size_t i = 0; i < ARRAY_COUNT(envelope_fields); i++) {
		int slot = envelope_fields[i].slot;
		if (!str_eq_ci(field->name, envelope_fields[i].name))
			continue;
		if (envelope_fields[i].is_list)
			list_collect(form, &env->lists[slot], field->value);
		else if (!env->texts[slot].p)
			env->texts[slot] = field->value;
		return;
	}
}

static void list_put(struct buf *out, const struct buf *list)
{
	buf_put_byte(out, ' ');
	if (list->n == 0) {
		buf_put(out, STR("NIL"));
		return;
	}
	buf_put_byte(out, '(');
	buf_put(out, buf_str(list));
	buf_put_byte(out, ')');
}

void form_envelope_put(struct form *form, struct str header)
{
	struct envelope env = { 0 };
	struct message_field field;
	struct buf *out = form->out;

	while (message_field_next(&header, &field))
		field_collect(form, &env, &field);
	buf_put_byte(out, '(');
	form_value_put(form, env.texts[TEXT_DATE]);
	buf_put_byte(out, ' ');
	form_value_put(form, env.texts[TEXT_SUBJECT]);
	for (int i = 0; i < LIST_COUNT; i++) {
		bool is_copy = (i == LIST_SENDER || i == LIST_REPLY_TO) && env.lists[i].n == 0;
		list_put(out, &env.lists[is_copy ? LIST_FROM : i]);
	}
	buf_put_byte(out, ' ');
	form_value_put(form, env.texts[TEXT_IN_REPLY_TO]);
	buf_put_byte(out, ' ');
	form_value_put(form, env.texts[TEXT_MESSAGE_ID]);
	buf_put_byte(out, ')');
	for (int i = 0; i < LIST_COUNT; i++)
		buf_done(&env.lists[i]);
}

void message_envelope_put(struct buf *out, struct str header)
{
	struct form form;

	form_init(&form, out, MESSAGE_ENVELOPE_TEXT_MAX);
	form_envelope_put(&form, header);
	form_done(&form);
}
