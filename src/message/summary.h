/* SPDX-License-Identifier: Apache-2.0 */
/* message/summary.h - what FETCH asks for, made once at save, as one versioned record.
 *
 * Life:   save: message_parse() -> message_summary_encode() -> stored bytes.
 *         FETCH: message_summary_decode() -> copy a column, or message_summary_tree() for offsets.
 * Total:  the decoder accepts any bytes: ERR_CORRUPT for what is no summary, ERR_UNSUPPORTED for a
 *         newer version; then the summary is remade from the mail.
 * Format: docs/formats/summary.md. */
#pragma once

#include "message/message.h"

#define MESSAGE_SUMMARY_VERSION    1
#define MESSAGE_PREVIEW_CHARS      200
#define MESSAGE_SUMMARY_FIELDS_MAX (64u << 10) /* a larger column is left out */

/* A decoded summary; the strings borrow the stored bytes. */
struct message_summary {
	uint64_t physical_size;
	uint64_t virtual_size;
	bool has_sent_date; /* the Date field is there and valid */
	int64_t sent_wall_s;
	int sent_zone_min; /* minutes east of UTC; local date = sent_wall_s + 60 * zone */
	bool has_nul;
	bool has_fields;          /* false: the header fields were too large to keep */
	struct str envelope;      /* wire form */
	struct str bodystructure; /* wire form */
	struct str body;          /* wire form, not extended */
	struct str parts;         /* message_summary_tree() reads it */
	struct str fields;        /* kept header fields, in order, CRLF line ends, no empty line */
	struct str preview;       /* UTF-8, at most 200 characters, no control characters */
};

/* Appends the summary of a parsed mail. `out` must have no limit of its own. */
void message_summary_encode(struct buf *out, struct str mail, const struct message_tree *tree);

enum err message_summary_decode(struct str bytes, struct message_summary *out);

/* Rebuilds the part tree (without contents). ERR_CORRUPT if the column makes no sense. */
enum err message_summary_tree(
	struct arena *arena, const struct message_summary *summary, struct message_tree *out);

/* Is this header field kept in `fields` (when has_fields)? HEADER.FIELDS of kept names alone is
 * answered by message_header_subset() over that column. */
bool message_summary_keeps_field(struct str name);

/* Appends the start of the first text part as one line of plain text. */
void message_preview_put(struct buf *out, struct str mail, const struct message_tree *tree);
