/* SPDX-License-Identifier: Apache-2.0 */
/* config/names.c - what a key means at its place (the prefix rule), names of older versions, and what to
 * say when a key means nothing. Spec: sheet core §1.4, §1.12.
 * To rename a setting or block: a row in renames[]. To tell what replaced one: a row in old_names[]. */
#include <limits.h>

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
	for (size_t i = 0; i < part.n; i++)
		c->text[c->n++] = part.p[i] == '-' ? '_' : part.p[i];
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

/* ---- renames: accepted, with a warning ---- */

static const struct {
	struct str old_name;
	struct str new_name;
} renames[] = {
	{ STR("crypt_global_private_keys"), STR("crypt_global_private_key") },
	{ STR("crypt_user_key_encryption_keys"), STR("crypt_user_key_encryption_key") },
	{ STR("dict_map_field"), STR("dict_map_key_field") },
	{ STR("dict_map_field_pattern"), STR("dict_map_key_field_value") },
	{ STR("dict_map_key_field_pattern"), STR("dict_map_key_field_value") },
	{ STR("dict_map_field_type"), STR("dict_map_key_field_type") },
	{ STR("dict_map_value"), STR("dict_map_value_field") },
	{ STR("dict_map_value_type"), STR("dict_map_value_field_type") },
	{ STR("event_exporter_format_args"), STR("event_exporter_time_format") },
	{ STR("event_exporter_transport"), STR("event_exporter_driver") },
	{ STR("inet_listener_address"), STR("inet_listener_listen") },
	{ STR("service_service_count"), STR("service_restart_request_count") },
	{ STR("ssl_ca"), STR("ssl_server_ca_file") },
	{ STR("ssl_cert"), STR("ssl_server_cert_file") },
	{ STR("ssl_dh"), STR("ssl_server_dh_file") },
	{ STR("ssl_key"), STR("ssl_server_key_file") },
	{ STR("ssl_key_password"), STR("ssl_server_key_password") },
};

static struct str new_name_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_COUNT(renames); i++) {
		if (str_eq(renames[i].old_name, name))
			return renames[i].new_name;
	}
	return STR_NONE;
}

/* ---- the prefix rule ---- */

typedef unsigned find_fn(struct str name);

static unsigned find_setting(struct str name)
{
	enum config_setting id = config_row_find(name);
	return id == SET_COUNT ? UINT_MAX : id;
}

static unsigned find_block(struct str name)
{
	enum config_block block = config_block_find(name);
	return block == BLOCK_COUNT ? UINT_MAX : block;
}

/* How a key was understood. */
struct meaning {
	unsigned found; /* UINT_MAX: not at all */
	bool by_prefix; /* as <block>_<key> */
	struct str new_name;
};

static bool understand(find_fn *find, struct str name, struct meaning *out)
{
	out->found = find(name);
	out->new_name = STR_NONE;
	if (out->found != UINT_MAX)
		return true;
	out->new_name = new_name_of(name);
	if (out->new_name.n)
		out->found = find(out->new_name);
	return out->found != UINT_MAX;
}

static struct meaning resolve(const struct config_node *node, struct str key, find_fn *find)
{
	struct candidate c;
	struct meaning meaning = { .found = UINT_MAX };
	if (node->name.n && candidate_make(&c, node, true, key) &&
		understand(find, candidate_str(&c), &meaning))
		return meaning;
	meaning.by_prefix = candidate_make(&c, node, false, key) &&
			    understand(find, candidate_str(&c), &meaning);
	if (!meaning.by_prefix)
		(void)understand(find, key, &meaning);
	return meaning;
}

enum config_setting config_resolve_setting(
	const struct config_node *node, struct str key, bool *in_parent)
{
	struct meaning meaning = resolve(node, key, find_setting);
	*in_parent = meaning.by_prefix && !config_block_row(node->block)->has_name;
	return meaning.found == UINT_MAX ? SET_COUNT : (enum config_setting)meaning.found;
}

enum config_block config_resolve_block(const struct config_node *node, struct str key)
{
	struct meaning meaning = resolve(node, key, find_block);
	enum config_block plain = config_block_find(key);
	if (meaning.found == UINT_MAX)
		return BLOCK_COUNT;
	/* `oauth2 {` in a passdb is oauth2, not passdb_oauth2, the defaults of a driver. */
	bool has_drivers = node->kind == CONFIG_KIND_BLOCK &&
			   config_block_row(node->block)->driver != SET_COUNT;
	enum config_block found = (enum config_block)meaning.found;
	bool is_defaults = has_drivers && !config_block_row(found)->has_name;
	return is_defaults && plain != BLOCK_COUNT ? plain : found;
}

void config_tell_rename(struct config_loader *ld, const struct config_node *node, struct str key,
	bool is_block, const struct config_origin *at)
{
	struct meaning meaning = resolve(node, key, is_block ? find_block : find_setting);
	if (meaning.new_name.n == 0)
		return;
	struct str hint = ld->told_renames
				  ? STR_NONE
				  : STR("doveconf -Pn > new.conf writes a file with the new names");
	ld->told_renames = true;
	config_problem(ld, at, true, hint,
		"Obsolete setting in %.*s:%u: %.*s has been renamed to %.*s", STRF(at->file),
		at->line, STRF(key), STRF(meaning.new_name));
}

/* ---- names that mean nothing ---- */

static const struct {
	struct str name;
	struct str hint;
} old_names[] = {
	{ STR("address"), STR("use listen") },
	{ STR("args"), STR("drivers have settings of their own now") },
	{ STR("auth_username_chars_file"), STR("use auth_username_chars") },
	{ STR("default_fields"), STR("use fields") },
	{ STR("director"), STR("there is no director") },
	{ STR("director_servers"), STR("there is no director") },
	{ STR("disable_plaintext_auth"), STR("use auth_allow_cleartext, its opposite") },
	{ STR("mail_location"), STR("use mail_driver and mail_path") },
	{ STR("override_fields"), STR("use fields") },
	{ STR("plugin"), STR("write the settings outside: there is no plugin block") },
	{ STR("process_idle_kill"), STR("use idle_kill_interval") },
	{ STR("replication"), STR("there is no replication") },
	{ STR("service_count"), STR("use restart_request_count") },
	{ STR("ssl_protocols"), STR("use ssl_min_protocol") },
};

static void put_hint(struct buf *out, const char *separator, struct str text)
{
	if (out->n)
		buf_put(out, str_from(separator));
	buf_put(out, text);
}

struct str config_unknown_hint(struct arena *arena, const struct config_node *node, struct str name)
{
	struct candidate c;
	struct str prefix =
		node->kind == CONFIG_KIND_BLOCK ? config_block_row(node->block)->name : STR_NONE;
	for (size_t i = 0; i < ARRAY_COUNT(old_names); i++) {
		if (str_eq(old_names[i].name, name))
			return old_names[i].hint;
	}
	AUTO_BUF(hint, 0);
	struct str near = config_nearest_name(name, prefix);
	if (near.n)
		buf_putf(&hint, "did you mean %.*s?", STRF(near));
	AUTO_BUF(tried, 0);
	if (node->name.n && candidate_make(&c, node, true, name))
		put_hint(&tried, ", ", candidate_str(&c));
	if (candidate_make(&c, node, false, name))
		put_hint(&tried, ", ", candidate_str(&c));
	if (tried.n) {
		put_hint(&tried, ", ", name);
		put_hint(&hint, " ", STR("tried "));
		buf_put(&hint, buf_str(&tried));
	}
	return buf_dup(arena, &hint);
}
