/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/cql_cell.c - values as cells of Cassandra: the value, and its checksum in four bytes behind it,
 * little-endian. Pure: no client, no waits. */
#include "base/number.h"
#include "catalog/cql_private.h"

#define CHECKSUM_BYTES 4

struct cql_value catalog_cql_seal(
	struct arena *a, const struct catalog_place *place, struct str value)
{
	char *cell = arena_alloc(a, value.n + CHECKSUM_BYTES);
	if (value.n)
		memcpy(cell, value.p, value.n);
	put_le32(cell + value.n, catalog_checksum(place, value));
	return cql_blob((struct str){ cell, value.n + CHECKSUM_BYTES });
}

bool catalog_cql_unseal(const struct catalog_place *place, struct str cell, struct str *out)
{
	if (cell.n < CHECKSUM_BYTES || cell.n - CHECKSUM_BYTES > CATALOG_VALUE_MAX)
		return false;
	struct str value = str_slice(cell, 0, cell.n - CHECKSUM_BYTES);
	if (get_le32(cell.p + value.n) != catalog_checksum(place, value))
		return false;
	*out = value;
	return true;
}
