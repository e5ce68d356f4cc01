/* SPDX-License-Identifier: Apache-2.0 */
/* message/words.h - encoded words in header values (RFC 2047, with the language of RFC 2231). */
#pragma once

#include "base/base.h"

/* Changes of charset that one call follows; words beyond stay as they are written. */
#define MESSAGE_WORDS_CHARSETS_MAX 1000

/* Appends a raw header value as UTF-8 for people to read: line ends and control characters are
 * dropped, blanks between neighbouring encoded words too, malformed words stay as they are, bytes
 * that are not UTF-8 become U+FFFD. Cut short when `out` has no more room. O(bytes). */
void message_words_decode(struct buf *out, struct str value);
