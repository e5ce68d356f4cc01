/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a request: names -> password databases -> rules of login -> user databases. */
#include "auth/auth.h"

#include "auth/auth_private.h"
#include "auth/client.h"
#include "auth/mechanism_private.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/crypto.h"
#include "task/task.h"

#define DELAY_UNTIL_MAX_SECONDS 300

/* ---- opening ---- */

static struct auth_cache *open_cache(const struct auth_setup *s)
{
	uint64_t bytes = config_size(s->global, SET_auth_cache_size);
	if (bytes == 0)
		return NULL;
	return auth_cache_new(bytes, config_time_us(s->global, SET_auth_cache_ttl),
		config_time_us(s->global, SET_auth_cache_negative_ttl));
}

enum err auth_open(struct op *op, struct config *config, struct auth **out)
{
	struct auth_setup *setup;
	TRY(auth_setup_open(op, config, &setup));
	struct auth *a = MEM_NEW(struct auth);
	a->setup = setup;
	a->cache = open_cache(setup);
	a->exchanges = auth_exchanges_new();
	a->penalties = auth_penalties_new();
	auth_scram_key(op, a->salt_key);
	*out = a;
	return ERR_NONE;
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	auth_setup_unref(a->setup);
	auth_cache_free(a->cache);
	auth_exchanges_free(a->exchanges);
	auth_penalties_free(a->penalties);
	mem_wipe(a->salt_key, sizeof(a->salt_key));
	mem_free(a);
}

void auth_hurry(struct auth *a)
{
	auth_penalties_hurry(a->penalties);
}

enum err auth_reload(struct op *op, struct auth *a, struct config *config)
{
	struct auth_setup *setup;
	TRY(auth_setup_open(op, config, &setup));
	auth_setup_unref(a->setup);
	auth_cache_free(a->cache);
	a->setup = setup;
	a->cache = open_cache(setup);
	return ERR_NONE;
}

size_t auth_cache_flush(struct auth *a, struct str patterns)
{
	return a->cache ? auth_cache_drop(a->cache, patterns) : 0;
}

struct auth_cache_status auth_cache_figures(struct auth *a, bool resets)
{
	if (!a->cache)
		return (struct auth_cache_status){ 0 };
	struct auth_cache_status status = auth_cache_status(a->cache);
	if (resets)
		auth_cache_reset_counters(a->cache);
	return status;
}

struct auth_counters auth_counters(const struct auth *a)
{
	return a->counters;
}

bool auth_may_use_mechanism(
	const struct auth *a, const struct auth_request *request, const struct auth_mechanism *m)
{
	struct config_place place = { .protocol = request->service };
	return auth_mechanism_offered(config_scope(a->setup->config, &place), m->name,
		request->is_secured, request->has_cert);
}

/* ---- a flow ---- */

enum err auth_flow_start(struct op *op, struct auth *a, const struct auth_request *request,
	enum auth_mode mode, struct auth_flow *out)
{
	*out = (struct auth_flow){
		.auth = a,
		.setup = a->setup,
		.chain = auth_setup_chain(a->setup, request->service),
		.request = request,
		.mode = mode,
		.secret = STR(""),
	};
	a->setup->refs++;
	enum err e = auth_flow_set_names(op, out);
	if (e != ERR_NONE)
		auth_flow_end(out);
	return e;
}

void auth_flow_end(struct auth_flow *flow)
{
	auth_setup_unref(flow->setup);
	flow->setup = NULL;
}

/* Fields that are nobody's business behind auth. */
static bool is_internal(struct str key)
{
	static const struct str names[] = { { "password", 8 }, { "allow_nets", 10 },
		{ "allow_real_nets", 15 }, { "nodelay", 7 }, { "delay_until", 11 }, { "fail", 4 },
		{ "nopassword", 10 } };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (str_eq(key, names[i]))
			return true;
	}
	return false;
}

static void put_login_fields(struct op *op, const struct auth_flow *flow, struct auth_result *out)
{
	struct auth_fields kept = { 0 };
	for (size_t i = 0; i < flow->passdb.count; i++) {
		const struct auth_field *f = &flow->passdb.items[i];
		if (!is_internal(f->key))
			auth_fields_append(op->arena, &kept, f->key, f->value);
	}
	out->login_fields = kept.items;
	out->login_field_count = kept.count;
	out->master_user = flow->login_user.n > 0 ? flow->master_user : STR("");
}

/* WAITS. delay_until=TS[+rand]: seconds since 1970, and at most so many more. */
static enum err wait_until(struct op *op, struct str value)
{
	uint64_t until, spread = 0;
	struct str rest = value;
	if (!number_cut_u64(&rest, &until) ||
		(str_skip(&rest, STR("+")) && !number_cut_u64(&rest, &spread)) || rest.n > 0 ||
		until > INT64_MAX / US_PER_SEC || spread > DELAY_UNTIL_MAX_SECONDS)
		return op_fail(op, ERR_UNAVAILABLE, "delay_until is no time: %.*s", STRF(value));
	int64_t left_us = (int64_t)until * US_PER_SEC - now_wall_us();
	if (left_us > DELAY_UNTIL_MAX_SECONDS * US_PER_SEC)
		return op_fail(op, ERR_UNAVAILABLE, "delay_until is more than %d s ahead",
			DELAY_UNTIL_MAX_SECONDS);
	if (left_us <= 0)
		return ERR_NONE;
	if (spread > 0)
		left_us += (int64_t)random_below(spread * US_PER_SEC);
	return task_sleep(op, left_us);
}

/* WAITS. The credentials are right: may he log in? */
static enum err check_login(struct op *op, const struct auth_flow *flow, struct auth_result *out)
{
	struct str value;
	if (auth_fields_get(&flow->passdb, STR("delay_until"), &value)) {
		enum err e = wait_until(op, value);
		if (e != ERR_NONE) {
			out->refusal = AUTH_REFUSAL_TEMPORARY;
			return e;
		}
	}
	if (!auth_fields_has(&flow->passdb, STR("nologin")) ||
		str_eq(flow->request->service, STR("doveadm")))
		return ERR_NONE;
	if (auth_fields_get(&flow->passdb, STR("reason"), &value))
		out->reason = value;
	out->refusal = AUTH_REFUSAL_LOGIN_DISABLED;
	out->skips_delay = true;
	return op_fail(op, ERR_DENIED, "login is disabled (nologin)");
}

enum err auth_flow_finish(struct op *op, struct auth_flow *flow, struct auth_result *out)
{
	put_login_fields(op, flow, out);
	TRY(check_login(op, flow, out));
	enum err e = auth_chain_userdb(op, flow, out);
	if (e == ERR_NOT_FOUND)
		e = op_fail(
			op, ERR_UNAVAILABLE, "the password is right, but no userdb knows the user");
	if (e != ERR_NONE)
		out->refusal = AUTH_REFUSAL_TEMPORARY;
	return e;
}

/* ---- the public side ---- */

static bool is_password_allowed(struct str password)
{
	for (size_t i = 0; i < password.n; i++) {
		char c = password.p[i];
		if (c == '\0' || c == '\t' || c == '\r' || c == '\n' || c == '\1')
			return false;
	}
	return password.n > 0;
}

void auth_count(struct auth *a, enum err e)
{
	if (e == ERR_NONE)
		a->counters.verified++;
	else if (e == ERR_DENIED || e == ERR_INVALID)
		a->counters.refused++;
	else
		a->counters.failed++;
}

static enum err verify(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	struct auth_flow flow;
	if (!is_password_allowed(request->password))
		return op_fail(op, ERR_DENIED, "the password is empty or has control characters");
	TRY(auth_flow_start(op, a, request, AUTH_MODE_PASSWORD, &flow));
	enum err e = auth_chain_passdb(op, &flow, out);
	if (e == ERR_NONE)
		e = auth_flow_finish(op, &flow, out);
	auth_flow_end(&flow);
	return e;
}

enum err auth_verify(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	*out = (struct auth_result){ .reason = STR("") };
	enum err e = verify(op, a, request, out);
	if (e != ERR_NONE && out->refusal == AUTH_REFUSAL_NONE)
		out->refusal = e == ERR_DENIED || e == ERR_INVALID ? AUTH_REFUSAL_CREDENTIALS
								   : AUTH_REFUSAL_TEMPORARY;
	auth_count(a, e);
	return e;
}

enum err auth_lookup(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	struct auth_flow flow;
	*out = (struct auth_result){ .reason = STR("") };
	a->counters.lookups++;
	TRY(auth_flow_start(op, a, request, AUTH_MODE_EXISTS, &flow));
	enum err e = auth_chain_userdb(op, &flow, out);
	auth_flow_end(&flow);
	return e;
}

enum err auth_inspect(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	struct auth_flow flow;
	*out = (struct auth_result){ .reason = STR("") };
	TRY(auth_flow_start(op, a, request, AUTH_MODE_KNOWN, &flow));
	enum err e = auth_chain_passdb(op, &flow, out);
	if (e == ERR_NONE) {
		put_login_fields(op, &flow, out);
		out->user = flow.user;
	} else if (e == ERR_DENIED) {
		e = op_fail(op, ERR_NOT_FOUND, "no passdb knows the user");
	}
	auth_flow_end(&flow);
	return e;
}

enum err auth_list(struct op *op, struct auth *a, struct str service, struct buf *out)
{
	struct auth_setup *setup = a->setup;
	const struct auth_chain *chain = auth_setup_chain(setup, service);
	enum err e = ERR_NONE;
	bool has_any = false;
	setup->refs++;
	for (size_t i = 0; i < chain->userdb_count && e == ERR_NONE; i++) {
		const struct auth_database *db = &chain->userdbs[i];
		if (!db->driver->iterate)
			continue;
		has_any = true;
		e = op_within(op, db->driver->iterate(op, db->state, out), "%.*s", STRF(db->id));
	}
	auth_setup_unref(setup);
	if (!has_any)
		return op_fail(op, ERR_UNSUPPORTED, "no userdb can list its users");
	return e;
}
