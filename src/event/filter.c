/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a filter to a program in reverse Polish order, and running it. A parenthesis is a frame
 * on a stack of our own: nothing here recurses. Spec: sheet core §9.3. */
#include "event/filter_private.h"

#include <arpa/inet.h>

#include "base/number.h"

struct frame {
	int16_t joined_by; /* FILTER_AND, FILTER_OR: how the next term joins; 0: it is the first */
	bool is_negated;   /* the term that comes */
};
struct compiler {
	struct op *op;
	struct str all, rest;
	struct event_filter *filter;
	struct frame frames[FILTER_NESTING_MAX];
	size_t depth; /* of the frame in use */
};

static enum err wrong(struct compiler *c, const char *why)
{
	return op_fail(
		c->op, ERR_INVALID, "event filter, at byte %zu: %s", c->all.n - c->rest.n + 1, why);
}

static void emit(struct compiler *c, int16_t code)
{
	c->filter->program[c->filter->program_count++] = code;
}

static void skip_blanks(struct compiler *c)
{
	while (c->rest.n > 0 && ascii_is_space(c->rest.p[0]))
		(void)str_take(&c->rest, 1);
}

static bool is_key_byte(char b)
{
	return ascii_is_alpha(b) || ascii_is_digit(b) || b == '_' || b == '-' || b == ':' ||
	       b == '.';
}

static bool is_token_byte(char b)
{
	return is_key_byte(b) || b == '*' || b == '?' || b == '/' || b == '%' || b == '@';
}

static struct str cut_while(struct compiler *c, bool (*is_in)(char))
{
	size_t n = 0;
	while (n < c->rest.n && is_in(c->rest.p[n]))
		n++;
	return str_take(&c->rest, n);
}

/* Takes AND, OR or NOT when it stands there as a word. */
static bool skip_word(struct compiler *c, struct str word)
{
	struct str rest = c->rest;
	if (!str_skip_ci(&rest, word) || (rest.n > 0 && is_token_byte(rest.p[0])))
		return false;
	if (rest.n > 0 && memchr("=<>", rest.p[0], 3))
		return false; /* a field of that name */
	c->rest = rest;
	return true;
}

/* ---- values ---- */

static const struct unit {
	const char *name;
	int64_t factor;
} units[] = {
	{ "b", 1 },
	{ "kb", 1 << 10 },
	{ "mb", 1 << 20 },
	{ "gb", 1 << 30 },
	{ "tb", INT64_C(1) << 40 },
	{ "us", 1 },
	{ "usecs", 1 },
	{ "microseconds", 1 },
	{ "ms", US_PER_MS },
	{ "msecs", US_PER_MS },
	{ "milliseconds", US_PER_MS },
	{ "s", US_PER_SEC },
	{ "sec", US_PER_SEC },
	{ "secs", US_PER_SEC },
	{ "second", US_PER_SEC },
	{ "seconds", US_PER_SEC },
	{ "min", 60 * US_PER_SEC },
	{ "mins", 60 * US_PER_SEC },
	{ "minute", 60 * US_PER_SEC },
	{ "minutes", 60 * US_PER_SEC },
	{ "hour", 3600 * US_PER_SEC },
	{ "hours", 3600 * US_PER_SEC },
	{ "day", 86400 * US_PER_SEC },
	{ "days", 86400 * US_PER_SEC },
	{ "week", 604800 * US_PER_SEC },
	{ "weeks", 604800 * US_PER_SEC },
};

/* "20", "20MB", "5 minutes". */
static bool parse_number(struct str text, int64_t *out)
{
	uint64_t n;
	int64_t factor = 1;
	bool is_negative = str_skip(&text, STR("-"));
	if (!number_cut_u64(&text, &n) || n > INT64_MAX)
		return false;
	text = str_trim(text);
	if (text.n > 0) {
		size_t i = 0;
		while (i < ARRAY_COUNT(units) && !str_eq_ci(text, str_from(units[i].name)))
			i++;
		if (i == ARRAY_COUNT(units))
			return false;
		factor = units[i].factor;
	}
	int64_t value = (int64_t)n;
	if (__builtin_mul_overflow(is_negative ? -value : value, factor, out))
		return false;
	return true;
}

static bool parse_network(struct str text, struct filter_leaf *leaf)
{
	char ip[INET6_ADDRSTRLEN];
	struct str address = text;
	uint32_t bits = 0;
	bool has_bits = str_cut(&text, '/', &address);
	if (address.n == 0 || address.n >= sizeof(ip) ||
		(has_bits && !number_parse_u32(text, &bits)))
		return false;
	memcpy(ip, address.p, address.n);
	ip[address.n] = '\0';
	leaf->family = str_find_byte(address, ':') >= 0 ? AF_INET6 : AF_INET;
	unsigned most = leaf->family == AF_INET6 ? 128 : 32;
	leaf->prefix_bits = has_bits ? bits : most;
	return leaf->prefix_bits <= most && inet_pton(leaf->family, ip, leaf->network) == 1;
}

/* Behind the opening quote. */
static enum err cut_quoted(struct compiler *c, struct buf *pattern, struct buf *plain)
{
	while (c->rest.n > 0) {
		char b = str_take(&c->rest, 1).p[0];
		if (b == '"')
			return ERR_NONE;
		bool is_escaped = b == '\\' && c->rest.n > 0;
		if (is_escaped)
			b = str_take(&c->rest, 1).p[0];
		if (b == FILTER_ANY_RUN || b == FILTER_ANY_BYTE)
			return wrong(c, "control characters in a value");
		buf_put_byte(plain, b);
		if (!is_escaped && b == '*')
			b = FILTER_ANY_RUN;
		else if (!is_escaped && b == '?')
			b = FILTER_ANY_BYTE;
		buf_put_byte(pattern, b);
	}
	return wrong(c, "a quote is not closed");
}

static enum err cut_value(struct compiler *c, struct filter_leaf *leaf)
{
	AUTO_BUF(pattern, 0);
	AUTO_BUF(plain, 0);
	skip_blanks(c);
	if (str_skip(&c->rest, STR("\""))) {
		TRY(cut_quoted(c, &pattern, &plain));
	} else {
		struct str token = cut_while(c, is_token_byte);
		if (token.n == 0)
			return wrong(c, "a value is missing");
		buf_put(&plain, token);
		buf_put(&pattern, token);
		for (size_t i = 0; i < pattern.n; i++)
			pattern.p[i] = token.p[i] == '*'   ? FILTER_ANY_RUN
				       : token.p[i] == '?' ? FILTER_ANY_BYTE
							   : token.p[i];
	}
	leaf->pattern = buf_dup(&c->filter->arena, &pattern);
	leaf->has_number = parse_number(buf_str(&plain), &leaf->number);
	leaf->has_network = parse_network(buf_str(&plain), leaf);
	return ERR_NONE;
}

static bool cut_operator(struct compiler *c, enum filter_op *out)
{
	static const struct {
		struct str text;
		enum filter_op op;
	} operators[] = {
		{ STR("<="), FILTER_AT_MOST },
		{ STR(">="), FILTER_AT_LEAST },
		{ STR("="), FILTER_EQUAL },
		{ STR("<"), FILTER_LESS },
		{ STR(">"), FILTER_MORE },
	};
	for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
		if (!str_skip(&c->rest, operators[i].text))
			continue;
		*out = operators[i].op;
		return true;
	}
	return false;
}

/* ---- terms ---- */

static enum err cut_comparison(struct compiler *c)
{
	struct event_filter *f = c->filter;
	if (f->leaf_count == FILTER_LEAVES_MAX)
		return wrong(c, "too many comparisons");
	struct filter_leaf leaf = { .key = FILTER_FIELD };
	struct str key = cut_while(c, is_key_byte);
	if (key.n == 0)
		return wrong(c, "the name of a field, NOT or ( is expected");
	if (str_eq(key, STR("event")))
		leaf.key = FILTER_EVENT;
	else if (str_eq(key, STR("category")))
		leaf.key = FILTER_CATEGORY;
	else if (str_eq(key, STR("source_location")))
		leaf.key = FILTER_SOURCE;
	leaf.field = str_dup_z(&f->arena, key);
	skip_blanks(c);
	if (!cut_operator(c, &leaf.op))
		return wrong(c, "one of = < > <= >= is expected");
	if (leaf.key != FILTER_FIELD && leaf.op != FILTER_EQUAL)
		return wrong(c, "names, categories and places can only be compared by =");
	TRY(cut_value(c, &leaf));
	if (leaf.op != FILTER_EQUAL && !leaf.has_number)
		return wrong(c, "only numbers can be compared by < and >");
	emit(c, (int16_t)f->leaf_count);
	f->leaves[f->leaf_count++] = leaf;
	return ERR_NONE;
}

/* A term is complete: it joins those before it. */
static void end_term(struct compiler *c)
{
	struct frame *frame = &c->frames[c->depth];
	if (frame->is_negated)
		emit(c, FILTER_NOT);
	if (frame->joined_by)
		emit(c, frame->joined_by);
	*frame = (struct frame){ .joined_by = 0 };
}

/* NOT, opening parentheses, a comparison. */
static enum err cut_term(struct compiler *c)
{
	for (;;) {
		skip_blanks(c);
		struct frame *frame = &c->frames[c->depth];
		if (!frame->is_negated && skip_word(c, STR("NOT"))) {
			frame->is_negated = true;
		} else if (str_skip(&c->rest, STR("("))) {
			if (c->depth + 1 == FILTER_NESTING_MAX)
				return wrong(c, "parentheses are nested too deeply");
			c->frames[++c->depth] = (struct frame){ .joined_by = 0 };
		} else {
			TRY(cut_comparison(c));
			end_term(c);
			return ERR_NONE;
		}
	}
}

static enum err compile(struct compiler *c)
{
	for (;;) {
		TRY(cut_term(c));
		skip_blanks(c);
		while (c->depth > 0 && str_skip(&c->rest, STR(")"))) {
			c->depth--;
			end_term(c);
			skip_blanks(c);
		}
		if (c->rest.n == 0)
			return c->depth == 0 ? ERR_NONE : wrong(c, "a parenthesis is not closed");
		if (skip_word(c, STR("AND")))
			c->frames[c->depth].joined_by = FILTER_AND;
		else if (skip_word(c, STR("OR")))
			c->frames[c->depth].joined_by = FILTER_OR;
		else
			return wrong(c, "AND, OR or the end is expected");
	}
}

enum err event_filter_compile(struct op *op, struct str text, struct event_filter **out)
{
	if (str_trim(text).n == 0) {
		*out = NULL;
		return ERR_NONE;
	}
	if (text.n > FILTER_TEXT_MAX)
		return op_fail(
			op, ERR_INVALID, "an event filter of more than %d bytes", FILTER_TEXT_MAX);
	struct event_filter *f = MEM_NEW(struct event_filter);
	arena_init(&f->arena, 0);
	f->leaves = ARENA_NEW_ARRAY(&f->arena, struct filter_leaf, FILTER_LEAVES_MAX);
	/* Each comparison and each group may be negated, and is joined once. */
	f->program = ARENA_NEW_ARRAY(&f->arena, int16_t, FILTER_TEXT_MAX);
	struct compiler c = { .op = op, .all = text, .rest = text, .filter = f };
	enum err e = compile(&c);
	if (e != ERR_NONE) {
		event_filter_free(f);
		return e;
	}
	ASSERT(f->program_count <= FILTER_TEXT_MAX);
	*out = f;
	return ERR_NONE;
}

void event_filter_free(struct event_filter *f)
{
	if (!f)
		return;
	arena_done(&f->arena);
	mem_free(f);
}

bool event_filter_matches(const struct event_filter *f, const struct event_facts *facts)
{
	bool stack[FILTER_NESTING_MAX + 2];
	size_t n = 0;
	if (!f)
		return false;
	for (size_t i = 0; i < f->program_count; i++) {
		int code = f->program[i];
		if (code >= 0) {
			ASSERT(n < ARRAY_COUNT(stack));
			stack[n++] = filter_leaf_matches(&f->leaves[code], facts);
		} else if (code == FILTER_NOT) {
			stack[n - 1] = !stack[n - 1];
		} else {
			n--;
			stack[n - 1] = code == FILTER_AND ? stack[n - 1] && stack[n]
							  : stack[n - 1] || stack[n];
		}
	}
	ASSERT(n == 1);
	return stack[0];
}
