/* SPDX-License-Identifier: Apache-2.0 */
/* config/scope_blocks.c - the blocks inside a place: which there are, which of them count, in which order.
 *
 * They are found when they are asked for, and kept in the scope.
 * Spec: sheet core §1.4, §1.5. */
#include "config/scope_private.h"

#include <stdlib.h>

/* ---- blocks ---- */

static bool is_listed(const struct config_node *const *nodes, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(nodes[i]->name, name))
			return true;
	}
	return false;
}

static bool is_in_filter(const struct config_node *node)
{
	return node->parent && node->parent->kind != CONFIG_KIND_ROOT &&
	       node->parent->kind != CONFIG_KIND_BLOCK;
}

static void collect_names(const struct config_scope *scope, enum config_block block,
	bool in_filters, const struct config_node **nodes, size_t *count)
{
	for (size_t i = 0; i < config_view_node_count(scope->view); i++) {
		const struct config_node *node = config_view_node(scope->view, i);
		if (node->kind == CONFIG_KIND_BLOCK && node->block == block && node->parent &&
			is_in_filter(node) == in_filters &&
			config_node_is_active(scope->view, node) &&
			config_node_is_inside(scope, node->parent) &&
			!is_listed(nodes, *count, node->name))
			nodes[(*count)++] = node;
	}
}

/* ---- which blocks count, and in which order: `namespace = a b` ---- */

struct names {
	struct str *items;
	size_t count, capacity;
};

static void add_name(struct arena *arena, struct names *names, struct str name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (str_eq(names->items[i], name))
			return;
	}
	if (names->count == names->capacity) {
		size_t capacity = names->capacity ? 2 * names->capacity : 8;
		names->items = arena_grow(arena, names->items, names->capacity * sizeof(struct str),
			capacity * sizeof(struct str));
		names->capacity = capacity;
	}
	names->items[names->count++] = name;
}

static int node_layer_cmp(const void *a_, const void *b_)
{
	const struct config_node *const *a = a_, *const *b = b_;
	if ((*a)->layer != (*b)->layer)
		return (*a)->layer < (*b)->layer ? -1 : 1;
	return (*a)->index < (*b)->index ? -1 : (*a)->index > (*b)->index;
}

static const struct config_block_list *list_in(
	const struct config_node *node, enum config_block block)
{
	const struct config_block_list *list = node->block_lists;
	while (list && list->block != block)
		list = list->next;
	return list;
}

/* The lists that apply here, weakest first; nodes is room for all. */
static void apply_block_lists(const struct config_scope *scope, enum config_block block,
	const struct config_node **nodes, struct names *names)
{
	size_t count = 0;
	for (size_t i = 0; i < config_view_node_count(scope->view); i++) {
		const struct config_node *node = config_view_node(scope->view, i);
		if (node->block_lists && list_in(node, block) &&
			config_node_is_active(scope->view, node) &&
			config_node_is_inside(scope, node))
			nodes[count++] = node;
	}
	qsort(nodes, count, sizeof(*nodes), node_layer_cmp);
	for (size_t i = 0; i < count; i++) {
		const struct config_block_list *list = list_in(nodes[i], block);
		if (!list)
			continue;
		if (list->is_whole)
			names->count = 0;
		for (size_t k = 0; k < list->count; k++)
			add_name(&scope->view->arena, names, list->names[k]);
	}
}

/* Most kinds of blocks are in no file: then there is nothing to search. */
static bool may_have(const struct config_view *view, enum config_block block)
{
	struct config *cfg = view->cfg;
	if (!cfg->has_block) {
		cfg->has_block = ARENA_NEW_ARRAY(&cfg->arena, bool, BLOCK_COUNT);
		for (size_t i = 0; i < cfg->tree.count; i++) {
			const struct config_node *node = cfg->tree.nodes[i];
			if (node->kind == CONFIG_KIND_BLOCK)
				cfg->has_block[node->block] = true;
			for (const struct config_block_list *l = node->block_lists; l; l = l->next)
				cfg->has_block[l->block] = true;
		}
	}
	return cfg->has_block[block] || view->user_tree.count > 0;
}

static struct scope_children *find_blocks(const struct config_scope *scope, enum config_block block)
{
	struct config_view *view = scope->view;
	struct scope_children *children = ARENA_NEW(&view->arena, struct scope_children);
	children->block = block;
	children->next = *scope->children;
	*scope->children = children;
	if (!may_have(view, block)) {
		children->scopes = ARENA_NEW_ARRAY(&view->arena, const struct config_scope *, 1);
		return children;
	}
	const struct config_node **nodes =
		mem_new_array(config_view_node_count(view), sizeof(*nodes));
	struct names names = { .count = 0 };
	size_t count = 0;
	bool filters_first = block == BLOCK_passdb || block == BLOCK_userdb;
	collect_names(scope, block, filters_first, nodes, &count);
	collect_names(scope, block, !filters_first, nodes, &count);
	for (size_t i = 0; i < count; i++)
		add_name(&view->arena, &names, nodes[i]->name);
	apply_block_lists(scope, block, nodes, &names);
	mem_free(nodes);
	children->scopes =
		ARENA_NEW_ARRAY(&view->arena, const struct config_scope *, names.count + 1);
	for (size_t i = 0; i < names.count; i++)
		children->scopes[i] = config_scope_make(view, scope, block, names.items[i]);
	children->count = names.count;
	return children;
}

static struct scope_children *children_of(const struct config_scope *scope, enum config_block block)
{
	CHECK(scope, SCOPE_MAGIC);
	ASSERT(block < BLOCK_COUNT);
	for (struct scope_children *c = *scope->children; c; c = c->next) {
		if (c->block == block)
			return c;
	}
	return find_blocks(scope, block);
}

size_t config_block_count(const struct config_scope *scope, enum config_block block)
{
	return children_of(scope, block)->count;
}

const struct config_scope *config_block_at(
	const struct config_scope *scope, enum config_block block, size_t i)
{
	const struct scope_children *children = children_of(scope, block);
	ASSERT(i < children->count);
	return children->scopes[i];
}

const struct config_scope *config_block_get(
	const struct config_scope *scope, enum config_block block, struct str name)
{
	struct scope_children *children = children_of(scope, block);
	for (size_t i = 0; i < children->count; i++) {
		if (str_eq(children->scopes[i]->name, name))
			return children->scopes[i];
	}
	if (config_block_row(block)->has_name)
		return NULL;
	/* An unnamed block that nobody wrote is a place all the same. */
	children->scopes[0] = config_scope_make(scope->view, scope, block, STR_NONE);
	children->count = 1;
	return children->scopes[0];
}

struct str config_scope_name(const struct config_scope *scope)
{
	CHECK(scope, SCOPE_MAGIC);
	return scope->name;
}

const struct config_scope *config_scope_parent(const struct config_scope *scope)
{
	CHECK(scope, SCOPE_MAGIC);
	return scope->parent;
}
