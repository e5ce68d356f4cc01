/* SPDX-License-Identifier: Apache-2.0 */
/* catalog/mem.c - a catalog in memory, for tests and the simulation. It never waits, every batch is
 * atomic (nothing can fail half-way: catalog.c has checked it), and it ends with its handle.
 *
 * All tables are one array of entries, sorted by a key that begins with the table's letter:
 *   'h' user 0 mailbox key 0                     -> value
 *   'r' user 0 mailbox bucket kind name          -> value
 *   'v' user 0 object 0 mailbox name             -> nothing
 *   'g' shard queued user 0 object 0             -> mailbox bucket row
 * Numbers are big-endian, so that bytes sort as the fields do. */
#include <stdlib.h>

#include "base/number.h"
#include "catalog/catalog_private.h"

struct mem_entry {
	size_t key_bytes;
	size_t value_bytes;
	char bytes[]; /* key, value */
};

struct mem_catalog {
	struct catalog base; /* first */
	/* owned */
	struct mem_entry **entries;
	size_t count;
	size_t cap;
};

static struct mem_catalog *mem_catalog(struct catalog *c)
{
	return CONTAINER_OF(c, struct mem_catalog, base);
}

static struct str entry_key(const struct mem_entry *e)
{
	return (struct str){ e->bytes, e->key_bytes };
}

static struct str entry_value(const struct mem_entry *e)
{
	return (struct str){ e->bytes + e->key_bytes, e->value_bytes };
}

/* ---- the sorted array ---- */

/* The first entry whose key is not below `key`. */
static size_t lower_bound(const struct mem_catalog *m, struct str key)
{
	size_t from = 0, to = m->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (str_cmp(entry_key(m->entries[middle]), key) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static const struct mem_entry *entry_find(const struct mem_catalog *m, struct str key)
{
	size_t at = lower_bound(m, key);
	return at < m->count && str_eq(entry_key(m->entries[at]), key) ? m->entries[at] : NULL;
}

static void entries_remove(struct mem_catalog *m, size_t from, size_t to)
{
	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		mem_free(m->entries[i]);
	memmove(m->entries + from, m->entries + to, (m->count - to) * sizeof(m->entries[0]));
	m->count -= to - from;
}

static size_t prefix_end(const struct mem_catalog *m, size_t from, struct str prefix)
{
	while (from < m->count && str_starts(entry_key(m->entries[from]), prefix))
		from++;
	return from;
}

static void entry_put(struct mem_catalog *m, struct str key, struct str value)
{
	struct mem_entry *e = mem_new(sizeof(*e) + key.n + value.n);
	e->key_bytes = key.n;
	e->value_bytes = value.n;
	memcpy(e->bytes, key.p, key.n);
	if (value.n)
		memcpy(e->bytes + key.n, value.p, value.n);
	size_t at = lower_bound(m, key);
	if (at < m->count && str_eq(entry_key(m->entries[at]), key)) {
		mem_free(m->entries[at]);
		m->entries[at] = e;
		return;
	}
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 64;
		m->entries = mem_resize(m->entries, m->cap * sizeof(m->entries[0]));
	}
	memmove(m->entries + at + 1, m->entries + at, (m->count - at) * sizeof(m->entries[0]));
	m->entries[at] = e;
	m->count++;
}

/* ---- keys ---- */

static void key_text(struct buf *key, struct str text)
{
	buf_put(key, text);
	buf_put_byte(key, '\0');
}

static void key_u32(struct buf *key, uint32_t v)
{
	uint8_t bytes[8];
	put_be64(bytes, v);
	buf_put(key, (struct str){ (const char *)bytes + 4, 4 });
}

static void key_guid(struct buf *key, const struct catalog_guid *guid)
{
	buf_put(key, (struct str){ (const char *)guid->bytes, sizeof(guid->bytes) });
}

static void key_name(struct buf *key, const struct catalog_name *name)
{
	buf_put(key, (struct str){ (const char *)name->bytes, sizeof(name->bytes) });
}

static void key_table(struct buf *key, char table, struct str user)
{
	buf_clear(key);
	buf_put_byte(key, table);
	if (user.n)
		key_text(key, user);
}

static void key_row(struct buf *key, struct str user, const struct catalog_guid *mailbox,
	const struct catalog_row *row)
{
	key_table(key, 'r', user);
	key_guid(key, mailbox);
	key_u32(key, row->bucket);
	buf_put_byte(key, (char)row->kind);
	key_name(key, &row->name);
}

static struct str cut_text(struct str *rest)
{
	struct str text;
	ASSERT(str_cut(rest, '\0', &text));
	return text;
}

static void cut_bytes(struct str *rest, void *out, size_t n)
{
	struct str bytes = str_take(rest, n);
	ASSERT(bytes.n == n);
	memcpy(out, bytes.p, n);
}

static uint32_t cut_u32(struct str *rest)
{
	uint8_t bytes[8] = { 0 };
	cut_bytes(rest, bytes + 4, 4);
	return (uint32_t)get_be64(bytes);
}

/* ---- writing ---- */

static void change_key(
	struct buf *key, uint32_t shard, struct str user, const struct catalog_change *change)
{
	switch (change->kind) {
	case CATALOG_PUT_ROW:
	case CATALOG_DELETE_ROW:
		key_row(key, user, &change->mailbox, &change->row);
		break;
	case CATALOG_PUT_HEAD:
	case CATALOG_DELETE_HEAD:
		key_table(key, 'h', user);
		key_guid(key, &change->mailbox);
		key_text(key, change->key);
		break;
	case CATALOG_PUT_REVERSE:
	case CATALOG_DELETE_REVERSE:
		key_table(key, 'v', user);
		key_text(key, change->object);
		key_guid(key, &change->mailbox);
		key_name(key, &change->row.name);
		break;
	case CATALOG_PUT_GARBAGE:
	case CATALOG_DELETE_GARBAGE:
		key_table(key, 'g', STR_NONE);
		key_u32(key, shard);
		key_name(key, &change->queued);
		key_text(key, user);
		key_text(key, change->object);
		break;
	case CATALOG_DELETE_MAILBOX:
		key_table(key, 'r', user);
		key_guid(key, &change->mailbox);
		break;
	}
}

static void change_apply(struct mem_catalog *m, struct str key, const struct catalog_change *change)
{
	size_t at = lower_bound(m, key);
	bool exists = at < m->count && str_eq(entry_key(m->entries[at]), key);
	AUTO_BUF(value, 0);
	switch (change->kind) {
	case CATALOG_PUT_ROW:
		entry_put(m, key, change->row.value);
		break;
	case CATALOG_PUT_HEAD:
		entry_put(m, key, change->value);
		break;
	case CATALOG_PUT_REVERSE:
		entry_put(m, key, STR_NONE);
		break;
	case CATALOG_PUT_GARBAGE:
		key_guid(&value, &change->mailbox);
		key_u32(&value, change->row.bucket);
		key_name(&value, &change->row.name);
		entry_put(m, key, buf_str(&value));
		break;
	case CATALOG_DELETE_ROW:
	case CATALOG_DELETE_HEAD:
	case CATALOG_DELETE_REVERSE:
	case CATALOG_DELETE_GARBAGE:
		entries_remove(m, at, exists ? at + 1 : at);
		break;
	case CATALOG_DELETE_MAILBOX:
		entries_remove(m, at, prefix_end(m, at, key));
		break;
	}
}

static enum err mem_write(struct op *op, struct catalog *c, struct str user,
	const struct catalog_change *changes, size_t count)
{
	(void)op;
	uint32_t shard = catalog_user_shard(c, user);
	AUTO_BUF(key, 0);
	for (size_t i = 0; i < count; i++) {
		change_key(&key, shard, user, &changes[i]);
		change_apply(mem_catalog(c), buf_str(&key), &changes[i]);
	}
	c->counters.commits++;
	return ERR_NONE;
}

/* ---- reading: copies, since the caller may wait and write between two rows ---- */

static enum err mem_read_heads(struct op *op, struct catalog *c, struct str user,
	struct catalog_head **out, size_t *out_count)
{
	struct mem_catalog *m = mem_catalog(c);
	AUTO_BUF(key, 0);
	key_table(&key, 'h', user);
	size_t from = lower_bound(m, buf_str(&key)), to = prefix_end(m, from, buf_str(&key));
	struct catalog_head *heads =
		ARENA_NEW_ARRAY(op->arena, struct catalog_head, MAX(to - from, 1));
	for (size_t i = from; i < to; i++) {
		struct catalog_head *head = &heads[i - from];
		struct str rest = entry_key(m->entries[i]);
		(void)str_take(&rest, key.n);
		cut_bytes(&rest, head->mailbox.bytes, sizeof(head->mailbox.bytes));
		head->key = str_dup(op->arena, cut_text(&rest));
		head->value = str_dup(op->arena, entry_value(m->entries[i]));
	}
	*out = heads;
	*out_count = to - from;
	return ERR_NONE;
}

static int row_compare(const void *a, const void *b)
{
	const struct catalog_row *x = a, *y = b;
	int order = memcmp(x->name.bytes, y->name.bytes, sizeof(x->name.bytes));
	return order ? order : (x->kind > y->kind) - (x->kind < y->kind);
}

static enum err mem_read_rows(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name after,
	catalog_row_fn *row_fn, void *arg)
{
	struct mem_catalog *m = mem_catalog(c);
	AUTO_ARENA(arena, 0);
	AUTO_BUF(key, 0);
	key_table(&key, 'r', user);
	key_guid(&key, &mailbox);
	size_t prefix_bytes = key.n;
	size_t to = prefix_end(m, lower_bound(m, buf_str(&key)), buf_str(&key));
	key_u32(&key, bucket);
	size_t from = lower_bound(m, buf_str(&key));
	struct catalog_row *rows = ARENA_NEW_ARRAY(&arena, struct catalog_row, MAX(to - from, 1));
	size_t count = 0;
	for (size_t i = from; i < to; i++) {
		struct catalog_row row = { 0 };
		uint8_t kind;
		struct str rest = entry_key(m->entries[i]);
		(void)str_take(&rest, prefix_bytes);
		row.bucket = cut_u32(&rest);
		cut_bytes(&rest, &kind, 1);
		row.kind = kind;
		cut_bytes(&rest, row.name.bytes, sizeof(row.name.bytes));
		if (memcmp(row.name.bytes, after.bytes, sizeof(after.bytes)) <= 0)
			continue;
		row.value = str_dup(&arena, entry_value(m->entries[i]));
		rows[count++] = row;
	}
	qsort(rows, count, sizeof(rows[0]), row_compare);
	for (size_t i = 0; i < count; i++)
		TRY(row_fn(op, &rows[i], arg));
	return ERR_NONE;
}

static enum err mem_count_reverse(
	struct op *op, struct catalog *c, struct str user, struct str object, uint32_t *out_count)
{
	(void)op;
	struct mem_catalog *m = mem_catalog(c);
	AUTO_BUF(key, 0);
	key_table(&key, 'v', user);
	key_text(&key, object);
	size_t from = lower_bound(m, buf_str(&key));
	*out_count = (uint32_t)(prefix_end(m, from, buf_str(&key)) - from);
	return ERR_NONE;
}

static enum err mem_has_row(struct op *op, struct catalog *c, struct str user,
	struct catalog_guid mailbox, uint32_t bucket, struct catalog_name name, bool *out)
{
	(void)op;
	AUTO_BUF(key, 0);
	key_row(&key, user, &mailbox,
		&(struct catalog_row){ .kind = CATALOG_APPEND, .bucket = bucket, .name = name });
	*out = entry_find(mem_catalog(c), buf_str(&key)) != NULL;
	return ERR_NONE;
}

static enum err mem_read_garbage(struct op *op, struct catalog *c, uint32_t shard, size_t max,
	struct catalog_garbage **out, size_t *out_count)
{
	struct mem_catalog *m = mem_catalog(c);
	AUTO_BUF(key, 0);
	key_table(&key, 'g', STR_NONE);
	key_u32(&key, shard);
	size_t from = lower_bound(m, buf_str(&key));
	size_t count = MIN(prefix_end(m, from, buf_str(&key)) - from, max);
	struct catalog_garbage *garbage =
		ARENA_NEW_ARRAY(op->arena, struct catalog_garbage, MAX(count, 1));
	for (size_t i = 0; i < count; i++) {
		struct catalog_garbage *g = &garbage[i];
		struct str rest = entry_key(m->entries[from + i]);
		(void)str_take(&rest, key.n);
		cut_bytes(&rest, g->name.bytes, sizeof(g->name.bytes));
		g->user = str_dup(op->arena, cut_text(&rest));
		g->object = str_dup(op->arena, cut_text(&rest));
		rest = entry_value(m->entries[from + i]);
		cut_bytes(&rest, g->mailbox.bytes, sizeof(g->mailbox.bytes));
		g->bucket = cut_u32(&rest);
		cut_bytes(&rest, g->row.bytes, sizeof(g->row.bytes));
	}
	*out = garbage;
	*out_count = count;
	return ERR_NONE;
}

static enum err mem_list_users(
	struct op *op, struct catalog *c, uint32_t shard, catalog_user_fn *fn, void *arg)
{
	struct mem_catalog *m = mem_catalog(c);
	char last[CATALOG_USER_MAX];
	struct str user = STR_NONE;
	AUTO_BUF(key, 0);
	for (;;) {
		/* The first head behind every head of `user`. */
		buf_clear(&key);
		buf_put_byte(&key, 'h');
		buf_put(&key, user);
		if (user.n)
			buf_put_byte(&key, '\1');
		size_t at = lower_bound(m, buf_str(&key));
		struct str rest = at < m->count ? entry_key(m->entries[at]) : STR("");
		if (!str_skip(&rest, STR("h")))
			return ERR_NONE;
		struct str next = cut_text(&rest);
		ASSERT(next.n <= sizeof(last));
		memcpy(last, next.p, next.n);
		user = (struct str){ last, next.n };
		if (catalog_user_shard(c, user) == shard)
			TRY(fn(op, user, arg));
	}
}

/* ---- the driver ---- */

static enum err mem_open(struct op *op, const struct config_scope *scope, struct str argument,
	struct catalog *inner, struct catalog **out)
{
	(void)scope; /* has nothing to set but the number of shards, of which memory needs no file */
	(void)inner;
	uint32_t shard_count;
	TRY(catalog_shards_parse(op, argument, &shard_count));
	struct mem_catalog *m = MEM_NEW(struct mem_catalog);
	m->base.driver = &catalog_mem;
	m->base.shard_count = shard_count;
	*out = &m->base;
	return ERR_NONE;
}

static void mem_close(struct op *op, struct catalog *c)
{
	(void)op;
	struct mem_catalog *m = mem_catalog(c);
	entries_remove(m, 0, m->count);
	mem_free(m->entries);
	mem_free(m);
}

const struct catalog_driver catalog_mem = {
	.name = "mem",
	.is_atomic = true,
	.open = mem_open,
	.close = mem_close,
	.write = mem_write,
	.read_heads = mem_read_heads,
	.read_rows = mem_read_rows,
	.count_reverse = mem_count_reverse,
	.has_row = mem_has_row,
	.read_garbage = mem_read_garbage,
	.list_users = mem_list_users,
};
