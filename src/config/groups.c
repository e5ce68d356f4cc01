/* SPDX-License-Identifier: Apache-2.0 */
/* config/groups.c - groups: their texts are kept as they are written, and parsed, into a layer that is
 * weaker than the files, at every place where they are used. Spec: sheet core §1.9. */
#include "config/parse_private.h"

static bool has_variable(struct str text)
{
	return str_find_byte(text, '$') >= 0 || str_find_byte(text, '%') >= 0;
}

static bool refuse_variable(struct config_loader *ld, const struct config_origin *at)
{
	config_error(ld, at, "Names and values of groups can't hold variables");
	return false;
}

/* `group @label value {`: the body is kept as text and parsed where it is used. */
void config_group_definition(struct parser *ps, struct str rest)
{
	struct config_loader *ld = ps->ld;
	struct config_origin at = config_origin_at(ps, 0);
	struct str label, value;
	bool is_valid = str_skip(&rest, STR("@")) && str_cut_word(&rest, &label) &&
			str_cut_word(&rest, &value) && config_skip_blanks(rest).n == 0;
	if (!is_valid)
		config_error(ld, &at, "Expecting group name: group @label value {");
	else if (has_variable(label) || has_variable(value))
		is_valid = refuse_variable(ld, &at);
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

void config_group_use(struct parser *ps, struct str rest)
{
	struct config_origin at = config_origin_at(ps, 0);
	struct str label, value;
	if (config_innermost(ps)->is_skipped)
		return;
	bool is_valid = config_cut_name(ps, &rest, &label) && label.n;
	rest = config_skip_blanks(rest);
	is_valid = is_valid && str_skip(&rest, STR("="));
	rest = config_skip_blanks(rest);
	is_valid = is_valid && str_cut_word(&rest, &value) && config_skip_blanks(rest).n == 0;
	if (!is_valid)
		config_error(ps->ld, &at, "Expecting '@label = value'");
	else if (has_variable(label) || has_variable(value))
		(void)refuse_variable(ps->ld, &at);
	else if (ps->ld->layer == CONFIG_LAYER_GROUP)
		config_error(ps->ld, &at, "Groups may not include groups");
	else if (config_innermost(ps)->list)
		config_error(ps->ld, &at, "Groups can't be used inside lists");
	else
		config_use_group(ps->ld, config_innermost(ps)->node, label, value, &at);
}

static void expand_group(
	struct config_loader *ld, struct config_node *node, const struct config_group_use *use)
{
	struct config_lines body = { .rest = STR_NONE };
	const struct config_group_text *group = ld->groups;
	while (group && !(str_eq(group->label, use->label) && str_eq(group->value, use->value)))
		group = group->next;
	if (group) {
		body = group->body;
	} else {
		body.rest = config_builtin_group(use->label, use->value, ld->version);
		body.file = str_printf(
			ld->tree->arena, "(group @%.*s %.*s)", STRF(use->label), STRF(use->value));
	}
	if (!body.rest.p) {
		struct str values = config_builtin_group_values(use->label);
		struct str hint =
			values.n ? str_printf(ld->op->arena, "use one of: %.*s", STRF(values))
				 : STR_NONE;
		config_problem(ld, &use->origin, false, hint, "Unknown group: @%.*s = %.*s",
			STRF(use->label), STRF(use->value));
		return;
	}
	struct config_node *target = config_tree_mirror(ld->tree, node, CONFIG_LAYER_GROUP);
	ld->layer = CONFIG_LAYER_GROUP;
	config_parse(ld, body, target);
}

static const struct config_group_use *find_use(const struct config_node *node, struct str label)
{
	const struct config_group_use *use = node ? node->group_uses : NULL;
	while (use && !str_eq(use->label, label))
		use = use->next;
	return use;
}

/* -o may only change a group that the files use at the same place; both ways: the use in the other layer. */
static const struct config_group_use *counterpart(struct config_loader *ld,
	struct config_node *node, struct str label, enum config_layer layer)
{
	return find_use(config_tree_mirror(ld->tree, node, layer), label);
}

void config_settle_groups(struct config_loader *ld)
{
	size_t count = ld->tree->count; /* groups use no groups: new nodes need no look */
	for (size_t i = 0; i < count; i++) {
		struct config_node *node = ld->tree->nodes[i];
		for (const struct config_group_use *use = node->group_uses; use; use = use->next) {
			bool is_file = node->layer == CONFIG_LAYER_FILE;
			const struct config_group_use *other = counterpart(ld, node, use->label,
				is_file ? CONFIG_LAYER_COMMAND : CONFIG_LAYER_FILE);
			if (is_file ? !other : other != NULL)
				expand_group(ld, node, use);
			else if (!is_file)
				config_problem(ld, &use->origin, false,
					STR("only a group that the files use there can be changed"),
					"@%.*s isn't used at this place", STRF(use->label));
		}
	}
}
