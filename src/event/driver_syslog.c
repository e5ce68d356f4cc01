/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines to syslog. The identity is "pombal"; Info has no level word (sheet core §10). */
#include <syslog.h>

#include "event/event_private.h"

static int syslog_priority(enum event_level level)
{
	switch (level) {
	case EVENT_DEBUG:
		return LOG_DEBUG;
	case EVENT_INFO:
		return LOG_INFO;
	case EVENT_WARNING:
		return LOG_WARNING;
	case EVENT_ERROR:
		return LOG_ERR;
	case EVENT_FATAL:
		return LOG_CRIT;
	}
	UNREACHABLE();
}

static enum err syslog_open(struct op *op, struct str target, void **out_state)
{
	(void)op;
	(void)target;
	openlog("pombal", LOG_NDELAY, LOG_MAIL);
	*out_state = NULL;
	return ERR_NONE;
}

static void syslog_write(void *state, const struct event_record *r)
{
	(void)state;
	bool has_word = r->level != EVENT_INFO;
	struct str process = event_log_process();
	syslog(syslog_priority(r->level), "%.*s: %s%s%.*s%.*s", STRF(process),
		has_word ? event_level_word(r->level) : "", has_word ? ": " : "", STRF(r->prefix),
		STRF(r->text));
}

static void syslog_close(void *state)
{
	(void)state;
	closelog();
}

const struct event_driver event_driver_syslog = {
	.name = "syslog",
	.open = syslog_open,
	.write = syslog_write,
	.close = syslog_close,
};
