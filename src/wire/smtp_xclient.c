/* SPDX-License-Identifier: Apache-2.0 */
/* wire/smtp_xclient.c - XCLIENT: a proxy or a filter tells whom it speaks for.
 *
 * Spec: sheet protocols §7.3. Values are xtext; [UNAVAILABLE] and [TEMPUNAVAIL] stand for none.
 * To extend: an attribute is a value of enum smtp_xclient_attribute and a row in `attributes`. */
#include <arpa/inet.h>

#include "base/base.h"
#include "base/codec.h"
#include "base/number.h"
#include "base/unicode.h"
#include "wire/smtp_private.h"

static bool is_ip(struct arena *arena, struct str *value)
{
	struct in6_addr six;
	struct in_addr four;
	char text[INET6_ADDRSTRLEN];
	(void)arena;
	bool is_six = str_skip_ci(value, STR("IPV6:")) || str_find_byte(*value, ':') >= 0;
	if (value->n == 0 || value->n >= sizeof(text))
		return false;
	memcpy(text, value->p, value->n);
	text[value->n] = '\0';
	return is_six ? inet_pton(AF_INET6, text, &six) == 1 : inet_pton(AF_INET, text, &four) == 1;
}

static bool is_host(struct arena *arena, struct str *value)
{
	(void)arena;
	return smtp_domain_is_valid(*value);
}

static bool is_protocol(struct arena *arena, struct str *value)
{
	static const struct str known[] = { STR("SMTP"), STR("ESMTP"), STR("LMTP") };
	(void)arena;
	for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
		if (!str_eq_ci(*value, known[i]))
			continue;
		*value = known[i];
		return true;
	}
	return false;
}

/* A word that can stand in log lines and trace fields as it is. */
static bool is_word(struct arena *arena, struct str *value)
{
	(void)arena;
	for (size_t i = 0; i < value->n; i++)
		if ((unsigned char)value->p[i] <= ' ' || (unsigned char)value->p[i] >= 0x7f ||
			memchr("<>()\\\"", value->p[i], 6))
			return false;
	return value->n > 0;
}

static bool is_text(struct arena *arena, struct str *value)
{
	(void)arena;
	return value->n > 0; /* decoding let through nothing but printable UTF-8 */
}

static bool is_forward(struct arena *arena, struct str *value)
{
	return smtp_decode_forward(arena, *value, value);
}

static const struct attribute_row {
	struct str name;
	/* NULL: a number of at most `max`. May change the value to what it means. */
	bool (*is_valid)(struct arena *arena, struct str *value);
	uint32_t max;
} attributes[] = {
	[SMTP_XCLIENT_ADDR] = { STR("ADDR"), is_ip, 0 },
	[SMTP_XCLIENT_PORT] = { STR("PORT"), NULL, 65535 },
	[SMTP_XCLIENT_DESTADDR] = { STR("DESTADDR"), is_ip, 0 },
	[SMTP_XCLIENT_DESTPORT] = { STR("DESTPORT"), NULL, 65535 },
	[SMTP_XCLIENT_DESTNAME] = { STR("DESTNAME"), is_host, 0 },
	[SMTP_XCLIENT_HELO] = { STR("HELO"), is_host, 0 },
	[SMTP_XCLIENT_LOGIN] = { STR("LOGIN"), is_text, 0 },
	[SMTP_XCLIENT_PROTO] = { STR("PROTO"), is_protocol, 0 },
	[SMTP_XCLIENT_SESSION] = { STR("SESSION"), is_word, 0 },
	[SMTP_XCLIENT_TRANSPORT] = { STR("CLIENT-TRANSPORT"), is_word, 0 },
	[SMTP_XCLIENT_TTL] = { STR("TTL"), NULL, 1000 },
	[SMTP_XCLIENT_TIMEOUT] = { STR("TIMEOUT"), NULL, 1000000 },
	[SMTP_XCLIENT_FORWARD] = { STR("FORWARD"), is_forward, 0 },
};

void smtp_put_xclient_keywords(struct buf *out)
{
	buf_put(out, STR("XCLIENT"));
	for (size_t i = 0; i < ARRAY_COUNT(attributes); i++)
		buf_putf(out, " %.*s", STRF(attributes[i].name));
}

static bool take_attribute(
	struct arena *arena, size_t i, struct str given, struct smtp_xclient *out)
{
	struct str value;
	size_t max = i == SMTP_XCLIENT_FORWARD ? SMTP_PARAM_BYTES_MAX : SMTP_XCLIENT_TEXT_MAX;
	if (given.n == 0 || !smtp_xtext_decode(arena, given, &value) || value.n > max)
		return false;
	out->is_given[i] = true;
	out->text[i] = STR("");
	out->number[i] = 0;
	if (str_eq_ci(value, STR("[UNAVAILABLE]")) || str_eq_ci(value, STR("[TEMPUNAVAIL]")))
		return true;
	if (!attributes[i].is_valid)
		return number_parse_u32(value, &out->number[i]) &&
		       out->number[i] <= attributes[i].max;
	out->text[i] = value;
	return attributes[i].is_valid(arena, &out->text[i]);
}

enum err smtp_parse_xclient(struct arena *arena, const struct smtp_command *command,
	struct smtp_xclient *out, struct smtp_reply *why)
{
	struct smtp_xclient result = { .is_given = { false } };
	if (!arena_has_room(arena, 4 * SMTP_PARAM_BYTES_MAX)) {
		*why = (struct smtp_reply){ 452, "4.3.1", "Out of memory for this connection" };
		return ERR_LIMIT;
	}
	for (size_t at = 0; at < command->param_count; at++) {
		const struct smtp_param *param = &command->params[at];
		size_t i = 0;
		while (i < ARRAY_COUNT(attributes) &&
			!str_eq_ci(attributes[i].name, param->keyword))
			i++;
		if (i < ARRAY_COUNT(attributes) && take_attribute(arena, i, param->value, &result))
			continue;
		*why = (struct smtp_reply){ 501, "5.5.4", "Invalid XCLIENT parameters" };
		return ERR_INVALID;
	}
	*out = result;
	return ERR_NONE;
}

bool smtp_decode_forward(struct arena *arena, struct str value, struct str *out)
{
	AUTO_BUF(padded, 0);
	AUTO_BUF(list, 0);
	buf_put(&padded, value);
	while (padded.n % 4 != 0) /* a parameter's value cannot hold "=" (RFC 5321 §4.1.2) */
		buf_put_byte(&padded, '=');
	if (value.n == 0 || !base64_decode(&list, buf_str(&padded)) ||
		!utf8_is_valid(buf_str(&list)) || !arena_has_room(arena, list.n))
		return false;
	struct str rest = buf_str(&list);
	bool has_more;
	do {
		struct str pair = rest, key;
		has_more = str_cut(&rest, '\t', &pair);
		if (!str_cut(&pair, '=', &key) || key.n == 0 || str_has_nul(pair) ||
			str_find_byte(pair, '\r') >= 0 || str_find_byte(pair, '\n') >= 0)
			return false;
	} while (has_more);
	*out = buf_dup(arena, &list);
	return true;
}
