/* SPDX-License-Identifier: Apache-2.0 */
/* message/test_kit.h - what the unit tests of this folder share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

/* Compares and, if they differ, shows both. */
#define assert_str(got, want) kit_assert_str(got, want, __FILE__, __LINE__)

static inline void kit_assert_str(struct str got, struct str want, const char *file, int line)
{
	if (str_eq(got, want))
		return;
	print_error("got:  \"%.*s\"\nwant: \"%.*s\"\n", STRF(got), STRF(want));
	_fail(file, line);
}
