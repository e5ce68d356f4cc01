/* SPDX-License-Identifier: Apache-2.0 */
/* base/map.c - map with keys of bytes: see map.h.
 *
 * Invariant: from an entry's home slot (hash modulo slot_count) up to the entry no slot is free.
 * Removal keeps it by moving later entries back into the hole. */
#include "base/map.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"

#define SMALLEST_SLOT_COUNT ((size_t)8)

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void map_done(struct map *m)
{
	mem_free(m->slots);
	map_init(m);
}

/* The slot of `key`, or the free slot where it belongs. */
static size_t find_slot(const struct map *m, struct str key, uint64_t hash)
{
	size_t mask = m->slot_count - 1;
	size_t i = (size_t)hash & mask;

	for (; m->slots[i].value; i = (i + 1) & mask)
		if (m->slots[i].hash == hash && str_eq(m->slots[i].key, key))
			break;
	return i;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->slot_count = MAX(old.slot_count * 2, SMALLEST_SLOT_COUNT);
	m->slots = mem_new_array(m->slot_count, sizeof(*m->slots));
	for (size_t i = 0; i < old.slot_count; i++) {
		struct map_entry *entry = &old.slots[i];
		if (entry->value)
			m->slots[find_slot(m, entry->key, entry->hash)] = *entry;
	}
	mem_free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
	return m->count ? m->slots[find_slot(m, key, hash_bytes(key))].value : NULL;
}

void *map_set(struct map *m, struct str key, void *value)
{
	ASSERT(value != NULL);
	if ((m->count + 1) * 4 > m->slot_count * 3)
		grow(m);
	uint64_t hash = hash_bytes(key);
	struct map_entry *slot = &m->slots[find_slot(m, key, hash)];
	void *old = slot->value;
	if (!old)
		m->count++;
	*slot = (struct map_entry){ key, value, hash };
	return old;
}

void *map_remove(struct map *m, struct str key)
{
	if (m->count == 0)
		return NULL;
	size_t mask = m->slot_count - 1;
	size_t hole = find_slot(m, key, hash_bytes(key));
	void *old = m->slots[hole].value;
	if (!old)
		return NULL;
	for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
		size_t home = (size_t)m->slots[i].hash & mask;
		if (((i - home) & mask) < ((i - hole) & mask))
			continue; /* its home is behind the hole */
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole] = (struct map_entry){ 0 };
	m->count--;
	return old;
}

bool map_next(const struct map *m, size_t *at, struct map_entry *out)
{
	while (*at < m->slot_count) {
		const struct map_entry *slot = &m->slots[(*at)++];
		if (slot->value) {
			*out = *slot;
			return true;
		}
	}
	return false;
}
