/* SPDX-License-Identifier: Apache-2.0 */
/* config/scope.c - the values that result in a place.
 *
 * A *view* is the set of connection filters that match a place; all scopes below it are kept in it. Views
 * live in the config and are found again by that set, so that thousands of sessions share a few.
 * config_scope_new() makes a private view with one more tree: the user's fields.
 * The blocks inside a place are found by scope_blocks.c.
 *
 * match.c says which nodes apply and in which order.
 * Spec: sheet core §1.4, §1.10. */
#include "config/scope_private.h"

#include <stdlib.h>

/* ---- resolving ---- */

/* The driver of a block is its own: it is not inherited from a block around it. */
static bool is_foreign_driver(
	const struct config_scope *scope, const struct config_node *node, enum config_setting id)
{
	if (scope->block == BLOCK_COUNT || config_block_row(scope->block)->driver != id)
		return false;
	bool is_alias;
	return node->kind != CONFIG_KIND_BLOCK || !config_chain_has(scope, node, &is_alias);
}

static void apply_node(struct config_scope *scope, const struct config_node *node)
{
	for (const struct config_assignment *a = node->first; a; a = a->next) {
		const struct config_value **value = &scope->values[a->id];
		if (is_foreign_driver(scope, node, a->id))
			continue;
		if (config_type_is_list(config_row(a->id)->type) && *value && !a->value->is_whole)
			*value = config_value_merge(scope->view->making, *value, a->value);
		else
			*value = a->value;
	}
}

static void apply_nodes(struct config_scope *scope)
{
	struct config_view *view = scope->view;
	size_t total = config_view_node_count(view), count = 0;
	struct config_candidate *candidates = mem_new_array(total, sizeof(*candidates));
	for (size_t i = 0; i < total; i++) {
		const struct config_node *node = config_view_node(view, i);
		if (node->first && config_node_is_active(view, node) &&
			config_node_applies(scope, node))
			candidates[count++] = config_candidate_of(node, i);
	}
	qsort(candidates, count, sizeof(*candidates), config_candidate_cmp);
	for (size_t i = 0; i < count; i++)
		apply_node(scope, candidates[i].node);
	mem_free(candidates);
}

/* The name of a block is its driver unless one is set. */
static void default_driver(struct config_scope *scope)
{
	enum config_setting id =
		scope->block == BLOCK_COUNT ? SET_COUNT : config_block_row(scope->block)->driver;
	if (id == SET_COUNT || (scope->values[id] && scope->values[id]->text.n))
		return;
	struct config_value *value = ARENA_NEW(scope->view->making, struct config_value);
	value->text = scope->name;
	value->same_as = SET_COUNT;
	struct str choices = config_row(id)->choices, choice;
	for (uint64_t i = 0; str_cut_word(&choices, &choice); i++) {
		if (str_eq(choice, scope->name))
			value->number = i;
	}
	scope->values[id] = value;
}

static enum config_block driver_alias(const struct config_scope *scope)
{
	char name[64];
	enum config_setting id =
		scope->block == BLOCK_COUNT ? SET_COUNT : config_block_row(scope->block)->driver;
	if (id == SET_COUNT)
		return BLOCK_COUNT;
	struct str block = config_block_row(scope->block)->name;
	struct str driver = scope->values[id]->text;
	if (block.n + 1 + driver.n > sizeof(name))
		return BLOCK_COUNT;
	memcpy(name, block.p, block.n);
	name[block.n] = '_';
	if (driver.n)
		memcpy(name + block.n + 1, driver.p, driver.n);
	for (size_t i = block.n + 1; i < block.n + 1 + driver.n; i++) {
		if (name[i] == '-')
			name[i] = '_';
	}
	enum config_block found = config_block_find((struct str){ name, block.n + 1 + driver.n });
	return found != BLOCK_COUNT && !config_block_row(found)->has_name ? found : BLOCK_COUNT;
}

/* Defaults of the form "$SET:x" become x's value in this scope. */
static void follow_defaults(struct config_scope *scope)
{
	for (unsigned i = 0; i < SET_COUNT; i++) {
		const struct config_value *value = scope->values[i];
		for (unsigned hops = 0; value->same_as != SET_COUNT && hops < SET_COUNT; hops++)
			value = scope->values[value->same_as];
		scope->values[i] = value;
	}
}

/* ---- what a user has of his own ---- */

static bool is_same(const struct config_value *a, const struct config_value *b)
{
	if (a == b)
		return true;
	if (a->layer != b->layer || a->number != b->number || a->item_count != b->item_count ||
		a->content.p != b->content.p || !str_eq(a->text, b->text))
		return false;
	for (size_t i = 0; i < a->item_count; i++) {
		if (!str_eq(a->items[i].key, b->items[i].key) ||
			!str_eq(a->items[i].value, b->items[i].value))
			return false;
	}
	return true;
}

/* Out of the arena in which it was made; texts in it live longer anyway. */
static const struct config_value *value_keep(struct arena *arena, const struct config_value *value)
{
	struct config_value *kept = ARENA_NEW(arena, struct config_value);
	*kept = *value;
	kept->items = ARENA_NEW_ARRAY(arena, struct config_item, value->item_count);
	if (value->item_count)
		memcpy(kept->items, value->items, value->item_count * sizeof(*value->items));
	kept->written_items = NULL;
	return kept;
}

/* Keeps the values that differ from `usual`, which outlives the scope. */
static void keep_differences(struct config_scope *scope, const struct config_value **usual)
{
	size_t count = 0;
	struct arena *arena = &scope->view->arena;
	const struct config_value **made = scope->values;
	for (unsigned i = 0; i < SET_COUNT; i++)
		count += !is_same(made[i], usual[i]);
	scope->differences = ARENA_NEW_ARRAY(arena, struct scope_difference, count);
	for (unsigned i = 0; i < SET_COUNT; i++) {
		if (!is_same(made[i], usual[i]))
			scope->differences[scope->difference_count++] =
				(struct scope_difference){ (enum config_setting)i,
					value_keep(arena, made[i]) };
	}
	scope->values = usual;
}

static const struct config_scope *find_shared(const struct config_view *view,
	const struct config_scope *parent, enum config_block block, struct str name)
{
	if (!view->base || (parent && !parent->shared))
		return NULL;
	return parent ? config_block_get(parent->shared, block, name) : view->base;
}

/* Fills scope->values, which are all empty. */
static void scope_resolve(struct config_scope *scope)
{
	apply_nodes(scope);
	default_driver(scope);
	scope->alias = driver_alias(scope);
	if (scope->alias != BLOCK_COUNT) {
		/* Once more, with the driver's defaults among the candidates. */
		memset(scope->values, 0, SET_COUNT * sizeof(*scope->values));
		apply_nodes(scope);
		default_driver(scope);
	}
	follow_defaults(scope);
}

struct config_scope *config_scope_make(struct config_view *view, const struct config_scope *parent,
	enum config_block block, struct str name)
{
	struct config_scope *scope = ARENA_NEW(&view->arena, struct config_scope);
	scope->magic = SCOPE_MAGIC;
	scope->view = view;
	scope->parent = parent;
	scope->block = block;
	scope->alias = BLOCK_COUNT;
	scope->name = str_dup(&view->arena, name);
	scope->children = ARENA_NEW(&view->arena, struct scope_children *);
	scope->shared = find_shared(view, parent, block, name);
	if (!view->base) {
		scope->values =
			ARENA_NEW_ARRAY(&view->arena, const struct config_value *, SET_COUNT);
		view->making = &view->arena;
		scope_resolve(scope);
		return scope;
	}
	AUTO_ARENA(scratch, 0);
	scope->values = ARENA_NEW_ARRAY(&scratch, const struct config_value *, SET_COUNT);
	view->making = &scratch;
	scope_resolve(scope);
	keep_differences(scope, scope->shared ? scope->shared->values : parent->values);
	return scope;
}

/* ---- views ---- */

static struct config_view *view_new(struct config *cfg)
{
	struct config_view *view = MEM_NEW(struct config_view);
	view->cfg = cfg;
	arena_init(&view->arena, 0);
	config_tree_init(&view->user_tree, &view->arena);
	return view;
}

static void view_free(struct config_view *view)
{
	arena_done(&view->arena);
	mem_free(view);
}

void config_views_free(struct config *cfg)
{
	while (cfg->views) {
		struct config_view *view = cfg->views;
		cfg->views = view->next;
		view_free(view);
	}
}

const struct config_scope *config_scope(struct config *cfg, const struct config_place *where)
{
	CHECK(cfg, CONFIG_MAGIC);
	struct config_standpoint place;
	AUTO_ARENA(arena, 0);
	config_standpoint_make(where, &place);
	size_t count = cfg->tree.count;
	bool *matches = config_match_nodes(&arena, &cfg->tree, &place);
	for (struct config_view *view = cfg->views; view; view = view->next) {
		if (memcmp(view->matches, matches, count * sizeof(bool)) == 0)
			return view->root;
	}
	struct config_view *view = view_new(cfg);
	view->matches = arena_alloc_array(&view->arena, count + 1, sizeof(bool));
	memcpy(view->matches, matches, count * sizeof(bool));
	view->is_shared = true;
	view->next = cfg->views;
	cfg->views = view;
	view->root = config_scope_make(view, NULL, BLOCK_COUNT, STR_NONE);
	return view->root;
}

/* "set/key" and keys with "/" must be settings; of the others only known names count. */
static bool is_override(struct str *field)
{
	struct str rest = *field, key;
	if (str_skip(&rest, STR("set/"))) {
		*field = rest;
		return true;
	}
	if (!str_cut(&rest, '=', &key))
		return false;
	if (str_ends(key, STR("+")))
		key.n--;
	return str_find_byte(key, '/') >= 0 || config_row_find(key) != SET_COUNT;
}

enum err config_scope_new(struct op *op, const struct config_scope *base, const struct str *fields,
	size_t field_count, struct config_scope **out)
{
	CHECK(base, SCOPE_MAGIC);
	ASSERT(!base->parent);
	bool has_override = false;
	for (size_t i = 0; i < field_count; i++) {
		struct str field = fields[i];
		has_override |= is_override(&field);
	}
	if (!has_override) { /* nothing of his own: he shares the place with all others */
		*out = base->view->root;
		return ERR_NONE;
	}
	struct config_problems problems = { .count = 0 };
	struct config_view *view = view_new(base->view->cfg);
	view->matches = base->view->matches;
	view->base = base->view->root;
	struct config_load_args args = { .reads_files = false };
	struct config_loader ld = { .op = op,
		.args = &args,
		.problems = &problems,
		.cfg = view->cfg,
		.tree = &view->user_tree,
		.layer = CONFIG_LAYER_USER };
	for (size_t i = 0; i < field_count; i++) {
		struct str field = fields[i];
		struct config_origin at = { .file = STR("userdb") };
		if (is_override(&field))
			config_parse_override(&ld, field, &at);
	}
	if (problems.error_count) {
		view_free(view);
		return op_fail(op, ERR_INVALID, "userdb field: %.*s", STRF(problems.items[0].text));
	}
	view->root = config_scope_make(view, NULL, BLOCK_COUNT, STR_NONE);
	*out = view->root;
	return ERR_NONE;
}

void config_scope_free(struct config_scope *scope)
{
	if (!scope)
		return;
	CHECK(scope, SCOPE_MAGIC);
	ASSERT(scope == scope->view->root);
	if (!scope->view->is_shared)
		view_free(scope->view);
}
