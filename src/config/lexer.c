/* SPDX-License-Identifier: Apache-2.0 */
/* config/lexer.c - physical lines to logical lines: comments removed, continuations joined.
 * Spec: sheet core §1.2, rules 1-3. */
#include "config/config_private.h"

/* Takes a physical line; the last one may lack its LF. */
static bool physical_line(struct config_lines *lines, struct str *out)
{
	if (lines->rest.n == 0)
		return false;
	if (!str_cut_line(&lines->rest, out)) {
		*out = lines->rest;
		lines->rest = str_slice(lines->rest, lines->rest.n, lines->rest.n);
	}
	if (lines->line == 0)
		(void)str_skip(out, STR("\xef\xbb\xbf")); /* a byte order mark means nothing */
	lines->line++;
	return true;
}

/* Where the comment of a line starts, or its length. Quotes protect a '#'. */
static size_t comment_start(struct str line)
{
	char quote = '\0';
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];
		if (quote) {
			if (c == '\\')
				i++;
			else if (c == quote)
				quote = '\0';
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '#') {
			return i;
		}
	}
	return line.n;
}

static struct str without_comment(
	struct config_loader *ld, struct config_lines *lines, struct str line)
{
	size_t at = comment_start(line);
	if (at == line.n)
		return str_trim_right(line);
	if (at > 0 && !ascii_is_space(line.p[at - 1])) {
		struct config_origin where = { lines->file, lines->line, (unsigned)at + 1 };
		config_problem(ld, &where, true, STR("put a blank before it, or quote the value"),
			"Ambiguous '#': it begins a comment here");
	}
	return str_trim_right(str_slice(line, 0, at));
}

bool config_line_next(struct config_loader *ld, struct config_lines *lines, struct config_line *out)
{
	struct str raw, joined = STR_NONE;
	struct arena *arena = &ld->cfg->arena;
	bool is_continued = false;
	while (physical_line(lines, &raw)) {
		struct str text = str_trim(without_comment(ld, lines, raw));
		if (text.n == 0) /* also inside a continuation: what was collected stays */
			continue;
		if (!is_continued) {
			out->line = lines->line;
			out->column = (unsigned)(text.p - raw.p) + 1;
		}
		bool goes_on = text.p[text.n - 1] == '\\';
		if (goes_on)
			text = str_trim_right(str_slice(text, 0, text.n - 1));
		joined = is_continued ? str_printf(arena, "%.*s %.*s", STRF(joined), STRF(text))
				      : text;
		is_continued = goes_on;
		if (!is_continued && joined.n) {
			out->text = joined;
			return true;
		}
	}
	out->text = joined;
	return joined.n > 0;
}

bool config_heredoc(
	struct config_lines *lines, struct str marker, struct arena *arena, struct str *out)
{
	struct str start = lines->rest, raw;
	while (physical_line(lines, &raw)) {
		if (!str_eq(raw, marker))
			continue;
		*out = str_dup(arena, str_slice(start, 0, (size_t)(raw.p - start.p)));
		return true;
	}
	return false;
}
