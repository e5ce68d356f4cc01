/* SPDX-License-Identifier: Apache-2.0 */
/* config/explain.c - why a setting has its value: everything that was written for it, the strongest first, and
 * what each one lost by. Spec: sheet core §1.10, §1.14. */
#include <stdlib.h>

#include "config/show_private.h"

struct found {
	struct config_candidate candidate;
	const struct config_value *value;
	const char *outside; /* why it does not count here at all; NULL: it does */
};

static const char *layer_name(enum config_layer layer)
{
	static const char *const names[CONFIG_LAYER_COUNT] = {
		[CONFIG_LAYER_DEFAULT] = "default",
		[CONFIG_LAYER_BUILTIN] = "service catalogue",
		[CONFIG_LAYER_GROUP] = "group",
		[CONFIG_LAYER_FILE] = "file",
		[CONFIG_LAYER_USER] = "user",
		[CONFIG_LAYER_COMMAND] = "command line",
	};
	return names[layer];
}

/* In one order with those that count: the strongest first, what is outside last. */
static int found_cmp(const void *a_, const void *b_)
{
	const struct found *a = a_, *b = b_;
	if (!a->outside != !b->outside)
		return a->outside ? 1 : -1;
	return -config_candidate_cmp(&a->candidate, &b->candidate);
}

static void put_place(struct printer *pr, const struct config_node *node)
{
	const struct config_node *chain[32];
	size_t count = 0;
	for (; node->parent && count < ARRAY_COUNT(chain); node = node->parent)
		chain[count++] = node;
	while (count > 0) {
		AUTO_BUF(line, 0);
		struct printer one = *pr;
		one.out = &line;
		show_opening(&one, chain[--count], 0);
		/* " {" and the end of the line are not wanted here. */
		buf_putf(pr->out, ", %.*s", STRF(str_slice(buf_str(&line), 0, line.n - 3)));
	}
}

static void put_origin(struct printer *pr, const struct found *found)
{
	const struct config_origin *origin = &found->value->origin;
	if (origin->file.n)
		buf_put(pr->out, origin->file);
	if (origin->line)
		buf_putf(pr->out, ":%u:%u", origin->line, origin->column);
	if (origin->file.n)
		buf_put_byte(pr->out, ' ');
	buf_putf(pr->out, "(%s", layer_name(found->candidate.node->layer));
	put_place(pr, found->candidate.node);
	buf_put(pr->out, STR(")\n"));
}

static void put_reason(struct printer *pr, const struct found *winner, const struct found *loser)
{
	const struct config_candidate *a = &winner->candidate, *b = &loser->candidate;
	if (loser->outside)
		buf_putf(pr->out, "    not here: %s\n", loser->outside);
	else if (a->node->layer != b->node->layer)
		buf_putf(pr->out, "    weaker: %s beats %s\n", layer_name(a->node->layer),
			layer_name(b->node->layer));
	else if (a->named_count != b->named_count || a->unnamed_count != b->unnamed_count)
		buf_put(pr->out, STR("    weaker: it stands in fewer blocks\n"));
	else
		buf_put(pr->out, STR("    weaker: it comes earlier\n"));
}

static size_t find_all(const struct config_scope *scope, enum config_setting id, struct found *all)
{
	size_t count = 0;
	for (size_t i = 0; i < config_view_node_count(scope->view); i++) {
		const struct config_node *node = config_view_node(scope->view, i);
		const struct config_assignment *a = config_node_get(node, id);
		bool applies = config_node_applies(scope, node);
		/* What other services have by themselves is no help. */
		if (!a || (!applies && node->layer < CONFIG_LAYER_GROUP))
			continue;
		all[count] = (struct found){ config_candidate_of(node, i), a->value, NULL };
		if (!config_node_is_active(scope->view, node))
			all[count].outside = "the connection filter doesn't match";
		else if (!applies)
			all[count].outside = "it is inside another block";
		count++;
	}
	qsort(all, count, sizeof(*all), found_cmp);
	return count;
}

static void explain(struct printer *pr, const struct config_scope *scope, struct str path,
	enum config_setting id)
{
	bool is_list = config_type_is_list(config_row(id)->type), is_merged = is_list;
	struct found *all =
		mem_new_array(config_view_node_count(scope->view), sizeof(struct found));
	size_t count = find_all(scope, id, all);
	show_setting(pr, 0, path, id, config_scope_value(scope, id));
	for (size_t i = 0; i < count; i++) {
		bool counts = !all[i].outside && (i == 0 || is_merged);
		buf_put(pr->out, counts ? STR("  * ") : STR("  - "));
		put_origin(pr, &all[i]);
		show_setting(pr, 2, config_row(id)->name, id, all[i].value);
		if (!counts)
			put_reason(pr, &all[0], &all[i]);
		is_merged = is_merged && !all[i].value->is_whole;
	}
	mem_free(all);
}

enum err config_explain(struct op *op, const struct config_scope *scope, struct str path,
	const struct config_show_args *args, struct buf *out)
{
	CHECK(scope, SCOPE_MAGIC);
	enum config_setting id;
	enum config_block block;
	struct printer pr;
	TRY(config_path_find(op, &scope, path, &id, &block));
	if (id == SET_COUNT)
		return op_fail(op, ERR_INVALID, "%.*s is not one setting", STRF(path));
	printer_init(&pr, &scope->view->cfg->tree, args, out);
	explain(&pr, scope, path, id);
	printer_done(&pr);
	return ERR_NONE;
}
