/* SPDX-License-Identifier: Apache-2.0 */
/* A base from anywhere: each part is taken or refused. Most inputs are sections without a file around
 * them, so that the checksums do not keep the fuzzer out: each takes type, items and length from the
 * input. */
#include "store/index/index.h"

#include "fuzz_sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct catalog_guid box = { { 1 } };

static void take_block(
	struct index *x, const struct base_section *hot, const struct base_section *cold)
{
	uint32_t count = hot->items;
	if (cold->type != BASE_COLD || cold->items != count || !base_count_is_possible(hot) ||
		!base_count_is_possible(cold) || count == 0)
		return;
	struct snapshot_hot *h = mem_new_array(count, sizeof(*h));
	struct snapshot_cold *c = mem_new_array(count, sizeof(*c));
	if (base_hot_decode(hot->bytes, h, count) == ERR_NONE &&
		base_cold_decode(cold->bytes, c, count) == ERR_NONE)
		(void)(index_take_records(x, h, c, count) == ERR_NONE);
	mem_free(h);
	mem_free(c);
}

static void take_other(struct index *x, const struct base_section *s)
{
	struct base_meta meta;
	struct base_segment segment;
	struct str rest = s->bytes;
	if (s->type == BASE_META && base_meta_decode(s->bytes, &meta) == ERR_NONE)
		index_take_meta(x, &meta);
	while (s->type == BASE_SEGMENTS && base_segment_next(&rest, &segment))
		;
	if (s->type == BASE_SUMMARIES) {
		struct base_summary *items = mem_new_array(MAX(s->items, 1), sizeof(*items));
		(void)(base_summaries_decode(s->bytes, items, s->items) == ERR_NONE);
		mem_free(items);
	}
	(void)(index_take_section(x, s) == ERR_NONE);
}

static void load(struct str file)
{
	struct base_section sections[BASE_SECTIONS_MAX];
	size_t count;
	struct index *x = index_new(box);
	AUTO_BUF(text, 0);
	if (base_file_parse(file, box, sections, &count) == ERR_NONE) {
		for (size_t i = 0; i < count; i++) {
			if (sections[i].type == BASE_HOT && i + 1 < count)
				take_block(x, &sections[i], &sections[i + 1]);
			else
				take_other(x, &sections[i]);
		}
		index_describe(x, &text);
	}
	index_free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct base_section sections[16];
	struct head_base head;
	size_t count = 0;
	struct str rest = { (const char *)data, size };
	(void)(head_base_decode(rest, &head) == ERR_NONE);
	if (size > 0 && data[0] == 'P') {
		load(rest);
		return 0;
	}
	struct fuzz_section s;
	while (count < ARRAY_COUNT(sections) && fuzz_section_cut(&rest, &s))
		sections[count++] = (struct base_section){
			.type = (enum base_type)s.type, .items = s.items, .bytes = s.bytes
		};
	AUTO_BUF(file, 0);
	base_file_encode(&file, box, sections, count);
	load(buf_str(&file));
	return 0;
}
