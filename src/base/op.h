/* SPDX-License-Identifier: Apache-2.0 */
/* base/op.h - the operation: one command, delivery, job or request, and why it failed.
 *
 * Rules:  libraries never log errors. They record class and text here; the owner of the op logs
 *         once and maps the class to the protocol's reply. Text for clients comes from the class
 *         or from op_tell_client(), never from the operator's text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct event;

#define OP_FAILURE_TEXT_MAX 512
struct op_failure {
	enum err class; /* ERR_NONE: nothing failed yet */
	const char *file;
	int line;
	char text[OP_FAILURE_TEXT_MAX];            /* for the operator */
	char client_text[OP_FAILURE_TEXT_MAX / 2]; /* safe to show to the client; "" if none */
};

struct op {
	struct arena *arena; /* borrowed; freed when the operation ends */
	int64_t deadline_us; /* monotonic; every wait obeys it; TIME_NEVER for none */
	struct event *event; /* borrowed; child of the session's event; may be NULL in tests */
	struct str doing; /* "appending to INBOX": for logs and the watchdog; static or in arena */
	struct op_failure failure;
};

void op_init(struct op *op, struct arena *arena, struct event *event, int64_t deadline_us);

/* Records why, returns `class`. The text says what, where and what to do; no trailing period. */
#define op_fail(op, class, ...) op_fail_at(op, class, __FILE__, __LINE__, __VA_ARGS__)
/* The same for a failed system call: class from errno, ": strerror" is appended. */
#define op_fail_errno(op, ...) op_fail_errno_at(op, __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 5, 6))) enum err op_fail_at(
	struct op *op, enum err class, const char *file, int line, const char *fmt, ...);
__attribute__((format(printf, 4, 5))) enum err op_fail_errno_at(
	struct op *op, const char *file, int line, const char *fmt, ...);

/* Puts "context: " before the recorded text if e is a failure; returns e. */
__attribute__((format(printf, 3, 4))) enum err op_within(
	struct op *op, enum err e, const char *fmt, ...);

/* Text that the client may see with this failure. Call after op_fail(). */
__attribute__((format(printf, 2, 3))) void op_tell_client(struct op *op, const char *fmt, ...);

/* Forgets a failure that was handled, so that a later one is not mixed up with it. */
void op_forgive(struct op *op);
