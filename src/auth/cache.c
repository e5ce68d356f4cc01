/* SPDX-License-Identifier: Apache-2.0 */
/* Which credentials were right or wrong, by a key that nobody else can compute.
 *
 * Invariants: 1. an entry is in the map and in the list of ages, or in neither.
 *             2. bytes never exceed max_bytes: the oldest entries make room.
 *             3. neither passwords nor their hashes are kept, only the HMAC that is the key. */
#include "auth/auth_private.h"
#include "base/list.h"
#include "base/number.h"
#include "base/random.h"
#include "crypto/crypto.h"

struct entry {
	struct list age; /* oldest first */
	uint8_t key[AUTH_CACHE_KEY_BYTES];
	int64_t expires_us;
	bool is_ok;
	size_t user_bytes;
	char user[]; /* for flushing */
};
struct auth_cache {
	uint8_t secret[32];
	struct map entries; /* key -> struct entry */
	struct list ages;
	size_t bytes, max_bytes;
	int64_t ttl_us, negative_ttl_us;
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
	return c;
}

static size_t entry_bytes(const struct entry *e)
{
	return sizeof(*e) + e->user_bytes + 2 * sizeof(struct map_entry);
}

static void entry_remove(struct auth_cache *c, struct entry *e)
{
	map_remove(&c->entries, (struct str){ (const char *)e->key, sizeof(e->key) });
	list_remove(&e->age);
	c->bytes -= entry_bytes(e);
	mem_free(e);
}

void auth_cache_free(struct auth_cache *c)
{
	if (!c)
		return;
	auth_cache_drop(c, STR(""));
	map_done(&c->entries);
	mem_wipe(c->secret, sizeof(c->secret));
	mem_free(c);
}

void auth_cache_key(const struct auth_cache *c, const struct auth_request *request,
	uint64_t generation, uint8_t out[AUTH_CACHE_KEY_BYTES])
{
	AUTO_BUF(tuple, 0);
	/* The class of an address, not the address: databases may treat local clients differently. */
	bool is_local = request->remote.family == 0 || address_is_loopback(&request->remote);
	number_put_counted(&tuple, request->user);
	number_put_counted(&tuple, request->password);
	number_put_counted(&tuple, request->authzid);
	number_put_counted(&tuple, request->service);
	number_put_counted(&tuple, request->mechanism);
	buf_put_byte(&tuple, is_local ? 'l' : 'r');
	buf_put_byte(&tuple, request->is_secured ? 's' : 'c');
	number_put_varint(&tuple, generation);
	crypto_hmac_sha256(
		(struct str){ (const char *)c->secret, sizeof(c->secret) }, buf_str(&tuple), out);
	mem_wipe(tuple.p, tuple.n);
}

bool auth_cache_get(struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], bool *out_ok)
{
	struct entry *e =
		map_get(&c->entries, (struct str){ (const char *)key, AUTH_CACHE_KEY_BYTES });
	if (!e)
		return false;
	if (now_us() >= e->expires_us) {
		entry_remove(c, e);
		return false;
	}
	*out_ok = e->is_ok;
	return true;
}

void auth_cache_put(
	struct auth_cache *c, const uint8_t key[AUTH_CACHE_KEY_BYTES], struct str user, bool is_ok)
{
	int64_t ttl_us = is_ok ? c->ttl_us : c->negative_ttl_us;
	struct entry *old =
		map_get(&c->entries, (struct str){ (const char *)key, AUTH_CACHE_KEY_BYTES });
	if (old)
		entry_remove(c, old);
	if (ttl_us <= 0)
		return;
	struct entry *e = mem_new(sizeof(*e) + user.n);
	memcpy(e->key, key, sizeof(e->key));
	e->expires_us = ttl_us >= TIME_NEVER - now_us() ? TIME_NEVER : now_us() + ttl_us;
	e->is_ok = is_ok;
	e->user_bytes = user.n;
	if (user.n)
		memcpy(e->user, user.p, user.n);
	map_set(&c->entries, (struct str){ (const char *)e->key, sizeof(e->key) }, e);
	list_add_last(&c->ages, &e->age);
	c->bytes += entry_bytes(e);
	while (c->bytes > c->max_bytes) {
		struct entry *oldest = LIST_FIRST(&c->ages, struct entry, age);
		ASSERT(oldest);
		entry_remove(c, oldest);
	}
}

void auth_cache_drop(struct auth_cache *c, struct str user)
{
	struct entry *e, *next;
	LIST_FOR_EACH(e, next, &c->ages, struct entry, age)
	{
		if (user.n == 0 || str_eq(user, (struct str){ e->user, e->user_bytes }))
			entry_remove(c, e);
	}
}
