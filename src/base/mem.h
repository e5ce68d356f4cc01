/* SPDX-License-Identifier: Apache-2.0 */
/* base/mem.h - heap memory with an owner; out of memory aborts the process with the size asked for.
 *
 * Use it for objects with a life of their own (x_new/x_free); everything that ends with an
 * operation belongs into its arena. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed. Never NULL; mem_new(0) is a valid pointer. */
void *mem_new(size_t bytes);
/* Zeroed array of count * bytes; overflow aborts. */
void *mem_new_array(size_t count, size_t bytes);
/* New bytes are not zeroed. `p` may be NULL. */
void *mem_resize(void *p, size_t bytes);
void mem_free(void *p);

#define MEM_NEW(type) ((type *)mem_new(sizeof(type)))

/* Wipes a secret; not optimised away. */
void mem_wipe(void *p, size_t bytes);
/* Compares in time that depends on `n` alone. */
bool mem_equal_const_time(const void *a, const void *b, size_t n);

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of type `type` whose member `member` is at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Arithmetic on lengths from outside: true when the result does not fit. */
#define add_overflows(a, b, out) __builtin_add_overflow(a, b, out)
#define mul_overflows(a, b, out) __builtin_mul_overflow(a, b, out)

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
