/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.c - loading as a whole, and the life of a configuration. */
#include "config/config_private.h"

struct config *config_new(void)
{
	struct config *cfg = MEM_NEW(struct config);
	cfg->magic = CONFIG_MAGIC;
	cfg->refs = 1;
	arena_init(&cfg->arena, 0);
	config_tree_init(&cfg->tree, &cfg->arena);
	return cfg;
}

struct config *config_ref(struct config *cfg)
{
	CHECK(cfg, CONFIG_MAGIC);
	cfg->refs++;
	return cfg;
}

void config_unref(struct config *cfg)
{
	if (!cfg)
		return;
	CHECK(cfg, CONFIG_MAGIC);
	if (--cfg->refs > 0)
		return;
	config_views_free(cfg);
	arena_done(&cfg->arena);
	cfg->magic = 0;
	mem_free(cfg);
}

struct str config_main_path(const struct config *cfg)
{
	return cfg->path;
}

unsigned config_default_changes(const struct config *cfg)
{
	return config_default_change_count(cfg->version);
}

/* False: there is no main file, so that nothing else can be said. */
static bool load_files(struct config_loader *ld)
{
	const struct config_load_args *args = ld->args;
	struct config_node *root = config_tree_root(ld->tree, CONFIG_LAYER_FILE);
	struct config_lines lines = { .file = STR("(text)") };
	ld->layer = CONFIG_LAYER_FILE;
	if (args->path) {
		struct str why;
		struct config_open_file self = { NULL, str_from(args->path) };
		ld->cfg->path = str_dup(&ld->cfg->arena, self.path);
		lines.file = ld->cfg->path;
		if (!config_file_load(ld, lines.file, &lines.rest, &why)) {
			config_error(ld, NULL, "Can't read the configuration: %.*s", STRF(why));
			return false;
		}
		ld->open_files = &self;
		config_parse(ld, lines, root);
		ld->open_files = NULL;
		return true;
	}
	lines.rest = str_dup(&ld->cfg->arena, args->text);
	config_parse(ld, lines, root);
	return true;
}

static void load_overrides(struct config_loader *ld)
{
	const struct config_origin at = { .file = STR("-o") };
	ld->layer = CONFIG_LAYER_COMMAND;
	for (const char *const *o = ld->args->overrides; o && *o; o++)
		config_parse_override(ld, str_from(*o), &at);
}

static enum err tell_first_error(struct op *op, const struct config_problems *problems)
{
	size_t i = 0;
	while (i < problems->count && problems->items[i].is_warning)
		i++;
	if (i == problems->count)
		return op_fail(op, ERR_INVALID, "configuration has errors");
	AUTO_BUF(line, 0);
	config_problem_print(&problems->items[i], &line);
	size_t more = problems->error_count - 1;
	if (more == 0)
		return op_fail(op, ERR_INVALID, "%.*s", STRF(buf_str(&line)));
	return op_fail(op, ERR_INVALID, "%.*s (and %zu more)", STRF(buf_str(&line)), more);
}

enum err config_load(struct op *op, const struct config_load_args *args,
	struct config_problems *problems, struct config **out)
{
	*problems = (struct config_problems){ .count = 0 };
	struct config *cfg = config_new();
	struct config_loader ld = { .op = op,
		.args = args,
		.problems = problems,
		.cfg = cfg,
		.tree = &cfg->tree,
		.layer = CONFIG_LAYER_BUILTIN };
	config_add_defaults(&ld);
	config_parse(&ld,
		(struct config_lines){
			.rest = config_builtin_services, .file = STR("(built-in services)") },
		config_tree_root(&cfg->tree, CONFIG_LAYER_BUILTIN));
	if (load_files(&ld)) {
		load_overrides(&ld);
		cfg->version = ld.version;
		config_settle(&ld);
	}
	if (problems->error_count) {
		config_unref(cfg);
		return tell_first_error(op, problems);
	}
	*out = cfg;
	return ERR_NONE;
}
