/* SPDX-License-Identifier: Apache-2.0 */
/* config/show.c - printing. A level of the output is the nodes of all layers that stand at the same
 * place; their values are merged as a scope would, their blocks follow in order of appearance. */
#include "config/show.h"

#include <stdlib.h>

#include "config/parse_private.h"
#include "config/scope_private.h"

#define SAME_PLACE_MAX CONFIG_LAYER_COUNT

struct printer {
	const struct config_tree *tree;
	const struct config_show_args *args;
	struct buf *out;
	struct arena arena; /* owned: merged lists */
};

/* The nodes of different layers at one place, weakest first. */
struct place_nodes {
	const struct config_node *nodes[SAME_PLACE_MAX];
	size_t count;
};

/* ---- values ---- */

static void put_indent(struct buf *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_put(out, STR("  "));
}

/* The sheet quotes only what would be read differently; we also quote what begins like something else. */
static bool needs_quotes(struct str text)
{
	return text.n &&
	       (ascii_is_space(text.p[0]) || ascii_is_space(text.p[text.n - 1]) ||
		       str_find_byte(text, '#') >= 0 || str_starts(text, STR("<")) ||
		       text.p[0] == '"' || text.p[0] == '\'' || text.p[text.n - 1] == '\\' ||
		       str_find(text, STR("$ENV:")) >= 0 || str_find(text, STR("$SET:")) >= 0);
}

static void put_text(struct buf *out, struct str text)
{
	if (!needs_quotes(text)) {
		buf_put(out, text);
		return;
	}
	buf_put_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_put_byte(out, '\\');
		buf_put_byte(out, text.p[i]);
	}
	buf_put_byte(out, '"');
}

static bool is_secret(enum config_setting id)
{
	return (config_row(id)->flags & CONFIG_FLAG_SECRET) != 0;
}

static bool is_secret_key(struct str key)
{
	return str_find_ci(key, STR("pass")) >= 0 || str_ends(key, STR("_key")) ||
	       str_ends(key, STR("_secret")) || str_ends(key, STR("_nonce"));
}

static void put_assignment(struct buf *out, unsigned depth, struct str name, struct str text)
{
	put_indent(out, depth);
	buf_putf(out, text.n ? "%.*s = " : "%.*s =", STRF(name));
	if (str_find_byte(text, '\n') >= 0)
		buf_putf(out, "<<EOF\n%.*s\nEOF", STRF(text));
	else
		put_text(out, text);
	buf_put_byte(out, '\n');
}

static void put_setting(struct printer *pr, unsigned depth, struct str name, enum config_setting id,
	const struct config_value *value)
{
	bool is_hidden = is_secret(id) && !pr->args->with_secrets;
	if (is_hidden && value->text.n) {
		put_indent(pr->out, depth);
		buf_putf(pr->out, "%.*s = # hidden, use -P to show it\n", STRF(name));
		return;
	}
	if (!config_type_is_list(config_row(id)->type) || value->item_count == 0) {
		put_assignment(pr->out, depth, name,
			config_type_is_list(config_row(id)->type) ? STR_NONE : value->text);
		return;
	}
	put_indent(pr->out, depth);
	buf_putf(pr->out, "%.*s {\n", STRF(name));
	for (size_t i = 0; i < value->item_count; i++) {
		const struct config_item *item = &value->items[i];
		bool hides = is_secret_key(item->key) && !pr->args->with_secrets;
		put_assignment(pr->out, depth + 1, item->key,
			hides ? STR("#hidden_use-P_to_show#") : item->value);
	}
	put_indent(pr->out, depth);
	buf_put(pr->out, STR("}\n"));
}

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

/* Inside a block, names are printed without its prefix. */
static struct str short_name(const struct config_node *node, struct str name)
{
	struct str rest = name;
	if (node->kind == CONFIG_KIND_BLOCK && config_block_row(node->block)->has_name &&
		str_skip(&rest, config_block_row(node->block)->name) && str_skip(&rest, STR("_")))
		return rest;
	return name;
}

static bool is_shown(struct printer *pr, enum config_setting id, const struct config_value *value,
	bool is_outermost)
{
	const struct config_row *row = config_row(id);
	if ((row->flags & CONFIG_FLAG_HIDDEN) && value->layer == CONFIG_LAYER_DEFAULT)
		return pr->args->with_hidden;
	if (!is_outermost || pr->args->with_defaults || pr->args->with_equal)
		return true;
	struct str text = config_value_text(&pr->arena, value);
	return config_type_is_list(row->type) || !str_eq(text, row->default_text);
}

static int compare_names(const void *a, const void *b)
{
	const enum config_setting *left = a, *right = b;
	bool left_is_version = *left <= SET_dovecot_storage_version;
	bool right_is_version = *right <= SET_dovecot_storage_version;
	if (left_is_version || right_is_version)
		return left_is_version && right_is_version ? (int)*left - (int)*right
		       : left_is_version                   ? -1
							   : 1;
	return str_cmp(config_row(*left)->name, config_row(*right)->name);
}

/* ---- levels ---- */

static void show_settings(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	enum config_setting ids[SET_COUNT];
	for (unsigned i = 0; i < SET_COUNT; i++)
		ids[i] = (enum config_setting)i;
	qsort(ids, SET_COUNT, sizeof(ids[0]), compare_names);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_value *value = merged_value(pr, place, ids[i]);
		if (value && is_shown(pr, ids[i], value, depth == 0))
			put_setting(pr, depth,
				short_name(place->nodes[0], config_row(ids[i])->name), ids[i],
				value);
	}
}

static void show_groups(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	for (size_t i = 0; i < place->count; i++) {
		for (const struct config_group_use *use = place->nodes[i]->group_uses; use;
			use = use->next) {
			put_indent(pr->out, depth);
			buf_putf(pr->out, "@%.*s = %.*s\n", STRF(use->label), STRF(use->value));
		}
	}
}

static void put_opening(struct printer *pr, const struct config_node *node, unsigned depth)
{
	static const char *const filters[] = { [CONFIG_KIND_LOCAL] = "local",
		[CONFIG_KIND_LOCAL_NAME] = "local_name",
		[CONFIG_KIND_REMOTE] = "remote",
		[CONFIG_KIND_PROTOCOL] = "protocol" };
	put_indent(pr->out, depth);
	if (node->kind == CONFIG_KIND_BLOCK)
		buf_put(pr->out, config_block_row(node->block)->name);
	else
		buf_putf(pr->out, "%s ", filters[node->kind]);
	if (node->kind == CONFIG_KIND_BLOCK && node->name.n)
		buf_put_byte(pr->out, ' ');
	if (node->is_negated)
		buf_put_byte(pr->out, '!');
	bool quotes = str_find_byte(node->name, ' ') >= 0 || str_find_byte(node->name, '#') >= 0;
	buf_putf(pr->out, quotes ? "\"%.*s\" {\n" : "%.*s {\n", STRF(node->name));
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
		put_opening(pr, child, depth);
		show_level(pr, &same, depth + 1);
		put_indent(pr->out, depth);
		buf_put(pr->out, STR("}\n"));
	}
}

static void show_level(struct printer *pr, const struct place_nodes *place, unsigned depth)
{
	show_settings(pr, place, depth);
	show_groups(pr, place, depth);
	show_blocks(pr, place, depth);
}

void config_show(const struct config *cfg, const struct config_show_args *args, struct buf *out)
{
	struct printer pr = { .tree = &cfg->tree, .args = args, .out = out };
	struct place_nodes outermost = { .count = 0 };
	arena_init(&pr.arena, 0);
	for (unsigned layer = 0; layer < CONFIG_LAYER_COUNT; layer++) {
		if (cfg->tree.roots[layer] && is_layer_shown(&pr, (enum config_layer)layer))
			outermost.nodes[outermost.count++] = cfg->tree.roots[layer];
	}
	if (outermost.count)
		show_level(&pr, &outermost, 0);
	arena_done(&pr.arena);
}

void config_show_defaults(const struct config_show_args *args, struct buf *out)
{
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_row *row = config_row((enum config_setting)i);
		if (!(row->flags & CONFIG_FLAG_HIDDEN) || args->with_hidden)
			put_assignment(out, 0, row->name, row->default_text);
	}
}

/* ---- one setting ---- */

/* What belongs to the block by its name, and what else was set inside it. */
static void show_scope(struct printer *pr, const struct config_scope *scope)
{
	struct str prefix = config_block_row(scope->block)->name;
	for (unsigned i = 0; i < SET_COUNT; i++) {
		struct str rest = config_row((enum config_setting)i)->name;
		const struct config_value *value = scope->values[i];
		bool is_own = str_skip(&rest, prefix) && str_skip(&rest, STR("_"));
		bool is_set = value->layer != CONFIG_LAYER_DEFAULT;
		if (is_own && (pr->args->with_defaults || is_set))
			put_setting(pr, 1, rest, (enum config_setting)i, value);
		else if (!is_own && is_set && value != scope->parent->values[i])
			put_setting(pr, 1, config_row((enum config_setting)i)->name,
				(enum config_setting)i, value);
	}
}

static void show_all_of(
	struct printer *pr, const struct config_scope *scope, enum config_block block)
{
	size_t count = config_block_count(scope, block);
	for (size_t i = 0; i < count; i++) {
		const struct config_scope *child = config_block_at(scope, block, i);
		buf_putf(pr->out, "%.*s %.*s {\n", STRF(config_block_row(block)->name),
			STRF(config_scope_name(child)));
		show_scope(pr, child);
		buf_put(pr->out, STR("}\n"));
	}
}

/* The node whose names count inside `scope`. */
static struct config_node naming_node(const struct config_scope *scope)
{
	return (struct config_node){
		.kind = scope->block == BLOCK_COUNT ? CONFIG_KIND_ROOT : CONFIG_KIND_BLOCK,
		.block = scope->block,
		.name = scope->name,
	};
}

static void show_found(struct printer *pr, const struct config_scope *scope, enum config_setting id,
	struct str name, bool only_value)
{
	const struct config_value *value = scope->values[id];
	if (!only_value) {
		put_setting(pr, 0, name, id, value);
		return;
	}
	if (is_secret(id) && value->text.n && !pr->args->with_secrets)
		buf_put(pr->out, STR("# hidden, use -P to show it"));
	else
		buf_put(pr->out, config_value_text(&pr->arena, value));
	buf_put_byte(pr->out, '\n');
}

static enum err show_path(struct op *op, struct printer *pr, const struct config_scope *scope,
	struct str path, bool only_value)
{
	struct str element, name, full = path;
	while (str_cut(&path, '/', &element)) {
		struct config_node here = naming_node(scope);
		enum config_block block = config_resolve_block(&here, element);
		if (block == BLOCK_COUNT)
			return op_fail(
				op, ERR_NOT_FOUND, "Unknown section name: %.*s", STRF(element));
		name = STR_NONE;
		bool has_rest = !config_block_row(block)->has_name || str_cut(&path, '/', &name);
		if (!has_rest)
			name = path;
		scope = config_block_get(scope, block, name);
		if (!scope)
			return op_fail(op, ERR_NOT_FOUND, "There is no %.*s %.*s", STRF(element),
				STRF(name));
		if (!has_rest) {
			show_scope(pr, scope);
			return ERR_NONE;
		}
	}
	struct config_node here = naming_node(scope);
	bool in_parent;
	enum config_setting id = config_resolve_setting(&here, path, &in_parent);
	enum config_block block = config_resolve_block(&here, path);
	if (id != SET_COUNT) {
		show_found(pr, scope, id, full, only_value);
		return ERR_NONE;
	}
	if (block != BLOCK_COUNT) {
		show_all_of(pr, scope, block);
		return ERR_NONE;
	}
	struct str hint = config_unknown_hint(op->arena, &here, path);
	return op_fail(op, ERR_NOT_FOUND,
		hint.n ? "Unknown setting: %.*s (%.*s)" : "Unknown setting: %.*s", STRF(path),
		STRF(hint));
}

enum err config_show_one(struct op *op, const struct config_scope *scope, struct str path,
	bool only_value, const struct config_show_args *args, struct buf *out)
{
	CHECK(scope, SCOPE_MAGIC);
	struct printer pr = { .tree = &scope->view->cfg->tree, .args = args, .out = out };
	arena_init(&pr.arena, 0);
	enum err e = show_path(op, &pr, scope, path, only_value);
	arena_done(&pr.arena);
	return e;
}

/* ---- docs/settings.md ---- */

static void put_cell(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '|')
			buf_put_byte(out, '\\');
		buf_put_byte(out, text.p[i]);
	}
}

static void put_reference_row(struct buf *out, const struct config_row *row)
{
	buf_putf(out, "| `%.*s` | %s", STRF(row->name), config_type_name(row->type));
	if (row->choices.n) {
		buf_put(out, row->type == CONFIG_TYPE_ENUM ? STR(": ") : STR(" of: "));
		put_cell(out, row->choices);
	}
	buf_put(out, STR(" | "));
	if (row->default_text.n) {
		buf_put_byte(out, '`');
		put_cell(out, row->default_text);
		buf_put_byte(out, '`');
	}
	buf_put(out, STR(" | "));
	put_cell(out, row->doc);
	if (row->flags & CONFIG_FLAG_EXTENSION)
		buf_put(out, STR(" *Our extension.*"));
	buf_put(out, STR(" |\n"));
}

void config_show_reference(struct buf *out)
{
	const char *section = "";
	buf_put(out,
		STR("<!-- Generated by `doveconf --settings-reference`; do not edit. -->\n"
		    "# Settings\n\n"
		    "Every setting with its type, default and meaning. Inside a block `b {` the "
		    "setting `b_x` is\nwritten `x`. `$SET:x` as a default means: the value of "
		    "`x`.\n\n## Blocks\n\n"
		    "| block | inside | meaning |\n|---|---|---|\n"));
	for (unsigned i = 0; i < BLOCK_COUNT; i++) {
		const struct config_block_row *row = config_block_row((enum config_block)i);
		buf_putf(out, "| `%.*s%s {` | %.*s | %.*s |\n", STRF(row->name),
			row->has_name ? " NAME" : "",
			STRF(row->inside == BLOCK_COUNT ? STR("anywhere")
							: config_block_row(row->inside)->name),
			STRF(row->doc));
	}
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const char *title = config_row_section((enum config_setting)i);
		if (!str_eq(str_from(title), str_from(section)))
			buf_putf(out,
				"\n## %s\n\n| setting | type | default | meaning "
				"|\n|---|---|---|---|\n",
				title);
		section = title;
		put_reference_row(out, config_row((enum config_setting)i));
	}
}
