/* SPDX-License-Identifier: Apache-2.0 */
/* task/sanitizer_private.h - tells ASan, LSan, TSan and Valgrind about stacks they did not make.
 *
 * All of it is empty in a plain build. A stack is mapped once, then begins and ends with each task
 * that uses it. Included by stack.c and context_switch.c alone. */
#pragma once

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define TASK_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#else
#define TASK_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define TASK_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define TASK_TSAN 0
#endif

#ifdef POMBAL_VALGRIND
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#endif

/* Returns Valgrind's name for the stack. */
static inline unsigned sanitizer_stack_mapped(char *base, size_t bytes)
{
#ifdef POMBAL_VALGRIND
	return VALGRIND_STACK_REGISTER(base, base + bytes);
#else
	(void)base;
	(void)bytes;
	return 0;
#endif
}

static inline void sanitizer_stack_unmapping(char *base, size_t bytes, unsigned valgrind_id)
{
#ifdef POMBAL_VALGRIND
	VALGRIND_STACK_DEREGISTER(valgrind_id);
#endif
#if TASK_ASAN
	__asan_unpoison_memory_region(base, bytes); /* the address may come back as anything */
#endif
	(void)base;
	(void)bytes;
	(void)valgrind_id;
}

/* LSan looks for pointers on this stack from now on. */
static inline void sanitizer_stack_begins(char *base, size_t bytes)
{
#if TASK_ASAN
	__asan_unpoison_memory_region(base, bytes);
	__lsan_register_root_region(base, bytes);
#endif
#ifdef POMBAL_VALGRIND
	(void)VALGRIND_MAKE_MEM_UNDEFINED(base, bytes);
#endif
	(void)base;
	(void)bytes;
}

/* Until its next task nobody may touch it: who keeps a pointer into an ended task's frame is told. */
static inline void sanitizer_stack_ends(char *base, size_t bytes)
{
#if TASK_ASAN
	__lsan_unregister_root_region(base, bytes);
	__asan_poison_memory_region(base, bytes);
#endif
#ifdef POMBAL_VALGRIND
	(void)VALGRIND_MAKE_MEM_NOACCESS(base, bytes);
#endif
	(void)base;
	(void)bytes;
}
