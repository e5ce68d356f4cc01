/* SPDX-License-Identifier: Apache-2.0 */
/* base/base.h - the vocabulary that every other folder speaks.
 *
 * This header only gathers the everyday subjects; the others (map.h, range_set.h, codec.h,
 * number.h, unicode.h, hash.h, list.h, random.h, file.h) are included where they are used.
 *
 * Rules:  base knows libc and nothing else: no threads, no sockets, never waits.
 *         Nothing here is global but the clock (clock.h), the hash seed (hash.h) and the memory
 *         account (account.h). */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/op.h"
#include "base/str.h"
