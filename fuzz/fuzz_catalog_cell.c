/* SPDX-License-Identifier: Apache-2.0 */
/* Cells as Cassandra may give them: any bytes are refused or are a value that makes the same cell again,
 * and what was sealed comes back. The first byte chooses the table, the next the length of the key. */
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "catalog/cql_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char tables[] = "hrfg";
	AUTO_ARENA(arena, 0);
	struct str rest = { (const char *)data, size }, value, back;
	struct catalog_garbage entry = { 0 };
	if (size < 2)
		return 0;
	struct catalog_place place = { .table = tables[data[0] % 4], .user = STR("u") };
	(void)str_take(&rest, 2);
	place.key = str_take(&rest, data[1]);
	if (catalog_cql_unseal(&place, rest, &value)) {
		struct cql_value again = catalog_cql_seal(&arena, &place, value);
		ASSERT(str_eq(again.bytes, rest));
	}
	struct cql_value cell = catalog_cql_seal(&arena, &place, rest);
	ASSERT(catalog_cql_unseal(&place, cell.bytes, &back) && str_eq(back, rest));
	if (catalog_garbage_decode(rest, &entry)) {
		char bytes[CATALOG_GARBAGE_BYTES];
		catalog_garbage_encode(bytes, &entry);
		ASSERT(str_eq((struct str){ bytes, sizeof(bytes) }, rest));
	}
	return 0;
}
