/* SPDX-License-Identifier: Apache-2.0 */
/* base/codec.h - bytes as text: base64, hex, quoted-printable, percent, modified UTF-7. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* RFC 4648 §4, with padding. Decoding is strict: canonical padding, no blanks; false otherwise. */
void base64_encode(struct buf *out, struct str in);
bool base64_decode(struct buf *out, struct str in);
/* RFC 2045 §6.8 body: skips foreign bytes, stops at padding; never fails. */
void base64_decode_body(struct buf *out, struct str in);

void hex_encode(struct buf *out, struct str in); /* lower case */
bool hex_decode(struct buf *out, struct str in);

/* RFC 2045 §6.7. Bad escapes stay literally; never fails. */
void quoted_printable_decode(struct buf *out, struct str in);

/* RFC 3461 §4 xtext; decoding is strict. */
void xtext_encode(struct buf *out, struct str in);
bool xtext_decode(struct buf *out, struct str in);

/* Modified UTF-7 of mailbox names (RFC 3501 §5.1.3). Decoding is strict: only the canonical form of
 * valid UTF-8 without control characters is accepted. */
void mutf7_encode(struct buf *out, struct str utf8);
bool mutf7_decode(struct buf *out, struct str in);
