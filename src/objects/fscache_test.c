/* SPDX-License-Identifier: Apache-2.0 */
/* What the contract does not show of the cache: requests saved, room, damage, several processes. */
#include "objects/fscache.h"

#include "base/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "objects/fscache_dir.h"
#include "objects/fscache_entry.h"
#include "objects/fscache_flight.h"
#include "objects/objects_private.h"
#include "task/task.h"

#define MIB ((size_t)1 << 20)

struct room {
	struct op op;
	struct arena arena;
	char dir[32];
	struct objects *cached;
	struct objects *below; /* fault:mem */
	void (*body)(struct room *r);
};

/* A cache over fault over memory. */
static void room_open(struct room *r, uint64_t limit)
{
	assert_ok(objects_open_text(&r->op,
		str_printf(&r->arena, "fscache(%s/cache,%" PRIu64 "):fault:mem", r->dir, limit),
		&r->cached));
	r->below = r->cached->inner;
}

static void room_task(void *arg)
{
	struct room *r = arg;
	r->body(r);
	objects_close(r->cached);
	loop_stop();
}

static void run(void (*body)(struct room *r))
{
	struct room r = { .dir = "/tmp/fscache-test-XXXXXX", .body = body };
	arena_init(&r.arena, 0);
	op_init(&r.op, &r.arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(r.dir));
	assert_ok(loop_open(&r.op, NULL));
	task_start("test", room_task, &r);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&r.op, r.dir));
	arena_done(&r.arena);
}

static struct str bytes(struct room *r, size_t n)
{
	char *p = arena_alloc(&r->arena, MAX(n, 1));
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i + i / 255 + n);
	return (struct str){ p, n };
}

static void put(struct room *r, struct objects *o, const char *key, struct str body)
{
	assert_ok(objects_put(&r->op, o,
		&(struct object_put){ .key = str_from(key), .parts = &body, .part_count = 1 }));
}

static struct str get(struct room *r, const char *key)
{
	struct str body = STR("?");
	assert_ok(objects_get(&r->op, r->cached, str_from(key), SIZE_MAX, &body));
	return body;
}

/* WAITS until nothing is on its way into the cache: `n` were added. */
static void settle(struct room *r, uint64_t n)
{
	for (unsigned i = 0; i < 5000 && objects_fscache_counters(r->cached).added < n; i++)
		assert_ok(task_sleep(&r->op, 1000));
	assert_int_equal(objects_fscache_counters(r->cached).added, n);
}

static uint64_t asked_below(struct room *r)
{
	return r->below->counters.gets;
}

/* ---- what is saved ---- */

static void reads_once(struct room *r)
{
	struct str body;
	room_open(r, 100 * MIB);
	put(r, r->below, "u/a", bytes(r, 5000));
	put(r, r->cached, "u/b", bytes(r, 300000));
	assert_str(get(r, "u/a"), bytes(r, 5000));
	assert_str(get(r, "u/b"), bytes(r, 300000));
	settle(r, 2);
	assert_str(get(r, "u/a"), bytes(r, 5000));
	assert_str(get(r, "u/b"), bytes(r, 300000));
	assert_ok(objects_get_range(&r->op, r->cached, STR("u/b"), 100000, 70000, &body));
	assert_str(body, str_slice(bytes(r, 300000), 100000, 170000));
	assert_int_equal(asked_below(r), 1);
	/* The store below may be gone. */
	objects_fault_set(
		r->below, &(struct objects_fault_plan){ .fail_at = 1, .fail_from_there = true });
	assert_str(get(r, "u/a"), bytes(r, 5000));
	assert_err(objects_get(&r->op, r->cached, STR("u/c"), 9, &body), ERR_UNAVAILABLE);
}
static void test_what_was_read_or_written_costs_no_request(void **state)
{
	(void)state;
	run(reads_once);
}

static enum err get_task(struct op *op, void *arg)
{
	struct room *r = arg;
	struct str body;
	TRY(objects_get(op, r->cached, STR("u/a"), SIZE_MAX, &body));
	assert_int_equal(body.n, 5000);
	return ERR_NONE;
}

static void flights(struct room *r)
{
	room_open(r, 100 * MIB);
	put(r, r->below, "u/a", bytes(r, 5000));
	objects_fault_set(r->below, &(struct objects_fault_plan){ .delay_us = 20000 });
	for (unsigned round = 0; round < 2; round++) {
		struct task_group *g = task_group_new(&r->op);
		for (unsigned i = 0; i < 20; i++)
			task_group_start(g, "reader", get_task, r);
		assert_ok(task_group_finish(&r->op, g));
	}
	assert_int_equal(asked_below(r), 1);
	/* A failure is everybody's, and not remembered. */
	assert_ok(objects_delete(&r->op, r->cached, STR("u/a")));
	struct task_group *g = task_group_new(&r->op);
	for (unsigned i = 0; i < 20; i++)
		task_group_start(g, "reader", get_task, r);
	assert_err(task_group_finish(&r->op, g), ERR_NOT_FOUND);
	assert_true(asked_below(r) <= 3);
}
static void test_many_who_want_one_object_ask_once(void **state)
{
	(void)state;
	run(flights);
}

/* Takes a thread of the pool for the disk until its flag falls. */
struct busy {
	struct offload_job job; /* first */
	_Atomic bool *flag;
};
static _Atomic bool disk_is_busy[2];
#define DISK_THREADS 8

static void busy_run(struct offload_job *job)
{
	while (*CONTAINER_OF(job, struct busy, job)->flag)
		usleep(1000);
}

static void busy_release(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct busy, job));
}

static enum err busy_task(struct op *op, void *arg)
{
	struct busy *b = MEM_NEW(struct busy);
	b->job.run = busy_run;
	b->job.release = busy_release;
	b->flag = arg;
	TRY(offload(op, OFFLOAD_DISK, &b->job));
	busy_release(&b->job);
	return ERR_NONE;
}

static void keep_busy(struct task_group *g, unsigned which)
{
	disk_is_busy[which] = true;
	for (unsigned i = 0; i < DISK_THREADS; i++)
		task_group_start(g, "busy", busy_task, &disk_is_busy[which]);
	task_yield();
}

/* Who looks at the disk while another brings the object, and misses it there, finds what was brought. */
static void slow_look(struct room *r)
{
	room_open(r, 100 * MIB);
	put(r, r->below, "u/a", bytes(r, 5000));
	objects_fault_set(r->below, &(struct objects_fault_plan){ .delay_us = 20000 });
	struct task_group *g = task_group_new(&r->op);
	keep_busy(g, 0);
	task_group_start(g, "first", get_task, r);
	task_yield();
	keep_busy(g, 1);
	task_group_start(g, "second", get_task, r); /* its look waits behind those */
	task_yield();
	disk_is_busy[0] = false;
	while (CONTAINER_OF(r->cached, struct fscache, base)->landings == 0)
		assert_ok(task_sleep(&r->op, 1000));
	disk_is_busy[1] = false;
	assert_ok(task_group_finish(&r->op, g));
	assert_int_equal(asked_below(r), 1);
}
static void test_a_slow_look_does_not_bring_it_again(void **state)
{
	(void)state;
	run(slow_look);
}

static void large(struct room *r)
{
	struct str body, big = bytes(r, 5 * MIB);
	room_open(r, 100 * MIB);
	put(r, r->below, "u/big", big);
	uint64_t before = r->below->counters.bytes_out;
	assert_ok(objects_get_range(&r->op, r->cached, STR("u/big"), 3 * MIB, 1000, &body));
	assert_str(body, str_slice(big, 3 * MIB, 3 * MIB + 1000));
	assert_int_equal(r->below->counters.bytes_out - before, 1000);
	assert_ok(objects_get_range(&r->op, r->cached, STR("u/big"), MIB - 10, 1000, &body));
	assert_str(body, str_slice(big, MIB - 10, MIB + 990));
	assert_true(r->below->counters.bytes_out - before < 2 * MIB);
	assert_str(get(r, "u/big"), big);
	settle(r, 1);
	uint64_t asked = asked_below(r);
	assert_ok(objects_get_range(&r->op, r->cached, STR("u/big"), 3 * MIB, 1000, &body));
	assert_str(body, str_slice(big, 3 * MIB, 3 * MIB + 1000));
	assert_int_equal(asked_below(r), asked);
}
static void test_ranges_of_large_objects_do_not_bring_all_of_them(void **state)
{
	(void)state;
	run(large);
}

static void prefetch(struct room *r)
{
	struct str keys[20];
	room_open(r, 100 * MIB);
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
		keys[i] = str_printf(&r->arena, "u/mails/%zu", i);
		put(r, r->below, keys[i].p, bytes(r, 1000 + i));
	}
	objects_prefetch(r->cached, keys, ARRAY_COUNT(keys));
	settle(r, ARRAY_COUNT(keys));
	uint64_t asked = asked_below(r);
	for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
		assert_int_equal(get(r, keys[i].p).n, 1000 + i);
	assert_int_equal(asked_below(r), asked);
	objects_prefetch(r->cached, keys, ARRAY_COUNT(keys)); /* and it is closed in the middle */
}
static void test_prefetched_objects_are_there(void **state)
{
	(void)state;
	run(prefetch);
}

/* ---- room ---- */

/* Larger than all that may be pending together. */
static void one_large(struct room *r)
{
	room_open(r, 400 * MIB);
	put(r, r->cached, "u/large", bytes(r, 40 * MIB));
	settle(r, 1);
	uint64_t asked = asked_below(r);
	assert_int_equal(get(r, "u/large").n, 40 * MIB);
	assert_int_equal(asked_below(r), asked);
}

static void test_a_large_object_is_kept(void **state)
{
	(void)state;
	run(one_large);
}

static void limit(struct room *r)
{
	struct cache_dir *d;
	struct cache_count count;
	const char *path = str_printf(&r->arena, "%s/cache", r->dir).p;
	room_open(r, 2 * MIB);
	for (unsigned i = 0; i < 400; i++) {
		put(r, r->cached, str_printf(&r->arena, "u/%u", i).p, bytes(r, 20000));
		settle(r, i + 1);
	}
	assert_ok(cache_dir_open(&r->op, str_from(path), 2 * MIB, &d));
	assert_true(cache_dir_usage(d) <= 2 * MIB);
	assert_true(cache_dir_usage(d) > MIB);
	/* Counting finds what was kept by adding and subtracting. */
	assert_ok(cache_dir_count(&r->op, d, 0, &count));
	assert_int_equal(count.bytes, count.bytes_before);
	assert_true(count.files > 40);
	/* The last one is there, and what is too large for the cache is not. */
	uint64_t asked = asked_below(r);
	get(r, "u/399");
	assert_int_equal(asked_below(r), asked);
	put(r, r->cached, "u/huge", bytes(r, MIB));
	assert_int_equal(objects_fscache_counters(r->cached).skipped, 1);
	/* Usage that was lost is found again, and all of a certain age goes. */
	assert_ok(file_replace(&r->op, str_printf(&r->arena, "%s/usage", path).p, STR("?"), 0600));
	cache_dir_unref(d);
	assert_ok(cache_dir_open(&r->op, str_from(path), 2 * MIB, &d));
	assert_int_equal(cache_dir_usage(d), 0);
	assert_ok(cache_dir_count(&r->op, d, 0, &count));
	assert_int_equal(count.bytes_before, 0);
	assert_true(count.bytes > MIB);
	assert_ok(task_sleep(&r->op, 20000));
	assert_ok(cache_dir_count(&r->op, d, 1, &count));
	assert_int_equal(count.files, 0);
	assert_int_equal(cache_dir_usage(d), 0);
	cache_dir_unref(d);
}
static void test_the_limit_is_kept_and_usage_found_again(void **state)
{
	(void)state;
	run(limit);
}

/* ---- damage ---- */

static char entry_path[PATH_MAX];

static int note_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	if (type == FTW_F && where->level == 3)
		snprintf(entry_path, sizeof(entry_path), "%s", path);
	return 0;
}

static void damage(struct room *r)
{
	room_open(r, 100 * MIB);
	put(r, r->below, "u/a", bytes(r, 70000));
	for (unsigned how = 0; how < 4; how++) {
		struct str body;
		get(r, "u/a");
		settle(r, how + 1);
		uint64_t asked = asked_below(r);
		assert_int_equal(nftw(r->dir, note_entry, 8, FTW_PHYS), 0);
		int fd = open(entry_path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		const off_t at[] = { 66000, 20, 0 };
		if (how < 3)
			assert_int_equal(pwrite(fd, "\x55", 1, at[how]), 1);
		else
			assert_int_equal(ftruncate(fd, 0), 0);
		close(fd);
		assert_ok(objects_get_range(&r->op, r->cached, STR("u/a"), 65530, 600, &body));
		assert_str(body, str_slice(bytes(r, 70000), 65530, 66130));
		assert_int_equal(objects_fscache_counters(r->cached).damaged, how + 1);
		assert_int_equal(asked_below(r), asked + 1);
		settle(r, how + 2);
	}
}
static void test_damaged_entries_are_fetched_again(void **state)
{
	(void)state;
	run(damage);
}

static void broken(struct room *r)
{
	assert_ok(file_replace(
		&r->op, str_printf(&r->arena, "%s/cache", r->dir).p, STR("a file"), 0600));
	room_open(r, 100 * MIB);
	put(r, r->cached, "u/a", bytes(r, 5000));
	assert_str(get(r, "u/a"), bytes(r, 5000));
	assert_int_equal(asked_below(r), 1);
	assert_ok(objects_delete(&r->op, r->cached, STR("u/a")));
}
static void test_a_cache_that_cannot_be_used_is_passed_over(void **state)
{
	(void)state;
	run(broken);
}

/* ---- several ---- */

static void shared(struct room *r)
{
	struct objects *other;
	struct str body;
	room_open(r, 100 * MIB);
	assert_ok(objects_open_text(&r->op,
		str_printf(&r->arena, "fscache(%s/cache,100000000):fault:mem", r->dir), &other));
	put(r, r->cached, "u/a", bytes(r, 5000));
	settle(r, 1);
	assert_ok(objects_get(
		&r->op, other, STR("u/a"), SIZE_MAX, &body)); /* it has no such object */
	assert_str(body, bytes(r, 5000));
	objects_close(other);
}
static void test_processes_share_a_directory(void **state)
{
	(void)state;
	run(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_read_or_written_costs_no_request),
		cmocka_unit_test(test_many_who_want_one_object_ask_once),
		cmocka_unit_test(test_ranges_of_large_objects_do_not_bring_all_of_them),
		cmocka_unit_test(test_a_slow_look_does_not_bring_it_again),
		cmocka_unit_test(test_prefetched_objects_are_there),
		cmocka_unit_test(test_a_large_object_is_kept),
		cmocka_unit_test(test_the_limit_is_kept_and_usage_found_again),
		cmocka_unit_test(test_damaged_entries_are_fetched_again),
		cmocka_unit_test(test_a_cache_that_cannot_be_used_is_passed_over),
		cmocka_unit_test(test_processes_share_a_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
