/* SPDX-License-Identifier: Apache-2.0 */
/* store/cache/cache.h - the account of a process's local state: who uses how many bytes, when he was here
 * last, whether a base lacks something of his, and who goes first when room is short.
 *
 * A unit is what is dropped at once: a user's mailboxes of one priority. Everything here is memory and
 * arithmetic: no files, no waits, no clock; store/metacache.c feeds it.
 *
 * Life:   cache_init() -> cache_touch(), cache_add_bytes(), cache_note_change() ... -> cache_done().
 * Cost:   O(1) for each change; finding who goes first looks at every user.
 * Weight: last access + boost of the priority + boost of the size, in seconds; the lowest goes first.
 * Source: storage sheet §7.1, §12.1-12.4. */
#pragma once

#include "base/base.h"
#include "base/map.h"
#include "store/cache/queue.h"

enum cache_priority {
	CACHE_ROOT,    /* the user's directory: goes with all the others */
	CACHE_SEARCH,  /* full text indexes */
	CACHE_SPECIAL, /* INBOX and mailboxes with \Junk */
	CACHE_OTHER,
	CACHE_PRIORITIES,
};
/* What no base holds. */
enum cache_change {
	CACHE_UNCHANGED,
	CACHE_UNIMPORTANT, /* the catalog has it: a base would save reading its rows */
	CACHE_IMPORTANT,   /* this host alone has it: flags that wait for the journal */
};
const char *cache_change_name(enum cache_change change); /* "none", "unimportant", "important" */
/* Who was the last to open the user, for people. */
enum cache_service { CACHE_BY_NOBODY, CACHE_BY_IMAP, CACHE_BY_LMTP };
const char *cache_service_name(enum cache_service service);

struct cache_unit {
	uint64_t bytes;
	uint32_t access_s; /* UNIX time; 0: never */
	uint8_t change;    /* enum cache_change */
};
struct cache_user {
	struct str name;     /* owned */
	struct cache *cache; /* borrowed: whose he is */
	size_t place;        /* in cache.users_all */
	struct cache_unit units[CACHE_PRIORITIES];
	struct upload_entry upload;
	int64_t changed_us;  /* the oldest change that no base holds; 0: none */
	uint32_t pins;       /* he is open, or somebody holds him across a wait: never forgotten */
	uint32_t seen_round; /* of the last recount that found his directory */
	uint32_t changes;    /* rises with each */
	uint8_t service;     /* enum cache_service */
	bool is_counted;     /* the bytes are right: else his directory was never looked at */
	bool is_maintained;  /* who has him open is no user of his: that is no access */
};
struct cache {
	struct map users;              /* by name */
	struct cache_user **users_all; /* owned; no order */
	size_t capacity;
	uint64_t bytes[CACHE_PRIORITIES];
	bool is_changed; /* since its owner cleared it */
};
void cache_init(struct cache *c);
void cache_done(struct cache *c);
struct cache_user *cache_find(const struct cache *c, struct str name); /* NULL: unknown */
/* Adds him if he is new. Borrowed until cache_forget(). */
struct cache_user *cache_add(struct cache *c, struct str name);
void cache_touch(struct cache *c, struct cache_user *u, enum cache_priority p, int64_t wall_us);
/* Never below 0. */
void cache_add_bytes(
	struct cache *c, struct cache_user *u, enum cache_priority p, int64_t delta_bytes);
void cache_set_bytes(struct cache *c, struct cache_user *u, enum cache_priority p, uint64_t bytes);
/* Raises the class of a unit. */
void cache_note_change(struct cache *c, struct cache_user *u, enum cache_priority p,
	enum cache_change change, int64_t at_us);
/* The catalog has everything up to when cache_user.changes was `changes`. */
void cache_note_durable(struct cache *c, struct cache_user *u, uint32_t changes);
/* Bases hold everything up to when cache_user.changes was `changes`; more may have come. */
void cache_note_uploaded(struct cache *c, struct cache_user *u, uint32_t changes);
/* Everybody, also over waits in which users come (they may be missed) and go: start with *at SIZE_MAX; NULL
 * at the end. Borrowed until the next wait. */
struct cache_user *cache_walk(const struct cache *c, size_t *at);
enum cache_change cache_user_change(const struct cache_user *u); /* the worst of his units */
uint64_t cache_user_bytes(const struct cache_user *u);
/* He must not be pinned, nor planned for an upload. */
void cache_forget(struct cache *c, struct cache_user *u);

/* ---- weights.c ---- */

#define CACHE_PRIORITY_WEIGHTS "10% +1d 10% +1d 50% +1h 100% 0"
#define CACHE_SIZE_WEIGHTS     "2M +30 1G +120"
struct cache_weights {
	bool has_priorities, has_sizes; /* false: no boost */
	uint32_t percent[CACHE_PRIORITIES];
	int64_t boost_s[CACHE_PRIORITIES];
	uint64_t low_bytes, high_bytes;
	int64_t low_boost_s, high_boost_s;
};
/* The settings metacache_priority_weights (four pairs "PERCENT% BOOST") and metacache_size_weights ("LOW
 * BOOST HIGH BOOST"); boosts are seconds or have a unit (s, m, h, d, w); "": none. ERR_INVALID. */
enum err cache_weights_parse(
	struct op *op, struct str priorities, struct str sizes, struct cache_weights *out);
int64_t cache_size_boost(const struct cache_weights *w, uint64_t bytes);
/* UNIX time with boosts. `total_bytes` is what all units of the priority use together, on the host. */
int64_t cache_weight(const struct cache_weights *w, enum cache_priority p,
	const struct cache_unit *unit, uint64_t total_bytes, uint64_t max_bytes);

/* ---- userdb.c: the account as a file ---- */

#define CACHE_USERDB_MAX (512u << 20)
/* The file is head, users, tail. */
void cache_userdb_put_head(struct buf *out);
void cache_userdb_put_user(struct buf *out, const struct cache_user *u);
/* `is_clean`: nothing happened after it, so that nobody needs to be counted again. */
void cache_userdb_put_tail(struct buf *out, bool is_clean);
/* Adds what it says. ERR_CORRUPT: nothing was added; ERR_UNSUPPORTED: of a newer version. */
enum err cache_userdb_read(struct op *op, struct str file, struct cache *c, bool *out_is_clean);
