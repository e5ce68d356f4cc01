/* SPDX-License-Identifier: Apache-2.0 */
/* http/origin.c - places in the queue to a server, and its breaker.
 *
 *             failures in a row, over some time
 *   closed ----------------------------------------> open: requests fail at once
 *     ^                                              |  ^
 *     | good answer          the time is over: one   |  | bad again: open for twice as long
 *     +--------------------- request goes, alone <---+--+
 *
 * Many requests that fail in one moment are one failure of the server, so a row must have lasted some time. And
 * one object that a server always fails for, or is silent about, says nothing of the others: a row counts when it
 * is about several things, or when the server could not be reached at all. */
#include "http/http_private.h"

/* Forgets servers without a history when there are many: redirects may name any. */
static void trim(struct http_client *c)
{
	struct map_entry e;
	for (size_t at = 0;
		c->origins.count >= HTTP_ORIGINS_KEPT_MAX && map_next(&c->origins, &at, &e);) {
		struct http_origin *o = e.value;
		if (o->users > 0)
			continue;
		(void)map_remove(&c->origins, e.key);
		mem_free(o->name);
		mem_free(o);
		at = 0; /* the table has moved */
	}
}

struct http_origin *http_origin_get(struct http_client *c, struct str name)
{
	struct http_origin *o = map_get(&c->origins, name);
	if (!o) {
		trim(c);
		o = MEM_NEW(struct http_origin);
		o->name = str_new_z(name);
		(void)map_set(&c->origins, str_from(o->name), o); /* there was none */
	}
	o->users++;
	return o;
}

void http_origin_put(struct http_origin *o)
{
	ASSERT(o->users > 0);
	o->users--;
}

void http_origins_done(struct http_client *c)
{
	struct map_entry e;
	for (size_t at = 0; map_next(&c->origins, &at, &e);) {
		struct http_origin *o = e.value;
		mem_free(o->name);
		mem_free(o);
	}
	map_done(&c->origins);
}

/* First come, first served: who comes later queues even when a place is free for the moment. */
enum err http_origin_enter(struct op *op, struct http_client *c, struct http_origin *o)
{
	unsigned max = c->settings.connections_max;
	enum err e = ERR_NONE;
	if (o->waiting > 0 || o->active >= max) {
		o->waiting++;
		do
			e = wait_queue_wait(op, &o->queue);
		while (e == ERR_NONE && o->active >= max);
		o->waiting--;
	}
	if (e == ERR_NONE)
		o->active++;
	if (o->active < max)
		wait_queue_wake_one(&o->queue);
	return op_within(op, e, "waiting for a connection to %s", o->name);
}

void http_origin_leave(struct http_origin *o)
{
	ASSERT(o->active > 0);
	o->active--;
	wait_queue_wake_one(&o->queue);
}

bool http_origin_may_try(
	struct http_client *c, struct http_origin *o, bool *out_is_probe, int64_t *out_wait_us)
{
	int64_t now = now_us();
	*out_is_probe = false;
	*out_wait_us = 0;
	if (!o->is_open)
		return true;
	if (now < o->opened_until_us || o->is_probed) {
		*out_wait_us = now < o->opened_until_us ? o->opened_until_us - now
							: c->settings.breaker_us;
		o->refused++;
		return false;
	}
	*out_is_probe = o->is_probed = true;
	return true;
}

static void open_breaker(struct http_client *c, struct http_origin *o)
{
	const struct http_settings *s = &c->settings;
	bool was_open = o->is_open;
	o->opened_for_us = was_open ? MIN(o->opened_for_us * 2, s->breaker_max_us) : s->breaker_us;
	o->opened_until_us = now_us() + o->opened_for_us;
	o->is_open = true;
	if (!was_open)
		http_tell_opened(c, o, o->opened_for_us);
}

/* A row of failures that is long enough, in number and time, and not about one thing alone. */
static bool is_due(const struct http_settings *s, const struct http_origin *o)
{
	return s->breaker_failures > 0 && o->failures >= s->breaker_failures && o->fails_widely &&
	       now_us() - o->failing_since_us >= s->breaker_us;
}

void http_origin_report(
	struct http_client *c, struct http_origin *o, uint64_t about, bool is_good, bool is_probe)
{
	if (is_probe)
		o->is_probed = false;
	if (is_good) {
		if (o->is_open)
			http_tell_closed(c, o);
		o->is_open = false;
		o->failures = o->refused = 0;
		return;
	}
	if (o->failures++ == 0) {
		o->failing_since_us = now_us();
		o->failing_about = about;
		o->fails_widely = false;
	}
	o->fails_widely = o->fails_widely || about == 0 || about != o->failing_about;
	if (is_probe || (!o->is_open && is_due(&c->settings, o)))
		open_breaker(c, o);
}
