/* SPDX-License-Identifier: Apache-2.0 */
/* ID before login (RFC 2971): who the client is; and from networks that are trusted, on whose behalf it
 * speaks (sheet protocols §4.6). */
#include "base/number.h"
#include "service/login/login_private.h"

/* ---- what a proxy tells ---- */

static bool take_ip(struct address *a, struct str text)
{
	struct address told;
	if (!address_parse(text, &told) || told.port != 0)
		return false;
	told.port = a->port;
	*a = told;
	return true;
}

static bool take_port(struct address *a, struct str text)
{
	uint32_t port;
	if (!number_parse_u32(text, &port) || port > UINT16_MAX)
		return false;
	a->port = (uint16_t)port;
	return true;
}

/* It stands in every log line of the session and in those of other hosts. */
static bool take_session(struct login_connection *c, struct str id)
{
	if (id.n == 0 || id.n >= sizeof(c->session_id))
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char b = id.p[i];
		if (!ascii_is_alpha(b) && !ascii_is_digit(b) && !strchr("+/=-_.:", b))
			return false;
	}
	memset(c->session_id, 0, sizeof(c->session_id));
	memcpy(c->session_id, id.p, id.n);
	event_set_str(c->event, "session", id);
	return true;
}

static bool take_field(struct login_connection *c, const struct imap_id_pair *pair)
{
	if (str_eq_ci(pair->key, STR("x-originating-ip")))
		return take_ip(&c->remote, pair->value);
	if (str_eq_ci(pair->key, STR("x-originating-port")))
		return take_port(&c->remote, pair->value);
	if (str_eq_ci(pair->key, STR("x-connected-ip")))
		return take_ip(&c->local, pair->value);
	if (str_eq_ci(pair->key, STR("x-connected-port")))
		return take_port(&c->local, pair->value);
	if (str_eq_ci(pair->key, STR("x-session-id")))
		return take_session(c, pair->value);
	return false;
}

/* Other settings may hold for the client's own address. */
static void forward(struct login_connection *c, const struct imap_id *id)
{
	bool is_told = false;
	if (c->is_forwarded || !login_is_trusted(c))
		return;
	for (size_t i = 0; i < id->count; i++)
		is_told = take_field(c, &id->pairs[i]) || is_told;
	if (!is_told)
		return;
	c->is_forwarded = true;
	stream_set_addresses(c->stream, c->local, c->remote);
	login_take_place(c);
}

/* ---- the answer ---- */

/* What the client says is kept for the log line of the session. */
static void keep_client_id(struct login_connection *c, const struct imap_id *id)
{
	AUTO_BUF(text, 0);
	for (size_t i = 0; i < id->count; i++) {
		if (str_starts_ci(id->pairs[i].key, STR("x-")))
			continue; /* told by a proxy, or meant to look so */
		buf_putf(&text, "%s%.*s=%.*s", text.n ? ", " : "", STRF(id->pairs[i].key),
			STRF(id->pairs[i].value));
	}
	mem_free(c->client_id);
	c->client_id =
		text.n ? str_new_z(str_slice(buf_str(&text), 0, LOGIN_CLIENT_ID_BYTES)) : NULL;
}

/* imap_id_send; "*" stands for what we call ourselves. */
static void put_id(struct buf *out, const struct login_connection *c)
{
	struct config_item item;
	size_t at = 0, n = 0;
	buf_put(out, STR("* ID "));
	while (config_list_next(c->scope, SET_imap_id_send, &at, &item)) {
		bool is_ours = str_eq(item.value, STR("*"));
		if (is_ours && !str_eq(item.key, STR("name")))
			continue;
		buf_put(out, n++ ? STR(" ") : STR("("));
		imap_put_string(out, item.key);
		buf_put_byte(out, ' ');
		imap_put_string(out, is_ours ? STR("Pombal") : item.value);
	}
	buf_put(out, n ? STR(")\r\n") : STR("NIL\r\n"));
}

enum login_outcome login_command_id(struct op *op, const struct login_command *x)
{
	struct imap_id id;
	(void)op;
	if (imap_parse_id(x->cursor, &id) != ERR_NONE)
		return login_bad_arguments(x);
	forward(x->c, &id);
	keep_client_id(x->c, &id);
	put_id(x->out, x->c);
	imap_put_tagged(x->out, x->tag, "OK", STR_NONE, STR("ID completed."));
	x->c->bad_commands = 0;
	return LOGIN_GOES_ON;
}
