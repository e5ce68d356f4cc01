/* SPDX-License-Identifier: Apache-2.0 */
/* message/crlf.h - reads bytes with bare LFs as if every line ended with CRLF.
 *
 * Life:   message_crlf_init() -> message_crlf_skip() -> message_crlf_read() until it returns 0. The
 *         reader is plain data: it can rest between two reads and be copied.
 * Cost:   memchr speed; a reader told that there is no bare LF skips in O(1). */
#pragma once

#include "base/base.h"

struct message_crlf {
	struct str rest;      /* borrowed: bytes not read yet */
	bool is_after_cr;     /* the last byte given out was a CR */
	bool is_clean;        /* no bare LF anywhere */
	bool is_nul_replaced; /* NUL is given out as 0x80 (IMAP literals that are not binary) */
};

/* `virtual_size` of these bytes tells whether there is a bare LF (message_span has it). */
void message_crlf_init(struct message_crlf *reader, struct str bytes, uint64_t virtual_size);

/* Passes over `count` bytes of output. */
void message_crlf_skip(struct message_crlf *reader, uint64_t count);

/* Appends up to `count` bytes (and no more than the buffer's room); returns how many. */
size_t message_crlf_read(struct message_crlf *reader, struct buf *out, size_t count);

/* Size of the bytes as if every line ended with CRLF. */
uint64_t message_crlf_size(struct str bytes);
