/* SPDX-License-Identifier: Apache-2.0 */
/* What databases answered, and which passwords were right for which hash. Spec: core §6.6.
 *
 * Two kinds of entries under keys that nobody else can compute: *records* (a database's answer, found
 * or not) and *verdicts* (this password and this stored hash fit, or not: a fact that never changes).
 *
 * Invariants: 1. an entry is in the map and in the list of ages, or in neither.
 *             2. bytes never exceed max_bytes: the least recently used make room.
 *             3. passwords that clients sent are not kept, only the HMAC that is the key.
 *             4. expired records stay until they are pushed out: they count when a database fails. */
#include "auth/auth_private.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/crypto.h"

struct entry {
	struct list age; /* least recently used first */
	uint8_t key[AUTH_CACHE_KEY_BYTES];
	int64_t expires_us;
	bool is_positive; /* found, right */
	bool was_right;   /* the last password checked against this record */
	size_t user_bytes, record_bytes;
	char bytes[]; /* the user, for flushing; then the record's fields */
};
struct auth_cache {
	uint8_t secret[32];
	struct map entries; /* key -> struct entry */
	struct list ages;
	size_t max_bytes;
	int64_t ttl_us, negative_ttl_us;
	struct auth_cache_status status;
};

struct auth_cache *auth_cache_new(size_t max_bytes, int64_t ttl_us, int64_t negative_ttl_us)
{
	struct auth_cache *c = MEM_NEW(struct auth_cache);
	random_bytes(c->secret, sizeof(c->secret));
	map_init(&c->entries);
	list_init(&c->ages);
	c->max_bytes = max_bytes;
	c->ttl_us = ttl_us;
	c->negative_ttl_us = negative_ttl_us;
	c->status.max_bytes = max_bytes;
	return c;
}

static size_t entry_bytes(const struct entry *e)
{
	return sizeof(*e) + e->user_bytes + e->record_bytes + 2 * sizeof(struct map_entry);
}

static struct str key_of(const struct entry *e)
{
	return (struct str){ (const char *)e->key, sizeof(e->key) };
}

/* Adds (or takes away) what an entry is in the figures. */
static void account(struct auth_cache *c, const struct entry *e, bool is_added)
{
	size_t *count = e->is_positive ? &c->status.positive_count : &c->status.negative_count;
	size_t *bytes = e->is_positive ? &c->status.positive_bytes : &c->status.negative_bytes;
	*count += is_added ? 1 : (size_t)-1;
	*bytes += is_added ? entry_bytes(e) : -entry_bytes(e);
}

static size_t used_bytes(const struct auth_cache *c)
{
	return c->status.positive_bytes + c->status.negative_bytes;
}

static void entry_remove(struct auth_cache *c, struct entry *e)
{
	map_remove(&c->entries, key_of(e));
	list_remove(&e->age);
	account(c, e, false);
	mem_wipe(e->bytes, e->user_bytes + e->record_bytes);
	mem_free(e);
}

void auth_cache_free(struct auth_cache *c)
{
	if (!c)
		return;
	(void)auth_cache_drop(c, STR(""));
	map_done(&c->entries);
	mem_wipe(c->secret, sizeof(c->secret));
	mem_free(c);
}

void auth_cache_key(const struct auth_cache *c, struct str tuple, uint8_t out[AUTH_CACHE_KEY_BYTES])
{
	crypto_hmac_sha256((struct str){ (const char *)c->secret, sizeof(c->secret) }, tuple, out);
}

static struct entry *find(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES])
{
	struct entry *e =
		map_get(&c->entries, (struct str){ (const char *)key, AUTH_CACHE_KEY_BYTES });
	if (e) {
		list_remove(&e->age);
		list_add_last(&c->ages, &e->age);
	}
	return e;
}

static void put(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], struct str user,
	bool is_positive, struct str record)
{
	int64_t ttl_us = is_positive ? c->ttl_us : c->negative_ttl_us;
	struct entry *old = find(c, key);
	if (old)
		entry_remove(c, old);
	if (ttl_us <= 0)
		return;
	struct entry *e = mem_new(sizeof(*e) + user.n + record.n);
	memcpy(e->key, key, sizeof(e->key));
	e->expires_us = ttl_us >= TIME_NEVER - now_us() ? TIME_NEVER : now_us() + ttl_us;
	e->is_positive = is_positive;
	e->user_bytes = user.n;
	e->record_bytes = record.n;
	if (user.n)
		memcpy(e->bytes, user.p, user.n);
	if (record.n)
		memcpy(e->bytes + user.n, record.p, record.n);
	map_set(&c->entries, key_of(e), e);
	list_add_last(&c->ages, &e->age);
	account(c, e, true);
	while (used_bytes(c) > c->max_bytes) {
		struct entry *oldest = LIST_FIRST(&c->ages, struct entry, age);
		ASSERT(oldest);
		entry_remove(c, oldest);
	}
}

bool auth_cache_get_record(struct auth_cache *c, struct arena *a,
	const uint8_t key[AUTH_CACHE_KEY_BYTES], bool takes_expired, struct auth_cached *out)
{
	struct entry *e = find(c, key);
	if (!e || (now_us() >= e->expires_us && !takes_expired))
		return false;
	*out = (struct auth_cached){ .is_found = e->is_positive, .was_right = e->was_right };
	struct str rest = { e->bytes + e->user_bytes, e->record_bytes }, name, value;
	while (number_cut_counted(&rest, &name) && number_cut_counted(&rest, &value))
		auth_fields_append(a, &out->record.fields, str_dup(a, name), str_dup(a, value));
	return true;
}

void auth_cache_put_record(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES],
	struct str user, const struct auth_record *record)
{
	AUTO_BUF(bytes, 0);
	for (size_t i = 0; record && i < record->fields.count; i++) {
		number_put_counted(&bytes, record->fields.items[i].key);
		number_put_counted(&bytes, record->fields.items[i].value);
	}
	put(c, key, user, record != NULL, buf_str(&bytes));
	if (bytes.p)
		mem_wipe(bytes.p, bytes.n);
}

void auth_cache_note(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool was_right)
{
	struct entry *e = find(c, key);
	if (e)
		e->was_right = was_right;
}

bool auth_cache_get_verdict(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool *out_ok)
{
	struct entry *e = find(c, key);
	if (!e)
		return false;
	if (now_us() >= e->expires_us) {
		entry_remove(c, e);
		return false;
	}
	*out_ok = e->is_positive;
	return true;
}

void auth_cache_put_verdict(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], struct str user, bool is_ok)
{
	put(c, key, user, is_ok, STR(""));
}

size_t auth_cache_drop(struct auth_cache *c, struct str patterns)
{
	struct entry *e, *next;
	size_t count = 0;
	LIST_FOR_EACH(e, next, &c->ages, struct entry, age)
	{
		if (!auth_name_matches(patterns, (struct str){ e->bytes, e->user_bytes }))
			continue;
		entry_remove(c, e);
		count++;
	}
	return count;
}

struct auth_cache_status auth_cache_status(const struct auth_cache *c)
{
	return c->status;
}

void auth_cache_count(struct auth_cache *c, bool is_hit)
{
	if (is_hit)
		c->status.hits++;
	else
		c->status.misses++;
}

void auth_cache_reset_counters(struct auth_cache *c)
{
	c->status.hits = c->status.misses = 0;
}
