/* SPDX-License-Identifier: Apache-2.0 */
/* One database's answer, through the cache: core §6.6. */
#include "auth/auth_private.h"
#include "base/number.h"
#include "event/event.h"

/* No two databases and no two users share a key, whatever the driver adds. */
static enum err make_key(struct op *op, const struct auth_flow *flow,
	const struct auth_database *db, uint8_t out[AUTH_CACHE_KEY_BYTES])
{
	AUTO_BUF(tuple, 0);
	number_put_counted(&tuple, STR("record"));
	number_put_counted(&tuple, db->id);
	number_put_counted(&tuple, flow->user);
	number_put_counted(&tuple, flow->master_user);
	TRY(db->driver->cache_key(op, db->state, flow, &tuple));
	auth_cache_key(flow->auth->cache, buf_str(&tuple), out);
	return ERR_NONE;
}

/* With its name, driver and id as the sheet calls them (core §9.2). */
static struct event *make_event(const struct auth_flow *flow, const struct auth_database *db)
{
	struct event *event = event_new(flow->request->event, "auth");
	event_set_str(event, db->is_passdb ? "passdb" : "userdb", db->name);
	event_set_str(event, db->is_passdb ? "passdb_driver" : "userdb_driver",
		str_from(db->driver->name));
	event_set_str(event, db->is_passdb ? "passdb_id" : "userdb_id", db->id);
	event_set_str(event, "user", flow->user);
	return event;
}

static void tell_started(const struct auth_flow *flow, const struct auth_database *db)
{
	if (!event_is_wanted(flow->request->event, EVENT_DEBUG))
		return;
	struct event *event = make_event(flow, db);
	if (db->is_passdb)
		event_send(event, EVENT_DEBUG, "auth_passdb_request_started", "passdb %.*s: %.*s",
			STRF(db->name), STRF(flow->user));
	else
		event_send(event, EVENT_DEBUG, "auth_userdb_request_started", "userdb %.*s: %.*s",
			STRF(db->name), STRF(flow->user));
	event_unref(event);
}

static void tell(struct op *op, const struct auth_flow *flow, const struct auth_database *db,
	enum err e, const char *cache)
{
	if (!event_is_wanted(flow->request->event, EVENT_DEBUG))
		return;
	struct event *event = make_event(flow, db);
	const char *result = e == ERR_NONE        ? "ok"
			     : e == ERR_NOT_FOUND ? "user_unknown"
						  : "internal_failure";
	event_set_str(event, "result", str_from(result));
	event_set_str(event, "cache", str_from(cache));
	if (e != ERR_NONE && e != ERR_NOT_FOUND)
		event_set_str(event, "error", str_from(op->failure.text));
	if (db->is_passdb)
		event_send(event, EVENT_DEBUG, "auth_passdb_request_finished",
			"passdb %.*s: %.*s: %s", STRF(db->name), STRF(flow->user), result);
	else
		event_send(event, EVENT_DEBUG, "auth_userdb_request_finished",
			"userdb %.*s: %.*s: %s", STRF(db->name), STRF(flow->user), result);
	event_unref(event);
}

static enum err take_cached(struct op *op, const struct auth_flow *flow,
	const struct auth_database *db, const struct auth_cached *cached, struct auth_asked *out)
{
	out->record = cached->record;
	out->was_right = cached->was_right;
	enum err e = cached->is_found ? ERR_NONE
				      : op_fail(op, ERR_NOT_FOUND, "not known, says the cache");
	tell(op, flow, db, e, "hit");
	return e;
}

/* The database failed: what it said long ago is better than nothing. */
static enum err fall_back(struct op *op, const struct auth_flow *flow,
	const struct auth_database *db, enum err e, struct auth_asked *out)
{
	struct auth_cached cached;
	bool is_internal = e != ERR_NONE && e != ERR_NOT_FOUND && e != ERR_CANCELLED;
	if (!is_internal || !out->has_key || !flow->auth->cache ||
		!auth_cache_get_record(flow->auth->cache, op->arena, out->key, true, &cached))
		return e;
	event_send(flow->request->event, EVENT_WARNING, "auth_cache_fell_back",
		"%.*s: Falling back to expired data from cache: %s", STRF(db->id),
		op->failure.text);
	return take_cached(op, flow, db, &cached, out);
}

enum err auth_database_ask(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	bool is_fresh, struct auth_asked *out)
{
	struct auth_cached cached;
	*out = (struct auth_asked){ 0 };
	tell_started(flow, db);
	out->has_key = flow->auth->cache && db->uses_cache && db->driver->cache_key;
	if (out->has_key) {
		TRY(make_key(op, flow, db, out->key));
		bool is_hit = !is_fresh && auth_cache_get_record(flow->auth->cache, op->arena,
						   out->key, false, &cached);
		auth_cache_count(flow->auth->cache, is_hit);
		if (is_hit)
			return take_cached(op, flow, db, &cached, out);
	}
	enum err e = db->driver->lookup(op, db->state, flow, &out->record);
	if (out->has_key && flow->auth->cache && (e == ERR_NONE || e == ERR_NOT_FOUND))
		auth_cache_put_record(flow->auth->cache, out->key, flow->user,
			e == ERR_NONE ? &out->record : NULL);
	tell(op, flow, db, e, out->has_key ? "miss" : "");
	return fall_back(op, flow, db, e, out);
}
