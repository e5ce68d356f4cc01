/* SPDX-License-Identifier: Apache-2.0 */
/* config/lookup.c - the typed questions to a scope: one array read each. */
#include "config/scope_private.h"

static const struct config_value *value_of(const struct config_scope *scope, enum config_setting id)
{
	CHECK(scope, SCOPE_MAGIC);
	ASSERT(id < SET_COUNT);
	return config_scope_value(scope, id);
}

static const struct config_value *typed(
	const struct config_scope *scope, enum config_setting id, enum config_type type)
{
	ASSERT(id < SET_COUNT && config_row(id)->type == type);
	return value_of(scope, id);
}

struct str config_str(const struct config_scope *scope, enum config_setting id)
{
	ASSERT(id < SET_COUNT && !config_type_is_list(config_row(id)->type));
	return value_of(scope, id)->text;
}

bool config_bool(const struct config_scope *scope, enum config_setting id)
{
	return typed(scope, id, CONFIG_TYPE_BOOL)->number != 0;
}

uint64_t config_u64(const struct config_scope *scope, enum config_setting id)
{
	ASSERT(id < SET_COUNT && (config_row(id)->type == CONFIG_TYPE_UINT ||
					 config_row(id)->type == CONFIG_TYPE_OCTAL));
	return value_of(scope, id)->number;
}

uint64_t config_size(const struct config_scope *scope, enum config_setting id)
{
	return typed(scope, id, CONFIG_TYPE_SIZE)->number;
}

int64_t config_time_us(const struct config_scope *scope, enum config_setting id)
{
	ASSERT(id < SET_COUNT && (config_row(id)->type == CONFIG_TYPE_TIME ||
					 config_row(id)->type == CONFIG_TYPE_TIME_MS));
	return (int64_t)value_of(scope, id)->number;
}

uint16_t config_port(const struct config_scope *scope, enum config_setting id)
{
	return (uint16_t)typed(scope, id, CONFIG_TYPE_PORT)->number;
}

unsigned config_enum(const struct config_scope *scope, enum config_setting id)
{
	return (unsigned)typed(scope, id, CONFIG_TYPE_ENUM)->number;
}

bool config_is(const struct config_scope *scope, enum config_setting id, struct str value)
{
	return str_eq(config_str(scope, id), value);
}

struct str config_file(const struct config_scope *scope, enum config_setting id)
{
	return typed(scope, id, CONFIG_TYPE_FILE)->content;
}

static const struct config_value *list_of(const struct config_scope *scope, enum config_setting id)
{
	ASSERT(id < SET_COUNT && config_type_is_list(config_row(id)->type));
	return value_of(scope, id);
}

bool config_list_next(const struct config_scope *scope, enum config_setting id, size_t *at,
	struct config_item *out)
{
	const struct config_value *value = list_of(scope, id);
	bool has_flags = config_row(id)->type != CONFIG_TYPE_STRLIST;
	while (*at < value->item_count) {
		const struct config_item *item = &value->items[(*at)++];
		if (has_flags && str_eq(item->value, STR("no")))
			continue;
		*out = *item;
		return true;
	}
	return false;
}

static const struct config_item *find_item(const struct config_value *value, struct str key)
{
	for (size_t i = 0; i < value->item_count; i++) {
		if (str_eq(value->items[i].key, key))
			return &value->items[i];
	}
	return NULL;
}

bool config_list_has(const struct config_scope *scope, enum config_setting id, struct str key)
{
	const struct config_item *item = find_item(list_of(scope, id), key);
	return item &&
	       (config_row(id)->type == CONFIG_TYPE_STRLIST || str_eq(item->value, STR("yes")));
}

bool config_list_refuses(const struct config_scope *scope, enum config_setting id, struct str key)
{
	ASSERT(id < SET_COUNT && config_row(id)->type == CONFIG_TYPE_BOOLLIST);
	const struct config_item *item = find_item(list_of(scope, id), key);
	return item && str_eq(item->value, STR("no"));
}

bool config_networks_have(const struct config_scope *scope, enum config_setting id, struct str ip)
{
	struct config_network address, network;
	struct config_item item;
	const struct config_value *value = typed(scope, id, CONFIG_TYPE_NETWORKS);
	if (value->item_count == 0 || !config_network_parse(ip, &address))
		return false;
	for (size_t at = 0; config_list_next(scope, id, &at, &item);) {
		if (config_network_parse(item.key, &network) &&
			config_network_has(&network, address.bytes))
			return true;
	}
	return false;
}

struct str config_state_path(struct arena *arena, const struct config_scope *scope, struct str path)
{
	if (str_starts(path, STR("/")))
		return str_dup(arena, path);
	return str_printf(arena, "%.*s/%.*s", STRF(config_str(scope, SET_state_dir)), STRF(path));
}

bool config_is_set(const struct config_scope *scope, enum config_setting id)
{
	return value_of(scope, id)->layer != CONFIG_LAYER_DEFAULT;
}
