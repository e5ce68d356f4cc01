/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/checksum.c - what drivers keep beside a value, so that a damaged one is noticed: CRC-32C of
 *   table | length of user (2) | user | mailbox (16) | bucket (4) | kind (4) | name (16)
 *   | length of key (2) | key | value
 * with numbers in little-endian. What a table does not have is zero or empty. Pure. */
#include "base/hash.h"
#include "base/number.h"
#include "catalog/catalog_private.h"

static uint32_t add_text(uint32_t crc, struct str text)
{
	char length[2];
	put_le16(length, (uint16_t)text.n);
	return hash_crc32c(hash_crc32c(crc, (struct str){ length, sizeof(length) }), text);
}

uint32_t catalog_checksum(const struct catalog_place *place, struct str value)
{
	char numbers[8];
	put_le32(numbers, place->bucket);
	put_le32(numbers + 4, place->kind);
	uint32_t crc = hash_crc32c(0, (struct str){ &place->table, 1 });
	crc = add_text(crc, place->user);
	crc = hash_crc32c(crc,
		(struct str){ (const char *)place->mailbox.bytes, sizeof(place->mailbox.bytes) });
	crc = hash_crc32c(crc, (struct str){ numbers, sizeof(numbers) });
	crc = hash_crc32c(
		crc, (struct str){ (const char *)place->name.bytes, sizeof(place->name.bytes) });
	return hash_crc32c(add_text(crc, place->key), value);
}

void catalog_garbage_encode(char out[CATALOG_GARBAGE_BYTES], const struct catalog_garbage *g)
{
	memcpy(out, g->mailbox.bytes, CATALOG_GUID_BYTES);
	put_le32(out + CATALOG_GUID_BYTES, g->bucket);
	memcpy(out + CATALOG_GUID_BYTES + 4, g->row.bytes, CATALOG_NAME_BYTES);
}

bool catalog_garbage_decode(struct str value, struct catalog_garbage *out)
{
	if (value.n != CATALOG_GARBAGE_BYTES)
		return false;
	memcpy(out->mailbox.bytes, value.p, CATALOG_GUID_BYTES);
	out->bucket = get_le32(value.p + CATALOG_GUID_BYTES);
	memcpy(out->row.bytes, value.p + CATALOG_GUID_BYTES + 4, CATALOG_NAME_BYTES);
	return true;
}
