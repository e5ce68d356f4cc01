/* SPDX-License-Identifier: Apache-2.0 */
/* auth/auth_private.h - a request on its way through the databases, for this folder alone.
 *
 * A `setup` is what one configuration makes of auth: databases in chains. Reload makes a new one; who is
 * on his way keeps the old one. A `flow` is one request: what is known of it so far. */
#pragma once

#include "auth/auth.h"
#include "base/list.h"
#include "base/map.h"
#include "config/config.h"
#include "sql/sql.h"

/* ---- fields ---- */

/* What databases said, by name; later ones replace. In an arena. */
struct auth_fields {
	struct auth_field *items;
	size_t count, room;
};
#define AUTH_FIELDS_MAX 256
/* "key:default" sets only what is absent, "key:remove" takes away. Further ones than AUTH_FIELDS_MAX
 * are dropped. */
void auth_fields_set(struct arena *a, struct auth_fields *f, struct str key, struct str value);
/* As it stands, suffixes and all: for records. */
void auth_fields_append(struct arena *a, struct auth_fields *f, struct str key, struct str value);
bool auth_fields_get(const struct auth_fields *f, struct str key, struct str *out);
bool auth_fields_has(const struct auth_fields *f, struct str key);
void auth_fields_remove(struct auth_fields *f, struct str key);
/* A copy that later changes of `f` leave alone. */
struct auth_fields auth_fields_dup(struct arena *a, const struct auth_fields *f);

/* What a database knows about a user, as it stands there; a field that is NULL there is absent. */
struct auth_record {
	struct auth_fields fields;
};

/* ---- a request ---- */

enum auth_mode {
	AUTH_MODE_PASSWORD, /* request->password is to be checked */
	AUTH_MODE_SECRET,   /* a mechanism wants the stored password */
	AUTH_MODE_KNOWN,    /* who it is has been proved: fields alone */
	AUTH_MODE_EXISTS,   /* is there such a user? */
};
struct auth_setup;
struct auth_chain;
struct auth_flow {
	/* borrowed */
	struct auth *auth;
	struct auth_setup *setup; /* a reference */
	struct auth_chain *chain;
	const struct auth_request *request;
	enum auth_mode mode;
	struct str user;                   /* whom the databases are asked about now */
	struct str original_user;          /* as the client gave it */
	struct str login_user;             /* whom a master user wants to be; "" for none */
	struct str master_user;            /* "" for none */
	struct auth_fields passdb, userdb; /* what databases said so far; in the op's arena */
	struct auth_fields prefetched;     /* passdb's userdb_*: for the prefetch driver */
	const struct auth_record *record;  /* being looked at: for %{sql:column} and the like */
	struct str record_prefix;          /* "sql:" */
	bool is_verified;                  /* a database has taken the password */
	bool is_failed;                    /* the field `fail`: whatever the password */
	bool skips_delay;  /* the field `nodelay`, also of a database that said no */
	struct str secret; /* AUTH_MODE_SECRET: the stored password with its {SCHEME} */
};

/* ---- databases ---- */

/* To add a kind of database: write x.c with a driver, declare it in drivers_private.h, list it in
 * setup.c. */
struct auth_driver {
	const char *name;      /* as in passdb_driver and userdb_driver */
	const char *variables; /* provider of its columns in templates: "sql"; NULL: none */
	bool is_for_passdb, is_for_userdb;
	/* `scope` is the block's. ERR_INVALID names the setting. */
	enum err (*open)(
		struct op *op, const struct config_scope *scope, bool is_passdb, void **out);
	void (*close)(void *state);
	/* WAITS. What is known of flow->user, in op's arena. ERR_NOT_FOUND: not known here. */
	enum err (*lookup)(
		struct op *op, void *state, const struct auth_flow *flow, struct auth_record *out);
	/* Appends all that the answer depends on. NULL: an answer costs nothing, it is not cached. */
	enum err (*cache_key)(
		struct op *op, void *state, const struct auth_flow *flow, struct buf *out);
	/* WAITS. Appends the names of all users, each with a newline. May be NULL. */
	enum err (*iterate)(struct op *op, void *state, struct buf *out);
	/* userdb: it answers for every name; whether the user exists is the passdb's business. */
	bool (*asks_passdb)(void *state);
};
extern const struct auth_driver *const auth_drivers[]; /* NULL-terminated */

enum auth_rule {
	RULE_RETURN_OK, /* in the order of the setting's choices */
	RULE_RETURN,
	RULE_RETURN_FAIL,
	RULE_CONTINUE,
	RULE_CONTINUE_OK,
	RULE_CONTINUE_FAIL,
};
enum auth_outcome { OUTCOME_SUCCESS, OUTCOME_FAILURE, OUTCOME_INTERNAL, OUTCOME_COUNT };
enum auth_skip { SKIP_NEVER, SKIP_WHEN_SUCCESS, SKIP_WHEN_NOT };

struct auth_database {
	const struct auth_driver *driver;
	void *state;                      /* owned */
	const struct config_scope *scope; /* of the block */
	struct str name;                  /* of the block */
	struct str id;                    /* unique in the setup: part of cache keys */
	bool is_passdb, is_master, is_deny, imports_all, uses_cache;
	enum auth_skip skip;
	enum auth_rule rules[OUTCOME_COUNT];
	struct str default_scheme, username_filter;
	bool is_quick; /* the last password here was plain text: unknown users need no decoy */
	char *decoy;   /* owned; a hash like those here: unknown users take as long as known ones */
};

#define AUTH_DATABASES_MAX 16
/* The databases of one protocol, in their order. */
struct auth_chain {
	struct str service;
	struct auth_database passdbs[AUTH_DATABASES_MAX], userdbs[AUTH_DATABASES_MAX];
	size_t passdb_count, userdb_count;
};
#define AUTH_CHAINS_MAX 8
struct auth_setup {
	uint32_t refs;
	struct config *config;
	const struct config_scope *global;
	struct auth_chain *chains[AUTH_CHAINS_MAX]; /* the first is everybody's who has none */
	size_t chain_count;
	struct str username_format, username_chars, username_translation, default_domain,
		master_separator;
	int64_t failure_delay_us, internal_failure_delay_us;
	bool is_verbose, allows_weak_schemes;
};
enum err auth_setup_open(struct op *op, struct config *config, struct auth_setup **out);
void auth_setup_unref(struct auth_setup *s); /* NULL is fine */
struct auth_chain *auth_setup_chain(const struct auth_setup *s, struct str service);

struct auth_cache;
struct auth_exchanges;
struct auth_penalties;
struct auth {
	struct auth_setup *setup; /* the newest; a reference */
	struct auth_cache *cache; /* NULL: none */
	struct auth_exchanges *exchanges;
	struct auth_penalties *penalties;
	uint8_t salt_key[32]; /* for the salts of users that do not exist */
	struct auth_counters counters;
};

struct auth_mechanism;
/* Is it offered to who asks so? */
bool auth_may_use_mechanism(
	const struct auth *a, const struct auth_request *request, const struct auth_mechanism *m);

/* ---- names (name.c) ---- */

/* Splits "user*master" and authzid, checks and normalises: flow's names. ERR_INVALID: no name. */
enum err auth_flow_set_names(struct op *op, struct auth_flow *flow);
/* May this be a key and part of a path? */
enum err auth_name_check(struct op *op, struct str name);

/* ---- templates (expand.c) ---- */

/* The values of %{user} and its kin in a database's templates. `out` is valid as long as `flow` and
 * the op's arena. */
struct config_vars;
void auth_flow_vars(struct op *op, const struct auth_flow *flow, struct config_vars *out);
enum err auth_expand(
	struct op *op, const struct auth_flow *flow, struct str template, struct str *out);

/* ---- chains (chain.c) ---- */

/* WAITS. What passdbs and userdbs say. After ERR_DENIED and others result->refusal is set. */
enum err auth_chain_passdb(struct op *op, struct auth_flow *flow, struct auth_result *result);
enum err auth_chain_userdb(struct op *op, struct auth_flow *flow, struct auth_result *result);
/* WAITS. Do the passdbs know the user? ERR_NOT_FOUND: no. */
enum err auth_chain_exists(struct op *op, const struct auth_flow *flow);
/* WAITS. One database, through the cache unless is_fresh. */
struct auth_asked {
	struct auth_record record;
	uint8_t key[32];
	bool has_key;   /* it is cached under `key` */
	bool was_right; /* from the cache, and the last password checked against it was right */
};
enum err auth_database_ask(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	bool is_fresh, struct auth_asked *out);
/* What an answer means for the flow: names, fields. *out_password is what is stored, with its {SCHEME}
 * or in the database's own; "" for none. (import.c) */
enum err auth_import_passdb(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	const struct auth_record *record, struct str *out_password);
enum err auth_import_userdb(struct op *op, struct auth_flow *flow, const struct auth_database *db,
	const struct auth_record *record);
/* Who the connection comes from, whomever he speaks for. */
struct address auth_real_remote(const struct auth_request *r);
/* allow_nets and other conditions of a passdb's answer. ERR_DENIED: not met. */
enum err auth_import_check(struct op *op, const struct auth_flow *flow);
/* The state of a walk through a chain, and what one database's outcome makes of it. */
struct auth_walk {
	bool is_success, has_internal_failure;
	bool is_over;
};
void auth_walk_apply(
	struct auth_walk *w, enum auth_rule rule, enum auth_outcome outcome, bool *is_verified);

/* ---- passwords (secret.c) ---- */

/* WAITS. Hashes off the loop; verdicts are remembered in the cache. ERR_UNAVAILABLE: what is stored
 * cannot be used. */
enum err auth_password_check(struct op *op, struct auth_flow *flow, struct auth_database *db,
	struct str stored, bool *out_ok);
/* WAITS. Takes the time of a check for a user that does not exist. */
void auth_password_pretend(struct op *op, struct auth_flow *flow, struct auth_database *db);

/* ---- requests (auth.c) ---- */

/* Begins a flow: names, chain. ERR_INVALID: not a user name (nothing to end then). */
enum err auth_flow_start(struct op *op, struct auth *a, const struct auth_request *request,
	enum auth_mode mode, struct auth_flow *out);
void auth_flow_end(struct auth_flow *flow);
/* How a check of credentials ended, for the counters. */
void auth_count(struct auth *a, enum err e);
/* WAITS. After the passdbs have said yes: login rules, userdb, the result. */
enum err auth_flow_finish(struct op *op, struct auth_flow *flow, struct auth_result *out);

/* ---- guessing costs time (penalty.c) ---- */

struct auth_penalties *auth_penalties_new(void);
void auth_penalties_free(struct auth_penalties *p);
void auth_penalties_hurry(struct auth_penalties *p); /* nobody waits from now on */
/* WAITS as long as the client's network has earned. ERR_UNAVAILABLE: too many of it wait already. */
enum err auth_penalty_wait(struct op *op, struct auth_penalties *p, const struct address *remote);
/* A refusal makes the next wait longer, unless the same guess was wrong before; a success forgives. */
void auth_penalty_count(
	struct auth_penalties *p, const struct address *remote, bool is_refused, uint64_t guess);
/* Tells one wrong password from another and nothing else; 0: there is none. */
uint64_t auth_penalty_guess(const struct auth_penalties *p, struct str user, struct str password);
int64_t auth_penalty_of(const struct auth_penalties *p, const struct address *remote); /* seconds */
/* WAITS until refusals are told: they all come at the ticks of one clock. */
void auth_penalty_delay_refusal(struct op *op, struct auth_penalties *p, int64_t interval_us);

/* ---- SCRAM (mech_scram.c) ---- */

/* The key of the salts that unknown users have: the same after a restart. */
void auth_scram_key(struct op *op, uint8_t out[32]);

/* ---- the cache (cache.c) ---- */

struct auth_cache *auth_cache_new(size_t max_bytes, int64_t ttl_us, int64_t negative_ttl_us);
void auth_cache_free(struct auth_cache *c);
#define AUTH_CACHE_KEY_BYTES 32
/* An HMAC with a random key of this process over `tuple`: what is kept helps nobody who reads it. */
void auth_cache_key(
	const struct auth_cache *c, struct str tuple, uint8_t out[AUTH_CACHE_KEY_BYTES]);
/* A database's answer. False: not there, or too old and not takes_expired. *out_found false: it did not
 * know the user. Strings in the arena. */
struct auth_cached {
	bool is_found, was_right;
	struct auth_record record;
};
bool auth_cache_get_record(struct auth_cache *c, struct arena *a,
	const uint8_t key[AUTH_CACHE_KEY_BYTES], bool takes_expired, struct auth_cached *out);
void auth_cache_put_record(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES],
	struct str user, const struct auth_record *record); /* NULL: it does not know the user */
/* How the last check against a cached answer ended. */
void auth_cache_note(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool was_right);
/* Is a password right for a hash? The key covers both, so the answer never changes. */
bool auth_cache_get_verdict(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool *out_ok);
void auth_cache_put_verdict(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], struct str user, bool is_ok);
/* Everything about users whose names match (auth_name_matches); how many entries. */
size_t auth_cache_drop(struct auth_cache *c, struct str patterns);
struct auth_cache_status auth_cache_status(const struct auth_cache *c);
void auth_cache_count(struct auth_cache *c, bool is_hit);
void auth_cache_reset_counters(struct auth_cache *c);
