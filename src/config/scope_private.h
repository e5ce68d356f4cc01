/* SPDX-License-Identifier: Apache-2.0 */
/* config/scope_private.h - a resolved place: scope.c makes them, lookup.c reads them. */
#pragma once

#include "config/config_private.h"

#define SCOPE_MAGIC 0x73636f70u

struct scope_children {                                  /* filled when they are asked for */
	const struct config_scope **scopes[BLOCK_COUNT]; /* NULL: not yet asked */
	size_t count[BLOCK_COUNT];
};

struct config_scope {
	uint32_t magic;
	struct config_view *view;          /* borrowed: owns this scope */
	const struct config_scope *parent; /* NULL: the outermost */
	enum config_block block;           /* BLOCK_COUNT in the outermost */
	enum config_block alias;           /* the unnamed block of its driver, or BLOCK_COUNT */
	struct str name;
	struct scope_children *children;
	const struct config_value *values[SET_COUNT]; /* all set */
};

struct config_view {
	struct config_view *next;     /* in the config's list; private views are in none */
	struct config *cfg;           /* borrowed */
	struct arena arena;           /* owned: all scopes and merged lists */
	bool *matches;                /* by node of the config's tree: its filters match */
	struct config_tree user_tree; /* empty in shared views */
	struct config_scope *root;
};
