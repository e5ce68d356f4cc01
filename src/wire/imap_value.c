/* SPDX-License-Identifier: Apache-2.0 */
/* wire/imap_value.c - tokens with a meaning: sequence sets, dates, flags, mailbox names.
 *
 * Spec: RFC 3501 §9 (sequence-set, date, date-time, flag), §5.1.3 (mailbox names). */
#include <stdlib.h>

#include "base/codec.h"
#include "base/number.h"
#include "base/range_set.h"
#include "base/unicode.h"
#include "wire/imap_private.h"

/* ---- sequence sets ---- */

static enum err cut_seq_number(struct imap_cursor *c, uint32_t *out)
{
	if (imap_skip(c, '*')) {
		*out = 0;
		return ERR_NONE;
	}
	if (!number_cut_u32(&c->rest, out) || *out == 0)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid messageset.");
	return ERR_NONE;
}

static enum err cut_seq_range(struct imap_cursor *c, struct imap_sequence_range *out)
{
	TRY(cut_seq_number(c, &out->first));
	out->last = out->first;
	if (imap_skip(c, ':'))
		TRY(cut_seq_number(c, &out->last));
	return ERR_NONE;
}

enum err imap_cut_sequence_set(struct imap_cursor *c, struct imap_sequence_set *out)
{
	struct imap_sequence_set set = { .ranges = NULL };
	if (imap_skip(c, '$')) {
		set.is_saved_result = true;
		*out = set;
		return ERR_NONE;
	}
	do {
		struct imap_sequence_range r;
		TRY(cut_seq_range(c, &r));
		if (r.first == 0 || r.last == 0)
			set.has_star = true;
		else
			set.greatest = MAX(set.greatest, MAX(r.first, r.last));
		set.ranges = imap_array_grow(c, set.ranges, set.count, sizeof(r));
		if (!set.ranges)
			return ERR_LIMIT;
		set.ranges[set.count++] = r;
	} while (imap_skip(c, ','));
	*out = set;
	return ERR_NONE;
}

static int range_cmp(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* Sorts first, because adding to a range_set is cheap only at its end. */
void imap_sequence_set_resolve(struct arena *arena, const struct imap_sequence_set *set,
	uint32_t star, struct range_set *out)
{
	struct range *sorted = ARENA_NEW_ARRAY(arena, struct range, set->count);
	size_t count = 0;
	bool is_sorted = true;
	for (size_t i = 0; i < set->count; i++) {
		struct imap_sequence_range r = set->ranges[i];
		bool has_star = r.first == 0 || r.last == 0;
		if (has_star && star == 0)
			continue;
		/* The larger of the two is the number; 0 is the star. */
		uint32_t a = has_star ? MIN(MAX(r.first, r.last), star) : r.first;
		if (has_star && r.first == r.last)
			a = star;
		uint32_t b = has_star ? star : r.last;
		sorted[count] = (struct range){ MIN(a, b), MAX(a, b) };
		is_sorted = is_sorted &&
			    (count == 0 || range_cmp(&sorted[count - 1], &sorted[count]) <= 0);
		count++;
	}
	if (!is_sorted)
		qsort(sorted, count, sizeof(*sorted), range_cmp);
	for (size_t i = 0; i < count; i++)
		range_set_add(out, sorted[i].first, sorted[i].last);
}

/* ---- dates ---- */

const char imap_month_names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec" };

/* Both count in years that begin in March, so that the leap day is the last one. */
int32_t imap_day_from_date(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400;
	int year_of_era = y - era * 400;
	int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

void imap_date_from_day(int32_t days, int *year, int *month, int *day)
{
	int64_t z = (int64_t)days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int day_of_era = (int)(z - era * 146097);
	int year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int m = (5 * day_of_year + 2) / 153;
	*day = day_of_year - (153 * m + 2) / 5 + 1;
	*month = m < 10 ? m + 3 : m - 9;
	*year = (int)(era * 400) + year_of_era + (*month <= 2 ? 1 : 0);
}

static bool cut_digits(struct str *s, size_t min, size_t max, int *out)
{
	int v = 0;
	size_t n = 0;
	while (n < max && n < s->n && ascii_is_digit(s->p[n]))
		v = v * 10 + (s->p[n++] - '0');
	if (n < min)
		return false;
	(void)str_take(s, n);
	*out = v;
	return true;
}

static bool cut_month(struct str *s, int *out)
{
	for (int i = 0; i < 12; i++) {
		if (str_skip_ci(s, (struct str){ imap_month_names[i], 3 })) {
			*out = i + 1;
			return true;
		}
	}
	return false;
}

static bool cut_day_month_year(struct str *s, int32_t *out_day)
{
	int day, month, year;
	if (!cut_digits(s, 1, 2, &day) || !str_skip(s, STR("-")) || !cut_month(s, &month) ||
		!str_skip(s, STR("-")) || !cut_digits(s, 4, 4, &year) || day < 1)
		return false;
	int32_t days = imap_day_from_date(year, month, day);
	int y, m, d;
	imap_date_from_day(days, &y, &m, &d);
	if (d != day || m != month)
		return false; /* 31 February */
	*out_day = days;
	return true;
}

enum err imap_cut_date(struct imap_cursor *c, int32_t *out_day)
{
	struct str s;
	TRY(imap_cut_astring(c, &s));
	int32_t day;
	if (!cut_day_month_year(&s, &day) || s.n != 0)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid date.");
	*out_day = day;
	return ERR_NONE;
}

/* " hh:mm:ss +zzzz" as seconds to add to the day's start in UTC. */
static bool cut_time_zone(struct str *s, int *out_seconds)
{
	int h, m, sec, zone_h, zone_m;
	if (!str_skip(s, STR(" ")) || !cut_digits(s, 2, 2, &h) || !str_skip(s, STR(":")) ||
		!cut_digits(s, 2, 2, &m) || !str_skip(s, STR(":")) || !cut_digits(s, 2, 2, &sec) ||
		!str_skip(s, STR(" ")))
		return false;
	bool is_west = str_skip(s, STR("-"));
	if (!is_west && !str_skip(s, STR("+")))
		return false;
	if (!cut_digits(s, 2, 2, &zone_h) || !cut_digits(s, 2, 2, &zone_m))
		return false;
	if (h > 23 || m > 59 || sec > 60 || zone_h > 23 || zone_m > 59)
		return false;
	int zone = (zone_h * 60 + zone_m) * 60;
	*out_seconds = h * 3600 + m * 60 + sec + (is_west ? zone : -zone);
	return true;
}

enum err imap_cut_date_time(struct imap_cursor *c, int64_t *out_wall_us)
{
	struct str s;
	TRY(imap_cut_string(c, &s));
	int32_t day;
	int seconds;
	(void)str_skip(&s, STR(" ")); /* " 1-Jan-2024" */
	if (!cut_day_month_year(&s, &day) || !cut_time_zone(&s, &seconds) || s.n != 0)
		return imap_cursor_fail(c, ERR_INVALID, "Invalid date-time.");
	*out_wall_us = ((int64_t)day * 86400 + seconds) * US_PER_SEC;
	return ERR_NONE;
}

/* ---- flags ---- */

const struct imap_word imap_system_flags[] = {
	{ STR("\\Answered"), IMAP_FLAG_ANSWERED },
	{ STR("\\Flagged"), IMAP_FLAG_FLAGGED },
	{ STR("\\Deleted"), IMAP_FLAG_DELETED },
	{ STR("\\Seen"), IMAP_FLAG_SEEN },
	{ STR("\\Draft"), IMAP_FLAG_DRAFT },
	{ STR("\\Recent"), IMAP_FLAG_RECENT },
	{ STR_NONE, 0 },
};

static enum err cut_flag(struct imap_cursor *c, struct imap_flags *flags)
{
	struct str word, from = c->rest;
	bool is_system = imap_skip(c, '\\');
	TRY(imap_cut_atom(c, &word));
	if (is_system) {
		struct str name = str_slice(from, 0, word.n + 1);
		uint32_t bit = imap_word_find(imap_system_flags, name);
		if (bit == 0)
			return imap_cursor_fail_word(c, ERR_INVALID, "Invalid system flag", name);
		flags->system |= bit;
		return ERR_NONE;
	}
	flags->keywords =
		imap_array_grow(c, flags->keywords, flags->keyword_count, sizeof(struct str));
	if (!flags->keywords)
		return ERR_LIMIT;
	flags->keywords[flags->keyword_count++] = word;
	return ERR_NONE;
}

enum err imap_cut_flag_list(struct imap_cursor *c, struct imap_flags *out)
{
	struct imap_flags flags = { .system = 0 };
	TRY(imap_cut_byte(c, '('));
	for (bool is_first = true, has_item;; is_first = false) {
		TRY(imap_cut_list_next(c, is_first, &has_item));
		if (!has_item)
			break;
		TRY(cut_flag(c, &flags));
	}
	*out = flags;
	return ERR_NONE;
}

enum err imap_cut_store_flags(struct imap_cursor *c, struct imap_flags *out)
{
	struct imap_flags flags = { .system = 0 };
	if (imap_is_next(c, '('))
		return imap_cut_flag_list(c, out);
	do
		TRY(cut_flag(c, &flags));
	while (imap_skip(c, ' '));
	*out = flags;
	return ERR_NONE;
}

/* ---- mailbox names ---- */

/* False: not a valid encoding. */
static bool name_decode(struct imap_cursor *c, struct str wire, struct str *out)
{
	if (c->is_utf8) {
		*out = wire;
		return utf8_is_valid(wire);
	}
	bool is_plain = true;
	for (size_t i = 0; i < wire.n && is_plain; i++)
		is_plain = wire.p[i] >= ' ' && wire.p[i] < 0x7f && wire.p[i] != '&';
	if (is_plain) {
		*out = wire;
		return true;
	}
	AUTO_BUF(decoded, 0);
	if (!mutf7_decode(&decoded, wire) || !arena_has_room(c->arena, decoded.n))
		return false;
	*out = buf_dup(c->arena, &decoded);
	return true;
}

/* INBOX is one name however it is written, also as a parent; the rest of a name is as it is. */
static struct str name_canonical(struct imap_cursor *c, struct str name)
{
	static const struct str inbox = STR("INBOX");
	if (!str_starts_ci(name, inbox) || str_starts(name, inbox))
		return name;
	if (name.n == inbox.n)
		return inbox;
	if (name.p[inbox.n] != '/' && name.p[inbox.n] != '.')
		return name;
	if (!arena_has_room(c->arena, name.n))
		return name;
	char *copy = arena_alloc(c->arena, name.n);
	memcpy(copy, name.p, name.n);
	memcpy(copy, inbox.p, inbox.n);
	return (struct str){ copy, name.n };
}

enum err imap_cut_mailbox(struct imap_cursor *c, struct str *out)
{
	struct str wire, name;
	TRY(imap_cut_astring(c, &wire));
	if (!name_decode(c, wire, &name))
		return imap_cursor_fail(c, ERR_INVALID, "Mailbox name is not valid mUTF-7.");
	*out = name_canonical(c, name);
	return ERR_NONE;
}

enum err imap_cut_list_mailbox(struct imap_cursor *c, struct str *out)
{
	struct str wire, pattern;
	if (imap_is_next(c, '"') || imap_is_next(c, '{')) {
		TRY(imap_cut_string(c, &wire));
	} else {
		size_t n = 0;
		while (n < c->rest.n && imap_is_list_char(c->rest.p[n]))
			n++;
		if (n == 0)
			return imap_cursor_fail(c, ERR_INVALID, "Invalid mailbox pattern.");
		wire = str_take(&c->rest, n);
	}
	*out = name_decode(c, wire, &pattern) ? name_canonical(c, pattern) : STR_NONE;
	return ERR_NONE;
}
