/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.c - growing bytes: see buf.h.
 *
 * The memory is p - front .. p + cap. Dropping from the front only moves p; the bytes are moved
 * back when room is needed and at least half of the used part is dropped, so each byte is moved
 * O(1) times. One byte above the limit may be allocated: vsnprintf wants room for its NUL. */
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/mem.h"

#define SMALLEST_CAP ((size_t)64)

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void buf_done(struct buf *b)
{
	mem_free(b->p ? b->p - b->front : NULL);
	buf_init(b, b->limit);
}

void buf_clear(struct buf *b)
{
	if (b->front > 0) {
		b->p -= b->front;
		b->cap += b->front;
		b->front = 0;
	}
	b->n = 0;
}

size_t buf_room(const struct buf *b)
{
	if (b->limit == 0)
		return SIZE_MAX;
	return b->limit > b->n ? b->limit - b->n : 0;
}

/* Makes cap - n >= more; `more` may exceed the limit by the NUL of vsnprintf. */
static void make_room(struct buf *b, size_t more)
{
	size_t wanted;
	bool overflow = add_overflows(b->n, more, &wanted);

	ASSERT(!overflow && wanted <= SIZE_MAX / 4);
	if (wanted <= b->cap)
		return;
	if (b->front > 0 && b->front >= b->n) {
		size_t n = b->n;
		memmove(b->p - b->front, b->p, n);
		buf_clear(b);
		b->n = n;
		if (wanted <= b->cap)
			return;
	}
	size_t cap = MAX(b->cap * 2, SMALLEST_CAP);
	if (b->limit > 0)
		cap = MIN(cap, b->limit + 1);
	b->cap = MAX(cap, wanted);
	char *memory = b->p ? b->p - b->front : NULL;
	b->p = (char *)mem_resize(memory, b->front + b->cap) + b->front;
}

enum err buf_add(struct buf *b, struct str s)
{
	if (s.n > buf_room(b))
		return ERR_LIMIT;
	if (s.n == 0)
		return ERR_NONE;
	make_room(b, s.n);
	memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
	return ERR_NONE;
}

enum err buf_add_byte(struct buf *b, char c)
{
	if (buf_room(b) == 0)
		return ERR_LIMIT;
	make_room(b, 1);
	b->p[b->n++] = c;
	return ERR_NONE;
}

__attribute__((format(printf, 2, 0))) static enum err add_vf(
	struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	enum err e = ERR_NONE;

	va_copy(again, args);
	int n = vsnprintf(b->p ? b->p + b->n : NULL, b->cap - b->n, fmt, args);
	ASSERT(n >= 0);
	if ((size_t)n > buf_room(b)) {
		e = ERR_LIMIT;
	} else {
		if ((size_t)n >= b->cap - b->n) { /* was cut: once more, with room */
			make_room(b, (size_t)n + 1);
			(void)vsnprintf(b->p + b->n, b->cap - b->n, fmt, again); /* the same n */
		}
		b->n += (size_t)n;
	}
	va_end(again);
	return e;
}

enum err buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	enum err e = add_vf(b, fmt, args);
	va_end(args);
	return e;
}

void buf_put(struct buf *b, struct str s)
{
	enum err e = buf_add(b, s);

	ASSERT(e == ERR_NONE);
}

void buf_put_byte(struct buf *b, char c)
{
	enum err e = buf_add_byte(b, c);

	ASSERT(e == ERR_NONE);
}

void buf_put_u64_dec(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	buf_put(b, (struct str){ digits + at, sizeof(digits) - at });
}

void buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vputf(b, fmt, args);
	va_end(args);
}

void buf_vputf(struct buf *b, const char *fmt, va_list args)
{
	enum err e = add_vf(b, fmt, args);

	ASSERT(e == ERR_NONE);
}

char *buf_reserve(struct buf *b, size_t n)
{
	ASSERT(n <= buf_room(b));
	make_room(b, MAX(n, 1)); /* a place even for 0 bytes */
	return b->p + b->n;
}

void buf_grew(struct buf *b, size_t n)
{
	ASSERT(n <= b->cap - b->n && n <= buf_room(b));
	b->n += n;
}

void buf_drop_front(struct buf *b, size_t n)
{
	ASSERT(n <= b->n);
	if (n == b->n) {
		buf_clear(b);
		return;
	}
	b->p += n;
	b->front += n;
	b->n -= n;
	b->cap -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
	ASSERT(n <= b->n);
	b->n = n;
}

struct str buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

struct str buf_dup(struct arena *a, const struct buf *b)
{
	return str_dup(a, buf_str(b));
}
