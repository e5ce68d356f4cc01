/* SPDX-License-Identifier: Apache-2.0 */
/* Large bodies, copied in steps between which others run: readers of a whole stack, whose objects are deleted,
 * whose time is over or who are cancelled, in seeded orders. */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/random.h"
#include "crypto/ec_test_keys.h"
#include "objects/fscache.h"
#include "objects/objects_private.h"
#include "task/test.h"

#define OBJECTS  3
#define READERS  16
#define ROUNDS   2
#define SEEDS    6
#define SIZE     ((size_t)5 << 19) /* two steps and a half, and some more */
#define DELAY_US 10000

struct place {
	struct op op;
	struct arena arena;
	char dir[32];
	struct objects *store;
	struct str bodies[OBJECTS];
	uint64_t seed;
	unsigned round, live;
	unsigned whole, gone; /* how readers ended */
};

struct reader {
	struct place *place;
	struct task_handle task;
	unsigned object;
	bool deletes;
};

static struct str key_of(struct arena *a, const struct place *p, unsigned object)
{
	return str_printf(a, "u/mails/%u.%u", p->round, object);
}

/* New objects, of bytes that zstd does not make little of; not in the cache. */
static void put_all(struct place *p)
{
	for (unsigned i = 0; i < OBJECTS; i++) {
		size_t n = SIZE + i * 77777;
		char *bytes = arena_alloc(&p->arena, n);
		random_bytes(bytes, n);
		p->bodies[i] = (struct str){ bytes, n };
		assert_ok(objects_put(&p->op, p->store->inner,
			&(struct object_put){ .key = key_of(&p->arena, p, i),
				.parts = &p->bodies[i],
				.part_count = 1 }));
	}
}

/* WAITS. Some of an object: as it is, or nothing, and why. */
static void read_some(struct op *op, const struct reader *r)
{
	struct place *p = r->place;
	struct str all = p->bodies[r->object], got;
	uint64_t offset = random_below(3) == 0 ? random_below(all.n) : 0;
	size_t length = random_below(3) == 0 ? (size_t)random_below(all.n) + 1 : SIZE_MAX;
	enum err e = objects_get_range(
		op, p->store, key_of(op->arena, p, r->object), offset, length, &got);
	if (e == ERR_NONE) {
		assert_true(
			str_eq(got, str_slice(all, (size_t)offset,
					    length > all.n - offset ? all.n : offset + length)));
		p->whole++;
		return;
	}
	assert_true(e == ERR_NOT_FOUND || e == ERR_TIMEOUT || e == ERR_CANCELLED);
	p->gone++;
}

static void reader_task(void *arg)
{
	struct reader *r = arg;
	struct place *p = r->place;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (task_sleep(&op, (int64_t)random_below(6) * DELAY_US) == ERR_NONE) {
		if (random_below(4) == 0)
			op.deadline_us = now_us() + (int64_t)random_below(4 * DELAY_US);
		if (r->deletes &&
			objects_delete(&op, p->store, key_of(&arena, p, r->object)) != ERR_NONE)
			op_forgive(&op);
		else if (!r->deletes)
			read_some(&op, r);
	}
	p->live--;
}

/* WAITS. Readers begin, one in three is cancelled, an object goes. */
static void run_readers(struct place *p)
{
	static struct reader readers[READERS];
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){
			.place = p, .object = (unsigned)random_below(OBJECTS), .deletes = i % 8 == 7
		};
		p->live++;
		readers[i].task = task_start("reader", reader_task, &readers[i]);
	}
	for (unsigned i = 0; i < READERS; i += 3) {
		assert_ok(task_sleep(&p->op, (int64_t)random_below(2 * DELAY_US)));
		if (task_is_alive(readers[i].task))
			task_cancel(readers[i].task);
	}
	while (p->live > 0)
		assert_ok(task_sleep(&p->op, DELAY_US));
}

static void open_stack(struct place *p)
{
	static const struct {
		const char *name, *text;
	} files[] = { { "a.pub", EC_TEST_P256_PUBLIC }, { "a", EC_TEST_P256_ENCRYPTED } };
	for (size_t i = 0; i < ARRAY_COUNT(files); i++)
		assert_ok(file_replace(&p->op,
			str_printf(&p->arena, "%s/%s", p->dir, files[i].name).p,
			str_from(files[i].text), 0600));
	assert_ok(objects_open_text(&p->op,
		str_printf(&p->arena,
			"fscache(%s/cache,100000000):compress(zstd):crypt(public=%s/a.pub,"
			"password=" EC_TEST_PASSWORD ",private=%s/a):fault:mem",
			p->dir, p->dir, p->dir),
		&p->store));
}

/* What was deleted stays so, whoever was bringing it into the cache. */
static void delete_all(struct place *p)
{
	struct str body;
	for (unsigned i = 0; i < OBJECTS; i++) {
		enum err e = objects_delete(&p->op, p->store, key_of(&p->arena, p, i));
		assert_true(e == ERR_NONE || e == ERR_NOT_FOUND);
		op_forgive(&p->op);
		e = objects_get(&p->op, p->store, key_of(&p->arena, p, i), SIZE_MAX, &body);
		assert_err(e, ERR_NOT_FOUND);
		op_forgive(&p->op);
	}
}

static void run_place(void *arg)
{
	struct place *p = arg;
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(p->dir));
	random_set_seed(p->seed);
	open_stack(p);
	struct objects *fault = p->store->inner->inner->inner;
	objects_fault_set(fault, &(struct objects_fault_plan){ .delay_us = DELAY_US });
	for (p->round = 0; p->round < ROUNDS; p->round++) {
		put_all(p);
		run_readers(p);
		delete_all(p);
	}
	assert_true(objects_fscache_counters(p->store).added > 0);
	objects_close(p->store);
	assert_ok(file_remove_tree(&p->op, p->dir));
	arena_done(&p->arena);
}

static void readers_get_all_or_nothing(void **state)
{
	(void)state;
	unsigned whole = 0, gone = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct place p = { .dir = "/tmp/steps-test-XXXXXX", .seed = seed };
		struct loop_settings settings = { .is_virtual = true, .seed = seed };
		test_in_loop(&settings, run_place, &p);
		whole += p.whole;
		gone += p.gone;
	}
	print_message("%u readers got what they wanted, %u did not\n", whole, gone);
	assert_true(whole > SEEDS * ROUNDS && gone > SEEDS);
}

/* ---- a body that is on its way into the cache ---- */

static void put_one(void *arg)
{
	struct place *p = arg;
	assert_ok(objects_put(&p->op, p->store,
		&(struct object_put){
			.key = key_of(&p->arena, p, 0), .parts = p->bodies, .part_count = 1 }));
	p->live--;
}

/* Its end, after some turns. */
static void read_end(void *arg)
{
	struct place *p = arg;
	struct str end;
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	for (uint64_t turns = random_below(8); turns > 0; turns--)
		task_yield();
	enum err e =
		objects_get_range(&op, p->store, key_of(&arena, p, 0), p->bodies[0].n - 4, 4, &end);
	assert_true(e == ERR_NOT_FOUND || (e == ERR_NONE && str_eq(end, STR("++++"))));
	p->live--;
}

static void run_filling(void *arg)
{
	struct place *p = arg;
	arena_init(&p->arena, 0);
	op_init(&p->op, &p->arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(p->dir));
	random_set_seed(p->seed);
	assert_ok(objects_open_text(&p->op,
		str_printf(&p->arena, "fscache(%s/cache,200000000):mem", p->dir), &p->store));
	size_t n = 4 * SIZE;
	char *bytes = arena_alloc(&p->arena, n);
	memset(bytes, '+', n);
	p->bodies[0] = (struct str){ bytes, n };
	p->live = 1 + READERS;
	task_start("put", put_one, p);
	for (unsigned i = 0; i < READERS; i++)
		task_start("read", read_end, p);
	while (p->live > 0 || objects_fscache_counters(p->store).added == 0)
		assert_ok(task_sleep(&p->op, DELAY_US));
	objects_close(p->store);
	assert_ok(file_remove_tree(&p->op, p->dir));
	arena_done(&p->arena);
}

static void nobody_reads_what_is_still_copied(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct place p = { .dir = "/tmp/steps-test-XXXXXX", .seed = seed };
		struct loop_settings settings = { .is_virtual = true, .seed = seed };
		test_in_loop(&settings, run_filling, &p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_get_all_or_nothing),
		cmocka_unit_test(nobody_reads_what_is_still_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
