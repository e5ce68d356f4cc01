/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's calls of the catalog cost: time and CPU of this process, and requests.
 *
 *     catalog_bench "cql(127.0.0.1:9042,bench,4,x/)"      makes the tables if they are missing
 *     catalog_bench "sqlite(/tmp/bench,4)"
 *
 * Prints one JSON object per line. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/number.h"
#include "catalog/catalog.h"
#include "catalog/schema.h"
#include "task/task.h"

#define WRITES     3000
#define TAIL_ROWS  10000
#define CORE_BYTES 150
#define SUMMARY    1100

static struct catalog *catalog;
static char value_bytes[CORE_BYTES + SUMMARY];
static unsigned next_write;

static void fail(const struct op *op, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, op->failure.text);
	exit(1);
}

static double cpu_ms(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

struct measure {
	const char *name;
	int64_t at_us;
	double cpu_ms;
	uint64_t commits;
};

static struct measure measure_begin(const char *name)
{
	return (struct measure){ name, now_us(), cpu_ms(), catalog_counters(catalog).commits };
}

static void measure_end(const struct measure *m, unsigned count)
{
	double ms = (double)(now_us() - m->at_us) / 1000;
	printf("{\"what\": \"%s\", \"count\": %u, \"ms_each\": %.3f, \"per_second\": %.0f, "
	       "\"cpu_ms_each\": %.4f, \"write_requests_each\": %.3f}\n",
		m->name, count, ms / count, count * 1000 / ms, (cpu_ms() - m->cpu_ms) / count,
		(double)(catalog_counters(catalog).commits - m->commits) / count);
}

static struct catalog_change append(uint64_t n, uint32_t bucket)
{
	struct catalog_change c = { .kind = CATALOG_PUT_ROW,
		.row = { .kind = CATALOG_APPEND,
			.bucket = bucket,
			.value = { value_bytes, sizeof(value_bytes) },
			.fading_bytes = SUMMARY } };
	c.mailbox.bytes[0] = 1;
	put_be64(c.row.name.bytes, n);
	return c;
}

/* ---- deliveries: one row each ---- */

static enum err write_some(struct op *op, void *arg)
{
	const unsigned *count = arg;
	while (next_write < *count) {
		struct catalog_change change = append(++next_write, 0);
		struct str user = str_printf(op->arena, "user%u", next_write % 100);
		TRY(catalog_write(op, catalog, user, &change, 1));
	}
	return ERR_NONE;
}

static void write_by(struct op *op, unsigned parallel)
{
	char name[32];
	unsigned count = parallel == 1 ? WRITES / 3 : WRITES;
	snprintf(name, sizeof(name), "append x%u", parallel);
	next_write = 0;
	struct measure m = measure_begin(name);
	struct task_group *g = task_group_new(op);
	for (unsigned i = 0; i < parallel; i++)
		task_group_start(g, "writer", write_some, &count);
	if (task_group_finish(op, g) != ERR_NONE)
		fail(op, name);
	measure_end(&m, count);
}

/* ---- a mailbox ---- */

static enum err see(struct op *op, const struct catalog_row *row, void *arg)
{
	(void)op;
	(void)row;
	(*(unsigned *)arg)++;
	return ERR_NONE;
}

static void tails(struct op *op)
{
	enum { PIECE = 100 };
	struct catalog_change changes[PIECE];
	struct catalog_name after = { { 0 } };
	struct catalog_head *heads;
	size_t head_count;
	unsigned seen = 0;
	struct measure m = measure_begin("rows in groups");
	for (uint64_t n = 0; n < TAIL_ROWS; n += PIECE) {
		for (uint64_t i = 0; i < PIECE; i++)
			changes[i] = append(n + i + 1, 0);
		if (catalog_write(op, catalog, STR("tail"), changes, PIECE) != ERR_NONE)
			fail(op, "rows");
	}
	measure_end(&m, TAIL_ROWS);
	m = measure_begin("tail of 10000 rows");
	if (catalog_read_rows(op, catalog, STR("tail"), changes[0].mailbox, 0, 1, after, see,
		    &seen) != ERR_NONE ||
		seen != TAIL_ROWS)
		fail(op, "tail");
	measure_end(&m, 1);
	put_be64(after.bytes, TAIL_ROWS - 5);
	m = measure_begin("tail of 5 rows");
	for (unsigned i = 0; i < 300; i++)
		if (catalog_read_rows(op, catalog, STR("tail"), changes[0].mailbox, 0, 1, after,
			    see, &seen) != ERR_NONE)
			fail(op, "tail");
	measure_end(&m, 300);
	m = measure_begin("heads");
	for (unsigned i = 0; i < 300; i++)
		if (catalog_read_heads(op, catalog, STR("tail"), &heads, &head_count) != ERR_NONE)
			fail(op, "heads");
	measure_end(&m, 300);
}

/* An expunge of 1000 mails: entries of the queue, then the rows. */
static void expunge(struct op *op)
{
	enum { COUNT = 1000 };
	struct catalog_change *changes =
		ARENA_NEW_ARRAY(op->arena, struct catalog_change, 2 * COUNT);
	for (uint64_t i = 0; i < COUNT; i++) {
		changes[i] = append(i + 1, 0);
		changes[i].kind = CATALOG_PUT_GARBAGE;
		changes[i].object = str_printf(op->arena, "%032x", (unsigned)i);
		put_be64(changes[i].queued.bytes, (uint64_t)(now_wall_us() / US_PER_MS) << 16);
		changes[COUNT + i] = append(i + 1, 0);
		changes[COUNT + i].kind = CATALOG_DELETE_ROW;
		changes[i].row.value = changes[COUNT + i].row.value = STR_NONE;
	}
	struct measure m = measure_begin("expunge of 1000");
	if (catalog_write(op, catalog, STR("tail"), changes, 2 * COUNT) != ERR_NONE)
		fail(op, "expunge");
	measure_end(&m, 1);
}

static void prepare(struct op *op, struct str text)
{
	const struct catalog_schema_wanted wanted = { .replication = STR("1") };
	AUTO_BUF(out, 0);
	if (!str_starts(text, STR("cql(")))
		return;
	struct str argument = str_slice(text, 4, text.n - 1);
	if (catalog_schema_make_text(op, argument, &wanted, &out) != ERR_NONE)
		fail(op, "making the tables");
}

static void bench_task(void *arg)
{
	static const unsigned parallel[] = { 1, 8, 32 };
	struct op *op = arg;
	struct catalog_change warm = append(1, 0);
	prepare(op, op->doing);
	if (catalog_open_text(op, op->doing, &catalog) != ERR_NONE ||
		catalog_write(op, catalog, STR("warm"), &warm, 1) != ERR_NONE)
		fail(op, "opening");
	for (size_t i = 0; i < ARRAY_COUNT(parallel); i++)
		write_by(op, parallel[i]);
	tails(op);
	expunge(op);
	catalog_close(op, catalog);
	loop_stop();
}

int main(int argc, char **argv)
{
	AUTO_ARENA(arena, 0);
	struct op op;
	if (argc != 2) {
		fprintf(stderr, "usage: catalog_bench \"cql(HOST:PORT,KEYSPACE,4,PREFIX/)\"\n");
		return 64;
	}
	for (size_t i = 0; i < sizeof(value_bytes); i++)
		value_bytes[i] = (char)(i * 7);
	op_init(&op, &arena, NULL, TIME_NEVER);
	op.doing = str_from(argv[1]);
	if (loop_open(&op, NULL) != ERR_NONE)
		fail(&op, "loop");
	task_start("bench", bench_task, &op);
	loop_run();
	loop_close();
	return 0;
}
