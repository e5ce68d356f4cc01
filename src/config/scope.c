/* SPDX-License-Identifier: Apache-2.0 */
/* config/scope.c - which nodes apply to a place, and the values that result.
 *
 * A *view* is the set of connection filters that match a place; all scopes below it are kept in it. Views
 * live in the config and are found again by that set, so that thousands of sessions share a few.
 * config_scope_new() makes a private view with one more tree: the user's fields.
 *
 * A node applies to a scope if its connection filters match and its blocks are a subsequence of the
 * scope's chain of blocks. In the chain, a block whose driver is D is followed by the unnamed block
 * <block>_D if there is one: its settings are the defaults of the driver.
 * Spec: sheet core §1.4, §1.10. */
#include "config/scope_private.h"

#include <stdlib.h>

/* ---- matching ---- */

struct place { /* a config_place whose addresses were understood */
	struct str protocol;
	struct str local_name;
	struct config_network local;
	struct config_network remote;
	bool has_local;
	bool has_remote;
};

/* "*.example.com" matches one or more labels. */
static bool name_matches(struct str pattern, struct str name)
{
	if (str_skip(&pattern, STR("*")))
		return name.n > pattern.n &&
		       str_eq_ci(str_slice(name, name.n - pattern.n, name.n), pattern);
	return str_eq_ci(pattern, name);
}

static bool filter_matches(const struct config_node *node, const struct place *place)
{
	switch (node->kind) {
	case CONFIG_KIND_ROOT:
	case CONFIG_KIND_BLOCK:
		return true;
	case CONFIG_KIND_PROTOCOL:
		return place->protocol.n && str_eq(node->name, place->protocol) != node->is_negated;
	case CONFIG_KIND_LOCAL_NAME:
		return place->local_name.n && name_matches(node->name, place->local_name);
	case CONFIG_KIND_LOCAL:
		return place->has_local && config_network_has(&node->network, place->local.bytes);
	case CONFIG_KIND_REMOTE:
		return place->has_remote && config_network_has(&node->network, place->remote.bytes);
	}
	UNREACHABLE();
}

static bool *match_nodes(
	struct arena *arena, const struct config_tree *tree, const struct place *place)
{
	bool *matches = arena_alloc_array(arena, tree->count + 1, sizeof(bool));
	for (size_t i = 0; i < tree->count; i++) {
		const struct config_node *node = tree->nodes[i];
		/* Parents come before their children. */
		matches[i] = (!node->parent || matches[node->parent->index]) &&
			     filter_matches(node, place);
	}
	return matches;
}

static bool node_is_active(const struct config_view *view, const struct config_node *node)
{
	return node->layer == CONFIG_LAYER_USER || view->matches[node->index];
}

/* The next unnamed block that follows `scope`'s block because of its driver; BLOCK_COUNT if none. */
static bool chain_has(
	const struct config_scope *scope, const struct config_node *node, bool *is_alias)
{
	*is_alias = scope->alias != BLOCK_COUNT && node->block == scope->alias;
	return *is_alias || (node->block == scope->block && str_eq(node->name, scope->name));
}

/* Are the blocks from `node` outwards a subsequence of the chain from `scope` outwards? */
static bool applies(const struct config_scope *scope, const struct config_node *node)
{
	bool may_be_alias = true; /* in the chain, the alias comes after its block */
	while (node && node->kind == CONFIG_KIND_BLOCK) {
		bool is_alias;
		if (!scope->parent)
			return false;
		if (!chain_has(scope, node, &is_alias) || (is_alias && !may_be_alias)) {
			scope = scope->parent;
			may_be_alias = true;
			continue;
		}
		node = node->parent;
		may_be_alias = false;
		if (!is_alias)
			scope = scope->parent, may_be_alias = true;
	}
	return true;
}

/* Does `node` apply, and stand directly in the scope's innermost block? Its blocks are nested there. */
static bool is_inside(const struct config_scope *scope, const struct config_node *node)
{
	bool is_alias;
	if (!scope->parent)
		return node->kind != CONFIG_KIND_BLOCK;
	return node->kind == CONFIG_KIND_BLOCK && chain_has(scope, node, &is_alias) &&
	       applies(scope, node);
}

/* ---- strength ---- */

struct candidate {
	const struct config_node *node;
	unsigned named_count;
	unsigned unnamed_count;
	size_t order;
};

static int candidate_cmp(const void *a_, const void *b_)
{
	const struct candidate *a = a_, *b = b_;
	if (a->node->layer != b->node->layer)
		return a->node->layer < b->node->layer ? -1 : 1;
	if (a->named_count != b->named_count)
		return a->named_count < b->named_count ? -1 : 1;
	if (a->unnamed_count != b->unnamed_count)
		return a->unnamed_count < b->unnamed_count ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static struct candidate candidate_of(const struct config_node *node, size_t order)
{
	struct candidate c = { .node = node, .order = order };
	for (; node && node->kind == CONFIG_KIND_BLOCK; node = node->parent) {
		if (config_block_row(node->block)->has_name)
			c.named_count++;
		else
			c.unnamed_count++;
	}
	return c;
}

static const struct config_node *view_node(const struct config_view *view, size_t i)
{
	const struct config_tree *tree = &view->cfg->tree;
	return i < tree->count ? tree->nodes[i] : view->user_tree.nodes[i - tree->count];
}

static size_t view_node_count(const struct config_view *view)
{
	return view->cfg->tree.count + view->user_tree.count;
}

/* ---- resolving ---- */

/* The driver of a block is its own: it is not inherited from a block around it. */
static bool is_foreign_driver(
	const struct config_scope *scope, const struct config_node *node, enum config_setting id)
{
	if (scope->block == BLOCK_COUNT || config_block_row(scope->block)->driver != id)
		return false;
	bool is_alias;
	return node->kind != CONFIG_KIND_BLOCK || !chain_has(scope, node, &is_alias);
}

static void apply_node(struct config_scope *scope, const struct config_node *node)
{
	for (const struct config_assignment *a = node->first; a; a = a->next) {
		const struct config_value **value = &scope->values[a->id];
		if (is_foreign_driver(scope, node, a->id))
			continue;
		if (config_type_is_list(config_row(a->id)->type) && *value && !a->value->is_whole)
			*value = config_value_merge(&scope->view->arena, *value, a->value);
		else
			*value = a->value;
	}
}

static void apply_nodes(struct config_scope *scope)
{
	struct config_view *view = scope->view;
	size_t total = view_node_count(view), count = 0;
	struct candidate *candidates = mem_new_array(total, sizeof(*candidates));
	for (size_t i = 0; i < total; i++) {
		const struct config_node *node = view_node(view, i);
		if (node->first && node_is_active(view, node) && applies(scope, node))
			candidates[count++] = candidate_of(node, i);
	}
	qsort(candidates, count, sizeof(*candidates), candidate_cmp);
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
	struct config_value *value = ARENA_NEW(&scope->view->arena, struct config_value);
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

static struct config_scope *scope_make(struct config_view *view, const struct config_scope *parent,
	enum config_block block, struct str name)
{
	struct config_scope *scope = ARENA_NEW(&view->arena, struct config_scope);
	scope->magic = SCOPE_MAGIC;
	scope->view = view;
	scope->parent = parent;
	scope->block = block;
	scope->alias = BLOCK_COUNT;
	scope->name = str_dup(&view->arena, name);
	scope->children = ARENA_NEW(&view->arena, struct scope_children);
	apply_nodes(scope);
	default_driver(scope);
	scope->alias = driver_alias(scope);
	if (scope->alias != BLOCK_COUNT) {
		/* Once more, with the driver's defaults among the candidates. */
		memset(scope->values, 0, sizeof(scope->values));
		apply_nodes(scope);
		default_driver(scope);
	}
	follow_defaults(scope);
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

static void place_understand(const struct config_place *in, struct place *out)
{
	*out = (struct place){ .has_local = false };
	if (!in)
		return;
	out->protocol = in->protocol;
	out->local_name = in->local_name;
	out->has_local = config_network_parse(in->local_ip, &out->local);
	out->has_remote = config_network_parse(in->remote_ip, &out->remote);
}

const struct config_scope *config_scope(struct config *cfg, const struct config_place *where)
{
	CHECK(cfg, CONFIG_MAGIC);
	struct place place;
	AUTO_ARENA(arena, 0);
	place_understand(where, &place);
	size_t count = cfg->tree.count;
	bool *matches = match_nodes(&arena, &cfg->tree, &place);
	for (struct config_view *view = cfg->views; view; view = view->next) {
		if (memcmp(view->matches, matches, count * sizeof(bool)) == 0)
			return view->root;
	}
	struct config_view *view = view_new(cfg);
	view->matches = arena_alloc_array(&view->arena, count + 1, sizeof(bool));
	memcpy(view->matches, matches, count * sizeof(bool));
	view->next = cfg->views;
	cfg->views = view;
	view->root = scope_make(view, NULL, BLOCK_COUNT, STR_NONE);
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
	struct config_problems problems = { .count = 0 };
	struct config_view *view = view_new(base->view->cfg);
	view->matches = base->view->matches;
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
	view->root = scope_make(view, NULL, BLOCK_COUNT, STR_NONE);
	*out = view->root;
	return ERR_NONE;
}

void config_scope_free(struct config_scope *scope)
{
	if (!scope)
		return;
	CHECK(scope, SCOPE_MAGIC);
	ASSERT(scope == scope->view->root && !scope->view->next);
	view_free(scope->view);
}

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
	for (size_t i = 0; i < view_node_count(scope->view); i++) {
		const struct config_node *node = view_node(scope->view, i);
		if (node->kind == CONFIG_KIND_BLOCK && node->block == block && node->parent &&
			is_in_filter(node) == in_filters && node_is_active(scope->view, node) &&
			is_inside(scope, node->parent) && !is_listed(nodes, *count, node->name))
			nodes[(*count)++] = node;
	}
}

static void find_blocks(const struct config_scope *scope, enum config_block block)
{
	struct scope_children *children = scope->children;
	struct config_view *view = scope->view;
	const struct config_node **nodes = mem_new_array(view_node_count(view), sizeof(*nodes));
	size_t count = 0;
	bool filters_first = block == BLOCK_passdb || block == BLOCK_userdb;
	collect_names(scope, block, filters_first, nodes, &count);
	collect_names(scope, block, !filters_first, nodes, &count);
	children->scopes[block] =
		ARENA_NEW_ARRAY(&view->arena, const struct config_scope *, count + 1);
	for (size_t i = 0; i < count; i++)
		children->scopes[block][i] = scope_make(view, scope, block, nodes[i]->name);
	children->count[block] = count;
	mem_free(nodes);
}

size_t config_block_count(const struct config_scope *scope, enum config_block block)
{
	CHECK(scope, SCOPE_MAGIC);
	ASSERT(block < BLOCK_COUNT);
	if (!scope->children->scopes[block])
		find_blocks(scope, block);
	return scope->children->count[block];
}

const struct config_scope *config_block_at(
	const struct config_scope *scope, enum config_block block, size_t i)
{
	ASSERT(i < config_block_count(scope, block));
	return scope->children->scopes[block][i];
}

const struct config_scope *config_block_get(
	const struct config_scope *scope, enum config_block block, struct str name)
{
	size_t count = config_block_count(scope, block);
	for (size_t i = 0; i < count; i++) {
		const struct config_scope *child = scope->children->scopes[block][i];
		if (str_eq(child->name, name))
			return child;
	}
	if (config_block_row(block)->has_name)
		return NULL;
	/* An unnamed block that nobody wrote is a place all the same. */
	scope->children->scopes[block][0] = scope_make(scope->view, scope, block, STR_NONE);
	scope->children->count[block] = 1;
	return scope->children->scopes[block][0];
}

struct str config_scope_name(const struct config_scope *scope)
{
	CHECK(scope, SCOPE_MAGIC);
	return scope->name;
}
