/* SPDX-License-Identifier: Apache-2.0 */
/* config/show_scope.c - what counts in a place: single settings, blocks, or everything there (doveconf
 * NAME, doveconf -f). */
#include <stdlib.h>

#include "config/show_private.h"

static bool is_default(const struct config_value *value)
{
	return value->layer <= CONFIG_LAYER_BUILTIN;
}

/* Without -a: what files, groups and -o say; of a block that was asked for by name also the catalogue. */
static bool is_shown(
	const struct printer *pr, const struct config_scope *scope, enum config_setting id)
{
	const struct config_row *row = config_row(id);
	const struct config_value *value = config_scope_value(scope, id);
	bool is_set =
		value->layer != CONFIG_LAYER_DEFAULT && (pr->with_catalogue || !is_default(value));
	if ((row->flags & CONFIG_FLAG_HIDDEN) && !pr->args->with_hidden && is_default(value))
		return false;
	if (!scope->parent)
		return pr->args->with_defaults || is_set;
	struct str rest = row->name;
	if (str_skip(&rest, config_block_row(scope->block)->name) && str_skip(&rest, STR("_")))
		return pr->args->with_defaults || is_set;
	return is_set && value != config_scope_value(scope->parent, id);
}

static void show_settings(struct printer *pr, const struct config_scope *scope, unsigned depth)
{
	enum config_setting ids[SET_COUNT];
	struct config_node here = show_naming_node(scope);
	size_t count = 0;
	for (unsigned i = 0; i < SET_COUNT; i++) {
		if (is_shown(pr, scope, (enum config_setting)i))
			ids[count++] = (enum config_setting)i;
	}
	qsort(ids, count, sizeof(ids[0]), show_compare_names);
	for (size_t i = 0; i < count; i++)
		show_setting(pr, depth, show_short_name(&here, ids[i]), ids[i],
			config_scope_value(scope, ids[i]));
}

#define DEPTH_MAX 8

static void show_scope(struct printer *pr, const struct config_scope *scope, unsigned depth);

/* A block of the catalogue in which nothing was changed is left out. */
static void show_child(struct printer *pr, const struct config_scope *child, unsigned depth)
{
	AUTO_BUF(body, 0);
	struct printer inner = *pr;
	struct config_node opening = show_naming_node(child);
	inner.out = &body;
	show_scope(&inner, child, depth + 1);
	bool is_catalogue = child->block == BLOCK_service || child->block == BLOCK_inet_listener ||
			    child->block == BLOCK_unix_listener;
	if (body.n == 0 && is_catalogue && !pr->with_catalogue && !pr->args->with_defaults)
		return;
	show_opening(pr, &opening, depth);
	buf_put(pr->out, buf_str(&body));
	show_indent(pr->out, depth);
	buf_put(pr->out, STR("}\n"));
}

static void show_scope(struct printer *pr, const struct config_scope *scope, unsigned depth)
{
	show_settings(pr, scope, depth);
	for (unsigned i = 0; i < BLOCK_COUNT && depth < DEPTH_MAX; i++) {
		enum config_block block = (enum config_block)i;
		for (size_t k = 0; k < config_block_count(scope, block); k++)
			show_child(pr, config_block_at(scope, block, k), depth);
	}
}

void config_show_place(
	const struct config_scope *scope, const struct config_show_args *args, struct buf *out)
{
	struct printer pr;
	printer_init(&pr, &scope->view->cfg->tree, args, out);
	show_scope(&pr, scope, 0);
	printer_done(&pr);
}

/* ---- by name ---- */

static void show_block(struct printer *pr, const struct config_scope *scope)
{
	pr->with_catalogue = true;
	show_child(pr, scope, 0);
}

/* "imapc/": the block, and the settings that begin with its name. */
static void show_prefixed(struct printer *pr, const struct config_scope *scope, struct str prefix)
{
	for (unsigned i = 0; i < SET_COUNT; i++) {
		struct str rest = config_row((enum config_setting)i)->name;
		if (str_skip(&rest, prefix) && str_skip(&rest, STR("_")))
			show_setting(pr, 0, config_row((enum config_setting)i)->name,
				(enum config_setting)i, config_scope_value(scope, i));
	}
}

/* One step of a path: the block, and *out_ends when nothing follows its name. */
static enum err enter(struct op *op, const struct config_scope **scope, struct str element,
	struct str *path, bool *out_ends)
{
	struct config_node here = show_naming_node(*scope);
	enum config_block block = config_resolve_block(&here, element);
	struct str name = STR_NONE;
	*out_ends = false;
	if (block == BLOCK_COUNT)
		return op_fail(op, ERR_NOT_FOUND, "Unknown section name: %.*s", STRF(element));
	if (config_block_row(block)->has_name) {
		*out_ends = !str_cut(path, '/', &name);
		if (*out_ends)
			name = *path;
	}
	const struct config_scope *child = config_block_get(*scope, block, name);
	if (!child)
		return op_fail(
			op, ERR_NOT_FOUND, "There is no %.*s %.*s", STRF(element), STRF(name));
	*scope = child;
	return ERR_NONE;
}

enum err config_path_find(struct op *op, const struct config_scope **scope, struct str path,
	enum config_setting *out_id, enum config_block *out_block)
{
	struct str element;
	*out_id = SET_COUNT;
	*out_block = BLOCK_COUNT;
	while (str_cut(&path, '/', &element)) {
		bool ends;
		TRY(enter(op, scope, element, &path, &ends));
		if (ends)
			return ERR_NONE;
	}
	struct config_node here = show_naming_node(*scope);
	bool in_parent;
	*out_id = config_resolve_setting(&here, path, &in_parent);
	if (*out_id == SET_COUNT)
		*out_block = config_resolve_block(&here, path);
	if (path.n == 0 || *out_id != SET_COUNT || *out_block != BLOCK_COUNT)
		return ERR_NONE;
	struct str hint = config_unknown_hint(op->arena, &here, path);
	return op_fail(op, ERR_NOT_FOUND,
		hint.n ? "Unknown setting: %.*s (%.*s)" : "Unknown setting: %.*s", STRF(path),
		STRF(hint));
}

static enum err show_path(struct op *op, struct printer *pr, const struct config_scope *scope,
	struct str path, bool only_value)
{
	enum config_setting id;
	enum config_block block;
	const struct config_scope *outermost = scope;
	TRY(config_path_find(op, &scope, path, &id, &block));
	if (only_value && id == SET_COUNT)
		return op_fail(op, ERR_INVALID, "%.*s is not one setting: -h shows a single value",
			STRF(path));
	if (id != SET_COUNT && only_value) {
		show_plain(pr, id, config_scope_value(scope, id));
	} else if (id != SET_COUNT) {
		show_setting(pr, 0, path, id, config_scope_value(scope, id));
	} else if (block != BLOCK_COUNT) {
		for (size_t i = 0; i < config_block_count(scope, block); i++)
			show_block(pr, config_block_at(scope, block, i));
	} else {
		show_block(pr, scope);
		if (str_ends(path, STR("/")) && scope->parent == outermost)
			show_prefixed(pr, outermost, str_slice(path, 0, path.n - 1));
	}
	return ERR_NONE;
}

enum err config_show_one(struct op *op, const struct config_scope *scope, struct str path,
	bool only_value, const struct config_show_args *args, struct buf *out)
{
	CHECK(scope, SCOPE_MAGIC);
	struct printer pr;
	printer_init(&pr, &scope->view->cfg->tree, args, out);
	enum err e = show_path(op, &pr, scope, path, only_value);
	printer_done(&pr);
	return e;
}
