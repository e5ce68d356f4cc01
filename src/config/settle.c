/* SPDX-License-Identifier: Apache-2.0 */
/* config/settle.c - what can only be done when all files are read: $SET:, file contents; then the groups
 * (groups.c), older defaults (history.c) and checks (check.c). */
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

/* A reference in the value of for_id, or (SET_COUNT) in a member of a string list. */
struct reference {
	struct config_node *node; /* where it stands */
	enum config_setting for_id;
	const struct config_origin *at;
	unsigned depth;
};

static bool reference_text(
	struct config_loader *ld, const struct reference *ref, struct str path, struct str *out)
{
	struct str key = path;
	bool in_parent;
	const struct config_origin *at = ref->at;
	enum config_setting for_id = ref->for_id;
	struct config_node *target = reference_node(ld, ref->node, &key);
	if (!target) {
		config_error(ld, at, "Failed to expand $SET:%.*s: Unknown filter path: %.*s",
			STRF(path), STRF(path));
		return false;
	}
	enum config_setting id = config_resolve_setting(target, key, &in_parent);
	if (id == SET_COUNT && config_resolve_block(target, key) != BLOCK_COUNT) {
		config_error(ld, at,
			"Failed to expand $SET:%.*s: Setting type can't be expanded to string",
			STRF(path));
		return false;
	}
	if (id == SET_COUNT) {
		config_problem(ld, at, false, config_unknown_hint(ld->op->arena, target, key),
			"Failed to expand $SET:%.*s: Unknown setting: %.*s", STRF(path), STRF(key));
		return false;
	}
	bool is_list = config_type_is_list(config_row(id)->type);
	bool takes_list = for_id != SET_COUNT && config_type_is_list(config_row(for_id)->type);
	if (config_row(id)->type == CONFIG_TYPE_STRLIST || is_list != (is_list && takes_list)) {
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
	if (a->is_resolving || ref->depth > REFERENCE_DEPTH_MAX) {
		config_error(ld, at, "Chained $SET:%.*s loops back to itself", STRF(path));
		return false;
	}
	if (a->value->has_reference && !settle_value(ld, target, a, ref->depth + 1))
		return false;
	*out = config_value_text(ld->tree->arena, a->value);
	return true;
}

bool config_reference_text(struct config_loader *ld, struct config_node *node,
	enum config_setting for_id, struct str path, const struct config_origin *at,
	struct str *out)
{
	struct reference ref = { node, for_id, at, 0 };
	return reference_text(ld, &ref, path, out);
}

/* Each token that is a reference is replaced. */
static bool settle_tokens(
	struct config_loader *ld, const struct reference *ref, struct str rest, struct str *out)
{
	struct str token;
	AUTO_BUF(result, 0);
	while (str_cut_word(&rest, &token)) {
		struct str path = token, text = token;
		if (str_skip(&path, STR("$SET:")) && !reference_text(ld, ref, path, &text))
			return false;
		if (result.n)
			buf_put_byte(&result, ' ');
		buf_put(&result, text);
	}
	*out = buf_dup(ld->tree->arena, &result);
	return true;
}

static bool settle_value(struct config_loader *ld, struct config_node *node,
	struct config_assignment *a, unsigned depth)
{
	struct config_value *value = a->value;
	struct reference ref = { node, a->id, &value->origin, depth };
	struct str text;
	a->is_resolving = true;
	bool is_valid = settle_tokens(ld, &ref, value->text, &text);
	a->is_resolving = false;
	value->has_reference = false; /* also after a problem: it is told once */
	return is_valid && config_value_parse(ld, a->id, text, &value->origin, value);
}

static void settle_late_items(struct config_loader *ld)
{
	for (struct config_late_item *late = ld->late_items; late; late = late->next) {
		struct reference ref = { late->node, SET_COUNT, &late->origin, 0 };
		for (size_t i = 0; i < late->list->item_count; i++) {
			struct config_item *item = &late->list->items[i];
			/* A later line may have set the member anew. */
			if (item->value.p == late->written->value.p &&
				settle_tokens(ld, &ref, item->value, &item->value))
				late->written->value = item->value;
		}
	}
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

/* ---- files ---- */

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

void config_settle(struct config_loader *ld)
{
	config_add_old_defaults(ld);
	config_settle_groups(ld);
	settle_references(ld);
	settle_late_items(ld);
	config_check_mandatory(ld);
	if (ld->problems->error_count == 0 && !ld->args->skips_checks)
		config_check_semantics(ld);
	load_files(ld);
}
