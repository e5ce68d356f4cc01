/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about logs: where they are, whether they work, what went wrong of late. */
#include <stdio.h>
#include <time.h>

#include "base/number.h"
#include "event/ring.h"
#include "main/doveadm.h"
#include "main/log_settings.h"

static const char *level_word(enum event_level level)
{
	static const char *const words[] = { "Debug", "Info", "Warning", "Error", "Fatal" };
	return words[level];
}

static void print_line(const struct event_ring_line *line)
{
	time_t seconds = (time_t)(line->wall_us / US_PER_SEC);
	struct tm tm;
	char stamp[32];
	localtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S", &tm);
	printf("%s %.*s: %s: %.*s\n", stamp, STRF(line->process), level_word(line->level),
		STRF(line->text));
}

int doveadm_log_errors(struct doveadm *d)
{
	uint32_t since = 0;
	bool has_since = d->arg_count == 2 && str_eq(str_from(d->args[0]), STR("-s"));
	struct event_ring_line *lines;
	size_t count;
	if (d->arg_count != 0 && !has_since)
		return doveadm_usage(d);
	if (has_since && !number_parse_u32(str_from(d->args[1]), &since))
		return doveadm_usage(d);
	if (doveadm_need_config(d) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	struct event_log_settings settings = log_settings_read(d->op->arena, d->config);
	enum err e = event_ring_read(
		d->op, settings.ring_path, (int64_t)since * US_PER_SEC, &lines, &count);
	if (e != ERR_NONE)
		return doveadm_fail(d, EXIT_NOT_FOUND);
	for (size_t i = 0; i < count; i++)
		print_line(&lines[i]);
	return 0;
}

static void print_place(enum event_level level, struct str path, struct str facility)
{
	if (str_eq(path, STR("syslog")))
		printf("%s: syslog, facility %.*s\n", level_word(level), STRF(facility));
	else
		printf("%s: %.*s\n", level_word(level), STRF(path));
}

int doveadm_log_find(struct doveadm *d)
{
	if (d->arg_count != 0)
		return doveadm_usage(d);
	if (doveadm_need_config(d) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	struct event_log_settings s = log_settings_read(d->op->arena, d->config);
	print_place(EVENT_DEBUG, s.debug_path, s.facility);
	print_place(EVENT_INFO, s.info_path, s.facility);
	for (int level = EVENT_WARNING; level <= EVENT_FATAL; level++)
		print_place((enum event_level)level, s.path, s.facility);
	return 0;
}

int doveadm_log_test(struct doveadm *d)
{
	if (d->arg_count != 0)
		return doveadm_usage(d);
	if (doveadm_need_config(d) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	struct event_log_settings settings = log_settings_read(d->op->arena, d->config);
	event_log_set_process(STR("doveadm"));
	if (event_log_configure(d->op, &settings) != ERR_NONE)
		return doveadm_fail(d, EXIT_FATAL);
	struct event *e = event_new(NULL, "doveadm");
	event_set_debug(e, true);
	for (int level = EVENT_DEBUG; level <= EVENT_FATAL; level++)
		event_send(e, (enum event_level)level, NULL, "This is a test of the %s log",
			level_word((enum event_level)level));
	event_unref(e);
	event_log_close();
	return 0;
}
