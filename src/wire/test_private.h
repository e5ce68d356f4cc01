/* SPDX-License-Identifier: Apache-2.0 */
/* wire/test_private.h - what the tests of this folder share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

/* Equal as text; prints both when not. */
static inline void assert_text(struct str have, const char *want)
{
	if (!str_eq(have, str_from(want)))
		fail_msg("have '%.*s', want '%s'", STRF(have), want);
}
