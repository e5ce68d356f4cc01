/* SPDX-License-Identifier: Apache-2.0 */
/* base/assert.h - checks that stay on in production.
 *
 * ASSERT is for programmer errors and invariants, never for input. It prints the condition, what
 * the process was doing (assert_set_doing) and a backtrace, then aborts this process: the master
 * restarts it and the store recovers. */
#pragma once

#include <stdint.h>

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (UNLIKELY(!(cond)))                                                             \
			assert_failed(#cond, __FILE__, __LINE__, __func__);                        \
	} while (0)

/* Expensive checks: on in builds with -DPOMBAL_DEBUG (tests), otherwise only type-checked. */
#ifdef POMBAL_DEBUG
#define DASSERT(cond) ASSERT(cond)
#else
#define DASSERT(cond)                                                                              \
	do {                                                                                       \
		if (0 && (cond)) {                                                                 \
		}                                                                                  \
	} while (0)
#endif

#define UNREACHABLE() assert_failed("unreachable", __FILE__, __LINE__, __func__)

/* Objects that travel through `void *` begin with `uint32_t magic`. Evaluates `ptr` once. */
#define CHECK(ptr, expected)                                                                       \
	ASSERT((ptr) != NULL && *(const uint32_t *)(const void *)(ptr) == (expected))

_Noreturn void assert_failed(const char *cond, const char *file, int line, const char *func);

/* Prints `what` (at most 200 bytes are kept) with the next failed assertion. The callback must be
 * async-signal-safe. Set once, by the task library. */
void assert_set_doing(const char *(*doing)(void));

/* Writes the caller's backtrace to descriptor `fd`: raw addresses and symbols; async-signal-safe
 * after assert_prepare(). */
void assert_backtrace(int fd);

/* Loads the unwinder, so that later backtraces allocate nothing. Call at start of a process. */
void assert_prepare(void);
