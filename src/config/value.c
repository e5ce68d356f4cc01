/* SPDX-License-Identifier: Apache-2.0 */
/* config/value.c - the text of a setting as its type: units, lists, choices. Spec: sheet core §1.6.
 * To add a type: a value in enum config_type, a case in config_value_parse() and in the accessors of
 * lookup.c, a name in config_type_name(). */
#include "config/config_private.h"

#include "base/number.h"
#include "config/expand.h"

struct unit {
	struct str name; /* any prefix of it counts, if no earlier unit takes it */
	uint64_t factor;
};

#define US_PER_SECOND UINT64_C(1000000)

/* "m" alone are minutes, "ms" and longer are milliseconds: the order and the exact forms matter. */
static const struct unit time_units[] = {
	{ { "secs", 4 }, US_PER_SECOND },
	{ { "seconds", 7 }, US_PER_SECOND },
	{ { "mins", 4 }, 60 * US_PER_SECOND },
	{ { "minutes", 7 }, 60 * US_PER_SECOND },
	{ { "hours", 5 }, 3600 * US_PER_SECOND },
	{ { "days", 4 }, 86400 * US_PER_SECOND },
	{ { "weeks", 5 }, 7 * 86400 * US_PER_SECOND },
	{ { "msecs", 5 }, US_PER_SECOND / 1000 },
	{ { "milliseconds", 12 }, US_PER_SECOND / 1000 },
};

static bool is_unlimited(struct str text)
{
	return str_eq(text, STR("unlimited"));
}

static bool parse_time(struct config_loader *ld, const struct config_row *row, struct str text,
	const struct config_origin *at, uint64_t *out)
{
	struct str rest = text;
	uint64_t n;
	if (str_eq_ci(text, STR("infinite")) || is_unlimited(text)) {
		*out = (uint64_t)CONFIG_TIME_INFINITE;
		return true;
	}
	if (!number_cut_u64(&rest, &n)) {
		config_error(
			ld, at, "%.*s: Invalid time interval: %.*s", STRF(row->name), STRF(text));
		return false;
	}
	rest = str_trim(rest);
	if (rest.n == 0) {
		*out = 0;
		if (n != 0)
			config_error(ld, at,
				"%.*s: Time interval '%.*s' is missing units (add e.g. 's' for "
				"seconds)",
				STRF(row->name), STRF(text));
		return n == 0;
	}
	for (size_t i = 0; i < ARRAY_COUNT(time_units); i++) {
		const struct unit *unit = &time_units[i];
		uint64_t us;
		if (!str_starts_ci(unit->name, rest))
			continue;
		if (mul_overflows(n, unit->factor, &us) || us >= (uint64_t)CONFIG_TIME_INFINITE)
			break;
		if (row->type == CONFIG_TYPE_TIME && us % US_PER_SECOND != 0) {
			config_error(ld, at,
				"%.*s: Milliseconds not supported for this setting: %.*s",
				STRF(row->name), STRF(text));
			return false;
		}
		*out = us;
		return true;
	}
	config_error(ld, at, "%.*s: Invalid time interval: %.*s", STRF(row->name), STRF(text));
	return false;
}

static bool parse_size(struct config_loader *ld, const struct config_row *row, struct str text,
	const struct config_origin *at, uint64_t *out)
{
	static const char letters[] = "KMGT";
	struct str rest = text;
	uint64_t n;
	if (is_unlimited(text)) {
		*out = CONFIG_UNLIMITED;
		return true;
	}
	bool is_valid = number_cut_u64(&rest, &n);
	rest = str_trim(rest);
	unsigned shift = 0;
	if (is_valid && rest.n) {
		char letter = ascii_upper(rest.p[0]);
		const char *found = memchr(letters, letter, sizeof(letters) - 1);
		struct str suffix = str_slice(rest, 1, rest.n);
		if (found) {
			shift = 10 * (unsigned)(found - letters + 1);
			is_valid = suffix.n == 0 || str_eq_ci(suffix, STR("B")) ||
				   str_eq_ci(suffix, STR("i")) || str_eq_ci(suffix, STR("iB"));
		} else {
			is_valid = letter == 'B' && suffix.n == 0;
		}
	}
	if (!is_valid) {
		config_error(ld, at, "%.*s: Invalid size: %.*s", STRF(row->name), STRF(text));
		return false;
	}
	if (mul_overflows(n, UINT64_C(1) << shift, out)) {
		config_error(ld, at, "%.*s: Size is too large: %.*s", STRF(row->name), STRF(text));
		return false;
	}
	return true;
}

static bool parse_bool(struct config_loader *ld, struct str name, struct str text,
	const struct config_origin *at, uint64_t *out)
{
	if (str_eq_ci(text, STR("yes")) || str_eq_ci(text, STR("y")) || str_eq(text, STR("1")))
		*out = 1;
	else if (str_eq_ci(text, STR("no")))
		*out = 0;
	else {
		config_error(ld, at, "%.*s: Invalid boolean value: %.*s (use yes or no)",
			STRF(name), STRF(text));
		return false;
	}
	return true;
}

static bool parse_number(struct config_loader *ld, const struct config_row *row, struct str text,
	const struct config_origin *at, uint64_t *out)
{
	bool is_valid;
	if (row->type == CONFIG_TYPE_PORT) {
		if (number_parse_u64(text, out) && *out <= 65535)
			return true;
		config_error(ld, at, "%.*s: Invalid port number %.*s", STRF(row->name), STRF(text));
		return false;
	}
	if (is_unlimited(text)) {
		*out = CONFIG_UNLIMITED;
		return true;
	}
	if (row->type == CONFIG_TYPE_OCTAL && str_starts(text, STR("0"))) {
		uint32_t mode = 0;
		is_valid = number_parse_octal(text, &mode);
		*out = mode;
	} else {
		/* 4294967295 is how the reference writes "unlimited", so nothing larger is a number. */
		is_valid = number_parse_u64(text, out) && *out < UINT32_MAX;
	}
	if (!is_valid)
		config_error(ld, at, "%.*s: Invalid number %.*s", STRF(row->name), STRF(text));
	return is_valid;
}

/* Where `word` stands among the space-separated `choices`. */
static bool choice_find(struct str choices, struct str word, uint64_t *out)
{
	struct str choice;
	for (uint64_t i = 0; str_cut_word(&choices, &choice); i++) {
		if (str_eq(choice, word)) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool parse_enum(struct config_loader *ld, enum config_setting id, struct str text,
	const struct config_origin *at, uint64_t *out)
{
	const struct config_row *row = config_row(id);
	*out = 0;
	/* An empty default means "the block's name", which scope.c fills in. */
	if ((text.n == 0 && row->default_text.n == 0) || choice_find(row->choices, text, out))
		return true;
	struct str near = config_nearest_word(text, row->choices);
	struct str hint =
		near.n ? str_printf(ld->op->arena, "did you mean %.*s?", STRF(near))
		       : str_printf(ld->op->arena, "use one of: %.*s", STRF(row->choices));
	config_problem(
		ld, at, false, hint, "%.*s: Invalid value: %.*s", STRF(row->name), STRF(text));
	return false;
}

/* Numbers may hold variables that are the same everywhere: %{system:cpu_count}, %{env:X}. */
static bool expand_number(struct config_loader *ld, enum config_setting id,
	const struct config_origin *at, struct str *text)
{
	struct config_vars vars = { .environment = ld->args ? ld->args->environment : NULL };
	if (config_expand_is_plain(*text))
		return true;
	if (config_expand(ld->op, *text, &vars, text) == ERR_NONE)
		return true;
	config_error(ld, at, "%.*s: %s", STRF(config_row(id)->name), ld->op->failure.text);
	op_forgive(ld->op);
	return false;
}

/* ---- lists ---- */

static bool item_is_valid(struct config_loader *ld, enum config_setting id,
	const struct config_item *item, const struct config_origin *at)
{
	const struct config_row *row = config_row(id);
	struct config_network network;
	uint64_t unused;
	if (row->type == CONFIG_TYPE_NETWORKS && !config_network_parse(item->key, &network)) {
		config_problem(ld, at, false, STR("write e.g. 10.0.0.0/8 or 2001:db8::/32"),
			"%.*s: Invalid network: %.*s", STRF(row->name), STRF(item->key));
		return false;
	}
	if (row->type == CONFIG_TYPE_BOOLLIST && row->choices.n &&
		!choice_find(row->choices, item->key, &unused)) {
		bool is_protocol = id == SET_protocols;
		config_problem(ld, at, false,
			str_printf(ld->op->arena, "use: %.*s", STRF(row->choices)),
			"%.*s: %s: %.*s", STRF(row->name),
			is_protocol ? "Unknown protocol" : "Invalid value", STRF(item->key));
		return false;
	}
	return row->type == CONFIG_TYPE_STRLIST ||
	       parse_bool(ld, row->name, item->value, at, &unused);
}

bool config_value_add_item(struct config_loader *ld, enum config_setting id,
	struct config_item item, const struct config_origin *at, struct config_value *value)
{
	struct arena *arena = ld->tree->arena;
	if (!item_is_valid(ld, id, &item, at))
		return false;
	bool is_flag = config_row(id)->type != CONFIG_TYPE_STRLIST;
	uint64_t is_on = 0;
	if (is_flag && parse_bool(ld, item.key, item.value, at, &is_on))
		item.value = is_on ? STR("yes") : STR("no");
	struct config_item one = { str_dup(arena, item.key), str_dup(arena, item.value) };
	struct config_value more = { .items = &one, .item_count = 1 };
	struct config_value *merged = config_value_merge(arena, value, &more);
	value->items = merged->items;
	value->item_count = merged->item_count;
	return true;
}

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',' || c == '\n' || c == '\r';
}

/* A word in double quotes at the front of *rest. */
static bool cut_quoted(struct str *rest, struct buf *word, const char **why)
{
	size_t i = 1;
	while (i < rest->n && rest->p[i] != '"') {
		if (rest->p[i] == '\\' && i + 1 < rest->n)
			i++;
		buf_put_byte(word, rest->p[i++]);
	}
	if (i >= rest->n) {
		*why = "Missing ending '\"'";
		return false;
	}
	*rest = str_slice(*rest, i + 1, rest->n);
	if (rest->n && !is_separator(rest->p[0])) {
		*why = "Expected ',' or ' ' after '\"'";
		return false;
	}
	return true;
}

static bool cut_list_word(struct str *rest, struct buf *word, const char **why)
{
	buf_clear(word);
	if (rest->p[0] == '"')
		return cut_quoted(rest, word, why);
	while (rest->n && !is_separator(rest->p[0])) {
		if (rest->p[0] == '"') {
			*why = "'\"' in the middle of a string";
			return false;
		}
		buf_put_byte(word, str_take(rest, 1).p[0]);
	}
	return true;
}

bool config_list_cut(struct str *rest, struct buf *word, const char **why)
{
	while (rest->n && is_separator(rest->p[0]))
		(void)str_take(rest, 1);
	return rest->n && cut_list_word(rest, word, why);
}

static bool parse_list(struct config_loader *ld, enum config_setting id, struct str text,
	const struct config_origin *at, struct config_value *value)
{
	bool has_values = config_row(id)->type == CONFIG_TYPE_STRLIST;
	bool is_valid = true;
	const char *why = NULL;
	AUTO_BUF(word, 0);
	value->is_whole = true;
	while (config_list_cut(&text, &word, &why)) {
		struct str rest = buf_str(&word);
		struct config_item item = { rest, STR("yes") };
		if (has_values) {
			item.value = str_cut(&rest, '=', &item.key) ? rest : STR_NONE;
		}
		is_valid &= config_value_add_item(ld, id, item, at, value);
	}
	if (why)
		config_error(ld, at, "%.*s: %s", STRF(config_row(id)->name), why);
	return is_valid && !why;
}

/* ---- all types ---- */

static bool parse_string(struct config_loader *ld, enum config_setting id, struct str text,
	const struct config_origin *at)
{
	if (config_expand_check(ld->op, text) == ERR_NONE)
		return true;
	config_error(ld, at, "%.*s: %s", STRF(config_row(id)->name), ld->op->failure.text);
	op_forgive(ld->op);
	return false;
}

bool config_value_parse(struct config_loader *ld, enum config_setting id, struct str text,
	const struct config_origin *at, struct config_value *value)
{
	const struct config_row *row = config_row(id);
	value->text = text;
	value->has_reference = false;
	if (row->type != CONFIG_TYPE_STRING && row->type != CONFIG_TYPE_NOVAR &&
		row->type != CONFIG_TYPE_FILE && !config_type_is_list(row->type) &&
		!expand_number(ld, id, at, &text))
		return false;
	switch (row->type) {
	case CONFIG_TYPE_STRING:
		return parse_string(ld, id, text, at);
	case CONFIG_TYPE_NOVAR:
	case CONFIG_TYPE_FILE:
		return true;
	case CONFIG_TYPE_UINT:
	case CONFIG_TYPE_OCTAL:
	case CONFIG_TYPE_PORT:
		return parse_number(ld, row, text, at, &value->number);
	case CONFIG_TYPE_BOOL:
		return parse_bool(ld, row->name, text, at, &value->number);
	case CONFIG_TYPE_SIZE:
		return parse_size(ld, row, text, at, &value->number);
	case CONFIG_TYPE_TIME:
	case CONFIG_TYPE_TIME_MS:
		return parse_time(ld, row, text, at, &value->number);
	case CONFIG_TYPE_ENUM:
		return parse_enum(ld, id, text, at, &value->number);
	case CONFIG_TYPE_BOOLLIST:
	case CONFIG_TYPE_STRLIST:
	case CONFIG_TYPE_NETWORKS:
		return parse_list(ld, id, text, at, value);
	}
	UNREACHABLE();
}
