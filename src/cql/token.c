/* SPDX-License-Identifier: Apache-2.0 */
/* Where rows live: the partitioner's hash, and the ring of tokens with the replicas of each range.
 *
 * Cassandra's Murmur3 differs from the published one: bytes of the last block are taken as signed.
 * The ring is made anew when the cluster changes; asking is a binary search. */
#include <stdlib.h>

#include "base/number.h"
#include "cql/cql_private.h"

#define C1 UINT64_C(0x87c37b91114253d5)
#define C2 UINT64_C(0x4cf5ad432745937f)

static uint64_t rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static uint64_t mix(uint64_t v)
{
	v ^= v >> 33;
	v *= UINT64_C(0xff51afd7ed558ccd);
	v ^= v >> 33;
	v *= UINT64_C(0xc4ceb9fe1a85ec53);
	return v ^ v >> 33;
}

static uint64_t signed_at(const uint8_t *p, unsigned shift)
{
	return (uint64_t)(int64_t)(int8_t)*p << shift;
}

/* The last block, of less than 16 bytes. */
static void hash_rest(const uint8_t *p, size_t n, uint64_t *h1, uint64_t *h2)
{
	uint64_t k1 = 0, k2 = 0;
	for (size_t i = 8; i < n; i++)
		k2 ^= signed_at(p + i, (unsigned)(8 * (i - 8)));
	for (size_t i = 0; i < MIN(n, (size_t)8); i++)
		k1 ^= signed_at(p + i, (unsigned)(8 * i));
	*h2 ^= rotate(k2 * C2, 33) * C1;
	*h1 ^= rotate(k1 * C1, 31) * C2;
}

int64_t cql_token(struct str key)
{
	uint64_t h1 = 0, h2 = 0;
	const uint8_t *p = (const uint8_t *)key.p;
	size_t left = key.n;
	for (; left >= 16; p += 16, left -= 16) {
		h1 ^= rotate(get_le64(p) * C1, 31) * C2;
		h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= rotate(get_le64(p + 8) * C2, 33) * C1;
		h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	hash_rest(p, left, &h1, &h2);
	h1 ^= key.n;
	h2 ^= key.n;
	h1 += h2;
	h2 += h1;
	h1 = mix(h1) + mix(h2);
	/* The lowest token stands for "before all" and belongs to no key. */
	return (int64_t)h1 == INT64_MIN ? INT64_MAX : (int64_t)h1;
}

struct str cql_routing_key(
	struct buf *out, const struct cql_value *values, const uint16_t *key, size_t key_count)
{
	if (key_count == 1)
		return values[key[0]].bytes;
	for (size_t i = 0; i < key_count; i++) {
		struct str part = values[key[i]].bytes;
		cql_put_string(out, str_slice(part, 0, UINT16_MAX));
		buf_put_byte(out, '\0');
	}
	return buf_str(out);
}

/* ---- replication ---- */

unsigned cql_replication_parse(struct str map, struct str datacenter, bool *out_is_simple)
{
	uint32_t pairs, n;
	unsigned count = 0;
	struct str key, value;
	*out_is_simple = false;
	if (!cql_cut_count(&map, &pairs))
		return 0;
	for (; pairs > 0; pairs--) {
		if (!cql_cut_element(&map, &key) || !cql_cut_element(&map, &value))
			return 0;
		if (str_eq(key, STR("class")))
			*out_is_simple = str_ends(value, STR("SimpleStrategy"));
		/* "3", or "3/1" with transient replicas */
		else if ((str_eq(key, datacenter) || str_eq(key, STR("replication_factor"))) &&
			 number_cut_u32(&value, &n))
			count = n;
	}
	return MIN(count, (unsigned)CQL_REPLICAS_MAX);
}

/* ---- the ring ---- */

void cql_ring_done(struct cql_ring *r)
{
	mem_free(r->entries);
	*r = (struct cql_ring){ 0 };
}

static int compare_entries(const void *a, const void *b)
{
	int64_t x = ((const struct cql_ring_entry *)a)->token,
		y = ((const struct cql_ring_entry *)b)->token;
	return x < y ? -1 : x > y;
}

/* Choosing the replicas of one range. */
struct choice {
	struct cql_ring_entry *entry;
	size_t chosen, wanted;
	const char *racks[CQL_REPLICAS_MAX]; /* of those chosen */
	uint16_t skipped[CQL_REPLICAS_MAX];  /* hosts of a rack that had one already */
	size_t skipped_count;
};

static bool has_host(const uint16_t *hosts, size_t count, uint16_t number)
{
	for (size_t i = 0; i < count; i++)
		if (hosts[i] == number)
			return true;
	return false;
}

static bool has_rack(const struct choice *c, const char *rack)
{
	for (size_t i = 0; i < c->chosen; i++)
		if (str_eq(str_from(c->racks[i]), str_from(rack)))
			return true;
	return false;
}

static void consider(struct choice *c, const struct cql_host *h, bool minds_racks)
{
	if (has_host(c->entry->replicas, c->chosen, h->number) ||
		has_host(c->skipped, c->skipped_count, h->number))
		return;
	if (minds_racks && has_rack(c, h->rack)) {
		if (c->skipped_count < CQL_REPLICAS_MAX)
			c->skipped[c->skipped_count++] = h->number;
		return;
	}
	c->racks[c->chosen] = h->rack;
	c->entry->replicas[c->chosen++] = h->number;
}

static size_t count_racks(const struct cql_ring *r)
{
	struct choice all = { .entry = NULL };
	for (size_t i = 0; i < r->count && all.chosen < CQL_REPLICAS_MAX; i++)
		if (!has_rack(&all, r->entries[i].host->rack))
			all.racks[all.chosen++] = r->entries[i].host->rack;
	return all.chosen;
}

/* Each rack has one before a rack has two, as far as there are racks. */
static size_t choose_replicas(struct cql_ring *r, size_t at, size_t wanted, size_t rack_count)
{
	struct choice c = { .entry = &r->entries[at], .wanted = wanted };
	for (size_t i = 0; i < r->count && c.chosen < wanted; i++) {
		const struct cql_host *h = r->entries[(at + i) % r->count].host;
		consider(&c, h, rack_count > 0 && c.chosen < rack_count);
		for (size_t j = 0; c.chosen >= rack_count && j < c.skipped_count; j++)
			if (c.chosen < wanted &&
				!has_host(c.entry->replicas, c.chosen, c.skipped[j]))
				c.entry->replicas[c.chosen++] = c.skipped[j];
	}
	return c.chosen;
}

void cql_ring_build(struct cql_ring *r, unsigned replica_count, bool minds_racks)
{
	qsort(r->entries, r->count, sizeof(*r->entries), compare_entries);
	size_t rack_count = minds_racks ? count_racks(r) : 0, least = replica_count;
	for (size_t i = 0; i < r->count; i++) {
		size_t n = choose_replicas(r, i, replica_count, rack_count);
		least = MIN(least, n);
	}
	r->replica_count = (unsigned)least;
}

const struct cql_ring_entry *cql_ring_find(const struct cql_ring *r, int64_t token)
{
	size_t low = 0, high = r->count;
	if (r->count == 0 || r->replica_count == 0)
		return NULL;
	/* The first entry at or behind the token; behind the last comes the first. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (r->entries[middle].token < token)
			low = middle + 1;
		else
			high = middle;
	}
	return &r->entries[low == r->count ? 0 : low];
}
