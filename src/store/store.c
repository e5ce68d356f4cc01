/* SPDX-License-Identifier: Apache-2.0 */
/* The store of a process: its clock and identity as a writer, its users, its own tasks. */
#include "store/store_private.h"

#include <stdio.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "event/event.h"

#define REFRESH_US     (10 * 60 * US_PER_SEC)
#define CLOCK_OFF_US   (2 * US_PER_SEC)
#define CLOCK_EVERY_US (5 * 60 * US_PER_SEC)
#define CLOCK_AGAIN_US (10 * US_PER_SEC) /* while it is off, or was not told */

char *store_host(void)
{
	char host[256] = { 0 };
	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	return str_new_z(str_from(host));
}

static void read_boot_id(uint8_t out[16])
{
	struct op op;
	AUTO_BUF(text, 0);
	AUTO_BUF(hex, 0);
	AUTO_BUF(id, 0);
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, NULL, TIME_NEVER);
	if (file_read(&op, "/proc/sys/kernel/random/boot_id", 128, &text) != ERR_NONE)
		return; /* all zero: local files then count as of this boot */
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '-' && text.p[i] != '\n')
			buf_put_byte(&hex, text.p[i]);
	if (hex_decode(&id, buf_str(&hex)) && id.n == 16)
		memcpy(out, id.p, 16);
}

/* ---- the clock ---- */

static void clock_tell(struct store *s, int64_t off_us)
{
	if (off_us != 0 && s->clock_off_us == 0)
		event_send(s->event, EVENT_ERROR, "store_clock_off",
			"The clock of this host is %" PRId64
			" ms off the catalog's: nothing is written until it is right. Check the "
			"time service (NTP).",
			off_us / US_PER_MS);
	if (off_us == 0 && s->clock_off_us != 0)
		event_send(s->event, EVENT_INFO, "store_clock_came_back",
			"The clock of this host agrees with the catalog's again");
	s->clock_off_us = off_us;
}

/* WAITS. The time of asking counts for us: the answer is from somewhere between its two ends. */
static bool clock_ask(struct op *op, struct store *s)
{
	int64_t theirs_us, before_us = now_wall_us(), began_us = now_us();
	if (catalog_clock(op, s->catalog, &theirs_us) != ERR_NONE)
		return false;
	int64_t after_us = now_wall_us(), off_us = 0;
	int64_t set_by_us = after_us - before_us - (now_us() - began_us);
	if (set_by_us > CLOCK_OFF_US / 2 || set_by_us < -CLOCK_OFF_US / 2)
		return false; /* set meanwhile: any time of the catalog would fit between the two */
	if (theirs_us < before_us)
		off_us = before_us - theirs_us;
	else if (theirs_us > after_us)
		off_us = after_us - theirs_us;
	clock_tell(s, off_us > CLOCK_OFF_US || off_us < -CLOCK_OFF_US ? off_us : 0);
	s->clock_base_us = after_us - now_us();
	return s->clock_off_us == 0;
}

static void clock_task(void *arg)
{
	struct store *s = arg;
	struct op op;
	AUTO_ARENA(arena, 0);
	op_init(&op, &arena, s->event, now_us() + STORE_WRITE_US);
	op.doing = STR("comparing clocks");
	bool is_good = clock_ask(&op, s);
	s->has_asked_clock = true;
	wait_queue_wake_all(&s->clock_asked);
	if (!s->is_closing)
		timer_set(&s->clock_timer, now_us() + (is_good ? CLOCK_EVERY_US : CLOCK_AGAIN_US));
	store_background_end(s);
}

static void clock_due(void *arg)
{
	store_background(arg, "store-clock", clock_task, arg);
}

enum err store_wait_clock(struct op *op, struct store *s)
{
	while (!s->has_asked_clock)
		TRY(wait_queue_wait(op, &s->clock_asked));
	return ERR_NONE;
}

/* Since the catalog's clock was asked: ours was set, or stood still while this host slept. */
static bool clock_was_set(const struct store *s)
{
	int64_t by_us = now_wall_us() - now_us() - s->clock_base_us;
	return by_us > CLOCK_OFF_US / 2 || by_us < -CLOCK_OFF_US / 2;
}

enum err store_check_clock(struct op *op, struct store *s)
{
	if (clock_was_set(s)) {
		if (s->has_asked_clock) {
			s->has_asked_clock = false;
			timer_cancel(&s->clock_timer);
			clock_due(s);
		}
		TRY(store_wait_clock(op, s));
	}
	if (clock_was_set(s))
		return op_fail(op, ERR_UNAVAILABLE,
			"the clock of this host was set and cannot be compared with the catalog's: "
			"nothing is written until it is");
	if (s->clock_off_us == 0)
		return ERR_NONE;
	return op_fail(op, ERR_UNAVAILABLE,
		"the clock of this host is %" PRId64 " ms off the catalog's (at most %" PRId64
		"): nothing is written until it is right; check the time service (NTP)",
		s->clock_off_us / US_PER_MS, CLOCK_OFF_US / US_PER_MS);
}

enum err store_open(struct op *op, const struct store_settings *settings, struct objects *objects,
	struct catalog *catalog, struct store **out)
{
	struct store *s = MEM_NEW(struct store);
	s->settings = *settings;
	s->local_dir = str_new_z(settings->local_dir);
	s->object_prefix = str_new_z(settings->object_prefix);
	s->settings.local_dir = str_from(s->local_dir);
	s->settings.object_prefix = str_from(s->object_prefix);
	if (s->settings.refresh_us == 0)
		s->settings.refresh_us = REFRESH_US;
	if (!s->settings.separator)
		s->settings.separator = '/';
	s->objects = objects;
	s->catalog = catalog;
	s->event = op->event;
	char *host = settings->host.n > 0 ? str_new_z(settings->host) : store_host();
	s->settings.host = str_from(host);
	s->clock.writer = s->writer = name_writer_new(s->settings.host);
	read_boot_id(s->boot_id);
	map_init(&s->users);
	list_init(&s->idle_users);
	timer_init(&s->clock_timer, clock_due, s);
	clock_due(s);
	metacache_open(op, s, settings->metacache);
	*out = s;
	return ERR_NONE;
}

struct catalog_name store_name(struct store *s)
{
	s->clock.writer = s->writer;
	return name_mint(&s->clock, store_name_wall_us(s));
}

int64_t store_name_wall_us(const struct store *s)
{
	int64_t wall_us = now_wall_us(), right_us = now_us() + s->clock_base_us - s->clock_off_us;
	bool is_ahead = s->clock_base_us != 0 && wall_us > right_us + CLOCK_OFF_US;
	return is_ahead ? right_us : wall_us;
}

struct str store_object_key(struct arena *a, const struct user *u, struct row_id oid)
{
	AUTO_BUF(hex, 0);
	hex_encode(&hex, (struct str){ (const char *)oid.bytes, sizeof(oid.bytes) });
	return str_printf(a, "%s%.*s/mails/%.*s", u->store->object_prefix, STRF(u->name),
		STRF(buf_str(&hex)));
}

void store_background(struct store *s, const char *name, task_fn *fn, void *arg)
{
	s->background++;
	task_start(name, fn, arg);
}

void store_background_end(struct store *s)
{
	ASSERT(s->background > 0);
	if (--s->background == 0)
		wait_queue_wake_all(&s->quiet);
}

/* WAITS for our own tasks: commits, journals, closing users. */
static enum err wait_quiet(struct op *op, struct store *s)
{
	while (s->background > 0)
		TRY(wait_queue_wait(op, &s->quiet));
	return ERR_NONE;
}

static enum err close_users(struct op *op, struct store *s)
{
	struct user *u;
	s->is_closing = true;
	timer_cancel(&s->clock_timer);
	metacache_stop(s->metacache);
	while ((u = LIST_FIRST(&s->idle_users, struct user, idle_link)) != NULL)
		idle_user_close(u);
	TRY(wait_quiet(op, s));
	if (s->users.count > 0)
		return op_fail(op, ERR_CONFLICT, "%zu users are still in use", s->users.count);
	return ERR_NONE;
}

static void store_free(struct store *s)
{
	map_done(&s->users);
	mem_free(s->local_dir);
	mem_free(s->object_prefix);
	mem_free((void *)(uintptr_t)s->settings.host.p);
	mem_free(s);
}

struct objects *store_get_objects(const struct store *s)
{
	return s->objects;
}

struct catalog *store_get_catalog(const struct store *s)
{
	return s->catalog;
}

enum err store_close(struct op *op, struct store *s)
{
	TRY(close_users(op, s));
	metacache_close(op, s->metacache, true);
	objects_close(s->objects);
	catalog_close(op, s->catalog);
	store_free(s);
	return ERR_NONE;
}

enum err store_abandon(
	struct op *op, struct store *s, struct objects **out_objects, struct catalog **out_catalog)
{
	s->is_abandoned = true;
	TRY(close_users(op, s));
	metacache_close(op, s->metacache, false);
	*out_objects = s->objects;
	*out_catalog = s->catalog;
	store_free(s);
	return ERR_NONE;
}
