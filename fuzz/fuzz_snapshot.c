/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot file from anywhere: it loads or is refused. Most inputs are sections without a file
 * around them, so that the checksums do not keep the fuzzer out: each takes type, items and length
 * from the input. */
#include "store/index/index.h"

#include <stdlib.h>

#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(struct str file)
{
	static const struct catalog_guid box = { { 1 } };
	char *copy = aligned_alloc(
		SNAPSHOT_ALIGN, (file.n + SNAPSHOT_ALIGN) / SNAPSHOT_ALIGN * SNAPSHOT_ALIGN);
	struct index *x = index_new(box);
	AUTO_BUF(text, 0);
	if (file.n)
		memcpy(copy, file.p, file.n);
	if (index_load(x, copy, file.n) == ERR_NONE)
		index_describe(x, &text);
	index_free(x);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct catalog_guid box = { { 1 } };
	struct snapshot_section sections[16];
	size_t count = 0;
	struct str rest = { (const char *)data, size };
	if (size > 0 && data[0] == 'P') {
		load(rest);
		return 0;
	}
	while (count < ARRAY_COUNT(sections) && rest.n >= 5) {
		struct snapshot_section *s = &sections[count++];
		s->type = (enum snapshot_type)rest.p[0];
		s->items = get_le16(rest.p + 1);
		size_t length = get_le16(rest.p + 3);
		(void)str_take(&rest, 5);
		s->bytes = str_take(&rest, length);
	}
	AUTO_BUF(file, 0);
	snapshot_encode(&file, box, sections, count);
	load(buf_str(&file));
	return 0;
}
