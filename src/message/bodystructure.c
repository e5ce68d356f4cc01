/* SPDX-License-Identifier: Apache-2.0 */
/* message/bodystructure.c - BODY and BODYSTRUCTURE from the flat array of parts, without recursion:
 * a part is opened when its turn comes and closed when its last descendant has been written.
 * Spec: RFC 3501 §7.4.2 and the grammar of "body" in §9. */
#include "message/form_private.h"
#include "message/imap_form.h"
#include "message/lex_private.h"
#include "message/params.h"

struct writer {
	struct form form;
	struct buf *out;
	struct str mail;
	const struct message_tree *tree;
	bool is_extended;
};

static void space_put(struct writer *w)
{
	buf_put_byte(w->out, ' ');
}

static void param_put(struct writer *w, struct str name, struct str value, bool *is_first)
{
	if (w->form.text_left == 0)
		return;
	buf_put_byte(w->out, *is_first ? '(' : ' ');
	*is_first = false;
	form_value_put(&w->form, name);
	space_put(w);
	form_value_put(&w->form, value.p ? value : STR(""));
}

/* needs_charset: text parts always show one (RFC 2045 §5.2 gives the default). */
static void params_put(struct writer *w, struct str raw, bool needs_charset)
{
	struct arena_mark mark = arena_mark(&w->form.scratch);
	struct message_params params = { 0 };
	struct str charset;
	bool is_first = true;

	if (raw.n > 0)
		message_params_parse(&w->form.scratch, raw, &params);
	for (size_t i = 0; i < params.count; i++)
		param_put(w, params.items[i].name, params.items[i].value, &is_first);
	if (needs_charset && !message_params_find(&params, STR("charset"), &charset))
		param_put(w, STR("charset"), STR("us-ascii"), &is_first);
	buf_put(w->out, is_first ? STR("NIL") : STR(")"));
	arena_rewind(&w->form.scratch, mark);
}

static void disposition_put(struct writer *w, struct str rest)
{
	struct str token = message_token_cut(&rest);

	if (token.n == 0) {
		buf_put(w->out, STR("NIL"));
		return;
	}
	buf_put_byte(w->out, '(');
	form_value_put(&w->form, token);
	space_put(w);
	params_put(w, rest, false);
	buf_put_byte(w->out, ')');
}

static struct str language_next(struct str *rest)
{
	while (lex_cfws_skip(rest, NULL) || str_skip(rest, STR(",")))
		;
	struct str tag = lex_token_cut(rest);
	if (tag.n == 0)
		rest->n = 0; /* nothing that we could name */
	return tag;
}

static void language_put(struct writer *w, struct str rest)
{
	struct str first = language_next(&rest);
	struct str next = language_next(&rest);

	if (next.n == 0) {
		form_filled_put(&w->form, first);
		return;
	}
	buf_put_byte(w->out, '(');
	form_value_put(&w->form, first);
	for (; next.n > 0 && w->form.text_left > 0; next = language_next(&rest)) {
		space_put(w);
		form_value_put(&w->form, next);
	}
	buf_put_byte(w->out, ')');
}

/* The extension fields that all kinds share. */
static void extension_put(struct writer *w, const struct message_content *content)
{
	space_put(w);
	disposition_put(w, content->disposition);
	space_put(w);
	language_put(w, content->language);
	space_put(w);
	form_filled_put(&w->form, content->location);
}

static void basic_put(
	struct writer *w, const struct message_part *part, const struct message_content *content)
{
	form_value_put(&w->form, content->type);
	space_put(w);
	form_value_put(&w->form, content->subtype);
	space_put(w);
	params_put(w, content->params, part->is_text);
	space_put(w);
	form_filled_put(&w->form, content->id);
	space_put(w);
	form_filled_put(&w->form, content->description);
	space_put(w);
	form_value_put(&w->form, content->encoding.n > 0 ? content->encoding : STR("7bit"));
	space_put(w);
	buf_put_u64_dec(w->out, part->body.virtual_size);
}

static void part_open(struct writer *w, uint32_t idx)
{
	const struct message_part *part = &w->tree->parts[idx];
	const struct message_content *content = &w->tree->contents[idx];

	buf_put_byte(w->out, '(');
	switch (part->kind) {
	case MESSAGE_LEAF:
		basic_put(w, part, content);
		return;
	case MESSAGE_EMBEDDED:
		basic_put(w, part, content);
		space_put(w);
		form_envelope_put(&w->form, message_span_bytes(w->mail, &part[1].header));
		space_put(w);
		return;
	case MESSAGE_MULTIPART:
		/* The grammar wants at least one part. */
		if (part->child_count > 0)
			return;
		buf_put(w->out,
			STR("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
		buf_put(w->out, w->is_extended ? STR(" NIL NIL NIL NIL)") : STR(")"));
		return;
	}
}

static void part_close(struct writer *w, uint32_t idx)
{
	const struct message_part *part = &w->tree->parts[idx];
	const struct message_content *content = &w->tree->contents[idx];

	if (part->kind == MESSAGE_MULTIPART) {
		space_put(w);
		form_value_put(&w->form, content->subtype);
		if (w->is_extended) {
			space_put(w);
			params_put(w, content->params, false);
			extension_put(w, content);
		}
	} else {
		if (part->kind == MESSAGE_EMBEDDED || part->is_text) {
			space_put(w);
			buf_put_u64_dec(w->out, message_part_body_lines(part));
		}
		if (w->is_extended) {
			space_put(w);
			form_filled_put(&w->form, content->md5);
			extension_put(w, content);
		}
	}
	buf_put_byte(w->out, ')');
}

void message_bodystructure_put(
	struct buf *out, struct str mail, const struct message_tree *tree, bool is_extended)
{
	struct writer w = { .out = out, .mail = mail, .tree = tree, .is_extended = is_extended };

	ASSERT(tree->contents != NULL);
	form_init(&w.form, out, MESSAGE_STRUCTURE_TEXT_MAX);
	for (uint32_t i = 0; i < tree->count; i++) {
		part_open(&w, i);
		for (uint32_t at = i; at != MESSAGE_NO_PART && tree->parts[at].end == i + 1;
			at = tree->parts[at].parent)
			part_close(&w, at);
	}
	form_done(&w.form);
}
