/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot file from anywhere: it loads or is refused. Most inputs are sections without a file
 * around them, so that the checksums do not keep the fuzzer out: each takes type, items and length
 * from the input. */
#include "store/index/index.h"

#include <stdlib.h>

#include "fuzz_sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct catalog_guid box = { { 1 } };

static void load(struct str file)
{
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
	struct snapshot_section sections[16];
	size_t count = 0;
	struct str rest = { (const char *)data, size };
	if (size > 0 && data[0] == 'P') {
		load(rest);
		return 0;
	}
	struct fuzz_section s;
	while (count < ARRAY_COUNT(sections) && fuzz_section_cut(&rest, &s))
		sections[count++] = (struct snapshot_section){
			.type = (enum snapshot_type)s.type, .items = s.items, .bytes = s.bytes
		};
	AUTO_BUF(file, 0);
	snapshot_encode(&file, box, sections, count);
	load(buf_str(&file));
	return 0;
}
