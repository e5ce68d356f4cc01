/* SPDX-License-Identifier: Apache-2.0 */
/* config/problems.c - collecting what is wrong, so that all of it is told in one run. */
#include "config/config_private.h"

void config_problem(struct config_loader *ld, const struct config_origin *at, bool is_warning,
	struct str hint, const char *fmt, ...)
{
	struct config_problems *all = ld->problems;
	if (!is_warning)
		all->error_count++;
	if (all->count == CONFIG_PROBLEMS_MAX) {
		all->dropped_count++;
		return;
	}
	struct arena *arena = ld->op->arena;
	if (!all->items)
		all->items = ARENA_NEW_ARRAY(arena, struct config_problem, CONFIG_PROBLEMS_MAX);
	struct config_problem *problem = &all->items[all->count++];
	if (at) {
		problem->file = str_dup(arena, at->file);
		problem->line = at->line;
		problem->column = at->column;
	}
	problem->is_warning = is_warning;
	problem->hint = str_dup(arena, hint);
	va_list args;
	va_start(args, fmt);
	problem->text = str_vprintf(arena, fmt, args);
	va_end(args);
}

void config_note_absent(struct config_loader *ld, const struct config_origin *at, struct str name)
{
	struct config_problems *all = ld->problems;
	struct arena *arena = ld->op->arena;
	if (all->note_count == CONFIG_PROBLEMS_MAX)
		return;
	if (!all->notes)
		all->notes = ARENA_NEW_ARRAY(arena, struct config_problem, CONFIG_PROBLEMS_MAX);
	all->notes[all->note_count++] = (struct config_problem){ .file = str_dup(arena, at->file),
		.line = at->line,
		.column = at->column,
		.text = str_printf(
			arena, "%.*s is accepted, but its feature is not there", STRF(name)) };
}

static void print_place(const struct config_problem *problem, struct buf *out)
{
	if (!problem->file.n)
		return;
	buf_put(out, problem->file);
	if (problem->line)
		buf_putf(out, ":%u", problem->line);
	if (problem->column)
		buf_putf(out, ":%u", problem->column);
	buf_put(out, STR(": "));
}

void config_problem_print(const struct config_problem *problem, struct buf *out)
{
	print_place(problem, out);
	buf_put(out, problem->is_warning ? STR("Warning: ") : STR("Error: "));
	buf_put(out, problem->text);
	if (problem->hint.n)
		buf_putf(out, " (%.*s)", STRF(problem->hint));
}

void config_problem_text(const struct config_problem *problem, struct buf *out)
{
	print_place(problem, out);
	buf_put(out, problem->text);
	if (problem->hint.n)
		buf_putf(out, " (%.*s)", STRF(problem->hint));
}

void config_problems_print(const struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->count; i++) {
		config_problem_print(&problems->items[i], out);
		buf_put_byte(out, '\n');
	}
	if (problems->dropped_count)
		buf_putf(out, "%zu more problems are not shown\n", problems->dropped_count);
}

void config_notes_print(const struct config_problems *problems, struct buf *out)
{
	for (size_t i = 0; i < problems->note_count; i++) {
		print_place(&problems->notes[i], out);
		buf_putf(out, "Debug: %.*s\n", STRF(problems->notes[i].text));
	}
}
