/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/test.h"

struct scene {
	struct arena arena;
	struct op op;
	char dir[32];
};

static int scene_open(void **state)
{
	struct scene *s = MEM_NEW(struct scene);

	memcpy(s->dir, "/tmp/pombal_file_XXXXXX", sizeof("/tmp/pombal_file_XXXXXX"));
	arena_init(&s->arena, 1 << 20);
	op_init(&s->op, &s->arena, NULL, TIME_NEVER);
	*state = s;
	return mkdtemp(s->dir) ? 0 : -1;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	assert_ok(file_remove_tree(&s->op, s->dir));
	assert_int_equal(access(s->dir, F_OK), -1);
	arena_done(&s->arena);
	mem_free(s);
	return 0;
}

static const char *path_in(struct scene *s, const char *name)
{
	return str_printf(&s->arena, "%s/%s", s->dir, name).p;
}

static void file_replace_then_read(void **state)
{
	struct scene *s = *state;
	const char *path = path_in(s, "config");
	AUTO_BUF(out, 0);
	struct stat st;

	assert_ok(file_replace(&s->op, path, STR("first, and longer"), 0600));
	assert_ok(file_replace(&s->op, path, STR("second"), 0640));
	buf_put(&out, STR("> "));
	assert_ok(file_read(&s->op, path, 6, &out));
	assert_str(buf_str(&out), STR("> second"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void file_read_says_what_is_wrong(void **state)
{
	struct scene *s = *state;
	const char *path = path_in(s, "long");
	AUTO_BUF(out, 0);

	assert_err(file_read(&s->op, path, 100, &out), ERR_NOT_FOUND);
	assert_true(strstr(s->op.failure.text, path) != NULL);
	assert_ok(file_replace(&s->op, path, STR("1234567"), 0600));
	assert_err(file_read(&s->op, path, 6, &out), ERR_LIMIT);
	assert_int_equal(out.n, 0);
}

static void file_pread_wants_all_bytes(void **state)
{
	struct scene *s = *state;
	const char *path = path_in(s, "bytes");
	char bytes[4];

	assert_ok(file_replace(&s->op, path, STR("0123456789"), 0600));
	AUTO_FD(fd, open(path, O_RDONLY | O_CLOEXEC));
	assert_ok(file_pread_all(&s->op, fd, bytes, 4, 6));
	assert_memory_equal(bytes, "6789", 4);
	assert_err(file_pread_all(&s->op, fd, bytes, 4, 7), ERR_CORRUPT);
}

static void file_make_dirs_makes_all_that_is_missing(void **state)
{
	struct scene *s = *state;

	for (int twice = 0; twice < 2; twice++)
		assert_ok(file_make_dirs(&s->op, path_in(s, "a/b//c/"), 0700));
	assert_int_equal(access(path_in(s, "a/b/c"), F_OK), 0);
	assert_ok(file_replace(&s->op, path_in(s, "file"), STR(""), 0600));
	assert_err(file_make_dirs(&s->op, path_in(s, "file"), 0700), ERR_EXISTS);
	assert_ok(file_make_dirs(&s->op, "/", 0700));
}

static void file_remove_tree_does_not_follow_links(void **state)
{
	struct scene *s = *state;
	const char *kept = path_in(s, "kept/file");

	assert_ok(file_make_dirs(&s->op, path_in(s, "kept"), 0700));
	assert_ok(file_replace(&s->op, kept, STR("x"), 0600));
	assert_ok(file_make_dirs(&s->op, path_in(s, "tree/deep/er"), 0700));
	assert_int_equal(symlink(path_in(s, "kept"), path_in(s, "tree/deep/link")), 0);
	assert_ok(file_remove_tree(&s->op, path_in(s, "tree")));
	assert_int_equal(access(path_in(s, "tree"), F_OK), -1);
	assert_int_equal(access(kept, F_OK), 0);
	assert_ok(file_remove_tree(&s->op, path_in(s, "tree"))); /* nothing there: fine */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(file_replace_then_read, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(
			file_read_says_what_is_wrong, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(
			file_pread_wants_all_bytes, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(
			file_make_dirs_makes_all_that_is_missing, scene_open, scene_close),
		cmocka_unit_test_setup_teardown(
			file_remove_tree_does_not_follow_links, scene_open, scene_close),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
