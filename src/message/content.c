/* SPDX-License-Identifier: Apache-2.0 */
/* message/content.c - reads the Content-* fields and decides what kind of part they describe.
 *
 * To add a field: a member in struct message_content and a row in content_fields.
 * Spec: RFC 2045 §5-§8, RFC 2046 §5.1.5 (digest), RFC 2183, RFC 1864, RFC 3282, RFC 2557. */
#include "message/header.h"
#include "message/lex_private.h"
#include "message/params.h"
#include "message/parse_private.h"

#define CONTENT_MEMBER(name) offsetof(struct message_content, name)

static const struct {
	struct str name;
	size_t member;
} content_fields[] = {
	{ { "Content-Type", 12 }, CONTENT_MEMBER(type) },
	{ { "Content-Transfer-Encoding", 25 }, CONTENT_MEMBER(encoding) },
	{ { "Content-ID", 10 }, CONTENT_MEMBER(id) },
	{ { "Content-Description", 19 }, CONTENT_MEMBER(description) },
	{ { "Content-MD5", 11 }, CONTENT_MEMBER(md5) },
	{ { "Content-Disposition", 19 }, CONTENT_MEMBER(disposition) },
	{ { "Content-Language", 16 }, CONTENT_MEMBER(language) },
	{ { "Content-Location", 16 }, CONTENT_MEMBER(location) },
};

static struct str *content_member(struct message_content *content, size_t member)
{
	return (struct str *)(void *)((char *)content + member);
}

/* Collects the first value of each known field; returns the number of fields seen. */
static uint64_t fields_collect(struct str header, struct message_content *out)
{
	struct message_field field;
	uint64_t seen = 0;

	for (; message_field_next(&header, &field); seen++) {
		if (!str_starts_ci(field.name, STR("content-")))
			continue;
		for (size_t i = 0; i < ARRAY_COUNT(content_fields); i++) {
			struct str *slot = content_member(out, content_fields[i].member);
			if (!slot->p && str_eq_ci(field.name, content_fields[i].name))
				*slot = field.value;
		}
	}
	return seen;
}

/* Splits the value of Content-Type; what cannot be read is opaque (sheet §4.13). */
static void type_split(struct message_content *content, bool is_digest)
{
	struct str rest = content->type;

	content->params = STR_NONE;
	if (!content->type.p) {
		content->type = is_digest ? STR("message") : STR("text");
		content->subtype = is_digest ? STR("rfc822") : STR("plain");
		return;
	}
	(void)lex_cfws_skip(&rest, NULL);
	content->type = lex_token_cut(&rest);
	(void)lex_cfws_skip(&rest, NULL);
	bool has_slash = str_skip(&rest, STR("/"));
	(void)lex_cfws_skip(&rest, NULL);
	content->subtype = lex_token_cut(&rest);
	content->params = rest;
	if (!has_slash || content->type.n == 0 || content->subtype.n == 0)
		content_make_opaque(content);
}

void content_make_opaque(struct message_content *content)
{
	content->type = STR("application");
	content->subtype = STR("octet-stream");
	content->params = STR_NONE;
}

static enum message_encoding encoding_from(struct str name)
{
	if (name.n == 0 || str_eq_ci(name, STR("7bit")) || str_eq_ci(name, STR("8bit")) ||
		str_eq_ci(name, STR("binary")))
		return MESSAGE_ENCODING_IDENTITY;
	if (str_eq_ci(name, STR("base64")))
		return MESSAGE_ENCODING_BASE64;
	if (str_eq_ci(name, STR("quoted-printable")))
		return MESSAGE_ENCODING_QUOTED_PRINTABLE;
	return MESSAGE_ENCODING_UNKNOWN;
}

static enum message_kind kind_from(const struct message_content *content)
{
	if (str_eq_ci(content->type, STR("multipart")))
		return MESSAGE_MULTIPART;
	if (str_eq_ci(content->type, STR("message")) &&
		(str_eq_ci(content->subtype, STR("rfc822")) ||
			str_eq_ci(content->subtype, STR("global"))))
		return MESSAGE_EMBEDDED;
	return MESSAGE_LEAF;
}

void content_parse(struct arena *scratch, struct str header, bool is_digest,
	struct message_content *out, struct content_verdict *verdict)
{
	*out = (struct message_content){ 0 };
	*verdict = (struct content_verdict){ 0 };
	verdict->steps = fields_collect(header, out);
	type_split(out, is_digest);
	if (out->encoding.p)
		out->encoding = message_token_cut(&out->encoding);
	verdict->encoding = encoding_from(out->encoding);
	verdict->kind = kind_from(out);
	verdict->is_text = str_eq_ci(out->type, STR("text"));
	/* An encoded mail inside a mail is against RFC 2046 §5.2.1; nobody can look into it. */
	if (verdict->kind == MESSAGE_EMBEDDED && verdict->encoding != MESSAGE_ENCODING_IDENTITY) {
		content_make_opaque(out);
		verdict->kind = MESSAGE_LEAF;
	}
	if (verdict->kind == MESSAGE_MULTIPART) {
		struct message_params params;
		message_params_parse(scratch, out->params, &params);
		if (message_params_find(&params, STR("boundary"), &verdict->boundary))
			verdict->boundary = str_trim_right(verdict->boundary);
	}
}
