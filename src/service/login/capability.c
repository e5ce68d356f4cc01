/* SPDX-License-Identifier: Apache-2.0 */
/* What is offered before login. Spec: RFC 3501 §6.1.1, §7.2.1; RFC 2595 §3.2 (LOGINDISABLED). */
#include "service/login/login_private.h"

/* To add a capability: name it here, when it means something to a client that is not logged in. */
static const char *const always[] = { "IMAP4rev1", "SASL-IR", "LOGIN-REFERRALS", "ID", "ENABLE",
	"IDLE" };

static void put_word(struct buf *out, const struct login_connection *c, struct str word)
{
	if (config_list_refuses(c->scope, SET_imap_capability, word))
		return;
	buf_put_byte(out, ' ');
	buf_put(out, word);
}

static void put_mechanisms(struct buf *out, const struct login_connection *c)
{
	AUTO_ARENA(arena, 0);
	struct str name;
	size_t at = 0;
	while (auth_mechanism_next(&at, &name)) {
		if (login_offers(c, name))
			put_word(out, c, str_printf(&arena, "AUTH=%.*s", STRF(name)));
	}
}

static bool is_listed(struct str list, struct str word)
{
	struct str next;
	while (str_cut_word(&list, &next)) {
		if (str_eq_ci(next, word))
			return true;
	}
	return false;
}

void login_put_capabilities(struct buf *out, const struct login_connection *c)
{
	struct config_item item;
	size_t begin = out->n, at = 0;
	buf_put(out, STR("CAPABILITY"));
	for (size_t i = 0; i < ARRAY_COUNT(always); i++)
		put_word(out, c, str_from(always[i]));
	put_word(out, c,
		config_bool(c->scope, SET_imap_literal_minus) ? STR("LITERAL-") : STR("LITERAL+"));
	if (c->login->tls && !login_is_tls(c) && !config_is(c->scope, SET_ssl, STR("no")))
		put_word(out, c, STR("STARTTLS"));
	/* An administrator cannot take away what keeps passwords off the line. */
	if (!login_may_use_cleartext(c))
		buf_put(out, STR(" LOGINDISABLED"));
	put_mechanisms(out, c);
	while (config_list_next(c->scope, SET_imap_capability, &at, &item)) {
		if (!is_listed(str_slice(buf_str(out), begin, out->n), item.key))
			put_word(out, c, item.key);
	}
}
