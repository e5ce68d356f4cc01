/* SPDX-License-Identifier: Apache-2.0 */
/* event/event_private.h - the inside of an event, for this folder alone. */
#pragma once

#include "event/event.h"

struct event_field {
	const char *key; /* static */
	bool is_number;
	int64_t number;
	char *text; /* owned; NULL for numbers */
	size_t text_bytes;
};
struct event {
	uint32_t refs;
	bool is_debug;
	uint16_t field_count;
	uint16_t field_cap;
	const char *category;
	/* owned */
	struct event *parent; /* a reference */
	struct event_field *fields;
	char *prefix; /* NULL: none */
	size_t prefix_bytes;
};

/* True if some destination takes this level (log.c). */
bool event_log_takes(enum event_level level);
/* Hands the record to every destination that wants its level (log.c). */
void event_log_dispatch(const struct event_record *record);
const char *event_level_word(enum event_level level);
struct str event_log_process(void);
/* Adds `s` with control characters as \xHH, so that foreign text cannot forge lines. */
void event_put_escaped(struct buf *out, struct str s);

extern const struct event_driver event_driver_stderr;
extern const struct event_driver event_driver_file;
extern const struct event_driver event_driver_json;
extern const struct event_driver event_driver_syslog;
