/* SPDX-License-Identifier: Apache-2.0 */
/* config/blocks.c - what opens a level: lists, blocks and connection filters. Spec: sheet core §1.4, §1.5,
 * §1.10. A block that is refused is recorded once and its contents are skipped. */
#include "config/parse_private.h"

static void open_list(struct parser *ps, enum config_setting id, bool in_parent)
{
	struct config_loader *ld = ps->ld;
	struct config_node *node = config_innermost(ps)->node;
	struct config_origin at = config_origin_at(ps, 0);
	if (in_parent)
		node = node->parent;
	if (!config_may_stand_here(ld, node, id, &at)) {
		config_skip_block(ps);
		return;
	}
	if ((config_row(id)->flags & CONFIG_FLAG_ABSENT) && ld->layer >= CONFIG_LAYER_FILE)
		config_note_absent(ld, &at, config_row(id)->name);
	struct config_assignment *a = config_node_get(node, id);
	struct config_value *value = a ? a->value : NULL;
	if (!value) {
		value = ARENA_NEW(ld->tree->arena, struct config_value);
		value->origin = at;
		value->same_as = SET_COUNT;
		config_node_set(ld->tree, node, id, value);
	}
	config_open_level(ps, (struct level){ .node = node, .list_id = id, .list = value });
}

static bool block_may_stand_here(struct parser *ps, enum config_block block, struct str key,
	struct str name, const struct config_origin *at)
{
	const struct config_block_row *row = config_block_row(block);
	const struct config_node *node = config_innermost(ps)->node;
	enum config_block around = node->kind == CONFIG_KIND_BLOCK ? node->block : BLOCK_COUNT;
	if (row->inside != BLOCK_COUNT && row->inside != around)
		config_error(ps->ld, at, "%.*s must be inside a %.*s block", STRF(key),
			STRF(config_block_row(row->inside)->name));
	else if (row->has_name && name.n == 0)
		config_error(ps->ld, at, "%.*s: Setting is a named list filter, use '%.*s value {'",
			STRF(key), STRF(key));
	else if (!row->has_name && name.n)
		config_error(ps->ld, at, "%.*s: Setting is a named filter, use '%.*s {'", STRF(key),
			STRF(key));
	else if (str_starts(name, STR("__")) || str_find(name, STR("$SET:")) >= 0)
		config_error(ps->ld, at, "%.*s: Invalid name: %.*s", STRF(key), STRF(name));
	else if ((block == BLOCK_passdb || block == BLOCK_userdb) && config_in_address_filter(node))
		config_error(
			ps->ld, at, "%.*s can't stand inside local or remote blocks", STRF(key));
	else
		return true;
	return false;
}

static void open_block(struct parser *ps, struct str key, struct str name)
{
	struct config_loader *ld = ps->ld;
	struct config_node *node = config_innermost(ps)->node;
	struct config_origin at = config_origin_at(ps, 0);
	bool in_parent;
	enum config_setting id = config_resolve_setting(node, key, &in_parent);
	enum config_block block = config_resolve_block(node, key);
	if (block == BLOCK_COUNT && id != SET_COUNT && name.n == 0 &&
		config_type_is_list(config_row(id)->type)) {
		config_tell_rename(ld, node, key, false, &at);
		open_list(ps, id, in_parent);
		return;
	}
	if (block == BLOCK_COUNT) {
		if (id != SET_COUNT)
			config_error(
				ld, &at, "Setting %.*s cannot be used as a section", STRF(key));
		else
			config_problem(ld, &at, ld->args && ld->args->skips_unknown,
				config_unknown_hint(ld->op->arena, node, key),
				"Unknown section name: %.*s", STRF(key));
		config_skip_block(ps);
		return;
	}
	if (!block_may_stand_here(ps, block, key, name, &at)) {
		config_skip_block(ps);
		return;
	}
	config_tell_rename(ld, node, key, true, &at);
	if (config_block_row(block)->is_absent && ld->layer >= CONFIG_LAYER_FILE)
		config_note_absent(ld, &at, config_block_row(block)->name);
	struct config_node_key node_key = { CONFIG_KIND_BLOCK, block, false, name };
	bool is_new;
	struct config_node *child = config_tree_child(ld->tree, node, &node_key, &is_new);
	if (is_new)
		child->origin = at;
	config_open_level(ps, (struct level){ .node = child });
}

/* ---- connection filters ---- */

static const struct {
	struct str name;
	enum config_kind kind;
} filters[] = {
	{ { "local", 5 }, CONFIG_KIND_LOCAL },
	{ { "local_name", 10 }, CONFIG_KIND_LOCAL_NAME },
	{ { "remote", 6 }, CONFIG_KIND_REMOTE },
	{ { "protocol", 8 }, CONFIG_KIND_PROTOCOL },
};

static enum config_kind filter_kind(struct str key)
{
	for (size_t i = 0; i < ARRAY_COUNT(filters); i++) {
		if (str_eq(filters[i].name, key))
			return filters[i].kind;
	}
	return CONFIG_KIND_ROOT;
}

/* What an address filter stands for. */
struct address_set {
	struct config_network *networks;
	size_t count;
};

/* Nested address filters must narrow the outer one. */
static bool is_within_outer(
	const struct config_node *node, enum config_kind kind, const struct address_set *set)
{
	for (; node; node = node->parent) {
		if (node->kind != kind)
			continue;
		for (size_t i = 0; i < set->count; i++) {
			bool is_inside = false;
			for (size_t k = 0; k < node->network_count; k++) {
				const struct config_network *outer = &node->networks[k];
				is_inside |= set->networks[i].bits >= outer->bits &&
					     config_network_has(outer, set->networks[i].bytes);
			}
			if (!is_inside)
				return false;
		}
	}
	return true;
}

static bool understand_address(struct config_loader *ld, struct str name,
	const struct config_origin *at, struct address_set *out)
{
	struct config_network network;
	if (config_network_parse(name, &network)) {
		out->networks = ARENA_NEW(ld->tree->arena, struct config_network);
		*out->networks = network;
		out->count = 1;
		return true;
	}
	if (!config_is_host_name(name)) {
		config_problem(ld, at, false, STR("write an address or a network like 10.0.0.0/8"),
			"Invalid network: %.*s", STRF(name));
		return false;
	}
	if ((ld->args && ld->args->is_offline) ||
		config_host_addresses(ld->tree->arena, name, &out->networks, &out->count))
		return true;
	config_problem(ld, at, false, STR("host names are looked up when the file is read"),
		"Can't find the address of %.*s", STRF(name));
	return false;
}

static bool filter_is_valid(
	struct parser *ps, enum config_kind kind, struct str name, struct address_set *set)
{
	const struct config_node *node = config_innermost(ps)->node;
	struct config_origin at = config_origin_at(ps, 0);
	bool is_address = kind == CONFIG_KIND_LOCAL || kind == CONFIG_KIND_REMOTE;
	if (name.n == 0)
		config_error(ps->ld, &at, "Expecting a value before '{'");
	else if (node->kind == CONFIG_KIND_BLOCK)
		config_error(ps->ld, &at, "Connection filters can't stand inside other blocks");
	else if (node->kind > kind || (node->kind == kind && !is_address))
		config_problem(ps->ld, &at, false,
			STR("nest them as local, local_name, remote, protocol"),
			"Filters are nested in the wrong order");
	else if (is_address && !understand_address(ps->ld, name, &at, set))
		return false;
	else if (is_address && !is_within_outer(node, kind, set))
		config_error(
			ps->ld, &at, "%.*s isn't inside the outer filter's network", STRF(name));
	else
		return true;
	return false;
}

static void open_filter(struct parser *ps, enum config_kind kind, struct str name)
{
	struct config_loader *ld = ps->ld;
	struct address_set set = { .count = 0 };
	struct config_node_key key = { .kind = kind, .block = BLOCK_COUNT };
	if (!filter_is_valid(ps, kind, name, &set)) {
		config_skip_block(ps);
		return;
	}
	if (kind == CONFIG_KIND_PROTOCOL)
		key.is_negated = str_skip(&name, STR("!"));
	key.name = kind == CONFIG_KIND_LOCAL_NAME ? str_lower(ld->op->arena, name) : name;
	bool is_new;
	struct config_node *child =
		config_tree_child(ld->tree, config_innermost(ps)->node, &key, &is_new);
	child->networks = set.networks;
	child->network_count = set.count;
	if (is_new)
		child->origin = config_origin_at(ps, 0);
	config_open_level(ps, (struct level){ .node = child });
}

void config_open(struct parser *ps, struct str key, struct str name)
{
	enum config_kind kind = filter_kind(key);
	if (kind == CONFIG_KIND_ROOT)
		open_block(ps, key, name);
	else
		open_filter(ps, kind, name);
}

/* ---- lists of blocks ---- */

static bool has_name(const struct config_block_list *list, struct str name)
{
	for (size_t i = 0; i < list->count; i++) {
		if (str_eq(list->names[i], name))
			return true;
	}
	return false;
}

void config_list_blocks(struct config_loader *ld, struct config_node *node, enum config_block block,
	struct str names, bool is_whole, const struct config_origin *at)
{
	struct config_block_list **link = &node->block_lists, *list;
	struct arena *arena = ld->tree->arena;
	const char *why = NULL;
	AUTO_BUF(word, 0);
	while (*link && (*link)->block != block)
		link = &(*link)->next;
	list = *link;
	if (!list) {
		list = *link = ARENA_NEW(arena, struct config_block_list);
		list->block = block;
	}
	if (is_whole) {
		list->is_whole = true;
		list->count = 0;
	}
	while (config_list_cut(&names, &word, &why)) {
		if (has_name(list, buf_str(&word)))
			continue;
		list->names = arena_grow(arena, list->names, list->count * sizeof(*list->names),
			(list->count + 1) * sizeof(*list->names));
		list->names[list->count++] = buf_dup(arena, &word);
	}
	if (why)
		config_error(ld, at, "%.*s: %s", STRF(config_block_row(block)->name), why);
}
