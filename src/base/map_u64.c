/* SPDX-License-Identifier: Apache-2.0 */
/* base/map_u64.c - map with integer keys: see map.h. The invariant is the one of map.c; the hash of
 * a key is computed again where it is needed. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define SMALLEST_SLOT_COUNT ((size_t)8)

void map_u64_init(struct map_u64 *m)
{
	*m = (struct map_u64){ 0 };
}

void map_u64_done(struct map_u64 *m)
{
	mem_free(m->slots);
	map_u64_init(m);
}

static size_t home_slot(const struct map_u64 *m, uint64_t key)
{
	return (size_t)hash_u64(key) & (m->slot_count - 1);
}

/* The slot of `key`, or the free slot where it belongs. */
static size_t find_slot(const struct map_u64 *m, uint64_t key)
{
	size_t i = home_slot(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->slot_count - 1);
	return i;
}

static void grow(struct map_u64 *m)
{
	struct map_u64 old = *m;

	m->slot_count = MAX(old.slot_count * 2, SMALLEST_SLOT_COUNT);
	m->slots = mem_new_array(m->slot_count, sizeof(*m->slots));
	for (size_t i = 0; i < old.slot_count; i++)
		if (old.slots[i].value)
			m->slots[find_slot(m, old.slots[i].key)] = old.slots[i];
	mem_free(old.slots);
}

void *map_u64_get(const struct map_u64 *m, uint64_t key)
{
	return m->count ? m->slots[find_slot(m, key)].value : NULL;
}

void *map_u64_set(struct map_u64 *m, uint64_t key, void *value)
{
	ASSERT(value != NULL);
	if ((m->count + 1) * 4 > m->slot_count * 3)
		grow(m);
	struct map_u64_entry *slot = &m->slots[find_slot(m, key)];
	void *old = slot->value;
	if (!old)
		m->count++;
	*slot = (struct map_u64_entry){ key, value };
	return old;
}

void *map_u64_remove(struct map_u64 *m, uint64_t key)
{
	if (m->count == 0)
		return NULL;
	size_t mask = m->slot_count - 1;
	size_t hole = find_slot(m, key);
	void *old = m->slots[hole].value;
	if (!old)
		return NULL;
	for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		size_t home = home_slot(m, m->slots[i].key);
		if (((i - home) & mask) < ((i - hole) & mask))
			continue; /* its home is behind the hole */
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_u64_entry){ 0 };
	m->count--;
	return old;
}

bool map_u64_next(const struct map_u64 *m, size_t *at, struct map_u64_entry *out)
{
	while (*at < m->slot_count) {
		const struct map_u64_entry *slot = &m->slots[(*at)++];
		if (slot->value) {
			*out = *slot;
			return true;
		}
	}
	return false;
}
