/* SPDX-License-Identifier: Apache-2.0 */
/* config/settle.c - what can only be done when all files are read: groups, $SET:, file contents, checks. */
#include "config/parse_private.h"

/* ---- defaults ---- */

void config_add_defaults(struct config_loader *ld)
{
	struct config_node *root = config_tree_root(ld->tree, CONFIG_LAYER_DEFAULT);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		enum config_setting id = (enum config_setting)i;
		struct str text = config_row(id)->default_text, path = text;
		struct config_value *value = ARENA_NEW(ld->tree->arena, struct config_value);
		value->same_as = SET_COUNT;
		if (str_skip(&path, STR("$SET:"))) {
			value->text = text;
			value->same_as = config_row_find(path);
			ASSERT(value->same_as != SET_COUNT);
		} else if (!config_value_parse(ld, id, text, NULL, value)) {
			continue;
		}
		config_node_set(ld->tree, root, id, value);
	}
}

/* ---- $SET: ---- */

#define REFERENCE_DEPTH_MAX 16

static bool settle_value(struct config_loader *ld, struct config_node *node,
	struct config_assignment *a, unsigned depth);

/* "service/auth/client_limit": the node that the path leads to; the rest of the path is its setting. */
static struct config_node *reference_node(
	struct config_loader *ld, struct config_node *node, struct str *path)
{
	struct str element, name;
	if (str_find_byte(*path, '/') >= 0)
		node = config_tree_root(ld->tree, CONFIG_LAYER_FILE);
	while (str_cut(path, '/', &element)) {
		enum config_block block = config_resolve_block(node, element);
		struct config_node_key key = { .kind = CONFIG_KIND_BLOCK, .block = block };
		if (block == BLOCK_COUNT)
			return NULL;
		if (config_block_row(block)->has_name) {
			if (!str_cut(path, '/', &name))
				return NULL;
			key.name = name;
		}
		struct config_node *next = config_tree_find(ld->tree, node, &key);
		if (!next && node->layer == CONFIG_LAYER_FILE) {
			/* Not written in the files: perhaps in the service catalogue. */
			node = config_tree_mirror(ld->tree, node, CONFIG_LAYER_BUILTIN);
			next = config_tree_find(ld->tree, node, &key);
		}
		if (!next)
			return NULL;
		node = next;
	}
	return node;
}

static bool reference_text(struct config_loader *ld, struct config_node *node, struct str path,
	const struct config_origin *at, unsigned depth, struct str *out)
{
	struct str key = path;
	bool in_parent;
	struct config_node *target = reference_node(ld, node, &key);
	if (!target) {
		config_error(ld, at, "Failed to expand $SET:%.*s: Unknown filter path: %.*s",
			STRF(path), STRF(path));
		return false;
	}
	enum config_setting id = config_resolve_setting(target, key, &in_parent);
	if (id == SET_COUNT) {
		config_problem(ld, at, false, config_unknown_hint(ld->op->arena, target, key),
			"Failed to expand $SET:%.*s: Unknown setting: %.*s", STRF(path), STRF(key));
		return false;
	}
	if (config_row(id)->type == CONFIG_TYPE_STRLIST) {
		config_error(ld, at,
			"Failed to expand $SET:%.*s: Setting type can't be expanded to string",
			STRF(path));
		return false;
	}
	struct config_assignment *a = config_tree_value(ld->tree, target, id);
	for (unsigned hops = 0; a && a->value->same_as != SET_COUNT && hops < SET_COUNT; hops++)
		a = config_tree_value(ld->tree, target, a->value->same_as);
	if (!a) {
		*out = STR_NONE;
		return true;
	}
	if (a->is_resolving || depth > REFERENCE_DEPTH_MAX) {
		config_error(ld, at, "Chained $SET:%.*s loops back to itself", STRF(path));
		return false;
	}
	if (a->value->has_reference && !settle_value(ld, target, a, depth + 1))
		return false;
	*out = config_value_text(ld->tree->arena, a->value);
	return true;
}

bool config_reference_text(struct config_loader *ld, struct config_node *node, struct str path,
	const struct config_origin *at, struct str *out)
{
	return reference_text(ld, node, path, at, 0, out);
}

static bool settle_value(struct config_loader *ld, struct config_node *node,
	struct config_assignment *a, unsigned depth)
{
	struct config_value *value = a->value;
	struct str rest = value->text, token;
	bool is_valid = true;
	AUTO_BUF(result, 0);
	a->is_resolving = true;
	while (is_valid && str_cut_word(&rest, &token)) {
		struct str path = token, text = token;
		if (str_skip(&path, STR("$SET:")))
			is_valid = reference_text(ld, node, path, &value->origin, depth, &text);
		if (result.n)
			buf_put_byte(&result, ' ');
		buf_put(&result, text);
	}
	a->is_resolving = false;
	value->has_reference = false; /* also after a problem: it is told once */
	return is_valid && config_value_parse(ld, a->id, buf_dup(ld->tree->arena, &result),
				   &value->origin, value);
}

static void settle_references(struct config_loader *ld)
{
	/* Looking for a path may add empty nodes of the service catalogue; they hold no references. */
	for (size_t i = 0; i < ld->tree->count; i++) {
		struct config_node *node = ld->tree->nodes[i];
		for (struct config_assignment *a = node->first; a; a = a->next) {
			if (a->value->has_reference)
				(void)settle_value(ld, node, a, 0);
		}
	}
}

/* ---- groups ---- */

static void expand_group(
	struct config_loader *ld, struct config_node *node, const struct config_group_use *use)
{
	struct config_lines body = { .rest = STR_NONE };
	const struct config_group_text *group = ld->groups;
	while (group && !(str_eq(group->label, use->label) && str_eq(group->value, use->value)))
		group = group->next;
	if (group) {
		body = group->body;
	} else {
		body.rest = config_builtin_group(use->label, use->value);
		body.file = str_printf(
			ld->tree->arena, "(group @%.*s %.*s)", STRF(use->label), STRF(use->value));
	}
	if (!body.rest.p) {
		struct str values = config_builtin_group_values(use->label);
		struct str hint =
			values.n ? str_printf(ld->op->arena, "use one of: %.*s", STRF(values))
				 : STR_NONE;
		config_problem(ld, &use->origin, false, hint, "Unknown group: @%.*s = %.*s",
			STRF(use->label), STRF(use->value));
		return;
	}
	struct config_node *target = config_tree_mirror(ld->tree, node, CONFIG_LAYER_GROUP);
	ld->layer = CONFIG_LAYER_GROUP;
	config_parse(ld, body, target);
}

static void settle_groups(struct config_loader *ld)
{
	size_t count = ld->tree->count; /* groups use no groups: new nodes need no look */
	for (size_t i = 0; i < count; i++) {
		struct config_node *node = ld->tree->nodes[i];
		for (const struct config_group_use *use = node->group_uses; use; use = use->next) {
			struct config_node *weaker = node;
			const struct config_group_use *stronger = NULL;
			/* -o replaces the use in the files at the same place. */
			if (node->layer == CONFIG_LAYER_FILE && !node->parent) {
				weaker = config_tree_root(ld->tree, CONFIG_LAYER_COMMAND);
				stronger = weaker->group_uses;
				while (stronger && !str_eq(stronger->label, use->label))
					stronger = stronger->next;
			}
			if (!stronger)
				expand_group(ld, node, use);
		}
	}
}

/* ---- checks ---- */

static void load_files(struct config_loader *ld)
{
	for (size_t i = 0; i < ld->tree->count; i++) {
		for (struct config_assignment *a = ld->tree->nodes[i]->first; a; a = a->next) {
			struct config_value *value = a->value;
			struct str why, text = value->text;
			if (config_row(a->id)->type != CONFIG_TYPE_FILE || text.n == 0)
				continue;
			if (str_skip(&text, STR("inline:"))) {
				value->content = text;
			} else if (ld->args->reads_files && str_find(text, STR("%{")) < 0 &&
				   !config_file_load(ld, text, &value->content, &why)) {
				config_error(ld, &value->origin, "%.*s: Can't open file %.*s: %.*s",
					STRF(config_row(a->id)->name), STRF(text), STRF(why));
			}
		}
	}
}

static void check_mandatory(struct config_loader *ld)
{
	struct config_node *root = config_tree_root(ld->tree, CONFIG_LAYER_FILE);
	if (!ld->has_first_setting)
		config_problem(ld, NULL, false,
			STR("begin the file with dovecot_config_version = 3.1.0"),
			"The first setting must be dovecot_config_version");
	if (!config_node_get(root, SET_dovecot_storage_version))
		config_problem(ld, NULL, false, STR("add dovecot_storage_version = 3.1.0"),
			"dovecot_storage_version setting must be set");
}

static const struct config_value *value_in(struct config_loader *ld, enum config_setting id)
{
	const struct config_assignment *a =
		config_tree_value(ld->tree, config_tree_root(ld->tree, CONFIG_LAYER_FILE), id);
	return a ? a->value : NULL;
}

static void check_values(struct config_loader *ld)
{
	const struct config_value *shards = value_in(ld, SET_mail_shard_count);
	const struct config_value *listen = value_in(ld, SET_listen);
	if (shards && (shards->number == 0 || shards->number > 4096))
		config_error(ld, &shards->origin, "mail_shard_count must be between 1 and 4096");
	if (listen && listen->text.n == 0)
		config_problem(ld, &listen->origin, false, STR("write listen = * ::"),
			"listen can't be set empty");
	for (size_t i = 0; i < ld->tree->count; i++) {
		const struct config_node *node = ld->tree->nodes[i];
		const struct config_assignment *limit =
			config_node_get(node, SET_service_process_limit);
		if (node->block == BLOCK_service && limit && limit->value->number == 0)
			config_error(ld, &limit->value->origin,
				"service(%.*s): process_limit must be greater than 0",
				STRF(node->name));
	}
}

void config_settle(struct config_loader *ld)
{
	settle_groups(ld);
	settle_references(ld);
	check_mandatory(ld);
	check_values(ld);
	load_files(ld);
}
