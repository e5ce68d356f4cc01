/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/drivers.c - the list of drivers, and opening one from the configuration or from
 * text.
 *
 * To extend: write x.c with a `const struct catalog_driver`, declare it in catalog_private.h, add it
 * here. contract_test.c runs against every entry. */
#include "base/number.h"
#include "catalog/catalog_private.h"
#include "config/config.h"

const struct catalog_driver *const catalog_drivers[] = { &catalog_fault, &catalog_mem,
	&catalog_sqlite, &catalog_in_cql, NULL };

enum err catalog_shards_parse(struct op *op, struct str text, uint32_t *out)
{
	uint32_t count = CATALOG_SHARDS_USUAL;
	if (text.n && !number_parse_u32(text, &count))
		return op_fail(op, ERR_INVALID, "\"%.*s\" is no number of shards", STRF(text));
	if (count == 0 || count > CATALOG_SHARDS_MAX)
		return op_fail(op, ERR_INVALID, "%" PRIu32 " shards: between 1 and %d are possible",
			count, CATALOG_SHARDS_MAX);
	*out = count;
	return ERR_NONE;
}

static const struct catalog_driver *driver_find(struct str name)
{
	for (size_t i = 0; catalog_drivers[i]; i++)
		if (str_eq(str_from(catalog_drivers[i]->name), name))
			return catalog_drivers[i];
	return NULL;
}

enum err catalog_open_text(struct op *op, struct str text, struct catalog **out)
{
	bool has_fault = str_starts(text, STR("fault:"));
	struct str rest = text, name, argument = STR_NONE;
	if (has_fault)
		(void)str_skip(&rest, STR("fault:"));
	if (!str_cut(&rest, '(', &name)) {
		name = rest;
	} else {
		if (!str_ends(rest, STR(")")))
			return op_fail(
				op, ERR_INVALID, "catalog \"%.*s\" is malformed", STRF(text));
		argument = str_slice(rest, 0, rest.n - 1);
	}
	const struct catalog_driver *driver = driver_find(name);
	if (!driver || driver == &catalog_fault)
		return op_fail(op, ERR_INVALID, "catalog \"%.*s\": no driver \"%.*s\"", STRF(text),
			STRF(name));
	struct catalog *c;
	TRY(driver->open(op, NULL, argument, NULL, &c));
	if (has_fault) {
		enum err e = catalog_fault.open(op, NULL, STR_NONE, c, &c);
		if (e != ERR_NONE) {
			catalog_close(op, c);
			return e;
		}
	}
	*out = c;
	return ERR_NONE;
}

/* The dict block of the first dictmap level of the object stack in `scope`, else the one in `scope`
 * itself; NULL if there is none. */
const struct config_scope *catalog_dict_find(const struct config_scope *scope)
{
	const struct config_scope *level = scope;
	while (config_block_count(level, BLOCK_fs) > 0) {
		level = config_block_at(level, BLOCK_fs, 0);
		if (config_is(level, SET_fs_driver, STR("dictmap")) &&
			config_block_count(level, BLOCK_dict) > 0)
			return config_block_at(level, BLOCK_dict, 0);
	}
	return config_block_count(scope, BLOCK_dict) > 0 ? config_block_at(scope, BLOCK_dict, 0)
							 : NULL;
}

enum err catalog_dict_server(
	struct op *op, const struct config_scope *dict, const struct config_scope **out)
{
	if (config_is(dict, SET_dict_driver, STR("proxy"))) {
		struct str name = config_str(dict, SET_dict_proxy_name);
		const struct config_scope *servers =
			config_block_get(dict, BLOCK_dict_server, STR_NONE);
		dict = config_block_get(servers, BLOCK_dict, name);
		if (!dict)
			return op_fail(op, ERR_INVALID,
				"dict proxy { name = %.*s }: dict_server has no dict of that name",
				STRF(name));
	}
	bool is_cassandra = config_is(dict, SET_dict_driver, STR("cassandra")) ||
			    (config_is(dict, SET_dict_driver, STR("sql")) &&
				    config_is(dict, SET_sql_driver, STR("cassandra")));
	if (!is_cassandra)
		return op_fail(op, ERR_UNSUPPORTED,
			"dict %.*s is no catalog: driver = sql and sql_driver = cassandra are",
			STRF(config_scope_name(dict)));
	*out = dict;
	return ERR_NONE;
}

enum err catalog_open(struct op *op, const struct config_scope *scope, struct catalog **out)
{
	const struct config_scope *dict = catalog_dict_find(scope), *server;
	if (!dict)
		return op_fail(op, ERR_INVALID,
			"no catalog is set: @fs_dictmap_defaults = sqlite, or cassandra");
	struct str name = config_str(dict, SET_dict_driver);
	const struct catalog_driver *driver = driver_find(name);
	if (!driver) {
		TRY(catalog_dict_server(op, dict, &server));
		driver = &catalog_in_cql;
	}
	if (driver == &catalog_fault)
		return op_fail(op, ERR_UNSUPPORTED, "dict_driver = %.*s is no catalog", STRF(name));
	return driver->open(op, dict, STR_NONE, NULL, out);
}
