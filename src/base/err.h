/* SPDX-License-Identifier: Apache-2.0 */
/* base/err.h - error classes: "what can the caller do about it?"
 *
 * A function that can fail returns enum err. Non-zero values are made only by op_fail*()
 * (base/op.h), which records the text for the operator, or by pure parsers that have no op;
 * everybody else passes on what a callee returned. Outputs are written only on ERR_NONE. */
#pragma once

#include "base/assert.h"

#if defined(__clang__)
#define MUST_USE_TYPE __attribute__((warn_unused_result))
#else
#define MUST_USE_TYPE [[nodiscard]]
#endif

enum MUST_USE_TYPE err {
	ERR_NONE = 0,
	ERR_NOT_FOUND,   /* it does not exist; often normal */
	ERR_EXISTS,      /* it exists already */
	ERR_DENIED,      /* authentication or ACL says no */
	ERR_LIMIT,       /* quota, size, rate, too many */
	ERR_INVALID,     /* the peer or the user sent nonsense */
	ERR_CONFLICT,    /* lost a race; redo the whole operation */
	ERR_UNAVAILABLE, /* a dependency failed; later may work */
	ERR_TIMEOUT,     /* op->deadline_us passed */
	ERR_CANCELLED,   /* client left, shutdown, sibling failed */
	ERR_CORRUPT,     /* stored data is broken: start repair */
	ERR_UNSUPPORTED, /* valid, but we do not do it */
};
#define ERR_COUNT (ERR_UNSUPPORTED + 1)

/* Name of a class as written in logs: "not_found". */
const char *err_name(enum err e);

/* Class of a system call's errno: ENOENT -> NOT_FOUND, EEXIST -> EXISTS, EACCES/EPERM -> DENIED,
 * ENOSPC/EDQUOT/EMFILE/ENFILE/EFBIG -> LIMIT, ETIMEDOUT -> TIMEOUT, the rest -> UNAVAILABLE. */
enum err err_from_errno(int error_number);

/* Returns from the calling function when `expr` fails. Only where resources are in an arena or in
 * AUTO_ variables. */
#define TRY(expr)                                                                                  \
	do {                                                                                       \
		enum err try_err_ = (expr);                                                        \
		if (UNLIKELY(try_err_ != ERR_NONE))                                                \
			return try_err_;                                                           \
	} while (0)
