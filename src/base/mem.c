/* SPDX-License-Identifier: Apache-2.0 */
/* base/mem.c - the heap that never says no: see mem.h. */
#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/account_private.h"
#include "base/assert.h"

static _Noreturn void out_of_memory(size_t bytes)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "out of memory: %zu bytes wanted\n", bytes);
	ssize_t written = write(STDERR_FILENO, text, (size_t)n);

	(void)written; /* we abort anyway */
	assert_backtrace(STDERR_FILENO);
	abort();
}

void *mem_new(size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (UNLIKELY(!p))
		out_of_memory(bytes);
	account_count((int64_t)malloc_usable_size(p));
	return p;
}

void *mem_new_array(size_t count, size_t bytes)
{
	size_t total;

	if (UNLIKELY(mul_overflows(count, bytes, &total)))
		out_of_memory(SIZE_MAX);
	return mem_new(total);
}

void *mem_resize(void *p, size_t bytes)
{
	size_t before = malloc_usable_size(p);
	void *q = realloc(p, bytes ? bytes : 1);

	if (UNLIKELY(!q))
		out_of_memory(bytes);
	account_count((int64_t)malloc_usable_size(q) - (int64_t)before);
	return q;
}

void mem_free(void *p)
{
	account_count(-(int64_t)malloc_usable_size(p));
	free(p);
}

void mem_wipe(void *p, size_t bytes)
{
	if (bytes > 0)
		explicit_bzero(p, bytes);
}

bool mem_equal_const_time(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	unsigned different = 0;

	for (size_t i = 0; i < n; i++)
		different |= (unsigned)(x[i] ^ y[i]);
	return different == 0;
}
