/* SPDX-License-Identifier: Apache-2.0 */
/* config/text.c - from the written text of a setting to its value: quotes, <file, $ENV:, $SET:, versions.
 * Spec: sheet core §1.2 rules 6-7, §1.8, §1.12. */
#include "config/parse_private.h"

/* ---- quotes ---- */

bool config_unquote(struct config_loader *ld, struct str quoted, const struct config_origin *at,
	struct str *out)
{
	char *text = arena_alloc(ld->tree->arena, quoted.n);
	size_t n = 0;
	for (size_t i = 1; i + 1 < quoted.n; i++) {
		char c = quoted.p[i];
		if (c == '\\') {
			c = quoted.p[++i];
			if (c != '\\' && c != '"') {
				config_error(ld, at, "Unknown escape sequence \\%c",
					c >= ' ' && c < 0x7f ? c : '?');
				return false;
			}
		}
		text[n++] = c;
	}
	*out = (struct str){ text, n };
	return true;
}

/* Quotes count only if they hold the whole value. */
static bool is_quoted(struct str text)
{
	if (text.n < 2 || (text.p[0] != '"' && text.p[0] != '\''))
		return false;
	for (size_t i = 1; i < text.n; i++) {
		if (text.p[i] == '\\')
			i++;
		else if (text.p[i] == text.p[0])
			return i + 1 == text.n;
	}
	return false;
}

/* ---- $ENV: and $SET: ---- */

static struct str environment_value(const struct config_loader *ld, struct str name)
{
	const char *const *environment = ld->args ? ld->args->environment : NULL;
	for (; environment && *environment; environment++) {
		struct str entry = str_from(*environment);
		if (str_skip(&entry, name) && str_skip(&entry, STR("=")))
			return entry;
	}
	return STR_NONE;
}

static bool has_reference(struct str text)
{
	return str_find(text, STR("$ENV:")) >= 0 || str_find(text, STR("$SET:")) >= 0;
}

/* Replaces whole tokens. $SET: of other settings can only be answered when all files are read, so such
 * tokens stay, and *out_waits is set. */
static bool take_tokens(struct config_loader *ld, struct config_node *node,
	enum config_setting self, struct str text, const struct config_origin *at, struct str *out,
	bool *out_waits)
{
	*out_waits = false;
	if (!has_reference(text)) {
		*out = str_dup(ld->tree->arena, text);
		return true;
	}
	AUTO_BUF(result, 0);
	struct str token;
	for (bool is_first = true; str_cut_word(&text, &token); is_first = false) {
		struct str path = token, value = token;
		if (!is_first)
			buf_put_byte(&result, ' ');
		if (str_skip(&path, STR("$ENV:"))) {
			value = environment_value(ld, path);
		} else if (str_skip(&path, STR("$SET:"))) {
			bool in_parent;
			bool is_self = self != SET_COUNT &&
				       config_resolve_setting(node, path, &in_parent) == self;
			if (is_self && !config_reference_text(ld, node, self, path, at, &value))
				return false;
			*out_waits |= !is_self;
		}
		buf_put(&result, value);
	}
	*out = buf_dup(ld->tree->arena, &result);
	return true;
}

/* ---- files ---- */

static struct str file_path(
	struct config_loader *ld, struct str text, const struct config_origin *at)
{
	(void)str_skip(&text, STR("<"));
	text = str_trim(text);
	if (str_starts(text, STR("inline:")) || str_starts(text, STR("%{")))
		return str_dup(ld->tree->arena, text);
	return config_path_beside(ld->tree->arena, at->file, text);
}

static bool take_file(struct config_loader *ld, struct str name, struct str text,
	const struct config_origin *at, struct str *out)
{
	struct str why, path = file_path(ld, text, at);
	if (!config_file_load(ld, path, out, &why)) {
		config_error(ld, at, "%.*s: Can't open file %.*s: %.*s", STRF(name), STRF(path),
			STRF(why));
		return false;
	}
	if (str_ends(*out, STR("\n")))
		out->n--;
	return true;
}

bool config_take_text(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct str text, const struct config_origin *at, struct config_value *value)
{
	const struct config_row *row = config_row(id);
	bool is_list = config_type_is_list(row->type);
	/* A user's fields come from a database: they read no files, no environment, no settings. */
	bool is_plain = ld->is_literal || ld->layer == CONFIG_LAYER_USER;
	bool is_text = row->type == CONFIG_TYPE_STRING || row->type == CONFIG_TYPE_NOVAR;
	if (ld->is_literal && row->type == CONFIG_TYPE_FILE) {
		value->text = str_printf(ld->tree->arena, "inline:%.*s", STRF(text));
		return true;
	}
	if (ld->is_literal && !is_text) {
		config_error(ld, at, "%.*s: Only text can be written over several lines",
			STRF(row->name));
		return false;
	}
	if (!is_list && !is_plain && !is_quoted(text) &&
		(has_reference(text) || (is_text && str_starts(text, STR("<")))))
		value->written = str_dup(ld->tree->arena, text);
	if (!is_list && !is_plain && is_quoted(text)) {
		if (!config_unquote(ld, text, at, &text))
			return false;
	} else if (is_text && !is_plain && str_starts(text, STR("<")) &&
		   str_find_byte(text, '>') < 0) {
		if (!take_file(ld, row->name, text, at, &text))
			return false;
	} else if (is_plain) {
		text = str_dup(ld->tree->arena, text);
	} else {
		if (!take_tokens(ld, node, id, text, at, &text, &value->has_reference))
			return false;
	}
	if (value->has_reference) {
		value->text = text;
		return true;
	}
	if (row->type == CONFIG_TYPE_FILE)
		text = file_path(ld, text, at);
	return config_value_parse(ld, id, text, at, value);
}

/* Adds `item`; what it was written as is kept when that is something else. */
static struct config_written *add_item(struct config_loader *ld, enum config_setting id,
	struct config_item item, struct str text, const struct config_origin *at,
	struct config_value *list)
{
	struct arena *arena = ld->tree->arena;
	if (!config_value_add_item(ld, id, item, at, list) || !has_reference(text))
		return NULL;
	struct config_written *written = ARENA_NEW(arena, struct config_written);
	*written = (struct config_written){ .next = list->written_items,
		.text = str_dup(arena, text) };
	list->written_items = written;
	for (size_t i = 0; i < list->item_count; i++) {
		if (str_eq(list->items[i].key, item.key)) {
			written->key = list->items[i].key;
			written->value = list->items[i].value;
		}
	}
	return written;
}

/* It has its written value until settle.c puts the real one there. */
static void add_late_item(struct config_loader *ld, struct config_node *node,
	enum config_setting id, struct config_item item, const struct config_origin *at,
	struct config_value *list)
{
	if (config_row(id)->type != CONFIG_TYPE_STRLIST) {
		config_error(ld, at, "$SET: can't be used for members of this list");
		return;
	}
	struct config_written *written = add_item(ld, id, item, item.value, at, list);
	if (!written)
		return;
	struct config_late_item *late = ARENA_NEW(ld->op->arena, struct config_late_item);
	*late = (struct config_late_item){ ld->late_items, node, list, written, *at };
	ld->late_items = late;
}

void config_take_item(struct config_loader *ld, struct config_node *node, enum config_setting id,
	struct config_item item, const struct config_origin *at, struct config_value *list)
{
	bool waits = false;
	struct str text = item.value;
	if (ld->layer == CONFIG_LAYER_USER) {
		(void)config_value_add_item(ld, id, item, at, list); /* problems are recorded */
		return;
	}
	if (is_quoted(text)) {
		if (!config_unquote(ld, text, at, &item.value))
			return;
		text = STR_NONE; /* nothing in it is special */
	} else if (!take_tokens(ld, node, SET_COUNT, text, at, &item.value, &waits)) {
		return;
	}
	if (waits)
		add_late_item(ld, node, id, item, at, list);
	else
		(void)add_item(ld, id, item, text, at, list); /* for printing alone */
}

/* ---- versions ---- */

bool config_version_check(struct config_loader *ld, const struct config_assignment *old,
	const struct config_value *value)
{
	unsigned version = config_version_number(value->text);
	if (version == 0)
		config_error(ld, &value->origin,
			"Invalid dovecot_config_version: Currently supported versions are: 2.4.x "
			"3.0.x 3.1.x 3.2.x 0.1.x");
	else if (old && !str_eq(old->value->text, value->text))
		config_error(ld, &value->origin,
			"dovecot_config_version value can't be changed once set");
	else
		ld->version = version;
	return version != 0 && ld->version == version;
}

void config_require_version_first(
	struct config_loader *ld, struct str key, const struct config_origin *at)
{
	if (ld->layer != CONFIG_LAYER_FILE || ld->has_first_setting)
		return;
	ld->has_first_setting = true;
	if (!str_eq(key, STR("dovecot_config_version")))
		config_problem(ld, at, false,
			STR("begin the file with dovecot_config_version = 3.2.0"),
			"The first setting must be dovecot_config_version");
}
