/* SPDX-License-Identifier: Apache-2.0 */
/* config/show_value.c - one value as text: quotes, secrets, lists, contents of files.
 * Spec: sheet core §3. The sheet quotes only '#' and blanks at the ends; so does this, and what would be read
 * back as something else. */
#include <stdio.h>

#include "config/expand.h"
#include "config/show_private.h"

void printer_init(struct printer *pr, const struct config_tree *tree,
	const struct config_show_args *args, struct buf *out)
{
	*pr = (struct printer){ .tree = tree, .args = args, .out = out };
	arena_init(&pr->arena, 0);
	op_init(&pr->op, &pr->arena, NULL, TIME_NEVER);
}

void printer_done(struct printer *pr)
{
	arena_done(&pr->arena);
}

/* ---- text ---- */

void show_indent(struct buf *out, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++)
		buf_put(out, STR("  "));
}

static bool needs_quotes(struct str text)
{
	if (text.n == 0)
		return false;
	return ascii_is_space(text.p[0]) || ascii_is_space(text.p[text.n - 1]) ||
	       str_find_byte(text, '#') >= 0 || str_starts(text, STR("<")) || text.p[0] == '"' ||
	       text.p[0] == '\'' || text.p[text.n - 1] == '\\' ||
	       str_find(text, STR("$ENV:")) >= 0 || str_find(text, STR("$SET:")) >= 0;
}

static void put_text(struct buf *out, struct str text)
{
	if (!needs_quotes(text)) {
		buf_put(out, text);
		return;
	}
	buf_put_byte(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_put_byte(out, '\\');
		buf_put_byte(out, text.p[i]);
	}
	buf_put_byte(out, '"');
}

static bool has_line(struct str text, struct str line)
{
	struct str each;
	while (str_cut_line(&text, &each)) {
		if (str_eq(each, line))
			return true;
	}
	return str_eq(text, line);
}

/* Lines keep their ends, so the last one gets one if it has none. */
static void put_lines(struct buf *out, struct str text)
{
	char marker[32] = "EOF";
	for (unsigned i = 1; has_line(text, str_from(marker)); i++)
		(void)snprintf(marker, sizeof(marker), "EOF%u", i);
	buf_putf(out, "<<%s\n%.*s%s%s", marker, STRF(text), str_ends(text, STR("\n")) ? "" : "\n",
		marker);
}

void show_assignment(struct buf *out, unsigned depth, struct str name, struct str text)
{
	show_indent(out, depth);
	buf_putf(out, text.n ? "%.*s = " : "%.*s =", STRF(name));
	if (str_find_byte(text, '\n') >= 0)
		put_lines(out, text);
	else
		put_text(out, text);
	buf_put_byte(out, '\n');
}

/* ---- secrets ---- */

#define HIDDEN_VALUE STR("# hidden, use -P to show it")
#define HIDDEN_PART  STR("#hidden_use-P_to_show#")

static bool is_secret_name(struct str name)
{
	static const struct str ends[] = { STR("_password"), STR("_key_file"), STR("_key"),
		STR("_nonce"), STR("_secret") };
	for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
		if (str_ends(name, ends[i]))
			return true;
	}
	return str_starts(name, STR("ssl_dh")) || str_starts(name, STR("ssl_server_dh"));
}

static bool is_secret_member(struct str key)
{
	return str_find_ci(key, STR("pass")) >= 0 || str_eq(key, STR("key")) || is_secret_name(key);
}

static bool is_hidden(const struct printer *pr, enum config_setting id)
{
	return !pr->args->with_secrets && ((config_row(id)->flags & CONFIG_FLAG_SECRET) ||
						  is_secret_name(config_row(id)->name));
}

/* The password in "scheme://user:password@host", if one begins at `at`. */
static bool url_password(struct str text, size_t at, size_t *from, size_t *to)
{
	struct str rest = str_slice(text, at, text.n);
	if (!str_skip(&rest, STR("://")))
		return false;
	size_t colon = 0;
	for (size_t i = 0; i < rest.n && rest.p[i] != '/' && !ascii_is_space(rest.p[i]); i++) {
		if (rest.p[i] == ':' && colon == 0)
			colon = i;
		if (rest.p[i] == '@' && colon) {
			*from = (size_t)(rest.p - text.p) + colon + 1;
			*to = (size_t)(rest.p - text.p) + i;
			return true;
		}
	}
	return false;
}

/* "password=x" and "pass=x", up to a blank. */
static bool named_password(struct str text, size_t at, size_t *from, size_t *to)
{
	struct str rest = str_slice(text, at, text.n);
	if (!str_skip_ci(&rest, STR("password=")) && !str_skip_ci(&rest, STR("pass=")))
		return false;
	*from = (size_t)(rest.p - text.p);
	for (*to = *from; *to < text.n && !ascii_is_space(text.p[*to]); (*to)++)
		continue;
	/* A variable is no secret: LDAP attributes and the like. */
	return *to > *from && !str_starts(rest, STR("%{"));
}

static struct str without_secrets(struct printer *pr, struct str text)
{
	AUTO_BUF(out, 0);
	if (pr->args->with_secrets ||
		(str_find_ci(text, STR("pass")) < 0 && str_find(text, STR("://")) < 0))
		return text;
	for (size_t at = 0; at < text.n;) {
		size_t from, to;
		if (!url_password(text, at, &from, &to) && !named_password(text, at, &from, &to)) {
			buf_put_byte(&out, text.p[at++]);
			continue;
		}
		buf_put(&out, str_slice(text, at, from));
		buf_put(&out, HIDDEN_PART);
		at = to;
	}
	return buf_dup(&pr->arena, &out);
}

/* ---- settings ---- */

/* With -x what can be expanded without a user is. */
static struct str expanded(struct printer *pr, struct str text)
{
	struct config_vars vars = { .environment = pr->args->environment };
	struct str out;
	if (config_expand(&pr->op, text, &vars, &out) == ERR_NONE)
		return out;
	op_forgive(&pr->op);
	return text;
}

static struct str scalar_text(
	struct printer *pr, enum config_setting id, const struct config_value *value)
{
	if (!pr->args->expands)
		return value->written.p ? value->written : value->text;
	if (config_row(id)->type == CONFIG_TYPE_FILE && value->content.n)
		return value->content;
	if (config_row(id)->type == CONFIG_TYPE_STRING)
		return expanded(pr, value->text);
	return value->text;
}

/* What was written is printed as it was; the rest, so that it reads the same. */
static void put_scalar(struct printer *pr, unsigned depth, struct str name, enum config_setting id,
	const struct config_value *value)
{
	struct str text = without_secrets(pr, scalar_text(pr, id, value));
	if (value->written.p && !pr->args->expands) {
		show_indent(pr->out, depth);
		buf_putf(pr->out, "%.*s = %.*s\n", STRF(name), STRF(text));
		return;
	}
	show_assignment(pr->out, depth, name, text);
}

static struct str member_text(
	struct printer *pr, const struct config_value *value, const struct config_item *item)
{
	if (!pr->args->with_secrets && is_secret_member(item->key))
		return HIDDEN_PART;
	for (const struct config_written *w = value->written_items; w && !pr->args->expands;
		w = w->next) {
		if (str_eq(w->key, item->key) && w->value.p == item->value.p)
			return w->text;
	}
	return without_secrets(pr, pr->args->expands ? expanded(pr, item->value) : item->value);
}

static void put_name(struct buf *out, struct str name)
{
	bool is_plain = name.n > 0;
	for (size_t i = 0; i < name.n; i++)
		is_plain &= !ascii_is_space(name.p[i]) && !memchr("=#{}\"'@!", name.p[i], 8);
	if (is_plain) {
		buf_put(out, name);
		return;
	}
	buf_put_byte(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_put_byte(out, '\\');
		buf_put_byte(out, name.p[i]);
	}
	buf_put_byte(out, '"');
}

static void put_list(
	struct printer *pr, unsigned depth, struct str name, const struct config_value *value)
{
	show_indent(pr->out, depth);
	buf_putf(pr->out, "%.*s {\n", STRF(name));
	for (size_t i = 0; i < value->item_count; i++) {
		AUTO_BUF(key, 0);
		put_name(&key, value->items[i].key);
		struct str text = member_text(pr, value, &value->items[i]);
		bool is_reference =
			str_starts(text, STR("$ENV:")) || str_starts(text, STR("$SET:"));
		if (is_reference && text.p != value->items[i].value.p) {
			show_indent(pr->out, depth + 1);
			buf_putf(pr->out, "%.*s = %.*s\n", STRF(buf_str(&key)), STRF(text));
		} else {
			show_assignment(pr->out, depth + 1, buf_str(&key), text);
		}
	}
	show_indent(pr->out, depth);
	buf_put(pr->out, STR("}\n"));
}

void show_setting(struct printer *pr, unsigned depth, struct str name, enum config_setting id,
	const struct config_value *value)
{
	bool is_list = config_type_is_list(config_row(id)->type);
	if (is_hidden(pr, id) && value->text.n) {
		show_indent(pr->out, depth);
		buf_putf(pr->out, "%.*s = %.*s\n", STRF(name), STRF(HIDDEN_VALUE));
	} else if (is_list && value->item_count) {
		put_list(pr, depth, name, value);
	} else if (is_list) {
		show_assignment(pr->out, depth, name, STR_NONE);
	} else {
		put_scalar(pr, depth, name, id, value);
	}
}

void show_plain(struct printer *pr, enum config_setting id, const struct config_value *value)
{
	if (is_hidden(pr, id) && value->text.n)
		buf_put(pr->out, HIDDEN_VALUE);
	else if (config_type_is_list(config_row(id)->type))
		buf_put(pr->out, config_value_text(&pr->arena, value));
	else
		buf_put(pr->out, without_secrets(pr, scalar_text(pr, id, value)));
	buf_put_byte(pr->out, '\n');
}

/* ---- names ---- */

struct str show_short_name(const struct config_node *node, enum config_setting id)
{
	struct str full = config_row(id)->name, rest = full, shorter;
	bool in_parent;
	if (node->kind != CONFIG_KIND_BLOCK || !config_block_row(node->block)->has_name ||
		!str_skip(&rest, config_block_row(node->block)->name) || !str_skip(&rest, STR("_")))
		return full;
	shorter = rest;
	if (node->name.n && str_skip(&shorter, node->name) && str_skip(&shorter, STR("_")) &&
		config_resolve_setting(node, shorter, &in_parent) == id)
		return shorter;
	return config_resolve_setting(node, rest, &in_parent) == id ? rest : full;
}

void show_opening(struct printer *pr, const struct config_node *node, unsigned depth)
{
	static const char *const filters[] = { [CONFIG_KIND_LOCAL] = "local",
		[CONFIG_KIND_LOCAL_NAME] = "local_name",
		[CONFIG_KIND_REMOTE] = "remote",
		[CONFIG_KIND_PROTOCOL] = "protocol" };
	bool is_block = node->kind == CONFIG_KIND_BLOCK;
	show_indent(pr->out, depth);
	buf_put(pr->out,
		is_block ? config_block_row(node->block)->name : str_from(filters[node->kind]));
	if (!is_block || config_block_row(node->block)->has_name) {
		buf_put_byte(pr->out, ' ');
		if (node->is_negated)
			buf_put_byte(pr->out, '!');
		put_name(pr->out, node->name);
	}
	buf_put(pr->out, STR(" {\n"));
}

int show_compare_names(const void *a, const void *b)
{
	const enum config_setting *left = a, *right = b;
	bool left_is_version = *left <= SET_dovecot_storage_version;
	bool right_is_version = *right <= SET_dovecot_storage_version;
	if (left_is_version || right_is_version)
		return left_is_version && right_is_version ? (int)*left - (int)*right
		       : left_is_version                   ? -1
							   : 1;
	return str_cmp(config_row(*left)->name, config_row(*right)->name);
}

struct config_node show_naming_node(const struct config_scope *scope)
{
	return (struct config_node){
		.kind = scope->block == BLOCK_COUNT ? CONFIG_KIND_ROOT : CONFIG_KIND_BLOCK,
		.block = scope->block,
		.name = scope->name,
	};
}
