/* SPDX-License-Identifier: Apache-2.0 */
/* What a base costs this process: making the bytes of a mailbox's fold, and the fold from the bytes.
 *
 *     base_bench 50000            mails
 *     base_bench 50000 FILE       leaves the manifest there, to see how well it compresses
 *
 * Prints one JSON object: milliseconds of CPU, bytes, and the most memory the process had. The object store is
 * left out: bench/clouds.py and bench/takeover.py time that. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/number.h"
#include "base/random.h"
#include "store/format/name.h"
#include "store/index/index.h"

#define BLOCKS_MAX (BASE_SECTIONS_MAX / 2)

static const struct catalog_guid box = { { 7 } };

static double cpu_ms(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static long peak_kib(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

/* Years of deliveries by a few writers, most of them seen. */
static void fill(struct index *x, uint32_t count)
{
	struct name_clock clock = { .writer = 1 };
	int64_t wall_us = INT64_C(1600000000) * US_PER_SEC;
	struct row_append a = { 0 };
	AUTO_BUF(value, 0);
	for (uint32_t uid = 1; uid <= count; uid++) {
		wall_us += (int64_t)random_below(3600 * US_PER_SEC);
		clock.writer = 1 + uid / 20000;
		a.uid = uid;
		a.modseq = modseq_next(index_modseq(x), wall_us);
		random_bytes(a.oid.bytes, sizeof(a.oid.bytes));
		a.guid = a.oid;
		a.flags = random_below(5) ? 8 : 0;
		a.received_wall_us = a.saved_wall_us = wall_us - (int64_t)random_below(30000);
		a.size_physical = a.length = 2000 + random_below(40000);
		a.size_virtual = a.size_physical + a.size_physical / 50;
		buf_clear(&value);
		row_append_encode(&value, &a);
		struct catalog_row row = { CATALOG_APPEND, uid / 10000, name_mint(&clock, wall_us),
			buf_str(&value), 0 };
		if (index_fold(x, &row) != ERR_NONE)
			exit(1);
	}
}

struct base {
	struct base_meta meta;
	struct buf hot[BLOCKS_MAX], cold[BLOCKS_MAX], file;
	uint32_t counts[BLOCKS_MAX];
	size_t blocks;
};

static void encode(const struct index *x, struct base *b)
{
	struct snapshot_hot *hot = mem_new_array(BASE_BLOCK_MAILS, sizeof(*hot));
	struct snapshot_cold *cold = mem_new_array(BASE_BLOCK_MAILS, sizeof(*cold));
	struct base_section sections[BASE_SECTIONS_MAX];
	uint32_t first = 1, n;
	size_t count = 0;
	AUTO_BUF(meta, 0);
	index_base_meta(x, 0, &b->meta);
	base_meta_encode(&meta, &b->meta);
	sections[count++] = (struct base_section){ BASE_META, 1, buf_str(&meta) };
	while ((n = index_copy_records(x, first, UINT32_MAX, BASE_BLOCK_MAILS, hot, cold)) > 0) {
		size_t at = b->blocks++;
		base_hot_encode(&b->hot[at], hot, n);
		base_cold_encode(&b->cold[at], cold, n);
		b->counts[at] = n;
		first = hot[n - 1].uid + 1;
		sections[count++] = (struct base_section){ BASE_HOT, n, buf_str(&b->hot[at]) };
		sections[count++] = (struct base_section){ BASE_COLD, n, buf_str(&b->cold[at]) };
	}
	base_file_encode(&b->file, box, sections, count);
	mem_free(hot);
	mem_free(cold);
}

static void decode(struct index *x, struct str file)
{
	struct snapshot_hot *hot = mem_new_array(BASE_BLOCK_MAILS, sizeof(*hot));
	struct snapshot_cold *cold = mem_new_array(BASE_BLOCK_MAILS, sizeof(*cold));
	struct base_section s[BASE_SECTIONS_MAX];
	struct base_meta meta;
	size_t count;
	if (base_file_parse(file, box, s, &count) != ERR_NONE ||
		base_meta_decode(s[0].bytes, &meta) != ERR_NONE)
		exit(1);
	index_take_meta(x, &meta);
	for (size_t i = 1; i + 1 < count; i += 2)
		if (base_hot_decode(s[i].bytes, hot, s[i].items) != ERR_NONE ||
			base_cold_decode(s[i + 1].bytes, cold, s[i].items) != ERR_NONE ||
			index_take_records(x, hot, cold, s[i].items) != ERR_NONE)
			exit(1);
	mem_free(hot);
	mem_free(cold);
}

static void write_file(const char *path, struct str bytes)
{
	struct op op;
	AUTO_ARENA(arena, 0);
	AUTO_FD(fd, open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (fd < 0 || file_write_all(&op, fd, bytes) != ERR_NONE)
		exit(1);
}

int main(int argc, char **argv)
{
	uint32_t count;
	static struct base b;
	if (argc < 2 || !number_parse_u32(str_from(argv[1]), &count) || count == 0 ||
		count > BASE_BLOCK_MAILS * (BLOCKS_MAX - 1)) {
		fprintf(stderr, "usage: base_bench MAILS [FILE]\n");
		return 1;
	}
	struct index *x = index_new(box), *y = index_new(box);
	fill(x, count);
	long filled_kib = peak_kib();
	double start = cpu_ms();
	encode(x, &b);
	double made = cpu_ms();
	long made_kib = peak_kib();
	decode(y, buf_str(&b.file));
	double opened = cpu_ms();
	size_t hot = 0, cold = 0;
	for (size_t i = 0; i < b.blocks; i++) {
		hot += b.hot[i].n;
		cold += b.cold[i].n;
	}
	printf("{\"mails\": %" PRIu32 ", \"make_ms\": %.1f, \"open_ms\": %.1f, \"bytes\": %zu, "
	       "\"hot_bytes_a_mail\": %.1f, \"cold_bytes_a_mail\": %.1f, \"peak_kib\": "
	       "{\"filled\": %ld, \"made\": %ld, \"opened\": %ld}}\n",
		count, made - start, opened - made, b.file.n, (double)hot / count,
		(double)cold / count, filled_kib, made_kib, peak_kib());
	if (argc > 2)
		write_file(argv[2], buf_str(&b.file));
	return 0;
}
