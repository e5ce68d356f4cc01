/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines to syslog. The identity is instance_name; Info has no level word (sheet core §10). */
#include <stdio.h>
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

static char identity[64] = "pombal"; /* openlog() keeps the pointer */

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{ "mail", LOG_MAIL },
	{ "daemon", LOG_DAEMON },
	{ "user", LOG_USER },
	{ "auth", LOG_AUTH },
	{ "authpriv", LOG_AUTHPRIV },
	{ "local0", LOG_LOCAL0 },
	{ "local1", LOG_LOCAL1 },
	{ "local2", LOG_LOCAL2 },
	{ "local3", LOG_LOCAL3 },
	{ "local4", LOG_LOCAL4 },
	{ "local5", LOG_LOCAL5 },
	{ "local6", LOG_LOCAL6 },
	{ "local7", LOG_LOCAL7 },
};

static enum err syslog_open(struct op *op, struct str target,
	const struct event_log_settings *settings, void **out_state)
{
	struct str facility = settings && settings->facility.n ? settings->facility : STR("mail");
	size_t i = 0;
	(void)target;
	while (i < ARRAY_COUNT(facilities) && !str_eq(facility, str_from(facilities[i].name)))
		i++;
	if (i == ARRAY_COUNT(facilities))
		return op_fail(op, ERR_INVALID, "syslog_facility: %.*s is none", STRF(facility));
	if (settings && settings->ident.n > 0)
		snprintf(identity, sizeof(identity), "%.*s", STRF(settings->ident));
	openlog(identity, LOG_NDELAY, facilities[i].facility);
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
