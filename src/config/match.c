/* SPDX-License-Identifier: Apache-2.0 */
/* config/match.c - which nodes apply to a place, and which of them is stronger.
 *
 * A node applies to a scope if its connection filters match and its blocks are a subsequence of the
 * scope's chain of blocks. In the chain, a block whose driver is D is followed by the unnamed block
 * <block>_D if there is one: its settings are the defaults of the driver.
 * Spec: sheet core §1.4, §1.10. */
#include "config/scope_private.h"

/* ---- matching ---- */

/* "*.example.com" matches one or more labels. */
static bool name_matches(struct str pattern, struct str name)
{
	if (str_skip(&pattern, STR("*")))
		return name.n > pattern.n &&
		       str_eq_ci(str_slice(name, name.n - pattern.n, name.n), pattern);
	return str_eq_ci(pattern, name);
}

/* A host name stands for several addresses, or for none. */
static bool is_in(const struct config_node *node, const struct config_network *address)
{
	for (size_t i = 0; i < node->network_count; i++) {
		if (config_network_has(&node->networks[i], address->bytes))
			return true;
	}
	return false;
}

static bool filter_matches(const struct config_node *node, const struct config_standpoint *place)
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
		return place->has_local && is_in(node, &place->local);
	case CONFIG_KIND_REMOTE:
		return place->has_remote && is_in(node, &place->remote);
	}
	UNREACHABLE();
}

bool *config_match_nodes(
	struct arena *arena, const struct config_tree *tree, const struct config_standpoint *place)
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

bool config_node_is_active(const struct config_view *view, const struct config_node *node)
{
	return node->layer == CONFIG_LAYER_USER || view->matches[node->index];
}

/* The next unnamed block that follows `scope`'s block because of its driver; BLOCK_COUNT if none. */
bool config_chain_has(
	const struct config_scope *scope, const struct config_node *node, bool *is_alias)
{
	*is_alias = scope->alias != BLOCK_COUNT && node->block == scope->alias;
	return *is_alias || (node->block == scope->block && str_eq(node->name, scope->name));
}

/* Are the blocks from `node` outwards a subsequence of the chain from `scope` outwards? */
bool config_node_applies(const struct config_scope *scope, const struct config_node *node)
{
	bool may_be_alias = true; /* in the chain, the alias comes after its block */
	while (node && node->kind == CONFIG_KIND_BLOCK) {
		bool is_alias;
		if (!scope->parent)
			return false;
		if (!config_chain_has(scope, node, &is_alias) || (is_alias && !may_be_alias)) {
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
bool config_node_is_inside(const struct config_scope *scope, const struct config_node *node)
{
	bool is_alias;
	if (!scope->parent)
		return node->kind != CONFIG_KIND_BLOCK;
	return node->kind == CONFIG_KIND_BLOCK && config_chain_has(scope, node, &is_alias) &&
	       config_node_applies(scope, node);
}

/* ---- strength ---- */

int config_candidate_cmp(const void *a_, const void *b_)
{
	const struct config_candidate *a = a_, *b = b_;
	if (a->node->layer != b->node->layer)
		return a->node->layer < b->node->layer ? -1 : 1;
	if (a->named_count != b->named_count)
		return a->named_count < b->named_count ? -1 : 1;
	if (a->unnamed_count != b->unnamed_count)
		return a->unnamed_count < b->unnamed_count ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

struct config_candidate config_candidate_of(const struct config_node *node, size_t order)
{
	struct config_candidate c = { .node = node, .order = order };
	for (; node && node->kind == CONFIG_KIND_BLOCK; node = node->parent) {
		if (config_block_row(node->block)->has_name)
			c.named_count++;
		else
			c.unnamed_count++;
	}
	return c;
}

const struct config_node *config_view_node(const struct config_view *view, size_t i)
{
	const struct config_tree *tree = &view->cfg->tree;
	return i < tree->count ? tree->nodes[i] : view->user_tree.nodes[i - tree->count];
}

size_t config_view_node_count(const struct config_view *view)
{
	return view->cfg->tree.count + view->user_tree.count;
}

void config_standpoint_make(const struct config_place *in, struct config_standpoint *out)
{
	*out = (struct config_standpoint){ .has_local = false };
	if (!in)
		return;
	out->protocol = in->protocol;
	out->local_name = in->local_name;
	out->has_local = config_network_parse(in->local_ip, &out->local);
	out->has_remote = config_network_parse(in->remote_ip, &out->remote);
}
