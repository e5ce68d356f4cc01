/* SPDX-License-Identifier: Apache-2.0 */
/* config/parse.c - statements: which kind a line is, settings, includes. Spec: sheet core §1.3-1.10.
 *
 * Levels of nesting are kept on an explicit stack. A block that could not be understood is recorded once
 * and its contents are skipped, so that one mistake gives one problem. */
#include "config/parse_private.h"

struct config_origin config_origin_at(const struct parser *ps, size_t offset)
{
	return (struct config_origin){ ps->lines.file, ps->line.line,
		ps->line.column ? ps->line.column + (unsigned)offset : 0 };
}

static struct config_origin origin_of(const struct parser *ps, struct str part)
{
	const char *start = ps->line.text.p;
	bool is_inside = part.p >= start && part.p <= start + ps->line.text.n;
	return config_origin_at(ps, is_inside ? (size_t)(part.p - start) : 0);
}

struct level *config_innermost(struct parser *ps)
{
	return &ps->levels[ps->depth];
}

void config_open_level(struct parser *ps, struct level level)
{
	level.opened = config_origin_at(ps, 0);
	if (ps->depth + 1 == LEVEL_MAX) {
		if (!config_innermost(ps)->is_skipped)
			config_error(ps->ld, &level.opened, "Blocks are nested too deeply");
		ps->excess_depth++;
		return;
	}
	level.is_skipped |= config_innermost(ps)->is_skipped;
	ps->levels[++ps->depth] = level;
}

static void close_level(struct parser *ps)
{
	struct config_origin at = config_origin_at(ps, 0);
	if (ps->excess_depth)
		ps->excess_depth--;
	else if (ps->depth == 0)
		config_error(ps->ld, &at, "Unexpected '}'");
	else
		ps->depth--;
}

/* ---- words ---- */

bool config_cut_name(struct parser *ps, struct str *rest, struct str *out)
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

struct str config_skip_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		(void)str_take(&s, 1);
	return s;
}

/* ---- settings ---- */

bool config_in_address_filter(const struct config_node *node)
{
	for (; node; node = node->parent) {
		if (node->kind == CONFIG_KIND_LOCAL || node->kind == CONFIG_KIND_REMOTE)
			return true;
	}
	return false;
}

bool config_may_stand_here(struct config_loader *ld, const struct config_node *node,
	enum config_setting id, const struct config_origin *at)
{
	const struct config_row *row = config_row(id);
	if ((row->flags & CONFIG_FLAG_AUTH) && config_in_address_filter(node)) {
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

/* A key that is no setting: the list form of a block, or a mistake. */
static void other_key(struct config_loader *ld, struct config_node *node, struct str key,
	struct str text, const struct config_origin *key_at, const struct config_origin *at)
{
	enum config_block block = config_resolve_block(node, key);
	if (block != BLOCK_COUNT && config_block_row(block)->has_name) {
		config_tell_rename(ld, node, key, true, key_at);
		config_list_blocks(ld, node, block, text, true, at);
		return;
	}
	if (block != BLOCK_COUNT) {
		config_error(ld, key_at, "%.*s: Setting is a named filter, use '%.*s {'", STRF(key),
			STRF(key));
		return;
	}
	bool is_warning = ld->args && ld->args->skips_unknown;
	config_problem(ld, key_at, is_warning, config_unknown_hint(ld->op->arena, node, key),
		"Unknown setting: %.*s", STRF(key));
}

static bool is_inside(const struct config_node *node, const struct config_node *outer)
{
	while (node && node != outer)
		node = node->parent;
	return node != NULL;
}

/* A setting that an earlier filter has set already stays as it is in there. */
static void warn_of_earlier_filter(struct config_loader *ld, const struct config_node *node,
	enum config_setting id, const struct config_origin *at)
{
	for (size_t i = node->index + 1; i < ld->tree->count; i++) {
		const struct config_node *inner = ld->tree->nodes[i];
		if (inner->layer != CONFIG_LAYER_FILE || !is_inside(inner, node))
			continue;
		const struct config_assignment *a = config_node_get(inner, id);
		if (!a || (config_type_is_list(config_row(id)->type) && !a->value->is_whole))
			continue;
		config_warning(ld, at,
			"Global setting %.*s won't change the setting inside an earlier filter at "
			"%.*s line %u",
			STRF(config_row(id)->name), STRF(inner->origin.file), inner->origin.line);
		return;
	}
}

void config_assign(struct config_loader *ld, struct config_node *node, struct str key,
	struct str text, const struct config_origin *key_at, const struct config_origin *at)
{
	bool in_parent;
	enum config_setting id = config_resolve_setting(node, key, &in_parent);
	if (id == SET_COUNT) {
		other_key(ld, node, key, text, key_at, at);
		return;
	}
	config_tell_rename(ld, node, key, false, key_at);
	if (in_parent)
		node = node->parent;
	if (!config_may_stand_here(ld, node, id, key_at))
		return;
	if (ld->layer == CONFIG_LAYER_FILE)
		warn_of_earlier_filter(ld, node, id, key_at);
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
	if ((config_row(id)->flags & CONFIG_FLAG_ABSENT) && ld->layer >= CONFIG_LAYER_FILE)
		config_note_absent(ld, key_at, config_row(id)->name);
}

static void list_item(struct parser *ps, struct str key, struct str text)
{
	struct level *level = config_innermost(ps);
	struct config_origin at = origin_of(ps, text);
	config_take_item(ps->ld, level->node, level->list_id, (struct config_item){ key, text },
		&at, level->list);
}

static void setting_statement(struct parser *ps, struct str key, struct str text)
{
	struct level *level = config_innermost(ps);
	struct config_origin key_at = config_origin_at(ps, 0), at = origin_of(ps, text);
	struct str marker = text;
	struct str body = text;
	bool is_heredoc = str_skip(&marker, STR("<<")) && marker.n;
	marker = str_trim(marker);
	if (is_heredoc) {
		if (!config_heredoc(&ps->lines, marker, ps->ld->tree->arena, &body)) {
			config_error(ps->ld, &at, "Missing end of text: no line '%.*s' follows",
				STRF(marker));
			return;
		}
	}
	if (level->is_skipped)
		return;
	if (level->list && is_heredoc) {
		config_error(ps->ld, &at, "Only text can be written over several lines");
		return;
	}
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

void config_skip_block(struct parser *ps)
{
	config_open_level(
		ps, (struct level){ .node = config_innermost(ps)->node, .is_skipped = true });
}

/* ---- statements ---- */

static void block_statement(struct parser *ps, struct str key, struct str rest)
{
	struct str name = STR_NONE;
	struct config_origin at = origin_of(ps, rest);
	if (str_eq(key, STR("group")) && str_ends(rest, STR("{"))) {
		config_group_definition(ps, str_trim(str_slice(rest, 0, rest.n - 1)));
		return;
	}
	bool is_valid = rest.n == 0 || rest.p[0] == '{' || config_cut_name(ps, &rest, &name);
	rest = config_skip_blanks(rest);
	bool opens = str_skip(&rest, STR("{"));
	if (is_valid && !opens)
		config_problem(ps->ld, &at, false, STR("a setting is written 'key = value'"),
			"Expecting '=' or '{' after %.*s", STRF(key));
	else if (is_valid && rest.n) {
		at = origin_of(ps, config_skip_blanks(rest));
		config_problem(
			ps->ld, &at, false, STR("one statement per line"), "Garbage after '{'");
		/* `a { b = c }` is a whole block; anything else opens one. */
		is_valid = false;
		opens = !str_ends(rest, STR("}"));
	}
	if (!opens)
		return;
	if (!is_valid || config_innermost(ps)->is_skipped) {
		config_skip_block(ps);
	} else if (config_innermost(ps)->list) {
		config_error(ps->ld, &at, "A list can't hold blocks");
		config_skip_block(ps);
	} else {
		config_open(ps, key, name);
	}
}

static void include_statement(struct parser *ps, struct str path, bool is_optional)
{
	struct level *level = config_innermost(ps);
	struct config_origin at = config_origin_at(ps, 0);
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
		config_group_use(ps, rest);
	} else if (config_cut_name(ps, &rest, &key)) {
		struct config_origin at = config_origin_at(ps, 0);
		rest = config_skip_blanks(rest);
		if (key.n == 0)
			config_error(ps->ld, &at, "Expecting a name");
		else if (str_skip(&rest, STR("=")))
			setting_statement(ps, key, config_skip_blanks(rest));
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
		struct config_origin *opened = &config_innermost(ps)->opened;
		config_error(ld, opened, "Missing '}' (section started at %.*s:%u)",
			STRF(opened->file), opened->line);
	}
}
