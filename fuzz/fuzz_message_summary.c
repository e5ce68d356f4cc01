/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/fuzz_message_summary.c - any bytes as a stored summary: refused, or a tree inside the mail in
 * which sections can be looked up. */
#include "base/base.h"
#include "message/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sections[] = { "", "1", "2.1", "1.HEADER", "2.MIME",
		"1.1.1.TEXT" };
	struct message_summary summary;
	struct message_tree tree;
	struct message_span span;
	AUTO_ARENA(a, 0);

	if (message_summary_decode((struct str){ (const char *)data, size }, &summary) !=
			ERR_NONE ||
		message_summary_tree(&a, &summary, &tree) != ERR_NONE)
		return 0;
	ASSERT(tree.parts[0].end == tree.count);
	for (uint32_t i = 0; i < tree.count; i++) {
		const struct message_part *part = &tree.parts[i];
		ASSERT(part->body.offset <= summary.physical_size);
		ASSERT(part->body.size <= summary.physical_size - part->body.offset);
	}
	for (size_t i = 0; i < ARRAY_COUNT(sections); i++)
		if (message_section_find(&tree, str_from(sections[i]), &span) == ERR_NONE)
			ASSERT(span.offset + span.size <= summary.physical_size);
	return 0;
}
