/* SPDX-License-Identifier: Apache-2.0 */
/* config/show.c - a configuration as it was written. A level of the output is the nodes of all layers that
 * stand at the same place; their values are merged as a scope would, their blocks follow in order of
 * appearance. */
#include <stdlib.h>

#include "config/show_private.h"

#define SAME_PLACE_MAX CONFIG_LAYER_COUNT

/* The nodes of different layers at one place, weakest first. */
struct place_nodes {
	const struct config_node *nodes[SAME_PLACE_MAX];
	size_t count;
};

static const struct config_value *merged_value(
	struct printer *pr, const struct place_nodes *place, enum config_setting id)
{
	const struct config_value *value = NULL;
	for (size_t i = 0; i < place->count; i++) {
		const struct config_assignment *a = config_node_get(place->nodes[i], id);
		if (a && value && config_type_is_list(config_row(id)->type))
			value = config_value_merge(&pr->arena, value, a->value);
		else if (a)
			value = a->value;
	}
	return value;
}

static bool is_shown(struct printer *pr, enum config_setting id, const struct config_value *value,
	bool is_outermost)
{
	const struct config_row *row = config_row(id);
	if ((row->flags & CONFIG_FLAG_HIDDEN) && value->layer == CONFIG_LAYER_DEFAULT)
		return pr->args->with_hidden;
	if (!is_outermost || pr->args->with_defaults || pr->args->with_equal)
		return true;
	const struct config_assignment *usual =
		config_node_get(pr->tree->roots[CONFIG_LAYER_DEFAULT], id);
	return config_type_is_list(row->type) || !usual || value->written.p ||
	       !str_eq(value->text, usual->value->text);
}

/* ---- levels ---- */

static void show_settings(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	enum config_setting ids[SET_COUNT];
	for (unsigned i = 0; i < SET_COUNT; i++)
		ids[i] = (enum config_setting)i;
	qsort(ids, SET_COUNT, sizeof(ids[0]), show_compare_names);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_value *value = merged_value(pr, place, ids[i]);
		if (value && is_shown(pr, ids[i], value, depth == 0))
			show_setting(
				pr, depth, show_short_name(place->nodes[0], ids[i]), ids[i], value);
	}
}

static void show_block_lists(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	for (size_t i = 0; i < place->count; i++) {
		for (const struct config_block_list *list = place->nodes[i]->block_lists; list;
			list = list->next) {
			struct config_item *items =
				ARENA_NEW_ARRAY(&pr->arena, struct config_item, list->count);
			for (size_t k = 0; k < list->count; k++)
				items[k] = (struct config_item){ list->names[k], STR("yes") };
			struct config_value names = { .items = items, .item_count = list->count };
			struct str text = config_value_text(&pr->arena, &names);
			show_indent(pr->out, depth);
			buf_putf(pr->out, text.n ? "%.*s = " : "%.*s =",
				STRF(config_block_row(list->block)->name));
			buf_put(pr->out, text);
			buf_put_byte(pr->out, '\n');
		}
	}
}

static void show_groups(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	for (size_t i = 0; i < place->count; i++) {
		for (const struct config_group_use *use = place->nodes[i]->group_uses; use;
			use = use->next) {
			show_indent(pr->out, depth);
			buf_putf(pr->out, "@%.*s = %.*s\n", STRF(use->label), STRF(use->value));
		}
	}
}

static bool is_layer_shown(const struct printer *pr, enum config_layer layer)
{
	return layer == CONFIG_LAYER_FILE || layer == CONFIG_LAYER_COMMAND ||
	       pr->args->with_defaults;
}

static struct place_nodes children_like(
	struct printer *pr, const struct place_nodes *place, const struct config_node *child)
{
	struct config_node_key key = { child->kind, child->block, child->is_negated, child->name };
	struct place_nodes same = { .count = 0 };
	for (size_t i = 0; i < place->count; i++) {
		const struct config_node *found = config_tree_find(pr->tree, place->nodes[i], &key);
		if (found)
			same.nodes[same.count++] = found;
	}
	return same;
}

static void show_level(struct printer *pr, const struct place_nodes *place, unsigned depth);

static void show_blocks(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	for (size_t i = 0; i < pr->tree->count; i++) {
		const struct config_node *child = pr->tree->nodes[i];
		bool is_here = false;
		for (size_t k = 0; k < place->count; k++)
			is_here |= child->parent && child->parent == place->nodes[k];
		if (!is_here)
			continue;
		struct place_nodes same = children_like(pr, place, child);
		bool is_first = true; /* each place is printed once, at its first node */
		for (size_t k = 0; k < same.count; k++)
			is_first &= same.nodes[k]->index >= child->index;
		if (!is_first)
			continue;
		show_opening(pr, child, depth);
		show_level(pr, &same, depth + 1);
		show_indent(pr->out, depth);
		buf_put(pr->out, STR("}\n"));
	}
}

static void show_level(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	show_settings(pr, place, depth);
	show_groups(pr, place, depth);
	show_block_lists(pr, place, depth);
	show_blocks(pr, place, depth);
}

void config_show(const struct config *cfg, const struct config_show_args *args, struct buf *out)
{
	struct printer pr;
	struct place_nodes outermost = { .count = 0 };
	printer_init(&pr, &cfg->tree, args, out);
	for (unsigned layer = 0; layer < CONFIG_LAYER_COUNT; layer++) {
		if (cfg->tree.roots[layer] && is_layer_shown(&pr, (enum config_layer)layer))
			outermost.nodes[outermost.count++] = cfg->tree.roots[layer];
	}
	if (outermost.count)
		show_level(&pr, &outermost, 0);
	printer_done(&pr);
}
