/* SPDX-License-Identifier: Apache-2.0 */
/* config/parse_private.h - what the parts of the parser share: parse.c (statements), blocks.c (blocks and
 * filters), groups.c, text.c (values), override.c (paths), names.c (keys). */
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

/* Warns when `key` is the older name of what it means in `node`. */
void config_tell_rename(struct config_loader *ld, const struct config_node *node, struct str key,
	bool is_block, const struct config_origin *at);

/* text.c */
/* Removes the quotes and escapes of `quoted`, which has the same quote at both ends. */
bool config_unquote(struct config_loader *ld, struct str quoted, const struct config_origin *at,
	struct str *out);
/* The written text of a setting into *value: quotes, <file, $ENV:, $SET:, then the type. */
bool config_take_text(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct str text, const struct config_origin *at, struct config_value *value);
/* The same for one member of a list: adds it. */
void config_take_item(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct config_item item, const struct config_origin *at, struct config_value *list);
bool config_version_check(struct config_loader *ld, const struct config_assignment *old,
	const struct config_value *value);
void config_require_version_first(
	struct config_loader *ld, struct str key, const struct config_origin *at);

/* parse.c */
struct config_origin config_origin_at(const struct parser *ps, size_t offset);
struct level *config_innermost(struct parser *ps);
void config_open_level(struct parser *ps, struct level level);
void config_skip_block(struct parser *ps);
struct str config_skip_blanks(struct str s);
/* A key or name at the front of *rest: quoted, or up to a blank, '=' or '{'. */
bool config_cut_name(struct parser *ps, struct str *rest, struct str *out);
bool config_in_address_filter(const struct config_node *node);
bool config_may_stand_here(struct config_loader *ld, const struct config_node *node,
	enum config_setting id, const struct config_origin *at);
void config_assign(struct config_loader *ld, struct config_node *node, struct str key,
	struct str text, const struct config_origin *key_at, const struct config_origin *at);

/* blocks.c */
/* The block or filter that opens with `key name {`. */
void config_open(struct parser *ps, struct str key, struct str name);
/* `namespace = a b`; is_whole: the names replace what was listed. */
void config_list_blocks(struct config_loader *ld, struct config_node *node, enum config_block block,
	struct str names, bool is_whole, const struct config_origin *at);

/* groups.c */
/* `group @label value {` */
void config_group_definition(struct parser *ps, struct str rest);
/* `@label = value` */
void config_group_use(struct parser *ps, struct str rest);
void config_use_group(struct config_loader *ld, struct config_node *node, struct str label,
	struct str value, const struct config_origin *at);
