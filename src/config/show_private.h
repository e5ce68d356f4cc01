/* SPDX-License-Identifier: Apache-2.0 */
/* config/show_private.h - what the printing files share: show_value.c (one value), show.c (the tree),
 * show_scope.c (resolved places), explain.c. */
#pragma once

#include "config/parse_private.h"
#include "config/scope_private.h"
#include "config/show.h"

struct printer {
	const struct config_tree *tree;
	const struct config_show_args *args;
	struct buf *out;
	bool with_catalogue; /* resolved places: also what only the service catalogue says */
	struct arena arena;  /* owned: merged lists, expanded texts */
	struct op op;        /* for expanding; in that arena */
};

void printer_init(struct printer *pr, const struct config_tree *tree,
	const struct config_show_args *args, struct buf *out);
void printer_done(struct printer *pr);

/* show_value.c */
void show_indent(struct buf *out, unsigned depth);
/* "name = text", quoted where it would be read differently. */
void show_assignment(struct buf *out, unsigned depth, struct str name, struct str text);
/* A setting as a line, or a list as a block. */
void show_setting(struct printer *pr, unsigned depth, struct str name, enum config_setting id,
	const struct config_value *value);
/* The value alone: -h. */
void show_plain(struct printer *pr, enum config_setting id, const struct config_value *value);
/* The shortest name that means `id` inside such a node. */
struct str show_short_name(const struct config_node *node, enum config_setting id);
/* The line that opens a block or filter. */
void show_opening(struct printer *pr, const struct config_node *node, unsigned depth);
int show_compare_names(const void *a, const void *b); /* of enum config_setting, for qsort() */
/* The node whose names count inside `scope`. */
struct config_node show_naming_node(const struct config_scope *scope);

/* show_scope.c: what a path like service/imap/client_limit means. *scope becomes the block it leads into;
 * *out_id SET_COUNT: it names a block, or (then *out_block is not BLOCK_COUNT) all blocks of a kind. */
enum err config_path_find(struct op *op, const struct config_scope **scope, struct str path,
	enum config_setting *out_id, enum config_block *out_block);
