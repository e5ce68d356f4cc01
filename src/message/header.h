/* SPDX-License-Identifier: Apache-2.0 */
/* message/header.h - the fields of a header block, one after the other.
 *
 * Rules:  a block ends at an empty line or at the end of the bytes. A line without colon is a field
 *         with an empty name and the whole line as its value. NUL and 8-bit bytes stay. Fields whose
 *         name is longer than 1000 bytes are passed over.
 * Spec:   RFC 5322 §2.2, §3.6.8, §4.5. */
#pragma once

#include "base/base.h"

#define MESSAGE_FIELD_NAME_MAX 1000

struct message_field {
	struct str name;  /* without blanks before the colon */
	struct str value; /* raw: folds inside, blanks at both ends cut off */
	struct str whole; /* all its lines with their line ends */
};

/* Takes the next field off *rest. False at the end of the block; *rest is then what follows the
 * empty line (the body). Each call costs O(bytes taken). */
bool message_field_next(struct str *rest, struct message_field *out);

/* The first field of that name (case-insensitive). */
bool message_field_find(struct str header, struct str name, struct message_field *out);

/* The value without its line ends (blanks after them stay, RFC 5322 §2.2.3). A slice when nothing is
 * folded, else a copy in the arena. */
struct str message_field_unfold(struct arena *arena, struct str value);

/* Appends the fields with (is_not: without) one of these names, in the order of the mail, with CRLF
 * line ends; no empty line after them. `scratch` is used for a sorted copy of the names. */
void message_header_subset(struct buf *out, struct str header, const struct str *names,
	size_t count, bool is_not, struct arena *scratch);
/* The same, but ends after the field that makes it more than `max` bytes. */
void message_header_subset_until(struct buf *out, struct str header, const struct str *names,
	size_t count, bool is_not, size_t max, struct arena *scratch);
