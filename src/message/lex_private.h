/* SPDX-License-Identifier: Apache-2.0 */
/* message/lex_private.h - the lexical pieces that structured header fields share (RFC 5322 §3.2).
 * All of them take bytes off the front of *rest, never back up, and read folds as blanks. */
#pragma once

#include "base/base.h"

/* Passes over blanks, folds and comments. The text of the last comment goes to `comment` (cleared
 * before it) unless that is NULL. Returns true if anything was taken. */
bool lex_cfws_skip(struct str *rest, struct buf *comment);

/* *rest begins with a '"': appends the unquoted text (line ends dropped), takes the closing quote. */
void lex_quoted_cut(struct str *rest, struct buf *out);

/* A token of RFC 2045 (empty if there is none). */
struct str lex_token_cut(struct str *rest);

/* A character of an RFC 5322 atom; 8-bit bytes and NUL included, we are tolerant. */
bool lex_is_atom(char c);
bool lex_is_blank(char c); /* SP HT CR LF */
