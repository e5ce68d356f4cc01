/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand.c - %{pipelines}: the grammar and delayed errors. Providers are in expand_source.c, the
 * filters in expand_filters.c. Spec: sheet core §2. */
#include "config/expand_private.h"

#include "base/codec.h"
#include "base/number.h"

#define OUTPUT_BYTES_MAX (64 * 1024)
#define FILTERS_MAX      64

/* ---- words of the grammar ---- */

static void skip_blanks(struct str *s)
{
	while (s->n && ascii_is_space(s->p[0]))
		(void)str_take(s, 1);
}

static bool is_name_start(char c)
{
	return ascii_is_alpha(c) || (unsigned char)c >= 0x80;
}

static bool is_name_byte(char c)
{
	static const char others[] = "_/;:.-";
	return is_name_start(c) || ascii_is_digit(c) || memchr(others, c, sizeof(others) - 1);
}

static bool cut_name(struct str *rest, struct str *out)
{
	size_t n = 0;
	if (rest->n == 0 || !is_name_start(rest->p[0]))
		return false;
	while (n < rest->n && is_name_byte(rest->p[n]))
		n++;
	*out = str_take(rest, n);
	return true;
}

static bool hex_digit(struct str s, size_t i, unsigned *out)
{
	uint64_t v;
	if (i >= s.n || !number_parse_hex_u64(str_slice(s, i, i + 1), &v))
		return false;
	*out = (unsigned)v;
	return true;
}

/* The byte after a backslash at s.p[*i]; *i ends on the last byte used. */
static char escaped_byte(struct str s, size_t *i)
{
	unsigned high, low;
	char c = s.p[*i];
	if (c == 't')
		return '\t';
	if (c == 'r')
		return '\r';
	if (c == 'n')
		return '\n';
	if (c == 'x' && hex_digit(s, *i + 1, &high) && hex_digit(s, *i + 2, &low)) {
		*i += 2;
		return (char)(high << 4 | low);
	}
	if (c >= '0' && c <= '3' && *i + 2 < s.n && s.p[*i + 1] >= '0' && s.p[*i + 1] <= '7' &&
		s.p[*i + 2] >= '0' && s.p[*i + 2] <= '7') {
		unsigned v =
			(unsigned)((c - '0') << 6 | (s.p[*i + 1] - '0') << 3 | (s.p[*i + 2] - '0'));
		*i += 2;
		return (char)v;
	}
	return c; /* \\ \' \" and whatever else: itself */
}

static enum err cut_string(struct expansion *ex, struct str *rest, struct str *out)
{
	char quote = rest->p[0], *text = arena_alloc(ex->op->arena, rest->n);
	size_t n = 0, i = 1;
	for (; i < rest->n && rest->p[i] != quote; i++) {
		char c = rest->p[i];
		if (c == '\\' && i + 1 < rest->n) {
			i++;
			c = escaped_byte(*rest, &i);
		}
		text[n++] = c;
	}
	if (i >= rest->n)
		return op_fail(ex->op, ERR_INVALID, "Missing end of quoted text in %%{%.*s}",
			STRF(ex->pipeline));
	*rest = str_slice(*rest, i + 1, rest->n);
	*out = (struct str){ text, n };
	return ERR_NONE;
}

static bool cut_number(struct str *rest, struct str *out)
{
	size_t n = rest->n && rest->p[0] == '-' ? 1 : 0, digits = n;
	while (n < rest->n && ascii_is_digit(rest->p[n]))
		n++;
	if (n == digits)
		return false;
	*out = str_take(rest, n);
	return true;
}

/* ---- variables ---- */

static bool find_given(const struct config_vars *vars, struct str name, struct str *out)
{
	for (size_t i = 0; vars && i < vars->count; i++) {
		if (str_eq(vars->items[i].name, name)) {
			*out = vars->items[i].value;
			return true;
		}
	}
	return vars && vars->find && vars->find(vars->ctx, name, out);
}

/* The value of a name. A missing value is remembered, not reported: default() may follow. */
enum err config_expand_variable(struct expansion *ex, struct str name, struct str *out)
{
	struct str provider, key = name;
	ex->missing = STR_NONE;
	if (ex->is_check) {
		*out = STR("0");
		return ERR_NONE;
	}
	if (find_given(ex->vars, name, out)) {
		if (!out->p) {
			ex->missing = name;
			*out = STR("");
		}
		return ERR_NONE;
	}
	if (!str_cut(&key, ':', &provider))
		return op_fail(ex->op, ERR_INVALID, "Unknown variable '%.*s'", STRF(name));
	return config_expand_provider(ex, provider, key, out);
}

/* ---- arguments ---- */

static enum err cut_argument(struct expansion *ex, struct str *rest, struct expand_arg *out)
{
	struct str name, look;
	skip_blanks(rest);
	look = *rest;
	if (cut_name(&look, &name)) {
		skip_blanks(&look);
		if (look.n && look.p[0] == '=' && !str_starts(look, STR("=="))) {
			(void)str_take(&look, 1);
			skip_blanks(&look);
			out->name = name;
			*rest = look;
		}
	}
	if (rest->n && (rest->p[0] == '\'' || rest->p[0] == '"'))
		return cut_string(ex, rest, &out->value);
	if (cut_number(rest, &out->value))
		return ERR_NONE;
	if (cut_name(rest, &name)) {
		out->is_variable = true;
		out->value = name;
		return ERR_NONE;
	}
	/* An operator: if(x, ==, y, ...). */
	static const char operators[] = "=!<>~*";
	size_t n = 0;
	while (n < rest->n && memchr(operators, rest->p[n], sizeof(operators) - 1))
		n++;
	if (n == 0)
		return op_fail(
			ex->op, ERR_INVALID, "Invalid argument in %%{%.*s}", STRF(ex->pipeline));
	out->value = str_take(rest, n);
	return ERR_NONE;
}

static enum err cut_arguments(struct expansion *ex, struct str *rest, struct expand_call *call)
{
	skip_blanks(rest);
	if (!str_skip(rest, STR("(")))
		return ERR_NONE;
	for (;;) {
		skip_blanks(rest);
		if (str_skip(rest, STR(")")))
			return ERR_NONE;
		if (call->arg_count > 0 && !str_skip(rest, STR(",")))
			return op_fail(ex->op, ERR_INVALID, "Expected ',' or ')' in %%{%.*s}",
				STRF(ex->pipeline));
		if (call->arg_count == EXPAND_ARGS_MAX)
			return op_fail(ex->op, ERR_INVALID, "Too many arguments in %%{%.*s}",
				STRF(ex->pipeline));
		TRY(cut_argument(ex, rest, &call->args[call->arg_count]));
		call->arg_count++;
	}
}

/* ---- pipelines ---- */

/* One step: a filter with arguments, or an arithmetic operator and its operand. */
static enum err step(struct expansion *ex, struct str *rest, bool is_source)
{
	struct expand_call call = { .is_source = is_source };
	skip_blanks(rest);
	if (rest->n && memchr("+-*/%", rest->p[0], 5)) {
		call.args[0].value = str_take(rest, 1);
		call.name = STR("calculate");
		call.arg_count = 1;
		TRY(cut_argument(ex, rest, &call.args[1]));
		call.arg_count = 2;
	} else if (cut_name(rest, &call.name)) {
		TRY(cut_arguments(ex, rest, &call));
	} else {
		return op_fail(
			ex->op, ERR_INVALID, "Expected a filter in %%{%.*s}", STRF(ex->pipeline));
	}
	return config_expand_filter(ex, &call);
}

static enum err source(struct expansion *ex, struct str *rest)
{
	struct str look = *rest, name;
	skip_blanks(rest);
	look = *rest;
	if (!cut_name(&look, &name))
		return op_fail(
			ex->op, ERR_INVALID, "Expected a variable in %%{%.*s}", STRF(ex->pipeline));
	struct str after = look;
	skip_blanks(&after);
	if (after.n && after.p[0] == '(')
		return step(ex, rest, true);
	*rest = look;
	return config_expand_variable(ex, name, &ex->value);
}

static enum err pipeline(struct expansion *ex)
{
	struct str rest = ex->pipeline;
	ex->value = STR("");
	ex->missing = STR_NONE;
	ex->is_binary = ex->is_safe = false;
	TRY(source(ex, &rest));
	for (unsigned count = 0;; count++) {
		skip_blanks(&rest);
		if (rest.n == 0)
			break;
		if (count == FILTERS_MAX)
			return op_fail(ex->op, ERR_INVALID, "Too many filters in %%{%.*s}",
				STRF(ex->pipeline));
		bool is_arithmetic = memchr("+-*/%", rest.p[0], 5) != NULL;
		if (!is_arithmetic && !str_skip(&rest, STR("|")))
			return op_fail(ex->op, ERR_INVALID, "Expected '|' in %%{%.*s}",
				STRF(ex->pipeline));
		TRY(step(ex, &rest, false));
	}
	if (ex->missing.p)
		return op_fail(ex->op, ERR_INVALID, "No value for %%{%.*s}", STRF(ex->missing));
	if (ex->is_binary) {
		AUTO_BUF(hex, 0);
		hex_encode(&hex, ex->value);
		ex->value = buf_dup(ex->op->arena, &hex);
	}
	if (!ex->is_safe && ex->vars && ex->vars->escape)
		ex->value = ex->vars->escape(ex->vars->ctx, ex->op->arena, ex->value);
	return ERR_NONE;
}

/* Takes what stands between "%{" and its "}" (which quotes protect) off the front. */
static enum err cut_pipeline(struct op *op, struct str *rest, struct str *out)
{
	char quote = '\0';
	for (size_t i = 0; i < rest->n; i++) {
		char c = rest->p[i];
		if (quote) {
			if (c == '\\')
				i++;
			else if (c == quote)
				quote = '\0';
		} else if (c == '\'' || c == '"') {
			quote = c;
		} else if (c == '}') {
			*out = str_take(rest, i);
			(void)str_take(rest, 1);
			return ERR_NONE;
		}
	}
	return op_fail(op, ERR_INVALID, "Missing '}' after %%{%.*s", STRF(*rest));
}

static enum err expand(struct op *op, struct str template, const struct config_vars *vars,
	bool is_check, struct str *out)
{
	struct expansion ex = { .op = op, .vars = vars, .is_check = is_check };
	AUTO_BUF(result, OUTPUT_BYTES_MAX);
	while (template.n) {
		struct str literal = template;
		ssize_t at = str_find(template, STR("%{"));
		if (at >= 0)
			literal = str_slice(template, 0, (size_t)at);
		enum err e = buf_add(&result, literal);
		template = str_slice(template, literal.n, template.n);
		if (e == ERR_NONE && literal.n && literal.p[literal.n - 1] == '%' && at >= 0) {
			/* "%%{": the first % is dropped, the rest is literal. */
			buf_truncate(&result, result.n - 1);
			e = buf_add(&result, str_take(&template, 2));
		} else if (e == ERR_NONE && str_skip(&template, STR("%{"))) {
			TRY(cut_pipeline(op, &template, &ex.pipeline));
			TRY(pipeline(&ex));
			e = buf_add(&result, ex.value);
		}
		if (e != ERR_NONE)
			return op_fail(op, ERR_INVALID, "Expanded text is longer than %d bytes",
				OUTPUT_BYTES_MAX);
	}
	*out = buf_dup(op->arena, &result);
	return ERR_NONE;
}

bool config_expand_is_plain(struct str template)
{
	return str_find(template, STR("%{")) < 0;
}

enum err config_expand(
	struct op *op, struct str template, const struct config_vars *vars, struct str *out)
{
	if (!config_expand_is_plain(template))
		return expand(op, template, vars, false, out);
	*out = template;
	return ERR_NONE;
}

enum err config_expand_check(struct op *op, struct str template)
{
	struct str unused;
	if (config_expand_is_plain(template))
		return ERR_NONE;
	return expand(op, template, NULL, true, &unused);
}
