/* SPDX-License-Identifier: Apache-2.0 */
/* base/test.h - what every unit test starts with: cmocka and checks for the house's types.
 *
 * Included by *_test.c only, after the header under test. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

/* Same length, same bytes. */
#define assert_str(got, expected)  test_assert_str((got), (expected), #got, __FILE__, __LINE__)
#define assert_err(expr, expected) test_assert_err((expr), (expected), #expr, __FILE__, __LINE__)
#define assert_ok(expr)            assert_err(expr, ERR_NONE)

static inline void test_assert_str(
	struct str got, struct str expected, const char *what, const char *file, int line)
{
	if (str_eq(got, expected))
		return;
	print_error("%s is \"%.*s\", not \"%.*s\"\n", what, STRF(got), STRF(expected));
	_fail(file, line);
}

static inline void test_assert_err(
	enum err got, enum err expected, const char *what, const char *file, int line)
{
	if (got == expected)
		return;
	print_error("%s is %s, not %s\n", what, err_name(got), err_name(expected));
	_fail(file, line);
}

/* The program dies of abort() in `statement`, as a failed ASSERT makes it. Its words are dropped. */
#define assert_aborts(statement)                                                                   \
	do {                                                                                       \
		pid_t test_pid_ = fork();                                                          \
		if (test_pid_ == 0) {                                                              \
			struct rlimit test_no_core_ = { 0, 0 };                                    \
			(void)setrlimit(RLIMIT_CORE, &test_no_core_);                              \
			(void)signal(SIGABRT, SIG_DFL);                                            \
			(void)close(STDERR_FILENO);                                                \
			statement;                                                                 \
			_exit(0);                                                                  \
		}                                                                                  \
		int test_status_ = 0;                                                              \
		assert_int_equal(waitpid(test_pid_, &test_status_, 0), test_pid_);                 \
		assert_true(WIFSIGNALED(test_status_) && WTERMSIG(test_status_) == SIGABRT);       \
	} while (0)
