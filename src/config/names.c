/* SPDX-License-Identifier: Apache-2.0 */
/* config/names.c - what a key means at its place (the prefix rule), and what to say when it means
 * nothing. Spec: sheet core §1.4. */
#include "config/parse_private.h"

#define CANDIDATE_MAX 128

struct candidate {
	char text[CANDIDATE_MAX];
	size_t n;
};

static void candidate_add(struct candidate *c, struct str part)
{
	if (c->n + part.n + 1 > CANDIDATE_MAX) {
		c->n = CANDIDATE_MAX; /* too long for any name */
		return;
	}
	if (c->n)
		c->text[c->n++] = '_';
	if (part.n)
		memcpy(c->text + c->n, part.p, part.n);
	c->n += part.n;
}

/* <block>_<name>_<key> and <block>_<key>; false if it cannot be a name. */
static bool candidate_make(
	struct candidate *c, const struct config_node *node, bool with_name, struct str key)
{
	*c = (struct candidate){ .n = 0 };
	if (node->kind != CONFIG_KIND_BLOCK)
		return false;
	candidate_add(c, config_block_row(node->block)->name);
	if (with_name)
		candidate_add(c, node->name);
	candidate_add(c, key);
	return c->n < CANDIDATE_MAX;
}

static struct str candidate_str(const struct candidate *c)
{
	return (struct str){ c->text, c->n };
}

enum config_setting config_resolve_setting(
	const struct config_node *node, struct str key, bool *in_parent)
{
	struct candidate c;
	enum config_setting id = SET_COUNT;
	*in_parent = false;
	if (node->name.n && candidate_make(&c, node, true, key))
		id = config_row_find(candidate_str(&c));
	if (id == SET_COUNT && candidate_make(&c, node, false, key)) {
		id = config_row_find(candidate_str(&c));
		*in_parent = id != SET_COUNT && !config_block_row(node->block)->has_name;
	}
	return id != SET_COUNT ? id : config_row_find(key);
}

enum config_block config_resolve_block(const struct config_node *node, struct str key)
{
	struct candidate c;
	enum config_block block = BLOCK_COUNT;
	if (node->name.n && candidate_make(&c, node, true, key))
		block = config_block_find(candidate_str(&c));
	if (block == BLOCK_COUNT && candidate_make(&c, node, false, key))
		block = config_block_find(candidate_str(&c));
	return block != BLOCK_COUNT ? block : config_block_find(key);
}

/* Names of older versions, and what replaced them. */
static const struct {
	struct str name;
	struct str hint;
} old_names[] = {
	{ { "mail_location", 13 }, { "use mail_driver and mail_path", 29 } },
	{ { "disable_plaintext_auth", 22 }, { "use auth_allow_cleartext, its opposite", 38 } },
	{ { "ssl_cert", 8 }, { "use ssl_server_cert_file, without <", 35 } },
	{ { "ssl_key", 7 }, { "use ssl_server_key_file, without <", 34 } },
	{ { "ssl_ca", 6 }, { "use ssl_server_ca_file, without <", 33 } },
	{ { "ssl_protocols", 13 }, { "use ssl_min_protocol", 20 } },
	{ { "service_count", 13 }, { "use restart_request_count", 25 } },
	{ { "process_idle_kill", 17 }, { "use idle_kill_interval", 22 } },
	{ { "address", 7 }, { "use listen", 10 } },
	{ { "args", 4 }, { "drivers have settings of their own now", 38 } },
	{ { "default_fields", 14 }, { "use fields", 10 } },
	{ { "override_fields", 15 }, { "use fields", 10 } },
	{ { "plugin", 6 }, { "write the settings outside: there is no plugin block", 52 } },
};

struct str config_unknown_hint(struct arena *arena, const struct config_node *node, struct str name)
{
	struct str prefix =
		node->kind == CONFIG_KIND_BLOCK ? config_block_row(node->block)->name : STR_NONE;
	for (size_t i = 0; i < ARRAY_COUNT(old_names); i++) {
		if (str_eq(old_names[i].name, name))
			return old_names[i].hint;
	}
	struct str near = config_nearest_name(name, prefix);
	if (near.n)
		return str_printf(arena, "did you mean %.*s?", STRF(near));
	if (prefix.n)
		return str_printf(arena, "neither %.*s nor %.*s_%.*s exists", STRF(name),
			STRF(prefix), STRF(name));
	return STR_NONE;
}
