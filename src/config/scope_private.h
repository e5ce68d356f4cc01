/* SPDX-License-Identifier: Apache-2.0 */
/* config/scope_private.h - a resolved place: scope.c and scope_blocks.c make them, lookup.c reads them. */
#pragma once

#include "config/config_private.h"

#define SCOPE_MAGIC 0x73636f70u

/* The blocks of one kind inside a scope; filled when they are asked for. */
struct scope_children {
	struct scope_children *next;
	enum config_block block;
	const struct config_scope **scopes;
	size_t count;
};

/* A value that a user has of his own. */
struct scope_difference {
	enum config_setting id;
	const struct config_value *value;
};

struct config_scope {
	uint32_t magic;
	struct config_view *view;          /* borrowed: owns this scope */
	const struct config_scope *parent; /* NULL: the outermost */
	enum config_block block;           /* BLOCK_COUNT in the outermost */
	enum config_block alias;           /* the unnamed block of its driver, or BLOCK_COUNT */
	struct str name;
	struct scope_children **children;
	/* The same place without the user's fields: his scope holds only what differs. NULL: shared itself, or
	 * a block that he alone has. */
	const struct config_scope *shared;
	/* By setting, all set; of `shared`, or of the scope around a block that he alone has. */
	const struct config_value **values;
	struct scope_difference *differences;
	size_t difference_count;
};

static inline const struct config_value *config_scope_value(
	const struct config_scope *scope, enum config_setting id)
{
	for (size_t i = 0; i < scope->difference_count; i++) {
		if (scope->differences[i].id == id)
			return scope->differences[i].value;
	}
	return scope->values[id];
}

struct config_view {
	struct config_view *next;     /* in the config's list; private views are in none */
	struct config *cfg;           /* borrowed */
	struct arena arena;           /* owned: all scopes and merged lists */
	struct arena *making;         /* borrowed: for the values of the scope that is being made */
	bool *matches;                /* by node of the config's tree: its filters match */
	struct config_tree user_tree; /* empty in shared views */
	struct config_scope *root;
	const struct config_scope *base; /* of a private view: the shared one's root */
	bool is_shared;                  /* in the config's list; else it is a user's own */
};

/* ---- scope.c ---- */

/* The scope of `block` with this name inside `parent`, resolved; it lives as long as the view. */
struct config_scope *config_scope_make(struct config_view *view, const struct config_scope *parent,
	enum config_block block, struct str name);

/* ---- match.c ---- */

/* A config_place whose addresses were understood. */
struct config_standpoint {
	struct str protocol;
	struct str local_name;
	struct config_network local;
	struct config_network remote;
	bool has_local;
	bool has_remote;
};
void config_standpoint_make(const struct config_place *in, struct config_standpoint *out);
/* By node of the tree: whether its connection filters match. */
bool *config_match_nodes(
	struct arena *arena, const struct config_tree *tree, const struct config_standpoint *place);

/* All nodes of the config, then the user's own. */
const struct config_node *config_view_node(const struct config_view *view, size_t i);
size_t config_view_node_count(const struct config_view *view);
bool config_node_is_active(const struct config_view *view, const struct config_node *node);

/* Is the node's block that of the scope, or (*is_alias) the unnamed block of its driver? */
bool config_chain_has(
	const struct config_scope *scope, const struct config_node *node, bool *is_alias);
/* Are the blocks from `node` outwards a subsequence of the chain from `scope` outwards? */
bool config_node_applies(const struct config_scope *scope, const struct config_node *node);
/* Does `node` apply, and stand directly in the scope's innermost block? Its blocks are nested there. */
bool config_node_is_inside(const struct config_scope *scope, const struct config_node *node);

/* Strength: the greatest candidate that sets a value wins. */
struct config_candidate {
	const struct config_node *node;
	unsigned named_count;
	unsigned unnamed_count;
	size_t order;
};
struct config_candidate config_candidate_of(const struct config_node *node, size_t order);
int config_candidate_cmp(const void *a, const void *b); /* for qsort() */
