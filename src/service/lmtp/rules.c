/* SPDX-License-Identifier: Apache-2.0 */
/* Settings, read once for each place (protocol, addresses, TLS name) that has some of its own. A new
 * configuration makes new rules; the old ones go with the last connection that lives by them. */
#include "config/expand.h"
#include "service/lmtp/lmtp_private.h"

/* A setting with variables of the system alone. */
static enum err expand(struct op *op, const struct config_scope *scope, enum config_setting id,
	const char *name, char **out)
{
	static const struct config_var none[] = { { .name = { "user", 4 } } };
	struct config_vars vars = { .items = none, .count = ARRAY_COUNT(none) };
	struct str text;
	TRY(op_within(op, config_expand(op, config_str(scope, id), &vars, &text), "%s", name));
	*out = str_new_z(text);
	return ERR_NONE;
}

static void read_settings(struct lmtp_rules *r)
{
	const struct config_scope *scope = r->scope;
	uint64_t user_limit = config_u64(scope, SET_lmtp_user_concurrency_limit);
	uint64_t mail_max = config_size(scope, SET_lmtp_max_mail_size);
	r->user_limit = user_limit > UINT32_MAX ? 0 : (unsigned)user_limit;
	r->mail_bytes_max =
		mail_max == 0 ? DELIVER_MAIL_BYTES_MAX : MIN(mail_max, DELIVER_MAIL_BYTES_MAX);
	r->greeting = config_str(scope, SET_login_greeting);
	r->delimiters = config_str(scope, SET_recipient_delimiter);
	r->adds_received = config_bool(scope, SET_lmtp_add_received_header);
	r->is_quota_temporary = config_bool(scope, SET_quota_full_tempfail);
	r->is_verbose = config_bool(scope, SET_lmtp_verbose_replies);
	r->offers_utf8 = config_bool(scope, SET_mail_utf8_extensions);
	r->offers_tls = !config_is(scope, SET_ssl, STR("no"));
	if (config_is(scope, SET_lmtp_hdr_delivery_address, STR("none")))
		r->delivered_to = LMTP_DELIVERED_TO_NONE;
	else if (config_is(scope, SET_lmtp_hdr_delivery_address, STR("final")))
		r->delivered_to = LMTP_DELIVERED_TO_FINAL;
	else
		r->delivered_to = LMTP_DELIVERED_TO_ORIGINAL;
	if (config_list_has(scope, SET_lmtp_client_workarounds, STR("whitespace-before-path")))
		r->workarounds |= SMTP_ALLOW_SPACE_BEFORE_PATH;
	if (config_list_has(scope, SET_lmtp_client_workarounds, STR("mailbox-for-path")))
		r->workarounds |= SMTP_ALLOW_BARE_PATH;
}

struct lmtp_rules *lmtp_rules_ref(struct lmtp_rules *r)
{
	r->refs++;
	return r;
}

void lmtp_rules_unref(struct lmtp_rules *r)
{
	if (!r || --r->refs > 0)
		return;
	config_unref(r->config);
	mem_free(r->hostname);
	mem_free(r->postmaster);
	mem_free(r);
}

static enum err rules_new(struct op *op, struct config *config, const struct config_scope *scope,
	struct lmtp_rules **out)
{
	struct lmtp_rules *r = MEM_NEW(struct lmtp_rules);
	*r = (struct lmtp_rules){ .refs = 1, .config = config_ref(config), .scope = scope };
	read_settings(r);
	enum err e = expand(op, scope, SET_hostname, "hostname", &r->hostname);
	if (e == ERR_NONE)
		e = expand(op, scope, SET_postmaster_address, "postmaster_address", &r->postmaster);
	if (e != ERR_NONE) {
		lmtp_rules_unref(r);
		return e;
	}
	*out = r;
	return ERR_NONE;
}

enum err lmtp_rules_new(struct op *op, struct config *config, struct lmtp_rules **out)
{
	struct config_place place = { .protocol = STR("lmtp") };
	return rules_new(op, config, config_scope(config, &place), out);
}

void lmtp_rules_find(struct op *op, struct lmtp_connection *c)
{
	struct lmtp_rules *first = c->lmtp->rules, *r;
	if (c->rules->config != first->config)
		return; /* the configuration was replaced: this one keeps what it has */
	struct address local = stream_local(c->stream);
	struct config_place place = {
		.protocol = STR("lmtp"),
		.local_ip = address_dup(op->arena, &local),
		.remote_ip = address_dup(op->arena, &c->remote),
		.local_name = stream_tls_server_name(c->stream),
	};
	const struct config_scope *scope = config_scope(first->config, &place);
	for (r = first; r && r->scope != scope; r = r->next)
		continue;
	if (!r) {
		if (rules_new(op, first->config, scope, &r) != ERR_NONE) {
			event_send_failure(
				c->event, EVENT_ERROR, NULL, op, "reading settings for a client");
			op_forgive(op);
			return;
		}
		r->next = first->next;
		first->next = r;
	}
	lmtp_rules_unref(c->rules);
	c->rules = lmtp_rules_ref(r);
}
