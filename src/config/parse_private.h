/* SPDX-License-Identifier: Apache-2.0 */
/* config/parse_private.h - what the parts of the parser share: parse.c (statements), text.c (values),
 * override.c (paths), names.c (keys). */
#pragma once

#include "config/config_private.h"

#define LEVEL_MAX 16

/* One open block. */
struct level {
	struct config_node *node;
	enum config_setting list_id; /* with list */
	struct config_value *list;   /* the members of this list follow; NULL: statements follow */
	bool is_skipped;             /* it was refused: its contents are not looked at */
	struct config_origin opened;
};

struct parser {
	struct config_loader *ld;
	struct config_lines lines;
	struct config_line line;
	struct level levels[LEVEL_MAX]; /* [0] is where the text begins */
	unsigned depth;
	unsigned excess_depth; /* blocks beyond LEVEL_MAX that are open */
};

/* names.c: what a name that does not exist may have meant; empty if nobody knows. */
struct str config_unknown_hint(
	struct arena *arena, const struct config_node *node, struct str name);

/* text.c */
/* Removes the quotes and escapes of `quoted`, which has the same quote at both ends. */
bool config_unquote(struct config_loader *ld, struct str quoted, const struct config_origin *at,
	struct str *out);
/* The written text of a setting into *value: quotes, <file, $ENV:, $SET:, then the type. */
bool config_take_text(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct str text, const struct config_origin *at, struct config_value *value);
/* The same for one member of a list. */
bool config_take_item_text(struct config_loader *ld, struct config_node *node, struct str text,
	const struct config_origin *at, struct config_value *value);
bool config_version_check(struct config_loader *ld, const struct config_assignment *old,
	const struct config_value *value);
void config_require_version_first(
	struct config_loader *ld, struct str key, const struct config_origin *at);

/* parse.c */
void config_assign(struct config_loader *ld, struct config_node *node, struct str key,
	struct str text, const struct config_origin *key_at, const struct config_origin *at);
void config_use_group(struct config_loader *ld, struct config_node *node, struct str label,
	struct str value, const struct config_origin *at);
