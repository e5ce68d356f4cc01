/* SPDX-License-Identifier: Apache-2.0 */
/* objects/fscache_entry.c - see fscache_entry.h.
 *
 *   0 magic:8  body bytes:8  blocks:4  key bytes:2  zero:2  crc32c of the rest of the head:4
 *  28 crc32c of the bytes before:4   32 key   then crc32c of each block:4   then the body */
#include "objects/fscache_entry.h"

#include "base/hash.h"
#include "base/number.h"
#include "objects/objects_private.h"

#define MAGIC "PFSC\1\r\n\0"

static uint64_t block_count(uint64_t body_size)
{
	return (body_size + FSCACHE_BLOCK - 1) / FSCACHE_BLOCK;
}

size_t fscache_head_size(struct str fixed)
{
	if (fixed.n < FSCACHE_FIXED || !str_starts(fixed, STR(MAGIC)))
		return 0;
	uint64_t body = get_le64(fixed.p + 8);
	uint32_t blocks = get_le32(fixed.p + 16);
	uint16_t key = get_le16(fixed.p + 20);
	if (get_le16(fixed.p + 22) != 0 || body > FSCACHE_BODY_MAX || key == 0 ||
		key > OBJECTS_KEY_MAX || blocks != block_count(body) ||
		get_le32(fixed.p + 28) != hash_crc32c(0, str_slice(fixed, 0, 28)))
		return 0;
	return FSCACHE_FIXED + key + 4 * (size_t)blocks;
}

bool fscache_head_read(struct str bytes, uint64_t file_size, struct fscache_head *out)
{
	size_t size = fscache_head_size(bytes);
	if (size == 0 || bytes.n < size)
		return false;
	struct str rest = str_slice(bytes, FSCACHE_FIXED, size);
	if (get_le32(bytes.p + 24) != hash_crc32c(0, rest))
		return false;
	struct fscache_head h = { .head_size = size, .body_size = get_le64(bytes.p + 8) };
	h.key = str_take(&rest, get_le16(bytes.p + 20));
	h.checks = rest;
	if (h.body_size != file_size - size)
		return false;
	*out = h;
	return true;
}

bool fscache_block_is_good(const struct fscache_head *h, uint64_t number, struct str block)
{
	if (number >= block_count(h->body_size))
		return false;
	uint64_t size = MIN(h->body_size - number * FSCACHE_BLOCK, FSCACHE_BLOCK);
	return block.n == size && get_le32(h->checks.p + 4 * number) == hash_crc32c(0, block);
}

void fscache_head_write(struct buf *out, struct str key, struct str body)
{
	char fixed[FSCACHE_FIXED] = MAGIC;
	size_t before = out->n;
	ASSERT(key.n <= OBJECTS_KEY_MAX && body.n <= FSCACHE_BODY_MAX);
	put_le64(fixed + 8, body.n);
	put_le32(fixed + 16, (uint32_t)block_count(body.n));
	put_le16(fixed + 20, (uint16_t)key.n);
	buf_put(out, (struct str){ fixed, sizeof(fixed) });
	buf_put(out, key);
	while (body.n) {
		char check[4];
		put_le32(check, hash_crc32c(0, str_take(&body, FSCACHE_BLOCK)));
		buf_put(out, (struct str){ check, sizeof(check) });
	}
	struct str rest = str_slice(buf_str(out), before + FSCACHE_FIXED, out->n);
	put_le32(out->p + before + 24, hash_crc32c(0, rest));
	put_le32(
		out->p + before + 28, hash_crc32c(0, str_slice(buf_str(out), before, before + 28)));
}
