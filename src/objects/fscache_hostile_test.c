/* SPDX-License-Identifier: Apache-2.0 */
/* A cache whose directory others write to, fill, cut or take away: nothing of it may stop a process or reach a
 * reader, and the limit holds. */
#include "base/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "config/config.h"
#include "objects/fscache_dir.h"
#include "objects/objects.h"
#include "task/task.h"

#define KIB 1024

struct room {
	struct op op;
	struct arena arena;
	char top[40], dir[48];
};

static void setup(struct room *r)
{
	snprintf(r->top, sizeof(r->top), "/tmp/fscache-hostile-XXXXXX");
	arena_init(&r->arena, 0);
	op_init(&r->op, &r->arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(r->top));
	snprintf(r->dir, sizeof(r->dir), "%s/cache", r->top);
}

static void done(struct room *r)
{
	assert_ok(file_remove_tree(&r->op, r->top));
	arena_done(&r->arena);
}

static const char *below(struct room *r, const char *name)
{
	return str_printf(&r->arena, "%s/%s", r->dir, name).p;
}

static struct cache_dir *opened(struct room *r, uint64_t limit)
{
	struct cache_dir *d;
	assert_ok(cache_dir_open(&r->op, str_from(r->dir), limit, &d));
	return d;
}

static enum err add(struct room *r, struct cache_dir *d, unsigned number, size_t size)
{
	char *bytes = arena_alloc(&r->arena, size);
	memset(bytes, (int)number, size);
	return cache_dir_add(&r->op, d, str_printf(&r->arena, "u/mails/%u", number),
		(struct str){ bytes, size });
}

/* What really lies there. */
static uint64_t counted(struct room *r)
{
	struct cache_count count;
	struct cache_dir *d = opened(r, UINT64_MAX);
	assert_ok(cache_dir_count(&r->op, d, 0, &count));
	cache_dir_unref(d);
	return count.bytes;
}

/* ---- the map of usage ---- */

static void test_usage_that_is_cut_is_no_bus_error(void **state)
{
	(void)state;
	struct room r;
	setup(&r);
	struct cache_dir *d = opened(&r, 64 * 4 * KIB);
	for (unsigned i = 0; i < 200; i++) {
		if (i % 20 == 10)
			assert_int_equal(truncate(below(&r, "usage"), i % 40 == 10 ? 0 : 30), 0);
		assert_ok(add(&r, d, i, 3 * KIB));
		assert_true(cache_dir_usage(d) <= 64 * 4 * KIB);
	}
	assert_true(counted(&r) <= 64 * 4 * KIB);
	cache_dir_unref(d);
	done(&r);
}

static void test_garbage_in_usage_does_not_lift_the_limit(void **state)
{
	(void)state;
	static const uint8_t garbage[] = { 0x00, 0x7f, 0x80, 0xff };
	struct room r;
	setup(&r);
	for (size_t g = 0; g < ARRAY_COUNT(garbage); g++) {
		struct cache_dir *d = opened(&r, 64 * 4 * KIB);
		uint8_t bytes[64 * 8];
		memset(bytes, garbage[g], sizeof(bytes));
		int fd = open(below(&r, "usage"), O_WRONLY | O_CLOEXEC);
		/* Behind the magic, the time and the hand. */
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), 24), sizeof(bytes));
		close(fd);
		for (unsigned i = 0; i < 200; i++)
			assert_ok(add(&r, d, (unsigned)g * 1000 + i, 3 * KIB));
		cache_dir_unref(d);
		if (garbage[g] !=
			0) /* zeros look right: counted by the first who opens it in a day */
			assert_true(counted(&r) <= 64 * 4 * KIB);
	}
	done(&r);
}

/* ---- whose directory it is ---- */

static void test_a_directory_that_others_write_to_is_refused(void **state)
{
	(void)state;
	struct room r;
	struct cache_dir *d;
	setup(&r);
	assert_int_equal(mkdir(r.dir, 0700), 0);
	assert_int_equal(chmod(r.dir, 0777), 0);
	assert_err(cache_dir_open(&r.op, str_from(r.dir), 1 << 20, &d), ERR_UNAVAILABLE);
	assert_non_null(strstr(r.op.failure.text, "others may write"));
	op_forgive(&r.op);
	assert_int_equal(chmod(r.dir, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(r.dir, 65534, 65534), 0);
		assert_err(cache_dir_open(&r.op, str_from(r.dir), 1 << 20, &d), ERR_UNAVAILABLE);
		assert_non_null(strstr(r.op.failure.text, "belongs to another user"));
		op_forgive(&r.op);
		assert_int_equal(chown(r.dir, 0, 0), 0);
	}
	cache_dir_unref(opened(&r, 1 << 20));
	done(&r);
}

static void test_an_entry_that_is_no_file_is_no_entry(void **state)
{
	(void)state;
	struct room r;
	char name[CACHE_NAME_MAX];
	setup(&r);
	struct cache_dir *d = opened(&r, 1 << 20);
	struct cache_query q = { .key = STR("u/a"), .length = SIZE_MAX };
	cache_name(q.key, name);
	assert_int_equal(mkdir(below(&r, str_printf(&r.arena, "%.2s", name).p), 0700), 0);
	assert_int_equal(mkfifo(below(&r, name), 0600), 0);
	alarm(10); /* opening a pipe waits for its writer */
	assert_int_equal(cache_dir_find(d, &q), CACHE_MISS);
	assert_int_not_equal(cache_dir_find_now(&r.op, d, &q), CACHE_HIT);
	alarm(0);
	assert_int_equal(unlink(below(&r, name)), 0);
	assert_int_equal(symlink("/etc/passwd", below(&r, name)), 0);
	assert_int_equal(cache_dir_find(d, &q), CACHE_MISS);
	cache_dir_unref(d);
	done(&r);
}

/* ---- many processes, little room ---- */

static _Noreturn void writer(struct room *r, unsigned number)
{
	struct cache_dir *d = opened(r, 256 * KIB);
	for (unsigned i = 0; i < 300; i++) {
		unsigned which = (i * 7 + number * 13) % 500;
		struct cache_query q = { .length = SIZE_MAX };
		enum err e = add(r, d, which, 1 + which * 17 % (12 * KIB));
		if (e != ERR_NONE && e != ERR_EXISTS)
			_exit(1);
		op_forgive(&r->op);
		q.key = str_printf(&r->arena, "u/mails/%u", (which * 3 + i) % 500);
		if (cache_dir_find(d, &q) == CACHE_DAMAGED)
			_exit(2);
		mem_free(q.bytes);
		if (i % 10 == 0)
			cache_dir_remove(d, q.key);
	}
	_exit(0);
}

static void test_eight_processes_keep_one_limit(void **state)
{
	(void)state;
	struct room r;
	pid_t pids[8];
	int status;
	setup(&r);
	for (unsigned i = 0; i < 8; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			writer(&r, i);
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	/* Each may be one entry ahead of what makes room. */
	assert_true(counted(&r) <= 256 * KIB + 8 * 16 * KIB);
	done(&r);
}

/* Real ones: a small file system with few bytes, and one with few files. */
static void test_a_full_disk_gives_up_old_entries(void **state)
{
	(void)state;
	static const char *const options[] = { "size=512k", "size=8m,nr_inodes=90" };
	if (geteuid() != 0)
		skip();
	for (size_t o = 0; o < ARRAY_COUNT(options); o++) {
		struct room r;
		unsigned held = 0;
		setup(&r);
		assert_int_equal(mkdir(r.dir, 0700), 0);
		if (mount("tmpfs", r.dir, "tmpfs", 0, options[o]) < 0) {
			done(&r);
			skip();
		}
		assert_int_equal(chmod(r.dir, 0700), 0);
		struct cache_dir *d = opened(&r, 64 << 20);
		for (unsigned i = 0; i < 400; i++) {
			(void)add(&r, d, i, 4 * KIB);
			op_forgive(&r.op);
		}
		for (unsigned i = 380; i < 400; i++) {
			struct cache_query q = { .length = SIZE_MAX };
			q.key = str_printf(&r.arena, "u/mails/%u", i);
			held += cache_dir_find(d, &q) == CACHE_HIT;
			mem_free(q.bytes);
		}
		cache_dir_unref(d);
		assert_int_equal(umount(r.dir), 0);
		done(&r);
		assert_true(held >= 10); /* what was used last is there, not what came first */
	}
}

/* ---- directories of users ---- */

static unsigned descriptors(void)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void users_task(void *arg)
{
	struct room *r = arg;
	struct objects *o;
	struct str body = STR("text"), read;
	assert_ok(objects_open_text(&r->op,
		str_printf(&r->arena, "fscache(%s/%%{domain}/%%{username},1000000):mem", r->dir),
		&o));
	unsigned before = descriptors();
	for (unsigned i = 0; i < 400; i++) {
		struct str key = str_printf(&r->arena, "u%u@example.test/mails/x", i);
		assert_ok(objects_put(&r->op, o,
			&(struct object_put){ .key = key, .parts = &body, .part_count = 1 }));
		assert_ok(objects_get(&r->op, o, key, SIZE_MAX, &read));
	}
	for (unsigned i = 0; i < 1000 && descriptors() >= before + 200; i++)
		assert_ok(task_sleep(&r->op, 10000)); /* jobs hold some */
	assert_true(descriptors() < before + 200);
	/* A user whose name leads out of the place of the cache has none. */
	struct str key = STR("..@../mails/x");
	assert_ok(objects_put(
		&r->op, o, &(struct object_put){ .key = key, .parts = &body, .part_count = 1 }));
	assert_ok(objects_get(&r->op, o, key, SIZE_MAX, &read));
	assert_ok(task_sleep(&r->op, 20000));
	assert_int_equal(access(str_printf(&r->arena, "%s/usage", r->top).p, F_OK), -1);
	/* And that harms nobody else: the next finds the cache. */
	key = STR("z@example.test/mails/x");
	assert_ok(objects_put(
		&r->op, o, &(struct object_put){ .key = key, .parts = &body, .part_count = 1 }));
	assert_ok(task_sleep(&r->op, 50000));
	assert_int_equal(access(below(r, "example.test/z/usage"), F_OK), 0);
	objects_close(o);
	loop_stop();
}

static void test_directories_of_many_users(void **state)
{
	(void)state;
	struct room r;
	setup(&r);
	assert_ok(loop_open(&r.op, NULL));
	task_start("test", users_task, &r);
	loop_run();
	loop_close();
	done(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage_that_is_cut_is_no_bus_error),
		cmocka_unit_test(test_garbage_in_usage_does_not_lift_the_limit),
		cmocka_unit_test(test_a_directory_that_others_write_to_is_refused),
		cmocka_unit_test(test_an_entry_that_is_no_file_is_no_entry),
		cmocka_unit_test(test_eight_processes_keep_one_limit),
		cmocka_unit_test(test_a_full_disk_gives_up_old_entries),
		cmocka_unit_test(test_directories_of_many_users),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
