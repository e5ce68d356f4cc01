/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions need of the configuration, and the list of capabilities.
 *
 * Sessions keep the settings they began with; a reload makes others for those to come. */
#include "config/expand.h"
#include "service/imap/imap_private.h"

#define LINE_BYTES_MAX (2u << 20) /* of imap_max_line_length: what a command's memory allows */
#define LINE_BYTES_MIN 1024u

/* To add a capability: name it here once everything behind it works. */
static const char *const capabilities[] = { "IMAP4rev1", "SASL-IR", "LOGIN-REFERRALS", "ID",
	"ENABLE", "IDLE", "MULTIAPPEND", "UNSELECT", "CHILDREN", "NAMESPACE", "UIDPLUS",
	"LIST-EXTENDED", "CONDSTORE", "QRESYNC", "ESEARCH", "SEARCHRES", "WITHIN", "LIST-STATUS",
	"BINARY", "MOVE", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "OBJECTID" };

static void put_capability(struct imap_settings *s, struct str name)
{
	if (config_list_refuses(s->scope, SET_imap_capability, name))
		return;
	if (s->capability.n > 0)
		buf_put_byte(&s->capability, ' ');
	buf_put(&s->capability, name);
}

static void make_capability(struct imap_settings *s)
{
	struct config_item item;
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++)
		put_capability(s, str_from(capabilities[i]));
	AUTO_BUF(limit, 0);
	buf_putf(&limit, "APPENDLIMIT=%" PRIu64, s->message_bytes_max);
	put_capability(s, buf_str(&limit));
	put_capability(s, s->is_literal_minus ? STR("LITERAL-") : STR("LITERAL+"));
	while (config_list_next(s->scope, SET_imap_capability, &at, &item))
		put_capability(s, item.key);
}

static char find_separator(struct config *config)
{
	const struct config_scope *global = config_scope(config, NULL);
	for (size_t i = 0; i < config_block_count(global, BLOCK_namespace); i++) {
		const struct config_scope *n = config_block_at(global, BLOCK_namespace, i);
		struct str separator = config_str(n, SET_namespace_separator);
		if (config_bool(n, SET_namespace_inbox) && separator.n == 1)
			return separator.p[0];
	}
	return '/';
}

static bool works_around(const struct imap_settings *s, struct str name)
{
	return config_list_has(s->scope, SET_imap_client_workarounds, name);
}

enum err imap_settings_new(struct op *op, struct config *config, struct imap_settings **out)
{
	struct config_place place = { .protocol = STR("imap") };
	const struct config_scope *scope = config_scope(config, &place);
	uint64_t line = config_size(scope, SET_imap_max_line_length);
	TRY(config_expand_check(op, config_str(scope, SET_imap_logout_format)));
	struct imap_settings *s = MEM_NEW(struct imap_settings);
	s->references = 1;
	s->config = config_ref(config);
	s->scope = scope;
	s->separator = find_separator(config);
	s->limits = imap_limits_user;
	s->limits.command_bytes = (uint32_t)MIN(MAX(line, LINE_BYTES_MIN), LINE_BYTES_MAX);
	s->fetch_failure = (enum imap_fetch_failure)config_enum(scope, SET_imap_fetch_failure);
	s->is_literal_minus = config_bool(scope, SET_imap_literal_minus);
	s->delays_newmail = works_around(s, STR("delay-newmail"));
	s->strips_separator = works_around(s, STR("tb-extra-mailbox-sep"));
	s->tells_lsub_noselect = works_around(s, STR("tb-lsub-flags"));
	s->userip_max =
		(uint32_t)MIN(config_u64(scope, SET_mail_max_userip_connections), UINT32_MAX);
	s->message_bytes_max = config_size(scope, SET_lmtp_max_mail_size);
	if (s->message_bytes_max == 0 || s->message_bytes_max > IMAP_APPEND_BYTES_MAX)
		s->message_bytes_max = IMAP_APPEND_BYTES_MAX;
	s->idle_notify_us = config_time_us(scope, SET_imap_idle_notify_interval);
	s->prefetch_count = (unsigned)MIN(config_u64(scope, SET_mail_prefetch_count), UINT16_MAX);
	make_capability(s);
	*out = s;
	return ERR_NONE;
}

struct imap_settings *imap_settings_ref(struct imap_settings *s)
{
	s->references++;
	return s;
}

void imap_settings_unref(struct imap_settings *s)
{
	if (--s->references > 0)
		return;
	buf_done(&s->capability);
	config_unref(s->config);
	mem_free(s);
}
