/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/base.h"

#include "base/random.h"
#include "base/test.h"
#include "store/format/name.h"

#define MAILS 3000

static const struct catalog_guid box = { { 1, 2, 3 } };

struct mails {
	struct snapshot_hot hot[MAILS];
	struct snapshot_cold cold[MAILS];
};

static struct mails *mails_new(bool is_wild)
{
	struct mails *m = MEM_NEW(struct mails);
	struct name_clock clock = { .writer = 7 };
	int64_t wall_us = INT64_C(1700000000) * US_PER_SEC;
	uint32_t uid = 0;
	uint64_t modseq = 0;
	for (size_t i = 0; i < MAILS; i++) {
		struct snapshot_cold *c = &m->cold[i];
		uid += 1 + (random_below(10) == 0 ? (uint32_t)random_below(100) : 0);
		wall_us += (int64_t)random_below(900 * US_PER_SEC);
		modseq = modseq_next(modseq, wall_us);
		clock.writer = is_wild ? (uint32_t)random_u64() : 7;
		m->hot[i] = (struct snapshot_hot){ .uid = uid,
			.modseq = is_wild ? random_u64() : modseq,
			.flags = (uint8_t)random_below(32),
			.keywords = random_below(20) == 0 ? random_u64() : 0 };
		c->name = name_mint(&clock, wall_us);
		random_bytes(&c->oid, sizeof(c->oid));
		c->guid = c->oid;
		if (is_wild)
			random_bytes(&c->guid, sizeof(c->guid));
		c->saved_wall_us = is_wild ? (int64_t)random_u64() : wall_us - 3000;
		c->received_wall_us = is_wild ? (int64_t)random_u64() : wall_us - 3000;
		c->bucket = (uint32_t)(i / 1000);
		c->size_physical =
			is_wild ? (uint32_t)random_u64() : 2000 + (uint32_t)random_below(9000);
		c->size_virtual = is_wild ? (uint32_t)random_u64() : c->size_physical + 80;
		c->length = is_wild ? (uint32_t)random_u64() : c->size_physical;
		c->offset = is_wild ? (uint32_t)random_u64() : 0;
	}
	return m;
}

static void check_blocks(bool is_wild)
{
	struct mails *m = mails_new(is_wild), *back = MEM_NEW(struct mails);
	AUTO_BUF(hot, 0);
	AUTO_BUF(cold, 0);
	base_hot_encode(&hot, m->hot, MAILS);
	base_cold_encode(&cold, m->cold, MAILS);
	assert_ok(base_hot_decode(buf_str(&hot), back->hot, MAILS));
	assert_ok(base_cold_decode(buf_str(&cold), back->cold, MAILS));
	assert_memory_equal(m, back, sizeof(*m));
	if (!is_wild) {
		assert_true(hot.n < 9 * MAILS);
		assert_true(cold.n < 42 * MAILS);
	}
	/* Another count, or a byte less or more, is damage. */
	assert_err(base_hot_decode(buf_str(&hot), back->hot, MAILS - 1), ERR_CORRUPT);
	assert_err(base_cold_decode(buf_str(&cold), back->cold, MAILS - 1), ERR_CORRUPT);
	for (size_t cut = 1; cut < hot.n; cut = cut * 2)
		assert_err(base_hot_decode((struct str){ hot.p, hot.n - cut }, back->hot, MAILS),
			ERR_CORRUPT);
	for (size_t cut = 1; cut < cold.n; cut = cut * 2)
		assert_err(
			base_cold_decode((struct str){ cold.p, cold.n - cut }, back->cold, MAILS),
			ERR_CORRUPT);
	mem_free(m);
	mem_free(back);
}

static void blocks_come_back(void **state)
{
	(void)state;
	check_blocks(false);
	check_blocks(true);
}

static void lists_come_back(void **state)
{
	(void)state;
	struct snapshot_tombstone tombs[50], tombs_back[50];
	struct snapshot_stamp stamps[50], stamps_back[50];
	struct base_summary texts[50], texts_back[51];
	struct name_clock clock = { .writer = 9 };
	memset(tombs, 0, sizeof(tombs));
	for (uint32_t i = 0; i < 50; i++) {
		tombs[i].name = name_mint(&clock, 1000 * i);
		tombs[i].modseq = 100 + i;
		tombs[i].uid = i % 3 ? i : 0;
		stamps[i] = (struct snapshot_stamp){ random_u64(), (uint32_t)random_u64(), i % 72 };
		texts[i] = (struct base_summary){ 3 * i + 1, (uint32_t)random_u64(), i * 100,
			(uint32_t)random_u64() };
	}
	AUTO_BUF(t, 0);
	AUTO_BUF(s, 0);
	AUTO_BUF(x, 0);
	base_tombstones_encode(&t, tombs, 50);
	base_stamps_encode(&s, stamps, 50);
	base_summaries_encode(&x, texts, 50);
	assert_ok(base_tombstones_decode(buf_str(&t), tombs_back, 50));
	assert_ok(base_stamps_decode(buf_str(&s), stamps_back, 50));
	assert_ok(base_summaries_decode(buf_str(&x), texts_back, 50));
	assert_memory_equal(tombs, tombs_back, sizeof(tombs));
	assert_memory_equal(stamps, stamps_back, sizeof(stamps));
	assert_memory_equal(texts, texts_back, sizeof(texts));
	assert_err(base_stamps_decode(buf_str(&s), stamps_back, 49), ERR_CORRUPT);
	assert_err(base_summaries_decode(buf_str(&x), texts_back, 51), ERR_CORRUPT);
}

static void every_damaged_byte_is_found(void **state)
{
	(void)state;
	AUTO_BUF(file, 0);
	AUTO_BUF(meta, 0);
	struct base_meta m = { .next_uid = 10, .modseq = 77, .messages = 2 }, back;
	struct base_section out[BASE_SECTIONS_MAX];
	size_t count;
	base_meta_encode(&meta, &m);
	const struct base_section sections[] = {
		{ BASE_META, 1, buf_str(&meta) },
		{ BASE_HOLES, 0, STR("") },
		{ (enum base_type)99, 3, STR("of a later version") },
	};
	base_file_encode(&file, box, sections, ARRAY_COUNT(sections));
	assert_ok(base_file_parse(buf_str(&file), box, out, &count));
	assert_int_equal(count, 3);
	assert_ok(base_meta_decode(out[0].bytes, &back));
	assert_int_equal(back.modseq, 77);
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 0x40;
		assert_true(base_file_parse(buf_str(&file), box, out, &count) != ERR_NONE);
		file.p[i] ^= 0x40;
	}
	for (size_t n = 0; n < file.n; n++)
		assert_err(
			base_file_parse((struct str){ file.p, n }, box, out, &count), ERR_CORRUPT);
	static const struct catalog_guid other = { { 9 } };
	assert_err(base_file_parse(buf_str(&file), other, out, &count), ERR_CORRUPT);
}

static void heads_and_segments_come_back(void **state)
{
	(void)state;
	struct head_base h, back;
	char key[HEAD_BASE_SIZE];
	uint32_t writer = 5;
	memset(&h, 0, sizeof(h));
	memset(&back, 0, sizeof(back));
	random_bytes(&h.base.id, sizeof(h.base.id));
	h.base.made_wall_us = 99;
	h.previous.made_wall_us = 98;
	h.drop.made_wall_us = 97;
	h.dropped = name_at_ms(55);
	h.dropped_bucket = 3;
	h.bucket = 4;
	h.has_own_flags = true;
	h.next_uid = 9;
	h.modseq = UINT64_MAX;
	h.counters = (struct head_counters){ 1, 2, 3, 4, 5 };
	AUTO_BUF(value, 0);
	head_base_encode(&value, &h);
	assert_ok(head_base_decode(buf_str(&value), &back));
	assert_memory_equal(&h, &back, sizeof(h));
	for (size_t n = 0; n < value.n; n++)
		assert_err(head_base_decode((struct str){ value.p, n }, &back), ERR_CORRUPT);
	value.p[0] = 9;
	assert_err(head_base_decode(buf_str(&value), &back), ERR_UNSUPPORTED);
	assert_str(head_base_key(0, key), STR("base"));
	assert_true(head_is_base_key(STR("base"), &writer));
	assert_int_equal(writer, 0);
	assert_true(head_is_base_key(head_base_key(0xabcd, key), &writer));
	assert_int_equal(writer, 0xabcd);
	assert_false(head_is_base_key(STR("base/"), &writer));
	assert_false(head_is_base_key(STR("based"), &writer));

	struct base_segment s = { .type = BASE_COLD,
		.is_retired = true,
		.first_uid = 3,
		.last_uid = 9,
		.count = 5,
		.bytes = 1000,
		.hash = UINT64_MAX },
			    t = { 0 };
	AUTO_BUF(bytes, 0);
	base_segment_encode(&bytes, &s);
	struct str rest = buf_str(&bytes);
	assert_true(base_segment_next(&rest, &t));
	assert_memory_equal(&s, &t, sizeof(s));
	assert_false(base_segment_next(&rest, &t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_back),
		cmocka_unit_test(lists_come_back),
		cmocka_unit_test(every_damaged_byte_is_found),
		cmocka_unit_test(heads_and_segments_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
