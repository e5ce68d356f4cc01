/* SPDX-License-Identifier: Apache-2.0 */
/* XCLIENT: a filter or proxy in login_trusted_networks says whom it speaks for. What it tells replaces
 * what the connection itself shows, in lookups, trace fields and logs. Spec: sheet protocols §7.3.
 *
 * TTL and FORWARD are for those who send mail on to another server; PROTO and DESTNAME change nothing
 * here. */
#include "service/lmtp/lmtp_private.h"

void lmtp_client_free(struct lmtp_client *client)
{
	if (!client)
		return;
	mem_free(client->helo);
	mem_free(client->login);
	mem_free(client);
}

static void set_text(char **at, const struct smtp_xclient *x, enum smtp_xclient_attribute i)
{
	if (!x->is_given[i])
		return;
	mem_free(*at);
	*at = x->text[i].n > 0 ? str_new_z(x->text[i]) : NULL;
}

static void set_address(struct address *at, const struct smtp_xclient *x,
	enum smtp_xclient_attribute ip, enum smtp_xclient_attribute port)
{
	struct address told = { .port = at->port };
	if (x->is_given[ip]) {
		(void)address_parse(x->text[ip], &told); /* "": none */
		told.port = x->is_given[port] ? 0 : at->port;
		*at = told;
	}
	if (x->is_given[port])
		at->port = (uint16_t)x->number[port];
}

static void set_addresses(struct op *op, struct lmtp_connection *c, const struct smtp_xclient *x)
{
	struct address local = stream_local(c->stream);
	set_address(&c->remote, x, SMTP_XCLIENT_ADDR, SMTP_XCLIENT_PORT);
	set_address(&local, x, SMTP_XCLIENT_DESTADDR, SMTP_XCLIENT_DESTPORT);
	stream_set_addresses(c->stream, local, c->remote);
	event_set_str(c->event, "remote_ip", address_dup(op->arena, &c->remote));
	event_set_int(c->event, "remote_port", c->remote.port);
}

static void apply(struct op *op, struct lmtp_connection *c, const struct smtp_xclient *x)
{
	if (!c->client)
		c->client = MEM_NEW(struct lmtp_client);
	set_text(&c->client->helo, x, SMTP_XCLIENT_HELO);
	set_text(&c->client->login, x, SMTP_XCLIENT_LOGIN);
	if (x->is_given[SMTP_XCLIENT_TRANSPORT])
		c->client->is_tls = str_eq_ci(x->text[SMTP_XCLIENT_TRANSPORT], STR("TLS"));
	if (x->is_given[SMTP_XCLIENT_TIMEOUT])
		c->client->timeout_us = (int64_t)x->number[SMTP_XCLIENT_TIMEOUT] * US_PER_SEC;
	if (x->text[SMTP_XCLIENT_SESSION].n > 0)
		lmtp_connection_set_session(c, x->text[SMTP_XCLIENT_SESSION]);
	if (c->client->login)
		event_set_str(c->event, "login_user", str_from(c->client->login));
	set_addresses(op, c, x);
	lmtp_rules_find(op, c);
}

void lmtp_command_xclient(
	struct op *op, struct lmtp_connection *c, const struct smtp_command *command)
{
	struct smtp_xclient x;
	struct smtp_reply why;
	if (!c->may_speak_for_others) {
		lmtp_reply_bad(
			c, &(struct smtp_reply){ 550, "5.7.14", "You are not from trusted IP" });
	} else if (c->transaction) {
		lmtp_reply_bad(c, &(struct smtp_reply){
					  503, "5.5.0", "XCLIENT not allowed in a transaction" });
	} else if (smtp_parse_xclient(op->arena, command, &x, &why) != ERR_NONE) {
		lmtp_reply_bad(c, &why);
	} else {
		apply(op, c, &x);
		mem_free(c->helo);
		c->helo = NULL;
		lmtp_put_greeting(c);
	}
}
