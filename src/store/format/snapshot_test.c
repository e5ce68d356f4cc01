/* SPDX-License-Identifier: Apache-2.0 */
#include "store/format/snapshot.h"

#include "base/hash.h"
#include "base/test.h"

static const struct catalog_guid box = { { 1, 2, 3 } };

static void build(struct buf *out)
{
	static struct snapshot_hot hot[3] = { { .uid = 1 }, { .uid = 2, .flags = 8 },
		{ .uid = 9 } };
	static struct snapshot_cold cold[3] = { { .size_virtual = 5 } };
	AUTO_BUF(meta, 0);
	snapshot_meta_encode(&meta, &(struct snapshot_meta){ .next_uid = 10, .modseq = 77 });
	struct snapshot_section sections[] = {
		{ SNAPSHOT_META, 1, buf_str(&meta) },
		{ SNAPSHOT_HOLES, 0, STR("") },
		{ SNAPSHOT_HOT, 3, { (const char *)hot, sizeof(hot) } },
		{ SNAPSHOT_COLD, 3, { (const char *)cold, sizeof(cold) } },
		{ (enum snapshot_type)99, 1, STR("of a later version") },
	};
	snapshot_encode(out, box, sections, ARRAY_COUNT(sections));
}

static void sections_come_back_aligned(void **state)
{
	(void)state;
	AUTO_BUF(file, 0);
	build(&file);
	size_t count;
	assert_ok(snapshot_parse(buf_str(&file), box, &count));
	assert_int_equal(count, 5);
	struct snapshot_section hot = snapshot_get(buf_str(&file), 2);
	assert_int_equal(hot.type, SNAPSHOT_HOT);
	assert_int_equal(hot.items, 3);
	assert_int_equal((size_t)(hot.bytes.p - file.p) % SNAPSHOT_ALIGN, 0);
	struct snapshot_hot third;
	memcpy(&third, hot.bytes.p + 2 * sizeof(third), sizeof(third));
	assert_int_equal(third.uid, 9);
	struct snapshot_meta meta;
	assert_ok(snapshot_meta_decode(snapshot_get(buf_str(&file), 0).bytes, &meta));
	assert_int_equal(meta.next_uid, 10);
	assert_str(snapshot_get(buf_str(&file), 4).bytes, STR("of a later version"));
}

static void every_damaged_byte_is_found(void **state)
{
	(void)state;
	AUTO_BUF(file, 0);
	build(&file);
	size_t count, harmless = 0;
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 0x40;
		if (snapshot_parse(buf_str(&file), box, &count) == ERR_NONE)
			harmless++; /* padding between sections */
		file.p[i] ^= 0x40;
	}
	assert_true(harmless < 7 * SNAPSHOT_ALIGN);
	for (size_t n = 0; n < file.n; n++)
		assert_err(snapshot_parse((struct str){ file.p, n }, box, &count), ERR_CORRUPT);
	struct catalog_guid other = { { 9 } };
	assert_err(snapshot_parse(buf_str(&file), other, &count), ERR_CORRUPT);
}

/* The file's checksum over a known content: the layout cannot change unnoticed. */
static void the_layout_is_golden(void **state)
{
	(void)state;
	AUTO_BUF(file, 0);
	build(&file);
	assert_int_equal(file.n, 832);
	assert_int_equal(hash_crc32c(0, buf_str(&file)), 0xd4de0638);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_come_back_aligned),
		cmocka_unit_test(every_damaged_byte_is_found),
		cmocka_unit_test(the_layout_is_golden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
