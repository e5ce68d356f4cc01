/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/drivers.c - the list of drivers, and opening one from text.
 *
 * To extend: write x.c with a `const struct catalog_driver`, declare it in catalog_private.h, add it
 * here. contract_test.c runs against every entry. */
#include "base/number.h"
#include "catalog/catalog_private.h"

const struct catalog_driver *const catalog_drivers[] = { &catalog_fault, &catalog_mem,
	&catalog_sqlite, NULL };

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
