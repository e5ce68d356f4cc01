/* SPDX-License-Identifier: Apache-2.0 */
/* config/parse.c - statements: settings, blocks, filters, includes, groups. Spec: sheet core §1.3-1.10.
 *
 * Levels of nesting are kept on an explicit stack. A block that could not be understood is recorded once
 * and its contents are skipped, so that one mistake gives one problem. */
#include "config/parse_private.h"

static struct config_origin origin_at(const struct parser *ps, size_t offset)
{
	return (struct config_origin){ ps->lines.file, ps->line.line,
		ps->line.column ? ps->line.column + (unsigned)offset : 0 };
}

static struct config_origin origin_of(const struct parser *ps, struct str part)
{
	const char *start = ps->line.text.p;
	bool is_inside = part.p >= start && part.p <= start + ps->line.text.n;
	return origin_at(ps, is_inside ? (size_t)(part.p - start) : 0);
}

static struct level *innermost(struct parser *ps)
{
	return &ps->levels[ps->depth];
}

static void open_level(struct parser *ps, struct level level)
{
	level.opened = origin_at(ps, 0);
	if (ps->depth + 1 == LEVEL_MAX) {
		if (!innermost(ps)->is_skipped)
			config_error(ps->ld, &level.opened, "Blocks are nested too deeply");
		ps->excess_depth++;
		return;
	}
	level.is_skipped |= innermost(ps)->is_skipped;
	ps->levels[++ps->depth] = level;
}

static void close_level(struct parser *ps)
{
	struct config_origin at = origin_at(ps, 0);
	if (ps->excess_depth)
		ps->excess_depth--;
	else if (ps->depth == 0)
		config_error(ps->ld, &at, "Unexpected '}'");
	else
		ps->depth--;
}

/* ---- words ---- */

/* A key or name at the front of *rest: quoted, or up to a blank, '=' or '{'. */
static bool cut_name(struct parser *ps, struct str *rest, struct str *out)
{
	struct config_origin at = origin_of(ps, *rest);
	if (rest->n == 0 || rest->p[0] != '"') {
		size_t n = 0;
		while (n < rest->n && !ascii_is_space(rest->p[n]) && rest->p[n] != '=' &&
			rest->p[n] != '{')
			n++;
		*out = str_take(rest, n);
		return true;
	}
	size_t end = 1;
	while (end < rest->n && rest->p[end] != '"')
		end += rest->p[end] == '\\' ? 2 : 1;
	if (end >= rest->n) {
		config_error(ps->ld, &at, "Missing ending '\"'");
		return false;
	}
	struct str quoted = str_take(rest, end + 1);
	return config_unquote(ps->ld, quoted, &at, out);
}

static struct str skip_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		(void)str_take(&s, 1);
	return s;
}

/* ---- settings ---- */

static bool in_address_filter(const struct config_node *node)
{
	for (; node; node = node->parent) {
		if (node->kind == CONFIG_KIND_LOCAL || node->kind == CONFIG_KIND_REMOTE)
			return true;
	}
	return false;
}

static bool may_stand_here(struct config_loader *ld, const struct config_node *node,
	enum config_setting id, const struct config_origin *at)
{
	const struct config_row *row = config_row(id);
	if ((row->flags & CONFIG_FLAG_AUTH) && in_address_filter(node)) {
		config_error(
			ld, at, "%.*s can't be set inside local or remote blocks", STRF(row->name));
		return false;
	}
	if ((row->flags & CONFIG_FLAG_NOGROUP) && ld->layer == CONFIG_LAYER_GROUP) {
		config_error(ld, at, "%.*s can't be set in groups", STRF(row->name));
		return false;
	}
	return true;
}

static void unknown_setting(struct config_loader *ld, const struct config_node *node,
	struct str key, const struct config_origin *at)
{
	enum config_block block = config_resolve_block(node, key);
	if (block != BLOCK_COUNT) {
		bool has_name = config_block_row(block)->has_name;
		config_error(ld, at, "%.*s: Setting is a named %sfilter, use '%.*s %s{'", STRF(key),
			has_name ? "list " : "", STRF(key), has_name ? "value " : "");
		return;
	}
	bool is_warning = ld->args && ld->args->skips_unknown;
	config_problem(ld, at, is_warning, config_unknown_hint(ld->op->arena, node, key),
		"Unknown setting: %.*s", STRF(key));
}

void config_assign(struct config_loader *ld, struct config_node *node, struct str key,
	struct str text, const struct config_origin *key_at, const struct config_origin *at)
{
	bool in_parent;
	enum config_setting id = config_resolve_setting(node, key, &in_parent);
	if (id == SET_COUNT) {
		unknown_setting(ld, node, key, key_at);
		return;
	}
	if (in_parent)
		node = node->parent;
	if (!may_stand_here(ld, node, id, key_at))
		return;
	struct config_assignment *old = config_node_get(node, id);
	if (old && ld->layer == CONFIG_LAYER_FILE && !config_type_is_list(config_row(id)->type) &&
		str_eq(old->value->origin.file, at->file) && id != SET_dovecot_config_version)
		config_warning(ld, key_at, "%.*s was already set in line %u: the last value counts",
			STRF(key), old->value->origin.line);
	struct config_value *value = ARENA_NEW(ld->tree->arena, struct config_value);
	value->origin = *at;
	value->same_as = SET_COUNT;
	if (!config_take_text(ld, node, id, text, at, value))
		return;
	if (id == SET_dovecot_config_version && !config_version_check(ld, old, value))
		return;
	config_node_set(ld->tree, node, id, value);
}

static void list_item(struct parser *ps, struct str key, struct str text)
{
	struct level *level = innermost(ps);
	struct config_origin at = origin_of(ps, text);
	struct config_value plain = { .origin = at };
	if (config_take_item_text(ps->ld, level->node, text, &at, &plain))
		config_value_add_item(ps->ld, level->list_id,
			(struct config_item){ key, plain.text }, &at, level->list);
}

static void setting_statement(struct parser *ps, struct str key, struct str text)
{
	struct level *level = innermost(ps);
	struct config_origin key_at = origin_at(ps, 0), at = origin_of(ps, text);
	struct str marker = text;
	struct str body = text;
	bool is_heredoc = str_skip(&marker, STR("<<")) && marker.n;
	if (is_heredoc) {
		if (!config_heredoc(&ps->lines, marker, ps->ld->tree->arena, &body)) {
			config_error(ps->ld, &at, "Missing end of text: no line '%.*s' follows",
				STRF(marker));
			return;
		}
	}
	if (level->is_skipped)
		return;
	if (level->list) {
		list_item(ps, key, text);
		return;
	}
	config_require_version_first(ps->ld, key, &key_at);
	ps->ld->is_literal = is_heredoc;
	config_assign(ps->ld, level->node, key, body, &key_at, &at);
	ps->ld->is_literal = false;
}

/* ---- blocks ---- */

static void skip_block(struct parser *ps)
{
	open_level(ps, (struct level){ .node = innermost(ps)->node, .is_skipped = true });
}

static void open_list(struct parser *ps, enum config_setting id, bool in_parent)
{
	struct config_loader *ld = ps->ld;
	struct config_node *node = innermost(ps)->node;
	struct config_origin at = origin_at(ps, 0);
	if (in_parent)
		node = node->parent;
	if (!may_stand_here(ld, node, id, &at)) {
		skip_block(ps);
		return;
	}
	struct config_assignment *a = config_node_get(node, id);
	struct config_value *value = a ? a->value : NULL;
	if (!value) {
		value = ARENA_NEW(ld->tree->arena, struct config_value);
		value->origin = at;
		value->same_as = SET_COUNT;
		config_node_set(ld->tree, node, id, value);
	}
	open_level(ps, (struct level){ .node = node, .list_id = id, .list = value });
}

static bool block_may_stand_here(struct parser *ps, enum config_block block, struct str key,
	struct str name, const struct config_origin *at)
{
	const struct config_block_row *row = config_block_row(block);
	const struct config_node *node = innermost(ps)->node;
	enum config_block around = node->kind == CONFIG_KIND_BLOCK ? node->block : BLOCK_COUNT;
	if (row->inside != BLOCK_COUNT && row->inside != around)
		config_error(ps->ld, at, "%.*s must be inside a %.*s block", STRF(key),
			STRF(config_block_row(row->inside)->name));
	else if (row->has_name && name.n == 0)
		config_error(ps->ld, at, "%.*s: Setting is a named list filter, use '%.*s value {'",
			STRF(key), STRF(key));
	else if (!row->has_name && name.n)
		config_error(ps->ld, at, "%.*s: Setting is a named filter, use '%.*s {'", STRF(key),
			STRF(key));
	else if (str_starts(name, STR("__")) || str_find(name, STR("$SET:")) >= 0)
		config_error(ps->ld, at, "%.*s: Invalid name: %.*s", STRF(key), STRF(name));
	else if ((block == BLOCK_passdb || block == BLOCK_userdb) && in_address_filter(node))
		config_error(
			ps->ld, at, "%.*s can't stand inside local or remote blocks", STRF(key));
	else
		return true;
	return false;
}

static void open_block(struct parser *ps, struct str key, struct str name)
{
	struct config_loader *ld = ps->ld;
	struct config_node *node = innermost(ps)->node;
	struct config_origin at = origin_at(ps, 0);
	bool in_parent;
	enum config_setting id = config_resolve_setting(node, key, &in_parent);
	enum config_block block = config_resolve_block(node, key);
	if (block == BLOCK_COUNT && id != SET_COUNT && name.n == 0 &&
		config_type_is_list(config_row(id)->type)) {
		open_list(ps, id, in_parent);
		return;
	}
	if (block == BLOCK_COUNT) {
		if (id != SET_COUNT)
			config_error(
				ld, &at, "Setting %.*s cannot be used as a section", STRF(key));
		else
			config_problem(ld, &at, ld->args && ld->args->skips_unknown,
				config_unknown_hint(ld->op->arena, node, key),
				"Unknown section name: %.*s", STRF(key));
		skip_block(ps);
		return;
	}
	if (!block_may_stand_here(ps, block, key, name, &at)) {
		skip_block(ps);
		return;
	}
	struct config_node_key node_key = { CONFIG_KIND_BLOCK, block, false, name };
	bool is_new;
	struct config_node *child = config_tree_child(ld->tree, node, &node_key, &is_new);
	if (is_new)
		child->origin = at;
	open_level(ps, (struct level){ .node = child });
}

/* ---- connection filters ---- */

static const struct {
	struct str name;
	enum config_kind kind;
} filters[] = {
	{ { "local", 5 }, CONFIG_KIND_LOCAL },
	{ { "local_name", 10 }, CONFIG_KIND_LOCAL_NAME },
	{ { "remote", 6 }, CONFIG_KIND_REMOTE },
	{ { "protocol", 8 }, CONFIG_KIND_PROTOCOL },
};

static enum config_kind filter_kind(struct str key)
{
	for (size_t i = 0; i < ARRAY_COUNT(filters); i++) {
		if (str_eq(filters[i].name, key))
			return filters[i].kind;
	}
	return CONFIG_KIND_ROOT;
}

/* Nested address filters must narrow the outer one. */
static bool is_within_outer(
	const struct config_node *node, enum config_kind kind, const struct config_network *network)
{
	for (; node; node = node->parent) {
		if (node->kind == kind &&
			(network->bits < node->network.bits ||
				!config_network_has(&node->network, network->bytes)))
			return false;
	}
	return true;
}

static bool filter_is_valid(
	struct parser *ps, enum config_kind kind, struct str name, struct config_network *network)
{
	const struct config_node *node = innermost(ps)->node;
	struct config_origin at = origin_at(ps, 0);
	bool is_address = kind == CONFIG_KIND_LOCAL || kind == CONFIG_KIND_REMOTE;
	if (name.n == 0)
		config_error(ps->ld, &at, "Expecting a value before '{'");
	else if (node->kind == CONFIG_KIND_BLOCK)
		config_error(ps->ld, &at, "Connection filters can't stand inside other blocks");
	else if (node->kind > kind || (node->kind == kind && !is_address))
		config_problem(ps->ld, &at, false,
			STR("nest them as local, local_name, remote, protocol"),
			"Filters are nested in the wrong order");
	else if (is_address && !config_network_parse(name, network))
		config_problem(ps->ld, &at, false,
			STR("write an address or a network like 10.0.0.0/8"),
			"Invalid network: %.*s", STRF(name));
	else if (is_address && !is_within_outer(node, kind, network))
		config_error(
			ps->ld, &at, "%.*s isn't inside the outer filter's network", STRF(name));
	else
		return true;
	return false;
}

static void open_filter(struct parser *ps, enum config_kind kind, struct str name)
{
	struct config_loader *ld = ps->ld;
	struct config_network network = { .bits = 0 };
	struct config_node_key key = { .kind = kind, .block = BLOCK_COUNT };
	if (!filter_is_valid(ps, kind, name, &network)) {
		skip_block(ps);
		return;
	}
	if (kind == CONFIG_KIND_PROTOCOL)
		key.is_negated = str_skip(&name, STR("!"));
	key.name = kind == CONFIG_KIND_LOCAL_NAME ? str_lower(ld->op->arena, name) : name;
	bool is_new;
	struct config_node *child = config_tree_child(ld->tree, innermost(ps)->node, &key, &is_new);
	child->network = network;
	if (is_new)
		child->origin = origin_at(ps, 0);
	open_level(ps, (struct level){ .node = child });
}

/* ---- groups ---- */

/* `group @label value {`: the body is kept as text and parsed where it is used. */
static void group_definition(struct parser *ps, struct str rest)
{
	struct config_loader *ld = ps->ld;
	struct config_origin at = origin_at(ps, 0);
	struct str label, value;
	bool is_valid = str_skip(&rest, STR("@")) && str_cut_word(&rest, &label) &&
			str_cut_word(&rest, &value) && skip_blanks(rest).n == 0;
	if (!is_valid)
		config_error(ld, &at, "Expecting group name: group @label value {");
	else if (ps->depth > 0 || ld->layer == CONFIG_LAYER_GROUP)
		config_error(ld, &at, "Groups can only be defined at the top level");
	struct config_lines body = ps->lines;
	struct config_line line;
	for (unsigned depth = 1; depth > 0;) {
		struct str before = ps->lines.rest;
		if (!config_line_next(ld, &ps->lines, &line)) {
			config_error(ld, &at, "Missing '}'");
			return;
		}
		if (str_eq(line.text, STR("}")))
			depth--;
		else if (str_ends(line.text, STR("{")))
			depth++;
		body.rest.n = (size_t)(before.p - body.rest.p);
	}
	if (!is_valid || ps->depth > 0 || ld->layer == CONFIG_LAYER_GROUP)
		return;
	struct config_group_text *group = ARENA_NEW(ld->tree->arena, struct config_group_text);
	*group = (struct config_group_text){ ld->groups, label, value, body };
	ld->groups = group;
}

void config_use_group(struct config_loader *ld, struct config_node *node, struct str label,
	struct str value, const struct config_origin *at)
{
	struct config_group_use **link = &node->group_uses;
	while (*link && !str_eq((*link)->label, label))
		link = &(*link)->next;
	struct config_group_use *use = *link;
	if (!use) {
		use = *link = ARENA_NEW(ld->tree->arena, struct config_group_use);
		use->label = str_dup(ld->tree->arena, label);
	}
	use->value = str_dup(ld->tree->arena, value);
	use->origin = *at;
}

static void group_use(struct parser *ps, struct str rest)
{
	struct config_origin at = origin_at(ps, 0);
	struct str label, value;
	if (innermost(ps)->is_skipped)
		return;
	bool is_valid = cut_name(ps, &rest, &label) && label.n;
	rest = skip_blanks(rest);
	is_valid = is_valid && str_skip(&rest, STR("="));
	rest = skip_blanks(rest);
	is_valid = is_valid && str_cut_word(&rest, &value) && skip_blanks(rest).n == 0;
	if (!is_valid)
		config_error(ps->ld, &at, "Expecting '@label = value'");
	else if (ps->ld->layer == CONFIG_LAYER_GROUP)
		config_error(ps->ld, &at, "Groups may not include groups");
	else if (innermost(ps)->list)
		config_error(ps->ld, &at, "Groups can't be used inside lists");
	else
		config_use_group(ps->ld, innermost(ps)->node, label, value, &at);
}

/* ---- statements ---- */

static void block_statement(struct parser *ps, struct str key, struct str rest)
{
	struct str name = STR_NONE;
	struct config_origin at = origin_of(ps, rest);
	if (str_eq(key, STR("group")) && str_ends(rest, STR("{"))) {
		group_definition(ps, str_trim(str_slice(rest, 0, rest.n - 1)));
		return;
	}
	bool is_valid = rest.n == 0 || rest.p[0] == '{' || cut_name(ps, &rest, &name);
	rest = skip_blanks(rest);
	bool opens = str_skip(&rest, STR("{"));
	if (is_valid && !opens)
		config_problem(ps->ld, &at, false, STR("a setting is written 'key = value'"),
			"Expecting '=' or '{' after %.*s", STRF(key));
	else if (is_valid && rest.n) {
		at = origin_of(ps, skip_blanks(rest));
		config_problem(
			ps->ld, &at, false, STR("one statement per line"), "Garbage after '{'");
		/* `a { b = c }` is a whole block; anything else opens one. */
		is_valid = false;
		opens = !str_ends(rest, STR("}"));
	}
	if (!opens)
		return;
	if (!is_valid || innermost(ps)->is_skipped) {
		skip_block(ps);
	} else if (innermost(ps)->list) {
		config_error(ps->ld, &at, "A list can't hold blocks");
		skip_block(ps);
	} else if (filter_kind(key) != CONFIG_KIND_ROOT) {
		open_filter(ps, filter_kind(key), name);
	} else {
		open_block(ps, key, name);
	}
}

static void include_statement(struct parser *ps, struct str path, bool is_optional)
{
	struct level *level = innermost(ps);
	struct config_origin at = origin_at(ps, 0);
	if (level->is_skipped)
		return;
	if (level->list)
		config_error(ps->ld, &at, "Files can't be included inside lists");
	else if (ps->ld->layer == CONFIG_LAYER_GROUP)
		config_error(ps->ld, &at, "Files can't be included in groups");
	else
		config_include(ps->ld, str_trim(path), level->node, &at, is_optional);
}

static void statement(struct parser *ps)
{
	struct str rest = ps->line.text, key;
	if (str_eq(rest, STR("}"))) {
		close_level(ps);
	} else if (str_skip(&rest, STR("!include_try "))) {
		include_statement(ps, rest, true);
	} else if (str_skip(&rest, STR("!include "))) {
		include_statement(ps, rest, false);
	} else if (str_skip(&rest, STR("@"))) {
		group_use(ps, rest);
	} else if (cut_name(ps, &rest, &key)) {
		struct config_origin at = origin_at(ps, 0);
		rest = skip_blanks(rest);
		if (key.n == 0)
			config_error(ps->ld, &at, "Expecting a name");
		else if (str_skip(&rest, STR("=")))
			setting_statement(ps, key, skip_blanks(rest));
		else
			block_statement(ps, key, rest);
	}
}

void config_parse(struct config_loader *ld, struct config_lines lines, struct config_node *node)
{
	struct parser *ps = ARENA_NEW(ld->op->arena, struct parser);
	ps->ld = ld;
	ps->lines = lines;
	ps->levels[0].node = node;
	while (config_line_next(ld, &ps->lines, &ps->line))
		statement(ps);
	for (; ps->depth > 0; ps->depth--) {
		struct config_origin *opened = &innermost(ps)->opened;
		config_error(ld, opened, "Missing '}' (section started at %.*s:%u)",
			STRF(opened->file), opened->line);
	}
}
