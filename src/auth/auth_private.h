/* SPDX-License-Identifier: Apache-2.0 */
/* auth/auth_private.h - password and user databases as drivers, for this folder alone. */
#pragma once

#include "auth/auth.h"
#include "base/map.h"
#include "config/config.h"

/* What a database knows about a user. In op's arena. */
struct auth_record {
	struct str password;       /* as stored, maybe with {SCHEME} */
	bool needs_no_password;    /* any password is right */
	struct auth_field *fields; /* for the user database: home, uid, quota... */
	size_t field_count;
};

/* To add a kind of database: write x.c with a driver, list it in drivers.c. */
struct auth_driver {
	const char *name; /* as in passdb_driver and userdb_driver */
	/* `scope` is the block's. ERR_INVALID names the setting. */
	enum err (*open)(
		struct op *op, const struct config_scope *scope, bool is_passdb, void **out);
	void (*close)(void *state);
	/* WAITS. `request->user` is normalised. ERR_NOT_FOUND: not known here. */
	enum err (*lookup)(struct op *op, void *state, const struct auth_request *request,
		struct auth_record *out);
	/* Grows whenever answers may have changed: cached ones of before count no more. May be NULL. */
	uint64_t (*generation)(void *state);
	/* userdb: it answers for every name; whether the user exists is the passdb's business. */
	bool (*asks_passdb)(void *state);
};
extern const struct auth_driver *const auth_drivers[]; /* NULL-terminated */

struct auth_database {
	const struct auth_driver *driver;
	void *state;
	struct str name; /* of the block */
	struct str default_scheme;
};

#define AUTH_DATABASES_MAX 16
struct auth_cache;
struct auth {
	struct config *config;
	struct str username_format, username_chars;
	int64_t failure_delay_us;
	bool is_verbose;
	struct auth_database passdbs[AUTH_DATABASES_MAX], userdbs[AUTH_DATABASES_MAX];
	size_t passdb_count, userdb_count;
	struct auth_cache *cache; /* NULL: none */
	struct auth_exchanges *exchanges;
	struct auth_counters counters;
};

struct auth_mechanism;
/* Is it offered to who asks so? */
bool auth_may_use_mechanism(
	const struct auth *a, const struct auth_request *request, const struct auth_mechanism *m);

/* The values of %{user} and its kin in a database's templates. WAITS not. */
enum err auth_expand(
	struct op *op, const struct auth_request *request, struct str template, struct str *out);
/* Fields of a string list setting, expanded. */
enum err auth_expand_fields(struct op *op, const struct config_scope *scope,
	enum config_setting setting, const struct auth_request *request, struct auth_field **out,
	size_t *out_count);

/* cache.c: credentials that were checked. Keys are HMACs: see auth.h. */
struct auth_cache *auth_cache_new(size_t max_bytes, int64_t ttl_us, int64_t negative_ttl_us);
void auth_cache_free(struct auth_cache *c);
#define AUTH_CACHE_KEY_BYTES 32
void auth_cache_key(const struct auth_cache *c, const struct auth_request *request,
	uint64_t generation, uint8_t out[AUTH_CACHE_KEY_BYTES]);
/* False: not cached or too old. *out_ok false: these credentials were refused. */
bool auth_cache_get(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool *out_ok);
void auth_cache_put(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], struct str user, bool is_ok);
void auth_cache_drop(struct auth_cache *c, struct str user);
