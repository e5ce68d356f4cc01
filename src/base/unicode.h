/* SPDX-License-Identifier: Apache-2.0 */
/* base/unicode.h - UTF-8 as bytes: checking and walking. Case and normalisation need ICU and live
 * elsewhere. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

bool utf8_is_valid(struct str s); /* RFC 3629: no surrogates, no overlong forms */
/* Takes one code point off the front; false at the end or at a malformed byte (untouched). */
bool utf8_cut(struct str *rest, uint32_t *out);
void utf8_put(struct buf *out, uint32_t code_point); /* a valid scalar value */
/* Copies, with U+FFFD for each malformed byte. */
void utf8_sanitize(struct buf *out, struct str in);
