/* SPDX-License-Identifier: Apache-2.0 */
/* The account of local state as a file: content behind a right checksum, which is what damage alone would
 * never get past, and settings of weights. What is read is written again the same. */
#include "base/hash.h"
#include "base/number.h"
#include "store/cache/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct op op;
	struct cache c, again;
	struct cache_weights w;
	bool is_clean;
	char sum[4];
	AUTO_ARENA(arena, 16 << 20);
	AUTO_BUF(file, 0);
	AUTO_BUF(copy, 0);
	struct str in = { (const char *)data, size };
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (cache_weights_parse(&op, in, in, &w) == ERR_NONE)
		(void)cache_size_boost(&w, size);
	cache_init(&c);
	cache_init(&again);
	(void)(cache_userdb_read(&op, in, &c, &is_clean) == ERR_NONE);
	buf_put(&file, in);
	put_le32(sum, hash_crc32c(0, in));
	buf_put(&file, (struct str){ sum, sizeof(sum) });
	if (cache_userdb_read(&op, buf_str(&file), &c, &is_clean) == ERR_NONE) {
		cache_userdb_put_head(&copy);
		for (size_t i = 0; i < c.users.count; i++)
			cache_userdb_put_user(&copy, c.users_all[i]);
		cache_userdb_put_tail(&copy, is_clean);
		ASSERT(cache_userdb_read(&op, buf_str(&copy), &again, &is_clean) == ERR_NONE);
		ASSERT(again.users.count == c.users.count);
		ASSERT(memcmp(again.bytes, c.bytes, sizeof(c.bytes)) == 0);
	}
	cache_done(&again);
	cache_done(&c);
	return 0;
}
