/* SPDX-License-Identifier: Apache-2.0 */
/* What a request to Cassandra costs the client: CPU of this process and latency, for writes, reads and
 * batches by 1 and by 32 callers at once.
 *
 *   cql_bench HOST:PORT [COUNT]
 *
 * Makes the keyspace pombal_bench and a table in it, which stay. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/number.h"
#include "cql/cql.h"
#include "task/task.h"

#define KEYSPACE   "pombal_bench"
#define ROW_BYTES  300
#define BATCH_ROWS 20

struct bench {
	struct op op;
	struct arena arena;
	struct cql_client *client;
	const struct cql_statement *write, *read;
	struct str hosts;
	uint64_t count, left;
	int64_t latency_us;
	enum kind { WRITES, READS, BATCHES } kind;
	unsigned running;
	struct wait_queue done;
	bool has_failed;
};

static int64_t cpu_us(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u); /* cannot fail */
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * US_PER_SEC + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static enum err take_row(struct op *op, const struct cql_row *row, void *arg)
{
	(void)op;
	*(size_t *)arg += cql_column(row, 1).n;
	return ERR_NONE;
}

static enum err once(struct bench *b, struct op *op, uint64_t n)
{
	static const char row[ROW_BYTES] = "row";
	struct cql_value values[3] = { cql_text(STR("user@example.com")),
		cql_bigint(op->arena, (int64_t)n % 1000),
		cql_blob((struct str){ row, sizeof(row) }) };
	struct cql_bound bound = { b->write, values, 3, 0 };
	size_t bytes = 0;
	if (b->kind == WRITES)
		return cql_execute(op, b->client, &bound);
	if (b->kind == READS) {
		bound = (struct cql_bound){ b->read, values, 2, 0 };
		return cql_query(op, b->client, &bound, take_row, &bytes);
	}
	struct cql_bound items[BATCH_ROWS];
	for (size_t i = 0; i < BATCH_ROWS; i++)
		items[i] = bound;
	return cql_batch(op, b->client, items, BATCH_ROWS, false);
}

static void worker(void *arg)
{
	struct bench *b = arg;
	struct arena arena;
	struct op op;
	arena_init(&arena, 0);
	while (b->left > 0 && !b->has_failed) {
		uint64_t n = --b->left;
		int64_t from_us = now_us();
		op_init(&op, &arena, NULL, from_us + 30 * US_PER_SEC);
		if (once(b, &op, n) != ERR_NONE) {
			b->has_failed = true;
			fprintf(stderr, "%s\n", op.failure.text);
		}
		b->latency_us += now_us() - from_us;
		arena_reset(&arena);
	}
	arena_done(&arena);
	if (--b->running == 0)
		wait_queue_wake_all(&b->done);
}

static enum err measure(struct bench *b, enum kind kind, const char *name, unsigned workers)
{
	int64_t cpu = cpu_us(), from_us = now_us();
	b->kind = kind;
	b->left = b->count;
	b->latency_us = 0;
	b->running = workers;
	for (unsigned i = 0; i < workers; i++)
		task_start("worker", worker, b);
	while (b->running > 0)
		TRY(wait_queue_wait(&b->op, &b->done));
	int64_t took_us = now_us() - from_us;
	double count = (double)b->count;
	printf("%-8s %2u at once: %8.0f /s, %6.1f us CPU each, %6.0f us latency\n", name, workers,
		count * 1e6 / (double)took_us, (double)(cpu_us() - cpu) / count,
		(double)b->latency_us / count);
	return b->has_failed ? op_fail(&b->op, ERR_UNAVAILABLE, "%s failed", name) : ERR_NONE;
}

static enum err run(struct bench *b)
{
	struct op *op = &b->op;
	static const unsigned workers[] = { 1, 32 };
	TRY(cql_open_text(op, b->hosts, STR(KEYSPACE), &b->client));
	TRY(cql_run(op, b->client,
		STR("CREATE KEYSPACE IF NOT EXISTS " KEYSPACE " WITH replication = "
		    "{'class': 'SimpleStrategy', 'replication_factor': 1}")));
	TRY(cql_run(op, b->client,
		STR("CREATE TABLE IF NOT EXISTS " KEYSPACE ".rows "
		    "(u text, n bigint, v blob, PRIMARY KEY (u, n))")));
	b->write = cql_statement(b->client, CQL_WRITE, STR("write"),
		STR("INSERT INTO rows (u, n, v) VALUES (?, ?, ?)"));
	b->read = cql_statement(b->client, CQL_READ, STR("read"),
		STR("SELECT n, v FROM rows WHERE u = ? AND n = ?"));
	for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
		TRY(measure(b, WRITES, "writes", workers[i]));
		TRY(measure(b, READS, "reads", workers[i]));
		TRY(measure(b, BATCHES, "batches", workers[i]));
	}
	return ERR_NONE;
}

static void main_task(void *arg)
{
	struct bench *b = arg;
	arena_init(&b->arena, 0);
	op_init(&b->op, &b->arena, NULL, now_us() + 600 * US_PER_SEC);
	if (run(b) != ERR_NONE) {
		b->has_failed = true;
		fprintf(stderr, "%s\n", b->op.failure.text);
	}
	cql_close(&b->op, b->client);
	arena_done(&b->arena);
	loop_stop();
}

int main(int argc, char **argv)
{
	struct bench b = { .count = 20000 };
	struct op op;
	if (argc < 2 || (argc > 2 && !number_parse_u64(str_from(argv[2]), &b.count))) {
		fprintf(stderr, "usage: cql_bench HOST:PORT [COUNT]\n");
		return 2;
	}
	b.hosts = str_from(argv[1]);
	op_init(&op, NULL, NULL, TIME_NEVER);
	if (loop_open(&op, NULL) != ERR_NONE)
		return 1;
	task_start("main", main_task, &b);
	loop_run();
	loop_close();
	return b.has_failed ? 1 : 0;
}
