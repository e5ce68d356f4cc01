/* SPDX-License-Identifier: Apache-2.0 */
/* config/history.c - versions of the language, and the defaults that changed between them: a file keeps
 * those of its dovecot_config_version. Spec: sheet core §1.12.
 * When a default changes: change the row in schema.def, add a row here with what it was before. */
#include "base/number.h"
#include "config/config_private.h"

#define V(major, minor, patch) ((major)*10000u + (minor)*100u + (patch))

/* Ours: the platform's language as of its newest version. */
#define OWN_MAJOR 0
#define OWN_MINOR 1

static const struct {
	unsigned version; /* files of an older one get the text */
	struct str text;
} changes[] = {
	{ V(3, 2, 0), STR("passdb_default_password_scheme = PLAIN\n") },
	{ V(3, 2, 0), STR("imap_compress_on_proxy = no\n") },
	{ V(3, 2, 0), STR("lazy_expunge_only_last_instance = no\n") },
	{ V(3, 2, 0), STR("mail_attachment_detection_options =\n") },
	{ V(3, 2, 0), STR("fts_search_read_fallback = yes\n") },
	{ V(3, 2, 0), STR("mailbox_directory_name_legacy = yes\n") },
	{ V(3, 2, 0), STR("service indexer-worker {\n  restart_request_count = unlimited\n}\n") },
	{ V(3, 2, 0), STR("push_notification_ox {\n  http_client_request_max_attempts = 1\n"
			  "  http_client_request_absolute_timeout = 1 min\n}\n") },
	{ V(3, 2, 0), STR("service doveadm {\n  extra_groups = $SET:default_internal_group\n}\n"
			  "service imap {\n  extra_groups = $SET:default_internal_group\n}\n"
			  "service pop3 {\n  extra_groups = $SET:default_internal_group\n}\n"
			  "service submission {\n  extra_groups = $SET:default_internal_group\n}\n"
			  "service indexer-worker {\n"
			  "  extra_groups = $SET:default_internal_group\n}\n") },
};

/* "major.minor.patch", all numbers. */
static bool version_parse(struct str text, uint32_t out[3])
{
	return number_cut_u32(&text, &out[0]) && str_skip(&text, STR(".")) &&
	       number_cut_u32(&text, &out[1]) && str_skip(&text, STR(".")) &&
	       number_cut_u32(&text, &out[2]) && text.n == 0;
}

unsigned config_version_number(struct str text)
{
	uint32_t v[3] = { 0 };
	if (!version_parse(text, v) || v[2] > 99)
		return 0;
	if (v[0] == 3 && v[1] <= 2)
		return V(v[0], v[1], v[2]);
	if (v[0] == 2 && v[1] == 4)
		return V(3, 1, 0);
	return v[0] == OWN_MAJOR && v[1] == OWN_MINOR ? CONFIG_VERSION_NEWEST : 0;
}

void config_add_old_defaults(struct config_loader *ld)
{
	struct config_node *root = config_tree_root(ld->tree, CONFIG_LAYER_DEFAULT);
	if (ld->version == 0)
		return;
	ld->layer = CONFIG_LAYER_DEFAULT;
	for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
		if (ld->version >= changes[i].version)
			continue;
		struct config_lines lines = { .rest = changes[i].text,
			.file = STR("(older defaults)") };
		config_parse(ld, lines, root);
	}
}

unsigned config_default_change_count(unsigned version)
{
	unsigned count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(changes); i++)
		count += version != 0 && version < changes[i].version;
	return count;
}
