/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/mem_private.h - the sorted array of mem.c, for mem_loose.c too. */
#pragma once

#include "catalog/catalog_private.h"

struct mem_entry {
	size_t key_bytes;
	size_t value_bytes;
	int64_t stamp_us;  /* loose */
	bool is_tombstone; /* loose */
	char bytes[];      /* key, value */
};

struct mem_catalog {
	struct catalog base; /* first */
	/* owned */
	struct mem_entry **entries;
	size_t count;
	size_t cap;
};

struct mem_catalog *mem_catalog_of(struct catalog *c);
struct str mem_entry_key(const struct mem_entry *e);
struct str mem_entry_value(const struct mem_entry *e);
size_t mem_lower_bound(const struct mem_catalog *m, struct str key);
struct mem_entry *mem_find(const struct mem_catalog *m, struct str key);
void mem_remove(struct mem_catalog *m, size_t from, size_t to);
struct mem_entry *mem_put(struct mem_catalog *m, struct str key, struct str value);
void mem_key_u32(struct buf *key, uint32_t v);
void mem_key_guid(struct buf *key, const struct catalog_guid *guid);
void mem_key_table(struct buf *key, char table, struct str user);
void mem_change_key(
	struct buf *key, uint32_t shard, struct str user, const struct catalog_change *change);
bool mem_is_put(const struct catalog_change *change);
struct str mem_change_value(const struct catalog_change *change, struct buf *garbage);
enum err mem_write_loose(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable);
