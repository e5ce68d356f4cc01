/* SPDX-License-Identifier: Apache-2.0 */
/* The metacache in a mail worker: its settings, and the answers to doveadm metacache.
 *
 * Options are words: "important", "bytes", "roots", "priority=N", "days=N", "mask=MASK" (several are joined).
 * Spec: storage sheet §12.4, §16.1. */
#include "main/mail_metacache.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "auth/auth.h"
#include "base/number.h"
#include "main/mail_admin_private.h"

#define DAY_S 86400

/* ---- settings ---- */

static bool cut_clock(struct str *rest, int64_t *out_s)
{
	uint32_t hour, minute;
	if (!number_cut_u32(rest, &hour) || !str_skip(rest, STR(":")) ||
		!number_cut_u32(rest, &minute) || hour > 23 || minute > 59)
		return false;
	*out_s = hour * 3600 + minute * 60;
	return true;
}

/* "01:00-05:00", local time, as it is now: a change of the hour in spring moves it until the next start. */
static enum err read_night(struct op *op, struct str text, struct metacache_settings *out)
{
	int64_t from_s, to_s;
	struct str rest = str_trim(text);
	struct tm local;
	time_t now = (time_t)(now_wall_us() / US_PER_SEC);
	if (rest.n == 0)
		return ERR_NONE;
	if (!cut_clock(&rest, &from_s) || !str_skip(&rest, STR("-")) || !cut_clock(&rest, &to_s) ||
		rest.n > 0 || from_s == to_s)
		return op_fail(op, ERR_INVALID,
			"metacache_nightly_window: \"%.*s\" is not like 01:00-05:00", STRF(text));
	int64_t ahead_s = localtime_r(&now, &local) ? local.tm_gmtoff : 0;
	out->night_begin_us = ((from_s - ahead_s) % DAY_S + DAY_S) % DAY_S * US_PER_SEC;
	out->night_length_us = ((to_s - from_s) % DAY_S + DAY_S) % DAY_S * US_PER_SEC;
	return ERR_NONE;
}

static struct str in_state_dir(
	struct arena *arena, const struct config_scope *global, struct str path)
{
	struct str state_dir = config_str(global, SET_state_dir);
	if (path.n == 0 || path.p[0] == '/')
		return str_dup(arena, path);
	return str_printf(arena, "%.*s/%.*s", STRF(state_dir), STRF(path));
}

enum err mail_metacache_settings(struct op *op, struct config *config, uint32_t slot,
	struct arena *arena, struct metacache_settings *out)
{
	const struct config_scope *global = config_scope(config, NULL);
	struct str userdb = config_str(global, SET_metacache_userdb);
	if (userdb.n > 0)
		userdb = str_printf(arena, "%.*s.%" PRIu32, STRF(userdb), slot);
	*out = (struct metacache_settings){
		.totals = in_state_dir(arena, global, STR("metacache/usage")),
		.userdb = in_state_dir(arena, global, userdb),
		.slot = slot,
		.max_bytes = config_size(global, SET_metacache_max_space),
		.grace_bytes = config_size(global, SET_metacache_max_grace),
		.upload_interval_us = config_time_us(global, SET_metacache_upload_interval),
		.rescan_interval_us = config_time_us(global, SET_metacache_rescan_interval),
		.uploads_max = (uint32_t)MIN(
			config_u64(global, SET_metacache_max_parallel_requests), 1000),
		.uploads_per_second =
			(uint32_t)MIN(config_u64(global, SET_metacache_upload_rate), 1000000),
	};
	TRY(read_night(op, config_str(global, SET_metacache_nightly_window), out));
	return cache_weights_parse(op, config_str(global, SET_metacache_priority_weights),
		config_str(global, SET_metacache_size_weights), &out->weights);
}

/* ---- options ---- */

struct options {
	bool is_important, wants_bytes, wants_roots;
	uint32_t priority, days;
	struct buf masks;
};

static void options_read(struct admin_call *c, struct options *o)
{
	struct str rest = c->options, word;
	while (str_cut_word(&rest, &word)) {
		o->is_important |= str_eq(word, STR("important"));
		o->wants_bytes |= str_eq(word, STR("bytes"));
		o->wants_roots |= str_eq(word, STR("roots"));
		if (str_skip(&word, STR("priority=")))
			(void)number_parse_u32(word, &o->priority); /* doveadm checked it */
		else if (str_skip(&word, STR("days=")))
			(void)number_parse_u32(word, &o->days);
		else if (str_skip(&word, STR("mask=")))
			buf_putf(&o->masks, "%.*s ", STRF(word));
	}
}

static bool is_wanted(struct str user, void *arg)
{
	const struct options *o = arg;
	return auth_name_matches(buf_str(&o->masks), user);
}

static struct metacache_filter filter_of(struct options *o)
{
	return (struct metacache_filter){ .wanted = o->masks.n > 0 ? is_wanted : NULL, .arg = o };
}

/* ---- status ---- */

static const struct {
	const char *name;
	int64_t seconds;
} periods[] = {
	{ "hour", 3600 },
	{ "day", DAY_S },
	{ "week", 7 * DAY_S },
	{ "month", 30 * DAY_S },
	{ "older", INT64_MAX },
};
struct period_sum {
	uint64_t users, bytes[CACHE_PRIORITIES], changed, important;
};
struct status {
	struct period_sum sums[ARRAY_COUNT(periods)];
	int64_t now_s;
};

static void add_row(const struct metacache_row *row, void *arg)
{
	struct status *s = arg;
	size_t at = 0;
	while (s->now_s - row->user->units[CACHE_ROOT].access_s > periods[at].seconds)
		at++;
	struct period_sum *sum = &s->sums[at];
	sum->users++;
	sum->changed += row->change != CACHE_UNCHANGED;
	sum->important += row->change == CACHE_IMPORTANT;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		sum->bytes[p] += row->user->units[p].bytes;
}

static void put_bytes(struct buf *out, const struct options *o, uint64_t bytes)
{
	static const char units[] = "BKMGTP";
	double value = (double)bytes;
	size_t unit = 0;
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	if (o->wants_bytes || unit == 0)
		buf_putf(out, "%" PRIu64, bytes);
	else
		buf_putf(out, "%.1f%c", value, units[unit]);
}

static void put_sum(struct admin_call *c, const struct options *o, const char *what,
	const char *period, const struct period_sum *sum)
{
	uint64_t all = 0;
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		all += sum->bytes[p];
	buf_putf(&c->out, "%u\t%s\t%s\t%" PRIu64 "\t", c->slot, what, period, sum->users);
	put_bytes(&c->out, o, all);
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		buf_put_byte(&c->out, '\t');
		put_bytes(&c->out, o, sum->bytes[p]);
	}
	buf_putf(&c->out, "\t%" PRIu64 "\t%" PRIu64 "\n", sum->changed, sum->important);
}

static void put_figure(
	struct admin_call *c, const struct options *o, const char *name, uint64_t bytes)
{
	buf_putf(&c->out, "host\t%s\t-\t-\t", name);
	put_bytes(&c->out, o, bytes);
	buf_put(&c->out, STR("\t-\t-\t-\t-\t-\t-\n"));
}

static void put_count(struct admin_call *c, const char *name, uint64_t count)
{
	buf_putf(&c->out, "%u\t%s\t-\t%" PRIu64 "\t-\t-\t-\t-\t-\t-\t-\n", c->slot, name, count);
}

enum err mail_metacache_status(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	struct status s = { .now_s = now_wall_us() / US_PER_SEC };
	struct period_sum all = { 0 };
	struct metacache_filter everybody = { 0 };
	struct metacache_figures f = metacache_figures(c->store);
	(void)op;
	options_read(c, &o);
	metacache_list(c->store, &everybody, add_row, &s);
	for (size_t i = 0; i < ARRAY_COUNT(periods); i++) {
		if (!o.wants_roots)
			put_sum(c, &o, "used", periods[i].name, &s.sums[i]);
		all.users += s.sums[i].users;
		all.changed += s.sums[i].changed;
		all.important += s.sums[i].important;
		for (int p = 0; p < CACHE_PRIORITIES; p++)
			all.bytes[p] += s.sums[i].bytes[p];
	}
	put_sum(c, &o, o.wants_roots ? metacache_root(c->store) : "all", "-", &all);
	put_count(c, "planned", f.planned);
	put_count(c, "uploading", f.uploading);
	put_count(c, "uploads", f.uploads);
	put_count(c, "upload_failures", f.upload_failures);
	put_count(c, "cleaned", f.cleaned_units);
	put_count(c, "refused_logins", f.refused_logins);
	if (c->slot == 0) {
		put_figure(c, &o, "all", f.host_bytes);
		put_figure(c, &o, "max_space", f.max_bytes);
		put_figure(c, &o, "max_grace", f.grace_bytes);
	}
	buf_done(&o.masks);
	return ERR_NONE;
}

/* ---- list ---- */

struct listing {
	struct admin_call *call;
	unsigned major, minor; /* of the device */
};

static void put_row(const struct metacache_row *row, void *arg)
{
	const struct listing *l = arg;
	struct buf *out = &l->call->out;
	const struct cache_user *u = row->user;
	buf_putf(out, "%.*s\t", STRF(u->name));
	if (row->upload_within_us >= 0)
		buf_putf(out, "%" PRId64, row->upload_within_us / US_PER_SEC);
	buf_putf(out, "\t%u\t%u", l->major, l->minor);
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		buf_putf(out, "\t%" PRIu64, u->units[p].bytes);
	for (int p = 0; p < CACHE_PRIORITIES; p++)
		buf_putf(out, "\t%" PRIu32, u->units[p].access_s);
	buf_putf(out, "\t%s\t%s\t", cache_change_name(row->change),
		cache_service_name((enum cache_service)u->service));
	if (row->weight != INT64_MAX)
		buf_putf(out, "%" PRId64, row->weight);
	buf_put_byte(out, '\n');
}

enum err mail_metacache_list(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	struct listing l = { .call = c };
	struct stat st;
	(void)op;
	if (stat(metacache_root(c->store), &st) == 0) {
		l.major = major(st.st_dev);
		l.minor = minor(st.st_dev);
	}
	options_read(c, &o);
	struct metacache_filter filter = filter_of(&o);
	metacache_list(c->store, &filter, put_row, &l);
	buf_done(&o.masks);
	return ERR_NONE;
}

/* ---- what changes something ---- */

enum err mail_metacache_flush(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	size_t uploaded = 0;
	options_read(c, &o);
	enum err e = metacache_flush(op, c->store, c->user, o.is_important, &uploaded);
	buf_done(&o.masks);
	buf_putf(&c->out, "%.*s\t%s\t%zu\n", STRF(c->user), e == ERR_NONE ? "done" : err_name(e),
		uploaded);
	return e;
}

enum err mail_metacache_flushall(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	size_t users = 0, failed = 0;
	options_read(c, &o);
	struct metacache_filter filter = filter_of(&o);
	enum err e = metacache_flush_all(op, c->store, &filter, o.is_important, &users, &failed);
	buf_done(&o.masks);
	buf_putf(&c->out, "%u\t%zu\t%zu\n", c->slot, users, failed);
	return e;
}

enum err mail_metacache_clean(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	uint64_t bytes = 0;
	options_read(c, &o);
	buf_done(&o.masks);
	struct metacache_clean how = {
		.min_priority = (enum cache_priority)MIN(o.priority, CACHE_OTHER),
		.unused_us = (int64_t)o.days * DAY_S * US_PER_SEC,
	};
	enum err e = metacache_clean(op, c->store, c->user, &how, &bytes);
	buf_putf(&c->out, "%.*s\t%s\t%" PRIu64 "\n", STRF(c->user),
		e == ERR_NONE ? "done" : err_name(e), bytes);
	return e;
}

enum err mail_metacache_remove(struct op *op, struct admin_call *c)
{
	struct options o = { 0 };
	(void)op;
	options_read(c, &o);
	struct metacache_filter filter = filter_of(&o);
	size_t removed = metacache_remove(c->store, &filter);
	buf_done(&o.masks);
	buf_putf(&c->out, "%u\t%zu\n", c->slot, removed);
	return ERR_NONE;
}

enum err mail_metacache_refresh(struct op *op, struct admin_call *c)
{
	enum err e = metacache_refresh(op, c->store, c->user);
	buf_putf(&c->out, "%.*s\t%s\n", STRF(c->user), e == ERR_NONE ? "done" : err_name(e));
	return e;
}

enum err mail_metacache_rescan(struct op *op, struct admin_call *c)
{
	size_t users = 0;
	uint64_t bytes = 0;
	enum err e = metacache_rescan(op, c->store, &users, &bytes);
	buf_putf(&c->out, "%u\t%s\t%zu\t%" PRIu64 "\n", c->slot,
		e == ERR_NONE ? "done" : err_name(e), users, bytes);
	return e;
}
