/* SPDX-License-Identifier: Apache-2.0 */
/* What single drivers promise beyond the contract: stacks from text, directories that go away below
 * posix, full disks, damaged frames, the n-th failure. */
#include "objects/objects.h"

#include "base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "config/config.h"
#include "objects/compress_private.h"
#include "task/task.h"

struct place {
	struct op *op;
	struct objects *objects;
	const char *dir;
	void (*body)(struct place *p);
};

static void place_task(void *arg)
{
	struct place *p = arg;
	p->body(p);
	objects_close(p->objects);
	loop_stop();
}

static void run(void (*body)(struct place *p))
{
	AUTO_ARENA(arena, 0);
	struct op op;
	op_init(&op, &arena, NULL, TIME_NEVER);
	char dir[] = "/tmp/objects-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct place p = { .op = &op, .dir = dir, .body = body };
	assert_ok(loop_open(&op, NULL));
	task_start("test", place_task, &p);
	loop_run();
	loop_close();
	assert_ok(file_remove_tree(&op, dir));
}

static void open_stack(struct place *p, const char *before, const char *after)
{
	objects_close(p->objects);
	p->objects = NULL;
	assert_ok(objects_open_text(
		p->op, str_printf(p->op->arena, "%s%s%s", before, p->dir, after), &p->objects));
}

static enum err put(struct place *p, const char *key, struct str body)
{
	return objects_put(p->op, p->objects,
		&(struct object_put){ .key = str_from(key), .parts = &body, .part_count = 1 });
}

static enum err get(struct place *p, const char *key, struct str *out)
{
	return objects_get(p->op, p->objects, str_from(key), SIZE_MAX, out);
}

static const char *path(struct place *p, const char *name)
{
	return str_printf(p->op->arena, "%s/%s%c", p->dir, name, '\0').p;
}

/* ---- stacks ---- */

static void stacks(struct place *p)
{
	const char *bad[] = { "", "nothing", "mem:", "mem:mem", "compress", "compress(zstd",
		"fault", "posix", "posix()", "posix(relative)", "posix(/tmp,what)",
		"compress(zstd,0):mem", "compress(zstd,999):mem",
		"fault:fault:fault:fault:fault:fault:fault:fault:mem" };
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		assert_err(objects_open_text(p->op, str_from(bad[i]), &p->objects), ERR_INVALID);
		assert_null(p->objects);
	}
	assert_err(
		objects_open_text(p->op, STR("compress(lzma):mem"), &p->objects), ERR_UNSUPPORTED);
	open_stack(p, "fault:compress(zstd,9,plain):fault:posix(", "/with:colon (and) brackets)");
	assert_ok(put(p, "x", STR("x")));
}
static void only_sound_stacks_open(void **state)
{
	(void)state;
	run(stacks);
}

static enum err open_config(struct place *p, const char *text)
{
	struct config *cfg;
	struct config_problems problems;
	struct config_load_args args = { .text = str_printf(p->op->arena,
						 "dovecot_config_version = 2.4.0\n"
						 "dovecot_storage_version = 2.4.0\n"
						 "state_dir = %s\n%s",
						 p->dir, text) };
	assert_ok(config_load(p->op, &args, &problems, &cfg));
	const struct config_scope *scope =
		config_block_get(config_scope(cfg, NULL), BLOCK_obox, STR_NONE);
	objects_close(p->objects);
	p->objects = NULL;
	enum err e = objects_open(p->op, scope, &p->objects);
	config_unref(cfg);
	return e;
}

static void configured(struct place *p)
{
	assert_ok(open_config(p, "@fs_defaults = local\n"));
	assert_string_equal(p->objects->driver->name, "compress");
	assert_string_equal(p->objects->inner->driver->name, "posix");
	assert_ok(put(p, "u/mails/1", STR("one")));
	assert_int_equal(access(path(p, "objects/u/mails/1"), F_OK), 0);
	assert_err(open_config(p, "obox {\n}\n"), ERR_INVALID);
	assert_err(open_config(p, "obox {\n  fs metawrap {\n  }\n}\n"), ERR_UNSUPPORTED);
	assert_err(open_config(p, "obox {\n  fs compress {\n  }\n}\n"), ERR_INVALID);
	assert_err(open_config(p, "@fs_defaults = local\nfs_compress_write_method = deflate\n"),
		ERR_UNSUPPORTED);
	/* A cache of local files is no level; crypt without keys passes everything through. */
	assert_ok(
		open_config(p, "obox {\n fs fscache {\n path = /nowhere\n size = 1M\n"
			       " fs crypt {\n  fs posix {\n   prefix = objects\n  }\n }\n }\n}\n"));
	assert_string_equal(p->objects->driver->name, "crypt");
	assert_err(open_config(p, "crypt_write_algorithm = aes-128-cbc-sha1\nobox {\n fs crypt {\n"
				  "  fs posix {\n   prefix = objects\n  }\n }\n}\n"),
		ERR_INVALID);
}
static void the_configuration_names_the_stack(void **state)
{
	(void)state;
	run(configured);
}

/* ---- posix ---- */

static void lost_directories(struct place *p)
{
	struct str body;
	open_stack(p, "posix(", "/store)");
	assert_ok(put(p, "u/mails/1", STR("one")));
	assert_ok(file_remove_tree(p->op, path(p, "store/u/mails")));
	assert_ok(put(p, "u/mails/2", STR("two")));
	assert_ok(get(p, "u/mails/2", &body));
	assert_err(get(p, "u/mails/1", &body), ERR_NOT_FOUND);

	/* A restored copy takes the place of what stood there: new mails go into it. */
	assert_int_equal(rename(path(p, "store/u"), path(p, "store/u.old")), 0);
	assert_ok(file_make_dirs(p->op, path(p, "store/u/mails"), 0700));
	assert_ok(put(p, "u/mails/3", STR("three")));
	assert_int_equal(access(path(p, "store/u/mails/3"), F_OK), 0);
	assert_err(objects_delete(p->op, p->objects, STR("u/mails/2")), ERR_NOT_FOUND);
	assert_ok(objects_delete(p->op, p->objects, STR("u.old/mails/2")));
	assert_err(objects_delete(p->op, p->objects, STR("none/mails/2")), ERR_NOT_FOUND);
	assert_int_equal(access(path(p, "store/none"), F_OK), -1);
}
static void directories_may_vanish_and_come_back(void **state)
{
	(void)state;
	run(lost_directories);
}

static void strange_files(struct place *p)
{
	struct str body;
	struct object_info info;
	open_stack(p, "posix(", ")");
	assert_ok(put(p, "u/a", STR("a")));
	assert_int_equal(symlink("/etc", path(p, "link")), 0);
	assert_int_equal(symlink("/etc/passwd", path(p, "u/passwd")), 0);
	assert_true(get(p, "link/passwd", &body) != ERR_NONE);
	assert_true(get(p, "u/passwd", &body) != ERR_NONE);
	assert_true(put(p, "link/new", STR("x")) != ERR_NONE);
	assert_err(get(p, "u", &body), ERR_NOT_FOUND);
	assert_err(objects_stat(p->op, p->objects, STR("u"), &info), ERR_NOT_FOUND);
	struct stat st;
	assert_int_equal(stat(path(p, "u/a"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_nlink, 1);
}
static void links_are_not_followed(void **state)
{
	(void)state;
	run(strange_files);
}

static void cold_read(struct place *p)
{
	struct str body, big = { arena_alloc(p->op->arena, 100000), 100000 };
	open_stack(p, "posix(", ")");
	assert_ok(put(p, "u/cold", big));
	AUTO_FD(fd, open(path(p, "u/cold"), O_RDONLY | O_CLOEXEC));
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_ok(get(p, "u/cold", &body));
	assert_str(body, big);
	uint64_t before = loop_stats().offloaded;
	assert_ok(get(p, "u/cold", &body)); /* warm now */
	assert_int_equal(loop_stats().offloaded, before);
}
static void cold_objects_are_read_by_a_job_and_warm_ones_at_once(void **state)
{
	(void)state;
	run(cold_read);
}

static void no_room(struct place *p)
{
	struct str body, big = { arena_alloc(p->op->arena, 100000), 100000 };
	open_stack(p, "posix(", ")");
	struct rlimit before, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){ 50000, before.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	enum err e = put(p, "u/big", big);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_err(e, ERR_UNAVAILABLE); /* not ERR_LIMIT: it is no quota */
	assert_err(get(p, "u/big", &body), ERR_NOT_FOUND);
	assert_ok(put(p, "u/big", big));
}
static void a_write_that_finds_no_room_leaves_nothing(void **state)
{
	(void)state;
	run(no_room);
}

struct seen_keys {
	size_t count;
};

static enum err count_key(struct op *op, struct str key, const struct object_info *info, void *arg)
{
	struct seen_keys *seen = arg;
	(void)op;
	(void)key;
	(void)info;
	seen->count++;
	return ERR_NONE;
}

static void tidy(struct place *p)
{
	open_stack(p, "posix(", ",tidy,named)");
	assert_ok(put(p, "u/mails/1", STR("one")));
	assert_ok(put(p, "u/mails/2", STR("two")));
	/* What a client of NFS leaves while somebody reads a file that is gone. */
	assert_ok(file_replace(
		p->op, path(p, "u/mails/.nfs0123456789abcdef00000001"), STR("x"), 0600));
	struct seen_keys seen = { 0 };
	assert_ok(objects_iter(p->op, p->objects, STR("u/"), count_key, &seen));
	assert_int_equal(seen.count, 2);
	assert_int_equal(unlink(path(p, "u/mails/.nfs0123456789abcdef00000001")), 0);
	assert_ok(objects_delete(p->op, p->objects, STR("u/mails/1")));
	assert_int_equal(access(path(p, "u/mails"), F_OK), 0);
	assert_ok(objects_delete(p->op, p->objects, STR("u/mails/2")));
	assert_int_equal(access(path(p, "u"), F_OK), -1);
	assert_ok(put(p, "u/mails/3", STR("three")));
}
static void empty_directories_go_where_that_is_wanted(void **state)
{
	(void)state;
	run(tidy);
}

/* ---- compress ---- */

static void damage(struct place *p)
{
	struct str body, stored,
		text = STR("some text, some text, some text, some text, some text");
	open_stack(p, "posix(", ")");
	struct objects *plain = p->objects;
	p->objects = NULL;
	open_stack(p, "compress(zstd):posix(", ")");
	assert_ok(put(p, "good", text));
	assert_ok(objects_get(p->op, plain, STR("good"), 1000, &stored));
	assert_true(stored.n < text.n);
	assert_int_equal(compress_detect(stored), COMPRESS_ZSTD);

	char bytes[100];
	assert_true(stored.n < sizeof(bytes));
	for (size_t i = 0; i < stored.n; i++) {
		memcpy(bytes, stored.p, stored.n);
		bytes[i] ^= 0x10;
		struct str key = str_printf(p->op->arena, "bad%zu", i);
		assert_ok(objects_put(p->op, plain,
			&(struct object_put){ .key = key,
				.parts = &(struct str){ bytes, stored.n },
				.part_count = 1 }));
		enum err e = objects_get(p->op, p->objects, key, SIZE_MAX, &body);
		if (e == ERR_NONE) /* a bit that means nothing */
			assert_str(body, text);
		else
			assert_true(e == ERR_CORRUPT || e == ERR_LIMIT);
	}
	struct str cut = str_slice(stored, 0, stored.n - 1);
	assert_ok(objects_put(p->op, plain,
		&(struct object_put){ .key = STR("cut"), .parts = &cut, .part_count = 1 }));
	assert_err(get(p, "cut", &body), ERR_CORRUPT);
	struct str tail[] = { stored, STR("x") };
	assert_ok(objects_put(p->op, plain,
		&(struct object_put){ .key = STR("tail"), .parts = tail, .part_count = 2 }));
	assert_err(get(p, "tail", &body), ERR_CORRUPT);

	assert_ok(objects_put(p->op, plain,
		&(struct object_put){ .key = STR("plain"), .parts = &text, .part_count = 1 }));
	assert_err(get(p, "plain", &body), ERR_CORRUPT);
	open_stack(p, "compress(zstd,plain):posix(", ")");
	assert_ok(get(p, "plain", &body));
	assert_str(body, text);
	/* Compressed ones stay readable when compression is off for new ones. */
	open_stack(p, "compress(none):posix(", ")");
	assert_ok(get(p, "good", &body));
	assert_str(body, text);
	objects_close(plain);
}
static void damaged_frames_are_found(void **state)
{
	(void)state;
	run(damage);
}

static void bomb(struct place *p)
{
	/* A frame header that claims 2^40 bytes, and one that names no size. */
	const struct str huge = STR("\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\1\0\0\1\0\0");
	const struct str sizeless = STR("\x28\xb5\x2f\xfd\x00\x58\1\0\0");
	struct str body;
	open_stack(p, "posix(", ")");
	assert_ok(put(p, "huge", huge));
	assert_ok(put(p, "sizeless", sizeless));
	open_stack(p, "compress(zstd):posix(", ")");
	assert_err(get(p, "huge", &body), ERR_LIMIT);
	assert_err(get(p, "sizeless", &body), ERR_CORRUPT);
	struct object_info info;
	assert_err(objects_stat(p->op, p->objects, STR("huge"), &info), ERR_LIMIT);
}
static void hostile_frames_are_bounded(void **state)
{
	(void)state;
	run(bomb);
}

/* ---- fault ---- */

static void nth(struct place *p)
{
	struct str body;
	assert_ok(objects_open_text(p->op, STR("fault:mem"), &p->objects));
	objects_fault_set(p->objects, &(struct objects_fault_plan){ .fail_at = 2 });
	assert_ok(put(p, "1", STR("1")));
	assert_err(put(p, "2", STR("2")), ERR_UNAVAILABLE);
	assert_err(get(p, "2", &body), ERR_NOT_FOUND); /* it never arrived */
	assert_ok(put(p, "2", STR("2")));

	objects_fault_set(
		p->objects, &(struct objects_fault_plan){ .fail_at = 1, .fail_after_doing = true });
	assert_err(put(p, "3", STR("3")), ERR_UNAVAILABLE);
	assert_ok(get(p, "3", &body)); /* it did */
	assert_err(put(p, "3", STR("3")), ERR_EXISTS);

	objects_fault_set(
		p->objects, &(struct objects_fault_plan){ .fail_at = 2, .fail_from_there = true });
	assert_ok(get(p, "1", &body));
	body = STR("untouched");
	assert_err(get(p, "1", &body), ERR_UNAVAILABLE);
	assert_err(objects_delete(p->op, p->objects, STR("1")), ERR_UNAVAILABLE);
	assert_str(body, STR("untouched"));

	objects_fault_set(p->objects, &(struct objects_fault_plan){ .delay_us = 20 * US_PER_MS });
	p->op->deadline_us = now_us() + US_PER_MS;
	assert_err(get(p, "1", &body), ERR_TIMEOUT);
}
static void the_nth_request_fails_before_or_after(void **state)
{
	(void)state;
	run(nth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_sound_stacks_open),
		cmocka_unit_test(the_configuration_names_the_stack),
		cmocka_unit_test(directories_may_vanish_and_come_back),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(cold_objects_are_read_by_a_job_and_warm_ones_at_once),
		cmocka_unit_test(a_write_that_finds_no_room_leaves_nothing),
		cmocka_unit_test(empty_directories_go_where_that_is_wanted),
		cmocka_unit_test(damaged_frames_are_found),
		cmocka_unit_test(hostile_frames_are_bounded),
		cmocka_unit_test(the_nth_request_fails_before_or_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
