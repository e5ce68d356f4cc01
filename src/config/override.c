/* SPDX-License-Identifier: Apache-2.0 */
/* config/override.c - settings by path: "service/imap/client_limit=5", "mail_plugins+=acl".
 * Spec: sheet core §1.11. Used for -o and for userdb fields. */
#include "config/parse_private.h"

struct path {
	struct str rest;
	bool is_last; /* the element just taken was the last */
};

/* The next element; "\s" in it stands for "/". */
static struct str path_next(struct arena *arena, struct path *path)
{
	struct str raw;
	path->is_last = !str_cut(&path->rest, '/', &raw);
	if (path->is_last)
		raw = path->rest;
	char *text = arena_alloc(arena, raw.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < raw.n; i++) {
		bool is_slash = raw.p[i] == '\\' && i + 1 < raw.n && raw.p[i + 1] == 's';
		text[n++] = is_slash ? '/' : raw.p[i];
		i += is_slash;
	}
	return (struct str){ text, n };
}

static bool filter_key(struct str element, struct config_node_key *key)
{
	key->block = BLOCK_COUNT;
	if (str_eq(element, STR("protocol")))
		key->kind = CONFIG_KIND_PROTOCOL;
	else if (str_eq(element, STR("local_name")))
		key->kind = CONFIG_KIND_LOCAL_NAME;
	else if (str_eq(element, STR("local")))
		key->kind = CONFIG_KIND_LOCAL;
	else if (str_eq(element, STR("remote")))
		key->kind = CONFIG_KIND_REMOTE;
	else
		return false;
	return true;
}

/* One step into a block or filter. */
static struct config_node *step(struct config_loader *ld, struct config_node *node,
	struct str element, struct path *path, const struct config_origin *at)
{
	struct config_node_key key = { .kind = CONFIG_KIND_BLOCK };
	bool is_filter = node->kind != CONFIG_KIND_BLOCK && filter_key(element, &key);
	bool is_new;
	if (is_filter && ld->layer == CONFIG_LAYER_USER) {
		/* A user's scope is made for the place where he already is. */
		config_error(ld, at, "%.*s: connection filters can't be set for one user",
			STRF(element));
		return NULL;
	}
	if (!is_filter)
		key.block = config_resolve_block(node, element);
	if (!is_filter && key.block == BLOCK_COUNT) {
		config_problem(ld, at, false, config_unknown_hint(ld->op->arena, node, element),
			"Unknown section name: %.*s", STRF(element));
		return NULL;
	}
	if (is_filter || config_block_row(key.block)->has_name) {
		if (path->is_last) {
			config_error(ld, at,
				"%.*s needs a name and a setting: %.*s/NAME/SETTING=VALUE",
				STRF(element), STRF(element));
			return NULL;
		}
		key.name = path_next(ld->op->arena, path);
	}
	if (path->is_last) {
		config_error(ld, at, "A setting must follow %.*s", STRF(element));
		return NULL;
	}
	struct config_network network;
	bool is_address = key.kind == CONFIG_KIND_LOCAL || key.kind == CONFIG_KIND_REMOTE;
	if (is_address && !config_network_parse(key.name, &network)) {
		config_error(ld, at, "Invalid network: %.*s", STRF(key.name));
		return NULL;
	}
	struct config_node *child = config_tree_child(ld->tree, node, &key, &is_new);
	if (is_address && is_new) {
		child->networks = ARENA_NEW(ld->tree->arena, struct config_network);
		*child->networks = network;
		child->network_count = 1;
	}
	return child;
}

/* "fields/home=/x": a member of a list. */
static void add_member(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct config_item item, const struct config_origin *at)
{
	struct config_assignment *a = config_node_get(node, id);
	struct config_value *value = a ? a->value : NULL;
	if (!value) {
		value = ARENA_NEW(ld->tree->arena, struct config_value);
		value->origin = *at;
		value->same_as = SET_COUNT;
	}
	if (config_value_add_item(ld, id, item, at, value))
		config_node_set(ld->tree, node, id, value);
}

static void set_last(struct config_loader *ld, struct config_node *node, struct str element,
	bool is_added, struct str text, const struct config_origin *at)
{
	bool in_parent;
	enum config_setting id = config_resolve_setting(node, element, &in_parent);
	struct str label = element;
	enum config_block block =
		id == SET_COUNT ? config_resolve_block(node, element) : BLOCK_COUNT;
	bool is_block = block != BLOCK_COUNT && config_block_row(block)->has_name;
	if (str_skip(&label, STR("@")) && ld->layer == CONFIG_LAYER_USER) {
		config_error(ld, at, "@%.*s: groups can't be changed for one user", STRF(label));
	} else if (label.n < element.n) {
		config_use_group(ld, node, label, text, at);
	} else if (!is_added) {
		config_assign(ld, node, element, text, at, at);
	} else if (is_block) {
		config_list_blocks(ld, node, block, text, false, at);
	} else if (id == SET_COUNT || !config_type_is_list(config_row(id)->type)) {
		config_error(ld, at, "%.*s is no list: += can't be used", STRF(element));
	} else {
		const char *why = NULL;
		AUTO_BUF(word, 0);
		while (config_list_cut(&text, &word, &why))
			add_member(ld, in_parent ? node->parent : node, id,
				(struct config_item){ buf_str(&word), STR("yes") }, at);
		if (why)
			config_error(ld, at, "%.*s: %s", STRF(element), why);
	}
}

void config_parse_override(
	struct config_loader *ld, struct str text, const struct config_origin *at)
{
	struct path path = { 0 };
	if (!str_cut(&text, '=', &path.rest)) {
		config_problem(ld, at, false, STR("write key=value"), "No '=' in override: %.*s",
			STRF(text));
		return;
	}
	path.rest = str_trim(path.rest);
	bool is_added = str_ends(path.rest, STR("+"));
	if (is_added)
		path.rest.n--;
	struct config_node *node = config_tree_root(ld->tree, ld->layer);
	struct str element = path_next(ld->op->arena, &path);
	while (!path.is_last) {
		bool in_parent;
		enum config_setting id = config_resolve_setting(node, element, &in_parent);
		if (id != SET_COUNT && config_type_is_list(config_row(id)->type)) {
			struct str member = path_next(ld->op->arena, &path);
			add_member(ld, in_parent ? node->parent : node, id,
				(struct config_item){ member, str_trim(text) }, at);
			return;
		}
		node = step(ld, node, element, &path, at);
		if (!node)
			return;
		element = path_next(ld->op->arena, &path);
	}
	set_last(ld, node, element, is_added, str_trim(text), at);
}
