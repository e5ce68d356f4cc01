/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a request: name -> cache -> password databases -> user databases. */
#include "auth/auth.h"

#include "auth/client.h"
#include "auth/drivers_private.h"
#include "auth/mechanism_private.h"
#include "crypto/password.h"
#include "event/event.h"
#include "task/task.h"

#define USER_BYTES_MAX 255

const struct auth_driver *const auth_drivers[] = { &auth_static, &auth_passwd_file, NULL };

/* ---- opening ---- */

static enum err open_database(
	struct op *op, const struct config_scope *scope, bool is_passdb, struct auth_database *out)
{
	struct str name = config_scope_name(scope);
	const char *kind = is_passdb ? "passdb" : "userdb";
	struct str driver = config_str(scope, is_passdb ? SET_passdb_driver : SET_userdb_driver);
	if (is_passdb &&
		(config_bool(scope, SET_passdb_deny) || config_bool(scope, SET_passdb_master)))
		return op_fail(op, ERR_UNSUPPORTED,
			"passdb %.*s: deny and master databases are not supported", STRF(name));
	for (size_t i = 0; auth_drivers[i]; i++) {
		if (!str_eq(driver, str_from(auth_drivers[i]->name)))
			continue;
		*out = (struct auth_database){ .driver = auth_drivers[i], .name = name };
		if (is_passdb)
			out->default_scheme = config_str(scope, SET_passdb_default_password_scheme);
		return op_within(op, auth_drivers[i]->open(op, scope, is_passdb, &out->state),
			"%s %.*s", kind, STRF(name));
	}
	return op_fail(op, ERR_UNSUPPORTED,
		"%s %.*s: driver %.*s is not supported (use static or passwd-file)", kind,
		STRF(name), STRF(driver));
}

static enum err open_databases(struct op *op, struct auth *a, enum config_block block)
{
	const struct config_scope *global = config_scope(a->config, NULL);
	bool is_passdb = block == BLOCK_passdb;
	size_t *count = is_passdb ? &a->passdb_count : &a->userdb_count;
	struct auth_database *databases = is_passdb ? a->passdbs : a->userdbs;
	for (size_t i = 0; i < config_block_count(global, block); i++) {
		if (*count == AUTH_DATABASES_MAX)
			return op_fail(op, ERR_LIMIT, "more than %d databases of one kind",
				AUTH_DATABASES_MAX);
		TRY(open_database(
			op, config_block_at(global, block, i), is_passdb, &databases[*count]));
		(*count)++;
	}
	if (*count == 0)
		return op_fail(op, ERR_INVALID, "no %s is configured: nobody could log in",
			is_passdb ? "passdb" : "userdb");
	return ERR_NONE;
}

enum err auth_open(struct op *op, struct config *config, struct auth **out)
{
	const struct config_scope *global = config_scope(config, NULL);
	struct auth *a = MEM_NEW(struct auth);
	a->config = config_ref(config);
	a->exchanges = auth_exchanges_new();
	a->username_format = config_str(global, SET_auth_username_format);
	a->username_chars = config_str(global, SET_auth_username_chars);
	a->failure_delay_us = config_time_us(global, SET_auth_failure_delay);
	a->is_verbose = config_bool(global, SET_auth_verbose);
	uint64_t cache_bytes = config_size(global, SET_auth_cache_size);
	if (cache_bytes > 0)
		a->cache = auth_cache_new(cache_bytes, config_time_us(global, SET_auth_cache_ttl),
			config_time_us(global, SET_auth_cache_negative_ttl));
	enum err e = open_databases(op, a, BLOCK_passdb);
	if (e == ERR_NONE)
		e = open_databases(op, a, BLOCK_userdb);
	if (e != ERR_NONE) {
		auth_close(a);
		return e;
	}
	*out = a;
	return ERR_NONE;
}

void auth_close(struct auth *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->passdb_count; i++)
		a->passdbs[i].driver->close(a->passdbs[i].state);
	for (size_t i = 0; i < a->userdb_count; i++)
		a->userdbs[i].driver->close(a->userdbs[i].state);
	auth_cache_free(a->cache);
	auth_exchanges_free(a->exchanges);
	config_unref(a->config);
	mem_free(a);
}

void auth_cache_flush(struct auth *a, struct str user)
{
	if (a->cache)
		auth_cache_drop(a->cache, user);
}

struct auth_counters auth_counters(const struct auth *a)
{
	return a->counters;
}

/* ---- names ---- */

/* A name that may become a key and a path: checked once, here. */
static enum err normalise_user(
	struct op *op, const struct auth *a, const struct auth_request *request, struct str *out)
{
	struct str user;
	TRY(auth_expand(op, request, a->username_format, &user));
	if (user.n == 0 || user.n > USER_BYTES_MAX)
		return op_fail(op, ERR_INVALID, "user name of %zu bytes (1 to %d)", user.n,
			USER_BYTES_MAX);
	for (size_t i = 0; i < user.n; i++) {
		unsigned char c = (unsigned char)user.p[i];
		bool is_listed =
			a->username_chars.n == 0 || str_find_byte(a->username_chars, (char)c) >= 0;
		if (c < 0x20 || c == 0x7f || c == '/' || !is_listed)
			return op_fail(op, ERR_INVALID,
				"user name has a character that auth_username_chars does not list: "
				"0x%02x",
				c);
	}
	if (str_eq(user, STR(".")) || str_eq(user, STR("..")))
		return op_fail(op, ERR_INVALID, "not a user name");
	*out = user;
	return ERR_NONE;
}

static bool is_password_allowed(struct str password)
{
	for (size_t i = 0; i < password.n; i++) {
		char c = password.p[i];
		if (c == '\0' || c == '\t' || c == '\r' || c == '\n' || c == '\1')
			return false;
	}
	return password.n > 0;
}

/* ---- password hashes, off the loop ---- */

struct hash_job {
	struct offload_job job;
	struct buf plain, stored, scheme;
	bool is_ok;
	enum err result;
};

static void hash_run(struct offload_job *job)
{
	struct hash_job *h = (struct hash_job *)job;
	h->result = password_verify(
		buf_str(&h->plain), buf_str(&h->stored), buf_str(&h->scheme), &h->is_ok);
}

static void hash_release(struct offload_job *job)
{
	struct hash_job *h = (struct hash_job *)job;
	mem_wipe(h->plain.p, h->plain.n);
	buf_done(&h->plain);
	buf_done(&h->stored);
	buf_done(&h->scheme);
	mem_free(h);
}

static enum err check_password(struct op *op, const struct auth_database *db, struct str plain,
	struct str stored, bool *out_ok)
{
	struct hash_job *h = MEM_NEW(struct hash_job);
	h->job = (struct offload_job){ .run = hash_run, .release = hash_release };
	buf_put(&h->plain, plain);
	buf_put(&h->stored, stored);
	buf_put(&h->scheme, db->default_scheme);
	TRY(offload(op, OFFLOAD_CPU, &h->job));
	enum err result = h->result;
	bool is_ok = h->is_ok;
	hash_release(&h->job);
	if (result != ERR_NONE)
		return op_fail(op, ERR_UNAVAILABLE,
			"passdb %.*s: the stored password cannot be used (%s)", STRF(db->name),
			err_name(result));
	*out_ok = is_ok;
	return ERR_NONE;
}

/* ---- chains ---- */

/* Asks the password databases in order until one says yes. */
static enum err run_passdbs(struct op *op, struct auth *a, const struct auth_request *request)
{
	bool has_failed = false, is_ok = false;
	struct op_failure failure = { 0 };
	for (size_t i = 0; i < a->passdb_count && !is_ok; i++) {
		const struct auth_database *db = &a->passdbs[i];
		struct auth_record record;
		enum err e = db->driver->lookup(op, db->state, request, &record);
		if (e == ERR_NONE && record.needs_no_password)
			is_ok = true;
		else if (e == ERR_NONE && record.password.n > 0)
			e = check_password(op, db, request->password, record.password, &is_ok);
		if (e == ERR_TIMEOUT || e == ERR_CANCELLED)
			return e;
		if (e != ERR_NONE && e != ERR_NOT_FOUND) {
			has_failed = true;
			failure = op->failure;
		}
	}
	if (is_ok)
		return ERR_NONE;
	if (has_failed) {
		op->failure = failure;
		return op_fail(op, ERR_UNAVAILABLE, "password databases failed: %s", failure.text);
	}
	return op_fail(op, ERR_DENIED, "unknown user or wrong password");
}

static enum err exists_in_passdbs(
	struct op *op, const struct auth *a, const struct auth_request *request)
{
	for (size_t i = 0; i < a->passdb_count; i++) {
		struct auth_record record;
		enum err e =
			a->passdbs[i].driver->lookup(op, a->passdbs[i].state, request, &record);
		if (e != ERR_NOT_FOUND)
			return e;
	}
	return op_fail(op, ERR_NOT_FOUND, "no passdb knows the user");
}

static enum err run_userdbs(struct op *op, const struct auth *a, const struct auth_request *request,
	bool is_verified, struct auth_result *out)
{
	for (size_t i = 0; i < a->userdb_count; i++) {
		const struct auth_database *db = &a->userdbs[i];
		struct auth_record record;
		enum err e = ERR_NONE;
		if (!is_verified && db->driver->asks_passdb && db->driver->asks_passdb(db->state))
			e = exists_in_passdbs(op, a, request);
		if (e == ERR_NONE)
			e = db->driver->lookup(op, db->state, request, &record);
		if (e == ERR_NOT_FOUND)
			continue;
		TRY(e);
		*out = (struct auth_result){
			.user = request->user,
			.fields = record.fields,
			.field_count = record.field_count,
		};
		return ERR_NONE;
	}
	return op_fail(op, ERR_NOT_FOUND, "no userdb knows the user");
}

bool auth_may_use_mechanism(
	const struct auth *a, const struct auth_request *request, const struct auth_mechanism *m)
{
	struct config_place place = { .protocol = request->service };
	return auth_mechanism_offered(
		config_scope(a->config, &place), m->name, request->is_secured, request->has_cert);
}

/* ---- the public side ---- */

static uint64_t passdb_generation(const struct auth *a)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < a->passdb_count; i++) {
		if (a->passdbs[i].driver->generation)
			sum += a->passdbs[i].driver->generation(a->passdbs[i].state);
	}
	return sum;
}

/* The credentials' check with the cache before it. */
static enum err verify_credentials(
	struct op *op, struct auth *a, const struct auth_request *request)
{
	uint8_t key[AUTH_CACHE_KEY_BYTES];
	bool is_ok;
	if (!a->cache)
		return run_passdbs(op, a, request);
	auth_cache_key(a->cache, request, passdb_generation(a), key);
	if (auth_cache_get(a->cache, key, &is_ok)) {
		a->counters.cache_hits++;
		return is_ok ? ERR_NONE : op_fail(op, ERR_DENIED, "refused from cache");
	}
	a->counters.cache_misses++;
	enum err e = run_passdbs(op, a, request);
	if (e == ERR_NONE || e == ERR_DENIED)
		auth_cache_put(a->cache, key, request->user, e == ERR_NONE);
	return e;
}

enum err auth_verify(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	struct auth_request normal = *request;
	*out = (struct auth_result){ .reason = STR("") };
	enum err e = normalise_user(op, a, request, &normal.user);
	if (e == ERR_NONE && !is_password_allowed(request->password))
		e = op_fail(op, ERR_DENIED, "the password is empty or has control characters");
	if (e == ERR_NONE && request->authzid.n > 0 && !str_eq(request->authzid, request->user))
		e = op_fail(op, ERR_DENIED, "logging in as another user is not configured");
	if (e == ERR_NONE)
		e = verify_credentials(op, a, &normal);
	if (e == ERR_NONE) {
		e = run_userdbs(op, a, &normal, true, out);
		if (e == ERR_NOT_FOUND)
			e = op_fail(op, ERR_UNAVAILABLE,
				"the password is right, but no userdb knows the user");
	}
	if (e == ERR_NONE)
		a->counters.verified++;
	else if (e == ERR_DENIED || e == ERR_INVALID)
		a->counters.refused++;
	else
		a->counters.failed++;
	if (e != ERR_NONE)
		out->refusal = e == ERR_DENIED || e == ERR_INVALID ? AUTH_REFUSAL_CREDENTIALS
								   : AUTH_REFUSAL_TEMPORARY;
	return e;
}

enum err auth_lookup(
	struct op *op, struct auth *a, const struct auth_request *request, struct auth_result *out)
{
	struct auth_request normal = *request;
	a->counters.lookups++;
	TRY(normalise_user(op, a, request, &normal.user));
	return run_userdbs(op, a, &normal, false, out);
}
