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
	int64_t created_us;
	/* owned */
	struct event *parent; /* a reference */
	struct event_field *fields;
	char *prefix; /* NULL: none */
	size_t prefix_bytes;
};

/* The nearest field of that name, of the event or its parents; NULL: none. */
const struct event_field *event_field_find(const struct event *e, const char *key);
bool event_is_debug_forced(const struct event *e);

/* True if some destination takes this level (log.c). */
bool event_log_takes(enum event_level level);
/* log_debug has a filter: debug events must be shown to it. */
bool event_log_has_debug_filter(void);
/* The strftime() pattern of lines in files. */
const char *event_log_timestamp(void);
/* strftime() with a pattern that is no literal (driver_file.c). */
struct tm;
size_t event_format_time(char *out, size_t size, const char *pattern, const struct tm *tm);
/* Hands the record to every destination that wants its level, to the filters, to the ring (log.c). */
void event_log_dispatch(const struct event_record *record);
const char *event_level_word(enum event_level level);
struct str event_log_process(void);
/* Adds `s` with control characters as \xHH, so that foreign text cannot forge lines. */
void event_put_escaped(struct buf *out, struct str s);

extern const struct event_driver event_driver_stderr;
extern const struct event_driver event_driver_stdout;
extern const struct event_driver event_driver_file;
extern const struct event_driver event_driver_json;
extern const struct event_driver event_driver_syslog;
