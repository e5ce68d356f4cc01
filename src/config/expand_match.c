/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_match.c - the filters that compare: regexp(), if() and switch(). */
#include "config/expand_private.h"

#include <regex.h>

#include "base/number.h"

/* ---- regular expressions ---- */

#define PATTERN_BYTES_MAX 512
#define REGEXP_GROUPS     10

/* The library writes out "{m,n}", writes what stands before "+" twice, and tries every way for "\\1": all
 * are kept small. */
#define REPEATS_MAX 1000

static bool is_affordable(struct str pattern)
{
	uint64_t product = 1, bound;
	for (size_t i = 0; i < pattern.n; i++) {
		struct str rest = str_slice(pattern, i + 1, pattern.n);
		if (pattern.p[i] == '\\' && rest.n > 0 && ascii_is_digit(rest.p[0]))
			return false;
		bool is_nested = pattern.p[i] == '+' && i > 0 && strchr(")*+?}", pattern.p[i - 1]);
		if (is_nested && (product *= 2) > REPEATS_MAX)
			return false;
		if (pattern.p[i] != '{')
			continue;
		for (bool is_more = true; is_more; is_more = str_skip(&rest, STR(","))) {
			if (number_cut_u64(&rest, &bound) && bound > 1 &&
				(mul_overflows(product, bound, &product) || product > REPEATS_MAX))
				return false;
		}
	}
	return true;
}

static enum err compile(
	struct expansion *ex, const struct expand_call *call, struct str pattern, regex_t *out)
{
	if (pattern.n > PATTERN_BYTES_MAX || str_has_nul(pattern))
		return config_expand_bad(ex, call, "pattern is too long");
	if (!is_affordable(pattern))
		return config_expand_bad(ex, call, "pattern repeats too much or refers back");
	if (regcomp(out, str_dup_z(ex->op->arena, pattern), REG_EXTENDED) != 0)
		return config_expand_bad(ex, call, "invalid regular expression");
	return ERR_NONE;
}

/* "\0" to "\9" in `replacement` are what the groups matched. */
static void put_replacement(
	struct buf *out, struct str replacement, struct str subject, const regmatch_t *groups)
{
	for (size_t i = 0; i < replacement.n; i++) {
		char c = replacement.p[i];
		bool is_group =
			c == '\\' && i + 1 < replacement.n && ascii_is_digit(replacement.p[i + 1]);
		if (!is_group) {
			buf_put_byte(out, c);
			continue;
		}
		const regmatch_t *group = &groups[replacement.p[++i] - '0'];
		if (group->rm_so >= 0)
			buf_put(out,
				str_slice(subject, (size_t)group->rm_so, (size_t)group->rm_eo));
	}
}

enum err config_expand_regexp(struct expansion *ex, struct expand_call *call)
{
	regex_t regexp;
	regmatch_t groups[REGEXP_GROUPS];
	if (str_has_nul(ex->value) || ex->value.n > EXPAND_VALUE_BYTES_MAX)
		return config_expand_bad(ex, call, "input is not text");
	TRY(compile(ex, call, call->args[0].value, &regexp));
	struct str subject = ex->value;
	if (regexec(&regexp, str_dup_z(ex->op->arena, subject), REGEXP_GROUPS, groups, 0) == 0) {
		AUTO_BUF(out, 0);
		buf_put(&out, str_slice(subject, 0, (size_t)groups[0].rm_so));
		put_replacement(&out, call->args[1].value, subject, groups);
		buf_put(&out, str_slice(subject, (size_t)groups[0].rm_eo, subject.n));
		ex->value = buf_dup(ex->op->arena, &out);
	}
	regfree(&regexp);
	return ERR_NONE;
}

/* ---- conditions ---- */

static bool order_holds(struct str oper, int order)
{
	static const struct {
		struct str number, text;
		unsigned when; /* bits: less 1, equal 2, greater 4 */
	} operators[] = {
		{ { "==", 2 }, { "eq", 2 }, 2 },
		{ { "!=", 2 }, { "ne", 2 }, 1 | 4 },
		{ { "<", 1 }, { "lt", 2 }, 1 },
		{ { "<=", 2 }, { "le", 2 }, 1 | 2 },
		{ { ">", 1 }, { "gt", 2 }, 4 },
		{ { ">=", 2 }, { "ge", 2 }, 2 | 4 },
	};
	unsigned is = order < 0 ? 1 : order == 0 ? 2 : 4;
	for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
		if (str_eq(oper, operators[i].number) || str_eq(oper, operators[i].text))
			return (operators[i].when & is) != 0;
	}
	return false;
}

static enum err compare(struct expansion *ex, const struct expand_call *call, struct str left,
	struct str oper, struct str right, bool *out)
{
	bool is_negated = oper.n > 1 && oper.p[0] == '!' && oper.p[1] != '=';
	struct str plain = is_negated ? str_slice(oper, 1, oper.n) : oper;
	if (str_eq(plain, STR("*"))) {
		*out = str_matches(left, right) != is_negated;
		return ERR_NONE;
	}
	if (str_eq(plain, STR("~"))) {
		regex_t regexp;
		if (str_has_nul(left))
			return config_expand_bad(ex, call, "input is not text");
		TRY(compile(ex, call, right, &regexp));
		*out = (regexec(&regexp, str_dup_z(ex->op->arena, left), 0, NULL, 0) == 0) !=
		       is_negated;
		regfree(&regexp);
		return ERR_NONE;
	}
	if (oper.n == 2 && ascii_is_alpha(oper.p[0])) {
		*out = order_holds(oper, str_cmp(left, right));
		return ERR_NONE;
	}
	int64_t a, b;
	if (!config_expand_signed(left, &a) || !config_expand_signed(right, &b))
		return config_expand_bad(ex, call, "a numeric comparison needs numbers");
	*out = order_holds(oper, a < b ? -1 : a > b);
	return ERR_NONE;
}

/* if(op, rhs, t, f) with input, if(lhs, op, rhs, t, f) always. */
enum err config_expand_if(struct expansion *ex, struct expand_call *call)
{
	bool holds = false, has_left = call->arg_count == 5;
	if (!has_left && call->is_source)
		return config_expand_bad(ex, call, "needs five arguments here");
	const struct expand_arg *args = call->args + (has_left ? 1 : 0);
	struct str left = has_left ? call->args[0].value : ex->value;
	TRY(compare(ex, call, left, args[0].value, args[1].value, &holds));
	ex->value = holds ? args[2].value : args[3].value;
	ex->missing = STR_NONE;
	return ERR_NONE;
}

/* switch(op, case, value, ..., default) with input; without, or with a value before op, that is compared. */
enum err config_expand_switch(struct expansion *ex, struct expand_call *call)
{
	size_t at = 0;
	struct str left = ex->value;
	if (call->is_source || !config_expand_is_operator(call->args[0].value))
		left = call->args[at++].value;
	struct str oper = call->args[at++].value;
	ex->missing = STR_NONE;
	for (; at + 1 < call->arg_count; at += 2) {
		bool holds = false;
		TRY(compare(ex, call, left, oper, call->args[at].value, &holds));
		if (holds) {
			ex->value = call->args[at + 1].value;
			return ERR_NONE;
		}
	}
	if (at < call->arg_count) {
		ex->value = call->args[at].value;
		return ERR_NONE;
	}
	ex->value = STR("");
	ex->missing = ex->pipeline; /* default() may follow */
	return ERR_NONE;
}

bool config_expand_is_operator(struct str word)
{
	struct str rest = STR("eq ne lt le gt ge == != < <= > >= * !* ~ !~"), each;
	while (str_cut_word(&rest, &each)) {
		if (str_eq(each, word))
			return true;
	}
	return false;
}
