/* SPDX-License-Identifier: Apache-2.0 */
/* message/charset.h - text of any charset to UTF-8. The only user of ICU in this folder. */
#pragma once

#include "base/base.h"

/* Appends `in` as UTF-8; malformed bytes become U+FFFD. Cut short when `out` has no more room.
 * False, and nothing appended, when the charset is not known. An empty name means US-ASCII. */
bool charset_to_utf8(struct str charset, struct str in, struct buf *out);
