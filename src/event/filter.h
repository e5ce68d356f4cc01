/* SPDX-License-Identifier: Apache-2.0 */
/* event/filter.h - which events are meant: a small language over names, categories and fields.
 *
 *   event=smtp_server_* AND (category=lmtp OR user="*@example.test") AND NOT data_size < 10MB
 *
 * Comparisons: "event" (case-sensitive) and all other texts (not case-sensitive) match wildcards * and ?,
 *         "\" in quotes takes their meaning away; "category" is true for a category, one it is part of,
 *         or service:NAME; "source_location" is file.c or file.c:123; other keys are fields of the
 *         event or its parents: texts; addresses, also against networks (10.0.0.0/8); numbers by
 *         = < > <= >=, with units B KB MB GB TB (of 1024) or usecs msecs secs mins hours days weeks and
 *         their long forms, which mean microseconds, as in fields. "duration" is the event's age when it
 *         has no such field. key="" is true when the field is empty or absent.
 * Grammar: AND and OR bind alike and to the left, NOT tighter; these words in any case.
 * Limits: 4 KiB of text, 128 comparisons, parentheses 32 deep. Total and iterative.
 * Spec:   sheet core §9.3. */
#pragma once

#include "event/event.h"

struct event_filter;

/* ERR_INVALID says where and why. The empty text gives NULL, which matches nothing. */
enum err event_filter_compile(struct op *op, struct str text, struct event_filter **out);
void event_filter_free(struct event_filter *f); /* NULL is fine */

/* What happened; members may be NULL. */
struct event_facts {
	const struct event *event;
	const char *name;
	const char *source_file;
	int source_line;
};
bool event_filter_matches(const struct event_filter *f, const struct event_facts *facts);
