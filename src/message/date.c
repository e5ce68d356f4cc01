/* SPDX-License-Identifier: Apache-2.0 */
/* message/date.c - reads the Date field, obsolete forms included.
 *
 * Unknown and military zones count as +0000 (RFC 5322 §4.3). Days that the month does not have make
 * the date invalid; a leap second is taken as second 59. */
#include "message/date.h"

#include "base/number.h"
#include "message/lex_private.h"

static const char month_names[12][4] = { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug",
	"sep", "oct", "nov", "dec" };

static const struct {
	char name[4];
	int minutes;
} zone_names[] = {
	{ "ut", 0 },
	{ "utc", 0 },
	{ "gmt", 0 },
	{ "est", -300 },
	{ "edt", -240 },
	{ "cst", -360 },
	{ "cdt", -300 },
	{ "mst", -420 },
	{ "mdt", -360 },
	{ "pst", -480 },
	{ "pdt", -420 },
};

static struct str alpha_cut(struct str *rest)
{
	size_t n = 0;

	while (n < rest->n && ascii_is_alpha(rest->p[n]))
		n++;
	return str_take(rest, n);
}

/* A number of at most `digits_max` digits, after blanks. */
static bool digits_cut(struct str *rest, size_t digits_max, int *out, size_t *digits)
{
	uint32_t v;
	size_t before;

	(void)lex_cfws_skip(rest, NULL);
	before = rest->n;
	if (!number_cut_u32(rest, &v) || before - rest->n > digits_max)
		return false;
	*digits = before - rest->n;
	*out = (int)v;
	return true;
}

static bool mark_cut(struct str *rest, struct str mark)
{
	(void)lex_cfws_skip(rest, NULL);
	return str_skip(rest, mark);
}

static bool month_cut(struct str *rest, int *out)
{
	(void)lex_cfws_skip(rest, NULL);
	(void)str_skip(rest, STR("-"));
	struct str name = alpha_cut(rest);
	(void)str_skip(rest, STR("-"));
	for (int i = 0; i < 12 && name.n >= 3; i++) {
		if (str_eq_ci(str_slice(name, 0, 3), str_from(month_names[i]))) {
			*out = i + 1;
			return true;
		}
	}
	return false;
}

static bool year_cut(struct str *rest, int *out)
{
	size_t digits;

	if (!digits_cut(rest, 4, out, &digits) || digits < 2)
		return false;
	if (digits == 2)
		*out += *out < 50 ? 2000 : 1900;
	else if (digits == 3)
		*out += 1900;
	return true;
}

static int month_days(int year, int month)
{
	static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && is_leap ? 1 : 0);
}

/* Days since 1970-01-01 in the Gregorian calendar. */
static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

/* hh:mm[:ss]; no time at all is midnight. False: not a time. */
static bool time_cut(struct str *rest, int *out_seconds)
{
	int hour, minute, second = 0;
	size_t digits;

	*out_seconds = 0;
	(void)lex_cfws_skip(rest, NULL);
	if (rest->n == 0)
		return true;
	if (!digits_cut(rest, 2, &hour, &digits))
		return false;
	if (!mark_cut(rest, STR(":")) && !mark_cut(rest, STR(".")))
		return false;
	if (!digits_cut(rest, 2, &minute, &digits))
		return false;
	if ((mark_cut(rest, STR(":")) || mark_cut(rest, STR("."))) &&
		!digits_cut(rest, 2, &second, &digits))
		return false;
	if (hour > 23 || minute > 59 || second > 60)
		return false;
	*out_seconds = hour * 3600 + minute * 60 + MIN(second, 59);
	return true;
}

static int zone_cut(struct str *rest)
{
	uint32_t v;

	(void)lex_cfws_skip(rest, NULL);
	bool is_west = rest->n > 0 && *rest->p == '-';
	if (is_west || (rest->n > 0 && *rest->p == '+')) {
		(void)str_take(rest, 1);
		size_t before = rest->n;
		if (!number_cut_u32(rest, &v) || before - rest->n != 4 || v % 100 > 59 || v > 2400)
			return 0;
		int minutes = (int)(v / 100 * 60 + v % 100);
		return is_west ? -minutes : minutes;
	}
	struct str name = alpha_cut(rest);
	for (size_t i = 0; i < ARRAY_COUNT(zone_names); i++)
		if (str_eq_ci(name, str_from(zone_names[i].name)))
			return zone_names[i].minutes;
	return 0;
}

bool message_date_parse(struct str value, struct message_date *out)
{
	struct message_date date;
	size_t digits;
	int seconds;

	(void)lex_cfws_skip(&value, NULL);
	(void)alpha_cut(&value); /* day of the week: never checked, often wrong */
	(void)str_skip(&value, STR("."));
	(void)mark_cut(&value, STR(","));
	if (!digits_cut(&value, 2, &date.day, &digits) || !month_cut(&value, &date.month) ||
		!year_cut(&value, &date.year) || !time_cut(&value, &seconds))
		return false;
	if (date.day < 1 || date.day > month_days(date.year, date.month))
		return false;
	date.zone_min = zone_cut(&value);
	date.wall_s = days_from_civil(date.year, date.month, date.day) * 86400 + seconds -
		      (int64_t)date.zone_min * 60;
	*out = date;
	return true;
}
