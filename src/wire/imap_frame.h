/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_frame.h - where does a command end? Incremental, never looks at a byte twice.
 *
 * Life:  imap_frame_init() once per connection; then, whenever bytes were added to the connection's
 *        buffer (which begins at the command's first byte), imap_frame_feed():
 *
 *        MORE      Read more.
 *        SKIP      Drop `used` bytes of a command that was answered already, feed again.
 *        LITERAL   The text up to `used` announces f->literal; call exactly one of
 *                  imap_frame_accept(): its bytes are gathered in the same buffer; a synchronising
 *                      literal needs the answer "+ OK" first;
 *                  imap_frame_stream(): drop `used` bytes, read literal.size bytes yourself, then
 *                      feed what follows, the rest of the command;
 *                  imap_frame_refuse(): answer NO or BAD and drop `used` bytes; what the client
 *                      sends for this command all the same will be skipped.
 *                  Ordinary literals (is_message unset) fit the limits already: accept them.
 *        COMPLETE  The command is the first `used` bytes: parse it, then drop them.
 *        ERROR     Answer BAD with f->error (imap_frame_tag() finds the tag), drop `used` bytes; the
 *                  rest of the command will be skipped.
 *        FATAL     Answer BYE with f->error and close: the stream can't be followed any more.
 *
 * "Drop" always means before the next feed. The struct is small and plain: a parked session keeps it
 * (and the buffer only while a command is half read).
 * Spec:  RFC 3501 §2.2, §4.3; RFC 7888; a lone LF ends a line, a lone CR and NUL are errors. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct buf;

/* What a client may make us keep for one command. */
struct imap_limits {
	uint32_t command_bytes; /* lines and gathered literals together */
	uint32_t skip_bytes;    /* a refused non-synchronising literal above this is FATAL */
	uint16_t arg_count;     /* words, strings and list items, tag and name included */
	uint8_t tag_bytes;
	uint8_t depth; /* of parentheses */
};
extern const struct imap_limits imap_limits_login; /* before login: 8 KiB, 96 words */
extern const struct imap_limits imap_limits_user;  /* after login: 64 KiB */

enum imap_frame_result {
	IMAP_FRAME_MORE,
	IMAP_FRAME_SKIP,
	IMAP_FRAME_LITERAL,
	IMAP_FRAME_COMPLETE,
	IMAP_FRAME_ERROR,
	IMAP_FRAME_FATAL,
};

struct imap_literal {
	uint32_t size;
	bool is_sync;    /* {n}: the client waits for "+" */
	bool is_binary;  /* ~{n}: may hold NUL (RFC 3516) */
	bool is_message; /* a mail of APPEND: stream it, whatever its size */
};

struct imap_frame {
	const char *error; /* static text; set with ERROR and FATAL */
	size_t used;       /* bytes at the front of the buffer that the result speaks of */
	struct imap_literal literal;

	/* Inside: state of the scanner. */
	uint32_t scanned;   /* bytes of the buffer that were looked at */
	uint32_t text_left; /* bytes of an accepted or skipped literal still to come */
	uint16_t arg_count;
	uint8_t state;
	uint8_t depth;
	uint8_t tag_bytes;
	uint8_t append_matched; /* letters of APPEND seen as the command's name */
	bool is_line;           /* imap_frame_expect_line() */
	bool is_skipping;
	bool is_in_arg;
};

void imap_frame_init(struct imap_frame *f);

/* `buffered`: everything that has arrived since the command's start and was not dropped. */
enum imap_frame_result imap_frame_feed(
	struct imap_frame *f, const struct imap_limits *limits, struct str buffered);

/* Answers to IMAP_FRAME_LITERAL. */
void imap_frame_accept(struct imap_frame *f);
void imap_frame_stream(struct imap_frame *f);
/* False: too much would follow (limits->skip_bytes); answer BYE and close instead. */
bool imap_frame_refuse(struct imap_frame *f, const struct imap_limits *limits);

/* The next thing is one bare line, not a command: DONE of IDLE, a response of AUTHENTICATE. It is
 * reported COMPLETE, or ERROR when it is longer than the limits allow. */
void imap_frame_expect_line(struct imap_frame *f);

/* The scanner's state as bytes, for a connection that moves to another process of the same version
 * together with what is buffered. Not between LITERAL and its answer. Thaw: takes them off *rest; false:
 * no state that could stand at `buffered_bytes`. */
void imap_frame_freeze(const struct imap_frame *f, struct buf *out);
bool imap_frame_thaw(struct str *rest, size_t buffered_bytes, struct imap_frame *out);

/* The tag at the front of a command that was not understood, for "tag BAD": STR("*") if none. */
struct str imap_frame_tag(const struct imap_limits *limits, struct str buffered);
