/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations of events: the list of drivers and the open ones. Until the first is opened, lines
 * go to stderr, so that nothing said during start-up is lost. */
#include <stdio.h>

#include "event/event.h"
#include "event/event_private.h"

#define OPEN_MAX 4

/* To add a driver: write driver_x.c, declare it in event_private.h, list it here. */
const struct event_driver *const event_drivers[] = { &event_driver_stderr, &event_driver_file,
	&event_driver_json, &event_driver_syslog, NULL };

static struct {
	struct destination {
		const struct event_driver *driver;
		void *state;
		enum event_level min_level;
	} open[OPEN_MAX];
	size_t open_count;
	char process[64];
} log_state = { .process = "pombal" };

bool event_log_takes(enum event_level level)
{
	if (log_state.open_count == 0)
		return level >= EVENT_INFO;
	for (size_t i = 0; i < log_state.open_count; i++) {
		if (level >= log_state.open[i].min_level)
			return true;
	}
	return false;
}

static bool is_debug_forced(const struct event *e)
{
	for (; e; e = e->parent) {
		if (e->is_debug)
			return true;
	}
	return false;
}

void event_log_dispatch(const struct event_record *record)
{
	if (log_state.open_count == 0) {
		event_driver_stderr.write(NULL, record);
		return;
	}
	bool is_forced = is_debug_forced(record->event);
	for (size_t i = 0; i < log_state.open_count; i++) {
		const struct destination *d = &log_state.open[i];
		if (record->level >= d->min_level || is_forced)
			d->driver->write(d->state, record);
	}
}

enum err event_log_open(
	struct op *op, const char *driver, struct str target, enum event_level min_level)
{
	if (log_state.open_count == OPEN_MAX)
		return op_fail(op, ERR_LIMIT, "at most %d log destinations can be open", OPEN_MAX);
	for (size_t i = 0; event_drivers[i]; i++) {
		if (strcmp(event_drivers[i]->name, driver) != 0)
			continue;
		struct destination *d = &log_state.open[log_state.open_count];
		*d = (struct destination){ .driver = event_drivers[i], .min_level = min_level };
		TRY(d->driver->open(op, target, &d->state));
		log_state.open_count++;
		return ERR_NONE;
	}
	return op_fail(
		op, ERR_INVALID, "unknown log driver %s (known: stderr file json syslog)", driver);
}

void event_log_reopen(void)
{
	for (size_t i = 0; i < log_state.open_count; i++) {
		if (log_state.open[i].driver->reopen)
			log_state.open[i].driver->reopen(log_state.open[i].state);
	}
}

void event_log_close(void)
{
	while (log_state.open_count > 0) {
		struct destination *d = &log_state.open[--log_state.open_count];
		if (d->driver->close)
			d->driver->close(d->state);
	}
}

void event_log_set_process(struct str name)
{
	snprintf(log_state.process, sizeof(log_state.process), "%.*s", STRF(name));
}

struct str event_log_process(void)
{
	return str_from(log_state.process);
}

const char *event_level_word(enum event_level level)
{
	switch (level) {
	case EVENT_DEBUG:
		return "Debug";
	case EVENT_INFO:
		return "Info";
	case EVENT_WARNING:
		return "Warning";
	case EVENT_ERROR:
		return "Error";
	case EVENT_FATAL:
		return "Fatal";
	}
	UNREACHABLE();
}

void event_put_escaped(struct buf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t done = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != 0x7f)
			continue;
		buf_put(out, str_slice(s, done, i));
		char escaped[4] = { '\\', 'x', hex[c >> 4], hex[c & 15] };
		buf_put(out, (struct str){ escaped, sizeof(escaped) });
		done = i + 1;
	}
	buf_put(out, str_slice(s, done, s.n));
}
