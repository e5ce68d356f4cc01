/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of the posix driver: what an opening that did not close left is put right by the next
 * one, whatever the disk kept of the files; any damage is an error or costs nothing acknowledged. */
#include "objects/posix_journal.h"

#include "base/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "objects/objects.h"
#include "task/task.h"

#define OBJECTS    40
#define BODY_BYTES 700

struct rig {
	struct op op;
	struct arena arena;
	char dir[32];
	const char *options;
	struct objects *objects;
	void (*body)(struct rig *r);
	bool may_be_back; /* objects that were removed: nothing names them any more */
};

static void rig_task(void *arg)
{
	struct rig *r = arg;
	r->body(r);
	loop_stop();
}

static void in_loop(struct rig *r, void (*body)(struct rig *r))
{
	r->body = body;
	assert_ok(loop_open(&r->op, NULL));
	task_start("test", rig_task, r);
	loop_run();
	loop_close();
}

static enum err open_store(struct rig *r)
{
	struct str stack = str_printf(&r->arena, "posix(%s%s)", r->dir, r->options);
	return objects_open_text(&r->op, stack, &r->objects);
}

static struct str key_of(struct rig *r, int i)
{
	return str_printf(&r->arena, "u%d/mails/%d", i % 3, i);
}

static struct str body_of(struct rig *r, int i)
{
	char *p = arena_alloc(&r->arena, BODY_BYTES);
	for (size_t k = 0; k < BODY_BYTES; k++)
		p[k] = (char)('a' + ((size_t)i * 7 + k) % 26);
	return (struct str){ p, BODY_BYTES };
}

static const char *path_of(struct rig *r, struct str name)
{
	return str_printf(&r->arena, "%s/%.*s%c", r->dir, STRF(name), '\0').p;
}

/* Saves all, removes every tenth, and is gone without closing. */
static void save_all(struct rig *r)
{
	assert_ok(open_store(r));
	for (int i = 0; i < OBJECTS; i++) {
		struct str body = body_of(r, i);
		assert_ok(objects_put(&r->op, r->objects,
			&(struct object_put){
				.key = key_of(r, i), .parts = &body, .part_count = 1 }));
	}
	for (int i = 0; i < OBJECTS; i += 10)
		assert_ok(objects_delete(&r->op, r->objects, key_of(r, i)));
	_exit(0);
}

static void save_in_child(struct rig *r)
{
	pid_t child = fork();
	if (child == 0)
		in_loop(r, save_all);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* A power loss as bad as it gets: files are missing, short, or full of zeros; removed ones are back. */
static void damage_files(struct rig *r)
{
	for (int i = 0; i < OBJECTS; i++) {
		const char *path = path_of(r, key_of(r, i));
		if (i % 10 == 0)
			assert_ok(file_replace(&r->op, path, STR("back"), 0600));
		else if (i % 4 == 1)
			assert_int_equal(unlink(path), 0);
		else if (i % 4 == 2)
			assert_int_equal(truncate(path, i), 0);
		else if (i % 4 == 3)
			assert_int_equal(truncate(path, 0) + truncate(path, BODY_BYTES), 0);
	}
}

static int count_journals(struct rig *r)
{
	int n = 0;
	DIR *dir = opendir(r->dir);
	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		n += strncmp(e->d_name, ".tmp-journal-", 13) == 0;
	(void)closedir(dir);
	return n;
}

static void check_all(struct rig *r)
{
	assert_ok(open_store(r));
	assert_int_equal(count_journals(r), 0);
	for (int i = 0; i < OBJECTS; i++) {
		struct str body;
		enum err e = objects_get(&r->op, r->objects, key_of(r, i), SIZE_MAX, &body);
		if (i % 10 != 0 || !r->may_be_back)
			assert_int_equal(e, i % 10 == 0 ? ERR_NOT_FOUND : ERR_NONE);
		if (e == ERR_NONE)
			assert_str(body, body_of(r, i));
		op_forgive(&r->op);
	}
	objects_close(r->objects);
}

static void with_rig(const char *options, void (*body)(struct rig *r))
{
	struct rig r = { .dir = "/tmp/journal-test-XXXXXX", .options = options };
	arena_init(&r.arena, 0);
	op_init(&r.op, &r.arena, NULL, TIME_NEVER);
	assert_non_null(mkdtemp(r.dir));
	body(&r);
	assert_ok(file_remove_tree(&r.op, r.dir));
	arena_done(&r.arena);
}

static void lose_power(struct rig *r)
{
	save_in_child(r);
	assert_int_equal(count_journals(r), 2);
	damage_files(r);
	in_loop(r, check_all);
	in_loop(r, check_all);
}

static void what_was_acknowledged_comes_back(void **state)
{
	(void)state;
	with_rig("", lose_power);
}

/* Each file full after a few objects: what is not in the journals any more was synced in place, so
 * those files are not touched here. */
static void lose_power_after_turns(struct rig *r)
{
	save_in_child(r);
	in_loop(r, check_all);
}

static void journal_files_take_turns(void **state)
{
	(void)state;
	with_rig(",journal=3000", lose_power_after_turns);
}

static void find_journal(struct rig *r, char *path, size_t size)
{
	DIR *dir = opendir(r->dir);
	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		if (strncmp(e->d_name, ".tmp-journal-", 13) == 0 &&
			e->d_name[strlen(e->d_name) - 1] == '0')
			(void)snprintf(path, size, "%s/%s", r->dir, e->d_name);
	(void)closedir(dir);
}

static void open_newer(struct rig *r)
{
	assert_err(open_store(r), ERR_UNSUPPORTED);
	op_forgive(&r->op);
}

static void newer_journal(struct rig *r)
{
	char path[400] = "";
	save_in_child(r);
	find_journal(r, path, sizeof(path));
	AUTO_FD(fd, open(path, O_WRONLY));
	assert_int_equal(pwrite(fd, "2", 1, JOURNAL_HEADER_BYTES - 1), 1);
	in_loop(r, open_newer);
	assert_int_equal(count_journals(r), 2); /* it is left for who understands it */
}

static void a_newer_journal_is_left_alone(void **state)
{
	(void)state;
	with_rig("", newer_journal);
}

/* Two openings at the same time: the second leaves the first one's journal alone. */
static void two_openings(struct rig *r)
{
	struct str body = body_of(r, 1);
	assert_ok(open_store(r));
	struct objects *first = r->objects;
	assert_ok(objects_put(&r->op, first,
		&(struct object_put){
			.key = STR("u0/mails/first"), .parts = &body, .part_count = 1 }));
	assert_int_equal(count_journals(r), 2);
	assert_ok(open_store(r));
	assert_int_equal(count_journals(r), 2);
	assert_ok(objects_put(&r->op, r->objects,
		&(struct object_put){
			.key = STR("u0/mails/second"), .parts = &body, .part_count = 1 }));
	assert_int_equal(count_journals(r), 4);
	objects_close(r->objects);
	assert_int_equal(count_journals(r), 2);
	assert_ok(objects_put(&r->op, first,
		&(struct object_put){
			.key = STR("u0/mails/third"), .parts = &body, .part_count = 1 }));
	objects_close(first);
	assert_int_equal(count_journals(r), 0);
}

static void in_two_openings(struct rig *r)
{
	in_loop(r, two_openings);
}

static void openings_leave_each_other_alone(void **state)
{
	(void)state;
	with_rig("", in_two_openings);
}

/* With the files as they are any damage of the journal is harmless: it is an error or nothing. */
static void open_damaged(struct rig *r)
{
	enum err e = open_store(r);
	assert_true(e == ERR_NONE || e == ERR_UNSUPPORTED);
	op_forgive(&r->op);
	if (e != ERR_NONE)
		return;
	objects_close(r->objects);
	check_all(r);
}

static void flip_bytes(struct rig *r)
{
	r->may_be_back = true;
	for (off_t at = 0; at < 60000; at = at * 9 / 8 + 1) {
		char path[400] = "", byte;
		assert_ok(file_remove_tree(&r->op, r->dir));
		assert_int_equal(mkdir(r->dir, 0700), 0);
		save_in_child(r);
		find_journal(r, path, sizeof(path));
		int fd = open(path, O_RDWR);
		if (pread(fd, &byte, 1, at) == 1) {
			byte = (char)(byte ^ 0x41);
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
		in_loop(r, open_damaged);
		arena_reset(&r->arena);
	}
}

static void damage_is_harmless(void **state)
{
	(void)state;
	with_rig(",journal=30000", flip_bytes);
}

/* ---- a disk that fails ---- */

static _Atomic int syncs_to_fail; /* the next so many */
static _Atomic int syncs_pass_us; /* so long each takes */

/* Takes the C library's place in this program. The kernel tells a failure once, too. */
int syncfs(int fd)
{
	if (syncs_pass_us > 0)
		(void)usleep((useconds_t)syncs_pass_us);
	if (syncs_to_fail > 0) {
		syncs_to_fail--;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}

static void wait_for_sync(struct rig *r)
{
	while (syncs_to_fail > 0)
		assert_ok(task_sleep(&r->op, US_PER_MS));
	assert_ok(task_sleep(&r->op, 20 * US_PER_MS));
}

/* The sync beside the commits fails, that of the end does not: the journal is the only witness. */
static void save_on_failing_disk(struct rig *r)
{
	assert_ok(open_store(r));
	syncs_to_fail = 1;
	for (int i = 0; i < OBJECTS; i++) {
		struct str body = body_of(r, i);
		assert_ok(objects_put(&r->op, r->objects,
			&(struct object_put){
				.key = key_of(r, i), .parts = &body, .part_count = 1 }));
	}
	wait_for_sync(r);
	objects_close(r->objects);
}

static void lose_what_was_not_synced(struct rig *r)
{
	in_loop(r, save_on_failing_disk);
	assert_int_equal(count_journals(r), 2);
	const char *path = path_of(r, key_of(r, 1)); /* in the old file: before the failure */
	assert_int_equal(truncate(path, 0) + truncate(path, BODY_BYTES), 0);
	for (int i = 0; i < OBJECTS; i += 10)
		assert_int_equal(unlink(path_of(r, key_of(r, i))), 0);
	r->may_be_back = true;
	in_loop(r, check_all);
}

static void a_sync_that_failed_is_not_forgotten(void **state)
{
	(void)state;
	with_rig(",journal=3000", lose_what_was_not_synced);
}

static uint64_t journal_bytes(struct rig *r)
{
	uint64_t most = 0;
	DIR *dir = opendir(r->dir);
	assert_non_null(dir);
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct stat st;
		if (strncmp(e->d_name, ".tmp-journal-", 13) == 0 &&
			fstatat(dirfd(dir), e->d_name, &st, 0) == 0)
			most = MAX(most, (uint64_t)st.st_size);
	}
	(void)closedir(dir);
	return most;
}

static void save_on_slow_disk(struct rig *r)
{
	assert_ok(open_store(r));
	syncs_pass_us = 300 * 1000;
	for (int i = 0; i < OBJECTS; i++) {
		struct str body = body_of(r, i);
		assert_ok(objects_put(&r->op, r->objects,
			&(struct object_put){
				.key = key_of(r, i), .parts = &body, .part_count = 1 }));
		assert_true(journal_bytes(r) < 2 * 3000 + 2 * BODY_BYTES);
	}
	syncs_pass_us = 0;
	objects_close(r->objects);
}

static void stay_small(struct rig *r)
{
	in_loop(r, save_on_slow_disk);
}

static void a_journal_does_not_grow_while_the_disk_is_slow(void **state)
{
	(void)state;
	with_rig(",journal=3000", stay_small);
}

static void groups_round_trip(void **state)
{
	(void)state;
	struct journal_record in[] = { { JOURNAL_PUT, STR("u/mails/1"), STR("body") },
		{ JOURNAL_REMOVE, STR("u/mails/2"), STR_NONE } };
	char head[JOURNAL_GROUP_BYTES];
	AUTO_BUF(records, 0);
	AUTO_BUF(group, 0);
	for (size_t i = 0; i < ARRAY_COUNT(in); i++)
		journal_record_encode(&records, &in[i]);
	journal_group_encode(head, 7, buf_str(&records));
	buf_put(&group, (struct str){ head, sizeof(head) });
	buf_put(&group, buf_str(&records));
	for (size_t n = 0; n <= group.n; n++) {
		struct str rest = { group.p, n }, found;
		uint64_t epoch;
		assert_int_equal(journal_group_cut(&rest, &epoch, &found), n == group.n);
		struct journal_record r;
		for (size_t i = 0; n == group.n && i < ARRAY_COUNT(in); i++) {
			assert_true(journal_record_cut(&found, &r));
			assert_int_equal(r.type, in[i].type);
			assert_str(r.key, in[i].key);
			assert_str(r.body, in[i].body);
		}
	}
	struct journal_record bad = { JOURNAL_PUT, STR("../etc/passwd"), STR("x") }, r;
	buf_clear(&records);
	journal_record_encode(&records, &bad);
	struct str rest = buf_str(&records);
	assert_false(journal_record_cut(&rest, &r));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_round_trip),
		cmocka_unit_test(what_was_acknowledged_comes_back),
		cmocka_unit_test(journal_files_take_turns),
		cmocka_unit_test(a_newer_journal_is_left_alone),
		cmocka_unit_test(openings_leave_each_other_alone),
		cmocka_unit_test(damage_is_harmless),
		cmocka_unit_test(a_sync_that_failed_is_not_forgotten),
		cmocka_unit_test(a_journal_does_not_grow_while_the_disk_is_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
