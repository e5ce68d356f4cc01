/* SPDX-License-Identifier: Apache-2.0 */
/* event/event.h - what happens, as named events with fields; logs are one view of them.
 *
 * An event has a parent and inherits its fields: process -> listener -> session (session_id, user,
 * remote_ip) -> operation (command). It is created when the thing starts and is sent, by name, when
 * something about it is known.
 *
 * Life:   event_new(parent) -> event_set_*() -> EVENT_INFO()/EVENT_SEND() ... -> event_unref().
 * Rules:  names are noun_verb_past ("imap_command_finished") and listed in docs/events.md.
 *         Never a password, token or message content: secrets go through event_set_secret(), which
 *         keeps only a keyed hash.
 * Filters: log_debug and log_core_filter (event/filter.h) look at what is sent.
 * Cost:   an event that no destination wants costs a level test; nothing is formatted. With a filter set,
 *         debug events cost its comparisons. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

enum event_level { EVENT_DEBUG, EVENT_INFO, EVENT_WARNING, EVENT_ERROR, EVENT_FATAL };

struct event; /* reference counted; the parent is kept alive by its children */

struct event *event_new(struct event *parent, const char *category);
struct event *event_ref(struct event *e);
void event_unref(struct event *e); /* NULL is fine */

/* Keys are static text; values are copied. Setting a key again replaces it. NULL events are fine.
 */
void event_set_str(struct event *e, const char *key, struct str value);
void event_set_int(struct event *e, const char *key, int64_t value);
void event_set_secret(struct event *e, const char *key, struct str value);
/* Text before each log line of this event and its children, as "imap(%user)<%session>: ". */
void event_set_prefix(struct event *e, struct str prefix);
/* Forces debug lines of this event and its children. */
void event_set_debug(struct event *e, bool on);
/* Searches up through the parents; false if nobody has it. Integers give false. */
bool event_get_str(const struct event *e, const char *key, struct str *out);

/* One line for a person, and an event with the fields for machines. `name` may be NULL: only a log
 * line. The text of fmt carries no secrets and no trailing newline; control characters are escaped.
 */
#define event_send(e, level, name, ...)                                                            \
	event_send_at(__FILE__, __LINE__, e, level, name, __VA_ARGS__)
__attribute__((format(printf, 6, 7))) void event_send_at(const char *file, int line,
	struct event *e, enum event_level level, const char *name, const char *fmt, ...);
/* May somebody want an event of this level? Ask before collecting fields that cost something. */
bool event_is_wanted(const struct event *e, enum event_level level);

/* Logs the failure of `op` once, with its recorded text, class and source place. */
void event_send_failure(struct event *e, enum event_level level, const char *name,
	const struct op *op, const char *while_doing);

/* ---- drivers: where events go ---- */

struct event_record {
	int64_t wall_us;
	enum event_level level;
	const char *name; /* NULL: a plain line */
	const char *category;
	struct str prefix; /* joined from the root down */
	struct str text;
	const struct event *event;
	const char *source_file;
	int source_line;
};
struct event_log_settings;
struct event_driver {
	const char *name; /* as written in the configuration: "stderr", "file", "syslog", "json" */
	/* `settings` may be NULL. */
	enum err (*open)(struct op *op, struct str target,
		const struct event_log_settings *settings, void **out_state);
	void (*write)(void *state, const struct event_record *record);
	void (*reopen)(void *state);
	void (*close)(void *state);
};
extern const struct event_driver *const event_drivers[]; /* NULL-terminated */

/* Opens one more destination, for events from `min` to `max`. Until the first one is opened lines go to
 * stderr. */
enum err event_log_open(struct op *op, const char *driver, struct str target, enum event_level min,
	enum event_level max);
void event_log_reopen(void); /* after rotation */
/* For a process that may not open files itself: whenever it opens `path`, a copy of `fd` (taken) is used.
 * Again for the same path: replaces it. */
void event_log_give_file(struct str path, int fd);
void event_log_close(void);

/* What an administrator says about logs; borrowed for the call. Paths are files, "syslog", "/dev/stderr" or
 * "/dev/stdout". */
struct event_log_settings {
	struct str path;       /* warnings and worse */
	struct str info_path;  /* "": as path */
	struct str debug_path; /* "": as info_path */
	struct str timestamp;  /* strftime() pattern of lines in files; "": "%b %d %H:%M:%S " */
	struct str ident;      /* in syslog; "": "pombal" */
	struct str facility;   /* of syslog; "": "mail" */
	bool is_json;          /* files hold an object a line */
	struct str debug_filter, core_filter; /* see filter.h; "": none */
	struct str ring_path;                 /* event/ring.h; "": no ring */
};
/* Replaces all destinations and filters, or changes nothing. ERR_INVALID: a filter, the facility or the
 * time stamp is wrong. A ring that cannot be opened is done without. */
enum err event_log_configure(struct op *op, const struct event_log_settings *settings);
/* "imap-login", "mail-3": stands in each line. Copied. */
void event_log_set_process(struct str name);
/* Walks the fields of an event and its parents, nearest first (for machine-readable drivers). */
typedef void event_field_fn(const char *key, struct str value, bool is_number, void *arg);
void event_fields_walk(const struct event *e, event_field_fn *fn, void *arg);

/* A new session id: 12+ characters of base64url, unique over hosts and time. */
struct str event_session_id(struct arena *a);
