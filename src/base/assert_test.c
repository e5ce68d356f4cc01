/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include "base/test.h"

static const char *my_doing(void)
{
	return "appending to INBOX";
}

/* Runs `broken` in a child; returns what it said before it died. */
static struct str last_words(struct arena *a, void (*broken)(void))
{
	int pipe_fds[2];
	char *text = arena_alloc(a, 8192);
	size_t n = 0;
	int status = 0;

	assert_int_equal(pipe(pipe_fds), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)dup2(pipe_fds[1], STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		struct rlimit no_core = { 0, 0 };
		(void)setrlimit(RLIMIT_CORE, &no_core);
		broken();
		_exit(0);
	}
	(void)close(pipe_fds[1]);
	for (ssize_t got; n < 8192 && (got = read(pipe_fds[0], text + n, 8192 - n)) > 0;)
		n += (size_t)got;
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	return (struct str){ text, n };
}

static void break_arithmetic(void)
{
	assert_prepare();
	assert_set_doing(my_doing);
	ASSERT(1 + 1 == 3);
}

static void assert_says_condition_place_doing_and_backtrace(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	struct str said = last_words(&a, break_arithmetic);

	assert_true(str_find(said, STR("1 + 1 == 3")) >= 0);
	assert_true(str_find(said, STR("assert_test.c:")) >= 0);
	assert_true(str_find(said, STR("break_arithmetic")) >= 0);
	assert_true(str_find(said, STR("doing: appending to INBOX\n")) >= 0);
	assert_true(str_find(said, STR("[0x")) >= 0);
}

static void break_magic(void)
{
	uint32_t object = 7;
	CHECK(&object, 8);
}

static void assert_check_finds_a_foreign_object(void **state)
{
	(void)state;
	AUTO_ARENA(a, 0);
	uint32_t object = 7;

	CHECK(&object, 7);
	assert_true(str_find(last_words(&a, break_magic), STR("assertion failed")) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assert_says_condition_place_doing_and_backtrace),
		cmocka_unit_test(assert_check_finds_a_foreign_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
