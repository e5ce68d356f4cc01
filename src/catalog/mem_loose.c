/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/mem_loose.c - writing to "mem(4,loose)", which plays Cassandra: the highest stamp under a key
 * wins, deletions stay as tombstones that win ties and hide older writes, whenever these arrive. */
#include "base/number.h"
#include "catalog/mem_private.h"

static void key_dead_bucket(
	struct buf *key, struct str user, const struct catalog_guid *mailbox, uint32_t bucket)
{
	mem_key_table(key, 'd', user);
	mem_key_guid(key, mailbox);
	mem_key_u32(key, bucket);
}

/* Is what stands there not changed by this write? */
static bool entry_wins(
	const struct mem_entry *e, int64_t stamp_us, bool is_tombstone, struct str value)
{
	if (e->stamp_us != stamp_us)
		return e->stamp_us > stamp_us;
	if (e->is_tombstone || is_tombstone)
		return e->is_tombstone;
	return str_cmp(mem_entry_value(e), value) >= 0;
}

static void loose_bury_bucket(struct mem_catalog *m, struct str user,
	const struct catalog_guid *mailbox, uint32_t bucket, int64_t stamp_us)
{
	AUTO_BUF(key, 0);
	key_dead_bucket(&key, user, mailbox, bucket);
	struct mem_entry *dead = mem_find(m, buf_str(&key));
	if (!dead)
		dead = mem_put(m, buf_str(&key), STR_NONE);
	dead->stamp_us = MAX(dead->stamp_us, stamp_us);
	mem_key_table(&key, 'r', user);
	mem_key_guid(&key, mailbox);
	mem_key_u32(&key, bucket);
	size_t at = mem_lower_bound(m, buf_str(&key));
	while (at < m->count && str_starts(mem_entry_key(m->entries[at]), buf_str(&key))) {
		if (m->entries[at]->stamp_us <= stamp_us)
			mem_remove(m, at, at + 1);
		else
			at++;
	}
}

static void key_dead_ops(struct buf *key, struct str user, const struct catalog_guid *mailbox,
	const struct catalog_row *row)
{
	mem_key_table(key, 'o', user);
	mem_key_guid(key, mailbox);
	mem_key_u32(key, row->bucket);
	buf_put(key, (struct str){ (const char *)row->name.bytes, sizeof(row->name.bytes) });
}

static void loose_bury_ops(struct mem_catalog *m, struct str user,
	const struct catalog_change *change, int64_t stamp_us)
{
	AUTO_BUF(key, 0);
	key_dead_ops(&key, user, &change->mailbox, &change->row);
	struct mem_entry *dead = mem_find(m, buf_str(&key));
	if (!dead)
		dead = mem_put(m, buf_str(&key), STR_NONE);
	dead->stamp_us = MAX(dead->stamp_us, stamp_us);
	mem_change_key(&key, 0, user, change);
	size_t end = mem_lower_bound(m, buf_str(&key));
	size_t at =
		mem_lower_bound(m, str_slice(buf_str(&key), 0, key.n - sizeof(change->row.name)));
	while (at < end) {
		if (m->entries[at]->stamp_us <= stamp_us) {
			mem_remove(m, at, at + 1);
			end--;
		} else {
			at++;
		}
	}
}

/* Does a deletion of op rows hide what is put now? */
static bool are_ops_buried(struct mem_catalog *m, struct str user,
	const struct catalog_change *change, int64_t stamp_us)
{
	AUTO_BUF(key, 0);
	if (change->row.kind != CATALOG_OP)
		return false;
	key_dead_ops(&key, user, &change->mailbox, &change->row);
	struct str bucket = str_slice(buf_str(&key), 0, key.n - sizeof(change->row.name));
	for (size_t at = mem_lower_bound(m, buf_str(&key));
		at < m->count && str_starts(mem_entry_key(m->entries[at]), bucket); at++)
		if (m->entries[at]->stamp_us >= stamp_us &&
			str_cmp(mem_entry_key(m->entries[at]), buf_str(&key)) > 0)
			return true;
	return false;
}

static void loose_apply(struct mem_catalog *m, struct buf *key, struct str user, uint32_t shard,
	const struct catalog_change *change)
{
	int64_t stamp_us = change->stamp_us ? change->stamp_us : now_wall_us();
	AUTO_BUF(garbage, 0);
	if (change->kind == CATALOG_DELETE_MAILBOX) {
		for (uint32_t bucket = 0; bucket <= change->row.bucket; bucket++)
			loose_bury_bucket(m, user, &change->mailbox, bucket, stamp_us);
		return;
	}
	if (change->kind == CATALOG_DELETE_OPS) {
		loose_bury_ops(m, user, change, stamp_us);
		return;
	}
	if (change->kind == CATALOG_PUT_ROW && are_ops_buried(m, user, change, stamp_us))
		return;
	if (change->kind == CATALOG_PUT_ROW) {
		key_dead_bucket(key, user, &change->mailbox, change->row.bucket);
		const struct mem_entry *dead = mem_find(m, buf_str(key));
		if (dead && dead->stamp_us >= stamp_us)
			return;
	}
	mem_change_key(key, shard, user, change);
	bool is_tombstone = !mem_is_put(change);
	struct str value = is_tombstone ? STR_NONE : mem_change_value(change, &garbage);
	const struct mem_entry *old = mem_find(m, buf_str(key));
	if (old && entry_wins(old, stamp_us, is_tombstone, value))
		return;
	struct mem_entry *e = mem_put(m, buf_str(key), value);
	e->stamp_us = stamp_us;
	e->is_tombstone = is_tombstone;
}

enum err mem_write_loose(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count, size_t *durable)
{
	(void)durable;
	(void)op;
	AUTO_BUF(key, 0);
	for (size_t from = 0, to; from < count; from = to) {
		to = catalog_group_end(changes, count, from);
		for (size_t i = from; i < to; i++)
			loose_apply(mem_catalog_of(c), &key, user, catalog_user_shard(c, user),
				&changes[i]);
		c->counters.commits++;
	}
	return ERR_NONE;
}
