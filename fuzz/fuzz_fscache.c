/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the cache of objects: any bytes are refused, or are a head and blocks that lie inside them;
 * what was written here is good. */
#include "objects/fscache_entry.h"

#include "objects/objects_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t good_blocks(struct str file)
{
	struct fscache_head h;
	uint64_t good = 0;
	if (!fscache_head_read(file, file.n, &h))
		return UINT64_MAX;
	ASSERT(h.head_size + h.body_size == file.n && h.key.n <= OBJECTS_KEY_MAX);
	struct str rest = str_slice(file, h.head_size, file.n);
	for (uint64_t i = 0; rest.n; i++)
		good += fscache_block_is_good(&h, i, str_take(&rest, FSCACHE_BLOCK));
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct buf file;
	(void)good_blocks(in);
	buf_init(&file, 0);
	fscache_head_write(&file, STR("user/mails/key"), in);
	buf_put(&file, in);
	ASSERT(good_blocks(buf_str(&file)) == (size + FSCACHE_BLOCK - 1) / FSCACHE_BLOCK);
	buf_done(&file);
	return 0;
}
