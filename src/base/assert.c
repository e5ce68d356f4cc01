/* SPDX-License-Identifier: Apache-2.0 */
/* base/assert.c - the last words of a process that found itself broken.
 *
 * Nothing here allocates or takes a lock: the heap may be what is broken. */
#include "base/assert.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKTRACE_MAX 64
#define DOING_MAX     200

static const char *(*current_doing)(void);

void assert_set_doing(const char *(*doing)(void))
{
	current_doing = doing;
}

void assert_prepare(void)
{
	void *frame[1];

	(void)backtrace(frame, 1); /* the first call loads libgcc: that allocates */
}

void assert_backtrace(int fd)
{
	void *frames[BACKTRACE_MAX];
	int count = backtrace(frames, BACKTRACE_MAX);

	backtrace_symbols_fd(frames, count, fd);
}

/* Standard error may be gone or full: there is nobody left to tell. */
static void say(const char *text, size_t n)
{
	ssize_t written = write(STDERR_FILENO, text, n);

	(void)written;
}

void assert_failed(const char *cond, const char *file, int line, const char *func)
{
	static _Thread_local int depth;
	char text[1024];

	if (depth++ > 0)
		abort(); /* saying it failed too */
	const char *doing = current_doing ? current_doing() : NULL;
	int n = snprintf(text, sizeof(text), "assertion failed: %s at %s:%d (%s)%s%.*s\n", cond,
		file, line, func, doing ? ", doing: " : "", DOING_MAX, doing ? doing : "");
	if (n > 0)
		say(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	assert_backtrace(STDERR_FILENO);
	abort();
}
