/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_filters.c - the filters of %{a | filter(x)}. Spec: sheet core §2.3.
 * Comparisons are in expand_match.c, encodings and digests in expand_codec.c, times in expand_time.c.
 * To add a filter: write it, add a row to filters[], a line to expand_test.c. A filter reads and replaces
 * ex->value; its arguments are already texts (variables among them were looked up). */
#include "config/expand_private.h"

#include "base/number.h"

#define PAD_WIDTH_MAX 256

enum err config_expand_bad(struct expansion *ex, const struct expand_call *call, const char *why)
{
	return op_fail(ex->op, ERR_INVALID, "%.*s: %s in %%{%.*s}", STRF(call->name), why,
		STRF(ex->pipeline));
}

/* ---- numbers ---- */

bool config_expand_signed(struct str text, int64_t *out)
{
	bool is_negative = str_skip(&text, STR("-"));
	uint64_t v;
	if (!number_parse_u64(text, &v) || v > INT64_MAX)
		return false;
	*out = is_negative ? -(int64_t)v : (int64_t)v;
	return true;
}

static void set_number(struct expansion *ex, int64_t v)
{
	ex->value = str_printf(ex->op->arena, "%" PRId64, v);
	ex->is_binary = false;
}

static bool calculate(char oper, int64_t a, int64_t b, int64_t *out)
{
	switch (oper) {
	case '+':
		return !add_overflows(a, b, out);
	case '-':
		return !__builtin_sub_overflow(a, b, out);
	case '*':
		return !mul_overflows(a, b, out);
	default:
		if (b == 0 || (a == INT64_MIN && b == -1))
			return false;
		*out = oper == '/' ? a / b : a % b;
		return true;
	}
}

static enum err filter_calculate(struct expansion *ex, struct expand_call *call)
{
	int64_t a, b, result;
	struct str oper = call->args[0].value;
	if (oper.n != 1 || !memchr("+-*/%", oper.p[0], 5))
		return config_expand_bad(ex, call, "unknown operator");
	if (!config_expand_signed(call->args[1].value, &b))
		return config_expand_bad(ex, call, "operand is not a number");
	if (ex->is_binary && oper.p[0] == '%') {
		/* Sharding: the last 8 bytes as a big-endian number. */
		uint64_t v = 0;
		if (b <= 0)
			return config_expand_bad(ex, call, "division by zero");
		size_t from = ex->value.n > 8 ? ex->value.n - 8 : 0;
		for (size_t i = from; i < ex->value.n; i++)
			v = v << 8 | (uint8_t)ex->value.p[i];
		set_number(ex, (int64_t)(v % (uint64_t)b));
		return ERR_NONE;
	}
	if (!config_expand_signed(ex->value, &a))
		return config_expand_bad(ex, call, "input is not a number");
	if (!calculate(oper.p[0], a, b, &result))
		return config_expand_bad(ex, call, "result does not fit");
	set_number(ex, result);
	return ERR_NONE;
}

enum err config_expand_pad(struct expansion *ex, const struct expand_call *call, int64_t width,
	char fill, bool on_left)
{
	if (width < 0 || width > PAD_WIDTH_MAX)
		return config_expand_bad(ex, call, "width must be 0 to 256");
	if (ex->value.n >= (size_t)width)
		return ERR_NONE;
	size_t missing = (size_t)width - ex->value.n;
	char *text = arena_alloc(ex->op->arena, (size_t)width);
	memset(text, fill, (size_t)width);
	if (ex->value.n)
		memcpy(text + (on_left ? missing : 0), ex->value.p, ex->value.n);
	ex->value = (struct str){ text, (size_t)width };
	return ERR_NONE;
}

static enum err filter_fill(struct expansion *ex, struct expand_call *call)
{
	int64_t width;
	char fill = call->arg_count > 1 && call->args[1].value.n ? call->args[1].value.p[0] : '0';
	if (!config_expand_signed(call->args[0].value, &width))
		return config_expand_bad(ex, call, "width is not a number");
	return config_expand_pad(ex, call, width, fill, str_eq(call->name, STR("lfill")));
}

static enum err filter_hex(struct expansion *ex, struct expand_call *call)
{
	uint64_t v;
	int64_t width = 0;
	if (!number_parse_u64(ex->value, &v))
		return config_expand_bad(ex, call, "input is not a number");
	if (call->arg_count && !config_expand_signed(call->args[0].value, &width))
		return config_expand_bad(ex, call, "width is not a number");
	if (width < -PAD_WIDTH_MAX || width > PAD_WIDTH_MAX)
		return config_expand_bad(ex, call, "width must be -256 to 256");
	ex->value = str_printf(ex->op->arena, "%" PRIx64, v);
	size_t room = (size_t)(width < 0 ? -width : width);
	if (width && ex->value.n > room)
		ex->value = str_slice(ex->value, ex->value.n - room, ex->value.n);
	return config_expand_pad(ex, call, (int64_t)room, '0', width > 0);
}

static enum err filter_unhex(struct expansion *ex, struct expand_call *call)
{
	uint64_t v;
	if (!number_parse_hex_u64(ex->value, &v) || v > INT64_MAX)
		return config_expand_bad(ex, call, "input is not a hexadecimal number");
	set_number(ex, (int64_t)v);
	return ERR_NONE;
}

/* benumber, lenumber */
static enum err filter_number(struct expansion *ex, struct expand_call *call)
{
	uint64_t v = 0;
	bool is_big = str_eq(call->name, STR("benumber"));
	if (ex->value.n > 8)
		return config_expand_bad(ex, call, "input is longer than 8 bytes");
	for (size_t i = 0; i < ex->value.n; i++)
		v = v << 8 | (uint8_t)ex->value.p[is_big ? i : ex->value.n - 1 - i];
	ex->value = str_printf(ex->op->arena, "%" PRIu64, v);
	ex->is_binary = false;
	return ERR_NONE;
}

/* ---- text ---- */

static enum err filter_lower(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	ex->value = str_lower(ex->op->arena, ex->value);
	return ERR_NONE;
}

static enum err filter_upper(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	char *text = arena_alloc(ex->op->arena, ex->value.n + 1);
	for (size_t i = 0; i < ex->value.n; i++)
		text[i] = ascii_upper(ex->value.p[i]);
	ex->value.p = text;
	return ERR_NONE;
}

static enum err filter_username(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	struct str rest = ex->value;
	(void)str_cut(&rest, '@', &ex->value);
	return ERR_NONE;
}

static enum err filter_domain(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	struct str rest = ex->value, name;
	ex->value = str_cut(&rest, '@', &name) ? rest : STR("");
	return ERR_NONE;
}

static enum err filter_default(struct expansion *ex, struct expand_call *call)
{
	if (ex->value.n == 0)
		ex->value = call->arg_count ? call->args[0].value : STR("");
	ex->missing = STR_NONE;
	return ERR_NONE;
}

static enum err filter_literal(struct expansion *ex, struct expand_call *call)
{
	ex->value = call->args[0].value;
	return ERR_NONE;
}

static enum err filter_lookup(struct expansion *ex, struct expand_call *call)
{
	struct str name = call->args[0].value;
	return config_expand_variable(ex, name, &ex->value);
}

static enum err filter_concat(struct expansion *ex, struct expand_call *call)
{
	AUTO_BUF(out, 0);
	if (!call->is_source)
		buf_put(&out, ex->value);
	for (size_t i = 0; i < call->arg_count; i++)
		buf_put(&out, call->args[i].value);
	if (out.n > EXPAND_VALUE_BYTES_MAX)
		return config_expand_bad(ex, call, "result is too long");
	ex->value = buf_dup(ex->op->arena, &out);
	return ERR_NONE;
}

static enum err filter_substr(struct expansion *ex, struct expand_call *call)
{
	int64_t from, len, n = (int64_t)ex->value.n;
	if (!config_expand_signed(call->args[0].value, &from))
		return config_expand_bad(ex, call, "offset is not a number");
	if (from < 0)
		from = from < -n ? -1 : from + n;
	if (from < 0 || from > n)
		return config_expand_bad(ex, call, "offset is out of range");
	len = n - from;
	if (call->arg_count > 1 && !config_expand_signed(call->args[1].value, &len))
		return config_expand_bad(ex, call, "length is not a number");
	if (len < 0)
		len = len < -n ? -1 : n - from + len;
	if (len < 0 || len > n - from)
		return config_expand_bad(ex, call, "length is out of range");
	ex->value = str_slice(ex->value, (size_t)from, (size_t)(from + len));
	return ERR_NONE;
}

static enum err filter_truncate(struct expansion *ex, struct expand_call *call)
{
	uint64_t count;
	if (!number_parse_u64(call->args[0].value, &count) || count > EXPAND_VALUE_BYTES_MAX * 8)
		return config_expand_bad(ex, call, "length is not a number");
	if (!str_eq_ci(call->args[0].name, STR("bits"))) {
		ex->value = str_slice(ex->value, 0, (size_t)count);
		return ERR_NONE;
	}
	if (count >= ex->value.n * 8)
		return ERR_NONE;
	size_t bytes = (size_t)(count + 7) / 8;
	struct str cut = str_slice(ex->value, 0, bytes);
	char *text = arena_alloc(ex->op->arena, bytes + 1);
	if (bytes)
		memcpy(text, cut.p, bytes);
	if (count % 8)
		text[bytes - 1] = (char)((uint8_t)text[bytes - 1] & (0xff << (8 - count % 8)));
	ex->value = (struct str){ text, bytes };
	return ERR_NONE;
}

static enum err filter_reverse(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	char *text = arena_alloc(ex->op->arena, ex->value.n + 1);
	for (size_t i = 0; i < ex->value.n; i++)
		text[i] = ex->value.p[ex->value.n - 1 - i];
	ex->value.p = text;
	return ERR_NONE;
}

/* index(sep, n): the n-th part, from the end if negative. */
static enum err filter_index(struct expansion *ex, struct expand_call *call)
{
	struct str separator = call->args[0].value, rest = ex->value, part;
	int64_t want, count = 1;
	if (separator.n != 1 || !config_expand_signed(call->args[1].value, &want))
		return config_expand_bad(ex, call, "needs a separator of one byte and a number");
	for (size_t i = 0; i < rest.n; i++)
		count += rest.p[i] == separator.p[0];
	if (want < 0)
		want += count;
	if (want < 0 || want >= count)
		return config_expand_bad(ex, call, "there are not so many parts");
	for (; want > 0; want--)
		(void)str_cut(&rest, separator.p[0], &part);
	ex->value = str_cut(&rest, separator.p[0], &part) ? part : rest;
	return ERR_NONE;
}

static enum err filter_ldap_dn(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	AUTO_BUF(out, 0);
	for (size_t i = 0; i < ex->value.n; i++) {
		if (ex->value.p[i] == '.')
			buf_put(&out, STR(",dc="));
		else
			buf_put_byte(&out, ex->value.p[i]);
	}
	ex->value = buf_dup(ex->op->arena, &out);
	return ERR_NONE;
}

/* A field with several values is one text: values between tabs, in which \001 escapes. */
static char untabbed(char c)
{
	switch (c) {
	case '0':
		return '\0';
	case '1':
		return '\001';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return c;
	}
}

static enum err filter_list(struct expansion *ex, struct expand_call *call)
{
	struct str separator = call->arg_count ? call->args[0].value : STR(",");
	AUTO_BUF(out, 0);
	if (call->arg_count && call->args[0].name.n && !str_eq_ci(call->args[0].name, STR("sep")))
		return config_expand_bad(ex, call, "takes sep=");
	for (size_t i = 0; i < ex->value.n; i++) {
		char c = ex->value.p[i];
		if (c == '\t')
			buf_put(&out, separator);
		else if (c == '\001' && i + 1 < ex->value.n)
			buf_put_byte(&out, untabbed(ex->value.p[++i]));
		else
			buf_put_byte(&out, c);
		if (out.n > EXPAND_VALUE_BYTES_MAX)
			return config_expand_bad(ex, call, "result is too long");
	}
	ex->value = buf_dup(ex->op->arena, &out);
	return ERR_NONE;
}

static enum err filter_safe(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	ex->is_safe = true;
	return ERR_NONE;
}

static enum err filter_escape(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	if (ex->vars && ex->vars->escape)
		ex->value = ex->vars->escape(ex->vars->ctx, ex->op->arena, ex->value);
	ex->is_safe = true;
	return ERR_NONE;
}

/* Keeps binary results as they are, without control characters. */
static enum err filter_text(struct expansion *ex, struct expand_call *call)
{
	(void)call;
	char *text = arena_alloc(ex->op->arena, ex->value.n + 1);
	for (size_t i = 0; i < ex->value.n; i++) {
		char c = ex->value.p[i];
		text[i] = (unsigned char)c < ' ' || c == 0x7f ? '?' : c;
	}
	ex->value.p = text;
	ex->is_binary = false;
	return ERR_NONE;
}

/* ---- the table ---- */

struct filter {
	struct str name;
	filter_fn *apply;
	unsigned min_args, max_args;
	bool may_be_source;
	bool names_operator; /* an argument that looks like a variable may be an operator */
};

static const struct filter filters[] = {
	{ { "base64", 6 }, config_expand_base64, 0, 2 },
	{ { "benumber", 8 }, filter_number, 0, 0 },
	{ { "calculate", 9 }, filter_calculate, 2, 2 },
	{ { "concat", 6 }, filter_concat, 1, EXPAND_ARGS_MAX, true },
	{ { "date", 4 }, config_expand_date, 1, 2 },
	{ { "decrypt", 7 }, config_expand_decrypt, 1, 8 },
	{ { "default", 7 }, filter_default, 0, 1 },
	{ { "domain", 6 }, filter_domain, 0, 0 },
	{ { "encrypt", 7 }, config_expand_encrypt, 1, 8 },
	{ { "epoch", 5 }, config_expand_epoch, 0, 1 },
	{ { "escape", 6 }, filter_escape, 0, 0 },
	{ { "from_epoch", 10 }, config_expand_from_epoch, 0, 1 },
	{ { "hash", 4 }, config_expand_hash, 1, 3 },
	{ { "hex", 3 }, filter_hex, 0, 1 },
	{ { "hexlify", 7 }, config_expand_hexlify, 0, 1 },
	{ { "if", 2 }, config_expand_if, 4, 5, true, true },
	{ { "index", 5 }, filter_index, 2, 2 },
	{ { "iso8601", 7 }, config_expand_iso8601, 0, 1 },
	{ { "ldap_dn", 7 }, filter_ldap_dn, 0, 0 },
	{ { "lenumber", 8 }, filter_number, 0, 0 },
	{ { "lfill", 5 }, filter_fill, 1, 2 },
	{ { "list", 4 }, filter_list, 0, 1 },
	{ { "literal", 7 }, filter_literal, 1, 1, true },
	{ { "lookup", 6 }, filter_lookup, 1, 1, true },
	{ { "lower", 5 }, filter_lower, 0, 0 },
	{ { "md5", 3 }, config_expand_digest, 0, 2 },
	{ { "regexp", 6 }, config_expand_regexp, 2, 2 },
	{ { "reverse", 7 }, filter_reverse, 0, 0 },
	{ { "rfill", 5 }, filter_fill, 1, 2 },
	{ { "safe", 4 }, filter_safe, 0, 0 },
	{ { "sha1", 4 }, config_expand_digest, 0, 2 },
	{ { "sha256", 6 }, config_expand_digest, 0, 2 },
	{ { "sha384", 6 }, config_expand_digest, 0, 2 },
	{ { "sha512", 6 }, config_expand_digest, 0, 2 },
	{ { "substr", 6 }, filter_substr, 1, 2 },
	{ { "switch", 6 }, config_expand_switch, 3, EXPAND_ARGS_MAX, true, true },
	{ { "text", 4 }, filter_text, 0, 0 },
	{ { "truncate", 8 }, filter_truncate, 1, 1 },
	{ { "unbase64", 8 }, config_expand_unbase64, 0, 2 },
	{ { "unhex", 5 }, filter_unhex, 0, 0 },
	{ { "unhexlify", 9 }, config_expand_unhexlify, 0, 0 },
	{ { "upper", 5 }, filter_upper, 0, 0 },
	{ { "username", 8 }, filter_username, 0, 0 },
};

static enum err look_up_arguments(
	struct expansion *ex, const struct filter *filter, struct expand_call *call)
{
	for (size_t i = 0; i < call->arg_count; i++) {
		struct expand_arg *arg = &call->args[i];
		bool is_flag = arg->name.n &&
			       (str_eq(arg->value, STR("yes")) || str_eq(arg->value, STR("no")));
		if (!arg->is_variable || is_flag ||
			(filter->names_operator && config_expand_is_operator(arg->value)))
			continue;
		struct str missing = ex->missing; /* of the input, not of an argument */
		TRY(config_expand_variable(ex, arg->value, &arg->value));
		ex->missing = missing;
	}
	return ERR_NONE;
}

enum err config_expand_filter(struct expansion *ex, struct expand_call *call)
{
	const struct filter *filter = filters;
	const struct filter *end = filters + ARRAY_COUNT(filters);
	while (filter < end && !str_eq(filter->name, call->name))
		filter++;
	if (filter == end)
		return op_fail(ex->op, ERR_INVALID, "No such function '%.*s' in %%{%.*s}",
			STRF(call->name), STRF(ex->pipeline));
	if (call->arg_count < filter->min_args || call->arg_count > filter->max_args)
		return config_expand_bad(ex, call, "wrong number of arguments");
	if (call->is_source && !filter->may_be_source)
		return config_expand_bad(ex, call, "needs an input");
	if (ex->is_check)
		return ERR_NONE;
	TRY(look_up_arguments(ex, filter, call));
	if (ex->missing.p && filter->apply != filter_default && filter->apply != config_expand_if) {
		/* Nothing to work on: the error stays delayed. */
		return ERR_NONE;
	}
	TRY(filter->apply(ex, call));
	if (ex->value.n > EXPAND_VALUE_BYTES_MAX)
		return config_expand_bad(ex, call, "result is too long");
	return ERR_NONE;
}
