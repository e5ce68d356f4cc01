/* SPDX-License-Identifier: Apache-2.0 */
/* From a query with %{variables} to a statement with parameters: see sql_template().
 *
 * The text is cut into pieces: what is copied, literals ('...', with '' for a quote) and variables
 * outside of them. Quotes inside of %{...} are the variable's own. */
#include "config/expand.h"
#include "sql/sql.h"

#define PARAMS_MAX 64

struct template
{
	struct op *op;
	const struct config_vars *vars;
	struct buf text;
	struct str *params;
	size_t param_count;
};

/* Length of the "%{...}" at the front; 0: it does not end. */
static size_t variable_length(struct str s)
{
	char quote = 0;
	for (size_t i = 2; i < s.n; i++) {
		if (quote) {
			if (s.p[i] == '\\')
				i++;
			else if (s.p[i] == quote)
				quote = 0;
		} else if (s.p[i] == '\'' || s.p[i] == '"') {
			quote = s.p[i];
		} else if (s.p[i] == '}') {
			return i + 1;
		}
	}
	return 0;
}

static bool is_variable(struct str s)
{
	return str_starts(s, STR("%{"));
}

static enum err add_param(struct template *t, struct str piece)
{
	struct str value;
	if (t->param_count == PARAMS_MAX)
		return op_fail(t->op, ERR_INVALID, "more than %d values in a query", PARAMS_MAX);
	TRY(config_expand(t->op, piece, t->vars, &value));
	t->params[t->param_count++] = value;
	buf_put_byte(&t->text, '?');
	return ERR_NONE;
}

/* A literal: copied if it is plain, else its content, unquoted, is a parameter. */
static enum err add_literal(struct template *t, struct str *rest)
{
	AUTO_BUF(content, 0);
	bool has_variables = false;
	size_t i = 1;
	for (; i < rest->n; i++) {
		struct str here = str_slice(*rest, i, rest->n);
		size_t n = is_variable(here) ? variable_length(here) : 0;
		if (n > 0) {
			has_variables = true;
			buf_put(&content, str_slice(here, 0, n));
			i += n - 1;
			continue;
		}
		if (here.p[0] == '\'') {
			if (here.n < 2 || here.p[1] != '\'')
				break;
			i++;
		}
		buf_put_byte(&content, here.p[0]);
	}
	if (i >= rest->n)
		return op_fail(t->op, ERR_INVALID, "a literal of the query does not end");
	struct str whole = str_take(rest, i + 1);
	if (has_variables)
		return add_param(t, buf_dup(t->op->arena, &content));
	buf_put(&t->text, whole);
	return ERR_NONE;
}

/* "%{... | safe}" */
static bool is_safe(struct str piece)
{
	struct str inner = str_trim(str_slice(piece, 2, piece.n - 1));
	if (!str_ends(inner, STR("safe")))
		return false;
	return str_ends(str_trim(str_slice(inner, 0, inner.n - 4)), STR("|"));
}

static enum err add_variable(struct template *t, struct str *rest)
{
	struct str value;
	size_t n = variable_length(*rest);
	if (n == 0)
		return op_fail(t->op, ERR_INVALID, "a variable of the query does not end");
	struct str piece = str_take(rest, n);
	if (!is_safe(piece))
		return add_param(t, piece);
	TRY(config_expand(t->op, piece, t->vars, &value));
	buf_put(&t->text, value);
	return ERR_NONE;
}

static enum err run(struct template *t, struct str rest)
{
	while (rest.n > 0) {
		if (rest.p[0] == '\'')
			TRY(add_literal(t, &rest));
		else if (is_variable(rest))
			TRY(add_variable(t, &rest));
		else
			buf_put(&t->text, str_take(&rest, 1));
	}
	return ERR_NONE;
}

enum err sql_template(struct op *op, struct str template, const struct config_vars *vars,
	struct sql_statement *out)
{
	struct template t = {
		.op = op,
		.vars = vars,
		.params = ARENA_NEW_ARRAY(op->arena, struct str, PARAMS_MAX),
	};
	enum err e = run(&t, template);
	if (e == ERR_NONE)
		*out = (struct sql_statement){ buf_dup(op->arena, &t.text), t.params,
			t.param_count };
	buf_done(&t.text);
	return e;
}
