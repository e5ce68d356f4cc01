/* SPDX-License-Identifier: Apache-2.0 */
/* metacache_userdb: the account as bytes (docs/formats/local.md).
 *
 *   head  "PMUSERS1"
 *   user  varint name length, name, service, is_counted; for each priority: bytes, last access, change
 *   tail  varint 0, is_clean, CRC-32C of all before it (4 bytes, little-endian) */
#include "base/hash.h"
#include "base/number.h"
#include "store/cache/cache.h"

#define MAGIC          STR("PMUSERS1")
#define MAGIC_KIND     STR("PMUSERS")
#define NAME_MAX_BYTES 255

void cache_userdb_put_head(struct buf *out)
{
	buf_put(out, MAGIC);
}

void cache_userdb_put_user(struct buf *out, const struct cache_user *u)
{
	number_put_counted(out, u->name);
	buf_put_byte(out, (char)u->service);
	buf_put_byte(out, (char)u->is_counted);
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		number_put_varint(out, u->units[p].bytes);
		number_put_varint(out, u->units[p].access_s);
		buf_put_byte(out, (char)u->units[p].change);
	}
}

void cache_userdb_put_tail(struct buf *out, bool is_clean)
{
	char sum[4];
	number_put_varint(out, 0);
	buf_put_byte(out, (char)is_clean);
	put_le32(sum, hash_crc32c(0, buf_str(out)));
	buf_put(out, (struct str){ sum, sizeof(sum) });
}

static bool cut_byte(struct str *rest, uint8_t max, uint8_t *out)
{
	struct str byte = str_take(rest, 1);
	if (byte.n == 0 || (uint8_t)byte.p[0] > max)
		return false;
	*out = (uint8_t)byte.p[0];
	return true;
}

/* `u` has no name of its own: it lies in the file. */
static bool cut_user(struct str *rest, struct cache_user *u)
{
	uint8_t is_counted;
	uint64_t access;
	if (!number_cut_counted(rest, &u->name) || u->name.n > NAME_MAX_BYTES ||
		!cut_byte(rest, CACHE_BY_LMTP, &u->service) || !cut_byte(rest, 1, &is_counted))
		return false;
	u->is_counted = is_counted;
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		struct cache_unit *unit = &u->units[p];
		if (!number_cut_varint(rest, &unit->bytes) || unit->bytes > INT64_MAX ||
			!number_cut_varint(rest, &access) || access > UINT32_MAX ||
			!cut_byte(rest, CACHE_IMPORTANT, &unit->change))
			return false;
		unit->access_s = (uint32_t)access;
	}
	return true;
}

/* Who is known already was here since: what the file says of him is older. */
static void keep_user(struct cache *c, const struct cache_user *read)
{
	if (cache_find(c, read->name))
		return;
	struct cache_user *u = cache_add(c, read->name);
	u->service = read->service;
	u->is_counted = read->is_counted;
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		cache_set_bytes(c, u, (enum cache_priority)p, read->units[p].bytes);
		u->units[p] = read->units[p];
		if (read->units[p].change != CACHE_UNCHANGED)
			u->changed_us = 1; /* long ago */
	}
}

/* Users up to the tail, into `c` if that is not NULL. */
static bool walk(struct str rest, struct cache *c, uint8_t *out_is_clean)
{
	while (rest.n > 0 && rest.p[0] != 0) {
		struct cache_user u = { 0 };
		if (!cut_user(&rest, &u))
			return false;
		if (c)
			keep_user(c, &u);
	}
	(void)str_take(&rest, 1);
	return cut_byte(&rest, 1, out_is_clean) && rest.n == 0;
}

enum err cache_userdb_read(struct op *op, struct str file, struct cache *c, bool *out_is_clean)
{
	struct str rest = file;
	uint8_t is_clean;
	if (!str_skip(&rest, MAGIC))
		return str_starts(file, MAGIC_KIND)
			       ? op_fail(op, ERR_UNSUPPORTED, "the file is of a newer version")
			       : op_fail(op, ERR_CORRUPT, "this is no file of users");
	if (rest.n < 4 ||
		get_le32(file.p + file.n - 4) != hash_crc32c(0, str_slice(file, 0, file.n - 4)))
		return op_fail(op, ERR_CORRUPT, "the checksum is wrong");
	rest.n -= 4;
	if (!walk(rest, NULL, &is_clean))
		return op_fail(op, ERR_CORRUPT, "the checksum is right, the content is not");
	(void)walk(rest, c, &is_clean);
	*out_is_clean = is_clean;
	return ERR_NONE;
}
