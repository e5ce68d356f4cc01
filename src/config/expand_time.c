/* SPDX-License-Identifier: Apache-2.0 */
/* config/expand_time.c - times in %{}: date(), iso8601(), epoch(), from_epoch(), and the providers date:
 * and time:. A time stamp is "seconds" or "seconds.nanoseconds" since 1970, as events carry them.
 * Spec: sheet core §2.3, §2.4. */
#include "config/expand_private.h"

#include <time.h>

#include "base/clock.h"
#include "base/number.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define YEAR_MAX_S    INT64_C(253402300799) /* the end of 9999 */
#define TEXT_MAX      256

struct stamp {
	int64_t seconds;
	int64_t ns;
};

static bool stamp_parse(struct str text, struct stamp *out)
{
	struct str whole;
	bool has_fraction = str_cut(&text, '.', &whole);
	*out = (struct stamp){ .ns = 0 };
	if (!config_expand_signed(has_fraction ? whole : text, &out->seconds) ||
		out->seconds > YEAR_MAX_S || out->seconds < -YEAR_MAX_S)
		return false;
	if (!has_fraction)
		return true;
	int64_t unit = NS_PER_SECOND;
	for (size_t i = 0; i < text.n; i++) {
		unit /= 10;
		if (!ascii_is_digit(text.p[i]) || unit == 0)
			return false;
		out->ns += (text.p[i] - '0') * unit;
	}
	return true;
}

/* ---- zones: local (also by default), UTC, or an offset +HHMM ---- */

struct zone {
	bool is_local;
	int64_t offset_s;
};

static bool zone_parse(struct str text, struct zone *out)
{
	uint32_t n;
	*out = (struct zone){ .is_local = text.n == 0 || str_eq_ci(text, STR("local")) };
	if (out->is_local || str_eq_ci(text, STR("UTC")) || str_eq_ci(text, STR("GMT")) ||
		str_eq(text, STR("Z")))
		return true;
	bool is_west = text.p[0] == '-';
	if (text.n != 5 || (!is_west && text.p[0] != '+') ||
		!number_parse_u32(str_slice(text, 1, 5), &n) || n % 100 > 59 || n > 1459)
		return false;
	out->offset_s = (int64_t)(n / 100) * 3600 + (int64_t)(n % 100) * 60;
	if (is_west)
		out->offset_s = -out->offset_s;
	return true;
}

static bool broken_down(const struct stamp *stamp, const struct zone *zone, struct tm *out)
{
	time_t at = stamp->seconds;
	if (zone->is_local)
		return localtime_r(&at, out) != NULL;
	at += zone->offset_s;
	if (!gmtime_r(&at, out))
		return false;
	out->tm_gmtoff = zone->offset_s;
	return true;
}

static enum err input(struct expansion *ex, const struct expand_call *call, size_t zone_arg,
	struct stamp *stamp, struct zone *zone, struct tm *out)
{
	struct str name = call->arg_count > zone_arg ? call->args[zone_arg].value : STR_NONE;
	if (!stamp_parse(ex->value, stamp))
		return config_expand_bad(ex, call, "input is not a time stamp");
	if (!zone_parse(name, zone))
		return config_expand_bad(ex, call, "time zones are local, UTC or +HHMM");
	if (!broken_down(stamp, zone, out))
		return config_expand_bad(ex, call, "time is out of range");
	return ERR_NONE;
}

static void set_text(struct expansion *ex, struct str text)
{
	ex->value = text;
	ex->is_binary = false;
}

/* date(format[, zone]): strftime. */
enum err config_expand_date(struct expansion *ex, struct expand_call *call)
{
	struct stamp stamp;
	struct zone zone;
	struct tm tm;
	char text[TEXT_MAX];
	struct str format = call->args[0].value;
	TRY(input(ex, call, 1, &stamp, &zone, &tm));
	if (format.n == 0) {
		set_text(ex, STR(""));
		return ERR_NONE;
	}
	if (format.n > TEXT_MAX / 2 || str_has_nul(format))
		return config_expand_bad(ex, call, "format is too long");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	/* The administrator's format; strftime() takes no arguments it could miss. */
	size_t n = strftime(text, sizeof(text), str_dup_z(ex->op->arena, format), &tm);
#pragma GCC diagnostic pop
	if (n == 0)
		return config_expand_bad(ex, call, "result is too long");
	set_text(ex, str_dup(ex->op->arena, (struct str){ text, n }));
	return ERR_NONE;
}

/* iso8601([zone]): RFC 3339, in UTC unless a zone is given; a fraction only if there is one. */
enum err config_expand_iso8601(struct expansion *ex, struct expand_call *call)
{
	struct stamp stamp;
	struct zone zone;
	struct tm tm;
	AUTO_BUF(out, 0);
	if (call->arg_count == 0) {
		call->args[0].value = STR("UTC");
		call->arg_count = 1;
	}
	TRY(input(ex, call, 0, &stamp, &zone, &tm));
	buf_putf(&out, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (stamp.ns)
		buf_putf(&out, ".%09" PRId64, stamp.ns);
	long minutes = tm.tm_gmtoff / 60, size = minutes < 0 ? -minutes : minutes;
	if (minutes == 0)
		buf_put_byte(&out, 'Z');
	else
		buf_putf(&out, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', size / 60, size % 60);
	set_text(ex, buf_dup(ex->op->arena, &out));
	return ERR_NONE;
}

/* ---- epoch ---- */

static const struct {
	struct str name;
	int64_t per_second;
} units[] = {
	{ { "s", 1 }, 1 },
	{ { "sec", 3 }, 1 },
	{ { "secs", 4 }, 1 },
	{ { "seconds", 7 }, 1 },
	{ { "ms", 2 }, 1000 },
	{ { "msecs", 5 }, 1000 },
	{ { "milliseconds", 12 }, 1000 },
	{ { "us", 2 }, 1000000 },
	{ { "usecs", 5 }, 1000000 },
	{ { "microseconds", 12 }, 1000000 },
	{ { "ns", 2 }, NS_PER_SECOND },
	{ { "nsecs", 5 }, NS_PER_SECOND },
	{ { "nanoseconds", 11 }, NS_PER_SECOND },
};

static enum err unit_of(struct expansion *ex, const struct expand_call *call, int64_t *per_second)
{
	struct str name = call->arg_count ? call->args[0].value : STR("s");
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (str_eq_ci(units[i].name, name)) {
			*per_second = units[i].per_second;
			return ERR_NONE;
		}
	}
	return config_expand_bad(ex, call, "units are s, ms, us and ns");
}

/* epoch([unit]): a time stamp as a whole number of units. */
enum err config_expand_epoch(struct expansion *ex, struct expand_call *call)
{
	struct stamp stamp;
	int64_t per_second, result;
	TRY(unit_of(ex, call, &per_second));
	if (!stamp_parse(ex->value, &stamp))
		return config_expand_bad(ex, call, "input is not a time stamp");
	if (mul_overflows(stamp.seconds, per_second, &result) ||
		add_overflows(result, stamp.ns / (NS_PER_SECOND / per_second), &result))
		return config_expand_bad(ex, call, "result does not fit");
	set_text(ex, str_printf(ex->op->arena, "%" PRId64, result));
	return ERR_NONE;
}

/* from_epoch([unit]): a number of units as a time stamp. */
enum err config_expand_from_epoch(struct expansion *ex, struct expand_call *call)
{
	int64_t per_second, n;
	TRY(unit_of(ex, call, &per_second));
	if (!config_expand_signed(ex->value, &n))
		return config_expand_bad(ex, call, "input is not a number");
	int64_t seconds = n / per_second, ns = n % per_second * (NS_PER_SECOND / per_second);
	if (ns < 0) {
		seconds--;
		ns += NS_PER_SECOND;
	}
	struct arena *arena = ex->op->arena;
	set_text(ex, ns ? str_printf(arena, "%" PRId64 ".%09" PRId64, seconds, ns)
			: str_printf(arena, "%" PRId64, seconds));
	return ERR_NONE;
}

/* ---- now ---- */

bool config_expand_clock(struct expansion *ex, struct str provider, struct str key, struct str *out)
{
	int64_t us = now_wall_us();
	struct stamp stamp = { us / 1000000, us % 1000000 * 1000 };
	struct zone local = { .is_local = true };
	struct tm tm;
	if (!broken_down(&stamp, &local, &tm))
		return false;
	const struct {
		struct str provider, key;
		long long value;
		int width;
	} members[] = {
		{ STR("date"), STR("year"), tm.tm_year + 1900, 4 },
		{ STR("date"), STR("month"), tm.tm_mon + 1, 2 },
		{ STR("date"), STR("day"), tm.tm_mday, 2 },
		{ STR("time"), STR("hour"), tm.tm_hour, 2 },
		{ STR("time"), STR("min"), tm.tm_min, 2 },
		{ STR("time"), STR("sec"), tm.tm_sec, 2 },
		{ STR("time"), STR("usec"), us % 1000000, 6 },
		{ STR("time"), STR("unix"), stamp.seconds, 1 },
	};
	for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
		if (!str_eq(members[i].provider, provider) || !str_eq(members[i].key, key))
			continue;
		*out = str_printf(ex->op->arena, "%0*lld", members[i].width, members[i].value);
		return true;
	}
	return false;
}
