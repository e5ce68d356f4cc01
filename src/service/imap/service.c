/* SPDX-License-Identifier: Apache-2.0 */
/* What all sessions of a worker share: settings and the list of capabilities. */
#include "service/imap/imap_private.h"

/* To add a capability: name it here once everything behind it works. */
static const char *const capabilities[] = { "IMAP4rev1", "SASL-IR", "LOGIN-REFERRALS", "ID",
	"ENABLE", "IDLE", "MULTIAPPEND", "UNSELECT", "CHILDREN", "NAMESPACE", "UIDPLUS",
	"LIST-EXTENDED", "CONDSTORE", "QRESYNC", "ESEARCH", "SEARCHRES", "WITHIN", "LIST-STATUS",
	"MOVE", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE" };

static void make_capability(struct imap *imap)
{
	struct config_item item;
	size_t at = 0;
	for (size_t i = 0; i < ARRAY_COUNT(capabilities); i++) {
		struct str name = str_from(capabilities[i]);
		if (config_list_refuses(imap->scope, SET_imap_capability, name))
			continue;
		if (imap->capability.n > 0)
			buf_put_byte(&imap->capability, ' ');
		buf_put(&imap->capability, name);
	}
	while (config_list_next(imap->scope, SET_imap_capability, &at, &item))
		buf_putf(&imap->capability, " %.*s", STRF(item.key));
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

enum err imap_open(struct op *op, struct config *config, struct imap **out)
{
	struct config_place place = { .protocol = STR("imap") };
	struct imap *imap = MEM_NEW(struct imap);
	(void)op; /* the settings were checked when they were read */
	imap->config = config;
	imap->scope = config_scope(config, &place);
	imap->separator = find_separator(config);
	imap->userip_max =
		(uint32_t)MIN(config_u64(imap->scope, SET_mail_max_userip_connections), UINT32_MAX);
	imap->message_bytes_max = config_size(imap->scope, SET_lmtp_max_mail_size);
	imap->idle_notify_us = config_time_us(imap->scope, SET_imap_idle_notify_interval);
	list_init(&imap->sessions);
	make_capability(imap);
	*out = imap;
	return ERR_NONE;
}
