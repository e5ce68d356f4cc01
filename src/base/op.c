/* SPDX-License-Identifier: Apache-2.0 */
/* base/op.c - why an operation failed: see op.h.
 *
 * Texts are formatted into a local buffer first: the arguments may point into op->failure itself
 * ("%s", op->failure.text). Too long texts are cut. */
#include "base/op.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

void op_init(struct op *op, struct arena *arena, struct event *event, int64_t deadline_us)
{
	op->arena = arena;
	op->deadline_us = deadline_us;
	op->event = event;
	op->doing = STR_NONE;
	op_forgive(op);
}

/* Formats at `at` of `text`; returns the new end, which is at most size - 1. */
__attribute__((format(printf, 4, 0))) static size_t add_text(
	char *text, size_t size, size_t at, const char *fmt, va_list args)
{
	int n = vsnprintf(text + at, size - at, fmt, args);

	return n < 0 ? at : MIN(at + (size_t)n, size - 1);
}

static size_t add_plain(char *text, size_t size, size_t at, const char *plain)
{
	size_t n = MIN(strlen(plain), size - 1 - at);

	memcpy(text + at, plain, n);
	text[at + n] = '\0';
	return at + n;
}

static enum err record(
	struct op *op, enum err class, const char *file, int line, const char *text, size_t n)
{
	struct op_failure *f = &op->failure;

	ASSERT(class != ERR_NONE && n < sizeof(f->text));
	f->class = class;
	f->file = file;
	f->line = line;
	memcpy(f->text, text, n);
	f->text[n] = '\0';
	f->client_text[0] = '\0';
	return class;
}

enum err op_fail_at(struct op *op, enum err class, const char *file, int line, const char *fmt, ...)
{
	char text[OP_FAILURE_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	size_t n = add_text(text, sizeof(text), 0, fmt, args);
	va_end(args);
	return record(op, class, file, line, text, n);
}

enum err op_fail_errno_at(struct op *op, const char *file, int line, const char *fmt, ...)
{
	int error_number = errno;
	char text[OP_FAILURE_TEXT_MAX];
	char reason[128];
	va_list args;

	va_start(args, fmt);
	size_t n = add_text(text, sizeof(text), 0, fmt, args);
	va_end(args);
	n = add_plain(text, sizeof(text), n, ": ");
	n = add_plain(text, sizeof(text), n, strerror_r(error_number, reason, sizeof(reason)));
	errno = error_number;
	return record(op, err_from_errno(error_number), file, line, text, n);
}

enum err op_within(struct op *op, enum err e, const char *fmt, ...)
{
	char text[OP_FAILURE_TEXT_MAX];
	va_list args;

	if (e == ERR_NONE)
		return e;
	va_start(args, fmt);
	size_t n = add_text(text, sizeof(text), 0, fmt, args);
	va_end(args);
	/* A parser without op may have failed: then only the class is known. */
	bool is_recorded = op->failure.class == e;
	n = add_plain(text, sizeof(text), n, ": ");
	n = add_plain(text, sizeof(text), n, is_recorded ? op->failure.text : err_name(e));
	op->failure.class = e;
	memcpy(op->failure.text, text, n + 1);
	return e;
}

void op_tell_client(struct op *op, const char *fmt, ...)
{
	char text[sizeof(op->failure.client_text)];
	va_list args;

	va_start(args, fmt);
	size_t n = add_text(text, sizeof(text), 0, fmt, args);
	va_end(args);
	memcpy(op->failure.client_text, text, n + 1);
}

void op_forgive(struct op *op)
{
	op->failure.class = ERR_NONE;
	op->failure.file = NULL;
	op->failure.line = 0;
	op->failure.text[0] = '\0';
	op->failure.client_text[0] = '\0';
}
