/* SPDX-License-Identifier: Apache-2.0 */
/* config/tree.c - nodes, the values in them, and merging of lists. */
#include "config/config_private.h"

void config_tree_init(struct config_tree *tree, struct arena *arena)
{
	*tree = (struct config_tree){ .arena = arena };
}

static struct config_node *node_new(struct config_tree *tree)
{
	if (tree->count == tree->capacity) {
		size_t capacity = tree->capacity ? tree->capacity * 2 : 64;
		tree->nodes = arena_grow(tree->arena, tree->nodes,
			tree->capacity * sizeof(*tree->nodes), capacity * sizeof(*tree->nodes));
		tree->capacity = capacity;
	}
	struct config_node *node = ARENA_NEW(tree->arena, struct config_node);
	node->index = (unsigned)tree->count;
	tree->nodes[tree->count++] = node;
	return node;
}

struct config_node *config_tree_root(struct config_tree *tree, enum config_layer layer)
{
	if (!tree->roots[layer]) {
		struct config_node *root = node_new(tree);
		root->layer = layer;
		root->kind = CONFIG_KIND_ROOT;
		root->block = BLOCK_COUNT;
		tree->roots[layer] = root;
	}
	return tree->roots[layer];
}

static bool key_is(const struct config_node *node, const struct config_node_key *key)
{
	return node->kind == key->kind && node->is_negated == key->is_negated &&
	       (key->kind != CONFIG_KIND_BLOCK || node->block == key->block) &&
	       str_eq(node->name, key->name);
}

struct config_node *config_tree_find(const struct config_tree *tree,
	const struct config_node *parent, const struct config_node_key *key)
{
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->nodes[i]->parent == parent && key_is(tree->nodes[i], key))
			return tree->nodes[i];
	}
	return NULL;
}

struct config_node *config_tree_child(struct config_tree *tree, struct config_node *parent,
	const struct config_node_key *key, bool *is_new)
{
	struct config_node *node = config_tree_find(tree, parent, key);
	*is_new = !node;
	if (node)
		return node;
	node = node_new(tree);
	node->parent = parent;
	node->layer = parent->layer;
	node->kind = key->kind;
	node->block = key->kind == CONFIG_KIND_BLOCK ? key->block : BLOCK_COUNT;
	node->is_negated = key->is_negated;
	node->name = str_dup(tree->arena, key->name);
	return node;
}

struct config_node *config_tree_mirror(
	struct config_tree *tree, struct config_node *node, enum config_layer layer)
{
	/* Nesting is limited by the parser, so this recursion is too. */
	if (!node->parent)
		return config_tree_root(tree, layer);
	struct config_node *parent = config_tree_mirror(tree, node->parent, layer);
	struct config_node_key key = { node->kind, node->block, node->is_negated, node->name };
	bool is_new;
	struct config_node *mirror = config_tree_child(tree, parent, &key, &is_new);
	mirror->networks = node->networks;
	mirror->network_count = node->network_count;
	return mirror;
}

struct config_assignment *config_node_get(const struct config_node *node, enum config_setting id)
{
	for (struct config_assignment *a = node->first; a; a = a->next) {
		if (a->id == id)
			return a;
	}
	return NULL;
}

struct config_assignment *config_node_set(struct config_tree *tree, struct config_node *node,
	enum config_setting id, struct config_value *value)
{
	struct config_assignment *a = config_node_get(node, id);
	if (!a) {
		a = ARENA_NEW(tree->arena, struct config_assignment);
		a->id = id;
		if (node->last)
			node->last->next = a;
		else
			node->first = a;
		node->last = a;
	}
	value->layer = node->layer;
	a->value = value;
	return a;
}

struct config_assignment *config_tree_value(
	const struct config_tree *tree, const struct config_node *node, enum config_setting id)
{
	for (; node; node = node->parent) {
		struct config_assignment *a = config_node_get(node, id);
		if (a)
			return a;
	}
	/* Built-in text and groups refer to what the administrator wrote. */
	static const enum config_layer further[] = { CONFIG_LAYER_COMMAND, CONFIG_LAYER_FILE,
		CONFIG_LAYER_GROUP, CONFIG_LAYER_DEFAULT };
	for (size_t i = 0; i < ARRAY_COUNT(further); i++) {
		const struct config_node *root = tree->roots[further[i]];
		struct config_assignment *a = root ? config_node_get(root, id) : NULL;
		if (a)
			return a;
	}
	return NULL;
}

struct config_value *config_value_merge(
	struct arena *arena, const struct config_value *base, const struct config_value *more)
{
	struct config_value *merged = ARENA_NEW(arena, struct config_value);
	*merged = *more;
	if (more->is_whole || !base)
		return merged;
	merged->is_whole = base->is_whole;
	for (const struct config_written *w = base->written_items; w; w = w->next) {
		struct config_written *copy = ARENA_NEW(arena, struct config_written);
		*copy = *w;
		copy->next = merged->written_items;
		merged->written_items = copy;
	}
	merged->items =
		ARENA_NEW_ARRAY(arena, struct config_item, base->item_count + more->item_count);
	merged->item_count = base->item_count;
	if (base->item_count)
		memcpy(merged->items, base->items, base->item_count * sizeof(*base->items));
	for (size_t i = 0; i < more->item_count; i++) {
		size_t at = 0;
		while (at < merged->item_count &&
			!str_eq(merged->items[at].key, more->items[i].key))
			at++;
		merged->items[at] = more->items[i];
		if (at == merged->item_count)
			merged->item_count++;
	}
	return merged;
}

static bool word_needs_quotes(struct str word)
{
	return word.n == 0 || str_find_byte(word, ' ') >= 0 || str_find_byte(word, ',') >= 0 ||
	       str_find_byte(word, '"') >= 0;
}

struct str config_value_text(struct arena *arena, const struct config_value *value)
{
	if (!value->items)
		return value->text;
	AUTO_BUF(out, 0);
	for (size_t i = 0; i < value->item_count; i++) {
		const struct config_item *item = &value->items[i];
		if (str_eq(item->value, STR("no")))
			continue;
		if (out.n)
			buf_put_byte(&out, ' ');
		if (!word_needs_quotes(item->key)) {
			buf_put(&out, item->key);
			continue;
		}
		buf_put_byte(&out, '"');
		for (size_t k = 0; k < item->key.n; k++) {
			if (item->key.p[k] == '"' || item->key.p[k] == '\\')
				buf_put_byte(&out, '\\');
			buf_put_byte(&out, item->key.p[k]);
		}
		buf_put_byte(&out, '"');
	}
	return buf_dup(arena, &out);
}
