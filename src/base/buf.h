/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf.h - a growing run of bytes on the heap, with a limit.
 *
 * Life:   buf_init(&b, limit) -> buf_add*() -> buf_done(). A zeroed struct is a valid empty buffer
 *         without limit. After ERR_LIMIT the content is as before the call.
 * Errors: buf_add*() fail only with ERR_LIMIT. Callers that own the limit (limit 0: none) use the
 *         buf_put*() forms, which abort instead and return nothing. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf {
	/* owned */
	char *p;
	size_t n;
	size_t cap;   /* bytes of memory from p on */
	size_t front; /* dropped bytes before p, still part of the memory */
	size_t limit; /* most bytes it may hold; 0: no limit */
};

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */

enum err buf_add(struct buf *b, struct str s);
enum err buf_add_byte(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) enum err buf_addf(struct buf *b, const char *fmt, ...);

void buf_put(struct buf *b, struct str s);
void buf_put_byte(struct buf *b, char c);
void buf_put_u64_dec(struct buf *b, uint64_t v); /* decimal, much cheaper than buf_putf */
__attribute__((format(printf, 2, 3))) void buf_putf(struct buf *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void buf_vputf(struct buf *b, const char *fmt, va_list args);

/* Room for `n` more bytes at the returned place; buf_grew() tells how many were written. Aborts
 * above the limit: ask buf_room() first. */
char *buf_reserve(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
size_t buf_room(const struct buf *b); /* bytes left until the limit; SIZE_MAX without one */

/* Drops the first `n` bytes. Amortised O(1) per byte for a reader that consumes in steps. */
void buf_drop_front(struct buf *b, size_t n);
void buf_truncate(struct buf *b, size_t n);
struct str buf_str(const struct buf *b); /* borrowed until the next change */
struct str buf_dup(struct arena *a, const struct buf *b);

#define AUTO_BUF(name, limit_bytes)                                                                \
	__attribute__((cleanup(buf_done))) struct buf name = { .limit = (limit_bytes) }
