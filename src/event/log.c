/* SPDX-License-Identifier: Apache-2.0 */
/* Destinations of events: the list of drivers and the open ones, the filters that look at what is sent,
 * and the ring of warnings. Until the first destination is opened, lines go to stderr, so that nothing
 * said during start-up is lost. Spec: sheet core §10. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "event/event.h"
#include "event/event_private.h"
#include "event/filter.h"
#include "event/ring.h"

#define OPEN_MAX          4
#define TIMESTAMP_DEFAULT "%b %d %H:%M:%S "

/* To add a driver: write driver_x.c, declare it in event_private.h, list it here. */
const struct event_driver *const event_drivers[] = { &event_driver_stderr, &event_driver_stdout,
	&event_driver_file, &event_driver_json, &event_driver_syslog, NULL };

struct destination {
	const struct event_driver *driver;
	void *state;
	enum event_level min, max;
};
struct destinations {
	struct destination open[OPEN_MAX];
	size_t count;
};
static struct {
	struct destinations to;
	struct event_filter *debug_filter, *core_filter; /* owned */
	char timestamp[64];
	char process[64];
	bool is_dumping;
} log_state = { .timestamp = TIMESTAMP_DEFAULT, .process = "pombal" };

static bool takes(const struct destination *d, enum event_level level)
{
	return level >= d->min && level <= d->max;
}

bool event_log_takes(enum event_level level)
{
	if (log_state.to.count == 0)
		return level >= EVENT_INFO;
	for (size_t i = 0; i < log_state.to.count; i++)
		if (level != EVENT_DEBUG && takes(&log_state.to.open[i], level))
			return true;
	return false;
}

bool event_log_has_debug_filter(void)
{
	return log_state.debug_filter != NULL;
}

const char *event_log_timestamp(void)
{
	return log_state.timestamp;
}

static bool is_debug_wanted(const struct event_record *r)
{
	struct event_facts facts = { r->event, r->name, r->source_file, r->source_line };
	return event_is_debug_forced(r->event) ||
	       event_filter_matches(log_state.debug_filter, &facts);
}

/* For the administrator who asked for a core of exactly this. */
static void dump_if_asked(const struct event_record *r)
{
	struct event_facts facts = { r->event, r->name, r->source_file, r->source_line };
	if (log_state.is_dumping || !event_filter_matches(log_state.core_filter, &facts))
		return;
	log_state.is_dumping = true;
	event_send(NULL, EVENT_FATAL, NULL, "log_core_filter matches %s",
		r->name ? r->name : "a line");
	abort();
}

void event_log_dispatch(const struct event_record *record)
{
	bool is_wanted = record->level != EVENT_DEBUG || is_debug_wanted(record);
	if (record->level >= EVENT_WARNING)
		event_ring_add(record, event_log_process());
	if (log_state.to.count == 0 && is_wanted)
		event_driver_stderr.write(NULL, record);
	for (size_t i = 0; is_wanted && i < log_state.to.count; i++) {
		const struct destination *d = &log_state.to.open[i];
		if (takes(d, record->level))
			d->driver->write(d->state, record);
	}
	if (log_state.core_filter)
		dump_if_asked(record);
}

/* ---- opening ---- */

static enum err open_one(struct op *op, struct destinations *to, const char *driver,
	struct str target, const struct event_log_settings *settings, struct destination range)
{
	if (to->count == OPEN_MAX)
		return op_fail(op, ERR_LIMIT, "at most %d log destinations can be open", OPEN_MAX);
	for (size_t i = 0; event_drivers[i]; i++) {
		if (strcmp(event_drivers[i]->name, driver) != 0)
			continue;
		struct destination *d = &to->open[to->count];
		*d = range;
		d->driver = event_drivers[i];
		TRY(d->driver->open(op, target, settings, &d->state));
		to->count++;
		return ERR_NONE;
	}
	return op_fail(op, ERR_INVALID,
		"unknown log driver %s (known: stderr stdout file json syslog)", driver);
}

static void close_all(struct destinations *to)
{
	while (to->count > 0) {
		struct destination *d = &to->open[--to->count];
		if (d->driver->close)
			d->driver->close(d->state);
	}
}

enum err event_log_open(struct op *op, const char *driver, struct str target, enum event_level min,
	enum event_level max)
{
	return open_one(op, &log_state.to, driver, target, NULL,
		(struct destination){ .min = min, .max = max });
}

static enum err open_path(struct op *op, struct destinations *to, struct str path,
	const struct event_log_settings *settings, struct destination range)
{
	const char *driver = settings->is_json ? "json" : "file";
	if (str_eq(path, STR("syslog")))
		driver = "syslog";
	else if (str_eq(path, STR("/dev/stderr")) && !settings->is_json)
		driver = "stderr";
	else if (str_eq(path, STR("/dev/stdout")) && !settings->is_json)
		driver = "stdout";
	return open_one(op, to, driver, path, settings, range);
}

/* Neighbouring levels that go to the same place share a destination. */
static enum err open_paths(
	struct op *op, struct destinations *to, const struct event_log_settings *settings)
{
	struct str path = settings->path;
	struct str info = settings->info_path.n > 0 ? settings->info_path : path;
	struct str debug = settings->debug_path.n > 0 ? settings->debug_path : info;
	struct destination worse = { .min = EVENT_WARNING, .max = EVENT_FATAL };
	struct destination middle = { .min = EVENT_INFO, .max = EVENT_INFO };
	if (str_eq(info, path))
		worse.min = EVENT_INFO;
	if (str_eq(debug, info) && str_eq(info, path))
		worse.min = EVENT_DEBUG;
	else if (str_eq(debug, info))
		middle.min = EVENT_DEBUG;
	TRY(open_path(op, to, path, settings, worse));
	if (!str_eq(info, path))
		TRY(open_path(op, to, info, settings, middle));
	if (str_eq(debug, info))
		return ERR_NONE;
	return open_path(op, to, debug, settings,
		(struct destination){ .min = EVENT_DEBUG, .max = EVENT_DEBUG });
}

static enum err check_timestamp(struct op *op, struct str timestamp)
{
	char sample[128];
	struct tm tm = { .tm_mday = 1 };
	if (timestamp.n >= sizeof(log_state.timestamp) || str_has_nul(timestamp))
		return op_fail(op, ERR_INVALID, "log_timestamp is longer than %zu bytes",
			sizeof(log_state.timestamp) - 1);
	if (timestamp.n > 0 && event_format_time(sample, sizeof(sample),
				       str_dup_z(op->arena, timestamp), &tm) == 0)
		return op_fail(op, ERR_INVALID, "log_timestamp gives no time");
	return ERR_NONE;
}

enum err event_log_configure(struct op *op, const struct event_log_settings *settings)
{
	struct destinations to = { .count = 0 };
	struct event_filter *debug_filter = NULL, *core_filter = NULL;
	enum err e = check_timestamp(op, settings->timestamp);
	if (e == ERR_NONE)
		e = op_within(op, event_filter_compile(op, settings->debug_filter, &debug_filter),
			"log_debug");
	if (e == ERR_NONE)
		e = op_within(op, event_filter_compile(op, settings->core_filter, &core_filter),
			"log_core_filter");
	if (e == ERR_NONE)
		e = open_paths(op, &to, settings);
	if (e != ERR_NONE) {
		close_all(&to);
		event_filter_free(debug_filter);
		event_filter_free(core_filter);
		return e;
	}
	event_log_close();
	log_state.to = to;
	log_state.debug_filter = debug_filter;
	log_state.core_filter = core_filter;
	snprintf(log_state.timestamp, sizeof(log_state.timestamp), "%.*s",
		STRF(settings->timestamp.n > 0 ? settings->timestamp : STR(TIMESTAMP_DEFAULT)));
	if (settings->ring_path.n > 0)
		event_ring_open(settings->ring_path);
	return ERR_NONE;
}

void event_log_reopen(void)
{
	for (size_t i = 0; i < log_state.to.count; i++) {
		const struct destination *d = &log_state.to.open[i];
		if (d->driver->reopen)
			d->driver->reopen(d->state);
	}
}

void event_log_close(void)
{
	close_all(&log_state.to);
	event_filter_free(log_state.debug_filter);
	event_filter_free(log_state.core_filter);
	log_state.debug_filter = log_state.core_filter = NULL;
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
