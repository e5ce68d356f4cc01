/* SPDX-License-Identifier: Apache-2.0 */
/* What a request to an S3 server costs the client: CPU of this process and latency of puts, gets and deletes by 8
 * callers at once; and what its signature costs alone.
 *
 *   s3_bench STACK [COUNT [BYTES]]        STACK: s3(http://key:secret@host:port/bucket/prefix)
 *
 * Prints one JSON object per line. The objects are deleted at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/number.h"
#include "base/random.h"
#include "objects/aws_keys.h"
#include "objects/objects.h"
#include "objects/s3_sign.h"
#include "task/task.h"

#define CALLERS    8
#define SIGNATURES 100000

enum kind { PUTS, GETS, DELETES };

struct bench {
	struct op op;
	struct objects *store;
	struct str stack, body;
	uint64_t count, next;
	int64_t latency_us;
	enum kind kind;
	uint64_t run; /* a name that nobody else has */
};

static int64_t cpu_us(void)
{
	struct rusage u;
	(void)getrusage(RUSAGE_SELF, &u); /* cannot fail */
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * US_PER_SEC + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static void sign_bench(void)
{
	const struct aws_keys keys = { .access_key = STR("AKIAIOSFODNN7EXAMPLE"),
		.secret = STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
		.generation = 1 };
	const struct http_header headers[] = { { STR("host"), STR("bucket.s3.amazonaws.com") },
		{ STR("x-amz-content-sha256"), STR(S3_UNSIGNED_PAYLOAD) },
		{ STR("x-amz-date"), STR("20130524T000000Z") },
		{ STR("x-amz-meta-dovecot-guid"), STR("0123456789abcdef0123456789abcdef") },
		{ STR("x-amz-meta-dovecot-username"), STR("user@example.com") } };
	const struct s3_form form = { .method = STR("PUT"),
		.path = STR("/user%40example.com/mails/0123456789abcdef0123456789abcdef"),
		.query = STR(""),
		.headers = headers,
		.header_count = ARRAY_COUNT(headers),
		.payload = STR(S3_UNSIGNED_PAYLOAD) };
	struct s3_day_key day = { 0 };
	AUTO_BUF(out, 0);
	int64_t began = cpu_us();
	for (unsigned i = 0; i < SIGNATURES; i++) {
		buf_clear(&out);
		s3_sign_v4(&form, &keys, STR("eu-central-1"), STR("20130524T000000Z"), &day, &out);
	}
	printf("{\"what\": \"signature\", \"cpu_us\": %.2f}\n",
		(double)(cpu_us() - began) / SIGNATURES);
}

static enum err once(struct bench *b, struct op *op, uint64_t n)
{
	struct str got, key = str_printf(op->arena, "u%" PRIx64 "/mails/%" PRIu64, b->run, n);
	if (b->kind == PUTS)
		return objects_put(op, b->store,
			&(struct object_put){ .key = key, .parts = &b->body, .part_count = 1 });
	if (b->kind == GETS)
		return objects_get(op, b->store, key, SIZE_MAX, &got);
	return objects_delete(op, b->store, key);
}

static enum err caller(struct op *parent, void *arg)
{
	struct bench *b = arg;
	while (b->next < b->count) {
		AUTO_ARENA(arena, 0);
		struct op op;
		op_init(&op, &arena, NULL, parent->deadline_us);
		int64_t began = now_us();
		enum err e = once(b, &op, b->next++);
		if (e != ERR_NONE)
			return op_fail(parent, e, "%s", op.failure.text);
		b->latency_us += now_us() - began;
	}
	return ERR_NONE;
}

static enum err measure(struct bench *b, enum kind kind)
{
	static const char *const names[] = { "put", "get", "delete" };
	int64_t cpu = cpu_us(), began = now_us();
	b->kind = kind;
	b->next = 0;
	b->latency_us = 0;
	struct task_group *g = task_group_new(&b->op);
	for (int i = 0; i < CALLERS; i++)
		task_group_start(g, "caller", caller, b);
	TRY(task_group_finish(&b->op, g));
	printf("{\"what\": \"%s\", \"bytes\": %zu, \"cpu_us\": %.1f, \"latency_us\": %.0f, "
	       "\"per_second\": %.0f}\n",
		names[kind], b->body.n, (double)(cpu_us() - cpu) / (double)b->count,
		(double)b->latency_us / (double)b->count,
		(double)b->count * 1e6 / (double)(now_us() - began));
	return ERR_NONE;
}

static enum err run(struct bench *b)
{
	TRY(objects_open_text(&b->op, b->stack, &b->store));
	TRY(measure(b, PUTS));
	TRY(measure(b, GETS));
	return measure(b, DELETES);
}

static void run_task(void *arg)
{
	struct bench *b = arg;
	if (run(b) != ERR_NONE)
		fprintf(stderr, "s3_bench: %s\n", b->op.failure.text);
	objects_close(b->store);
	loop_stop();
}

int main(int argc, char **argv)
{
	AUTO_ARENA(arena, 0);
	struct bench b = { .count = 2000, .run = random_u64() };
	uint64_t bytes = 16384;
	if (argc < 2 || (argc > 2 && !number_parse_u64(str_from(argv[2]), &b.count)) ||
		(argc > 3 && !number_parse_u64(str_from(argv[3]), &bytes)) || b.count == 0) {
		fprintf(stderr, "usage: s3_bench STACK [COUNT [BYTES]]\n");
		return 64;
	}
	sign_bench();
	op_init(&b.op, &arena, NULL, TIME_NEVER);
	b.stack = str_from(argv[1]);
	char *body = mem_new(bytes);
	random_bytes(body, bytes);
	b.body = (struct str){ body, bytes };
	if (loop_open(&b.op, NULL) != ERR_NONE)
		return 1;
	task_start("bench", run_task, &b);
	loop_run();
	loop_close();
	mem_free(body);
	return b.op.failure.class == ERR_NONE ? 0 : 1;
}
